"""Bugs to plant: each is one defect in one place, and a world in which it is at work.

Defects of the real code are subclasses of it, those of the protocol subclasses of what plays its
part here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker.core.effects import Effects
from masterworker.core.hand import Hand
from masterworker.core.lanes import Lanes
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import CANCELLED, FAILURE, Lease, Outcome, State, Task
from simulation.worker import SimWorker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masterworker.core.member import Member
    from simulation.kernel import Run


# -- the scheduler ----------------------------------------------------------------------------


class LastOutcomeWins(Scheduler):
    """A late result overwrites the one that was accepted."""

    def on_reported(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> Any:
        outcomes = list(outcomes)
        for task_id, _, kind, payload in outcomes:
            task = self.tasks.get(task_id)
            if task is not None and task.state is State.SETTLED:
                task.kind, task.payload = kind, payload
        return super().on_reported(member_id, outcomes, now)


class NoDeduplication(Scheduler):
    """A second report of a task is delivered as well."""

    def on_reported(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> Any:
        outcomes = list(outcomes)
        refused, effects = super().on_reported(member_id, outcomes, now)
        return [i for i in refused if not 0 < i < self._next_task], effects


class LateFailureAccepted(Scheduler):
    """A failure of an attempt that was given up settles a task that is under way elsewhere."""

    def _late(self, task: Task | None, attempt: int, kind: int, *rest: Any) -> Task | None:
        if task is not None and task.state in {State.LEASED, State.STARTED} and kind == FAILURE:
            return task
        return super()._late(task, attempt, kind, *rest)


class LateResultWithoutWithdrawal(Scheduler):
    """A late result settles a task whose copy stays in the queue."""

    def _withdrawn(self, task: Task) -> Task:
        fresh = super()._withdrawn(task)
        task.state = State.WAITING
        return fresh


class NoRequeueOnLoss(Scheduler):
    """What a lost worker had in its hands stays there."""

    def on_lost(self, member_id: int, *args: Any, **kwargs: Any) -> Effects:
        member = self.members.get(member_id)
        held = dict(member.leases) if member is not None else {}
        if member is not None:
            member.leases.clear()
        effects = super().on_lost(member_id, *args, **kwargs)
        for task in held.values():
            self.tasks[task.id] = task
        return effects


class ClaimOfTheLostStays(Scheduler):
    """A worker that is gone goes on waiting for tasks, and gets them."""

    def _remove(self, member: Member) -> Effects:
        kept = [claim for claim in self.waiting.claims if claim.taker is member]
        effects = super()._remove(member)
        for claim in kept:
            self.waiting._claims[claim.id] = claim
            claim.view.idle[claim.id] = claim
        return effects


class StrikeForAllHeld(Scheduler):
    """Every task in the hands of a worker that ended gets the strike."""

    def _blame(self, held: list[Task], *rest: Any) -> None:
        for task in held:
            super()._blame([task], *rest)

    def on_ended(self, member_id: int, guilty: int, *rest: Any, blame: bool = True) -> Effects:
        return self.on_lost(member_id, *rest, blame=blame)


class StrikeForSilence(Scheduler):
    """Who is only cut off is taken for dead."""

    def on_lost(self, *args: Any, **kwargs: Any) -> Effects:
        return super().on_lost(*args, **{**kwargs, "blame": True})


class StrikesStay(Scheduler):
    """A process that comes back does not take back the strike of its broken connection."""

    def _absolve(self, member_id: int, now: float) -> None:
        pass


class NeverGivesUp(Scheduler):
    """A task that kills its workers is tried for ever."""

    def __init__(self) -> None:
        super().__init__(max_losses=1000)


class AttemptsAreReused(Scheduler):
    """A task that comes back begins with attempt 1 again."""

    def _requeue(self, held: list[Task], *rest: Any) -> Effects:
        for task in held:
            task.attempt = 0
        return super()._requeue(held, *rest)


class SilenceIsNotNoticed(Scheduler):
    """Nobody is ever silent for too long."""

    def on_tick(self, now: float) -> Effects:
        for member in self.members.values():
            member.heard = now
        return super().on_tick(now)


class SignsOfLifeAreNotNoted(Scheduler):
    """A heartbeat does not count."""

    def on_heard(self, member_id: int, now: float) -> bool:
        return member_id in self.members


class MassExpiry(Scheduler):
    """After standing still itself, the master takes everybody for lost."""

    def on_tick(self, now: float) -> Effects:
        self._liveness._last_tick = now
        return super().on_tick(now)


class ReportIsAwaitedForEver(Scheduler):
    """A supervisor that does not explain an end keeps its tasks from all others."""

    def _unexplained(self, now: float) -> Effects:
        for member_id in self.closed:
            self.members[member_id].heard = now
        return Effects()


class RetriesWithoutEnd(Scheduler):
    """Failures are not counted."""

    def _try_again(self, task: Task, *rest: Any) -> bool:
        self._retries.pop(task.id, None)
        return super()._try_again(task, *rest)


class PauseWithoutEnd(Scheduler):
    """What pauses after a failure is never tried again."""

    def _resume(self, now: float, effects: Effects) -> None:
        pass


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


class CopyTakesNothingAway(Scheduler):
    """After a copy was handed out, two workers hold the task."""

    def _copy(self, task: Task, before: Member, to: Member, now: float) -> list[Lease]:
        leases = super()._copy(task, before, to, now)
        before.leases[task.id] = task
        return leases


class DeafToWhatComesBack(Scheduler):
    """A waiting worker is not given what another one had to give back."""

    def _match_tasks(self, now: float) -> Effects:
        return Effects()

    def on_requested(self, *args: Any, **kwargs: Any) -> tuple[int, Effects]:
        first, effects = super().on_requested(*args, **kwargs)
        effects = Effects()
        effects.add(super()._match_tasks(0.0))
        return first, effects


class WithdrawnItemsComeBack(Lanes):
    """What has been withdrawn from the queue is handed out when its turn comes."""

    def take(self, *args: Any) -> list[Task]:
        for lane in self._lanes.values():
            for item in lane:
                if item.state is State.DELIVERED:
                    item.state = self._alive
                    self.count += 1
        return super().take(*args)


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


class IgnoresRejoin(SimWorker):
    """A worker that is not known any more goes on as if it were."""

    def _obey(self, me: str, order: str, argument: int) -> Run:
        if order != "rejoin":
            yield from super()._obey(me, order, argument)


class NeverLooksForTheMaster(SimWorker):
    """After a broken connection it speaks as the one that it was before."""

    def _find_again(self, me: str) -> Run:
        yield 0.1


class AnswersForTheNextAttempt(SimWorker):
    """The attempt number is off by one after a failure."""

    def _execute(self, lease: Lease) -> Run:
        outcome = yield from super()._execute(lease)
        return outcome._replace(attempt=lease.attempt + (lease.attempt > 1))


class FinishesForTheNextRun(SimWorker):
    """The outcome of a task of one master goes to the next one, under the same number."""

    def _finish(self, outcome: Outcome, run: str) -> None:
        super()._finish(outcome, self.hand.instance)


class WaitsForTheNextRun(SimWorker):
    """A task of one master waits for what others have asked the next one for."""

    def _require_same_run(self) -> None:
        pass
