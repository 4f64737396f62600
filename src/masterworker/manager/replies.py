"""Numbered calls of clients, for threads: see `conversation.numbered`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.errors import InternalError, MasterworkerError
from masterworker.manager.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.conversation.numbered import Call, NumberedCalls
    from masterworker.manager.guard import Guard


class Replies:
    """The last reply to each client, for calls that must not be carried out twice. Thread-safe.

    Args:
        guard: Is held around each step.
        calls: The calls, a part of the machine.
        clock: The manager's clock.
    """

    def __init__(self, guard: Guard, calls: NumberedCalls, clock: Callable[[], float]) -> None:
        self._guard, self._clock = guard, clock
        self.calls = calls

    def once(
        self,
        client: str,
        number: int,
        action: Callable[[], Any],
        take_back: Callable[[Any], None] = lambda _: None,
    ) -> Any:
        """Carry out an action, or return the reply that it had (or is about to have).

        Args:
            client: The client that calls.
            number: The number of the call.
            action: What to do.
            take_back: Undoes what can be undone, from the reply: the client has given the call up.

        Raises:
            UsageError: It is a late copy of a call whose caller has gone on.
        """
        box = Mailbox()
        with self._guard:
            call, is_new = self.calls.begin(client, number, box)
            if call.done:
                return call.reply
        if not is_new:
            return self._wait(call, box)
        try:
            reply = action()
        except MasterworkerError as error:
            self._end(call, error)
            raise
        except BaseException as error:
            self._end(call, InternalError(f"a numbered call failed: {error!r}"))
            raise
        if self._end(call, reply):
            take_back(reply)
        return reply

    def acknowledge(self, client: str, number: int) -> None:
        """A client has got the reply of a call."""
        with self._guard:
            self.calls.acknowledge(client, number)

    def forgo(self, client: str, number: int | None = None) -> None:
        """A client will not come for the reply of a call (None: its last): outcomes go to others.

        A reply that has been acknowledged is not concerned.
        """
        with self._guard as machine:
            machine.forgo(self.calls, client, number, self._clock())

    def abandon(self, client: str) -> None:
        """The connection of a client has ended. If it does not come back, its outcomes do."""
        with self._guard as machine:
            machine.abandon(self.calls, client, self._clock())

    # -- inside -----------------------------------------------------------------------------

    def _wait(self, call: Call, box: Mailbox) -> Any:
        """Wait for the reply of a call that another thread carries out."""
        box.wait(2 * wire.LONGEST_WAIT)
        if not call.done:
            raise InternalError(f"call {call.number} of a client has not ended in time")
        if isinstance(box.reply, MasterworkerError):
            raise box.reply
        return box.reply

    def _end(self, call: Call, reply: Any) -> bool:
        """A call has been carried out. True: its client has given it up."""
        with self._guard as machine:
            return machine.complete(self.calls, call, reply)
