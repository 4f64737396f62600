"""`Executor`: what `concurrent.futures.ProcessPoolExecutor` does, on workers that may die."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import threading
import weakref
from concurrent.futures import CancelledError
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from masterworker.errors import (
    TaskCancelled,
    Terminated,
    UnpicklableError,
    UsageError,
    WorkerStartError,
)
from masterworker.executor import checks
from masterworker.executor.elsewhere import reduced
from masterworker.executor.future import ExecutorFuture
from masterworker.executor.job import Job, Mapped
from masterworker.launch.output import PLAIN
from masterworker.master import Master
from masterworker.master.map_call import Bounds, MapCall, end_after
from masterworker.master.maps import requests_of
from masterworker.master.submission import OPTION_NAMES, TaskOptions, submission_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self, Unpack

    from masterworker.master.submission import Submitter

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("masterworker.executor")

#: Of executors that have not been shut down when the interpreter ends.
_jobs: Final[weakref.WeakSet[Job]] = weakref.WeakSet()


class Executor(concurrent.futures.Executor):
    """Executes calls in workers of a job. A worker that dies is replaced, and costs no result.

    Everything in `concurrent.futures` and `asyncio` that takes an executor takes this one. Futures
    are `concurrent.futures.Future`s. Thread-safe. One that is pickled (a function of a library may
    refer to it) arrives as one whose `map` asks for further tasks of the job.

    Args:
        max_workers: Number of workers to start on this machine; None: one for each processor that
            may be used.
        mp_context: Has no effect: workers are fresh processes.
        initializer: Called in each worker process before its first call.
        initargs: Its arguments.
        label: The name under which workers from elsewhere can join; None: none can.
        max_tasks_per_child: After this many calls a worker process is replaced; None: never.
        master: Use the workers of this master, which lives on after `shutdown`.
        seed: Of the calls' random numbers; as for `Master`.
        output: As for `Master.launch_workers`.
        start_timeout: Likewise; when no worker is ready in time, calls end with `BrokenExecutor`.
        preload: As for `Master.launch_workers`.
        engine: As for `Master`, in place of `max_workers`.

    Raises:
        ValueError: A number is out of bounds.
        TypeError: A value is of the wrong type.
        LabelTakenError: A living master has this label.
    """

    def __init__(  # noqa: PLR0913  most are of the standard library
        self,
        max_workers: int | None = None,
        mp_context: object = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        label: str | None = None,
        max_tasks_per_child: int | None = None,
        master: Master | None = None,
        seed: int | None = None,
        output: str = PLAIN,
        start_timeout: float | None = None,
        preload: Iterable[str] | None = None,
        engine: Any = None,
    ) -> None:
        workers = checks.number_of_workers(
            max_workers, "max_workers", "max_workers must be greater than 0"
        )
        checks.functions_or_none("initializer", initializer)
        max_tasks = checks.number_of_tasks(max_tasks_per_child, "max_tasks_per_child")
        if mp_context is not None:
            logger.info("mp_context has no effect: workers are fresh processes of their own")
        if engine is not None and (max_workers is not None or master is not None):
            raise UsageError("an engine has its own number of workers: give only engine=")
        if master is not None:
            if any(e is not None for e in (label, max_workers, initializer, start_timeout)):
                raise UsageError("a master has its own label and workers: give only master=")
            job, workers = Job(master, owned=False), max(1, master.number_of_workers)
        else:
            start = None if initializer is None else partial(initializer, *initargs)
            if engine is not None and (start is not None or max_tasks is not None):
                raise UsageError("an engine starts its own processes: no initializer, no max_tasks")
            made = Master(
                label,
                engine=engine,
                workers=0 if engine is not None else workers,
                max_tasks=max_tasks,
                initializer=start,
                start_timeout=start_timeout,
                output=output,
                preload=preload,
            )
            job = Job(made, owned=True)
        submitter = job.master if seed is None else job.master.options(seed=seed)
        self._use(job, submitter.submit, workers, submitter)
        weakref.finalize(self, job.shut_down, wait=False, cancel=False).atexit = False
        _jobs.add(job)

    #: What ends the job when nothing refers to it; None: this executor itself.
    _made_by: Executor | None = None

    def _use(self, job: Job, submit: Callable[..., Any], workers: int, options: Submitter) -> None:
        self._job = job
        self._submit = submit
        self._options = options
        self._max_workers = workers

    @property
    def size(self) -> int:
        """Number of workers that were asked for."""
        return self._max_workers

    def options(self, **options: Unpack[TaskOptions]) -> Executor:
        """Return an executor on the same workers whose calls have options.

        Args:
            options: As for `Master.options`.

        Raises:
            UsageError: One of the values cannot be used.
        """
        submitter: Submitter = self._options.options(**options)
        other = Executor.__new__(Executor)
        other._use(self._job, submitter.submit, self._max_workers, submitter)
        other._made_by = self
        return other

    # -- calls ------------------------------------------------------------------------------

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[T]:
        """Ask for a call.

        Args:
            fn: Any function, also a lambda or one of the main program.
            args: Its positional arguments; fixed now.
            kwargs: Its keyword arguments; fixed now.

        Returns:
            Its future. Where an argument cannot be sent, that future has failed.

        Raises:
            RuntimeError: After `shutdown`.
            UsageError: `fn` cannot be called.
            BrokenExecutor: No worker could start.
        """
        job = self._job
        job.require_open()
        if kwargs and not OPTION_NAMES.isdisjoint(kwargs):
            function: Callable[..., T] = partial(fn, **kwargs)
            kwargs = {}  # type: ignore[assignment]
        else:
            function = fn
        try:
            task = self._submit(function, *args, **kwargs)
        except UnpicklableError as error:
            failed: concurrent.futures.Future[T] = concurrent.futures.Future()
            failed.set_exception(error)
            return failed
        except Terminated:
            raise job.refusal() from None
        job.note(task)
        return ExecutorFuture(job, task)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Call a function for each item; return an iterator over the results, in their order.

        Each call is a task of its own, however they travel: it fails alone. An iterator that is
        closed or dropped after its first result cancels the calls that have not begun; one of which
        no result was taken does not.

        Args:
            fn: Any function.
            iterables: As for the built-in `map`.
            timeout: Seconds from this call in which each result must have come; None: any time.
            chunksize: Has no effect: the size of portions is found out.
            buffersize: This many calls at most are under way, or done and not taken: items are
                drawn as results are taken. None: all items are drawn now.

        Raises:
            RuntimeError: After `shutdown`.
            ValueError: `chunksize` or `buffersize` is less than 1, `timeout` less than 0.
            TypeError: `fn` cannot be called, or a number is none.
            TimeoutError: From the iterator: a result has not come in time.
        """
        checks.chunk_size(chunksize)
        most = checks.buffer_size(buffersize)
        checks.function(fn)
        end = end_after(timeout)
        job = self._job
        job.require_open()
        if not iterables:
            return iter(())
        submission = submission_of(self._options)
        requests = requests_of(submission, fn, iterables)
        bounds = Bounds(most, most is None, end, unattended=True)
        results = MapCall(requests, bounds=bounds).begin(ordered=True)
        job.note(Mapped(requests))
        return _translated(job, results)

    # -- the end ----------------------------------------------------------------------------

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. Those that were asked for are done, then the workers end.

        Args:
            wait: Return when all is done and ended; else at once.
            cancel_futures: Cancel the calls that no worker has.
        """
        self._job.shut_down(wait=wait, cancel=cancel_futures)

    def interrupt(self, future: concurrent.futures.Future[Any]) -> bool:
        """Break off a call that a worker has: its future raises `TaskCancelled`.

        Returns:
            False: it is done.

        Raises:
            UsageError: It is no future of this executor.
        """
        if not isinstance(future, ExecutorFuture) or future._job is not self._job:
            raise UsageError(f"interrupt takes a future of this executor, not {future!r}")
        return future.interrupt()

    def terminate_workers(self) -> None:
        """End now, as `ProcessPoolExecutor.terminate_workers`: calls that are not done fail."""
        self._job.kill()

    def kill_workers(self) -> None:
        """End now, as `ProcessPoolExecutor.kill_workers`: calls that are not done fail."""
        self._job.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Shut down; after Ctrl-C at once, whatever runs."""
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._job.kill()
        self.shutdown()

    def __reduce__(self) -> tuple[Any, ...]:
        from masterworker.executor.nested import NestedExecutor  # with the worker's half

        return reduced(self, self._job.pid, NestedExecutor)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Shut down in a thread of its own; when the coroutine was cancelled, at once."""
        from masterworker.awaits import loops  # of use to programs with asyncio only

        if loops.is_cancelled(kind):
            self._job.kill()
        await loops.in_thread(self.shutdown)

    def __repr__(self) -> str:
        ended = ", shut down" if self._job.is_shut_down else ""
        return f"<Executor of {self._job.master.label!r} with {self._max_workers} workers{ended}>"


def _translated(job: Job, results: Iterator[T]) -> Iterator[T]:
    """Yield results; what ends them is an error of executors."""
    try:
        yield from results
    except (Terminated, WorkerStartError) as error:
        broken = job.broken(error)
        raise broken from broken.__cause__
    except TaskCancelled:
        if not job.is_shut_down:
            raise
        raise CancelledError from None  # as of a future that `shutdown` has cancelled


def _at_exit() -> None:
    """Finish what is outstanding before the interpreter ends, as the standard library does."""
    jobs = [job for job in _jobs if job.pid == os.getpid()]
    for job in jobs:
        job.at_exit = True
        job.shut_down(wait=False, cancel=False)
    for job in jobs:
        job.shut_down(wait=True, cancel=False)


threading._register_atexit(_at_exit)  # type: ignore[attr-defined]  # as `concurrent.futures` does
