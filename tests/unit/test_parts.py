"""The parts of a scheduler that have no state of their own, each by what it does to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from masterworker.core.departure import Blameless, Left, Unexplained
from masterworker.core.options import Options
from masterworker.core.overdue import GRACE, HEARTBEAT
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import CANCELLED, FAILURE, State, Task
from unit.acting import fetch, request, worker

if TYPE_CHECKING:
    from masterworker.core.departures import Departures
    from masterworker.core.requests import Requests


@pytest.fixture
def requests(core: Scheduler) -> Requests:
    return core.requests


@pytest.fixture
def departures(core: Scheduler) -> Departures:
    return core.departures


# -- requests -----------------------------------------------------------------------------------


def add(requests: Requests, number: int, options: Options | None = None) -> int:
    payloads = [b"%d" % i for i in range(number)]
    return requests.add("a", payloads, 0.0, direct=True, options=options, first=None)


def test_nothing_is_no_task(core: Scheduler, requests: Requests) -> None:
    assert add(requests, 0) == 1
    assert (core.table.next_id, core.tally.submitted) == (1, 0)


def test_many_alike_are_a_block_and_others_are_on_their_own(
    core: Scheduler, requests: Requests
) -> None:
    assert [add(requests, 3), add(requests, 1), add(requests, 2, Options(priority=1))] == [1, 4, 5]
    assert list(core.tasks) == [4, 5, 6]
    assert [block.ids() for block in core.table.blocks] == [[1, 2, 3]]
    assert core.waiting.count == 6


def test_a_task_for_which_a_claim_waits_is_not_queued(core: Scheduler, requests: Requests) -> None:
    member = worker(core)
    _, claim = core.on_fetch(member, 1, 0.0)
    assert add(requests, 1) == 1
    assert [(number, leases[0].task_id) for number, leases in core.out.take().leases] == [
        (claim, 1)
    ]
    assert core.waiting.count == 0


def test_what_is_settled_is_not_cancelled(core: Scheduler, requests: Requests) -> None:
    first, second = request(core, "aa")
    assert requests.cancel([first, 99], 0.0) == [first]
    assert requests.cancel([first, second], 0.0) == [second]
    core.settlement.flush()
    assert [done.kind for done in core.on_collect(worker(core), 9)[0]] == [CANCELLED] * 2


def test_an_outcome_that_is_withdrawn_is_collected_by_no_process(
    core: Scheduler, requests: Requests
) -> None:
    waits, settled = request(core, "aa")
    core.on_cancelled([settled], 0.0)
    requests.withdraw([waits, settled], 0.0)
    assert (core.results.count, core.open_tags, core.tasks) == (0, {}, {})


# -- departures ---------------------------------------------------------------------------------


def test_a_departure_gives_everything_back_in_its_order(
    core: Scheduler, departures: Departures
) -> None:
    member, ids = worker(core), request(core, "abc")
    assert fetch(core, member, 2) == ids[:2]
    departures.depart(member, Left(), 0.0)
    assert (core.members, core.tally.returned) == ({}, 2)
    assert fetch(core, worker(core), 3) == ids


def test_a_departure_of_a_process_that_is_not_here_is_no_error(departures: Departures) -> None:
    departures.depart(99, Blameless("silent"), 0.0)
    assert not departures.close(99, "closed", 0.0)


def test_a_task_with_a_strike_in_doubt_pauses_until_it_is_certain(departures: Departures) -> None:
    core = Scheduler(max_losses=1)
    departures = core.departures
    member, (task_id,) = worker(core), request(core, "a")
    fetch(core, member, 1)
    departures.depart(member, Unexplained("closed"), 0.0)
    assert core.tasks[task_id].state is State.PAUSED
    departures.came_back(member, 1.0)
    departures.end_pauses(1.0)
    assert core.tasks[task_id].state is State.WAITING


# -- time limits --------------------------------------------------------------------------------


@pytest.mark.parametrize(("retries", "state"), [(0, None), (1, State.WAITING)])
def test_a_task_that_is_overdue_fails_or_is_tried_again(retries: int, state: State | None) -> None:
    core = Scheduler(timed_out=lambda seconds: b"over after %d" % seconds)
    member = worker(core)
    options = Options(timeout=3.0, retries=retries)
    task_id, _ = core.on_requested("a", [b""], direct=True, options=options)
    fetch(core, member, 1)
    core.on_started(member, task_id, 0.0)
    late = 3.0 + GRACE + HEARTBEAT
    for now in range(1, int(late)):
        core.time_limits.enforce(float(now))
    assert core.out.effects.orders == []
    core.time_limits.enforce(late)
    effects = core.out.take()
    assert effects.orders == [(member, task_id)]
    task = core.find(task_id)
    assert (task and task.state) is state
    assert task is None or isinstance(task, Task)
    done = [(one.task_id, one.kind, one.payload) for one in effects.direct]  # type: ignore[union-attr]
    assert done == ([] if retries else [(task_id, FAILURE, b"over after 3")])
