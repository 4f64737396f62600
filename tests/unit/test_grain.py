"""How many tasks are handed out at a time, and what a worker says of how long they took."""

from __future__ import annotations

from typing import Any

import pytest

from masterworker.conversation.worker.lookout import LOOK, OFTENEST, look_after
from masterworker.core import audit
from masterworker.core.departure import Left, Vanished
from masterworker.core.grain import BACK, KEPT, KEPT_TAGS, LEAST, Grain, Spent
from masterworker.core.hand import MAX_WANT, Pace
from masterworker.core.options import Options
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import RESULT, Outcome, ids_of, size_of
from masterworker.core.underway import LOOKED_AT, UnderWay

WORK = 0.1


def took(*seconds: float) -> Spent:
    """Tasks that were timed one by one."""
    return Spent(1, len(seconds), sum(seconds), sum(s * s for s in seconds))


def knowing(*seconds: float, rounds: int = 1) -> Grain:
    grain = Grain()
    for _ in range(rounds):
        for each in seconds:
            grain.observe("a", took(each))
    return grain


def test_of_what_is_unknown_one() -> None:
    """It may take long."""
    grain = knowing(0.001)
    assert (grain.most("b", WORK, 0.0), grain.least("b")) == (1, 1)


def test_tiny_tasks_by_the_hundred_after_the_first() -> None:
    """As many as are worth a call; then as many as were asked for."""
    grain = knowing(1e-5)
    assert grain.most("a", WORK, 0.0) == grain.least("a") == round(LEAST / 1e-5)
    for _ in range(8):
        grain.observe("a", Spent(1, 100_000, 1.0, 1e-5))
    assert grain.most("a", WORK, 0.0) == pytest.approx(WORK / 1e-5, abs=1)


def test_even_tasks_by_the_dozen_when_enough_have_been_seen() -> None:
    """Those that were short so far may have a long one behind them."""
    assert knowing(0.01, rounds=8).most("a", WORK, 0.0) == 1
    assert knowing(0.01, rounds=16).most("a", WORK, 0.0) == 2
    assert knowing(0.01, rounds=64).most("a", WORK, 0.0) == 8
    grain = knowing(0.01, rounds=16)
    grain.observe("a", Spent(1, 1000, 10.0, 0.1))
    assert grain.most("a", WORK, 0.0) == 10


def test_uneven_tasks_one_by_one() -> None:
    """Of nine short ones and a long one, none is to wait behind the long one."""
    assert knowing(*[0.002] * 9, 0.2, rounds=20).most("a", WORK, 0.0) == 1
    assert knowing(0.15, rounds=20).most("a", WORK, 0.0) == 1


def test_some_tiny_tasks_are_worth_a_call_however_they_differ() -> None:
    """The first call has taken ten times as long; a millisecond of work is little all the same."""
    grain = knowing(1e-4, *[1e-5] * 9)
    assert 160 < grain.most("a", WORK, 0.0) == grain.least("a") <= 200


def test_a_first_call_that_was_slow_is_forgotten() -> None:
    """It has imported something; then tasks turned out to be tiny."""
    grain = knowing(1.0)
    number = 0
    while grain.most("a", WORK, 0.0) < 90:
        grain.observe(
            "a", Spent(1, tasks := grain.most("a", WORK, 0.0), 1e-5 * tasks, 1e-10 * tasks)
        )
        number += 1
        assert number < 24


def test_as_many_tags_as_there_is_room_for() -> None:
    """The one that was first is forgotten."""
    grain = knowing(1e-5)
    for n in range(KEPT_TAGS):
        grain.observe(f"tag {n}", took(1e-5))
    assert grain.each("a") is None
    assert grain.each("tag 0") == 1e-5


@pytest.mark.parametrize(
    "nonsense",
    [
        Spent(1, 0, 1.0, 1.0),
        Spent(1, -1, 1.0, 1.0),
        Spent(1, 10**12, 1.0, 1.0),
        Spent(1, 1, -1.0, 1.0),
        Spent(1, 1, float("nan"), 1.0),
        Spent(1, 1, 1.0, float("inf")),
    ],
)
def test_what_cannot_be_is_ignored(nonsense: Spent) -> None:
    """It comes from outside."""
    grain = Grain()
    grain.observe("a", nonsense)
    assert grain.each("a") is None


# -- the scheduler ------------------------------------------------------------------------------


def crew(core: Scheduler, number: int) -> list[int]:
    return [core.on_joined(f"worker {n}", None, None, 0.0) for n in range(number)]


def execute(core: Scheduler, worker: int, each: float, tag: str | None = None) -> int:
    """Ask for work, and execute it. Returns how many tasks it was."""
    leases, claim = core.on_fetch(worker, MAX_WANT, 0.0, tag, WORK)
    if claim is not None:
        core.on_unparked(claim)
    for lease in leases:
        n = len(ids_of(lease))
        core.on_spent(worker, [Spent(lease.task_id + n - 1, n, n * each, n * each * each)], 0.0)
        results = [b""] * n
        core.on_reported(worker, [Outcome(lease.task_id, lease.attempt, RESULT, results)], 0.0)
    return size_of(leases)


def test_what_one_worker_has_learned_the_others_know() -> None:
    """Also those that have executed nothing but long tasks of another tag."""
    core = Scheduler()
    first, second = crew(core, 2)
    core.on_requested("long", [b""] * 20, direct=True)
    assert [execute(core, second, 1.0) for _ in range(20)] == [1] * 20
    core.on_requested("tiny", [b""] * 2000, direct=True)
    assert execute(core, first, 1e-5) == 1
    assert execute(core, second, 1e-5) == round(LEAST / 1e-5)


def test_at_the_end_no_fewer_than_are_worth_a_call() -> None:
    """With many workers, a share is less than that."""
    core = Scheduler()
    first, *_ = crew(core, 100)
    core.on_requested("tiny", [b""] * 301, direct=True)
    assert [execute(core, first, 1e-5) for _ in range(4)] == [1, 200, 100, 0]


def test_at_the_end_long_tasks_are_shared() -> None:
    """Half of an equal share, as without any knowledge."""
    core = Scheduler()
    first, second = crew(core, 2)
    core.on_requested("a", [b""] * 1000, direct=True)
    portions = []
    while number := execute(core, (first, second)[len(portions) % 2], 0.01):
        portions.append(number)
    assert max(portions) == 10
    assert portions[-4:] == [1, 1, 1, 1]


def test_work_of_several_tags_adds_up() -> None:
    """A lease is about so much work, whatever it consists of; the unknown goes alone."""
    core = Scheduler()
    (worker,) = crew(core, 1)
    for tag in "ab":
        core.on_requested(tag, [b""] * 900, direct=True)
        while execute(core, worker, 0.0099, tag):
            pass
    for tag in "abababababababababababababac":
        core.on_requested(tag, [b""], direct=True)
    assert execute(core, worker, 0.0099) == 10
    for _ in range(30):
        execute(core, worker, 0.0099)
    core.on_requested("a", [b""], direct=True)
    core.on_requested("new", [b""], direct=True)
    assert execute(core, worker, 0.0099) == 1
    assert execute(core, worker, 0.0099) == 1


def test_each_priority_is_known_by_itself() -> None:
    """Who has the longest first says so by priorities: the short ones go by the dozen."""
    core = Scheduler()
    (worker,) = crew(core, 1)
    core.on_requested("a", [b""] * 20, direct=True, options=Options(priority=1))
    core.on_requested("a", [b""] * 2000, direct=True)
    assert [execute(core, worker, 1.0) for _ in range(20)] == [1] * 20
    assert [execute(core, worker, 1e-5) for _ in range(2)] == [1, 200]


def test_nobody_speaks_of_what_he_has_not_in_hand() -> None:
    """A report about somebody else's task, or a settled one, changes nothing."""
    core = Scheduler()
    first, second = crew(core, 2)
    core.on_requested("a", [b""] * 2, direct=True)
    (lease,), _ = core.on_fetch(first, 1, 0.0)
    core.on_spent(second, [Spent(lease.task_id, 1, 1e-5, 1e-10)], 0.0)
    core.on_spent(first, [Spent(99, 1, 1e-5, 1e-10)], 0.0)
    assert core.dispatch.grain.each("a") is None
    core.on_spent(first, [Spent(lease.task_id, 1, 1e-5, 1e-10)], 0.0)
    assert core.dispatch.grain.each("a") == 1e-5


# -- keeping tiny tasks for somebody who will be back at once -----------------------------------


@pytest.fixture
def keeping() -> Scheduler:
    """Worker 0 has a tiny task in hand since a moment, worker 1 waits."""
    core = Scheduler()
    busy, idle = crew(core, 2)
    core.on_requested("tiny", [b""] * 4, direct=True)
    execute(core, busy, 1e-5)
    while execute(core, busy, 1e-5):
        pass
    core.on_requested("tiny", [b""], 1.0, direct=True)
    assert size_of(core.on_fetch(busy, MAX_WANT, 1.0, None, WORK)[0]) == 1
    assert core.on_fetch(idle, MAX_WANT, 1.0, None, WORK)[1] is not None
    return core


def woken(core: Scheduler, tag: str, number: int, now: float, **how: Any) -> int:
    _, effects = core.on_requested(tag, [b""] * number, now, **{"direct": True, **how})
    return sum(size_of(leases) for _, leases in effects.leases)


def test_nobody_is_woken_for_a_few_tiny_tasks(keeping: Scheduler) -> None:
    """Whoever is at some comes for more at once, and gets them."""
    assert woken(keeping, "tiny", 3, 1.001) == 0
    assert keeping.dispatch.reservation.tag == "tiny"
    audit.check(keeping)
    assert size_of(keeping.on_fetch(0, MAX_WANT, 1.0011, None, WORK)[0]) == 3


def test_what_is_kept_in_vain_goes_to_others_soon(keeping: Scheduler) -> None:
    """The clock is told, and does it."""
    woken(keeping, "tiny", 3, 1.001)
    assert keeping.alarmed
    assert keeping.next_deadline() == pytest.approx(1.001 + KEPT)
    assert keeping.on_tick(1.002).leases == []
    assert len(keeping.on_tick(1.001 + KEPT).leases) == 1
    assert keeping.dispatch.reservation.until is keeping.dispatch.reservation.tag is None
    audit.check(keeping)


@pytest.mark.parametrize(
    ("tag", "number", "now", "how"),
    [
        ("tiny", 500, 1.001, {}),  # much work, all in all
        ("new", 1, 1.001, {}),  # nothing is known of it
        ("tiny", 1, 1.0 + 2 * BACK, {}),  # he has not come back
        ("tiny", 1, 1.001, {"options": Options(timeout=1.0)}),
        ("tiny", 1, 1.001, {"direct": False}),
    ],
)
def test_everything_else_is_handed_out_at_once(
    keeping: Scheduler, tag: str, number: int, now: float, how: dict[str, Any]
) -> None:
    """Nothing that may take long, or that nobody will be there for, has to wait."""
    assert woken(keeping, tag, number, now, **how) > 0
    assert keeping.dispatch.reservation.until is None


def test_nothing_is_kept_when_everybody_waits(keeping: Scheduler) -> None:
    """He has come back, and found nothing."""
    assert keeping.on_fetch(0, MAX_WANT, 1.0005, None, WORK)[1] is not None
    assert woken(keeping, "tiny", 1, 1.0006) == 1


# -- the worker's half --------------------------------------------------------------------------


def test_a_worker_reports_by_tag_and_once() -> None:
    """All that was executed since the last report."""
    pace = Pace()
    pace.observe("a", 4, 2, 0.2)
    pace.observe("b", 5, 1, 0.5)
    pace.observe("a", 6, 1, 0.3)
    a, b = pace.report()
    assert a == Spent(6, 3, pytest.approx(0.5), pytest.approx(0.02 + 0.09))
    assert b == Spent(5, 1, 0.5, 0.25)
    assert pace.report() == ()


def test_what_is_usual_is_known_by_tag() -> None:
    """One long task among short ones hardly changes it, and short ones after it do at once."""
    pace = Pace()
    for _ in range(20):
        pace.observe("a", 1, 1, 0.002)
    pace.observe("a", 1, 1, 0.05)
    pace.observe("long", 1, 1, 5.0)
    pace.begin("a", 0.0)
    assert 0.002 < pace.task_seconds < 0.008
    pace.begin("long", 0.0)
    assert pace.task_seconds == 5.0
    pace.begin("new", 0.0)
    assert pace.task_seconds == 0.0


def test_where_the_way_is_long_more_is_asked_for() -> None:
    """With a bound."""
    pace = Pace()
    near = pace.seconds
    for _ in range(50):
        pace.observe_round_trip(0.04)
    assert near < pace.seconds == pytest.approx(0.16)
    for _ in range(50):
        pace.observe_round_trip(4.0)
    assert pace.seconds == 0.25


def test_the_courier_looks_sooner_where_tasks_are_short() -> None:
    """But not at every turn where they are tiny, and never less often than ever."""
    assert look_after(0.0) == look_after(1e-5) == look_after(10.0) == LOOK
    assert look_after(0.001) == OFTENEST
    assert OFTENEST < look_after(0.005) < LOOK


# -- what is under way --------------------------------------------------------------------------


def begun(core: Scheduler, worker: int, now: float) -> int:
    """Ask for work, and begin with it. Returns how many tasks it is."""
    leases, claim = core.on_fetch(worker, MAX_WANT, now, None, WORK)
    if claim is not None:
        core.on_unparked(claim)
    audit.check(core)
    return size_of(leases)


#: So many of those that were seen to be short are handed out at once.
MANY = 5


@pytest.fixture
def waited() -> Scheduler:
    """Since second 0 worker 0 is at a task; worker 1 has done 200 others of 2 ms."""
    core = Scheduler()
    slow, quick, *_ = crew(core, 4)
    core.on_requested("a", [b""] * 2000, direct=True)
    assert begun(core, slow, 0.0) == 1
    for _ in range(200):
        (lease,), _ = core.on_fetch(quick, 1, 0.0)
        core.on_spent(quick, [Spent(lease.task_id, 1, 0.002, 4e-6)], 0.0)
        core.on_reported(quick, [Outcome(lease.task_id, lease.attempt, RESULT, [b""])], 0.0)
    return core


def test_a_task_that_goes_on_for_long_counts_before_it_ends(waited: Scheduler) -> None:
    """Others of its kind go out one at a time, until it turns out to be alone."""
    assert begun(waited, 1, 0.002) == MANY
    assert begun(waited, 2, 0.5) == 1
    waited.on_departed(0, Left(), 0.5)
    waited.on_departed(1, Left(), 0.5)
    assert begun(waited, 3, 0.501) == MANY


def test_who_has_several_tasks_in_hand_is_given_the_time_for_them(waited: Scheduler) -> None:
    """And what he has reported of them, or given back, is not reckoned twice."""
    assert begun(waited, 1, 0.0) == MANY
    waited.on_departed(0, Left(), 0.0)
    in_time, late = 0.002 * MANY, 0.002 * MANY + 0.1

    def overdue(now: float) -> list[float]:
        return list(waited.dispatch.grain.under_way.overdue("a", 0.002, now))

    assert overdue(in_time) == []
    assert overdue(late) == pytest.approx([0.102])
    (block,) = waited.members[1].leases.values()
    waited.on_spent(1, [Spent(block.id, 2, 0.05, 0.00125)], 0.0)
    assert overdue(late) == pytest.approx([0.056])
    waited.on_returned(1, block.ids()[3:], late)
    assert overdue(late) == pytest.approx([late - 0.05])


def test_who_has_nothing_in_hand_is_at_nothing(waited: Scheduler) -> None:
    """Neither after his last task nor when he is lost."""
    assert set(waited.dispatch.grain.under_way.workers) == {0, 1}
    for worker in (2, 3):
        waited.on_fetch(worker, 1, 0.0)
    waited.on_departed(2, Vanished("killed"), 0.0)
    for worker in (0, 3):
        waited.on_departed(worker, Left(), 0.0)
    while leases := waited.on_fetch(1, 1000, 0.0)[0]:
        for lease in leases:
            results = [b""] * len(ids_of(lease))
            done = Outcome(lease.task_id, lease.attempt, RESULT, results)
            waited.on_reported(1, [done], 0.0)
    assert not waited.dispatch.grain.under_way.workers


def test_of_many_portions_those_that_are_oldest_are_looked_at() -> None:
    """So what it costs to hand out work does not depend on how many workers there are."""
    under_way = UnderWay()
    for worker in range(1000):
        under_way.handed_out(worker, "a", 1, worker * 0.001)
    ages = list(under_way.overdue("a", 0.001, 1.0))
    assert ages == pytest.approx([1.0 - n * 0.001 for n in range(LOOKED_AT)])
