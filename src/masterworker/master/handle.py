"""A handle on one task: ask whether it is done, wait for it, get its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from masterworker.data.outcome import value_or_error
from masterworker.errors import TaskCancelled
from masterworker.taskid import task_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Finished


class Waiter(Protocol):
    """Who can wait for outcomes."""

    def wait_until(self, holds: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until something holds, looking again whenever outcomes arrive."""

    def _cancel(self, number: int) -> bool:
        """Cancel a task."""


class _Opened:
    """An outcome that has been unpickled."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any, error: BaseException | None) -> None:
        self.value = value
        self.error = error


class Handle:
    """One task that was submitted.

    Made by `Master.submit`. Can be asked from any thread.
    """

    __slots__ = ("_state", "_waiter", "number", "tag", "watchers")

    def __init__(self, waiter: Waiter, tag: str, number: int) -> None:
        self._waiter = waiter
        #: Nothing, then the outcome as it came, then the opened value.
        self._state: Finished | _Opened | None = None
        self.tag = tag
        self.number = number
        #: Called with the handle when its outcome arrives, under the manager's lock.
        self.watchers: tuple[Callable[[Handle], None], ...] = ()

    @property
    def task_id(self) -> str:
        """The id of the task."""
        return task_name(self.tag, self.number)

    def done(self) -> bool:
        """Tell whether the outcome is here."""
        return self._state is not None

    def cancel(self) -> bool:
        """Say that the outcome is not wanted any more.

        A task that waits is never executed. One that is being executed is interrupted, and its
        process ended 2 s later if it has not stopped (where it has a supervisor).

        Returns:
            False: it has its outcome already.
        """
        return self._state is None and self._waiter._cancel(self.number)

    def cancelled(self) -> bool:
        """Tell whether it was cancelled before it had an outcome."""
        return self.done() and isinstance(self.exception(), TaskCancelled)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result.

        Args:
            timeout: Seconds to wait at most; None: as long as it takes.

        Returns:
            What the function returned.

        Raises:
            TimeoutError: It is not done in time.
            TaskLost: It took too many workers with it.
            TaskFailed: It raised an exception that cannot be rebuilt here.
            TaskCancelled: It was cancelled.
            TaskTimeout: It took longer than its time limit.
            Terminated: The job has ended without it.
            Exception: What the function raised, with a note that holds the worker's traceback.
        """
        opened = self._open(timeout)
        error = opened.error
        if error is not None:
            raise error
        return opened.value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the outcome; return the exception that `result` would raise, or None."""
        return self._open(timeout).error

    def arrive(self, finished: Finished) -> None:
        """The outcome is here."""
        self._state = finished
        for watcher in self.watchers:
            watcher(self)

    def _open(self, timeout: float | None) -> _Opened:
        state = self._state
        if state is None:
            if not self._waiter.wait_until(self.done, timeout):
                raise TimeoutError(f"task {self.task_id} is not done after {timeout} seconds")
            state = self._state
        if isinstance(state, _Opened):
            return state
        assert state is not None  # noqa: S101  for the type checker
        opened = self._state = _Opened(*value_or_error(state))
        return opened

    def __repr__(self) -> str:
        return f"<Handle {self.task_id}: {'done' if self.done() else 'not done'}>"
