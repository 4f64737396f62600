"""Counts, stories and invariants: looking at a scheduler without changing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from masterworker.core import audit
from masterworker.core.asked import REMEMBERED, Asked
from masterworker.core.departure import Left, Vanished
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import FAILURE, RESULT, Outcome, State
from masterworker.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable


def busy() -> Scheduler:
    """Task 1 waits, 2 is in a worker's hands, 3 has an outcome, 4 is delivered; one claim."""
    core = Scheduler()
    client = core.on_joined("client", frozenset(), None, 0.0)
    worker = core.on_joined("worker", None, None, 0.0)
    core.on_requested("a", [b"1", b"2", b"3", b"4"])
    for _ in range(4):
        core.on_fetch(worker, 1, 0.0)
    core.on_reported(worker, [Outcome(4, 1, RESULT, [b"four"])], 0.0)
    core.on_collect(client, 1)
    core.on_reported(worker, [Outcome(3, 1, FAILURE, [b"three"])], 0.0)
    core.on_returned(worker, [1], 1.0)
    core.on_fetch(worker, 1, 1.0, "z")
    return core


def test_census_adds_up() -> None:
    """Every task is counted once, under its tag."""
    core = busy()
    core.on_requested("b", [b"", b""])
    core.on_requested("z", [b"", b""])  # one of these is for the claim that waits
    census = audit.census(core)
    assert census.waiting == {"a": 1, "b": 2, "z": 1}
    assert census.running == {"a": 1, "z": 1}
    assert census.finished == {"a": 1}
    assert (census.submitted, census.delivered, census.duplicates) == (8, 1, 0)
    parts = (census.waiting, census.running, census.finished)
    assert sum(sum(part.values()) for part in parts) + census.delivered == census.submitted
    assert census.processes == [(0, "client", 0), (1, "worker", 2)]


def test_census_counts_refused_reports() -> None:
    """Reports that were dropped are counted."""
    core = busy()
    core.on_reported(1, [Outcome(4, 1, RESULT, [b"again"]), Outcome(3, 1, RESULT, [b"again"])], 2.0)
    assert audit.census(core).duplicates == 2


def test_withdrawn_tasks_are_not_waiting() -> None:
    """A late result takes its task out of the counts of those that wait."""
    core = busy()
    core.on_reported(1, [Outcome(1, 1, RESULT, [b"late"])], 2.0)
    census = audit.census(core)
    assert census.waiting == {}
    assert census.finished == {"a": 2}
    audit.check(core)


def test_stranded_tags_are_those_that_nobody_here_can_execute() -> None:
    """A tag that waits without any capable process is named, until one comes."""
    core = Scheduler()
    core.on_joined("client", frozenset(), None, 0.0)
    for tag in ("a", "b", "@f"):
        core.on_requested(tag, [b""])
    assert audit.census(core).stranded == ["a", "b", "@f"]
    worker = core.on_joined("worker", frozenset("a"), None, 0.0)
    assert audit.census(core).stranded == ["b", "@f"]
    core.on_joined("worker", None, None, 0.0)
    assert audit.census(core).stranded == ["@f"]
    core.on_joined("worker", frozenset("@"), None, 0.0)
    assert audit.census(core).stranded == []
    core.on_departed(worker, Left(), 0.0)
    assert audit.census(core).stranded == []


def test_story_tells_what_happened_and_where_the_task_is() -> None:
    """The life of a task is told with its times, its workers, and its present state."""
    core = Scheduler()
    first = core.on_joined("pid 7 on here", None, None, 0.0)
    core.on_requested("a", [b""])
    core.on_fetch(first, 1, 1.0)
    core.on_started(first, 1, 1.5)
    core.on_departed(first, Vanished("signal 11"), 2.0)
    second = core.on_joined("pid 8 on there", None, None, 3.0)
    core.on_fetch(second, 1, 3.0)
    name, *past, now = audit.story(core, 1)
    assert name == "task a_0"
    assert past == [
        "2.000 s: executing in a worker that ended (1 so far)",
        "2.000 s: worker 0 lost: signal 11",
    ]
    assert now == "now: leased, handed out 2 times, in the hands of worker 1 (pid 8 on there)"


def test_story_of_an_uneventful_task_tells_what_it_waits_for() -> None:
    """Nothing is kept of a task to which nothing has happened."""
    core = Scheduler()
    core.on_requested("a", [b""])
    name, now, why = audit.story(core, 1)
    assert name == "task a_0"
    assert now == "now: waiting, handed out 0 times"
    assert why == "it waits for a worker that can execute 'a'; none of 0 here can"


@pytest.mark.parametrize("task_id", [0, 99, -1])
def test_story_of_an_unknown_task(task_id: int) -> None:
    """To ask for a task that is not there is no error."""
    assert "never asked for" in " ".join(audit.story(busy(), task_id))


def test_story_of_a_task_that_is_done() -> None:
    """It is known by its name still: its tag was remembered."""
    assert audit.story(busy(), 4) == ["task a_3", "it is done: its outcome has been delivered"]


def test_the_tags_of_many_tasks_are_remembered() -> None:
    """As runs, and with a bound, beyond which a task has a number only."""
    asked = Asked()
    assert asked.tag_of(1) == ""
    for first in range(1, 2 * REMEMBERED + 2):
        asked.note(10 * first, f"tag {first}")
    last = 2 * REMEMBERED + 1
    assert asked.tag_of(10 * last + 1000) == f"tag {last}"
    assert asked.tag_of(10 * last - 1) == f"tag {last - 1}"
    assert asked.tag_of(10 * REMEMBERED) == ""
    assert asked.tag_of(10 * REMEMBERED + 10) == f"tag {REMEMBERED + 1}"


def test_check_passes_what_is_sound() -> None:
    """No invariant is broken in a scheduler that has done some work."""
    core = busy()
    audit.check(core)
    audit.census(core)
    audit.check(core)


def forget_the_holder(core: Scheduler) -> None:
    core.tasks[2].holder = None


def forget_the_lease(core: Scheduler) -> None:
    core.members[1].leases.clear()


def forget_the_member(core: Scheduler) -> None:
    del core.members[1]


def forget_the_task(core: Scheduler) -> None:
    del core.tasks[2]


def lease_what_waits(core: Scheduler) -> None:
    core.members[1].leases[1] = core.tasks[1]


def hand_out_without_an_attempt(core: Scheduler) -> None:
    core.tasks[2].attempt = 0


def settle_what_waits(core: Scheduler) -> None:
    core.tasks[1].state = State.SETTLED


def keep_what_is_delivered(core: Scheduler) -> None:
    core.tasks[3].state = State.DELIVERED


def lose_too_often(core: Scheduler) -> None:
    core.tasks[1].losses = ["one", "two", "three"]


def count_wrongly(core: Scheduler) -> None:
    core.waiting.count += 1


def lose_one(core: Scheduler) -> None:
    core.tally.submitted += 1


def deliver_twice(core: Scheduler) -> None:
    core.tally.delivered += 1
    core.tally.submitted += 1


def sleep_while_there_is_work(core: Scheduler) -> None:
    core.waiting.claims.park(core.members[1], 1, core.waiting.use_filter(None))


def wait_after_the_end(core: Scheduler) -> None:
    core.dispatch.terminated = True


@pytest.mark.parametrize(
    "spoil",
    [
        forget_the_holder,
        forget_the_lease,
        forget_the_member,
        forget_the_task,
        lease_what_waits,
        hand_out_without_an_attempt,
        settle_what_waits,
        keep_what_is_delivered,
        lose_too_often,
        count_wrongly,
        lose_one,
        deliver_twice,
        sleep_while_there_is_work,
        wait_after_the_end,
    ],
)
def test_check_finds_what_is_broken(spoil: Callable[[Scheduler], None]) -> None:
    """Each invariant that does not hold is an internal error."""
    core = busy()
    audit.check(core)
    spoil(core)
    with pytest.raises(InternalError, match="broken invariant"):
        audit.check(core)


def test_broken_invariant_comes_with_the_story_of_the_task() -> None:
    """Whoever reads the error sees what happened to the task."""
    core = busy()
    core.on_started(1, 2, 1.25)
    core.tasks[2].attempt = 0
    with pytest.raises(
        InternalError,
        match=r"task 2\)\ntask a_1\nnow: started, handed out 0 times, in the hands of worker 1",
    ):
        audit.check(core)
