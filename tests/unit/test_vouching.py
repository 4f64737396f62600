"""A supervisor says of its processes what they are in one run of the manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker.launch.scoreboard import RUN
from masterworker.launch.vouching import Vouching

if TYPE_CHECKING:
    import pytest


class Process:
    """What is looked at of a process."""

    def __init__(self, member_id: int, run: int) -> None:
        self.member_id, self.board, self.pid = member_id, {RUN: run}, 1


class Slot:
    """The place of one."""

    def __init__(self, process: Process) -> None:
        self.process = process


def test_members_of_one_run_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """While they come back one after the other; and none has the numbers of two runs."""
    monkeypatch.setattr("masterworker.launch.health.still", lambda slots, _now: len(slots))
    vouching, now = Vouching(), 0.0
    processes = [Process(number, 5) for number in (1, 2, 3)]

    def look() -> tuple[Any, ...]:
        nonlocal now
        now += 1000.0
        slots: Any = [Slot(each) for each in processes]
        members, usage, still, run = vouching.look(slots, processes, now)  # type: ignore[arg-type]
        return members, [each[0] for each in usage], still, run

    assert look() == ([1, 2, 3], [1, 2, 3], 3, 5)
    processes[1] = Process(1, 8)  # back in the next run, in which another one has this number
    assert look() == ([1], [1], 1, 8)
    processes[0] = Process(2, 8)
    assert look() == ([2, 1], [2, 1], 2, 8)
    del processes[:2]
    assert look() == ([], [], 0, 8)
