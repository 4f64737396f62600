"""Outcomes that are settled and not kept yet: nothing tells of them before they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from masterworker.core import audit
from masterworker.core.departure import Ended
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import CANCELLED, FAILURE, LOST, RESULT, Outcome, Task

if TYPE_CHECKING:
    from masterworker.core.task import Finished, Payloads


class Job:
    """A scheduler with one worker."""

    def __init__(self) -> None:
        self.core = Scheduler(keeps=True)
        self.worker = self.core.on_joined("worker", frozenset(("a", "@")), None, 0.0)

    def settle(self, tag: str, number: int, *, direct: bool, kind: int = RESULT) -> list[int]:
        """Let tasks be asked for and executed. Returns their ids."""
        first, _ = self.core.on_requested(tag, [b"p"] * number, direct=direct)
        leases = []
        while more := self.core.on_fetch(self.worker, number, 0.0)[0]:  # a part at a time
            leases += more
        outcomes = [
            Outcome(lease.task_id, lease.attempt, kind, [b"r"] * len(lease.payloads))
            for lease in leases
        ]
        refused, self.effects = self.core.on_reported(self.worker, outcomes, 0.0)
        assert not refused
        audit.check(self.core)
        return list(range(first, first + number))

    def told(self) -> list[tuple[Finished, Payloads]]:
        """What is to be kept now, and the parameters of each."""
        return list(zip(self.effects.unkept, self.effects.parameters, strict=True))


def test_direct_outcomes_wait() -> None:
    job = Job()
    job.settle("@f", 5, direct=True)
    assert not job.effects.direct
    assert audit.census(job.core).done == 0
    effects = job.core.on_kept(len(job.effects.unkept))
    assert sum(len(done.payloads) for done in effects.direct) == 5
    assert audit.census(job.core).done == 5
    audit.check(job.core)


def test_collected_outcomes_wait() -> None:
    job = Job()
    job.settle("a", 2, direct=False)
    collector = job.core.on_joined("collector", frozenset(), None, 0.0)
    found, claim = job.core.on_collect(collector, 5)
    assert (found, claim is None) == ([], False)
    effects = job.core.on_kept(2)
    assert [(each, len(done)) for each, done in effects.results] == [(claim, 2)]
    audit.check(job.core)


def test_the_first_that_are_kept_are_told() -> None:
    job = Job()
    ids = job.settle("a", 3, direct=False)
    job.core.on_kept(1)
    audit.check(job.core)
    collector = job.core.on_joined("collector", frozenset(), None, 0.0)
    found, _ = job.core.on_collect(collector, 5)
    assert [done.task_id for done in found] == ids[:1]


@pytest.mark.parametrize("direct", [True, False])
def test_a_second_outcome_is_refused_meanwhile(direct: bool) -> None:
    job = Job()
    (number,) = job.settle("a", 1, direct=direct)
    refused, effects = job.core.on_reported(job.worker, [Outcome(number, 1, RESULT, [b"x"])], 0.0)
    assert refused == [number]
    assert not effects.unkept
    assert job.core.on_cancelled([number], 0.0)[0] == []
    audit.check(job.core)


def test_failures_wait_and_are_told_with_their_parameters() -> None:
    job = Job()
    job.settle("@f", 1, direct=True, kind=FAILURE)
    assert not job.effects.failed
    effects = job.core.on_kept(1)
    assert effects.failed[0][2] == b"p"
    assert effects.direct[0].kind == FAILURE


def test_cancelled_ones_need_not_be_kept() -> None:
    job = Job()
    first, _ = job.core.on_requested("@f", [b"p"], direct=True)
    _, effects = job.core.on_cancelled([first], 0.0)
    assert not effects.unkept
    assert effects.direct[0].kind == CANCELLED


def test_what_is_withdrawn_meanwhile_is_told_to_no_collector() -> None:
    job = Job()
    ids = job.settle("a", 2, direct=False)
    job.core.on_withdrawn(ids[:1], 0.0)
    audit.check(job.core)
    effects = job.core.on_kept(2)
    audit.check(job.core)
    collector = job.core.on_joined("collector", frozenset(), None, 0.0)
    found, _ = job.core.on_collect(collector, 5)
    assert [done.task_id for done in found] == ids[1:]
    assert [done.task_id for done in effects.direct] == ids[:1]


@pytest.mark.parametrize("direct", [True, False])
def test_what_is_recalled_is_handed_out_to_no_worker(direct: bool) -> None:
    job = Job()
    effects = job.core.on_recalled("a", 1, RESULT, "before", [b"r", b"s"], direct=direct)
    assert job.core.on_fetch(job.worker, 5, 0.0)[0] == []
    audit.check(job.core)
    assert audit.census(job.core).done == 2
    if direct:
        assert [done.payloads for done in effects.direct] == [[b"r", b"s"]]
    else:
        collector = job.core.on_joined("collector", frozenset(), None, 0.0)
        found, _ = job.core.on_collect(collector, 5)
        assert [done.payload for done in found] == [b"r", b"s"]
        audit.check(job.core)


def _struck(core: Scheduler, *losses: str, direct: bool = True) -> Task:
    task = Task(core.table.next_id, "@f", b"p", direct, losses=list(losses))
    core.on_requested_again(task, 0.0)
    audit.check(core)
    return task


def test_a_task_with_strikes_is_handed_out_alone() -> None:
    job = Job()
    one, other = _struck(job.core, "w1", "w2"), _struck(job.core, "w1", direct=False)
    leases, _ = job.core.on_fetch(job.worker, 10, 0.0)
    assert [lease.task_id for lease in leases] == [one.id]
    effects = job.core.on_departed(job.worker, Ended("killed", one.id), 0.0)
    assert effects.struck == [(one.id, ["w1", "w2", "worker: killed"])]
    assert [(done.task_id, done.kind) for done in effects.unkept] == [(one.id, LOST)]
    assert effects.unkept[0].payload == b"w1\nw2\nworker: killed"
    audit.check(job.core)
    assert job.core.find(other.id) is other


def test_a_task_with_too_many_strikes_is_not_handed_out() -> None:
    """One of them was in doubt when the master was killed."""
    job = Job()
    task = Task(7, "@f", b"p", direct=True, losses=["w1", "w2", "w3"])
    effects = job.core.on_requested_again(task, 0.0)
    assert [(done.task_id, done.kind) for done in effects.unkept] == [(7, LOST)]
    assert job.core.on_fetch(job.worker, 10, 0.0)[0] == []
    effects = job.core.on_kept(1)
    assert [done.task_id for done in effects.direct] == [7]
    audit.check(job.core)


def test_a_waiting_worker_gets_a_task_with_strikes() -> None:
    job = Job()
    _, claim = job.core.on_fetch(job.worker, 1, 0.0)
    effects = job.core.on_requested_again(Task(3, "a", b"p", direct=False, losses=["w"]), 0.0)
    assert [(each, [lease.task_id for lease in leases]) for each, leases in effects.leases] == [
        (claim, [3])
    ]


def test_strikes_are_told_where_outcomes_are_kept_only() -> None:
    core = Scheduler()
    worker = core.on_joined("worker", frozenset(("@",)), None, 0.0)
    first, _ = core.on_requested("@f", [b"p"], direct=True)
    core.on_fetch(worker, 1, 0.0)
    assert core.on_departed(worker, Ended("killed", first), 0.0).struck == []


@pytest.mark.parametrize("direct", [False, True])
def test_parameters_come_with_outcomes(*, direct: bool) -> None:
    job = Job()
    job.settle("@f", 5, direct=direct)
    found = [(len(done.payloads), len(parameters)) for done, parameters in job.told()]
    assert found
    assert all(one == other for one, other in found)
