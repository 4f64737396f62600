"""How a worker is doing, judged look by look, and what it is ended for."""

from __future__ import annotations

import pytest

from masterworker.launch import health, scoreboard
from masterworker.launch.health import Health, Look, excess_of_memory

RUNS = Look(runs=True, is_stopped=False, memory=0, peak=0)
STOPPED = Look(runs=False, is_stopped=True, memory=0, peak=0)
#: In a debugger.
TRACED = Look(runs=False, is_stopped=False, memory=0, peak=0)


class Worker:
    """A worker, and the time; looked at every second."""

    def __init__(self) -> None:
        self.board = scoreboard.private()
        self.now = 100.0
        self.health = Health(self.board, self.now)

    def go_on(self, seconds: float, seen: Look = RUNS, *, ticks: bool = False) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 1.0
            if ticks:
                self.board[scoreboard.TICK] += 1
            self.health.look(seen, self.now)


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_it_is_well_while_it_ticks(worker: Worker) -> None:
    """Or while it executes a task, which may hold the interpreter's lock."""
    worker.go_on(60, ticks=True)
    assert worker.health.is_well
    worker.board[scoreboard.TASK] = 7
    worker.go_on(60)
    assert worker.health.is_well
    assert worker.health.standstill() == ""
    worker.board[scoreboard.TASK] = 0
    worker.go_on(health.WEDGED_SECONDS)
    assert not worker.health.is_well


def test_a_stop_is_told_once_each_time(worker: Worker) -> None:
    for _ in range(2):
        worker.go_on(health.STOPPED_SECONDS, STOPPED, ticks=True)
        assert not worker.health.is_well
        assert worker.health.has_stopped()
        assert not worker.health.has_stopped()
        worker.go_on(1)
        assert not worker.health.has_stopped()


def test_one_that_stays_stopped_makes_room(worker: Worker) -> None:
    """Not one in a debugger, and not one that its supervisor has not looked at for as long."""
    worker.go_on(health.STAYS_STOPPED_SECONDS + 1, TRACED)
    assert worker.health.standstill() == ""
    worker.now += 60
    worker.health.look(STOPPED, worker.now)
    assert worker.health.standstill() == ""
    worker.go_on(health.STAYS_STOPPED_SECONDS, STOPPED)
    assert worker.health.standstill() == "it was stopped, and never continued"


def test_one_whose_threads_do_not_run_makes_room(worker: Worker) -> None:
    """Unless it has never ticked, since it is only beginning; or has left."""
    worker.go_on(2 * health.STAYS_WEDGED_SECONDS)
    assert worker.health.standstill() == ""
    worker.go_on(1, ticks=True)
    worker.go_on(health.STAYS_WEDGED_SECONDS)
    assert worker.health.standstill() == "its own threads did not run any more"
    worker.board[scoreboard.LEFT] = 1
    assert worker.health.standstill() == ""


def test_a_task_is_overdue_after_its_grace(worker: Worker) -> None:
    worker.board[scoreboard.TASK] = 7
    assert worker.health.overdue_task(1e9) == 0
    worker.board[scoreboard.DEADLINE] = 100 * 10**9
    assert worker.health.overdue_task(100.0 + health.KILL_GRACE_SECONDS - 0.1) == 0
    assert worker.health.overdue_task(100.0 + health.KILL_GRACE_SECONDS) == 7
    worker.board[scoreboard.TASK] = 0
    assert worker.health.overdue_task(1e9) == 0


def test_memory_beyond_the_limit_is_named() -> None:
    seen = Look(runs=True, is_stopped=False, memory=600_000_000, peak=0)
    assert excess_of_memory(seen, None) == excess_of_memory(seen, 600_000_000) == ""
    told = excess_of_memory(seen, 500_000_000)
    assert told == "it had 600 MB of memory, and its limit is 500 MB"
