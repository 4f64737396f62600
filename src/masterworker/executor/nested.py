"""What a pickled executor is elsewhere: one whose calls are further tasks of the same job.

A thread that waits for a future of the standard library executes nothing meanwhile, and with one
worker it would wait for itself. So the futures here are waited for in another way: by executing
tasks, whatever looks at them.
"""

from __future__ import annotations

import concurrent.futures
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

from masterworker.checking import time_limit
from masterworker.executor import checks
from masterworker.executor.future import MACHINERY
from masterworker.executor.nested_waits import Waiters
from masterworker.worker.here import starmap_here, worker_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from masterworker.worker.nested import NestedFuture

T = TypeVar("T")


#: Calls that are done are forgotten when there are more than this, and after as many again.
SWEEP: Final = 256


class FurtherFuture(concurrent.futures.Future[T]):
    """The future of a further task. For the thread that has asked for it.

    What waits for it executes other tasks meanwhile. That are `result`, `exception` and `done`, and
    also `concurrent.futures.wait` and `as_completed`; their time limits count beside a task that is
    executed meanwhile. Callbacks find it done: to add one waits for it.

    Args:
        call: The further task.
    """

    def __init__(self, call: NestedFuture[T]) -> None:  # the machinery comes when it is done
        self._call = call

    def cancel(self) -> bool:
        """Return False: it is under way."""
        return False

    def cancelled(self) -> bool:
        """Return False."""
        return False

    def running(self) -> bool:
        """Return whether it is not done, as far as is known: this executes nothing."""
        return not self._call.has_ended

    def done(self) -> bool:
        """Return whether it is done. Executes a task if not, so that asking again is of use."""
        try:
            self._call.exception(0.0)
        except TimeoutError:
            return False
        return True

    def result(self, timeout: float | None = None) -> T:
        """See `NestedFuture.result`."""
        try:
            return self._call.result(time_limit(timeout))
        finally:
            del self  # an error refers to this frame, and this future to the error

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """See `NestedFuture.exception`."""
        return self._call.exception(time_limit(timeout))

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[T]], object]) -> None:
        """Wait until it is done, and call a function with it."""
        self._call.exception()
        super().add_done_callback(fn)

    def __getattr__(self, name: str) -> Any:
        if name not in MACHINERY:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        super().__init__()
        self._waiters = Waiters(self._call)
        if self._call.has_ended:
            self._settle()
        else:
            self._call.on_settled = self._settle
        return self.__dict__[name]

    def _settle(self) -> None:
        """Tell what waits for this future. In a thread that collects outcomes."""
        error = self._call.exception()
        if error is None:
            super().set_result(self._call.result())
        else:
            super().set_exception(error)


class NestedExecutor(concurrent.futures.Executor):
    """Asks for each call as a further task, where a task is executed; else it executes it.

    Libraries give their functions a reference to the executor that calls them.
    """

    def __init__(self) -> None:
        self._calls: deque[FurtherFuture[Any]] = deque()
        self._sweep_at = SWEEP

    #: As consumers read it of any executor.
    _max_workers = 1
    size = 1

    def submit(
        self, fn: Callable[..., T], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[T]:
        """Ask for a call as a further task.

        In a thread that executes no task, a thread of the task say, it is called here and now.
        """
        worker = worker_here()
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            if worker is not None:
                return self._note(FurtherFuture(worker.submit(fn, *args, **kwargs)))
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # also: it cannot be sent. Others break off the task that asks
            future.set_exception(error)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Call a function for each item: as further tasks, where a task is executed.

        Elsewhere, and with `timeout`, it is called here and now, with `buffersize` when a result
        is taken.
        """
        checks.chunk_size(chunksize)
        most = checks.buffer_size(buffersize)
        if most is not None or (timeout is None and worker_here() is not None):
            return starmap_here(fn, zip(*iterables, strict=False), most)
        return super().map(fn, *iterables, timeout=timeout, chunksize=chunksize)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Wait for what this thread has asked for; the workers go on."""
        while wait and self._calls and worker_here() is not None:
            self._calls.popleft().exception()

    def __reduce__(self) -> tuple[Any, ...]:
        return NestedExecutor, ()

    def options(self, **_options: Any) -> NestedExecutor:
        """Return this executor: time limits and further attempts are the whole task's."""
        return self

    def _note(self, future: FurtherFuture[T]) -> FurtherFuture[T]:
        """Keep a future that is not done, for `shutdown`."""
        calls = self._calls
        calls.append(future)
        if len(calls) >= self._sweep_at:
            self._calls = deque(each for each in calls if each.running())
            self._sweep_at = 2 * len(self._calls) + SWEEP
        return future
