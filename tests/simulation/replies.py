"""Calls that have one effect however often they arrive: `manager.replies` in virtual time.

This is how they have to be; `test_replies` asks the real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from masterworker.errors import UsageError

if TYPE_CHECKING:
    from simulation.kernel import Kernel

Answer = Callable[[bool, Any], None]


class Call:
    """The last numbered call of a client, under way or done."""

    __slots__ = ("answers", "arrived", "done", "good", "number", "reply", "timers")

    def __init__(self, number: int, *, arrived: bool = False) -> None:
        self.number = number
        #: The client has got the reply, or has given it up: nobody comes for it any more.
        self.arrived = arrived
        self.done = self.good = False
        self.reply: Any = None
        self.answers: list[Answer] = []
        #: How many timers have been set or cancelled: only the latest counts.
        self.timers = 0

    @property
    def has_outcomes(self) -> bool:
        """There is something in its reply that is of use to others."""
        return isinstance(self.reply, tuple) and bool(self.reply[0])


class Replies:
    """The last reply to each client.

    Args:
        kernel: Whose time it is.
        comes_back: Seconds in which a client may come for its reply after its connection ended.
        undelivered: Is given outcomes whose reply never reached a client that is gone.
        held_up: Tells whether the master stands still, and does something when it goes on.
    """

    def __init__(
        self, kernel: Kernel, comes_back: float, undelivered: Any, held_up: Callable[..., bool]
    ) -> None:
        self._kernel = kernel
        self._comes_back = comes_back
        self._undelivered = undelivered
        self._held_up = held_up
        self._last: dict[str, Call] = {}

    def once(
        self, client: str, number: int, action: Callable[[Answer], None], answer: Answer
    ) -> None:
        """Carry out an action, or give the reply that it had (or is about to have)."""
        call = self._last.get(client)
        if call is not None and (number < call.number or (number == call.number and call.arrived)):
            # It was under way for so long that its client has given it up, and gone on.
            answer(False, UsageError(f"call {number} comes after call {call.number}"))
        elif call is None or number != call.number:
            call = self._last[client] = Call(number)
            call.answers.append(answer)
            action(lambda good, reply: self._done(client, call, good, reply))
        elif call.done:
            call.timers += 1
            answer(call.good, call.reply)
        else:
            call.timers += 1
            call.answers.append(answer)

    def _done(self, client: str, call: Call, good: bool, reply: Any) -> None:
        call.done, call.good, call.reply = True, good, reply
        if not good and self._last.get(client) is call:
            # Whoever comes with this number again tries it in earnest.
            self._last[client] = Call(call.number - 1, arrived=True)
        for answer in call.answers:
            answer(good, reply)
        if call.arrived:
            self._give_back(call)

    def acknowledge(self, client: str, number: int) -> None:
        """A client has got the reply of a call. Late copies of that call are still to come."""
        call = self._last.get(client)
        if call is not None and call.number == number:
            call.arrived, call.reply = True, None

    def forgo(self, client: str, number: int | None = None) -> None:
        """A client will not come for the reply of a call (None: its last), now or later."""
        call = self._last.get(client)
        if number is not None and (call is None or call.number < number):
            self._last[client] = Call(number, arrived=True)  # it has not come, and must not
        elif call is not None and not call.arrived and number in {None, call.number}:
            self._give_back(call)

    def abandon(self, client: str) -> None:
        """The connection of a client has ended. If it does not come back, its outcomes do."""
        call = self._last.get(client)
        if call is not None and not call.arrived and call.has_outcomes:
            call.timers += 1
            self._kernel.after(self._comes_back, self._give_up, client, call, call.timers)

    def _give_up(self, client: str, call: Call, timer: int | None) -> None:
        """Only what is of use to others is taken back; what else was done stays done."""
        if timer is not None and timer != call.timers:
            return
        if self._held_up(self._give_up, client, call, timer):
            return
        if self._last.get(client) is call and not call.arrived and call.has_outcomes:
            self._give_back(call)

    def _give_back(self, call: Call) -> None:
        """Nobody comes for a reply; what it has, or is about to have, is of use to others."""
        call.arrived = True
        if call.has_outcomes:
            reply, call.reply = call.reply, None
            self._undelivered(reply[0])
