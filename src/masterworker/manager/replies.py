"""Calls that have one effect however often they are repeated: the last reply of each client."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from masterworker import forks, wire
from masterworker.errors import InternalError, MasterworkerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.core.task import Finished

#: The last replies of so many clients are kept for the case that they were lost on the way.
KEPT_REPLIES = 10_000

#: A client whose connection has ended may come for its last reply within so many seconds.
COMES_BACK_WITHIN = 60.0


class _Call:
    """The last numbered call of a client, under way or done."""

    __slots__ = ("arrived", "done", "error", "given_up", "number", "reply", "timer")

    def __init__(self, number: int) -> None:
        self.number = number
        self.done = threading.Lock()
        self.done.acquire()
        #: The client has got the reply, or has given it up: nobody comes for it any more.
        self.arrived = False
        #: The same, and it is not done yet: what comes of it is to be taken back.
        self.given_up = False
        self.reply: Any = None
        self.error: MasterworkerError | None = None
        self.timer: threading.Timer | None = None


class Replies:
    """The last reply to each client, for calls that must not be carried out twice.

    A client numbers these calls, and has one under way at a time. The next number says that the
    previous reply has arrived, or that it was given up (`forgo`). The number itself is remembered
    for longer than the reply: a copy of the call may be under way for a long time.

    Args:
        undelivered: Is given outcomes whose reply never reached a client that is gone.
    """

    def __init__(self, undelivered: Callable[[Sequence[Finished]], None]) -> None:
        self._undelivered = undelivered
        self._lock = forks.lock()
        self._last: OrderedDict[str, _Call] = OrderedDict()

    def once(
        self,
        client: str,
        number: int,
        action: Callable[[], Any],
        take_back: Callable[[Any], None] = lambda _: None,
    ) -> Any:
        """Carry out an action, or return the reply that it had (or is about to have).

        Args:
            client: Who calls.
            number: The number of the call.
            action: What to do.
            take_back: Undoes what can be undone, from the reply: the client has given the call up.

        Raises:
            UsageError: It is a late copy of a call that nobody waits for any more.
        """
        call, again = self._begin(client, number)
        if again:
            if not call.done.acquire(timeout=2 * wire.LONGEST_WAIT):
                raise InternalError(f"call {number} of a client has not ended in time")
            call.done.release()
        else:
            try:
                call.reply = action()
            except MasterworkerError as error:
                call.error = error  # for those that wait for it; later ones try it in earnest
            except Exception as error:
                call.error = InternalError(f"a numbered call failed: {error!r}")
                raise
            finally:
                with self._lock:
                    orphan = call.given_up
                    call.done.release()
            if orphan and call.error is None:
                take_back(call.reply)
        if call.error is not None:
            with self._lock:
                if self._last.get(client) is call:
                    self._last[client] = _Call(number - 1)
                    self._last[client].arrived = True
            raise call.error
        return call.reply

    def _begin(self, client: str, number: int) -> tuple[_Call, bool]:
        """Return a call, and whether it has been begun before."""
        with self._lock:
            call = self._last.get(client)
            if call is not None and (
                number < call.number or (number == call.number and call.arrived)
            ):
                raise UsageError(f"call {number} of a client comes after its call {call.number}")
            again = call is not None and number == call.number
            if call is None or not again:
                if call is not None and call.done.locked():
                    call.given_up = True
                call = self._last[client] = _Call(number)
                self._last.move_to_end(client)
                while len(self._last) > KEPT_REPLIES:
                    self._last.popitem(last=False)
            elif call.timer is not None:
                call.timer.cancel()
        return call, again

    def acknowledge(self, client: str, number: int) -> None:
        """A client has got the reply of a call."""
        with self._lock:
            call = self._last.get(client)
            if call is not None and call.number == number:
                call.arrived, call.reply = True, None

    def forgo(self, client: str, number: int | None = None) -> None:
        """A client will not come for the reply of a call (None: its last): outcomes go to others.

        A reply that has been acknowledged is not concerned.
        """
        with self._lock:
            call = self._last.get(client)
            if call is None or call.arrived or number not in {None, call.number}:
                return
            if call.done.locked():
                call.given_up = call.arrived = True
        self._give_up(client, call)

    def abandon(self, client: str) -> None:
        """The connection of a client has ended. If it does not come back, its outcomes do."""
        with self._lock:
            call = self._last.get(client)
            if call is None or call.arrived or not _has_outcomes(call):
                return
            if call.timer is not None:
                call.timer.cancel()
            call.timer = threading.Timer(COMES_BACK_WITHIN, self._give_up, (client, call))
            call.timer.daemon = True
            call.timer.start()

    def _give_up(self, client: str, call: _Call) -> None:
        """Only what is of use to others is taken back; what else was done stays done."""
        with self._lock:
            if self._last.get(client) is not call or call.arrived or not _has_outcomes(call):
                return
            reply, call.reply, call.arrived = call.reply, None, True
        self._undelivered(reply[0])


def _has_outcomes(call: _Call) -> bool:
    reply = call.reply
    return isinstance(reply, tuple) and len(reply) == 2 and bool(reply[0])
