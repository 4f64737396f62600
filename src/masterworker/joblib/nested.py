"""Calls inside of calls as tasks of the same job: `nested="masterworker"`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from joblib import cpu_count
from joblib.parallel import (
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
)

from masterworker.joblib.batch import run_batch
from masterworker.worker.further import FurtherCalls
from masterworker.worker.here import worker_here
from masterworker.worker.worker import engine_of

if TYPE_CHECKING:
    from collections.abc import Callable


class Asked:
    """A batch that was asked for, as joblib expects it of a backend without callbacks.

    Args:
        backend: Of which.
        number: The number of its task.
    """

    def __init__(self, backend: NestedBackend, number: int) -> None:
        self._backend = backend
        self._number = number

    def get(self) -> Any:
        """Wait for the results, or raise what a call raised."""
        return self._backend.wait(self._number)


class NestedBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]  # untyped
    """Makes the calls of a `Parallel` inside of a call of joblib as further tasks of the job.

    While a worker waits for them, it executes tasks that wait, so a job with one worker goes on as
    well, to any depth. In threads that a call has started they are made one after the other.
    """

    supports_timeout = False
    default_n_jobs = -1

    def __init__(self, nesting_level: int | None = None, threads: int | None = None) -> None:
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=threads)
        self._calls: FurtherCalls | None = None
        self._callbacks: dict[int, Callable[[Any], object] | None] = {}
        self._outcomes: dict[int, tuple[Any, BaseException | None]] = {}

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many calls may be made at one time."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        return n_jobs if n_jobs > 0 else max(int(cpu_count()) + 1 + n_jobs, 1)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Begin. Returns how many calls may be made at one time.

        Raises:
            FallbackToBackend: They are made one after the other, in this thread.
        """
        many, worker = self.effective_n_jobs(n_jobs), worker_here()
        if many == 1 or worker is None:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        if self._calls is not None:  # another `Parallel` uses it
            raise FallbackToBackend(NestedBackend(self.nesting_level, self.inner_max_num_threads))
        self.parallel = parallel
        self._calls = FurtherCalls(engine_of(worker), run_batch.__name__)
        return many

    def submit(self, func: Any, callback: Callable[[Any], object] | None = None) -> Asked:
        """Ask for the calls of a batch. Returns what waits for their results."""
        assert self._calls is not None  # joblib has called `configure`  # noqa: S101
        number = self._calls.submit(run_batch, func, self.inner_max_num_threads)
        self._callbacks[number] = callback
        return Asked(self, number)

    #: Its name until joblib 1.5.
    apply_async = submit

    def wait(self, out: int) -> Any:
        """Wait for a batch. Return what it returned, or raise what it raised."""
        assert self._calls is not None  # as above  # noqa: S101
        while out not in self._outcomes:
            number, value, error = self._calls.wait()
            self._outcomes[number] = value, error
            callback = self._callbacks.pop(number)
            if callback is not None and error is None:
                callback(number)  # which may submit more
        value, error = self._outcomes.pop(out)
        if error is not None:
            raise error
        return value

    def abort_everything(self, ensure_ready: bool = True) -> None:  # noqa: ARG002  all is ready
        """Wait for what is under way: its outcomes are not wanted, and must not come later."""
        self._callbacks.clear()
        if self._calls is not None:
            self._calls.drain()
        self._outcomes.clear()

    def terminate(self) -> None:
        """The calls are done."""
        self.abort_everything()
        calls, self._calls = self._calls, None
        if calls is not None:
            calls.end()
        self.reset_batch_stats()

    def get_nested_backend(self) -> tuple[NestedBackend, None]:
        """Return the backend for calls of `Parallel` inside of these."""
        return NestedBackend((self.nesting_level or 0) + 1, self.inner_max_num_threads), None

    def __reduce__(self) -> Any:
        return NestedBackend, (self.nesting_level, self.inner_max_num_threads)
