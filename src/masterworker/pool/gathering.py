"""All results of one `map` at once: as the future of a list."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from masterworker import forks
from masterworker.data.chunks import Values
from masterworker.data.items import one_by_one
from masterworker.deadline import Deadline
from masterworker.errors import Terminated
from masterworker.master.batch import TAKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.master.batch import Batch
    from masterworker.master.requests import Requests

T = TypeVar("T")

#: Results of this number of batches are opened at a time.
OPENED: Final = 32


class Gathering(Generic[T]):
    """The results of one `map`, as the future of a list. Thread-safe.

    All calls are asked for when it is made, and it is done when each has ended. All are executed,
    also where one fails; the error of the first item that failed is the error of all. Results are
    opened, which is unpickling, in the thread that asks for them first.

    Args:
        requests: Asks for the tasks.

    Raises:
        Terminated: The job is over.
    """

    def __init__(self, requests: Requests) -> None:
        self._router = requests.router
        self._batches: list[Batch] = []
        #: All batches before this one are done. It is written by all threads that look, and none
        #: writes more than what is true.
        self._done_before = 0
        self._callbacks: deque[Callable[[Gathering[T]], object]] = deque()
        #: What the first call that failed has raised.
        self._error: BaseException | None = None
        self._values: list[T] = []
        self._is_open = False
        self._opening = forks.rlock()
        #: What has ended the drawing of items.
        self._failure: Exception | None = None
        try:
            while (batch := requests.ask()) is not None:
                self._batches.append(batch)
        except Terminated:
            requests.end()
            raise
        except Exception as error:  # of an iterable, say: it is the last item's
            self._failure = error
        except BaseException:
            requests.end()
            raise

    def done(self) -> bool:
        """Return whether all calls have ended, or never will, since the job has ended."""
        if not self._has_ended():
            self._router.picking_up(asking=True)
        return self._has_ended()

    def add_done_callback(self, callback: Callable[[Gathering[T]], object]) -> None:
        """Let a function be called when all is done; as `Future.add_done_callback`."""
        self._router.callbacks.start()
        self._callbacks.append(callback)
        for batch in self._batches:
            batch.watcher = self._look
        self._look()

    def result(self, timeout: float | None = None) -> list[T]:
        """Wait for all calls; return their results in the order of the items.

        Raises:
            TimeoutError: They are not done in time.
            Exception: As `exception`, and what it returns.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self._values

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for all calls; return what the first item that failed raised, or None.

        Args:
            timeout: Seconds to wait at most; None: as long as it takes.

        Raises:
            TimeoutError: They are not done in time.
            WorkerStartError: No worker could start, and no other one can join.
            Terminated: The job has ended without them.
        """
        if not self._is_open:
            number, deadline = len(self._batches), Deadline(timeout)
            # Results are opened while workers go on, but this thread is not woken for each batch.
            for some in (*range(OPENED, number, OPENED), number):
                left = None if timeout is None else deadline.left()
                if not self._router.wait_until(partial(self._is_here, some), left):
                    raise TimeoutError(f"map is not done after {timeout} seconds")
                with self._opening:
                    self._open(some)
        return self._error

    # -- inside -----------------------------------------------------------------------------

    def _is_here(self, number: int | None = None) -> bool:
        """Return whether all outcomes are here, or those of the first batches. Takes no lock."""
        batches, at = self._batches, self._done_before
        while at < len(batches) and not batches[at].left:
            at += 1
        self._done_before = at
        return at >= (len(batches) if number is None else number)

    def _has_ended(self) -> bool:
        return self._is_here() or self._router.has_ended

    def _look(self, _: object = None) -> None:
        """Call back if all is done. May be called with the manager's lock held."""
        while self._callbacks and self._has_ended():
            try:
                callback = self._callbacks.popleft()
            except IndexError:  # another thread was faster
                return
            self._router.callbacks.post(callback, self)

    def _open(self, number: int) -> None:
        """Open what has not been opened of the first batches.

        A signal handler may have broken this off.
        """
        if self._is_open:
            return
        begin, batches = 0, self._batches
        for batch in batches[:number]:
            self._open_batch(batch, begin)
            begin += len(batch.outcomes)
        if number < len(batches):
            return
        if self._error is None:
            self._error = self._failure
        if self._error is not None:
            self._values = []
        self._is_open = True
        self._batches = []

    def _open_batch(self, batch: Batch, begin: int) -> None:
        """Open the outcomes of a batch whose first value is to be at `begin`."""
        values, outcomes = self._values, batch.outcomes
        opened: Any
        while (at := len(values) - begin) < len(outcomes):
            outcome = outcomes[at]
            if isinstance(outcome, Values):
                number = len(outcome.chunk)
                try:
                    opened = outcome.open()
                except KeyboardInterrupt:
                    raise
                except BaseException:  # one of them cannot be opened: which one is said below
                    outcomes[at : at + number] = one_by_one(outcome.chunk)
                    continue
                values.extend(opened)
                outcomes[at : at + number] = [TAKEN] * number
                continue
            opened, error = batch.open_one(at, outcome)
            if error is not None and self._error is None:
                self._error = error
            values.append(opened)
            outcomes[at] = TAKEN
