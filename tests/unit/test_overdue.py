"""The manager's own clock: time limits that nobody who can be relied upon looks after."""

from __future__ import annotations

import pytest

from masterworker.core import audit
from masterworker.core.options import Options
from masterworker.core.overdue import FEW, GRACE, HEARTBEAT, Overdue
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import FAILURE, RESULT, Outcome, State
from masterworker.data.pickling import dumps
from masterworker.errors import TaskTimeout
from unit.acting import fetch, request

LIMIT = 3.0
DUE = LIMIT + GRACE + HEARTBEAT


@pytest.fixture
def core() -> Scheduler:
    return Scheduler(timed_out=lambda limit: b"%g" % limit)


def guest(core: Scheduler, supervisor: str = "") -> int:
    member = core.on_joined("guest", None, 60.0, 0.0, supervisor)
    core.members[member].is_trusted = False
    return member


def limited(core: Scheduler, **options: object) -> int:
    given = Options(timeout=LIMIT)._replace(**options)
    return core.on_requested("a", [b"a"], options=given)[0]


def run_to(core: Scheduler, end: float, begin: float = 0.0) -> list[tuple[int, int]]:
    """Let the clock tick, with signs of life; return the orders that were given."""
    orders = []
    now = begin
    while now <= end:
        for member in core.members:
            core.on_heard(member, now)
        orders += core.on_tick(now).orders
        audit.check(core)
        now += 1.0
    return orders


@pytest.mark.parametrize("says_begun", [True, False])
@pytest.mark.parametrize("supervisor", ["", "its own"])
def test_a_guest_that_only_pings(core: Scheduler, says_begun: bool, supervisor: str) -> None:
    """It loses its task, whatever it or its supervisor says; it is told, and may go on."""
    member = guest(core, supervisor)
    task = limited(core)
    fetch(core, member, 1)
    if says_begun:
        core.on_started(member, task, 0.0)
    assert core.next_deadline() is not None
    assert run_to(core, DUE - 1) == []
    assert run_to(core, DUE, DUE) == [(member, task)]
    assert (core.tasks[task].kind, core.tasks[task].payload) == (FAILURE, b"3")
    refused, _ = core.on_reported(member, [Outcome(task, 1, RESULT, [b"late"])], DUE)
    assert refused == [task]
    assert member in core.members
    assert not core.members[member].leases


def test_who_has_a_supervisor_of_ours(core: Scheduler) -> None:
    """That knows better, and ends it in time."""
    core.on_attended("s", [], 0.0)
    member = core.on_joined("w", None, 60.0, 0.0, "s")
    task = limited(core)
    fetch(core, member, 1)
    core.on_started(member, task, 0.0)
    assert run_to(core, 3 * DUE) == []
    assert core.tasks[task].state is State.STARTED


def test_who_has_none(core: Scheduler) -> None:
    """As a guest."""
    member = core.on_joined("w", None, 60.0, 0.0)
    task = limited(core)
    fetch(core, member, 1)
    assert run_to(core, DUE) == [(member, task)]


def test_the_clock_counts_from_the_begin(core: Scheduler) -> None:
    """Where that is known."""
    member = guest(core)
    task = limited(core)
    fetch(core, member, 1)
    core.on_started(member, task, 4.0)
    assert run_to(core, DUE + 3) == []
    assert run_to(core, DUE + 4, DUE + 4) == [(member, task)]


def test_a_result_in_time(core: Scheduler) -> None:
    """Nothing is watched any more that is in nobody's hands."""
    member = guest(core)
    task = limited(core)
    fetch(core, member, 1)
    core.on_reported(member, [Outcome(task, 1, RESULT, [b"done"])], 1.0)
    assert run_to(core, DUE) == []
    assert not core.dispatch.overdue


@pytest.mark.parametrize(
    ("options", "again"),
    [
        ({}, False),
        ({"retries": 1}, True),
        ({"retries": 1, "retry_on": dumps((OSError, ValueError))}, False),
        ({"retries": 1, "retry_on": dumps((OSError, TaskTimeout))}, True),
        ({"retries": 1, "retry_on": dumps((TimeoutError,))}, True),
        ({"retries": 1, "retry_on": dumps((Exception,))}, True),
    ],
)
def test_further_attempts(core: Scheduler, options: dict[str, object], again: bool) -> None:
    """As after any time limit; each has the whole time, and the last one counts."""
    member = guest(core)
    task = limited(core, **options)
    fetch(core, member, 1)
    run_to(core, DUE)
    assert (core.tasks[task].state is State.WAITING) is again
    if again:
        assert fetch(core, member, 1) == [task]
        core.dispatch.overdue.watch(core.tasks[task], DUE, begun=False)
        run_to(core, 3 * DUE, DUE)
    assert core.tasks[task].kind == FAILURE


def test_what_waits_behind_another_task(core: Scheduler) -> None:
    """It has not been executed: another worker gets it, and it has not failed."""
    member = guest(core)
    request(core, "a")
    task = limited(core)
    fetch(core, member, 2)
    assert run_to(core, DUE) == [(member, task)]
    assert core.tasks[task].state is State.WAITING
    assert core.tally.failures == 0
    assert core.tally.retried == 0


def test_a_task_that_waits_for_another(core: Scheduler) -> None:
    """Its time is up when that one is done, at the latest."""
    member = guest(core)
    outer = limited(core)
    fetch(core, member, 1)
    core.on_started(member, outer, 0.0)
    (inner,) = request(core, "b")
    fetch(core, member, 1)
    assert run_to(core, 3 * DUE) == []
    core.on_reported(member, [Outcome(inner, 1, RESULT, [b"done"])], 3 * DUE)
    assert run_to(core, 4 * DUE, 3 * DUE) == [(member, outer)]


def test_a_manager_that_stood_still(core: Scheduler) -> None:
    """What was said meanwhile has not been read: that time does not count."""
    member = guest(core)
    task = limited(core)
    fetch(core, member, 1)
    run_to(core, 2.0)
    assert core.on_tick(100.0).orders == []
    assert run_to(core, 100.0 + DUE - 2 + 2 * HEARTBEAT, 100.0) == [(member, task)]


def test_many_short_tasks_with_long_limits(core: Scheduler) -> None:
    """Those that are done are forgotten long before their time."""
    member = guest(core)
    for number in range(3 * FEW):
        task = limited(core, timeout=1e6)
        fetch(core, member, 1)
        core.on_reported(member, [Outcome(task, 1, RESULT, [b""])], 0.0)
        if number % 100 == 0:
            core.on_heard(member, number / 1000)
            core.on_tick(number / 1000)
    assert len(core.dispatch.overdue._watched) <= FEW + 100


def test_nobody_is_watched() -> None:
    assert Overdue({}).next_deadline() is None
    assert Overdue({}).look(1.0, lambda _: None) == ([], [])
