"""Threads for what may wait: each does one thing at a time, and some stay for the next one."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from masterworker import forks

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that a thread waits for something further to do.
PATIENCE: Final = 1.0
#: Threads that wait for that at a time.
MOST_IDLE: Final = 4


class Helpers:
    """As many threads as have something to do. Thread-safe.

    Args:
        name: Of the threads.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = forks.lock()
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        #: Threads for which the queue has nothing yet.
        self._idle = 0
        self._closing = False

    def run(self, action: Callable[[], None]) -> None:
        """Let a thread do something now. It must not raise.

        Raises:
            RuntimeError: The system allows no more threads.
        """
        with self._lock:
            if self._idle:
                self._idle -= 1
                self._queue.put(action)
                return
        threading.Thread(target=self._run, args=(action,), name=self._name, daemon=True).start()

    def close(self) -> None:
        """Let threads end when they have done what they have to do."""
        with self._lock:
            self._closing = True
            for _ in range(self._idle):
                self._queue.put(None)
            self._idle = 0

    def _run(self, action: Callable[[], None] | None) -> None:
        while action is not None:
            action()
            action = None  # it keeps a connection
            with self._lock:
                if self._closing or self._idle >= MOST_IDLE:
                    return
                self._idle += 1
            action = self._next()

    def _next(self) -> Callable[[], None] | None:
        try:
            return self._queue.get(timeout=PATIENCE)
        except Empty:
            with self._lock:
                try:
                    return self._queue.get_nowait()
                except Empty:
                    self._idle -= 1
                    return None
