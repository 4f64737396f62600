"""Calls that have one effect however often they are repeated: the last reply of each client."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.errors import InternalError, MasterworkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.core.task import Finished

#: The last replies of so many clients are kept for the case that they were lost on the way.
KEPT_REPLIES = 10_000

#: A client whose connection has ended may come for its last reply within so many seconds.
COMES_BACK_WITHIN = 30.0


class _Call:
    """The last numbered call of a client, under way or done."""

    __slots__ = ("done", "error", "number", "reply")

    def __init__(self, number: int) -> None:
        self.number = number
        self.done = threading.Lock()
        self.done.acquire()
        self.reply: Any = None
        self.error: MasterworkerError | None = None


class Replies:
    """The last reply to each client, for calls that must not be carried out twice.

    A client numbers these calls, and has one under way at a time. The next number says that the
    previous reply has arrived.

    Args:
        undelivered: Is given outcomes whose reply never reached a client that is gone.
    """

    def __init__(self, undelivered: Callable[[Sequence[Finished]], None]) -> None:
        self._undelivered = undelivered
        self._lock = threading.Lock()
        self._last: OrderedDict[str, _Call] = OrderedDict()

    def once(self, client: str, number: int, action: Callable[[], Any]) -> Any:
        """Carry out an action, or return the reply that it had (or is about to have)."""
        with self._lock:
            call = self._last.get(client)
            again = call is not None and call.number == number
            if call is None or not again:
                call = self._last[client] = _Call(number)
                self._last.move_to_end(client)
                while len(self._last) > KEPT_REPLIES:
                    self._last.popitem(last=False)
        if again:
            if not call.done.acquire(timeout=2 * wire.LONGEST_WAIT):
                raise InternalError(f"call {number} of a client has not ended in time")
            call.done.release()
        else:
            try:
                call.reply = action()
            except MasterworkerError as error:
                call.error = error  # for those that wait for it; later ones try it in earnest
            finally:
                call.done.release()
        if call.error is not None:
            with self._lock:
                if self._last.get(client) is call:
                    del self._last[client]
            raise call.error
        return call.reply

    def acknowledge(self, client: str) -> None:
        """A client has got its last reply."""
        with self._lock:
            self._last.pop(client, None)

    def abandon(self, client: str) -> None:
        """The connection of a client has ended. If it does not come back, its outcomes do."""
        with self._lock:
            call = self._last.get(client)
        if call is not None:
            timer = threading.Timer(COMES_BACK_WITHIN, self._give_up, (client, call))
            timer.daemon = True
            timer.start()

    def _give_up(self, client: str, call: _Call) -> None:
        with self._lock:
            if self._last.get(client) is not call:
                return
            del self._last[client]
        reply = call.reply
        if isinstance(reply, tuple) and len(reply) == 2 and reply[0]:
            self._undelivered(reply[0])
