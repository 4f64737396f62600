"""`Pool`: what `multiprocessing.Pool` does, on workers that may die."""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeVar

from masterworker.errors import Terminated
from masterworker.executor import Executor, checks
from masterworker.executor.elsewhere import reduced
from masterworker.executor.job import Job, Mapped
from masterworker.launch.output import PLAIN
from masterworker.master.map_call import Bounds
from masterworker.master.maps import requests_of
from masterworker.master.submission import submission_of
from masterworker.pool.gathering import Gathering
from masterworker.pool.iterators import IMapIterator
from masterworker.pool.results import AsyncResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Self

    from masterworker.master import Master

T = TypeVar("T")

#: The states of a pool, as the standard library's have them.
RUN: Final = "RUN"
CLOSE: Final = "CLOSE"
TERMINATE: Final = "TERMINATE"

#: Of pools that may not have been joined when the interpreter ends.
_jobs: Final[weakref.WeakSet[Job]] = weakref.WeakSet()


class Pool:
    """Executes calls in workers of a job, with the methods of `multiprocessing.Pool`. Thread-safe.

    A worker that dies is replaced, and costs no result. The pool itself can be called as `map`, for
    libraries that take a function like the built-in one. `with` terminates the pool at its end. One
    that is pickled (a solver may refer to it) arrives as one whose maps are further tasks.

    Args:
        processes: Number of workers to start on this machine; None: one for each processor that
            may be used.
        initializer: Called in each worker process before its first call.
        initargs: Its arguments.
        maxtasksperchild: After this many calls a worker process is replaced; None: never.
        context: Has no effect: workers are fresh processes.
        label: The name under which workers from elsewhere can join; None: none can.
        master: Use the workers of this master, which lives on.
        seed: Of the calls' random numbers; as for `Master`.
        output: As for `Master.launch_workers`.
        start_timeout: Likewise.
        preload: As for `Master.launch_workers`.
        engine: As for `Master`, in place of `processes`.

    Raises:
        ValueError: A number is out of bounds.
        TypeError: A value is of the wrong type.
        LabelTakenError: A living master has this label.
    """

    def __init__(  # noqa: PLR0913  most are of the standard library
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: object = None,
        *,
        label: str | None = None,
        master: Master | None = None,
        seed: int | None = None,
        output: str = PLAIN,
        start_timeout: float | None = None,
        preload: Iterable[str] | None = None,
        engine: Any = None,
    ) -> None:
        self._state = TERMINATE  # as long as it has not begun
        checks.functions_or_none("initializer", initializer)
        try:
            max_tasks = checks.number_of_tasks(maxtasksperchild, "maxtasksperchild")
        except (TypeError, ValueError):  # the standard library has one error for both
            raise ValueError("maxtasksperchild must be a positive int or None") from None
        number = checks.number_of_workers(
            processes, "processes", "Number of processes must be at least 1"
        )
        given = master is not None or engine is not None
        self._executor = Executor(
            *(number if processes is not None or not given else None, context, initializer),
            *(tuple(initargs),),
            label=label,
            max_tasks_per_child=max_tasks,
            master=master,
            seed=seed,
            output=output,
            start_timeout=start_timeout,
            preload=preload,
            engine=engine,
        )
        self._job = self._executor._job
        self._submission = submission_of(self._executor._options)
        #: Those of `imap` that have not ended: each may have items left to be drawn.
        self._iterators: set[IMapIterator[Any]] = set()
        self._state = RUN
        _jobs.add(self._job)

    @property
    def size(self) -> int:
        """Number of workers that were asked for."""
        return self._executor.size

    #: The name that some libraries read.
    _processes = size

    def is_master(self) -> bool:
        """Return whether this is the process that made the pool: false of one that was pickled."""
        return True

    # -- one call ---------------------------------------------------------------------------

    def apply(
        self,
        func: Callable[..., T],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
    ) -> T:
        """Call a function in a worker, and wait for its result.

        Args:
            func: Any function, also a lambda or one of the main program.
            args: Its positional arguments.
            kwds: Its keyword arguments.

        Raises:
            ValueError: The pool was closed.
            Exception: What the call raised.
        """
        return self.apply_async(func, args, kwds).get()

    def apply_async(
        self,
        func: Callable[..., T],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        callback: Callable[[T], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult[T]:
        """Ask for a call. Does not wait.

        Args:
            func: Any function.
            args: Its positional arguments; fixed now.
            kwds: Its keyword arguments; fixed now.
            callback: Called with the result, in one thread for all, where it may block.
            error_callback: Called with what the call raised, likewise.

        Raises:
            ValueError: The pool was closed.
        """
        self._require_running()
        checks.function(func, "func must be a callable")
        checks.functions_or_none("a callback", callback, error_callback)
        call = self._executor.submit(func, *args, **kwds)
        result = AsyncResult(self, self._job, call)
        result._call_back(callback, error_callback)
        return result

    # -- many calls at once -----------------------------------------------------------------

    def map(
        self, func: Callable[[Any], T], iterable: Iterable[Any], chunksize: int | None = None
    ) -> list[T]:
        """Call a function for each item; wait for all, and return the results in their order.

        All calls are executed, also where one fails.

        Args:
            func: Any function.
            iterable: The items.
            chunksize: Has no effect: the size of portions is found out.

        Raises:
            ValueError: The pool was closed.
            Exception: What the call of the first item that failed raised.
        """
        return self.map_async(func, iterable, chunksize).get()

    def map_async(
        self,
        func: Callable[[Any], T],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[list[T]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult[list[T]]:
        """Do the same without waiting; see `apply_async`."""
        return self._gather(func, (iterable,), chunksize, callback, error_callback)

    def starmap(
        self,
        func: Callable[..., T],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[T]:
        """Do what `map` does, where each item holds all arguments of its call."""
        return self.starmap_async(func, iterable, chunksize).get()

    def starmap_async(
        self,
        func: Callable[..., T],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[T]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult[list[T]]:
        """Do the same without waiting; see `apply_async`."""
        return self._gather(func, (iterable,), chunksize, callback, error_callback, starred=True)

    def __call__(self, func: Callable[..., T], /, *iterables: Iterable[Any]) -> list[T]:
        """Do what the built-in `map` does, and return a list.

        Raises:
            ValueError: The pool was closed.
            Exception: What the call of the first item that failed raised.
        """
        if not iterables:
            raise TypeError("a pool is called as map is: with a function and iterables")
        return self._gather(func, iterables).get()

    def _gather(
        self,
        func: Callable[..., T],
        iterables: tuple[Iterable[Any], ...],
        chunksize: int | None = None,
        callback: Callable[[list[T]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        starred: bool = False,
    ) -> AsyncResult[list[T]]:
        self._require_running()
        checks.mapped(func, chunksize)
        checks.functions_or_none("a callback", callback, error_callback)
        self._job.require_open()
        # Items are drawn whole before the first call: where that fails, none is executed.
        lists = [each if hasattr(each, "__len__") else list(each) for each in iterables]
        requests = requests_of(self._submission, func, lists, starred=starred)
        try:
            gathering: Gathering[T] = Gathering(requests)
        except Terminated as error:  # by another thread, while items were drawn
            raise self._job.broken(error) from None
        self._job.note(Mapped(requests))
        result: AsyncResult[list[T]] = AsyncResult(self, self._job, gathering)
        result._call_back(callback, error_callback)
        return result

    # -- results as they are wanted ---------------------------------------------------------

    def imap(
        self,
        func: Callable[[Any], T],
        iterable: Iterable[Any],
        chunksize: int = 1,
        *,
        buffersize: int | None = None,
    ) -> IMapIterator[T]:
        """Call a function for each item; return an iterator over the results, in their order.

        Items are drawn as results are taken, in the thread that takes them, so the iterable may be
        endless. `join` draws those that are left.

        Args:
            func: Any function.
            iterable: The items.
            chunksize: Has no effect: the size of portions is found out.
            buffersize: This many calls at most are under way, or done and not taken. None: 10,000,
                or 64 MB of arguments; of tiny ones up to 40,000.

        Raises:
            ValueError: The pool was closed, or a number is less than 1.
        """
        return self._iterate(func, iterable, chunksize, buffersize, ordered=True)

    def imap_unordered(
        self,
        func: Callable[[Any], T],
        iterable: Iterable[Any],
        chunksize: int = 1,
        *,
        buffersize: int | None = None,
    ) -> IMapIterator[T]:
        """Do what `imap` does; results come as calls end."""
        return self._iterate(func, iterable, chunksize, buffersize, ordered=False)

    def _iterate(
        self,
        func: Callable[[Any], T],
        iterable: Iterable[Any],
        chunksize: int,
        buffersize: int | None,
        *,
        ordered: bool,
    ) -> IMapIterator[T]:
        self._require_running()
        checks.mapped(func, chunksize)
        bounds = Bounds(checks.buffer_size(buffersize))
        self._job.require_open()
        requests = requests_of(self._submission, func, (iterable,))
        iterator: IMapIterator[T] = IMapIterator(
            self._job, requests, bounds, ordered=ordered, on_end=self._forget
        )
        self._iterators.add(iterator)
        return iterator

    def _forget(self, iterator: IMapIterator[Any]) -> None:
        self._iterators.discard(iterator)
        if self._state == CLOSE and not self._iterators:
            self._job.shut_down(wait=False, cancel=False)

    # -- the end ----------------------------------------------------------------------------

    def close(self) -> None:
        """Take no more calls. Workers end when those that were asked for are done."""
        if self._state == RUN:
            self._state = CLOSE
            if not self._iterators:
                self._job.shut_down(wait=False, cancel=False)

    def terminate(self) -> None:
        """End now: calls that are not done have no result."""
        self._state = TERMINATE
        self._job.kill()
        for iterator in tuple(self._iterators):
            iterator.cancel()
        self._iterators.clear()

    def join(self) -> None:
        """Wait until all calls are done and the workers have ended.

        Raises:
            ValueError: Neither `close` nor `terminate` was called.
        """
        if self._state == RUN:
            raise ValueError("Pool is still running")
        for iterator in tuple(self._iterators):
            iterator.finish()
        self._job.shut_down(wait=True, cancel=False)
        self._job.engine.router.callbacks.wait()

    def __enter__(self) -> Self:
        self._require_running()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def __del__(self) -> None:
        if self._state == RUN and self._job.pid == os.getpid():
            told = f"unclosed running multiprocessing pool {self!r}"
            warnings.warn(told, ResourceWarning, stacklevel=2, source=self)

    def __reduce__(self) -> tuple[Any, ...]:
        from masterworker.pool.nested import NestedPool  # with the worker's half

        return reduced(self, self._job.pid, NestedPool)

    def __repr__(self) -> str:
        return f"<masterworker.Pool state={self._state} size={self.size}>"

    def _require_running(self) -> None:
        if self._state != RUN:
            raise ValueError("Pool not running")


def _at_exit() -> None:
    """End the workers of pools that were not joined, as the standard library does."""
    for job in list(_jobs):
        if job.pid == os.getpid():
            job.at_exit = True
            job.kill()


threading._register_atexit(_at_exit)  # type: ignore[attr-defined]  # runs before the executors' own
