"""Outcomes of further tasks are kept for the task that has asked for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from masterworker.core import audit
from masterworker.core.further import KEPT
from masterworker.core.options import Options
from masterworker.core.task import AGAIN, FAILURE
from unit.acting import client, collected, fetch, report, request, worker

if TYPE_CHECKING:
    from masterworker.core.scheduler import Scheduler

#: The process that executes the parents.
PROCESS = "p"


@pytest.fixture
def me(core: Scheduler) -> int:
    return worker(core)


def further(core: Scheduler, parent: int, tags: str, process: str = PROCESS) -> list[int]:
    """A parent asks for one task for each letter."""
    ids = []
    for tag in tags:
        first = core.table.next_id
        core.on_further(parent, process, tag, range(first, first + 1))
        ids += request(core, tag)
    return ids


def kept(core: Scheduler, member: int, parent: int, tag: str | None = None) -> list[int]:
    """A parent collects."""
    return [done.task_id for done in core.on_collect(member, 9, tag, parent, PROCESS)[0]]


def test_two_parents_with_one_tag_get_their_own(core: Scheduler, me: int) -> None:
    one, other = request(core, "aa")
    fetch(core, me, 2)
    first, second = *further(core, one, "a"), *further(core, other, "a")
    report(core, me, *fetch(core, me, 2))
    assert (kept(core, me, other, "a"), kept(core, me, one)) == ([second], [first])
    audit.check(core)


def test_a_parent_is_woken_for_its_own_only(core: Scheduler, me: int) -> None:
    one, other = request(core, "aa")
    fetch(core, me, 2)
    first, second = *further(core, one, "a"), *further(core, other, "a")
    claims = [core.on_collect(me, 1, "a", i, PROCESS)[1] for i in (one, other)]
    fetch(core, me, 2)
    _, effects = report(core, me, second)
    assert [(c, done[0].task_id) for c, done in effects.results] == [(claims[1], second)]
    _, effects = report(core, me, first)
    assert [(c, done[0].task_id) for c, done in effects.results] == [(claims[0], first)]
    audit.check(core)


def test_others_get_what_is_left_when_the_parent_is_done(core: Scheduler, me: int) -> None:
    """In the order of their arrival, also where one waits for it."""
    master, (parent,) = client(core), request(core, "a")
    fetch(core, me, 1)
    ids = further(core, parent, "bb")
    report(core, me, *fetch(core, me, 2))
    assert collected(core, master) == collected(core, master, "b") == []
    for claim in [*core.results.claims.by_id]:
        core.on_unparked(claim)
    report(core, me, parent)
    audit.check(core)
    assert collected(core, master) == [*ids, parent]


@pytest.mark.parametrize("tag", [None, "b"])
def test_a_caller_that_waits_gets_what_is_left(core: Scheduler, me: int, tag: str | None) -> None:
    parent = request(core, "a", direct=True)[0]
    fetch(core, me, 1)
    (child,) = further(core, parent, "b")
    report(core, me, *fetch(core, me, 1))
    _, claim = core.on_collect(client(core), 1, tag)
    _, effects = report(core, me, parent)
    assert [(c, done[0].task_id) for c, done in effects.results] == [(claim, child)]
    audit.check(core)


def test_a_parent_in_a_block_is_one_as_well(core: Scheduler, me: int) -> None:
    core.on_requested("@f", [b"1", b"2", b"3"], direct=True)
    calls = worker(core, tags="@")
    core.on_fetch(calls, 9, 0.0, seconds=0.0)
    (child,) = further(core, 2, "b")
    report(core, me, *fetch(core, me, 1))
    assert kept(core, calls, 3, "b") == []
    assert kept(core, calls, 2, "b") == [child]
    report(core, calls, 1, 2, 3)
    audit.check(core)


def test_a_parent_without_any_left_takes_from_the_pool(core: Scheduler, me: int) -> None:
    """A task may add up what others have asked for."""
    (parent,) = request(core, "a")
    fetch(core, me, 1)
    (child,) = further(core, parent, "b")
    other = request(core, "b")[0]
    report(core, me, *fetch(core, me, 2))
    assert kept(core, me, parent, "b") == [child]
    assert kept(core, me, parent, "b") == [other]


def test_what_did_not_arrive_is_kept_again(core: Scheduler, me: int) -> None:
    (parent,) = request(core, "a")
    fetch(core, me, 1)
    (child,) = further(core, parent, "b")
    report(core, me, *fetch(core, me, 1))
    done, _ = core.on_collect(me, 1, "b", parent, PROCESS)
    core.on_undelivered(done)
    assert collected(core, client(core), "b") == []
    audit.check(core)
    for claim in [*core.results.claims.by_id]:
        core.on_unparked(claim)
    assert kept(core, me, parent, "b") == [child]


def test_a_second_attempt_has_nothing_of_the_first(core: Scheduler, me: int) -> None:
    options = Options(retries=1)
    parent, _ = core.on_requested("a", [b""], options=options)
    fetch(core, me, 1)
    (child,) = further(core, parent, "b")
    report(core, me, *fetch(core, me, 1))
    report(core, me, parent, kind=AGAIN)
    assert fetch(core, me, 1) == [parent]
    (again,) = further(core, parent, "b")
    assert collected(core, client(core), "b") == [child]
    report(core, me, *fetch(core, me, 1))
    assert kept(core, me, parent, "b") == [again]
    report(core, me, parent, kind=FAILURE)
    audit.check(core)


def test_two_processes_that_execute_one_task_are_two_parents(core: Scheduler, me: int) -> None:
    (parent,) = request(core, "a")
    fetch(core, me, 1)
    (mine,), _ = further(core, parent, "b"), further(core, parent, "b", "another")
    report(core, me, *fetch(core, me, 2))
    assert kept(core, me, parent, "b") == [mine]


def test_a_task_that_collects_nothing_keeps_nothing_for_long(core: Scheduler, me: int) -> None:
    """Else a handler without an end could not ask for tasks whose outcomes the master collects."""
    master, (parent,) = client(core), request(core, "a")
    fetch(core, me, 1)
    (child,) = further(core, parent, "b")
    _, claim = core.on_collect(master, 1)
    report(core, me, *fetch(core, me, 1))
    assert core.alarmed
    assert core.next_deadline() == 0.0
    assert not core.on_tick(5.0).results
    assert core.next_deadline() == 5.0 + KEPT
    effects = core.on_tick(5.0 + KEPT)
    assert [(c, done[0].task_id) for c, done in effects.results] == [(claim, child)]
    later = further(core, parent, "b")
    report(core, me, *fetch(core, me, 1))
    assert collected(core, master, "b") == later
    audit.check(core)


def test_a_task_that_collects_keeps_it_to_its_end(core: Scheduler, me: int) -> None:
    (parent,) = request(core, "a")
    fetch(core, me, 1)
    children = further(core, parent, "bb")
    assert kept(core, me, parent, "b") == []
    core.on_unparked(next(iter(core.results.claims.by_id)))
    report(core, me, *fetch(core, me, 2))
    assert core.next_deadline() is None
    core.on_tick(5.0 + 2 * KEPT)
    assert kept(core, me, parent, "b") == children


def test_a_task_that_is_done_keeps_nothing(core: Scheduler, me: int) -> None:
    """A thread that it has left behind asks for more."""
    (parent,) = request(core, "a")
    report(core, me, *fetch(core, me, 1))
    (child,) = further(core, parent, "b")
    report(core, me, *fetch(core, me, 1))
    assert collected(core, client(core), "b") == [child]
    assert not core.further


def test_cancelled_further_tasks_are_outcomes_as_well(core: Scheduler, me: int) -> None:
    (parent,) = request(core, "a")
    fetch(core, me, 1)
    children = further(core, parent, "bb")
    core.on_cancelled(children, 0.0)
    core.on_withdrawn(children[:1], 0.0)
    audit.check(core)
    assert kept(core, me, parent, "b") == children[1:]
    core.on_cancelled([parent], 0.0)
    audit.check(core)
