"""Calls that have one effect however often they arrive: the last reply of each client.

A client numbers such calls, and has one under way at a time. The next number says that the previous
reply has arrived, or that it was given up (`forgo`). The number is remembered for longer than the
reply: a copy of the call may be under way for a long time.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any, Final

from masterworker.errors import MasterworkerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.core.task import Finished

#: Keep the last replies of at most this many clients.
KEPT_REPLIES: Final = 10_000

#: A client whose connection has ended may come for its last reply within this time (seconds).
COMES_BACK_WITHIN: Final = 60.0


class State(Enum):
    """How a numbered call stands."""

    UNDER_WAY = "is carried out, and copies of it wait"
    KEPT = "its reply is kept, for copies of it"
    UNWANTED = "is carried out, for no caller any more"
    OVER = "copies of it are refused"


class Event(Enum):
    """What changes that."""

    CARRIED_OUT = "it has been carried out"
    ARRIVED = "its client has got the reply"
    GIVEN_UP = "its client does not come for the reply, or stays away"


#: What follows from what; a pair that is not here cannot happen.
TRANSITIONS: Final = {
    (State.UNDER_WAY, Event.CARRIED_OUT): State.KEPT,
    (State.UNDER_WAY, Event.ARRIVED): State.UNWANTED,
    (State.UNDER_WAY, Event.GIVEN_UP): State.UNWANTED,
    (State.KEPT, Event.ARRIVED): State.OVER,
    (State.KEPT, Event.GIVEN_UP): State.OVER,
    (State.UNWANTED, Event.CARRIED_OUT): State.OVER,
    (State.UNWANTED, Event.ARRIVED): State.UNWANTED,
    (State.UNWANTED, Event.GIVEN_UP): State.UNWANTED,
    (State.OVER, Event.ARRIVED): State.OVER,
}
_DONE: Final = (State.KEPT, State.OVER)
_ARRIVED: Final = (State.UNWANTED, State.OVER)


class Call:
    """The last numbered call of a client, under way or done."""

    __slots__ = ("channels", "client", "deadline", "number", "reply", "state")

    def __init__(self, client: str, number: int, state: State = State.UNDER_WAY) -> None:
        self.client, self.number, self.state = client, number, state
        #: The reply; an exception: the call has failed with it.
        self.reply: Any = None
        #: Where copies of the call wait for its reply.
        self.channels: list[Any] = []
        #: When its outcomes go to others, unless its client has come back; inf: not at all.
        self.deadline = inf

    @property
    def done(self) -> bool:
        """Whether it has been carried out."""
        return self.state in _DONE

    @property
    def arrived(self) -> bool:
        """Whether its client has got the reply, or has given it up: a copy of it is refused."""
        return self.state in _ARRIVED

    def happens(self, event: Event) -> None:
        """Change the state as the table says.

        Raises:
            KeyError: In this state that cannot happen.
        """
        self.state = TRANSITIONS[self.state, event]
        if self.arrived:
            self.reply = None

    @property
    def outcomes(self) -> Sequence[Finished]:
        """What its reply carries that is of use to others."""
        reply = self.reply
        is_collected = isinstance(reply, tuple) and len(reply) == 2 and bool(reply[0])
        return reply[0] if is_collected else ()


class NumberedCalls:
    """The last call of each client."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, Call] = OrderedDict()
        #: Those whose connection has ended, in the order of their deadlines.
        self._abandoned: OrderedDict[str, Call] = OrderedDict()
        self.comes_back_within = COMES_BACK_WITHIN

    def begin(self, client: str, number: int, channel: Any) -> tuple[Call, bool]:
        """A call arrives.

        Args:
            client: The client that calls.
            number: The number of the call.
            channel: Where the reply goes, if another copy of the call is under way.

        Returns:
            The call, and whether it is to be carried out. If not, it is done, or `complete` says
            where its reply goes.

        Raises:
            UsageError: It is a late copy of a call whose caller has gone on.
        """
        call = self._last.get(client)
        if call is None or number > call.number:
            if call is not None and not call.done:
                call.happens(Event.GIVEN_UP)  # what comes of it is taken back
            return self._remember(Call(client, number)), True
        if number < call.number or call.arrived:
            raise UsageError(f"call {number} of a client comes after its call {call.number}")
        self._comes_back(call)
        if not call.done:
            call.channels.append(channel)
        return call, False

    def complete(self, call: Call, reply: Any) -> tuple[list[Any], bool]:
        """A call has been carried out.

        Args:
            call: The call.
            reply: Its reply; a `MasterworkerError`: it has failed.

        Returns:
            Where else the reply goes, and whether its client has given it up: then what can be
            undone is to be undone.
        """
        call.reply = reply
        call.happens(Event.CARRIED_OUT)
        channels, call.channels = call.channels, []
        failed = isinstance(reply, MasterworkerError)
        if failed and self._last.get(call.client) is call:
            # A client that comes with this number again tries it in earnest.
            self._last[call.client] = Call(call.client, call.number - 1, State.OVER)
        return channels, call.arrived and not failed

    def acknowledge(self, client: str, number: int) -> None:
        """A client has got the reply of a call."""
        call = self._last.get(client)
        if call is not None and call.number == number:
            call.happens(Event.ARRIVED)

    def forgo(self, client: str, number: int | None = None) -> Sequence[Finished]:
        """A client will not come for the reply of a call (None: its last).

        Returns:
            Outcomes that go to others now. A reply that has been acknowledged is not concerned.
        """
        call = self._last.get(client)
        if number is not None and (call is None or call.number < number):
            if call is not None and not call.done:
                call.happens(Event.GIVEN_UP)
            # It has not come yet, and must not be carried out if it does.
            self._remember(Call(client, number, State.OVER))
            return ()
        if call is None or call.arrived or number not in {None, call.number}:
            return ()
        return self._give_up(call)

    def abandon(self, client: str, now: float) -> None:
        """The connection of a client has ended. If it does not come back, its outcomes do.

        That holds as well for a call that is under way, whose outcomes come only now.
        """
        call = self._last.get(client)
        if call is not None and not call.arrived and (call.outcomes or not call.done):
            self._comes_back(call)
            call.deadline = now + self.comes_back_within
            self._abandoned[client] = call

    def on_tick(self, now: float) -> list[Finished]:
        """Time has passed. Returns outcomes whose clients have not come back for them."""
        free: list[Finished] = []
        while self._abandoned and next(iter(self._abandoned.values())).deadline <= now:
            _, call = self._abandoned.popitem(last=False)
            if self._last.get(call.client) in {call, None} and not call.arrived:
                free += self._give_up(call)
        return free

    def next_deadline(self) -> float:
        """Return when `on_tick` is due next; inf: not before something happens."""
        return next(iter(self._abandoned.values())).deadline if self._abandoned else inf

    # -- inside -----------------------------------------------------------------------------

    def _remember(self, call: Call) -> Call:
        self._abandoned.pop(call.client, None)
        self._last[call.client] = call
        self._last.move_to_end(call.client)
        while len(self._last) > KEPT_REPLIES:
            self._last.popitem(last=False)
        return call

    def _comes_back(self, call: Call) -> None:
        call.deadline = inf
        if self._abandoned.get(call.client) is call:
            del self._abandoned[call.client]

    def _give_up(self, call: Call) -> Sequence[Finished]:
        """Outcomes are of use to others; what else was done stays done."""
        outcomes = call.outcomes
        if call.done and not outcomes:
            return ()
        call.happens(Event.GIVEN_UP)
        return outcomes
