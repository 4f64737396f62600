"""Calls that wait, by the claims with which they wait at the scheduler."""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.effects import Effects
    from masterworker.core.task import Finished, Lease


#: In the place of a member's id: a supervisor calls, or the master itself.
NO_MEMBER: Final = -1


class State(Enum):
    """How a call stands that has found nothing."""

    __hash__ = object.__hash__  # that of enumerations is written in Python
    WAITS = "has no reply yet"
    ANSWERED = "has its reply, which is made once"
    GIVEN_UP = "its caller has gone, and what it was given goes back"


class Event(Enum):
    """What changes that."""

    __hash__ = object.__hash__
    SERVED = "something has come for it"
    ORDERED = "there is an order for it"
    DROPPED = "its process is gone, or the job has ended"
    EXPIRED = "its time is up"
    ABANDONED = "its caller does not get the reply"


#: What follows from what; a pair that is not here cannot happen. What comes after the reply changes
#: nothing: a call may have two claims, and a caller's clock may be a moment late.
TRANSITIONS: Final = {
    (State.WAITS, Event.SERVED): State.ANSWERED,
    (State.WAITS, Event.ORDERED): State.ANSWERED,
    (State.WAITS, Event.DROPPED): State.ANSWERED,
    (State.WAITS, Event.EXPIRED): State.ANSWERED,
    (State.WAITS, Event.ABANDONED): State.GIVEN_UP,
    (State.ANSWERED, Event.SERVED): State.ANSWERED,
    (State.ANSWERED, Event.ORDERED): State.ANSWERED,
    (State.ANSWERED, Event.DROPPED): State.ANSWERED,
    (State.ANSWERED, Event.EXPIRED): State.ANSWERED,
    (State.ANSWERED, Event.ABANDONED): State.GIVEN_UP,
}


class Waiter:
    """One call that waits: for tasks, for outcomes, for orders, or for what workers say.

    Args:
        channel: Where its reply goes; opaque here.
        member_id: The process that calls; `NO_MEMBER`: none does.
        claims: The claims that it waits with. When one is served, the others are taken back.
        began: When it was made.
        until: When it is to be answered at the latest; inf: the shell calls `Dispatcher.expire`.
        finish: Makes its reply, given this object and the time.
        refused: Ids of the outcomes it has brought that were not accepted.
        close: Called when it waits no more; its claims are taken back anyway.
    """

    __slots__ = (
        *("began", "channel", "claims", "close", "finish", "finished", "leases", "member_id"),
        *("orders", "refused", "reply", "state", "until"),
    )

    def __init__(
        self,
        channel: Any,
        member_id: int,
        claims: list[int],
        began: float,
        until: float,
        finish: Callable[[Waiter, float], Any],
        refused: list[int] | None = None,
        close: Callable[[Waiter], object] | None = None,
    ) -> None:
        self.channel, self.member_id, self.claims = channel, member_id, claims
        self.began, self.until, self.finish, self.close = began, until, finish, close
        self.refused = [] if refused is None else refused
        self.leases: list[Lease] = []
        self.finished: list[Finished] = []
        #: The orders that its reply carries.
        self.orders: list[tuple[str, int]] = []
        self.state = State.WAITS
        #: Set once, when there is something to say or its time is up.
        self.reply: Any = None

    def __repr__(self) -> str:
        state = self.state.value
        return f"<call of process {self.member_id}: {state}, claims {self.claims}>"

    def happens(self, event: Event) -> bool:
        """Change the state as the table says. Returns True: its reply is to be made now.

        Raises:
            KeyError: In this state that cannot happen.
        """
        before, self.state = self.state, TRANSITIONS[self.state, event]
        return before is State.WAITS and self.state is State.ANSWERED


class Waiters:
    """All calls that wait with claims.

    Args:
        unpark: Takes a claim back from the scheduler; one that has been served is no error.
    """

    def __init__(self, unpark: Callable[[int], object]) -> None:
        self._unpark = unpark
        self._by_claim: dict[int, Waiter] = {}

    def add(self, waiter: Waiter) -> None:
        """Let a call wait with its claims."""
        for claim in waiter.claims:
            self._by_claim[claim] = waiter

    def close(self, waiter: Waiter) -> None:
        """Take back the claims of a call that have not been served."""
        for claim in waiter.claims:
            if self._by_claim.pop(claim, None) is not None:
                self._unpark(claim)
        waiter.claims = []

    def serve(self, effects: Effects) -> list[tuple[Waiter, Event]]:
        """Give calls what has come for them. Returns those that can be answered now, and why."""
        served: list[tuple[Waiter, Event]] = []
        for claim, leases in effects.leases:
            waiter = self._by_claim.pop(claim)  # it is served: only the other one is taken back
            waiter.leases += leases
            served.append((waiter, Event.SERVED))
        for claim, finished in effects.results:
            waiter = self._by_claim.pop(claim)
            waiter.finished += finished
            served.append((waiter, Event.SERVED))
        if effects.dropped:
            served += [(waiter, Event.DROPPED) for waiter in self.of(effects.dropped)]
        return served

    def of(self, claims: list[int]) -> list[Waiter]:
        """Return the calls that wait with these claims."""
        known = self._by_claim
        return [known[claim] for claim in claims if claim in known]

    def overdue(self, now: float) -> list[Waiter]:
        """Return the calls that have waited for long enough."""
        return [waiter for waiter in self._by_claim.values() if waiter.until <= now]

    def next_deadline(self) -> float:
        """Return when `overdue` is of use next; inf: not before another call waits."""
        return min((waiter.until for waiter in self._by_claim.values()), default=inf)

    def check(self, parked: set[int]) -> None:
        """Verify that every claim here is one that the scheduler knows, and the other way round.

        Raises:
            AssertionError: One is not.
        """
        if lost := self._by_claim.keys() - parked:
            raise AssertionError(f"calls wait with claims that the scheduler does not know: {lost}")
        if forgotten := parked - self._by_claim.keys():
            raise AssertionError(f"claims wait for calls that are over: {forgotten}")
