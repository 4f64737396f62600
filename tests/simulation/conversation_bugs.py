"""Bugs to plant in the conversation: what the master and its clients do not say, or say twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from masterworker import wire
from masterworker.errors import TransportError
from simulation.desk import Desk
from simulation.peers import SimClient
from simulation.replies import Call, Replies

if TYPE_CHECKING:
    from simulation.desk import Session
    from simulation.guarded import Box
    from simulation.kernel import Run


class RejoinKeepsLeases(Desk):
    """Who joins again is another one, and keeps what he had."""

    def _join(self, *args: Any) -> None:
        self._clients.pop(args[2], None)
        super()._join(*args)


class StrangersAreServed(Desk):
    """Who is not registered is told that there is no work, instead of joining again."""

    def _take_back_orders(self, reply: Any) -> Any:
        return replace(reply, orders=[]) if hasattr(reply, "orders") else reply

    def _exchange(self, answer: Any, *args: Any) -> None:
        def shy(good: bool, reply: Any) -> None:
            answer(good, self._take_back_orders(reply))

        super()._exchange(shy, *args)


class OldMembersEndAgain(Desk):
    """A supervisor's news of another run of the master is taken for news of this one."""

    def _attend(self, answer: Any, session: Session, name: str, *rest: Any) -> None:
        alive, endings, wait = rest
        endings = [(self.instance, ending) for _, ending in endings]
        super()._attend(answer, session, name, alive, endings, wait)


class EndedIsDead(Desk):
    """A worker that its supervisor has ended counts as one that has died of its task."""

    def _take_ending(self, ending: Any, now: float) -> None:
        super()._take_ending(replace(ending, blame=True, outcome=None), now)


class LimitIsNoOutcome(Desk):
    """A task for which a supervisor has ended a worker is simply tried once more."""

    def _take_ending(self, ending: Any, now: float) -> None:
        super()._take_ending(replace(ending, outcome=None), now)


class LendsWhatIsAwaited(Desk):
    """Whoever waits for an outcome is lent tasks of its tag, able to execute them or not."""

    def _can_execute(self, member_id: int, tag: str) -> bool:
        return True


class LendsAnything(Desk):
    """Whoever waits deep inside other tasks gets what comes next, and not what it waits for."""

    def _fetch_meanwhile(self, member_id: int, lend: int, tag: Any, now: float) -> Any:
        if lend == wire.AWAITED:
            return [], None
        return super()._fetch_meanwhile(member_id, lend, None, now)


class ClaimsOutliveTheirCallers(Desk):
    """Who does not wait any longer is given tasks all the same."""

    def _close(self, box: Box) -> None:
        for claim in box.claims:
            self._boxes.pop(claim, None)


class EndsAreNotNoticed(Desk):
    """The end of a connection is no loss: what it had promised to somebody stays promised."""

    def closed(self, session: Session) -> None:
        session.members.clear()


class EndsAreNoticedOnce(Desk):
    """Who hung up while he waited does not come for what he was promised at that moment."""

    def closed(self, session: Session) -> None:
        if not session.gone:
            super().closed(session)


class EveryRequestIsNew(Replies):
    """A request whose reply was lost is carried out once more."""

    def once(self, client: str, number: int, action: Any, answer: Any) -> None:
        self._last.pop(client, None)
        super().once(client, number, action, answer)


class LateCopiesAreNew(Replies):
    """A copy of an earlier call, late on its way, is carried out once more."""

    def once(self, client: str, number: int, action: Any, answer: Any) -> None:
        call = self._last.get(client)
        if call is not None and number < call.number:
            self._last[client] = call = Call(number)
        super().once(client, number, action, answer)


class AcknowledgesTheLast(Replies):
    """An acknowledgement that comes late acknowledges what has not arrived yet."""

    def acknowledge(self, client: str, number: int) -> None:
        if (call := self._last.get(client)) is not None:
            number = call.number
        super().acknowledge(client, number)


class KeepsWhatWasGivenUp(Replies):
    """Outcomes whose reply was given up stay where they are."""

    def forgo(self, client: str, number: int | None = None) -> None:
        pass


class ForgoesOnlyWhatIsDone(Replies):
    """What a call brings that was given up while it was under way stays where it is."""

    def forgo(self, client: str, number: int | None = None) -> None:
        if (call := self._last.get(client)) is not None and call.done:
            super().forgo(client, number)


class NumbersAttempts(SimClient):
    """A request that is repeated looks like another one."""

    def call_once(self, me: object, operation: str, *args: Any) -> Run:
        yield from self._calls.acquire(me)
        try:
            self._number += 1
            try:
                return (yield from self.call(me, operation, self.client, self._number, *args))
            except TransportError:
                self._number += 1
                return (yield from self.call(me, operation, self.client, self._number, *args))
        finally:
            self._calls.release()
