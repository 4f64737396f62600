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

    __slots__ = ("answered", "answers", "done", "good", "number", "reply")

    def __init__(self, number: int) -> None:
        self.number = number
        #: The replies of the calls up to this number have arrived.
        self.answered = number - 1
        self.done = self.good = False
        self.reply: Any = None
        self.answers: list[Answer] = []


class Replies:
    """The last reply to each client.

    Args:
        kernel: Whose time it is.
        comes_back: Seconds in which a client may come for its reply after its connection ended.
        undelivered: Is given outcomes whose reply never reached a client that is gone.
    """

    def __init__(self, kernel: Kernel, comes_back: float, undelivered: Any) -> None:
        self._kernel = kernel
        self._comes_back = comes_back
        self._undelivered = undelivered
        self._last: dict[str, Call] = {}

    def once(
        self, client: str, number: int, action: Callable[[Answer], None], answer: Answer
    ) -> None:
        """Carry out an action, or give the reply that it had (or is about to have)."""
        call = self._last.get(client)
        if call is not None and number <= call.answered:
            # It was under way for so long that its client has given it up, and gone on.
            answer(False, UsageError(f"call {number} comes after call {call.number}"))
        elif call is None or number != call.number:
            call = self._last[client] = Call(number)
            call.answers.append(answer)
            action(lambda good, reply: self._done(client, call, good, reply))
        elif call.done:
            answer(call.good, call.reply)
        else:
            call.answers.append(answer)

    def _done(self, client: str, call: Call, good: bool, reply: Any) -> None:
        call.done, call.good, call.reply = True, good, reply
        if not good:
            self._forget(client, call)
        for answer in call.answers:
            answer(good, reply)

    def acknowledge(self, client: str, number: int | None = None) -> None:
        """A client has got a reply (None: its last). Late copies of that call are still to come."""
        call = self._last.get(client)
        if call is not None and (number is None or number == call.number):
            call.answered, call.reply = call.number, None

    def abandon(self, client: str) -> None:
        """The connection of a client has ended. If it does not come back, its outcomes do."""
        if (call := self._last.get(client)) is not None:
            self._kernel.after(self._comes_back, self._give_up, client, call)

    def _give_up(self, client: str, call: Call) -> None:
        """Only what is of use to others is taken back; what else was done stays done."""
        reply = call.reply
        if self._last.get(client) is call and isinstance(reply, tuple) and reply[0]:
            self._forget(client, call)
            self._undelivered(reply[0])

    def _forget(self, client: str, call: Call) -> None:
        """Whoever comes with this number again tries it in earnest."""
        if self._last.get(client) is call:
            self._last[client] = Call(call.number - 1)
            self._last[client].answered = call.number - 1
