"""What `imap` returns: an iterator that goes on after an error, and can wait for a bounded time."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from masterworker import forks
from masterworker.awaits.iterators import NOT_YET
from masterworker.checking import time_limit
from masterworker.errors import Terminated, WorkerStartError
from masterworker.master.map_call import MapCall

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from masterworker.executor.job import Job
    from masterworker.master.map_call import Bounds
    from masterworker.master.requests import Requests

T = TypeVar("T")


class _Raised:
    """In place of the result of a call that failed."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class IMapIterator(Generic[T]):
    """The results of `imap` or `imap_unordered`. Thread-safe.

    An error is raised in the place of its result, and the next call of `next` goes on after it.

    Args:
        job: The job of the pool.
        requests: Asks for the tasks.
        bounds: How far it goes ahead.
        ordered: Results come in the order of the items.
        on_end: Is called with it when it has ended.
    """

    def __init__(
        self,
        job: Job,
        requests: Requests,
        bounds: Bounds,
        *,
        ordered: bool,
        on_end: Callable[[IMapIterator[Any]], object],
    ) -> None:
        self._job = job
        self._on_end = on_end
        #: Held while a result is taken.
        self._lock = forks.rlock()
        self._requests = requests
        self._call = MapCall(requests, on_error=_Raised, bounds=bounds, in_place=True)
        self._results = self._call.begin(ordered=ordered)

    def next(self, timeout: float | None = None) -> T:
        """Return the next result.

        Args:
            timeout: Seconds to wait at most; None: as long as it takes.

        Raises:
            multiprocessing.TimeoutError: It has not come in time; it can be asked for again.
            StopIteration: There is none.
            BrokenExecutor: The pool was terminated, or its workers could not start.
            Exception: What the call raised.
        """
        limit = time_limit(timeout)
        with self._lock:
            self._call.patience = limit
            try:
                return self.__next__()
            finally:
                self._call.patience = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            with self._lock:
                result = next(self._results)
        except Exception as end:  # the iterable's, or the end: errors of calls are results here
            self._on_end(self)
            if isinstance(end, (Terminated, WorkerStartError)):
                broken = self._job.broken(end)
                raise broken from broken.__cause__
            raise
        if result.__class__ is _Raised:
            error = result.error
            try:
                raise error
            finally:
                del error, result  # which refer to this frame
        if result is NOT_YET:
            raise multiprocessing.TimeoutError
        return cast("T", result)

    def close(self) -> None:
        """Yield nothing any more, and cancel the calls that have not ended."""
        self.cancel()
        with self._lock:
            cast("Any", self._results).close()
        self._on_end(self)

    # -- for the pool -----------------------------------------------------------------------

    def cancel(self) -> None:
        """Cancel the calls that have not ended. In any thread."""
        self._requests.end()

    def finish(self) -> None:
        """Ask for the calls that are left, and wait until all have ended."""
        with self._lock:
            self._call.draw_all()
        self._call.wait()
