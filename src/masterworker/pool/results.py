"""What the calls of a pool that do not wait return: results that are to come."""

from __future__ import annotations

import multiprocessing
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from masterworker.checking import time_limit
from masterworker.deadline import Deadline
from masterworker.errors import Terminated, WorkerStartError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from masterworker.executor.job import Job
    from masterworker.pool.gathering import Gathering

T = TypeVar("T")


class AsyncResult(Generic[T]):
    """The result of `apply_async`, `map_async` or `starmap_async`. Thread-safe.

    It keeps its pool, so `Pool(4).map_async(f, items).get()` works.

    Args:
        pool: What is kept as long as this is.
        job: The job of that pool.
        call: What brings the outcome.
    """

    __slots__ = ("_call", "_job", "_pool", "_told")

    def __init__(self, pool: object, job: Job, call: Future[T] | Gathering[Any]) -> None:
        self._pool, self._job = pool, job
        self._call: Any = call
        #: Set when the callbacks have returned: nothing of this is ready before that.
        self._told: threading.Event | None = None

    def ready(self) -> bool:
        """Return whether the call has ended, or never will, since the pool was terminated.

        Where there are callbacks, they have returned as well.
        """
        done: bool = self._call.done()
        return done and (self._told is None or self._told.is_set())

    def successful(self) -> bool:
        """Return whether the call has returned, and raised nothing.

        Raises:
            ValueError: It has not ended.
        """
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._error(None) is None

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the call has ended.

        Args:
            timeout: Seconds to wait at most; None: as long as it takes.
        """
        try:
            self._error(timeout)
        except multiprocessing.TimeoutError:
            return

    def get(self, timeout: float | None = None) -> T:
        """Wait for the result.

        Args:
            timeout: Seconds to wait at most; None: as long as it takes.

        Raises:
            multiprocessing.TimeoutError: It has not come in time.
            BrokenExecutor: The pool was terminated, or its workers could not start.
            Exception: What the call raised.
        """
        error = self._error(timeout)
        if error is not None:
            try:
                raise error
            finally:
                del error, self  # the error refers to this frame, and this result to the error
        result: T = self._call.result()
        return result

    def _error(self, timeout: float | None) -> BaseException | None:
        """Wait for the end; return what the call raised, or why it will never end."""
        limit = time_limit(timeout)
        deadline = Deadline(limit)
        error = self._outcome(limit)
        told = self._told
        if told is None or self._job.engine.router.callbacks.is_current():
            return error
        if not told.wait(deadline.left(threading.TIMEOUT_MAX)):
            raise multiprocessing.TimeoutError
        return error

    def _outcome(self, timeout: float | None) -> BaseException | None:
        try:
            error: BaseException | None = self._call.exception(timeout)
        except TimeoutError:
            raise multiprocessing.TimeoutError from None
        except (Terminated, WorkerStartError) as why:
            return self._job.broken(why)
        return error

    def _call_back(
        self,
        callback: Callable[[T], object] | None,
        error_callback: Callable[[BaseException], object] | None,
    ) -> None:
        """Let functions be called with the outcome, in the thread of the job's callbacks."""
        if callback is None and error_callback is None:
            return
        told = self._told = threading.Event()

        def tell(_: object) -> None:
            try:
                error = self._outcome(None)
                if error is None:
                    if callback is not None:
                        callback(self._call.result())
                elif error_callback is not None:
                    error_callback(error)
            finally:
                told.set()

        self._call.add_done_callback(tell)

    def __repr__(self) -> str:
        told = "done" if self._call.done() else "pending"
        return f"<AsyncResult: {told}, of {self._pool!r}>"
