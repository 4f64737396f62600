"""What the one who asks may say of a task: priorities, further attempts, cancelling, copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import astuple

from masterworker.core import audit
from masterworker.core.departure import Blameless, Left
from masterworker.core.options import Options
from masterworker.core.task import AGAIN, CANCELLED, FAILURE, RESULT, Outcome, State
from unit.acting import collected, fetch, report, request, worker

if TYPE_CHECKING:
    from masterworker.core.scheduler import Scheduler


def ask(core: Scheduler, options: Options, tag: str = "a", number: int = 1) -> int:
    return core.on_requested(tag, [b"p"] * number, 0.0, direct=True, options=options)[0]


def fail(core: Scheduler, member: int, task: int, now: float = 0.0) -> list[int]:
    attempt = core.tasks[task].attempt
    return core.on_reported(member, [Outcome(task, attempt, AGAIN, [b"why"])], now)[0]


# -- priority -----------------------------------------------------------------------------------


def test_higher_priority_comes_first_and_equals_in_turn(core: Scheduler) -> None:
    """Across tags and requests; what is asked for without options has priority 0."""
    low = ask(core, Options(priority=-1))
    usual = request(core, "ab")
    high = ask(core, Options(priority=5), "b", 2)
    higher = ask(core, Options(priority=6))
    w = worker(core, "ab")
    assert fetch(core, w, 6) == [higher, high, high + 1, *usual, low]


def test_priorities_hold_for_one_tag_and_for_calls(core: Scheduler) -> None:
    """A worker of one tag, and one for all calls, take the most urgent as well."""
    first, urgent = ask(core, Options(), "@f"), ask(core, Options(priority=1), "@g")
    everything = core.on_joined("w", frozenset("@"), None, 0.0)
    assert fetch(core, everything, 2) == [urgent, first]
    request(core, "c")
    most = ask(core, Options(priority=2), "c")
    assert fetch(core, worker(core, "abc"), 1, "c") == [most]


def test_what_comes_back_stays_within_its_priority(core: Scheduler) -> None:
    """A lost task goes to the front of its like, not before more urgent ones."""
    w, other = worker(core, "a"), worker(core, "a")
    usual = request(core, "aa")
    fetch(core, w, 1)
    urgent = ask(core, Options(priority=1))
    core.on_departed(w, Left(), 0.0)
    assert fetch(core, other, 3) == [urgent, *usual]


# -- further attempts ---------------------------------------------------------------------------


def test_failure_is_tried_again_so_many_times(core: Scheduler) -> None:
    """Without a delay at once and first; the last failure is the outcome."""
    w = worker(core, "a")
    task = ask(core, Options(retries=2))
    request(core, "a")
    for _ in range(2):
        assert fetch(core, w, 1) == [task]
        assert fail(core, w, task) == []
        audit.check(core)
    assert fetch(core, w, 1) == [task]
    _, effects = core.on_reported(w, [Outcome(task, 3, AGAIN, [b"why"])], 0.0)
    assert [astuple(done)[2:] for done in effects.direct] == [(FAILURE, [b"why"], "w0", 3)]
    assert core.tally.retried == 2


def test_attempts_that_were_given_back_do_not_count(core: Scheduler) -> None:
    """Only those that have failed, and the last one; also where it waits to be collected."""
    w, c = worker(core, "a"), worker(core, "b")
    task, _ = core.on_requested("a", [b""], 0.0, options=Options(retries=5))
    for attempt in range(3):
        assert fetch(core, w, 1) == [task]
        core.on_returned(w, [task], 0.0)
        assert fetch(core, w, 1) == [task]
        kind = RESULT if attempt == 2 else AGAIN
        core.on_reported(w, [Outcome(task, 2 * attempt + 2, kind, [b""])], 0.0)
    [done] = core.on_collect(c, 1)[0]
    assert done.attempts == 3
    core.on_undelivered([done])
    assert core.on_collect(c, 1)[0] == [done]
    audit.check(core)


def test_failure_of_another_kind_is_final(core: Scheduler) -> None:
    """Only what the worker says may be tried again is."""
    w = worker(core, "a")
    task = ask(core, Options(retries=2))
    fetch(core, w, 1)
    _, effects = report(core, w, task, kind=FAILURE)
    assert [done.kind for done in effects.direct] == [FAILURE]


def test_failure_that_may_be_tried_again_of_a_task_without_options_is_final(
    core: Scheduler,
) -> None:
    """What a worker says does not give a task attempts that nobody has asked for."""
    w = worker(core, "a")
    (task,) = request(core, "a", direct=True)
    fetch(core, w, 1)
    _, effects = report(core, w, task, kind=AGAIN)
    assert [done.kind for done in effects.direct] == [FAILURE]


def test_delay_doubles_and_is_waited_for(core: Scheduler) -> None:
    """Meanwhile the task is in no queue, and counts as one that waits."""
    w = worker(core, "a")
    task = ask(core, Options(retries=3, delay=2.0))
    now = 10.0
    for pause in (2.0, 4.0):
        fetch(core, w, 1)
        fail(core, w, task, now)
        assert core.tasks[task].state is State.PAUSED
        assert (audit.census(core).waiting, audit.census(core).paused) == ({"a": 1}, 1)
        audit.check(core)
        assert core.next_deadline() == now + pause
        core.on_tick(now + pause - 0.01)
        assert core.tasks[task].state is State.PAUSED
        core.on_tick(now + pause)
        now += 100.0


def test_waiting_claim_gets_what_has_paused(core: Scheduler) -> None:
    """Whoever waits for work is given it when the pause is over."""
    w = worker(core, "a")
    task = ask(core, Options(retries=1, delay=1.0))
    fetch(core, w, 1)
    fail(core, w, task)
    _, claim = core.on_fetch(w, 1, 0.0)
    effects = core.on_tick(1.0)
    assert [(c, [lease.task_id for lease in leases]) for c, leases in effects.leases] == [
        (claim, [task])
    ]


def test_late_result_settles_a_task_that_pauses(core: Scheduler) -> None:
    """Its first worker was cut off, and had done it."""
    first, second = worker(core, "a"), worker(core, "a")
    task = ask(core, Options(retries=1, delay=1.0))
    fetch(core, first, 1)
    core.on_departed(first, Blameless("silent"), 0.0)
    fetch(core, second, 1)
    fail(core, second, task)
    _, effects = core.on_reported(first, [Outcome(task, 1, RESULT, [b"late"])], 0.0)
    assert [done.payload for done in effects.direct] == [b"late"]
    core.on_tick(5.0)
    audit.check(core)
    assert core.on_fetch(second, 1, 5.0)[0] == []


# -- cancelling ---------------------------------------------------------------------------------


def test_cancelled_task_that_waits_is_never_handed_out(core: Scheduler) -> None:
    """Its outcome says so; the others go on."""
    task, other = request(core, "aa", direct=True)
    cancelled, effects = core.on_cancelled([task, 99], 0.0)
    assert cancelled == [task]
    assert [(done.task_id, done.kind) for done in effects.direct] == [(task, CANCELLED)]
    assert effects.orders == []
    audit.check(core)
    assert fetch(core, worker(core), 1) == [other]


def test_cancelled_task_in_hand_is_taken_away(core: Scheduler) -> None:
    """Its worker is told to stop; what it delivers later is refused, whatever it is."""
    w = worker(core)
    (task,) = request(core, "a", direct=True)
    fetch(core, w, 1)
    core.on_started(w, task, 0.0)
    _, effects = core.on_cancelled([task], 0.0)
    assert effects.orders == [(w, task)]
    assert core.members[w].leases == {}
    assert report(core, w, task)[0] == [task]
    audit.check(core)


def test_cancelling_twice_or_too_late_does_nothing(core: Scheduler) -> None:
    """The first outcome wins, also over a wish to cancel."""
    w = worker(core)
    (task,) = request(core, "a")
    fetch(core, w, 1)
    report(core, w, task)
    assert core.on_cancelled([task, task], 0.0)[0] == []
    assert collected(core, w) == [task]


def test_cancelled_task_that_pauses_does_not_come_back(core: Scheduler) -> None:
    """The end of its pause finds nothing."""
    w = worker(core)
    task = ask(core, Options(retries=1, delay=1.0))
    fetch(core, w, 1)
    fail(core, w, task)
    assert core.on_cancelled([task], 0.0)[0] == [task]
    core.on_tick(2.0)
    audit.check(core)
    assert core.on_fetch(w, 1, 2.0)[0] == []


# -- copies of outliers -------------------------------------------------------------------------


@pytest.fixture
def tail(core: Scheduler) -> tuple[int, int, int]:
    """A slow task in one worker's hands, nothing left, an idle worker. Returns the three ids."""
    slow, fast = worker(core, "a"), worker(core, "a")
    task = ask(core, Options(pure=True))
    fetch(core, slow, 1)
    for second in range(3):
        other = ask(core, Options(pure=True))
        core.on_fetch(fast, 1, float(second))
        core.on_reported(fast, [Outcome(other, 1, RESULT, [b""])], second + 1.0)
    return task, slow, fast


def test_idle_worker_gets_a_copy_of_an_outlier(core: Scheduler, tail: tuple[int, int, int]) -> None:
    """After more than twice the median; once, and not to the one who has it."""
    task, slow, fast = tail
    core.on_fetch(slow, 1, 3.0)
    _, claim = core.on_fetch(fast, 1, 3.0)
    assert core.alarmed
    effects = core.on_tick(3.0)
    [(served, [lease])] = effects.leases
    assert (served, lease.task_id, lease.attempt) == (claim, task, 2)
    audit.check(core)
    third = worker(core, "a")
    core.on_fetch(third, 1, 50.0)
    assert core.on_tick(50.0).leases == []


def test_no_copy_before_it_is_an_outlier(core: Scheduler, tail: tuple[int, int, int]) -> None:
    """Twice the usual time must have passed since it was handed out."""
    _, _, fast = tail
    core.on_fetch(fast, 1, 1.5)
    assert core.on_tick(1.5).leases == []


def test_no_copy_of_a_task_with_side_effects(core: Scheduler) -> None:
    """Nobody has said that it may be executed twice."""
    slow, fast = worker(core, "a"), worker(core, "a")
    for _ in range(4):
        ask(core, Options(priority=1))
    fetch(core, slow, 1)
    for task in fetch(core, fast, 3):
        report(core, fast, task)
    core.on_fetch(fast, 1, 50.0)
    assert core.on_tick(50.0).leases == []


@pytest.mark.parametrize("winner", ["copy", "original"])
def test_first_outcome_wins_and_the_other_worker_is_told_to_stop(
    core: Scheduler, tail: tuple[int, int, int], winner: str
) -> None:
    """Whichever of the two is faster."""
    task, slow, fast = tail
    core.on_fetch(fast, 1, 3.0)
    core.on_tick(3.0)
    by, attempt, other = (fast, 2, slow) if winner == "copy" else (slow, 1, fast)
    refused, effects = core.on_reported(by, [Outcome(task, attempt, RESULT, [b"first"])], 4.0)
    assert (refused, effects.orders) == ([], [(other, task)])
    assert [done.payload for done in effects.direct] == [b"first"]
    late = Outcome(task, 3 - attempt, RESULT, [b"second"])
    assert core.on_reported(other, [late], 5.0)[0] == [task]
    audit.check(core)


def test_loss_of_the_copy_puts_the_task_back(core: Scheduler, tail: tuple[int, int, int]) -> None:
    """Nothing is lost with it, and the original may still deliver."""
    task, slow, fast = tail
    core.on_fetch(fast, 1, 3.0)
    core.on_tick(3.0)
    core.on_departed(fast, Blameless("gone"), 4.0)
    audit.check(core)
    refused, effects = core.on_reported(slow, [Outcome(task, 1, RESULT, [b"r"])], 5.0)
    assert (refused, len(effects.direct)) == ([], 1)
