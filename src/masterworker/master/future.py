"""The future of one task: ask whether it is done, wait for it, get its result, be called back."""

from __future__ import annotations

import contextlib
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from masterworker.core.task import CANCELLED, RESULT, Finished, Large
from masterworker.data.items import single
from masterworker.data.outcome import open_result, value_or_error
from masterworker.errors import TaskCancelled, Terminated, UnpicklableError, UsageError
from masterworker.taskid import task_name

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager
    from weakref import WeakKeyDictionary

    from masterworker.awaits.loops import Bell, Job
    from masterworker.core.task import Payload
    from masterworker.master.callbacks import Callbacks

T = TypeVar("T")

#: In the place of an outcome that has been opened, ...
_OPENED: Final = object()
#: ... or that will never come, since the job has ended.
ENDED: Final = object()


class Router(Protocol):
    """What a future asks of the job; see `results.ResultRouter`."""

    #: Runs what `Future.add_done_callback` is given.
    callbacks: Callbacks
    sleepers: list[tuple[Bell, Callable[[], bool]]]
    loops: WeakKeyDictionary[Any, Any]

    @property
    def job(self) -> Job:
        """The rules of waiting."""

    @property
    def about_to_wait(self) -> Callable[[], None]:
        """Take in what was asked for, before a wait."""

    @property
    def watching(self) -> AbstractContextManager[object]:
        """Held for a moment while a future gets something that watches it."""

    @property
    def picking_up(self) -> Callable[..., None]:
        """Note that results are picked up, or asked for."""

    def wait_until(self, holds: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until something holds. False: it does not after this time (seconds)."""

    def is_running(self, number: int) -> bool:
        """Return whether a worker has begun with a task."""

    def cancel(self, number: int) -> bool:
        """Cancel a task. False: it has its outcome already."""


class Future(Generic[T]):
    """The future of one task. Made by `Master.submit`. Thread-safe.

    It keeps the job: as long as a future is referred to, so are the workers that bring its outcome.

    Attributes:
        tag: The kind of task; of a call an "@" and the function's name.
        number: Under which the task manager knows the task; -1 as long as it does not.
    """

    # The router and the submitter fill in what has an underscore, in the middle of hot loops.
    __slots__ = (
        *("_error", "_holds", "_outcome", "_router", "_value", "_watchers", "_worker"),
        *("number", "tag"),
    )

    #: Which process delivered the outcome; set with it.
    _worker: str
    #: The result, or what the task raised; set before the outcome counts as opened.
    _value: Any
    _error: BaseException | None
    #: Keep what the call needs in the store until the outcome is opened; set where there is any.
    _holds: tuple[object, ...]

    def __init__(self, router: Router, tag: str) -> None:
        self._router = router
        #: Nothing, then the outcome as it came (the payload alone, if it is a result; results that
        #: came as one, and which of them it is), and at last `_OPENED`; or `ENDED`.
        self._outcome: object = None
        self._watchers: deque[Callable[[Future[Any]], object]] | None = None
        self.tag = tag
        self.number = -1

    @property
    def task_id(self) -> str:
        """The id of the task: its tag, an underscore and a number."""
        return task_name(self.tag, self.number)

    @property
    def worker(self) -> str:
        """Which process has delivered the outcome, in one line; "" as long as none has."""
        return getattr(self, "_worker", "")

    # -- its state --------------------------------------------------------------------------

    def done(self) -> bool:
        """Return whether the task has an outcome, or never will, since the job has ended.

        Does not wait. Counts as asking for a result, so that tasks are handed out although many
        results have not been picked up.
        """
        if self._outcome is None:
            self._router.picking_up(asking=True)
        return self._outcome is not None

    def running(self) -> bool:
        """Return whether a worker executes the task. Does not wait; takes the manager's lock.

        A worker says so when a task has gone on for about 20 ms, so this is false for shorter ones.
        """
        return self._outcome is None and self._router.is_running(self.number)

    def cancelled(self) -> bool:
        """Return whether the task was cancelled before it had an outcome. Does not wait."""
        outcome = self._outcome
        if outcome is _OPENED:
            return isinstance(self._error, TaskCancelled)
        return isinstance(outcome, Finished) and outcome.kind == CANCELLED

    def cancel(self) -> bool:
        """Say that the outcome is not wanted any more.

        A task that waits is never executed. One that is being executed is interrupted, and its
        process ended 2 s later if it has not stopped (where it has a supervisor). This does not
        wait for that.

        Returns:
            False: it has its outcome already.
        """
        return self._outcome is None and self._router.cancel(self.number)

    # -- its outcome ------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result. The first call opens it, which is unpickling; others do not.

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
            WorkerStartError: No worker could start, and no other one can join.
            Terminated: The job has ended without it.
            Exception: What the function raised, with a note that holds the worker's traceback.
        """
        if self._outcome is not _OPENED:
            self._open(timeout)
        error = self._error
        if error is not None:
            try:
                raise error
            finally:
                del error, self  # the error refers to this frame, and this future to the error
        value: T = self._value
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the outcome; return the exception that `result` would raise, or None.

        Args:
            timeout: Seconds to wait at most; None: as long as it takes.

        Raises:
            TimeoutError: It is not done in time.
            WorkerStartError: No worker could start, and no other one can join.
            Terminated: The job is over, while this waits.
        """
        if self._outcome is not _OPENED:
            self._open(timeout)
        return self._error

    def add_done_callback(self, callback: Callable[[Future[T]], object]) -> None:
        """Let a function be called with this future when it is done, at once if it is.

        All callbacks of a master run in one thread of its own, one after the other, with no lock
        held: a callback may submit, cancel, wait or raise. What it raises is logged. One that
        takes long delays the others. When the job ends, the callbacks of futures without an
        outcome are called: `result` raises `Terminated` then.

        Args:
            callback: Its result is dropped.

        Raises:
            UsageError: It cannot be called.
            RuntimeError: The system has no thread for callbacks.
        """
        if not callable(callback):
            raise UsageError(f"add_done_callback takes a function, not {callback!r}")
        callbacks = self._router.callbacks
        callbacks.start()
        self._watch(partial(callbacks.post, callback))

    def __reduce__(self) -> Any:
        raise UnpicklableError(
            "a future is of use in the master only: give the task what it needs of the result, as "
            "future.result()"
        )

    def __repr__(self) -> str:
        return f"<Future {self.task_id}: {self._describe()}>"

    def _repr_html_(self) -> str:
        """Return how it stands, for notebooks: plain HTML, without scripts."""
        from masterworker.views.progress import html

        known = [("task", self.task_id.removeprefix("@")), ("outcome", self._describe())]
        return html.facts([*known, *([("worker", self.worker)] if self.worker else [])])

    def __await__(self) -> Generator[Any, None, T]:
        """Wait in asyncio, without a thread; then as `result`. Cancelling this cancels the task."""
        if self._outcome is None:
            from masterworker.awaits.loops import until_done  # of use to programs with asyncio only

            yield from until_done(self._router, self).__await__()
        return self.result()

    # -- inside -----------------------------------------------------------------------------

    def _watch(self, watcher: Callable[[Future[Any]], object]) -> None:
        """Let something of ours know of the outcome, once; at once if it is here.

        Args:
            watcher: May be called with the manager's lock held: must neither block nor call back.
        """
        with self._router.watching:
            if self._watchers is None:
                self._watchers = deque()
            self._watchers.append(watcher)
        if self._outcome is not None:  # else the thread that sets it sees the watcher
            self._notify()

    def _unwatch(self, watcher: Callable[[Future[Any]], object]) -> None:
        with contextlib.suppress(ValueError):
            if self._watchers is not None:
                self._watchers.remove(watcher)

    def _notify(self) -> None:
        """Call all watchers, each once, whichever threads call this."""
        while self._watchers:
            try:
                watcher = self._watchers.popleft()
            except IndexError:  # another thread was faster
                return
            watcher(self)

    def _is_here(self) -> bool:
        return self._outcome is not None

    def _open(self, timeout: float | None) -> None:
        if self._outcome is None and not self._router.wait_until(self._is_here, timeout):
            raise TimeoutError(f"task {self.task_id} is not done after {timeout} seconds")
        self._router.picking_up()
        outcome: Any = self._outcome
        if outcome.__class__ is tuple:  # one of several small results, as most are
            values, at = outcome
            try:
                self._value, self._error = values.open()[at], None
            except KeyboardInterrupt:
                raise
            except BaseException:  # what is wrong is said below
                self._value, self._error = self._opened(outcome)
            self._outcome, self._holds = _OPENED, ()
            return
        if outcome is _OPENED:  # by another thread
            return
        self._value, self._error = self._opened(outcome)
        if outcome is not ENDED:
            self._outcome, self._holds = _OPENED, ()

    def _opened(self, outcome: Any) -> tuple[Any, BaseException | None]:
        """Return the result, and what the task raised. Whatever this raises is not of the task."""
        if isinstance(outcome, Finished):
            return value_or_error(outcome)
        if outcome is ENDED:
            return None, Terminated("the job is over")
        try:
            if outcome.__class__ is bytes or isinstance(outcome, Large):
                return open_result(outcome), None
            values, at = outcome
            return values.open()[at], None
        except KeyboardInterrupt:
            raise
        except BaseException:  # which one is said once more, with all that is known
            payload = outcome if isinstance(outcome, (bytes, Large)) else single(values.chunk, at)
            error = self._wrong_with(payload)
            if error is None:  # nothing: a signal handler has raised it
                raise
            return None, error

    def _wrong_with(self, result: Payload) -> BaseException | None:
        """Say what is wrong with a result that could not be opened."""
        return value_or_error(Finished(self.number, self.tag, RESULT, [result], self._worker))[1]

    def _describe(self) -> str:
        """Say how it stands, without a lock."""
        outcome = self._outcome
        if outcome is None:
            return "pending"
        if self.cancelled():
            return "cancelled"
        if outcome is ENDED:
            return "the job has ended without it"
        if outcome is not _OPENED:
            return "failed" if isinstance(outcome, Finished) else "done"
        if self._error is not None:
            return f"raised {type(self._error).__name__}"
        return f"returned {type(self._value).__name__}"
