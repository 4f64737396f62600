"""A future on one task: ask whether it is done, wait for it, get its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from masterworker.core.task import RESULT, Finished, Large
from masterworker.data.items import single
from masterworker.data.outcome import open_result, value_or_error
from masterworker.errors import TaskCancelled, UnpicklableError
from masterworker.taskid import task_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Payload
    from masterworker.master.results import ResultRouter


#: In the place of an outcome that has been opened.
_OPENED: Final = object()


class Future:
    """One task that was submitted.

    Made by `Master.submit`. Can be asked from any thread.
    """

    __slots__ = (
        *("_error", "_value", "_router"),
        *("holds", "number", "outcome", "tag", "watchers", "worker"),
    )

    #: Which process delivered a result, as text; set with it.
    worker: str
    #: The result, or what the task raised; set before the outcome counts as opened.
    _value: Any
    _error: BaseException | None
    #: Keep what the call needs in the store until the outcome is opened; set where there is any.
    holds: tuple[object, ...]

    def __init__(self, router: ResultRouter, tag: str) -> None:
        self._router = router
        #: Nothing, then the outcome as it came (the payload alone, if it is a result; results that
        #: came as one, and which of them it is), and at last `_OPENED`.
        self.outcome: object = None
        self.tag = tag
        #: The number in its id; -1 as long as it is not asked for.
        self.number = -1
        #: Called with the future when its outcome arrives, under the manager's lock.
        self.watchers: tuple[Callable[[Future], None], ...] = ()

    @property
    def task_id(self) -> str:
        """The id of the task."""
        return task_name(self.tag, self.number)

    def done(self) -> bool:
        """Tell whether the outcome is here."""
        if self.outcome is None:
            self._router.picking_up(asking=True)
        return self._is_here()

    def is_of(self, router: ResultRouter) -> bool:
        """Tell whether its outcome comes there."""
        return self._router is router

    def _is_here(self) -> bool:
        return self.outcome is not None

    def cancel(self) -> bool:
        """Say that the outcome is not wanted any more.

        A task that waits is never executed. One that is being executed is interrupted, and its
        process ended 2 s later if it has not stopped (where it has a supervisor).

        Returns:
            False: it has its outcome already.
        """
        return self.outcome is None and self._router.cancel(self.number)

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
        if self.outcome is not _OPENED:
            self._open(timeout)
        error = self._error
        if error is not None:
            raise error
        return self._value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the outcome; return the exception that `result` would raise, or None."""
        if self.outcome is not _OPENED:
            self._open(timeout)
        return self._error

    def _open(self, timeout: float | None) -> None:
        if self.outcome is None and not self._router.wait_until(self._is_here, timeout):
            raise TimeoutError(f"task {self.task_id} is not done after {timeout} seconds")
        self._router.picking_up()
        outcome = self.outcome
        if outcome is _OPENED:  # by another thread
            return
        value, error = None, None
        if isinstance(outcome, tuple) and outcome.__class__ is tuple:
            values, at = outcome
            try:
                value = values.open()[at]
            except KeyboardInterrupt:
                raise
            except BaseException:  # as below
                error = self._wrong_with(single(values.chunk, at))
                if error is None:
                    raise
        elif isinstance(outcome, (bytes, Large)):
            try:
                value = open_result(outcome)
            except KeyboardInterrupt:
                raise
            except BaseException:  # which one is said once more, with all that is known
                error = self._wrong_with(outcome)
                if error is None:  # nothing: a signal handler has raised it
                    raise
        if isinstance(outcome, Finished):
            value, error = value_or_error(outcome)
        self._value, self._error = value, error
        self.outcome, self.holds = _OPENED, ()

    def __reduce__(self) -> Any:
        raise UnpicklableError(
            "a future is of use in the master only: give the task what it needs of the result, as "
            "future.result()"
        )

    def _wrong_with(self, result: Payload) -> BaseException | None:
        """Say what is wrong with a result that could not be opened."""
        return value_or_error(Finished(self.number, self.tag, RESULT, result, self.worker))[1]

    def __repr__(self) -> str:
        return f"<Future {self.task_id}: {'done' if self.done() else 'not done'}>"
