"""When a wait ends."""

from __future__ import annotations

import pytest

from masterworker import deadline
from masterworker.deadline import Deadline
from masterworker.testing import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr(deadline, "monotonic", made)
    return made


def test_time_runs_out(clock: FakeClock) -> None:
    """Never below nothing, and never more than one waits at a time."""
    end = Deadline(3.0)
    assert (end.left(), end.left(1.0), end.has_passed) == (3.0, 1.0, False)
    clock.advance(2.5)
    assert (end.left(), end.left(1.0), end.has_passed) == (0.5, 0.5, False)
    clock.advance(0.5)
    assert (end.left(), end.has_passed) == (0.0, True)
    clock.advance(9.0)
    assert (end.left(1.0), end.has_passed) == (0.0, True)


def test_one_that_never_comes(clock: FakeClock) -> None:
    end = Deadline(None)
    clock.advance(1e9)
    assert (end.left(), end.left(5.0), end.has_passed) == (float("inf"), 5.0, False)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_one_that_has_come_already(seconds: float, clock: FakeClock) -> None:
    assert Deadline(seconds).has_passed
    assert Deadline(seconds).left() == 0.0
    assert repr(Deadline(seconds)) == "<Deadline in 0.000 s>"
    clock.advance(1.0)
