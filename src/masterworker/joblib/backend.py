"""The backend itself, as joblib 1.4 and later know backends."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from joblib import cpu_count
from joblib.parallel import (
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
    ThreadingBackend,
)

from masterworker.checking import refuse
from masterworker.errors import Terminated, UsageError, WorkerStartError
from masterworker.joblib import pools
from masterworker.joblib.call import Call
from masterworker.joblib.pools import Options
from masterworker.joblib.sharing import SharedArguments
from masterworker.launch.checks import output_kind, span
from masterworker.launch.preload import check as check_preload
from masterworker.launch.process_context import this_process
from masterworker.master import engine_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from joblib import Parallel

    from masterworker.joblib.pools import Pool
    from masterworker.master import Master

#: What joblib passes to each backend, and this one does without.
_UNUSED: Final = frozenset(("context", "prefer", "require", "temp_folder", "verbose"))
#: Keywords of this backend.
_KNOWN: Final = frozenset(("master", "nested", *Options._fields))
#: What makes calls inside of calls: threads, or tasks of the same job.
_NESTED: Final = ("threads", "masterworker")


class MasterworkerBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]  # untyped
    """Makes the calls of joblib in workers, which live on between calls.

    Made by joblib, for `parallel_config(backend="masterworker", ...)` and `Parallel`.

    Args:
        nesting_level: How many calls of `Parallel` this one is inside of.
        inner_max_num_threads: Threads that numerical libraries may use in a worker; None: as for
            `Master.launch_workers`.
        options: `label`, `initializer`, `initargs`, `max_tasks_per_child`, `output` and
            `start_timeout` as for `Executor`, or `master`: the workers of this one are used.
            `nested`: "threads" make calls inside of calls, or they are tasks of the same job
            ("masterworker").
    """

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True
    default_n_jobs = -1
    # Batches are handed out before workers ask for them, so small ones cost little.
    MIN_IDEAL_BATCH_DURATION = 0.05
    MAX_IDEAL_BATCH_DURATION = 0.5

    def __init__(
        self,
        nesting_level: int | None = None,
        inner_max_num_threads: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._master, self._options = _checked(options)
        self._given = options
        #: The `Parallel` that uses this object, its call, and the pool of its workers.
        self._user: Callable[[], Parallel | None] = _nothing
        self._call: Call | None = None
        self._pool: Pool | None = None

    # -- joblib's interface -----------------------------------------------------------------

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many calls are made at one time.

        Args:
            n_jobs: As joblib takes it: -1 is one for each processor, and with `master=` one for
                each of its workers (two at least, since more may join).

        Raises:
            ValueError: It is 0.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        if n_jobs > 0:
            return n_jobs
        there = cpu_count() if self._master is None else max(2, self._master.number_of_workers)
        return max(int(there) + 1 + n_jobs, 1)

    def configure(
        self,
        n_jobs: int = 1,
        parallel: Parallel | None = None,
        max_nbytes: int | None = None,
        mmap_mode: str | None = "r",
        **given: Any,
    ) -> int:
        """Get the workers for a call, or for those of a `with Parallel`. Returns their number.

        Raises:
            FallbackToBackend: Another backend is right for this call.
            UsageError: An option makes no sense.
        """
        further = {
            name: value
            for name, value in given.items()
            if name not in _UNUSED and self._given.get(name, _nothing) is not value
        }
        if further or (self._call is not None and self._user() is not parallel):
            # Each `Parallel` that is under way has an object of its own.
            raise FallbackToBackend(self._another(further))
        many = self.effective_n_jobs(n_jobs)
        is_serial = self._master is not None and engine_of(self._master).execution.here is not None
        if this_process.is_worker or many == 1 or is_serial:
            raise FallbackToBackend(self._nearer(1 if is_serial else many))
        self.terminate()
        threads = self.inner_max_num_threads
        if self._master is None:
            self._pool = pools.acquire(self._options, many, threads)
            master, there = self._pool.executor._job.master, self._pool.size
        else:
            master, there = self._master, self._master.number_of_workers
        most = many if n_jobs > 0 and there > many else None
        only_here = self._master is None and self._options.label is None
        shared = SharedArguments(master, max_nbytes, mmap_mode, only_here=only_here)
        self._call = Call(master, shared, threads, most)
        self.parallel = parallel
        self._user = _nothing if parallel is None else weakref.ref(parallel)
        return many

    def submit(self, func: Any, callback: Callable[[Any], object] | None = None) -> Any:
        """Ask for the calls of a batch; joblib's `callback` gets their future."""
        call = self._call  # None: joblib has broken it off in another thread
        return None if call is None else call.submit(func, callback)

    #: Its name until joblib 1.5.
    apply_async = submit

    def retrieve_result_callback(self, out: Any) -> Any:
        """Return what a batch returned, or raise what it raised."""
        try:
            return out.result()
        except (Terminated, WorkerStartError) as error:
            if self._pool is None:
                raise
            raise self._pool.executor._job.broken(error) from error

    def abort_everything(self, ensure_ready: bool = True) -> None:  # noqa: ARG002  workers stay
        """Break off what is under way: its results are not wanted."""
        if self._call is not None:
            self._call.cancel()

    def stop_call(self) -> None:
        """Let go of what the calls have had in common."""
        if self._call is not None:
            self._call.free()

    def terminate(self) -> None:
        """Give the workers back. They live on."""
        call, pool = self._call, self._pool
        self._call = self._pool = None
        self._user = _nothing
        if call is not None:
            call.end()
        if pool is not None:
            pools.release(pool)
        self.reset_batch_stats()

    def get_nested_backend(self) -> tuple[Any, None]:
        """Return the backend for calls of `Parallel` inside of these."""
        if self._given.get("nested") != "masterworker":
            found: tuple[Any, None] = super().get_nested_backend()
            return found
        from masterworker.joblib.nested import NestedBackend

        return NestedBackend((self.nesting_level or 0) + 1, self.inner_max_num_threads), None

    # -- inside -----------------------------------------------------------------------------

    def _another(self, further: dict[str, Any]) -> MasterworkerBackend:
        return MasterworkerBackend(
            self.nesting_level, self.inner_max_num_threads, **{**self._given, **further}
        )

    def _nearer(self, many: int) -> Any:
        """Return the backend for calls in this process.

        Inside a task these are threads, and below them the calling thread, as with loky.
        """
        level = self.nesting_level or 0
        if many > 1 and level < 2:
            return ThreadingBackend(nesting_level=max(level, 1))
        return SequentialBackend(nesting_level=level)

    def __reduce__(self) -> Any:
        return _rebuilt, (self.nesting_level, self.inner_max_num_threads)


def _rebuilt(nesting_level: int | None, threads: int | None) -> MasterworkerBackend:
    """Make the backend that another process had, without its options: they are of that process."""
    return MasterworkerBackend(nesting_level, threads)


def _nothing() -> None:
    return None


def _checked(options: dict[str, Any]) -> tuple[Master | None, Options]:
    """Return what options say.

    Raises:
        UnknownKeywordError: There is no such option.
        UsageError: They contradict one another, or make no sense.
    """
    if options.keys() - _KNOWN:
        refuse('parallel_config(backend="masterworker")', options, _KNOWN)
    master = options.get("master")
    nested = options.get("nested", "threads")
    if nested not in _NESTED:
        raise UsageError(f'nested must be "threads" or "masterworker", not {nested!r}')
    rest = {name: value for name, value in options.items() if name in Options._fields}
    if master is not None and rest:
        raise UsageError("a master has its own workers: give only master=")
    found = Options(**rest)
    output_kind(found.output)
    span(found.start_timeout)
    return master, found._replace(preload=check_preload(found.preload))
