"""The thread that runs callbacks of futures, so that none of them runs with a lock of ours held."""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from masterworker import forks

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("masterworker.master")


class Callbacks:
    """Runs the callbacks of one job, one after the other, in one thread. Thread-safe.

    The thread is started by the first future that has a callback, and ends with the job.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Callable[[Any], object], object] | None] = SimpleQueue()
        #: Held for a moment only; a signal handler may add a callback meanwhile.
        self._lock = forks.rlock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def start(self) -> None:
        """Let there be a thread, as long as the job lasts.

        Raises:
            RuntimeError: The system has no more threads.
        """
        with self._lock:
            if self._is_closed or (self._thread is not None and self._thread.is_alive()):
                return  # a fork has no such thread any more
            thread = threading.Thread(target=self._run, name="masterworker-callbacks", daemon=True)
            thread.start()
            self._thread = thread

    def post(self, callback: Callable[[Any], object], argument: object) -> None:
        """Let a callback be run soon, in that thread. Does not block.

        After the end of the job it is run at once, in the calling thread.
        """
        with self._lock:
            if not self._is_closed:
                self._queue.put((callback, argument))
                return
        _call(callback, argument)

    def is_current(self) -> bool:
        """Return whether it is a callback that asks."""
        return self._thread is threading.current_thread()

    def wait(self) -> None:
        """Wait until what has been posted has been run; not in a callback."""
        with self._lock:
            thread = self._thread
        if thread is None or not thread.is_alive() or self.is_current():
            return
        done = threading.Event()
        self.post(lambda _: done.set(), None)
        done.wait()
        if self._is_closed:  # then that was run here, perhaps before the others
            thread.join()

    def close(self, seconds: float) -> None:
        """Run what has been posted, and end. Can be called twice.

        Args:
            seconds: To wait for that, at most.
        """
        with self._lock:
            thread = self._thread
            if not self._is_closed:
                self._is_closed = True
                self._queue.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    def _run(self) -> None:
        while (posted := self._queue.get()) is not None:
            _call(*posted)
            del posted  # the thread keeps no future while it waits


def _call(callback: Callable[[Any], object], argument: object) -> None:
    try:
        callback(argument)
    except BaseException:  # whatever it raises, the next one is run
        logger.exception("a callback of %r raised", argument)
