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


class Progress:
    """How far the calls of one `map` have come, all of which are asked for now. Thread-safe.

    It is what a job keeps of them: their results are the caller's alone.

    Args:
        requests: Asks for the tasks.

    Raises:
        Terminated: The job is over.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self.router = requests.router
        self.batches: list[Batch] = []
        #: What has ended the drawing of items.
        self.failure: Exception | None = None
        #: All batches before this one are done. It is written by all threads that look, and none
        #: writes more than what is true.
        self._done_before = 0
        self._callbacks: deque[Callable[[Progress], object]] = deque()
        try:
            while (batch := requests.ask()) is not None:
                self.batches.append(batch)
        except Terminated:
            requests.end()
            raise
        except Exception as error:  # of an iterable, say: it is the last item's
            self.failure = error
        except BaseException:
            requests.end()
            raise

    def is_here(self, number: int | None = None) -> bool:
        """Return whether all outcomes are here, or those of the first batches. Takes no lock."""
        batches, at = self.batches, self._done_before
        while at < len(batches) and not batches[at].left:
            at += 1
        self._done_before = at
        return at >= (len(batches) if number is None else number)

    @property
    def _outcome(self) -> object:
        """Of a `Future`: None as long as it is not done."""
        return self if self.is_here() or self.router.has_ended else None

    def open_ids(self) -> list[int]:
        """Return the ids of the calls that have not ended."""
        return self._requests.open_ids()

    def cancel(self) -> None:
        """Cancel the calls that have not ended."""
        self._requests.end()

    def add_done_callback(self, callback: Callable[[Progress], object]) -> None:
        """Let a function be called when all is done; as `Future.add_done_callback`."""
        self.router.callbacks.start()
        self._callbacks.append(callback)
        for batch in self.batches:
            batch.watcher = self._look
        self._look()

    def _look(self, _: object = None) -> None:
        """Call back if all is done. May be called with the manager's lock held."""
        while self._callbacks and self._outcome is not None:
            try:
                callback = self._callbacks.popleft()
            except IndexError:  # another thread was faster
                return
            self.router.callbacks.post(callback, self)


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
        self.progress = Progress(requests)
        self._error: BaseException | None = None
        self._values: list[T] = []
        self._is_open = False
        self._opening = forks.rlock()

    def done(self) -> bool:
        """Return whether all calls have ended, or never will, since the job has ended."""
        if self.progress._outcome is None:
            self.progress.router.picking_up(asking=True)
        return self.progress._outcome is not None

    def add_done_callback(self, callback: Callable[[Progress], object]) -> None:
        """Let a function be called when this is done; see `Future.add_done_callback`."""
        self.progress.add_done_callback(callback)

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
            progress, deadline = self.progress, Deadline(timeout)
            number = len(progress.batches)
            # Results are opened while workers go on, but this thread is not woken for each batch.
            for some in (*range(OPENED, number, OPENED), number):
                left = None if timeout is None else deadline.left()
                if not progress.router.wait_until(partial(progress.is_here, some), left):
                    raise TimeoutError(f"map is not done after {timeout} seconds")
                with self._opening:
                    self._open(some)
        return self._error

    # -- inside -----------------------------------------------------------------------------

    def _open(self, number: int) -> None:
        """Open what has not been opened of the first batches.

        A signal handler may have broken this off.
        """
        if self._is_open:
            return
        begin, batches = 0, self.progress.batches
        for batch in batches[:number]:
            self._open_batch(batch, begin)
            begin += len(batch.outcomes)
        if number < len(batches):
            return
        if self._error is None:
            self._error = self.progress.failure
        if self._error is not None:
            self._values = []
        self._is_open = True
        self.progress.batches = []

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
