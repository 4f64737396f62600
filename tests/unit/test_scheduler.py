"""The decisions of the scheduler, one by one."""

from __future__ import annotations

import pytest

from masterworker.core import audit
from masterworker.core.departure import Blameless, Left, Vanished
from masterworker.core.effects import Effects
from masterworker.core.reports import CURRENT
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import FAILURE, RESULT, Finished, Lease, Outcome, State
from unit.acting import NOTHING, client, collected, fetch, report, request, worker

# -- hand-out -----------------------------------------------------------------------------------


def test_ids_count_up_and_are_never_used_again(core: Scheduler) -> None:
    """Tasks count from 1, processes from 0, also after others have gone."""
    assert core.on_requested("a", [b"", b""])[0] == 1
    assert core.on_requested("b", [b""])[0] == 3
    assert worker(core) == 0
    core.on_departed(0, Left(), 0.0)
    assert worker(core) == 1


def test_tasks_are_handed_out_in_the_order_of_requests(core: Scheduler) -> None:
    """First in, first out, over all tags that the worker can execute."""
    w = worker(core, "ac")
    ids = request(core, "abcacb")
    assert fetch(core, w, 4) == [ids[0], ids[2], ids[3], ids[4]]
    assert core.on_fetch(w, 1, 0.0) == ([], 1)


def test_lease_carries_everything_that_the_worker_needs(core: Scheduler) -> None:
    """A lease has the task's id, the number of the hand-out, the tag, and the parameters."""
    w = worker(core)
    core.on_requested("a", [b"input"])
    assert core.on_fetch(w, 1, 0.0) == ([Lease(1, 1, "a", [b"input"])], None)


def test_worker_can_ask_for_one_tag(core: Scheduler) -> None:
    """Whoever asks for one tag gets the first of that tag."""
    w = worker(core)
    ids = request(core, "abb")
    assert fetch(core, w, 1, "b") == [ids[1]]
    assert fetch(core, w, 2) == [ids[0], ids[2]]


@pytest.mark.parametrize("want", [0, -1])
def test_senseless_wishes_get_nothing(core: Scheduler, want: int) -> None:
    """A wish for less than one task gets neither tasks nor a claim."""
    w = worker(core)
    request(core, "a")
    assert core.on_fetch(w, want, 0.0) == ([], None)
    assert core.on_collect(w, want) == ([], None)


def test_strangers_get_nothing(core: Scheduler) -> None:
    """Processes that are not registered, or execute nothing, get no task and no claim."""
    c = client(core)
    request(core, "a")
    assert core.on_fetch(c, 1, 0.0) == ([], None)
    assert core.on_fetch(99, 1, 0.0) == ([], None)
    assert core.on_collect(99, 1) == ([], None)
    assert not core.on_heard(99, 0.0)
    assert core.on_departed(99, Left(), 0.0) == core.on_departed(99, Vanished(""), 0.0) == NOTHING
    assert core.on_returned(99, [1], 0.0) == NOTHING
    core.on_started(99, 1, 0.0)
    assert core.tasks[1].state is State.WAITING


def test_claim_is_served_when_a_task_comes(core: Scheduler) -> None:
    """Who found nothing gets the next task, the one whose caches are warm first."""
    first, second = worker(core), worker(core)
    claims = [core.on_fetch(w, 1, 0.0)[1] for w in (first, second)]
    _, effects = core.on_requested("a", [b"x"])
    assert effects.leases == [(claims[1], [Lease(1, 1, "a", [b"x"])])]
    _, effects = core.on_requested("a", [b"y"])
    assert effects.leases == [(claims[0], [Lease(2, 1, "a", [b"y"])])]
    assert list(core.members[second].leases) == [1]


def test_one_worker_is_enough_for_one_task_at_a_time(core: Scheduler) -> None:
    """So the others can leave, and the caches of one are warm; asking again makes nobody newer."""
    others = [worker(core) for _ in range(3)]
    claims = {core.on_fetch(w, 1, 0.0)[1]: w for w in others}
    busy = worker(core)
    now = 1.0
    for n in range(20):
        now += 1.0
        _, claim = core.on_fetch(busy, 1, now)
        if n % 3 == 0:  # the wait of one of the others is over, and begins anew
            again = claims.pop(old := next(iter(claims)))
            core.on_unparked(old)
            claims[core.on_fetch(again, 1, now + 0.1)[1]] = again
        _, effects = core.on_requested("a", [b""], now + 0.5, direct=True)
        ((served, (lease,)),) = effects.leases
        assert served == claim
        core.on_reported(busy, [Outcome(lease.task_id, lease.attempt, RESULT, [b""])], now + 0.6)


def test_who_has_a_task_in_hand_is_served_last(core: Scheduler) -> None:
    """It waits for an outcome, and could not go on while it executes something else."""
    idle, nested = worker(core), worker(core)
    core.on_requested("a", [b""])
    assert fetch(core, nested, 1) == [1]
    _, first = core.on_fetch(idle, 1, 1.0)
    _, second = core.on_fetch(nested, 1, 2.0)
    for claim in (first, second):
        _, effects = core.on_requested("a", [b""])
        assert [served for served, _ in effects.leases] == [claim]


def test_a_task_that_is_suspected_goes_to_whoever_is_there(core: Scheduler) -> None:
    """Also when that is the one that has been idle for the longest time."""
    idle, victim = worker(core), worker(core)
    core.on_requested("a", [b""])
    assert fetch(core, victim, 1) == [1]
    core.on_fetch(idle, 1, 0.0)
    effects = core.on_departed(victim, Vanished("killed"), 1.0)
    assert [lease.task_id for _, leases in effects.leases for lease in leases] == [1]
    assert core.tasks[1].holder == idle


def test_task_wakes_only_one_claim_that_can_use_it(core: Scheduler) -> None:
    """With many who wait for something else, one task causes one hand-out."""
    for _ in range(20):
        core.on_fetch(worker(core, "b"), 1, 0.0)
    _, claim = core.on_fetch(worker(core, "a"), 1, 0.0)
    _, effects = core.on_requested("a", [b""])
    assert [served for served, _ in effects.leases] == [claim]


def test_claim_that_was_taken_back_is_not_served(core: Scheduler) -> None:
    """Nothing is handed to a process that does not wait any longer."""
    w = worker(core)
    _, claim = core.on_fetch(w, 1, 0.0)
    assert core.on_unparked(claim)
    assert not core.on_unparked(claim)
    assert core.on_requested("a", [b""]) == (1, NOTHING)
    assert fetch(core, w, 1) == [1]


def test_claim_of_a_process_that_is_gone_eats_nothing(core: Scheduler) -> None:
    """A worker that is lost while idle gets no task any more; the next one does."""
    gone, here = worker(core), worker(core)
    _, dead = core.on_fetch(gone, 1, 0.0)
    _, alive = core.on_fetch(here, 1, 0.0)
    assert core.on_departed(gone, Vanished("killed"), 0.0).dropped == [dead]
    _, effects = core.on_requested("a", [b""])
    assert [claim for claim, _ in effects.leases] == [alive]


def test_what_is_dropped_is_nobody_elses_claim(core: Scheduler) -> None:
    """Claims on tasks and on results cannot be taken for one another."""
    w, c = worker(core), client(core)
    core.on_fetch(w, 1, 0.0)
    core.on_collect(c, 1)
    dropped = core.on_departed(c, Left(), 0.0).dropped
    assert len(dropped) == 1
    assert not {claim.id for claim in core.waiting.claims} & set(dropped)


def test_request_for_no_tasks_changes_nothing(core: Scheduler) -> None:
    """An empty batch of requests is no error, neither now nor when a worker joins."""
    core.on_requested("a", [])
    w = worker(core)
    assert core.on_fetch(w, 1, 0.0)[0] == []


@pytest.mark.parametrize(
    ("waiting", "workers", "want", "share"),
    [
        (100, 1, 1, 1),
        (100, 1, 10, 10),
        (100, 5, 50, 10),
        (3, 2, 10, 1),
        (9, 2, 10, 3),
        (1, 9, 9, 1),
    ],
)
def test_share_is_half_of_an_equal_share(
    core: Scheduler, waiting: int, workers: int, want: int, share: int
) -> None:
    """Guided self-scheduling: at the end of a job, portions get small."""
    client(core)  # executes nothing, so it does not count
    for _ in range(workers):
        last = worker(core)
    core.on_requested("a", [b""] * waiting)
    assert len(core.on_fetch(last, want, 0.0)[0]) == share


def test_suspect_is_handed_out_alone(core: Scheduler) -> None:
    """What was in hand when a worker ended does not endanger others any more."""
    first, second = worker(core), worker(core)
    core.on_requested("a", [b""] * 40)
    assert fetch(core, first, 2) == [1, 2]
    core.on_departed(first, Vanished("killed"), 0.0)
    portions = [[lease.task_id for lease in core.on_fetch(second, 5, 0.0)[0]] for _ in range(3)]
    assert portions == [[1], [2], [3, 4, 5, 6, 7]]


# -- reports ------------------------------------------------------------------------------------


def test_outcomes_are_collected_in_the_order_of_reports(core: Scheduler) -> None:
    """Results and failures alike arrive as they are reported, with the worker's name."""
    c, w = client(core), worker(core)
    request(core, "aba")
    fetch(core, w, 3)
    assert report(core, w, 2) == ([], NOTHING)
    failed = Effects()
    failed.failed.append((1, "a", b"a", FAILURE, b"1 by 1", "w1"))
    assert report(core, w, 1, kind=FAILURE) == ([], failed)
    assert core.on_collect(c, 5) == (
        [Finished(2, "b", RESULT, [b"2 by 1"], "w1"), Finished(1, "a", FAILURE, [b"1 by 1"], "w1")],
        None,
    )
    report(core, w, 3)
    assert collected(core, c, "b") == []
    assert core.on_collect(c, 1, "a")[0] == [Finished(3, "a", RESULT, [b"3 by 1"], "w1")]
    assert core.members[w].leases == {}
    assert core.tasks == {}


def test_waiting_client_is_served_with_its_own_tag(core: Scheduler) -> None:
    """Outcomes go to the claims that can use them."""
    c, w = client(core), worker(core)
    request(core, "ab")
    fetch(core, w, 2)
    _, claim = core.on_collect(c, 5, "b")
    assert report(core, w, 1)[1].results == []
    _, effects = report(core, w, 2)
    assert effects.results == [(claim, [Finished(2, "b", RESULT, [b"2 by 1"], "w1")])]
    assert collected(core, c) == [1]


def test_direct_outcome_leaves_at_once(core: Scheduler) -> None:
    """The outcome of a task that a future waits for is not queued."""
    c, w = client(core), worker(core)
    request(core, "a", direct=True)
    fetch(core, w, 1)
    assert report(core, w, 1)[1].direct == [Finished(1, "a", RESULT, [b"1 by 1"], "w1")]
    assert collected(core, c) == []
    assert core.tally.delivered == 1


def test_late_result_of_a_waiting_task_is_accepted(core: Scheduler) -> None:
    """A correct result is not thrown away, and the queued copy is withdrawn."""
    c, lost, w = client(core), worker(core), worker(core)
    request(core, "ab")
    fetch(core, lost, 1)
    core.on_departed(lost, Blameless("silent"), 0.0)
    assert report(core, lost, 1, attempt=1)[0] == []
    assert fetch(core, w, 1) == [2]
    assert core.on_collect(c, 5)[0] == [Finished(1, "a", RESULT, [b"1 by 1"], "")]


def test_late_result_of_a_task_in_other_hands_is_accepted(core: Scheduler) -> None:
    """The first result wins; the new holder's own report is a duplicate, and it is free."""
    c, old, new = client(core), worker(core), worker(core)
    request(core, "aa")
    fetch(core, old, 1)
    core.on_returned(old, [1], 0.0)
    fetch(core, new, 1)
    assert report(core, old, 1, attempt=1)[0] == []
    assert core.members[new].leases == {}
    assert report(core, new, 1, attempt=2)[0] == [1]
    assert core.on_collect(c, 5)[0] == [Finished(1, "a", RESULT, [b"1 by 1"], "w1")]
    assert core.tally.duplicates == 1
    assert fetch(core, new, 1) == [2]


@pytest.mark.parametrize("handed_out_again", [False, True])
def test_late_failure_is_dropped(core: Scheduler, handed_out_again: bool) -> None:
    """A failure of an attempt that was given up does not spoil the next attempt."""
    old, new = worker(core), worker(core)
    request(core, "a")
    fetch(core, old, 1)
    core.on_departed(old, Blameless("silent"), 0.0)
    fetch(core, new, handed_out_again)
    assert report(core, old, 1, attempt=1, kind=FAILURE) == ([1], NOTHING)
    assert core.tally.duplicates == 1
    assert core.tasks[1].state is (State.LEASED if handed_out_again else State.WAITING)


def test_failure_of_an_earlier_attempt_by_the_same_worker_is_dropped(core: Scheduler) -> None:
    """The attempt decides, not only who speaks."""
    w = worker(core)
    request(core, "a")
    fetch(core, w, 1)
    core.on_returned(w, [1], 0.0)
    fetch(core, w, 1)
    assert report(core, w, 1, attempt=1, kind=FAILURE)[0] == [1]
    assert report(core, w, 1, attempt=2, kind=FAILURE)[0] == []


def test_failure_reported_by_another_worker_is_dropped(core: Scheduler) -> None:
    """Only the holder can say that the attempt in its hands failed."""
    holder, other = worker(core), worker(core)
    request(core, "a")
    fetch(core, holder, 1)
    for attempt in (CURRENT, 1):
        assert report(core, other, 1, attempt=attempt, kind=FAILURE)[0] == [1]
    assert list(core.members[holder].leases) == [1]


@pytest.mark.parametrize("kind", [RESULT, FAILURE])
def test_attempt_that_never_was_is_refused(core: Scheduler, kind: int) -> None:
    """A number of a hand-out that has not happened is false."""
    w = worker(core)
    request(core, "a")
    fetch(core, w, 1)
    assert report(core, w, 1, attempt=2, kind=kind)[0] == [1]
    assert core.tasks[1].state is State.LEASED


@pytest.mark.parametrize("attempt", [CURRENT, -7])
def test_result_of_a_task_that_was_never_handed_out_is_refused(
    core: Scheduler, attempt: int
) -> None:
    """Nobody can have executed what nobody was given."""
    w = worker(core)
    request(core, "a")
    assert report(core, w, 1, attempt=attempt)[0] == [1]
    assert core.tasks[1].state is State.WAITING


def test_first_outcome_is_the_only_one(core: Scheduler) -> None:
    """Reports after the first are dropped and counted, before and after the delivery."""
    c, w = client(core), worker(core)
    request(core, "a")
    fetch(core, w, 1)
    first, second = Outcome(1, 1, RESULT, [b"first"]), Outcome(1, 1, RESULT, [b"second"])
    assert core.on_reported(w, [first, second], 0.0)[0] == [1]
    assert core.on_reported(w, [second], 0.0)[0] == [1]
    assert [done.payload for done in core.on_collect(c, 5)[0]] == [b"first"]
    assert core.on_reported(w, [second], 0.0)[0] == [1]
    assert core.on_collect(c, 5)[0] == []
    assert (core.tally.duplicates, core.tally.unknown, core.tally.results) == (3, 0, 1)


def test_reports_of_tasks_that_never_were_are_counted(core: Scheduler) -> None:
    """A false id is judged, counted, and answered."""
    w = worker(core)
    request(core, "a")
    assert report(core, w, 2, 0, -1) == ([2, 0, -1], NOTHING)
    assert (core.tally.duplicates, core.tally.unknown) == (0, 3)


def test_started_is_believed_of_the_holder_only(core: Scheduler) -> None:
    """What a process says of tasks in other hands changes nothing."""
    holder, other = worker(core), worker(core)
    request(core, "aa")
    fetch(core, holder, 1)
    core.on_started(other, 1, 0.0)
    core.on_started(holder, 2, 0.0)
    assert [task.state for task in core.tasks.values()] == [State.LEASED, State.WAITING]
    core.on_started(holder, 1, 0.0)
    assert core.tasks[1].state is State.STARTED


# -- back to the front --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["returned", "left", "lost", "silent"])
def test_what_comes_back_is_the_next_in_its_order(core: Scheduler, how: str) -> None:
    """Tasks that a worker could not finish come first, in the order in which it had them."""
    old, new = worker(core), worker(core)
    ids = request(core, "ababa")
    fetch(core, old, 3)
    if how == "returned":
        core.on_returned(old, ids[:3], 0.0)
    elif how == "left":
        core.on_departed(old, Left(), 0.0)
    else:
        core.on_departed(old, (Vanished if how == "lost" else Blameless)(how), 0.0)
    assert fetch(core, new, 5) == ids
    assert [core.tasks[i].attempt for i in ids] == [2, 2, 2, 1, 1]


def test_order_survives_a_late_result_among_those_put_back(core: Scheduler) -> None:
    """A queued copy that is withdrawn does not hold up what stands behind it."""
    w = worker(core)
    ids = request(core, "aabb")
    fetch(core, w, 3)
    core.on_returned(w, ids[:3], 0.0)
    report(core, w, ids[0], attempt=1)
    assert fetch(core, w, 3) == ids[1:]


def test_what_comes_back_wakes_a_claim(core: Scheduler) -> None:
    """A worker that waits gets a task of a lost one at once."""
    lost, idle = worker(core), worker(core)
    request(core, "a")
    fetch(core, lost, 1)
    _, claim = core.on_fetch(idle, 1, 0.0)
    assert core.on_departed(lost, Vanished("killed"), 0.0).leases == [
        (claim, [Lease(1, 2, "a", [b"a"])])
    ]


def test_only_ones_own_leases_can_be_returned(core: Scheduler) -> None:
    """Tasks in other hands, waiting, or unknown are not touched by a return."""
    holder, other = worker(core), worker(core)
    request(core, "aa")
    fetch(core, holder, 1)
    assert core.on_returned(other, [1, 2, 3, -1], 0.0) == NOTHING
    core.on_returned(holder, [1, 1], 0.0)
    assert core.tally.returned == 1
    assert core.waiting.count == 2


@pytest.mark.parametrize("held", [0, 1, 2, 50])
def test_loss_puts_back_every_lease_once(core: Scheduler, held: int) -> None:
    """However many tasks a lost worker held, each waits again, and once."""
    lost, new = worker(core), worker(core)
    ids = request(core, "a" * 50)
    fetch(core, lost, held)
    core.on_departed(lost, Vanished("killed"), 0.0)
    core.on_departed(lost, Vanished("killed"), 0.0)
    core.on_departed(lost, Left(), 0.0)
    assert core.tally.requeued == held
    assert fetch(core, new, 50) == ids


def test_undelivered_outcomes_come_first(core: Scheduler) -> None:
    """Outcomes that did not arrive are the next ones, in their order, and the same."""
    c, w = client(core), worker(core)
    request(core, "aba")
    fetch(core, w, 3)
    report(core, w, 1, 2)
    lost = core.on_collect(c, 2)[0]
    report(core, w, 3)
    assert core.on_undelivered(lost) == NOTHING
    assert report(core, w, 1)[0] == [1]
    assert core.on_collect(c, 2)[0] == lost
    assert collected(core, c) == [3]
    assert core.tally.delivered == 3


def test_undelivered_outcome_goes_to_the_next_who_waits(core: Scheduler) -> None:
    """Another client that waits gets what the first one did not, also what was direct."""
    c, w = client(core), worker(core)
    request(core, "a", direct=True)
    fetch(core, w, 1)
    lost = report(core, w, 1)[1].direct
    _, claim = core.on_collect(c, 1)
    assert core.on_undelivered(lost).results == [(claim, lost)]


# -- the end ------------------------------------------------------------------------------------


def test_nothing_is_handed_out_after_the_end(core: Scheduler) -> None:
    """Termination stops hand-outs, and tells which claims have to be answered."""
    w, idle = worker(core), worker(core, "z")
    request(core, "aaa")
    fetch(core, w, 1)
    _, claim = core.on_fetch(idle, 1, 0.0)
    assert core.on_terminated() == [claim]
    assert core.on_fetch(w, 1, 0.0) == ([], None)
    assert core.on_returned(w, [1], 0.0) == NOTHING
    assert core.on_requested("z", [b""])[1] == NOTHING
    assert core.waiting.count == 4


# -- memory -------------------------------------------------------------------------------------


def test_many_tags_leave_nothing_behind() -> None:
    """10^5 tags that are used once are forgotten with their tasks."""
    core = Scheduler()
    c, w = client(core), worker(core)
    count = 100_000
    for n in range(count):
        core.on_requested(f"tag {n}", [b""])
    handed_out = 0
    while leases := core.on_fetch(w, 1_000, 0.0)[0]:
        assert leases[0].task_id == handed_out + 1
        handed_out += len(leases)
        core.on_reported(w, [Outcome(lease.task_id, 1, RESULT, [b""]) for lease in leases], 0.0)
        assert len(core.on_collect(c, 1_000)[0]) == len(leases)
    assert handed_out == count
    core.on_departed(w, Left(), 0.0)
    core.on_departed(c, Left(), 0.0)
    audit.check(core)
    assert core.tasks == core.members == {}
    for lanes in (core.waiting, core.results):
        assert list(lanes.tags) == list(lanes.claims) == []
    assert len(core.waiting.filters) == 0
    assert [each.tags for each in core.results.filters] == [None]
    assert len(core.settlement._any_tag._heap) < 100
