"""What the integration tests share."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

import pytest

import support
from integration.crew import Crew
from masterworker import Master

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def lasting_master(workers: int) -> Iterator[Master]:
    """A master with real worker processes, for more than one test."""
    with Master(workers=workers) as master:
        support.lasting.add(master.label)
        yield master


@pytest.fixture
def crew() -> Iterator[Crew]:
    """A job without workers; `hire` some."""
    made = Crew()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Master]:
    """A master with two real worker processes, for a whole module."""
    with lasting_master(2) as master:
        yield master


@pytest.fixture
def warm(two_workers: Master) -> Master:
    """Workers that have seen that tasks are small, so they take many at a time."""
    assert list(two_workers.map(math.sqrt, range(3000))) == [math.sqrt(n) for n in range(3000)]
    return two_workers
