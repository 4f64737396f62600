"""Bugs that are put in on purpose: the state machine has to find each of them.

Those of the scheduler that the simulation finds as well are written there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec.structs import replace

from blocks import each_outcome
from masterworker.core.chunks import Chunk
from masterworker.core.claims import Claims
from masterworker.core.crashes import CrashPolicy
from masterworker.core.departure import Departure, Left
from masterworker.core.departures import Departures
from masterworker.core.dispatch import Dispatch
from masterworker.core.effects import Effects
from masterworker.core.filters import TagFilter, TagFilters
from masterworker.core.reports import CURRENT, Reports
from masterworker.core.scheduler import Scheduler
from masterworker.core.settlement import Settlement
from masterworker.core.task import RESULT, Finished, Outcome, State, Task
from masterworker.core.task_queues import TaskQueues
from masterworker.core.task_table import TaskTable
from masterworker.data.items import single
from masterworker.errors import InternalError
from model.machine import SchedulerMachine
from model.test_scheduler_model import SETTINGS
from planting import plant, planted
from simulation import bugs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker.core.blocks import Block, Item
    from masterworker.core.chunks import Single
    from masterworker.core.task import Lease

pytestmark = pytest.mark.search

#: Enough to find every one of them; one that is found ends its search.
SEARCH = settings(
    SETTINGS,
    max_examples=400,
    stateful_step_count=40,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)


class NoAttemptCheck(Reports):
    """Whatever the holder says of a task counts, whichever attempt it speaks of."""

    def judge(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> list[int]:
        blind = [replace(outcome, attempt=CURRENT) for outcome in outcomes]
        return super().judge(member_id, blind, now)


class NoHolderCheck(Reports):
    """Whatever any process says of a task counts as if its holder had said it."""

    def judge(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> list[int]:
        refused: list[int] = []
        for outcome in each_outcome(outcomes):
            task = self._table.find(outcome.task_id)
            holder = task.holder if task is not None else None
            speaker = member_id if holder is None else holder
            refused += super().judge(speaker, [outcome], now)
        return refused


class LateFailureAccepted(Reports):
    """A failure of an attempt that was given up settles the task."""

    def _late(self, task: Item | None, outcome: Outcome, *rest: Any) -> Item | None:
        return super()._late(task, replace(outcome, kind=RESULT), *rest)


class LateResultRefused(Reports):
    """A correct result is thrown away because its worker had been given up."""

    def _late(self, task: Item | None, outcome: Outcome, member_id: int, *rest: Any) -> Any:
        if task is not None and task.holder != member_id:
            return None
        return super()._late(task, outcome, member_id, *rest)


class DuplicateDelivered(Scheduler):
    """The second report of a task reaches the one who asked as well."""

    def on_reported(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> Any:
        outcomes = each_outcome(outcomes)
        refused, effects = super().on_reported(member_id, outcomes, now)
        for outcome in outcomes:
            task_id, kind, payload = outcome.task_id, outcome.kind, outcome.payload
            known = not 0 < task_id < self.table.next_id or self.find(task_id) is not None
            if task_id in refused and not known:
                effects.direct.append(Finished(task_id, "a", kind, [payload], ""))
        return refused, effects


class LastOutcomeWins(Scheduler):
    """The second report of a task overwrites the first before it is picked up."""

    def on_reported(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> Any:
        for outcome in (outcomes := each_outcome(outcomes)):
            task = self.tasks.get(outcome.task_id)
            if task is not None and task.state is State.SETTLED:
                task.payload = outcome.payload
        return super().on_reported(member_id, outcomes, now)


class LeaseStaysInHands(Settlement):
    """A task that was reported is still in its worker's hands."""

    def settle(self, task: Task, *args: Any) -> None:
        holder = task.holder
        super().settle(task, *args)
        if holder is not None:
            self._members[holder].leases[task.id] = task


class NoRequeueOnLoss(Departures):
    """What a lost worker had in its hands is gone with it."""

    def depart(self, member_id: int, why: Departure, now: float) -> None:
        members = self._members.members
        if member_id in members and not isinstance(why, Left):
            for item in members[member_id].leases.values():
                if isinstance(item, Task):
                    del self._table.tasks[item.id]
                else:
                    self._table.blocks.remove(item)
            members[member_id].leases.clear()
        super().depart(member_id, why, now)


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

    def withdraw(self, item: Item) -> None:
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
    """No claim that waits is served when tasks are asked for."""

    def on_requested(self, *args: Any, **options: Any) -> Any:
        self.dispatch.match, heard = lambda now: None, self.dispatch.match  # type: ignore[method-assign]
        try:
            return super().on_requested(*args, **options)
        finally:
            self.dispatch.match = heard  # type: ignore[method-assign]


class DeafToResults(Settlement):
    """No claim that waits for outcomes is served."""

    def _match(self) -> None:
        pass


class InnocentsBlamed(CrashPolicy):
    """Everything in the hands of a worker that ended gets a strike."""

    def suspect(self, held: list[Task]) -> list[Task]:
        super().suspect(held)
        return held


class NeverGivesUp(CrashPolicy):
    """A task that ends every worker is handed out for ever."""

    def is_too_much(self, task: Task) -> bool:
        return False


class HandsOutAfterTheEnd(Scheduler):
    def on_fetch(self, *args: Any) -> Any:
        ended, self.dispatch.terminated = self.terminated, False
        try:
            return super().on_fetch(*args)
        finally:
            self.dispatch.terminated = ended


class UndeliveredAtTheEnd(Settlement):
    def put_back(self, outcomes: Sequence[Finished]) -> None:
        super().put_back(outcomes)
        again = [task for task in self.results.items() if task.order < 0]
        self.results.take(self._any_tag, len(again))
        for task in again:
            self.results.append(task.tag, [task])


class NeverExpires(Scheduler):
    """Silence is never noticed."""

    def on_tick(self, now: float) -> Effects:
        return Effects()


class ForgetsTheRest(TaskTable):
    """When tasks leave their block, what came behind them is lost."""

    def split(self, block: Block, first: int, number: int) -> Item:
        follows = first + number <= block.last
        piece = super().split(block, first, number)
        if follows and (rest := self.find(first + number)) and rest.holder is not None:
            del self._members[rest.holder].leases[rest.last]
            self.tasks.pop(rest.id, None)
            if not isinstance(rest, Task):
                rest.end()
        return piece


class PartsBeginAnew(TaskTable):
    """The parts of a block have another number of attempts."""

    def _replace(self, block: Block, parts: list[Item]) -> None:
        for part in parts:
            part.attempt -= len(parts) > 1
        super()._replace(block, parts)


class PartsInDisorder(TaskTable):
    """The parts of a block come back in another order."""

    def _replace(self, block: Block, parts: list[Item]) -> None:
        super()._replace(block, parts[::-1])


class SettlesARowBlindly(Settlement):
    """Of results in a row, it is looked at the first alone."""

    def settle_first(self, block: Block, results: list[bytes], *rest: Any) -> None:
        first = block.id
        super().settle_first(block, results, *rest)
        again = first + len(results)
        task = self._table.tasks.get(again)
        if task is not None and task.direct and task.attempt > 1:
            self.settle(task, RESULT, results[-1], None)


class ChunksBeginAnew(Dispatch):
    """A part of a chunk is handed out as if it were its beginning."""

    def lease(self, *args: Any) -> list[Lease]:
        leases = super().lease(*args)
        parts = [(lease, lease.payloads) for lease in leases]
        return [
            replace(lease, payloads=Chunk(part.data, 0, part.number))
            if isinstance(part, Chunk)
            else lease
            for lease, part in parts
        ]


class ChunksOfResultsBeginAnew(Settlement):
    """Of a chunk of results that is taken apart, all parts are its beginning."""

    def settle_first(self, block: Block, results: Any, *rest: Any) -> None:
        if isinstance(results, Chunk):
            results = Chunk(results.data, 0, results.number)
        super().settle_first(block, results, *rest)


def with_results(bug: type, single: Single) -> Scheduler:
    core = Scheduler(single=single)
    plant(core.results, bug)
    return core


DECISIONS = [
    NoAttemptCheck,
    NoHolderCheck,
    LateFailureAccepted,
    LateResultRefused,
    DuplicateDelivered,
    LastOutcomeWins,
    LeaseStaysInHands,
    NoRequeueOnLoss,
    DeafToNewTasks,
    bugs.DeafToWhatComesBack,
    DeafToResults,
    InnocentsBlamed,
    bugs.StrikeForSilence,
    NeverGivesUp,
    HandsOutAfterTheEnd,
    UndeliveredAtTheEnd,
    NeverExpires,
    bugs.MassExpiry,
    bugs.SignsOfLifeAreNotNoted,
    ForgetsTheRest,
    PartsBeginAnew,
    PartsInDisorder,
    SettlesARowBlindly,
    bugs.SettlesWhatIsGone,
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
    bugs.BlocksCountAsOne,
]


def assert_found(make: Any, *args: Any) -> None:
    class Planted(SchedulerMachine):
        def make_core(self) -> Scheduler:
            return make(*args, single)

    with pytest.raises((AssertionError, InternalError)):
        run_state_machine_as_test(Planted, settings=SEARCH)


@pytest.mark.parametrize("bug", DECISIONS, ids=lambda bug: bug.__name__)
def test_bug_in_a_decision_is_found(bug: type) -> None:
    """A scheduler that decides wrongly does not pass."""
    assert_found(planted, bug)


@pytest.mark.parametrize("bug", QUEUES, ids=lambda bug: bug.__name__)
def test_bug_in_the_queue_is_found(bug: type) -> None:
    """A scheduler with a queue that is wrong does not pass."""
    assert_found(planted, bug)


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
