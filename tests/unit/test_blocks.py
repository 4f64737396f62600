"""Many tasks as one object, and how single ones leave it."""

from __future__ import annotations

import pytest

from blocks import each_finished, each_lease, ids_of_all
from masterworker.core import audit
from masterworker.core.blocks import PAGE_BITS, Block
from masterworker.core.departure import Blameless, Ended, Left, Vanished
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import CANCELLED, FAILURE, RESULT, Lease, Outcome, State, Task
from masterworker.core.task_queues import BYTES_PER_CLAIM
from unit.acting import report, worker

PAGE = 1 << PAGE_BITS


def ask(core: Scheduler, number: int, tag: str = "a") -> int:
    """Ask for so many tasks at once. Returns the id of the first."""
    payloads = [b"%d" % i for i in range(number)]
    return core.on_requested(tag, payloads, direct=True)[0]


def take(core: Scheduler, member: int, want: int = 19) -> list[Lease]:
    leases, _ = core.on_fetch(member, want, 0.0)
    return leases


def held(core: Scheduler, member: int) -> list[list[int]]:
    """What is in somebody's hands: the ids of each item."""
    return [ids_of_all([item]) for item in core.members[member].leases.values()]


def queued(core: Scheduler) -> list[list[int]]:
    items = sorted(core.waiting.items(), key=lambda item: item.order)
    return [ids_of_all([item]) for item in items]


@pytest.fixture
def ten(core: Scheduler) -> int:
    """A worker with the tasks 1 to 10 in hand, as one block."""
    member = worker(core)
    ask(core, 20)
    assert [len(lease.payloads) for lease in take(core, member)] == [10]
    core.on_cancelled(range(11, 21), 0.0)
    assert held(core, member) == [list(range(1, 11))]
    return member


def row(first: int, number: int, attempt: int = 1) -> Outcome:
    return Outcome(first, attempt, RESULT, [b"r%d" % i for i in range(first, first + number)])


def test_tasks_that_are_nothing_special_wait_as_blocks_of_one_page_each(core: Scheduler) -> None:
    """Half a million tasks are a few hundred objects."""
    ask(core, 2 * PAGE + 10)
    assert [len(ids) for ids in queued(core)] == [PAGE - 1, PAGE, 11]
    assert core.waiting.count == 2 * PAGE + 10
    assert core.tasks == {}
    audit.check(core)


def test_a_claim_gets_its_share_of_a_block(core: Scheduler) -> None:
    """The wish counts tasks, and so does the share of what waits."""
    first, second = worker(core), worker(core)
    ask(core, 40)
    (lease,) = take(core, first, 5)
    assert lease == Lease(1, 1, "a", [b"0", b"1", b"2", b"3", b"4"], None)
    assert [len(lease.payloads) for lease in take(core, second)] == [9]  # of 35, for two
    assert core.waiting.count == 26
    audit.check(core)


def test_a_claim_for_one_gets_one(core: Scheduler) -> None:
    """Who can execute one task gets it as a task of its own, also the last of a block."""
    member = worker(core)
    ask(core, 2)
    for number in (1, 2):
        assert take(core, member, 1) == [Lease(number, 1, "a", [b"%d" % (number - 1)], None)]
    assert list(core.tasks) == [1, 2]
    assert not core.table.blocks


def test_a_claim_gets_no_more_than_the_bytes_of_one_message(core: Scheduler) -> None:
    """Large parameters are handed out in several messages."""
    member = worker(core)
    core.on_requested("a", [bytes(BYTES_PER_CLAIM // 3 + 1)] * 12, direct=True)
    assert [len(lease.payloads) for lease in take(core, member)] == [3]
    audit.check(core)


def test_results_from_the_beginning_on_leave_together(core: Scheduler, ten: int) -> None:
    """What is settled in order costs nothing for each task."""
    refused, effects = core.on_reported(ten, [row(1, 4)], 0.0)
    assert (refused, len(effects.direct)) == ([], 1)
    assert [done.task_id for done in each_finished(effects.direct)] == [1, 2, 3, 4]
    assert held(core, ten) == [[5, 6, 7, 8, 9, 10]]
    core.on_reported(ten, [row(5, 6)], 0.0)
    assert held(core, ten) == []
    assert not core.table.blocks
    assert core.tally.delivered == 20
    audit.check(core)


def test_a_failure_in_the_middle_is_of_one_task(core: Scheduler, ten: int) -> None:
    """The others stay together, before and after it."""
    refused, effects = core.on_reported(ten, [row(1, 2), Outcome(4, 1, FAILURE, [b"why"])], 0.0)
    assert refused == []
    assert [done.task_id for done in each_finished(effects.direct)] == [1, 2, 4]
    assert effects.failed == [(4, "a", b"3", FAILURE, b"why", "w0")]
    assert held(core, ten) == [[3], [5, 6, 7, 8, 9, 10]]
    audit.check(core)
    assert core.on_reported(ten, [row(3, 1), row(5, 6)], 0.0)[0] == []
    assert core.tally.results == 9


def test_results_twice_or_of_another_attempt_are_refused_one_by_one(
    core: Scheduler, ten: int
) -> None:
    """A row may be partly new."""
    core.on_reported(ten, [row(1, 3)], 0.0)
    refused, effects = core.on_reported(ten, [row(2, 4)], 0.0)
    assert refused == [2, 3]
    assert [done.task_id for done in each_finished(effects.direct)] == [4, 5]
    assert core.on_reported(ten, [row(6, 2, attempt=2)], 0.0)[0] == [6, 7]
    assert core.on_reported(ten, [row(999, 2)], 0.0)[0] == [999, 1000]
    assert core.tally.duplicates == 4
    assert core.tally.unknown == 2
    audit.check(core)


def test_cancelling_one_in_hand_takes_it_out_and_tells_the_worker(
    core: Scheduler, ten: int
) -> None:
    """Its neighbours do not notice."""
    cancelled, effects = core.on_cancelled([5, 5], 0.0)
    assert cancelled == [5]
    assert effects.orders == [(ten, 5)]
    assert [done.kind for done in each_finished(effects.direct)] == [CANCELLED]
    assert held(core, ten) == [[1, 2, 3, 4], [6, 7, 8, 9, 10]]
    refused, _ = core.on_reported(ten, [row(1, 10)], 0.0)  # it was executed all the same
    assert refused == [5]
    assert held(core, ten) == []
    audit.check(core)


def test_cancelling_some_that_wait_leaves_holes(core: Scheduler) -> None:
    """What is left of a block goes on waiting, in its place."""
    member = worker(core)
    ask(core, 6)
    ask(core, 1, "b")
    for number in (1, 4, 6):
        assert core.on_cancelled([number], 0.0)[0] == [number]
        audit.check(core)
    assert core.waiting.count == 4
    assert audit.census(core).waiting == {"a": 3, "b": 1}
    assert core.on_cancelled([4], 0.0)[0] == []
    got = [lease for _ in range(9) for lease in take(core, member, 2)]
    assert [lease.task_id for lease in each_lease(got)] == [2, 3, 5, 7]
    audit.check(core)
    assert core.waiting.count == 0


def test_cancelling_all_that_wait_leaves_nothing(core: Scheduler) -> None:
    """A block without tasks has ended."""
    ask(core, 5)
    assert core.on_cancelled(range(6), 0.0)[0] == [1, 2, 3, 4, 5]
    assert not core.table.blocks
    assert core.tasks == {}
    assert core.waiting.count == 0
    assert take(core, worker(core)) == []
    audit.check(core)


def test_what_is_given_back_goes_to_the_front_together(core: Scheduler, ten: int) -> None:
    """The courier gives back all that follows the task that is being executed."""
    core.on_started(ten, 3, 0.0)
    assert held(core, ten) == [[1, 2], [3], [4, 5, 6, 7, 8, 9, 10]]
    core.on_returned(ten, [4, 5, 6, 7, 8, 9, 10, 11, 4], 0.0)
    assert queued(core) == [[4, 5, 6, 7, 8, 9, 10]]
    assert held(core, ten) == [[1, 2], [3]]
    assert core.tally.returned == 7
    audit.check(core)
    assert [(lease.task_id, lease.attempt) for lease in take(core, worker(core), 3)] == [(4, 2)]


def test_what_is_given_back_of_the_middle_leaves_both_ends(core: Scheduler, ten: int) -> None:
    """Only what is said to come back does."""
    core.on_returned(ten, [5, 6, 9], 0.0)
    assert held(core, ten) == [[1, 2, 3, 4], [7, 8], [10]]
    assert queued(core) == [[5, 6], [9]]
    audit.check(core)


def test_a_loss_with_a_known_task_gives_one_strike(core: Scheduler, ten: int) -> None:
    """The others come back together, in order, and unsuspected."""
    core.on_departed(ten, Ended("signal 11", 4), 1.0)
    assert queued(core) == [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10]]
    task = core.find(4)
    assert isinstance(task, Task)
    assert (task.suspect, len(task.losses or ())) == (True, 1)
    assert core.tally.requeued == 10
    other = worker(core)
    got = [[lease.task_id for lease in each_lease(take(core, other))] for _ in range(4)]
    assert got == [[1, 2, 3], [4], [5, 6, 7], [8, 9]]
    audit.check(core)


def test_a_loss_that_nobody_can_explain_makes_all_suspects(core: Scheduler, ten: int) -> None:
    """Each of them is handed out alone, so that the next time it is known."""
    core.on_departed(ten, Vanished("gone"), 1.0)
    assert queued(core) == [[i] for i in range(1, 11)]
    assert all(core.tasks[i].suspect for i in range(1, 11))
    assert all(core.tasks[i].losses is None for i in range(1, 11))
    assert [len(each_lease(take(core, worker(core)))) for _ in range(3)] == [1, 1, 1]
    audit.check(core)


def test_silence_and_goodbyes_leave_a_block_together(core: Scheduler, ten: int) -> None:
    """Nobody is to blame, so nobody has to be told from the others."""
    core.on_departed(ten, Blameless("silent"), 1.0)
    assert queued(core) == [list(range(1, 11))]
    other = worker(core)
    (lease,) = take(core, other)
    assert (lease.task_id, lease.attempt, len(lease.payloads)) == (1, 2, 5)
    core.on_departed(other, Left(), 1.0)
    assert queued(core) == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]
    audit.check(core)


def test_a_strike_for_a_task_that_was_given_back_meanwhile(core: Scheduler, ten: int) -> None:
    """It leaves the block in which it waits, and is handed out alone."""
    core.on_returned(ten, range(1, 11), 0.0)
    assert queued(core) == [list(range(1, 11))]
    core.on_departed(ten, Ended("signal 9", 3), 1.0)
    assert queued(core) == [[3], [1, 2, 4, 5, 6, 7, 8, 9, 10]]
    audit.check(core)
    assert [lease.task_id for lease in take(core, worker(core))] == [3]


def test_late_results_of_a_block_that_waits_again_count(core: Scheduler, ten: int) -> None:
    """They are taken out of the queue; what is not among them stays there."""
    core.on_departed(ten, Blameless("silent"), 1.0)
    refused, effects = core.on_reported(ten, [row(2, 3)], 2.0)
    assert refused == []
    assert [done.task_id for done in each_finished(effects.direct)] == [2, 3, 4]
    assert queued(core) == [[1, 5, 6, 7, 8, 9, 10]]
    assert core.on_reported(ten, [row(2, 3), Outcome(5, 1, FAILURE, [b""])], 2.0)[0] == [2, 3, 4, 5]
    other = worker(core)
    got = [lease.task_id for _ in range(9) for lease in each_lease(take(core, other))]
    assert got == [1, 5, 6, 7, 8, 9, 10]
    audit.check(core)


def test_late_results_while_another_worker_has_the_block(core: Scheduler, ten: int) -> None:
    """The task is settled, and taken out of the other one's hands."""
    core.on_departed(ten, Blameless("silent"), 1.0)
    other = worker(core)
    take(core, other)
    assert core.on_reported(ten, [row(2, 2)], 2.0)[0] == []
    assert held(core, other) == [[1], [4, 5]]
    assert core.on_reported(other, [row(1, 5, attempt=2)], 3.0)[0] == [2, 3]
    audit.check(core)


def test_outcome_by_id_alone(core: Scheduler, ten: int) -> None:
    """A supervisor knows the task, and not which attempt it was."""
    assert report(core, ten, 7, kind=FAILURE)[0] == []
    assert held(core, ten) == [[1, 2, 3, 4, 5, 6], [8, 9, 10]]
    audit.check(core)


def test_each_task_tells_its_own_story(core: Scheduler, ten: int) -> None:
    """What happened to one is not told of the others."""
    core.on_started(ten, 2, 0.0)
    core.on_departed(ten, Vanished("gone"), 1.0)
    core.on_requested("a", [b""] * 3, direct=True)
    assert "executing in a worker that ended" in audit.story(core, 2)[1]
    assert "executing" not in " ".join(audit.story(core, 3))
    assert "lost: gone" in audit.story(core, 3)[1]
    worker(core)
    assert "12 before it" in audit.story(core, 23)[-1]
    assert "delivered" in audit.story(core, 11)[1]


def test_ids_that_others_have_chosen(core: Scheduler) -> None:
    """Some may be left out, and none is used twice."""
    assert core.on_requested("a", [b""] * 3, direct=True, first=5)[0] == 5
    assert core.on_requested("a", [b""], direct=True)[0] == 8
    assert queued(core) == [[5, 6, 7], [8]]
    audit.check(core)


@pytest.mark.parametrize("state", [State.LEASED, State.STARTED, State.DELIVERED])
def test_check_sees_what_is_wrong_with_a_block(state: State) -> None:
    """The invariants hold for blocks, too."""
    core = Scheduler()
    ask(core, 5)
    (block,) = core.table.blocks
    assert isinstance(block, Block)
    block.state = state
    with pytest.raises(Exception, match="broken invariant"):
        audit.check(core)
