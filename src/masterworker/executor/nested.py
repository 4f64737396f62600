"""What a pickled executor is elsewhere: one whose `map` asks for further tasks of the same job.

Single calls are executed at once, where they are asked: a thread that waits for a future of
`concurrent.futures` executes nothing meanwhile, and with one worker it would wait for itself.
"""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any, TypeVar

from masterworker.executor import checks
from masterworker.worker.here import starmap_here, worker_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


class NestedExecutor(concurrent.futures.Executor):
    """Executes each call in the thread that asks for it; those of a `map` as further tasks.

    Libraries give their functions a reference to the executor that calls them; few use it there.
    """

    #: As consumers read it of any executor.
    _max_workers = 1
    size = 1

    def submit(
        self, fn: Callable[..., T], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[T]:
        """Execute a call; return its future, which is done."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # others break off the task that asks
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

    def options(self, **_options: Any) -> NestedExecutor:
        """Return this executor: time limits and further attempts are the whole task's."""
        return self
