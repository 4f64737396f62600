"""What a pickled pool is elsewhere: one whose maps are further tasks of the same job.

Single calls are executed at once, where they are asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from masterworker.executor import checks
from masterworker.worker.here import starmap_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Self

T = TypeVar("T")


class DoneResult(Generic[T]):
    """The result of a call that has ended; see `AsyncResult`.

    Args:
        call: Executed now.
        callback: Called with the result.
        error_callback: Called with what the call raised.
    """

    def __init__(
        self,
        call: Callable[[], T],
        callback: Callable[[T], object] | None,
        error_callback: Callable[[BaseException], object] | None,
    ) -> None:
        self._error: Exception | None = None
        try:
            self._value = call()
        except Exception as error:  # others break off the task that asks
            self._error = error
        if self._error is None and callback is not None:
            callback(self._value)
        if self._error is not None and error_callback is not None:
            error_callback(self._error)

    def ready(self) -> bool:
        """Return whether the call has ended."""
        return True

    def successful(self) -> bool:
        """Return whether the call has returned."""
        return self._error is None

    def wait(self, timeout: float | None = None) -> None:
        """Return at once."""

    def get(self, timeout: float | None = None) -> T:  # noqa: ARG002  as of `AsyncResult`
        """Return the result, or raise what the call raised."""
        if self._error is not None:
            raise self._error
        return self._value


class NestedPool:
    """Has the methods of `Pool`; its `imap` returns a plain iterator.

    The calls of maps are further tasks, where a task is executed.

    Solvers and samplers carry their pool along to the function that they call; few use it there.
    """

    #: The number of workers, by both names.
    size = _processes = 1

    def is_master(self) -> bool:
        """Return false: another process made the pool."""
        return False

    def apply(
        self,
        func: Callable[..., T],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
    ) -> T:
        """Call a function."""
        return func(*args, **kwds)

    def apply_async(
        self,
        func: Callable[..., T],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        callback: Callable[[T], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> DoneResult[T]:
        """Call a function; return what `apply_async` of a `Pool` returns."""
        return DoneResult(lambda: func(*args, **kwds), callback, error_callback)

    def map(
        self, func: Callable[[Any], T], iterable: Iterable[Any], chunksize: int | None = None
    ) -> list[T]:
        """Call a function for each item."""
        return self.map_async(func, iterable, chunksize).get()

    def map_async(
        self,
        func: Callable[[Any], T],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[list[T]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> DoneResult[list[T]]:
        """Do the same; return what `map_async` of a `Pool` returns."""
        checks.mapped(func, chunksize)
        return DoneResult(lambda: list(starmap_here(func, zip(iterable))), callback, error_callback)

    def starmap(
        self,
        func: Callable[..., T],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[T]:
        """Call a function for each item, which holds all its arguments."""
        return self.starmap_async(func, iterable, chunksize).get()

    def starmap_async(
        self,
        func: Callable[..., T],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[T]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> DoneResult[list[T]]:
        """Do the same; return what `starmap_async` of a `Pool` returns."""
        checks.mapped(func, chunksize)
        return DoneResult(
            lambda: list(starmap_here(func, map(tuple, iterable))), callback, error_callback
        )

    def imap(
        self,
        func: Callable[[Any], T],
        iterable: Iterable[Any],
        chunksize: int = 1,
        *,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Call a function for each item; at most 256 calls are under way, or `buffersize`."""
        checks.mapped(func, chunksize)
        return starmap_here(func, zip(iterable), checks.buffer_size(buffersize))

    #: Results come in the order of the items, which is one of those that may be.
    imap_unordered = imap

    def __call__(self, func: Callable[..., T], /, *iterables: Iterable[Any]) -> list[T]:
        """Do what the built-in `map` does, and return a list."""
        return list(starmap_here(func, zip(*iterables, strict=False)))

    def close(self) -> None:
        """Do nothing: the process that made the pool ends it."""

    terminate = join = close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing, as `close`."""
