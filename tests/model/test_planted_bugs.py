"""Bugs that are put in on purpose: the state machine has to find each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec.structs import astuple, replace

from blocks import each_outcome, ids_of_all
from masterworker.core.chunks import Chunk
from masterworker.core.claims import Claims
from masterworker.core.effects import Effects
from masterworker.core.filters import TagFilter, TagFilters
from masterworker.core.scheduler import Scheduler
from masterworker.core.settling import CURRENT
from masterworker.core.task import FAILURE, LOST, RESULT, Finished, Outcome, State, Task
from masterworker.core.task_queues import TaskQueues
from masterworker.data.items import single
from masterworker.errors import InternalError
from model.machine import SchedulerMachine
from model.test_scheduler_model import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker.core.blocks import Block, Item
    from masterworker.core.chunks import Single
    from masterworker.core.task import Lease

pytestmark = pytest.mark.search

#: Enough to find every one of them; one that is found ends its search.
SEARCH = settings(
    SETTINGS,
    max_examples=2000,
    stateful_step_count=40,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)


class NoAttemptCheck(Scheduler):
    """Whatever the holder says of a task counts, whichever attempt it speaks of."""

    def on_reported(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> Any:
        blind = [replace(outcome, attempt=CURRENT) for outcome in outcomes]
        return super().on_reported(member_id, blind, now)


class NoHolderCheck(Scheduler):
    """Whatever anybody says of a task counts as if its holder had said it."""

    def on_reported(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> Any:
        refused, effects = [], Effects()
        for outcome in each_outcome(outcomes):
            task = self.find(outcome.task_id)
            holder = task.holder if task is not None else None
            speaker = member_id if holder is None else holder.id
            no, more = super().on_reported(speaker, [outcome], now)
            refused += no
            effects.add(more)
        return refused, effects


class LateFailureAccepted(Scheduler):
    """A failure of an attempt that was given up settles the task."""

    def on_reported(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> Any:
        disguised = [
            replace(o, kind=RESULT, payload=b"%d" % o.kind + o.payload)
            for o in each_outcome(outcomes)
        ]
        return super().on_reported(member_id, disguised, now)

    def _settle(self, task: Task, kind: int, payload: bytes, *rest: Any) -> None:
        if kind != LOST:
            kind, payload = (FAILURE if payload.startswith(b"1") else RESULT), payload[1:]
        super()._settle(task, kind, payload, *rest)


class LateResultRefused(Scheduler):
    """A correct result is thrown away because its worker had been given up."""

    def on_reported(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> Any:
        leases = self.members[member_id].leases if member_id in self.members else {}
        held = ids_of_all(leases.values())
        strict = [
            o if o.task_id in held else replace(o, kind=FAILURE) for o in each_outcome(outcomes)
        ]
        return super().on_reported(member_id, strict, now)


class DuplicateDelivered(Scheduler):
    """The second report of a task reaches the one who asked as well."""

    def on_reported(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> Any:
        outcomes = each_outcome(outcomes)
        refused, effects = super().on_reported(member_id, outcomes, now)
        for outcome in outcomes:
            task_id, _, kind, payload = astuple(outcome)
            known = not 0 < task_id < self._next_task or self.find(task_id) is not None
            if task_id in refused and not known:
                effects.direct.append(Finished(task_id, "a", kind, payload, ""))
        return refused, effects


class LastOutcomeWins(Scheduler):
    """The second report of a task overwrites the first before it is picked up."""

    def on_reported(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> Any:
        for outcome in (outcomes := each_outcome(outcomes)):
            task = self.tasks.get(outcome.task_id)
            if task is not None and task.state is State.SETTLED:
                task.payload = outcome.payload
        return super().on_reported(member_id, outcomes, now)


class LeaseStaysInHands(Scheduler):
    """A task that was reported is still in its worker's hands."""

    def _settle(self, task: Task, *args: Any) -> None:
        holder = task.holder
        super()._settle(task, *args)
        if holder is not None:
            holder.leases[task.id] = task


class NoRequeueOnLoss(Scheduler):
    """What a lost worker had in its hands is gone with it."""

    def on_lost(self, member_id: int, reason: str, now: float, *, blame: bool = True) -> Effects:
        if member_id in self.members:
            for item in self.members[member_id].leases.values():
                if isinstance(item, Task):
                    del self.tasks[item.id]
                else:
                    self.blocks.remove(item)
            self.members[member_id].leases.clear()
        return super().on_lost(member_id, reason, now, blame=blame)


class PutBackAtTheEnd(TaskQueues):
    def put_back(self, items: Sequence[Item]) -> None:
        for item in items:
            self.append(item.tag, [item])


class PutBackReversed(TaskQueues):
    def put_back(self, items: Sequence[Item]) -> None:
        super().put_back(items[::-1])


class SuspectsInCompany(TaskQueues):
    """Tasks under suspicion are handed out together with others."""

    def take(self, wanted: TagFilter, want: int, *rest: Any) -> list[Task]:
        suspects = [item for item in self.items() if item.suspect]
        for item in suspects:
            item.suspect = False
        taken = super().take(wanted, want, *rest)
        for item in suspects:
            item.suspect = True
        return taken


class NotWithdrawn(TaskQueues):
    """A queued copy of a task that a late result has settled still counts as waiting."""

    def withdraw(self) -> None:
        pass


class FiltersLeak(TagFilters):
    """A declaration of tags is kept for ever after its last user has gone."""

    def release(self, one: TagFilter) -> None:
        one.users -= 1


class FirstComeFirstServed(Claims):
    """The worker that has been idle for the longest time gets the next task."""

    def park(self, *args: Any) -> int:
        return super().park(*args[:4])


class NewestClaimFirst(Claims):
    """A worker that asks once more is served before one that has been idle for a shorter time."""

    def park(self, *args: Any) -> int:
        return super().park(*args[:4], *(0.0 for _ in args[4:]))


class NewestOutcomeClaimFirst(Claims):
    """The process that has waited for an outcome for the longest time is never served."""

    def park(self, *args: Any) -> int:
        return super().park(*args) if len(args) > 4 else super().park(*args, 0.0, 0.0)


class KeepsClaimsOfTheLost(Claims):
    """The claim of a process that is gone goes on waiting, and eats what comes."""

    def unpark_all(self, taker: Any = None) -> list[int]:
        return super().unpark_all() if taker is None else []


class DeafToNewTasks(Scheduler):
    """Nobody who waits is woken when tasks are asked for."""

    deaf = False

    def on_requested(self, tag: str, payloads: Sequence[bytes], *, direct: bool = False) -> Any:
        self.deaf = True
        try:
            return super().on_requested(tag, payloads, direct=direct)
        finally:
            self.deaf = False

    def _match_tasks(self, now: float) -> Effects:
        return Effects() if self.deaf else super()._match_tasks(now)


class DeafToPutBack(Scheduler):
    """Nobody who waits is woken when tasks come back."""

    deaf = False

    def _requeue(self, *args: Any) -> Effects:
        self.deaf = True
        try:
            return super()._requeue(*args)
        finally:
            self.deaf = False

    def _match_tasks(self, now: float) -> Effects:
        return Effects() if self.deaf else super()._match_tasks(now)


class DeafToResults(Scheduler):
    """Nobody who waits for outcomes is woken."""

    def _match_results(self, effects: Effects) -> None:
        pass


class InnocentsBlamed(Scheduler):
    """Everything in the hands of a worker that ended gets a strike."""

    def _blame(self, held: list[Task], *rest: Any, **options: Any) -> None:
        for task in held:
            task.state = State.STARTED
        super()._blame(held, *rest, **options)


class AlwaysBlames(Scheduler):
    """Tasks are blamed although only the network was silent."""

    def on_lost(self, member_id: int, reason: str, now: float, *, blame: bool = True) -> Effects:
        return super().on_lost(member_id, reason, now, blame=True)


class NeverGivesUp(Scheduler):
    """A task that ends every worker is handed out for ever."""

    def _blame(self, *args: Any, **options: Any) -> None:
        most, self.max_losses = self.max_losses, 1_000_000
        super()._blame(*args, **options)
        self.max_losses = most


class HandsOutAfterTheEnd(Scheduler):
    def on_fetch(self, *args: Any) -> Any:
        ended, self.terminated = self.terminated, False
        try:
            return super().on_fetch(*args)
        finally:
            self.terminated = ended


class UndeliveredAtTheEnd(Scheduler):
    def on_undelivered(self, outcomes: Sequence[Finished]) -> Effects:
        effects = super().on_undelivered(outcomes)
        again = [task for task in self.results.items() if task.order < 0]
        self.results.take(self._any_result, len(again))
        for task in again:
            self.results.append(task.tag, [task])
        return effects


class NeverExpires(Scheduler):
    """Silence is never noticed."""

    def on_tick(self, now: float) -> Effects:
        return Effects()


class MassExpiry(Scheduler):
    """After standing still itself, the master takes everybody for lost."""

    def on_tick(self, now: float) -> Effects:
        self._liveness._last_tick = now
        return super().on_tick(now)


class NeverHears(Scheduler):
    """Signs of life are not noted down."""

    def on_heard(self, member_id: int, now: float) -> bool:
        return member_id in self.members


class CountsABlockAsOne(TaskQueues):
    """A block that is queued counts as one task."""

    def put_back(self, items: Sequence[Item]) -> None:
        super().put_back(items)
        self.count -= sum(item.size - 1 for item in items)


class ForgetsTheRest(Scheduler):
    """When tasks leave their block, what came behind them is lost."""

    def _split(self, block: Block, first: int, number: int) -> Item:
        follows = first + number <= block.last
        piece = super()._split(block, first, number)
        if follows and (rest := self.find(first + number)) and rest.holder:
            del rest.holder.leases[rest.last]
            self.tasks.pop(rest.id, None)
            if not isinstance(rest, Task):
                rest.end()
        return piece


class PartsBeginAnew(Scheduler):
    """The parts of a block have another number of attempts."""

    def _replace(self, block: Block, parts: list[Item]) -> None:
        for part in parts:
            part.attempt -= len(parts) > 1
        super()._replace(block, parts)


class PartsInDisorder(Scheduler):
    """The parts of a block come back in another order."""

    def _replace(self, block: Block, parts: list[Item]) -> None:
        super()._replace(block, parts[::-1])


class SettlesARowBlindly(Scheduler):
    """Of results in a row, it is looked at the first alone."""

    def _settle_first(self, block: Block, results: list[bytes], *rest: Any) -> None:
        first = block.id
        super()._settle_first(block, results, *rest)
        again = first + len(results)
        if (task := self.tasks.get(again)) is not None and task.direct and task.attempt > 1:
            self._settle(task, RESULT, results[-1], None, [], rest[-1])


class WithdrawnButHandedOut(Scheduler):
    """A late result of one task of a block that waits settles it, and it stays in the block."""

    def _apart(self, block: Block, task_id: int) -> Task:
        task = super()._apart(block, task_id)
        block.gone.discard(task_id)
        return task


class ChunksBeginAnew(Scheduler):
    """A part of a chunk is handed out as if it were its beginning."""

    def _lease(self, *args: Any) -> list[Lease]:
        leases = super()._lease(*args)
        parts = [(lease, lease.payload) for lease in leases]
        return [
            replace(lease, payload=Chunk(part.data, 0, part.number))
            if isinstance(part, Chunk)
            else lease
            for lease, part in parts
        ]


class ChunksOfResultsBeginAnew(Scheduler):
    """Of a chunk of results that is taken apart, all parts are its beginning."""

    def _settle_first(self, block: Block, results: Any, *rest: Any) -> None:
        if isinstance(results, Chunk):
            results = Chunk(results.data, 0, results.number)
        super()._settle_first(block, results, *rest)


def plant(queues: TaskQueues, bug: type) -> None:
    """Let the part of queues that a bug is in be of its class."""
    for part in (queues, queues.claims, queues.filters):
        if issubclass(bug, type(part)):
            part.__class__ = bug


def with_waiting(bug: type, single: Single) -> Scheduler:
    core = Scheduler(single=single)
    plant(core.waiting, bug)
    return core


def with_results(bug: type, single: Single) -> Scheduler:
    core = Scheduler(single=single)
    plant(core.results, bug)
    return core


SCHEDULERS = [
    NoAttemptCheck,
    NoHolderCheck,
    LateFailureAccepted,
    LateResultRefused,
    DuplicateDelivered,
    LastOutcomeWins,
    LeaseStaysInHands,
    NoRequeueOnLoss,
    DeafToNewTasks,
    DeafToPutBack,
    DeafToResults,
    InnocentsBlamed,
    AlwaysBlames,
    NeverGivesUp,
    HandsOutAfterTheEnd,
    UndeliveredAtTheEnd,
    NeverExpires,
    MassExpiry,
    NeverHears,
    ForgetsTheRest,
    PartsBeginAnew,
    PartsInDisorder,
    SettlesARowBlindly,
    WithdrawnButHandedOut,
    ChunksBeginAnew,
    ChunksOfResultsBeginAnew,
]
QUEUES = [
    PutBackAtTheEnd,
    PutBackReversed,
    SuspectsInCompany,
    NotWithdrawn,
    FiltersLeak,
    FirstComeFirstServed,
    NewestClaimFirst,
    KeepsClaimsOfTheLost,
    CountsABlockAsOne,
]


def assert_found(make: Any, *args: Any) -> None:
    class Planted(SchedulerMachine):
        def make_core(self) -> Scheduler:
            return make(*args, single=single)

    with pytest.raises((AssertionError, InternalError)):
        run_state_machine_as_test(Planted, settings=SEARCH)


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda bug: bug.__name__)
def test_bug_in_a_decision_is_found(scheduler: type[Scheduler]) -> None:
    """A scheduler that decides wrongly does not pass."""
    assert_found(scheduler)


@pytest.mark.parametrize("bug", QUEUES, ids=lambda bug: bug.__name__)
def test_bug_in_the_queue_is_found(bug: type) -> None:
    """A scheduler with a queue that is wrong does not pass."""
    assert_found(with_waiting, bug)


def test_loss_that_forgets_the_claim_on_results_is_found() -> None:
    """Outcomes must not be given to a process that is gone."""
    assert_found(with_results, KeepsClaimsOfTheLost)


def test_serving_the_newest_claim_on_results_is_found() -> None:
    """Whoever waits for an outcome has his turn."""
    assert_found(with_results, NewestOutcomeClaimFirst)


def test_search_passes_a_scheduler_without_a_bug() -> None:
    """What finds the planted bugs finds nothing where none was planted."""
    few = settings(SEARCH, max_examples=40)
    run_state_machine_as_test(SchedulerMachine, settings=few)
