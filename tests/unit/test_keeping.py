"""Outcomes that are settled and not kept yet: nothing tells of them before they are."""

from __future__ import annotations

import pytest

from masterworker.core import audit
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import CANCELLED, FAILURE, RESULT, Outcome


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
