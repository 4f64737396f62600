"""The thread that runs callbacks of futures, so that none of them runs with a lock of ours held."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from masterworker import forks

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("masterworker.master")

#: A callback that has not returned after this time (seconds) is named in the log.
SAID_AFTER: Final = 10.0


class Callbacks:
    """Runs the callbacks of one job, one after the other, in one thread. Thread-safe.

    The thread is started by the first future that has a callback, and ends with the job. Another
    one looks after it while there are callbacks to run, for `SAID_AFTER` at a time, and says in the
    log which one does not return: all others wait for it.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Callable[[Any], object], object] | None] = SimpleQueue()
        #: Held for a moment only; a signal handler may add a callback meanwhile.
        self._lock = forks.rlock()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        #: What is being run, and since when.
        self._running: tuple[float, object] | None = None
        self._watch: threading.Thread | None = None
        self._closing = threading.Event()

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
                self._closing.set()
                self._queue.put(None)
            watch = self._watch
        for each in (thread, watch):
            if each is not None and each is not threading.current_thread():
                each.join(seconds)

    def _run(self) -> None:
        while (posted := self._queue.get()) is not None:
            self._running = time.monotonic(), posted[1]
            if self._watch is None:
                self._begin_to_watch()
            _call(*posted)
            self._running = None
            del posted  # the thread keeps no future while it waits

    def _begin_to_watch(self) -> None:
        with self._lock:
            if self._watch is None:
                watch = threading.Thread(target=self._look, name="masterworker-watch", daemon=True)
                with contextlib.suppress(RuntimeError):  # no more threads: then it is not said
                    watch.start()
                    self._watch = watch

    def _look(self) -> None:
        """Look after the callbacks until none is run, and say which one does not return."""
        said = 0.0
        while not self._closing.is_set():
            if (running := self._running) is None:
                if self._may_rest():
                    return
                continue
            began, argument = running
            left = began + SAID_AFTER - time.monotonic()
            if left <= 0 and said != began:
                said = began
                logger.warning(_STUCK, argument, SAID_AFTER)
            del running, argument  # this thread keeps no future while it waits
            self._closing.wait(left if left > 0 else SAID_AFTER)

    def _may_rest(self) -> bool:
        """Return whether nothing is left to look after; then the next callback starts a thread."""
        with self._lock:
            self._watch = None  # first: a callback that begins now either sees this, or is seen
            if self._running is None:
                return True
            self._watch = threading.current_thread()
            return False


_STUCK: Final = (
    "a callback of %r has not returned after %.0f s: it delays the callbacks of all other futures"
)


def _call(callback: Callable[[Any], object], argument: object) -> None:
    try:
        callback(argument)
    except BaseException:  # whatever it raises, the next one is run
        logger.exception("a callback of %r raised", argument)
