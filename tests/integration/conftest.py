"""What the integration tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration.crew import Crew
from masterworker import Master

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    with Master(workers=2) as master:
        yield master
