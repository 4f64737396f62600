"""How `concurrent.futures.wait` and `as_completed` wait for further tasks: by executing tasks.

They hang a waiter, which has an event, into the futures, and wait for the event. An event of ours
takes its place: what waits for that executes tasks meanwhile, for as long as it may.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from masterworker.deadline import Deadline

if TYPE_CHECKING:
    from masterworker.worker.nested import NestedFuture

#: Calls of several functions are waited for in turns of this time, and those of one in longer ones:
#: the same waiter may be in futures of a thread as well (seconds).
TURN: Final = 0.02
LONG_TURN: Final = 0.25


class Waiters(list[Any]):
    """The waiters of one future.

    Args:
        call: The further task of this future.
    """

    def __init__(self, call: NestedFuture[Any]) -> None:
        super().__init__()
        self._call = call

    def append(self, waiter: Any) -> None:
        """Take one, which may wait for other futures as well."""
        if not isinstance(waiter.event, _Event):
            waiter.event = _Event(waiter.event)
        waiter.event.add(self._call)
        super().append(waiter)


class _Event(threading.Event):
    """Set when futures say so. What waits for it executes tasks meanwhile.

    Args:
        before: The event in whose place this one is.
    """

    def __init__(self, before: threading.Event) -> None:
        super().__init__()
        #: What is waited for, by what is collected together.
        self._calls: dict[object, deque[NestedFuture[Any]]] = {}
        if before.is_set():
            self.set()

    def add(self, call: NestedFuture[Any]) -> None:
        """Wait for this one as well."""
        if not call.has_ended:
            self._calls.setdefault(call.collected_with, deque()).append(call)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, this many seconds at most beside a task that is executed meanwhile.

        Returns:
            False: it is not.
        """
        deadline = Deadline(timeout)
        while not self.is_set():
            calls = self._first_open()
            if not calls:  # what is left is none of ours
                return super().wait(None if timeout is None else deadline.left())
            turn = LONG_TURN if len(calls) == 1 else TURN
            for call in calls:
                with suppress(TimeoutError):
                    call.collect(deadline.left(turn))
                if self.is_set():
                    return True
            if deadline.has_passed:
                return False
        return True

    def _first_open(self) -> list[NestedFuture[Any]]:
        """Return one call that has not ended of each kind."""
        for kind, calls in list(self._calls.items()):
            while calls and calls[0].has_ended:
                calls.popleft()
            if not calls:
                del self._calls[kind]
        return [calls[0] for calls in self._calls.values()]
