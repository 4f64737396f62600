"""Losses that a supervisor explains, and strikes that turn out to be false."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from masterworker.core import audit
from masterworker.core.crashes import COMES_BACK_WITHIN
from masterworker.core.departure import Blameless, Ended, Stopped, Vanished
from masterworker.core.member_table import REPORT_WITHIN
from masterworker.core.task import LOST, State, read_history, write_history
from unit.acting import fetch, request, worker

if TYPE_CHECKING:
    from masterworker.core.scheduler import Scheduler


@pytest.fixture
def watched(core: Scheduler) -> int:
    """A worker with a supervisor that is here, and three tasks in its hands."""
    core.on_attended("s", [], 0.0)
    member = core.on_joined("w", None, 5.0, 0.0, "s")
    request(core, "abc")
    fetch(core, member, 3)
    return member


def losses(core: Scheduler) -> list[int]:
    return [len(core.tasks[i].losses or ()) for i in (1, 2, 3)]


def test_only_the_task_that_was_executing_gets_a_strike(core: Scheduler, watched: int) -> None:
    """The others are not even suspects."""
    assert core.on_closed(watched, "its connection closed", 0.0).lost == []
    assert watched in core.members
    audit.check(core)
    effects = core.on_departed(watched, Ended("signal 11", 2), 0.1)
    assert [member.id for member, _ in effects.lost] == [watched]
    assert losses(core) == [0, 1, 0]
    assert [core.tasks[i].suspect for i in (1, 2, 3)] == [False, True, False]
    assert {core.tasks[i].state for i in (1, 2, 3)} == {State.WAITING}
    audit.check(core)


def test_report_may_come_before_the_connection_closes(core: Scheduler, watched: int) -> None:
    """What comes second finds nobody any more."""
    core.on_departed(watched, Ended("signal 11", 1), 0.0)
    core.on_closed(watched, "its connection closed", 0.1)
    assert losses(core) == [1, 0, 0]


@pytest.mark.parametrize(("guilty", "blame"), [(0, True), (2, False)])
def test_no_strike_when_nothing_was_executing_or_somebody_had_ended_it(
    core: Scheduler, watched: int, guilty: int, blame: bool
) -> None:
    """An idle process that dies is nobody's fault; nor is one that was told to end."""
    core.on_departed(watched, Ended("signal 15", guilty) if blame else Blameless("signal 15"), 0.0)
    assert losses(core) == [0, 0, 0]
    assert not any(core.tasks[i].suspect for i in (1, 2, 3))


def test_loss_without_a_report_is_a_loss_all_the_same(core: Scheduler, watched: int) -> None:
    """Bounded; as nobody knows, all are suspects."""
    core.on_closed(watched, "its connection closed", 1.0)
    assert core.alarmed
    assert core.next_deadline() == pytest.approx(1.0)  # the first look at who is silent
    core.on_tick(1.0)
    core.on_tick(2.0)
    assert watched in core.members
    core.on_tick(1.0 + REPORT_WITHIN)
    assert watched not in core.members
    assert losses(core) == [0, 0, 0]
    assert all(core.tasks[i].suspect for i in (1, 2, 3))


def test_supervisor_that_is_gone_is_not_waited_for(core: Scheduler, watched: int) -> None:
    """Neither when it went before the connection closed, nor after."""
    core.on_closed(watched, "its connection closed", 0.0)
    effects = core.on_unattended("s", 0.1)
    assert [member.id for member, _ in effects.lost] == [watched]
    other = core.on_joined("w", None, 5.0, 0.0, "s")
    fetch(core, other, 1)
    core.on_attended("s", [other], 0.0)
    core.on_unattended("s", 0.0)
    assert len(core.on_closed(other, "its connection closed", 0.0).lost) == 1


def test_nothing_is_handed_to_one_whose_connection_has_closed(
    core: Scheduler, watched: int
) -> None:
    """A claim of it that waits is dropped, and a new one not heard."""
    _, claim = core.on_fetch(watched, 1, 0.0)
    assert core.on_closed(watched, "its connection closed", 0.0).dropped == [claim]
    request(core, "d")
    assert core.on_fetch(watched, 1, 0.0) == ([], None)


def test_supervisor_vouches_for_its_workers(core: Scheduler, watched: int) -> None:
    """One that is vouched for is not silent; a stranger's word does not count."""
    stranger = core.on_joined("x", None, 5.0, 0.0)
    for now in range(1, 25):
        core.on_attended("s", [watched, stranger], float(now))
        core.on_tick(float(now))
    assert watched in core.members
    assert stranger not in core.members


def test_strike_is_taken_back_when_the_process_turns_out_to_be_alive(core: Scheduler) -> None:
    """Its connection was cut, which looked like its end."""
    member = worker(core)
    request(core, "a")
    fetch(core, member, 1)
    core.on_departed(member, Vanished("its connection closed"), 0.0)
    assert core.tasks[1].losses == [f"w{member}: its connection closed"]
    core.on_joined("w", None, None, 0.0, was=member)
    assert core.tasks[1].losses is None
    core.on_joined("w", None, None, 0.0, was=member)  # once more: nothing left to take back


def test_third_strike_ends_a_task_with_its_history(core: Scheduler) -> None:
    """One entry for each process, with all that is known of its end."""
    core.on_attended("s", [], 0.0)
    core.on_requested("a", [b""], direct=True)
    told = []
    for n in range(3):
        member = core.on_joined(f"pid {n}", None, 5.0, 0.0, "s")
        fetch(core, member, 1)
        effects = core.on_departed(
            member, Ended(f"signal {n}; it wrote last:\nline 1\nline 2", 1), 0.0
        )
        told.append(f"pid {n}: signal {n}; it wrote last:\nline 1\nline 2")
    (done,) = effects.direct
    assert (done.kind, read_history(done.payload)) == (LOST, told)
    audit.check(core)


@pytest.mark.parametrize("entries", [["a"], ["a", "b"], ["a\nb\n\nc", "d\te"], ["", "x"]])
def test_history_survives_the_trip(entries: list[str]) -> None:
    """Entries of several lines, empty ones and tabulators, too."""
    assert read_history(write_history(entries)) == entries


# -- connections that close without an explanation ----------------------------------------------


def cut_three_times(core: Scheduler) -> list[int]:
    """One task, three unsupervised workers whose connections close while they have it."""
    request(core, "a", direct=True)
    members = []
    for _ in range(3):
        members.append(worker(core))
        fetch(core, members[-1], 1)
        core.on_closed(members[-1], "its connection closed", 0.0)
        audit.check(core)
    return members


def test_task_is_not_given_up_while_its_workers_may_come_back(core: Scheduler) -> None:
    """A line that breaks for all of them is no proof against the task."""
    members = cut_three_times(core)
    assert core.tasks[1].state is State.PAUSED
    back = core.on_joined("back", None, None, 1.0, was=members[1])
    assert core.next_deadline() == 1.0
    core.on_tick(1.0)
    audit.check(core)
    assert fetch(core, back, 1) == [1]
    assert len(core.tasks[1].losses or ()) == 2


def test_task_is_given_up_when_they_have_not_come_back(core: Scheduler) -> None:
    """Bounded: then they have ended."""
    cut_three_times(core)
    assert core.on_tick(COMES_BACK_WITHIN - 0.1).direct == []
    (done,) = core.on_tick(COMES_BACK_WITHIN).direct
    assert (done.kind, len(read_history(done.payload))) == (LOST, 3)
    audit.check(core)


def test_parameters_and_suspicion_survive_a_third_strike_that_is_void(core: Scheduler) -> None:
    """A task that waits gets its third strike, pauses, and is handed out whole when it is back."""
    core.on_requested("a", [b"parameters"], direct=True)
    core.on_attended("s", [], 0.0)
    first = worker(core)
    fetch(core, first, 1)
    core.on_closed(first, "its connection closed", 0.0)
    for _ in range(2):
        member = core.on_joined("w", None, 5.0, 0.0, "s")
        fetch(core, member, 1)
        core.on_returned(member, [1], 0.0)  # it was cut off, say, and executes it all the same
        core.on_departed(member, Ended("signal 11", 1), 0.0)
    assert core.tasks[1].state is State.PAUSED
    core.on_joined("back", None, None, 1.0, was=first)
    core.on_tick(1.0)
    fresh = worker(core)
    ((lease,), _) = core.on_fetch(fresh, 1, 1.0)
    assert lease.payload == b"parameters"
    assert core.tasks[1].suspect


# -- workers that are stopped ---------------------------------------------------------------------


def stop_three(core: Scheduler) -> list[int]:
    """A task in the hands of three workers, each of which is stopped."""
    core.on_attended("s", [], 0.0)
    request(core, "a")
    members = []
    for n in range(3):
        member = core.on_joined(f"pid {n}", None, 5.0, 0.0, "s")
        fetch(core, member, 1)
        core.on_departed(member, Stopped("its process is stopped", 1), 0.0)
        members.append(member)
        audit.check(core)
    assert core.tasks[1].state is State.PAUSED
    return members


def test_stopped_workers_may_come_back(core: Scheduler) -> None:
    """A task that three have been stopped with is given up when none of them can any more."""
    stop_three(core)
    core.on_tick(COMES_BACK_WITHIN - 1)
    assert core.tasks[1].state is State.PAUSED
    core.on_tick(COMES_BACK_WITHIN)
    assert core.tasks[1].kind == LOST
    audit.check(core)


def test_stopped_workers_that_have_ended_at_last(core: Scheduler) -> None:
    """It is known at once, when the last of them has; whoever else says so is not believed."""
    members = stop_three(core)
    for member in members:
        core.on_ended_at_last(member, "another", 1.0)
    for member in members[:2]:
        core.on_ended_at_last(member, "s", 1.0)
    core.on_tick(1.0)
    assert core.tasks[1].state is State.PAUSED
    core.on_ended_at_last(members[2], "s", 2.0)
    core.on_ended_at_last(members[2], "s", 2.0)
    assert core.next_deadline() == pytest.approx(2.0)
    core.on_tick(2.0)
    assert core.tasks[1].kind == LOST
    audit.check(core)


def test_a_stopped_worker_that_is_continued(core: Scheduler) -> None:
    """Its strike is void, and the task is tried again."""
    members = stop_three(core)
    core.on_joined("pid 0", None, 5.0, 3.0, "s", was=members[0])
    core.on_tick(3.0)
    assert core.tasks[1].state is State.WAITING
    assert len(core.tasks[1].losses or ()) == 2
    audit.check(core)
