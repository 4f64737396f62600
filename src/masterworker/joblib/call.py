"""One call of `Parallel`: its batches under way, and what they have in common."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from masterworker import forks
from masterworker.joblib.batch import run_batch
from masterworker.master.callbacks import Callbacks
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.joblib.sharing import Entry, SharedArguments
    from masterworker.master import Master


#: Those that have not ended when the program does.
_calls: Final[weakref.WeakSet[Call]] = weakref.WeakSet()


class Batch(NamedTuple):
    """Some calls that travel as one task."""

    calls: Any
    callback: Callable[[Any], object] | None


class Call:
    """The batches of one call of `Parallel`. Thread-safe.

    Callbacks run in a thread of its own: joblib draws items of the program's iterable there, which
    may be the results of another `Parallel`.

    Args:
        master: Whose workers execute the batches.
        shared: Large arguments.
        threads: Which numerical libraries may use in a worker; None: any.
        most: Number of batches that are executed at one time; None: as there are workers.
    """

    def __init__(
        self, master: Master, shared: SharedArguments, threads: int | None, most: int | None
    ) -> None:
        self._master = master
        self._shared = shared
        self._threads = threads
        self._most = most
        self._callbacks = Callbacks()
        self._under_way: set[Any] = set()
        self._waiting: deque[Batch] = deque()
        self._is_over = False
        self._thread = threading.current_thread()
        self._pid = os.getpid()
        _calls.add(self)
        self._lock = forks.rlock()

    def submit(self, calls: Any, callback: Callable[[Any], object] | None) -> Any:
        """Let calls be made. Returns the future of their results, or None if that comes later.

        Args:
            calls: A batch of joblib: a function without arguments, with `items`.
            callback: Called with the future, also where the calls cannot be sent.
        """
        batch = Batch(calls, callback)
        with self._lock:
            if self._is_over:  # joblib has broken it off in another thread
                return None
            if self._most is not None and len(self._under_way) >= self._most:
                self._waiting.append(batch)
                return None
            return self._send(batch)

    def cancel(self) -> None:
        """Break off what is under way, whose callbacks are called, and forget what waits."""
        with self._lock:
            self._waiting.clear()
            futures = list(self._under_way)
        for future in futures:
            future.cancel()

    def free(self) -> None:
        """Forget large arguments; more calls may come."""
        self._shared.clear()

    def end(self) -> None:
        """No more calls come, and what comes of earlier ones is not wanted."""
        with self._lock:
            self._is_over = True
        self.free()
        self._callbacks.close(0.0)

    def end_with_program(self) -> None:
        """Let the thread finish that waits for the results; break off what none waits for."""
        thread = self._thread
        if self._is_over or self._pid != os.getpid():
            return
        if thread is threading.main_thread() or thread.daemon:
            self.cancel()  # a generator that is left
        else:
            thread.join()

    # -- inside -----------------------------------------------------------------------------

    def _send(self, batch: Batch) -> Any:
        used: list[Entry] = []
        try:
            batch.calls.items, used = self._shared.replace(batch.calls.items)
            future = self._master.submit(run_batch, batch.calls, self._threads)
        except Exception as error:
            self._shared.release(used)
            return self._failed(batch, error)
        self._under_way.add(future)
        self._callbacks.start()
        done = partial(self._done, batch.callback, used)
        future._watch(partial(self._callbacks.post, done))
        return future

    def _failed(self, batch: Batch, error: Exception) -> Any:
        """Return a future of calls that could not be sent, and call back soon."""
        failed: Future[Any] = Future()
        failed.set_exception(error)
        if batch.callback is not None:
            self._callbacks.start()
            self._callbacks.post(batch.callback, failed)
        return failed

    def _done(
        self, callback: Callable[[Any], object] | None, used: list[Entry], future: Any
    ) -> None:
        """Go on after a batch; in the thread of callbacks."""
        with self._lock:
            self._under_way.discard(future)
            if self._is_over:
                return
            if self._waiting:
                self._send(self._waiting.popleft())
        self._shared.release(used)
        if callback is not None:
            callback(future)


def _at_exit() -> None:
    for call in list(_calls):
        call.end_with_program()


# Before what ends the workers: that was registered earlier, and is called later.
threading._register_atexit(_at_exit)  # type: ignore[attr-defined]  # as `concurrent.futures` does
