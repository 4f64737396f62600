"""What tests of strangers and guests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from masterworker import wire
from masterworker.transport import gate
from security.attackers import Parsed, Target, descriptors, threads
from security.visitors import Job
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def job() -> Iterator[Job]:
    made = Job()
    yield made
    made.manager.check()
    made.manager.terminate()


@pytest.fixture
def data_job() -> Iterator[Job]:
    made = Job(wire.PLAIN)
    yield made
    made.manager.check()
    made.manager.terminate()


@pytest.fixture
def target() -> Iterator[Target]:
    """A master; in the end nothing of its visitors is left."""
    before = descriptors()
    with Target() as made:
        yield made
    wait_until(lambda: not threads("masterworker-gate"), what="the gate's thread has ended")
    wait_until(lambda: not threads("masterworker-connection"), what="no thread of a peer is left")
    wait_until(lambda: descriptors() <= before, what="no descriptor is left")


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Parsed:
    return Parsed(monkeypatch)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> float:
    """A gate that has less time for strangers than usual. Returns how much."""
    monkeypatch.setattr(gate, "DEADLINE", 0.4)
    return gate.DEADLINE
