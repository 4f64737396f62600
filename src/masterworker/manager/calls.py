"""Calls of the machine whose reply may come later: to a thread that waits, or to a channel."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from masterworker import wire
from masterworker.errors import MasterworkerError
from masterworker.manager.leading import Leading
from masterworker.manager.mailbox import Mailbox

Reply = TypeVar("Reply")

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from masterworker.conversation.waiting import Waiter
    from masterworker.manager.guard import Guard
    from masterworker.transport.base import Later

    #: An event of the machine: given its arguments, a channel, a deadline and the time, it returns
    #: the reply, or the call that waits.
    Event = Callable[..., tuple[Reply | None, Waiter | None]]


class Calls:
    """Gives calls to the machine, and waits for their replies. Thread-safe.

    Args:
        guard: Is held around each step.
        clock: The manager's clock.
        repairs: See `Dispatcher.repairs`.
        look_again: Lets there be a step soon.
    """

    def __init__(
        self,
        guard: Guard,
        clock: Callable[[], float],
        repairs: deque[tuple[Any, ...]],
        look_again: Callable[[], None],
    ) -> None:
        self._guard, self._clock = guard, clock
        self._repairs, self._look_again = repairs, look_again
        #: How callers of the program wait.
        self.leading = Leading()

    def call(self, event: Event[Reply], *what: Any, wait: float, lead: bool = False) -> Reply:
        """Carry out one call, and return its reply.

        Args:
            event: What happens.
            what: Its arguments.
            wait: Seconds to wait at most.
            lead: Serve connections meanwhile: the calling thread is one of the program's.

        Raises:
            MasterworkerError: The call has failed.
            BaseException: What a signal handler raises. What the call had been given goes back.
        """
        box, waiter = Mailbox(), None
        reply: Any = None
        try:
            with self._guard:
                reply, waiter = event(*what, box, inf, self._clock())
            if waiter is not None:
                self._wait(box, min(wait, wire.LONGEST_WAIT), lead=lead)
                reply = box.reply
                if reply is None:  # its time is up; or it has just been answered
                    with self._guard as machine:
                        reply = machine.answering.expire(waiter, self._clock())
            failed = isinstance(reply, MasterworkerError)  # here: handlers run after such calls
        except BaseException:  # a Ctrl-C, say: to note a repair is one step, whatever comes next
            if waiter is not None:
                self._repairs.append((self._give_up, waiter))
            elif reply is not None:
                self._repairs.append((self._undo, what, reply))
            self._look_again()
            raise
        if failed:
            raise reply
        answer: Reply = reply
        return answer

    def defer(self, event: Event[Reply], *what: Any, later: Later, wait: float) -> Reply | None:
        """Carry out one call without waiting.

        Args:
            event: What happens.
            what: Its arguments.
            later: Takes the reply when there is something to say, or the time is up.
            wait: Seconds until then, at most.

        Returns:
            The reply, if there is something to say at once; else None.

        Raises:
            MasterworkerError: The call has failed at once.
        """
        with self._guard:
            now = self._clock()
            return event(*what, later, now + min(wait, wire.LONGEST_WAIT), now)[0]

    def _wait(self, box: Mailbox, seconds: float, *, lead: bool) -> None:
        if not lead:
            box.wait(seconds)
            return
        end = monotonic() + seconds
        while box.reply is None and (left := end - monotonic()) > 0:
            self.leading.wait(box, left)  # which ends when a signal has been handled, too

    # -- repairs, with the lock held --------------------------------------------------------

    def _give_up(self, waiter: Waiter) -> None:
        self._guard.held().answering.give_up(waiter, self._clock())

    def _undo(self, what: tuple[Any, ...], reply: Any) -> None:
        machine, now = self._guard.held(), self._clock()
        if isinstance(reply, wire.Reply):
            asked: wire.Exchange | wire.Collect = what[0]
            machine.put_back(asked.member_id, [], reply.leases, now)
        elif isinstance(reply, tuple):
            asked = what[0]
            finished, leases = reply
            machine.put_back(asked.member_id, finished, leases, now)
