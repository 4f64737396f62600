"""Guests that do not heed a time limit: the manager's own clock decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from masterworker import TaskFailed, wire
from masterworker.core.options import Options
from masterworker.core.overdue import GRACE, HEARTBEAT
from masterworker.core.task import Finished, State
from masterworker.data.outcome import open_finished
from masterworker.errors import TaskTimeout
from security.visitors import GUEST, Hand, Job, ending, supervised

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.client import Client
    from masterworker.core.task import Lease

LIMIT = 2.0
DUE = LIMIT + GRACE + HEARTBEAT


def quiet(hand: Hand, lease: Lease, supervisor: Client, name: str) -> None:
    hand.client.ping(hand.id)
    supervisor.attend(name, [hand.id], [], 0.0)


def claims_to_begin(hand: Hand, lease: Lease, supervisor: Client, name: str) -> None:
    quiet(hand, lease, supervisor, name)
    hand.client.exchange(wire.Exchange(hand.id, started=lease.task_id))


def tells_an_end(hand: Hand, lease: Lease, supervisor: Client, name: str) -> None:
    """Its supervisor tells of the end of somebody who is nobody."""
    quiet(hand, lease, supervisor, name)
    supervisor.attend(name, [], [ending(-1, lease.task_id)], 0.0)


@pytest.mark.parametrize("does", [quiet, claims_to_begin, tells_an_end])
def test_whatever_it_does_the_task_ends(does: Callable[..., None]) -> None:
    """With the failure of a time limit; a worker of ours may take what comes next."""
    job = Job()
    hand, supervisor, name = supervised(job, GUEST)
    supervisor.attend(name, [hand.id], [], 0.0)
    task = job.manager.request("a", [b"x"], options=Options(timeout=LIMIT))
    lease = hand.fetch()
    for _ in range(int(DUE)):
        does(hand, lease, supervisor, name)
        assert not outcomes(job)
        job.clock.advance(1.0)
        job.manager._tick()
    (done,) = outcomes(job)
    with pytest.raises(TaskFailed, match=r"time limit of 2 s") as failed:
        open_finished(done)
    assert isinstance(failed.value.__cause__, TaskTimeout)
    assert hand.report(lease) == [task]
    job.manager.check()


def outcomes(job: Job) -> list[Finished]:
    """What has been settled, and waits to be picked up."""
    tasks = job.manager.core.tasks.values()
    settled = [task for task in tasks if task.state is State.SETTLED]
    told = [(task.id, task.tag, task.kind, [task.payload], task.worker) for task in settled]
    return [Finished(*each) for each in told]
