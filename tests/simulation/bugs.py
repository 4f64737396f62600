"""Bugs to plant: each is one defect in one place, and a world in which it is at work.

Defects of the real code are subclasses of it, those of the protocol subclasses of what plays its
part here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from blocks import each_outcome
from masterworker import wire
from masterworker.conversation.worker import effects
from masterworker.conversation.worker.session import WorkerSession
from masterworker.core.crashes import CrashPolicy
from masterworker.core.departure import Blameless, Departure, Left, Vanished
from masterworker.core.departures import Departures
from masterworker.core.dispatch import Dispatch
from masterworker.core.further import FurtherTasks
from masterworker.core.hand import Hand
from masterworker.core.liveness import Liveness
from masterworker.core.member_table import MemberTable
from masterworker.core.reports import Reports
from masterworker.core.retries import Retries, Retry
from masterworker.core.row import Row
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import CANCELLED, FAILURE, Finished, Lease, Outcome, State, Task
from masterworker.core.task_queues import TaskQueues
from masterworker.core.task_table import TaskTable
from masterworker.data.items import one_by_one
from simulation.worker import SimWorker

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker.conversation.worker.session import Steps
    from masterworker.core.blocks import Block, Item
    from masterworker.core.effects import Effects
    from masterworker.core.member import Member
    from masterworker.errors import TransportError
    from simulation.kernel import Run
    from simulation.swarm import Swarm


def another_master(swarm: Swarm) -> None:
    """The master ends while tasks are executed, and there is another one soon."""
    swarm.faults_end, swarm.restart, swarm.down = max(swarm.faults_end, 4.0), 1.0, 0.1
    for batch in swarm.batches:
        batch.when, batch.options = 0.0, None
        for spec in batch.specs:
            spec.seconds, spec.poison = max(spec.seconds, 1.5), False


def another_master_for_nested_tasks(swarm: Swarm) -> None:
    """The same, and each task asks for further ones."""
    another_master(swarm)
    for batch in swarm.batches:
        for spec in batch.specs:
            spec.further = 2


def results_that_pile_up(swarm: Swarm) -> None:
    """Each result is too much, and workers die with tasks, which is noticed long after that."""
    swarm.bulk, swarm.bound, swarm.kill, swarm.half_open = 5000, 1, 0.3, 1.0
    swarm.unwatched = frozenset(range(len(swarm.workers)))
    swarm.faults_end = max(swarm.faults_end, 5.0)


def cancelled_as_they_wait(swarm: Swarm) -> None:
    """Tasks wait for further ones, and are cancelled when they are lent another one."""
    swarm.cancel_waiting, swarm.depth = 0.9, 16
    for batch in swarm.batches:
        batch.options = None
        for spec in batch.specs:
            spec.further, spec.poison = 2, False


# -- the scheduler ----------------------------------------------------------------------------


class LastOutcomeWins(Scheduler):
    """A late result overwrites the one that was accepted."""

    def on_reported(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> Any:
        outcomes = list(outcomes)
        for outcome in each_outcome(outcomes):
            task = self.tasks.get(outcome.task_id)
            if task is not None and task.state is State.SETTLED:
                task.kind, task.payload = outcome.kind, outcome.payload
        return super().on_reported(member_id, outcomes, now)


class NoDeduplication(Scheduler):
    """A second report of a task is delivered as well."""

    def on_reported(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> Any:
        outcomes = list(outcomes)
        refused, effects = super().on_reported(member_id, outcomes, now)
        return [i for i in refused if not 0 < i < self.table.next_id], effects


class LateFailureAccepted(Reports):
    """A failure of an attempt that was given up settles a task that is under way elsewhere."""

    def _late(self, task: Item | None, outcome: Outcome, *rest: Any) -> Item | None:
        under_way = task is not None and task.state in {State.LEASED, State.STARTED}
        if under_way and outcome.kind == FAILURE:
            return task
        return super()._late(task, outcome, *rest)


class LateResultWithoutWithdrawal(TaskTable):
    """A late result settles a task whose copy stays in the queue."""

    def _withdrawn(self, task: Task) -> Task:
        fresh = super()._withdrawn(task)
        task.state = State.WAITING
        return fresh


class NoRequeueOnLoss(Departures):
    """What a lost worker had in its hands stays there."""

    def depart(self, member_id: int, why: Departure, now: float) -> None:
        member = self._members.members.get(member_id)
        held = dict(member.leases) if member is not None else {}
        if isinstance(why, Left):
            held = {}
        elif member is not None:
            member.leases.clear()
        super().depart(member_id, why, now)
        for task in held.values():
            if isinstance(task, Task):
                self._table.tasks[task.id] = task


class ClaimOfTheLostStays(Departures):
    """A worker that is gone goes on waiting for tasks, and gets them."""

    def _drop_claims(self, member: Member) -> None:
        pass


class StrikeForAllHeld(Departures):
    """Every task in the hands of a worker that ended gets the strike."""

    def _guilty(self, member: Member, why: Departure, now: float) -> list[Task]:
        super()._guilty(member, why, now)
        return self._may_have_executed(member)


class StrikeForSilence(Departures):
    """A process that is only cut off is taken for dead."""

    def depart(self, member_id: int, why: Departure, now: float) -> None:
        blamed = Vanished(why.reason) if isinstance(why, Blameless) else why
        super().depart(member_id, blamed, now)


class StrikesStay(CrashPolicy):
    """A process that comes back does not take back the strike of its broken connection."""

    def absolve(self, member_id: int, now: float) -> None:
        pass


class NeverGivesUp(Scheduler):
    """A task that kills its workers is tried for ever."""

    def __init__(self, **given: Any) -> None:
        super().__init__(max_losses=1000, **given)


class AttemptsAreReused(Dispatch):
    """A task that comes back begins with attempt 1 again."""

    def put_back(self, items: Sequence[Item], *rest: Any) -> None:
        for item in items:
            item.attempt = 0
        super().put_back(items, *rest)


class SilenceIsNotNoticed(Scheduler):
    """Nobody is ever silent for too long."""

    def on_tick(self, now: float) -> Effects:
        for member in self.members.values():
            member.heard = now
        return super().on_tick(now)


class SignsOfLifeAreNotNoted(MemberTable):
    """A heartbeat does not count."""

    def heard(self, member_id: int, now: float) -> bool:
        return member_id in self.members


class MassExpiry(Liveness):
    """After standing still itself, the master takes everybody for lost."""

    def expired(self, now: float) -> list[Member]:
        self._last_tick = now
        return super().expired(now)


class ReportIsAwaitedForEver(MemberTable):
    """A supervisor that does not explain an end keeps its tasks from all others."""

    def unexplained(self, now: float) -> list[tuple[int, str]]:
        for member_id in self.closed:
            self.members[member_id].heard = now
        return []


class RetriesWithoutEnd(Retries):
    """Failures are not counted."""

    def decide(self, task: Task) -> Retry | None:
        self._retried.pop(task.id, None)
        return super().decide(task)


class PauseWithoutEnd(Retries):
    """What pauses after a failure is never tried again."""

    def due(self, now: float) -> list[Task]:
        return []


class CancelledTwice(Scheduler):
    """Cancelling a task that has its outcome already gives it another one."""

    def on_cancelled(self, task_ids: Iterable[int], now: float) -> tuple[list[int], Effects]:
        ids = list(task_ids)
        cancelled, effects = super().on_cancelled(ids, now)
        for task_id in ids:
            task = self.tasks.get(task_id)
            if task is not None and task.state is State.SETTLED:
                task.kind, task.payload = CANCELLED, b""
        return cancelled, effects


class NobodyIsToldToStop(Scheduler):
    """A worker goes on executing what has been cancelled."""

    def on_cancelled(self, task_ids: Iterable[int], now: float) -> tuple[list[int], Effects]:
        cancelled, effects = super().on_cancelled(task_ids, now)
        effects.orders.clear()
        return cancelled, effects


class CopyTakesNothingAway(Dispatch):
    """After a copy was handed out, two workers hold the task."""

    def _copy(self, task: Task, before: Member, *rest: Any) -> None:
        super()._copy(task, before, *rest)
        before.leases[task.id] = task


class DeafToWhatComesBack(Dispatch):
    """A waiting worker is not given what another one had to give back."""

    deaf = False

    def put_back(self, *args: Any) -> None:
        self.deaf = True
        try:
            super().put_back(*args)
        finally:
            self.deaf = False

    def match(self, now: float) -> None:
        if not self.deaf:
            super().match(now)


class HeldBackAsItComesBack(Dispatch):
    """What comes back undone while tasks are held back causes no look at whether they still are."""

    tune = staticmethod(results_that_pile_up)

    def put_back(self, items: Any, why: str, now: float) -> None:
        alarmed = self._out.alarmed
        super().put_back(items, why, now)
        if self.held_back:
            self._out.alarmed = alarmed


class WithdrawnItemsComeBack(TaskQueues):
    """What has been withdrawn from the queue is handed out when its turn comes."""

    def take(self, *args: Any, **kwargs: Any) -> list[Item]:
        for lane in self._lanes.values():
            for item in lane:
                if item.state is State.DELIVERED and isinstance(item, Task):
                    item.state = self._alive
                    self.count += 1
        return super().take(*args, **kwargs)


class ForgetsTheRest(TaskTable):
    """When tasks leave their block, what came behind them is in nobody's hands any more."""

    def split(self, block: Block, first: int, number: int) -> Item:
        follows = first + number <= block.last
        piece = super().split(block, first, number)
        if follows and (rest := self.find(first + number)) and rest.holder is not None:
            del self._members[rest.holder].leases[rest.last]
        return piece


class PartsBeginAnew(TaskTable):
    """The parts of a block have another number of attempts."""

    def _replace(self, block: Block, parts: list[Item]) -> None:
        for part in parts:
            part.attempt = 1
        super()._replace(block, parts)


class SettlesWhatIsGone(TaskTable):
    """One task of a block is settled, and is handed out with the others all the same."""

    def _out_of_block(self, block: Block, task_id: int) -> Task:
        task = super()._out_of_block(block, task_id)
        block.gone.discard(task_id)
        return task


class RowsAreNeverRefused(Reports):
    """Of results in a row, those that come too late or twice are delivered all the same."""

    def _judge_several(self, outcome: Outcome, *rest: Any) -> list[int]:
        for task_id in super()._judge_several(outcome, *rest):
            payload = list(one_by_one(outcome.payloads))[task_id - outcome.task_id]
            done = Finished(task_id, "a", outcome.kind, [payload], "")
            self._out.effects.direct.append(done)
        return []


class EveryoneInABlockIsGuilty(TaskTable):
    """The neighbours of a task that has ended a worker get its strike."""

    def on_its_own(self, task_id: int) -> Task | None:
        task = super().on_its_own(task_id)
        neighbour = super().on_its_own(task_id + 1)
        if neighbour is not None and neighbour.direct and neighbour.state is not State.SETTLED:
            neighbour.losses = [*(neighbour.losses or ()), "a neighbour's"]
        return task


class BlocksCountAsOne(TaskQueues):
    """A block that comes back to the queue counts as one task."""

    def put_back(self, items: Sequence[Item]) -> None:
        super().put_back(items)
        self.count -= sum(item.size - 1 for item in items)


# -- the worker -------------------------------------------------------------------------------


class ForgetsWhatWasNotAcknowledged(Hand):
    """Outcomes are gone with the connection on which they were sent."""

    def cut_off(self) -> None:
        super().cut_off()
        self._sent = []


class ForgetsWhatCameMeanwhile(Hand):
    """A reply acknowledges also what was finished after its request."""

    def take(self, leases: Iterable[Lease]) -> None:
        super().take(leases)
        self.outcomes.clear()


class PutsDownWithoutSaying(Hand):
    """What is put down is not given back."""

    def put_down(self) -> list[int]:
        super().put_down()
        return []


class BreaksOffInTheMiddle(WorkerSession):
    """A task that is broken off as it is lent another one takes that along."""

    tune = staticmethod(cancelled_as_they_wait)

    def give_back(self, leases: list[Lease]) -> Steps[Any]:
        if not (yield effects.IsPending()):
            yield from super().give_back(leases)


class IgnoresRejoin(WorkerSession):
    """A worker that is not known any more goes on as if it were."""

    def _obey(self, order: str, argument: int) -> Steps[None]:
        if order != wire.REJOIN:
            yield from super()._obey(order, argument)


class NeverLooksForTheMaster(WorkerSession):
    """After a broken connection it speaks as the one that it was before."""

    tune = staticmethod(another_master)

    def _find_again(self, error: TransportError) -> Steps[None]:
        yield effects.Pause(0.1, 0.0, 0.0)


class GivesBackWhatItKeeps(Hand):
    """What is given back of a row is executed here as well."""

    def put_down(self) -> list[int]:
        rows = [(row, tuple(row.ids)) for row in self.leases if isinstance(row, Row)]
        ids = super().put_down()
        for row, before in rows:
            row.ids[:] = before
        return ids


class OutcomesOfRowsAreOffByOne(Hand):
    """After a part of a row has been delivered, the next part begins with the wrong task."""

    def to_send(self) -> Sequence[Outcome]:
        for row in self.outcomes:
            if isinstance(row, Row) and row._sent:
                row.first += 1
        return super().to_send()


class AnswersForTheNextAttempt(SimWorker):
    """The attempt number is off by one after a failure."""

    def _execute(self, lease: Lease) -> Run:
        outcome = yield from super()._execute(lease)
        return replace(outcome, attempt=lease.attempt + (lease.attempt > 1))


class FinishesForTheNextRun(Hand):
    """The outcome of a task of one master goes to the next one, under the same number."""

    tune = staticmethod(another_master)

    def joined(self, instance: str) -> None:
        outcomes = self.outcomes
        super().joined(instance)
        self.outcomes = outcomes


class WaitsForTheNextRun(WorkerSession):
    """A task of one master waits for what others have asked the next one for."""

    tune = staticmethod(another_master_for_nested_tasks)

    def require_same_run(self) -> None:
        pass


class OnePoolForAll(FurtherTasks):
    """Outcomes of further tasks are in the pool, and another task gets them."""

    def asked(self, task_id: int, process: str, tag: str, children: range) -> None:
        pass
