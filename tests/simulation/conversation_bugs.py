"""Bugs to plant in the conversation: what the machine and its clients do not say, or say twice.

Each is the product's own machine, or a part of it, with one defect in one place; `strengths` and
`tune` say in which world it is at work soonest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import replace

from masterworker import wire
from masterworker.conversation.backpressure import BackPressure
from masterworker.conversation.caller import Caller
from masterworker.conversation.collecting import Collecting
from masterworker.conversation.dispatcher import Dispatcher
from masterworker.conversation.membership import Membership
from masterworker.conversation.numbered import Call, Event, NumberedCalls
from masterworker.conversation.orders import MemberOrders
from masterworker.conversation.revoking import Revoking
from masterworker.conversation.submissions import Flush, FlushRule, SubmissionBuffer
from masterworker.conversation.supervision import Supervision
from masterworker.conversation.waiting import Waiters
from masterworker.core.options import Options
from masterworker.errors import TransportError
from simulation.desk import Desk
from simulation.swarm import ALL

if TYPE_CHECKING:
    from collections.abc import Generator

    from masterworker.conversation.waiting import Waiter
    from simulation.desk import Session
    from simulation.swarm import Swarm


def supervised(swarm: Swarm) -> None:
    """All workers are on one host, and can do everything."""
    swarm.workers = [(ALL, slowness, 0) for _, slowness, _ in swarm.workers]


def stubborn(swarm: Swarm) -> None:
    """Tasks do not heed their time limits, and their supervisor ends them."""
    supervised(swarm)
    for batch in swarm.batches:
        batch.options = Options(timeout=0.3)
        for spec in batch.specs:
            spec.stubborn, spec.seconds, spec.poison, spec.further = True, 4.0, False, 0


def ended_as_the_master_was_away(swarm: Swarm) -> None:
    """Workers end while there is no master, and others have their numbers with the next one."""
    supervised(swarm)
    swarm.faults_end, swarm.restart, swarm.down, swarm.kill = 6.0, 2.0, 0.3, 3.0
    for batch in swarm.batches:
        batch.when, batch.options = 0.0, None
        for spec in batch.specs:
            spec.seconds = max(spec.seconds, 1.0)


def clients_that_hang_up(swarm: Swarm) -> None:
    """Clients wait for outcomes, and lose their connections meanwhile."""
    swarm.faults_end, swarm.clients, swarm.reset, swarm.kill_client = 15.0, 2, 1.0, 0.3
    swarm.half_open = 0.0
    for batch in swarm.batches:
        batch.direct, batch.singly = False, False
        for spec in batch.specs:
            spec.seconds = max(spec.seconds, 1.0)


def clients_that_call_again_at_once(swarm: Swarm) -> None:
    """Connections break twice while a call waits, and the next one comes before that has ended."""
    clients_that_hang_up(swarm)
    swarm.faults_end, swarm.reset, swarm.latency = 25.0, 3.0, 0.05


def asked_back_in_vain(swarm: Swarm) -> None:
    """Tasks are asked back from workers that no supervisor tells, and which are slow to answer."""
    swarm.workers = [(ALL, slowness, -1) for _, slowness, _ in swarm.workers]
    swarm.faults_end, swarm.revoke = max(swarm.faults_end, 5.0), 20.0
    for batch in swarm.batches:
        batch.options = None


class CancelsWhatItHasRefused(Revoking):
    """A caller that was told that a task goes on has it cancelled all the same, later."""

    tune = staticmethod(asked_back_in_vain)

    def close(self, waiter: Waiter) -> None:
        pass


class PromisesToCancel(Revoking):
    """Whatever a worker has is taken for cancelled as soon as the worker is asked."""

    tune = staticmethod(asked_back_in_vain)

    def _look_at(self, call: Any, now: float) -> None:
        super()._look_at(call, now)
        call.cancelled += call.open
        call.open.clear()


# -- joining, leaving, endings ------------------------------------------------------------------


class RejoinKeepsLeases(Membership):
    """A process that joins again is another one, and keeps what it had."""

    def join(self, hello: wire.Hello, now: float) -> int:
        if (process := self._here.pop(hello.client, None)) is not None:
            del self._members[process.member_id]
        return super().join(hello, now)


class StrangersAreServed(Dispatcher):
    """A process that is not registered is told that there is no work, instead of joining again."""

    def exchange(self, *args: Any) -> Any:
        reply, waiter = super().exchange(*args)
        if reply is not None:
            reply = replace(reply, orders=[o for o in reply.orders if o[0] != wire.REJOIN])
        return reply, waiter


class OldMembersEndAgain(Supervision):
    """A supervisor's news of another run of the master is taken for news of this one."""

    tune = staticmethod(ended_as_the_master_was_away)

    def _take_ending(self, name: str, ending: Any, now: float) -> None:
        super()._take_ending(name, replace(ending, run=0), now)


class EndedIsDead(Supervision):
    """A worker that its supervisor has ended counts as one that has died of its task."""

    tune = staticmethod(stubborn)

    def _take_ending(self, name: str, ending: Any, now: float) -> None:
        super()._take_ending(name, replace(ending, blame=True, outcome=None), now)


class LimitIsNoOutcome(Supervision):
    """A task for which a supervisor has ended a worker is simply tried once more."""

    tune = staticmethod(stubborn)

    def _take_ending(self, name: str, ending: Any, now: float) -> None:
        super()._take_ending(name, replace(ending, outcome=None), now)


class EndsAreNotNoticed(Desk):
    """The end of a connection is no loss: what it had promised to somebody stays promised."""

    def closed(self, session: Session) -> None:
        session.members.clear()


class EndsAreNoticedOnce(Desk):
    """A process that hung up while it waited does not come for what it was promised just then."""

    tune = staticmethod(clients_that_hang_up)

    def closed(self, session: Session) -> None:
        if not session.gone:
            super().closed(session)


# -- waiting ------------------------------------------------------------------------------------


class LendsWhatIsAwaited(Collecting):
    """A process that waits for an outcome is lent tasks of its tag, able to execute them or not."""

    def _lend(self, member_id: int, lend: int, tag: str | None, now: float) -> Any:
        if tag is not None and lend != wire.NOTHING:
            leases, claim = self._core.on_fetch(member_id, 1, now, tag)
            if leases or lend == wire.AWAITED:
                return leases, claim
            if claim is not None:
                self._core.on_unparked(claim)
        return super()._lend(member_id, lend, tag, now)


class LendsAnything(Collecting):
    """A process deep inside other tasks gets what comes next, and not what it waits for."""

    def _lend(self, member_id: int, lend: int, tag: str | None, now: float) -> Any:
        if lend == wire.AWAITED:
            return [], None
        return super()._lend(member_id, lend, None, now)


class ClaimsOutliveTheirCallers(Waiters):
    """A call that does not wait any longer is given tasks all the same."""

    def close(self, waiter: Waiter) -> None:
        for claim in waiter.claims:
            self._by_claim.pop(claim, None)


class DeferredForEver(Waiters):
    """A deferred reply for which nothing comes is never sent."""

    def overdue(self, now: float) -> list[Waiter]:
        return []


# -- orders -------------------------------------------------------------------------------------


class OrderedAgain(MemberOrders):
    """An order is given with every reply from then on: it is never forgotten."""

    strengths: ClassVar = {"cancel": 1.0, "faults_end": 15.0}

    def take(self, member_id: int) -> list[tuple[str, int]]:
        return list(self._orders.get(member_id, ()))


# -- requests on their way in -------------------------------------------------------------------


class FlushIsLost(SubmissionBuffer):
    """What is noted while the buffer is being emptied is forgotten with the rest."""

    def take(self) -> Any:
        runs = super().take()
        return runs[:1]


class NumbersAreReused(SubmissionBuffer):
    """After the buffer was emptied, numbers begin where its last run began."""

    def take(self) -> Any:
        runs = super().take()
        if runs:
            self._next = runs[-1].first + 1
        return runs


class StopsWatching(FlushRule):
    """A tick that found nothing waiting leaves the word that there will be another one."""

    def ticked(self, now: float, *, waiting: bool) -> bool:
        super().ticked(now, waiting=waiting)
        self.watching = True
        return waiting


class HurriesAgain(SubmissionBuffer):
    """A request that hurried is taken in again by the step that it was in a hurry for."""

    def take(self) -> Any:
        runs = super().take()
        if len(runs) == 1 and len(runs[0].payloads) == 1 and runs[0].direct:
            self.runs = [*runs]
        return runs


class NeverInAHurry(FlushRule):
    """Requests wait for a tick that nobody has asked for."""

    def after_one(self, *, kept: bool) -> Flush:
        return Flush.LATER


# -- back-pressure ------------------------------------------------------------------------------


class HeldBackForEver(Dispatcher):
    """Tasks that are held back stay so, whatever is picked up."""

    def weigh(self, now: float, *, asking: bool = False) -> None:
        if not self.core.held_back:
            super().weigh(now, asking=asking)


class WaitersDoNotCount(BackPressure):
    """Tasks are held back from a program that waits for their outcomes, and drops none before."""

    def decide(self, core: Any, executing: Any, now: float) -> bool:
        return self.is_high()


class ThoseThatWaitExecute(Collecting):
    """A process that only waits inside a task counts as one that executes."""

    def others_execute(self) -> bool:
        return any(member.leases for member in self._core.members.values())


# -- numbered calls -----------------------------------------------------------------------------


class EveryRequestIsNew(NumberedCalls):
    """A request whose reply was lost is carried out once more."""

    strengths: ClassVar = {"lose_reply": 0.3, "faults_end": 15.0}

    def begin(self, client: str, number: int, channel: Any) -> Any:
        self._last.pop(client, None)
        return super().begin(client, number, channel)


class LateCopiesAreNew(NumberedCalls):
    """A copy of an earlier call, late on its way, is carried out once more."""

    strengths: ClassVar = {"duplicate": 0.5, "lose_reply": 0.2, "faults_end": 15.0}

    def begin(self, client: str, number: int, channel: Any) -> Any:
        call = self._last.get(client)
        if call is not None and number < call.number:
            del self._last[client]
        return super().begin(client, number, channel)


class AcknowledgesTheLast(NumberedCalls):
    """An acknowledgement that comes late acknowledges what has not arrived yet."""

    strengths: ClassVar = {"duplicate": 0.5, "lose_reply": 0.3, "delay": 0.2, "faults_end": 15.0}

    def acknowledge(self, client: str, number: int) -> None:
        if (call := self._last.get(client)) is not None:
            number = call.number
        super().acknowledge(client, number)


class AcknowledgedAsItIsMade(NumberedCalls):
    """A reply counts as arrived as soon as it was made."""

    strengths: ClassVar = {"lose_reply": 0.3, "faults_end": 15.0}

    def complete(self, call: Call, reply: Any) -> Any:
        done = super().complete(call, reply)
        call.happens(Event.ARRIVED)
        return done


class KeepsWhatWasGivenUp(NumberedCalls):
    """Outcomes whose reply was given up stay where they are."""

    strengths: ClassVar = {"lose_reply": 0.3, "lose_request": 0.3, "faults_end": 15.0}

    def forgo(self, client: str, number: int | None = None) -> Any:
        return ()


class ForgoesOnlyWhatIsDone(NumberedCalls):
    """What a call brings that was given up while it was under way stays where it is."""

    tune = staticmethod(clients_that_call_again_at_once)

    def forgo(self, client: str, number: int | None = None) -> Any:
        if (call := self._last.get(client)) is not None and call.done:
            return super().forgo(client, number)
        return ()


class NobodyWaitsForTheAbsent(NumberedCalls):
    """Outcomes for a client that is gone stay with its last call."""

    strengths: ClassVar = {"kill_client": 0.3, "lose_reply": 0.3, "faults_end": 15.0}

    def on_tick(self, now: float) -> Any:
        self._abandoned.clear()
        return []


# -- clients ------------------------------------------------------------------------------------


class NumbersAttempts(Caller):
    """A request that is repeated looks like another one."""

    def once(self, operation: str, args: tuple[Any, ...]) -> Generator[Any, Any, Any]:
        self.number += 1
        try:
            return (yield operation, self.name, self.number, *args)
        except TransportError:
            self.number += 1
            return (yield operation, self.name, self.number, *args)


class ForgetsWhatItGaveUp(Caller):
    """What a call brings that had no answer is not given to others."""

    strengths: ClassVar = {"lose_reply": 0.3, "faults_end": 15.0}

    def before(self, operation: str) -> Any:
        self.unanswered = 0
        return super().before(operation)


class NumbersAreNotCounted(Caller):
    """Each call has the number of the one before."""

    def once(self, operation: str, args: tuple[Any, ...]) -> Generator[Any, Any, Any]:
        self.number = 0
        return super().once(operation, args)
