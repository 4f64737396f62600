"""A future of the standard library on top of one of ours, whose machinery is made when needed.

A `concurrent.futures.Future` has a condition, a list of waiters, a list of callbacks, and has to be
given each outcome. Most are only waited for, one after the other; then all of that would be made
for nothing, and cost more than the task. So this one makes it when it is asked for: by `wait`,
`as_completed`, `asyncio.wrap_future`, or a callback.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Final, TypeVar

from masterworker import forks
from masterworker.awaits.chains import only_wakes
from masterworker.checking import time_limit
from masterworker.errors import TaskCancelled, Terminated, WorkerStartError

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.executor.job import Job
    from masterworker.master.future import Future

T = TypeVar("T")

#: What `concurrent.futures.Future.__init__` makes, and its functions use.
MACHINERY: Final = frozenset(
    ("_condition", "_done_callbacks", "_exception", "_result", "_state", "_waiters")
)
_making = forks.rlock()


class ExecutorFuture(concurrent.futures.Future[T]):
    """The future of one call. Made by `Executor.submit`. Thread-safe.

    Args:
        job: Of which executor.
        future: The future of the task.
    """

    def __init__(self, job: Job, future: Future[T]) -> None:  # the machinery comes later
        self._job = job
        self._task = future
        #: It was to be broken off, which is no cancelling.
        self._is_interrupted = False

    # -- its state --------------------------------------------------------------------------

    def cancel(self) -> bool:
        """Cancel the call if it has not begun: then it never runs.

        Where a worker has it, the worker is asked, which takes about 20 ms, and 0.5 s at most.

        Returns:
            False: it has begun, or is done.
        """
        return self._job.cancel_waiting([self._task]) or self.cancelled()

    def cancelled(self) -> bool:
        """Return whether the call was cancelled before it ran."""
        return self._task.cancelled() and not self._is_interrupted

    def interrupt(self) -> bool:
        """Break it off; see `Executor.interrupt`."""
        if self._job.is_handed_out(self._task):
            self._is_interrupted = True
        return self._task.cancel()

    def running(self) -> bool:
        """Return whether a worker executes the call; true from about 20 ms after its begin."""
        return self._task.running()

    def done(self) -> bool:
        """Return whether the call has ended, or was cancelled."""
        return self._task.done()

    # -- its outcome ------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result.

        Args:
            timeout: Seconds to wait at most; None: as long as it takes.

        Raises:
            TimeoutError: It is not done in time.
            CancelledError: It was cancelled before it ran.
            BrokenExecutor: The executor's own workers could not start.
            Exception: What the call raised.
        """
        error = self.exception(timeout)
        if error is not None:
            try:
                raise error
            finally:
                del error, self  # the error refers to this frame, and this future to the error
        return self._task.result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end; return what the call raised, or None.

        Raises:
            TimeoutError: It is not done in time.
            CancelledError: It was cancelled before it ran.
        """
        limit = time_limit(timeout)
        try:
            error = self._task.exception(limit)
        except (Terminated, WorkerStartError) as why:
            return self._job.broken(why)
        if isinstance(error, TaskCancelled) and self.cancelled():
            raise CancelledError
        return self._job.broken() if isinstance(error, Terminated) else error

    # -- the standard library's machinery ---------------------------------------------------

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[T]], object]) -> None:
        """Let a function be called when the call has ended; see `Future.add_done_callback`."""
        if only_wakes(fn) and "_condition" not in self.__dict__:
            self._job.chains.add(fn, self, self._task)
        else:
            super().add_done_callback(fn)

    def _get_snapshot(self) -> tuple[bool, bool, T | None, BaseException | None]:
        """Return what asyncio takes over as of Python 3.14, once this is done."""
        if not self.done():
            return False, False, None, None
        if self.cancelled():
            return True, True, None, None
        error = self.exception()
        return True, False, None if error is not None else self.result(), error

    def __getattr__(self, name: str) -> Any:
        if name not in MACHINERY:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if self._task._is_here():
            with contextlib.suppress(CancelledError):
                self.exception()  # which may take long, so not below
        with _making:
            if name not in self.__dict__:
                super().__init__()
                if self._task._is_here():  # what is refused depends on it: now, and not soon
                    self._settle(self._task)
                else:
                    self._task.add_done_callback(self._settle)
        return self.__dict__[name]

    def _settle(self, future: Future[T]) -> None:
        """Notify all that wait, and call back. In the thread of the job's callbacks.

        Or in one that asks for the machinery when the call has ended: then none waits yet.
        """
        try:
            error = self.exception()
        except CancelledError:
            super().cancel()
            super().set_running_or_notify_cancel()
            return
        if error is None:
            super().set_result(future.result())
        else:
            super().set_exception(error)

    def __repr__(self) -> str:
        return f"<Future of {self._task!r}>"
