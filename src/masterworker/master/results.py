"""What the master waits for: futures, and the outcomes that come for them."""

from __future__ import annotations

import logging
import time
from collections import deque
from itertools import repeat
from math import inf
from typing import TYPE_CHECKING

from masterworker import wire
from masterworker.checking import time_limit
from masterworker.core.chunks import Chunk
from masterworker.core.task import RESULT, FinishedRun
from masterworker.data.chunks import Values
from masterworker.errors import UsageError
from masterworker.manager import Mailbox
from masterworker.master.batch import Batches
from masterworker.master.future import Future
from masterworker.master.needs import Needs
from masterworker.master.submission import Submitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from masterworker.core.chunks import Payloads
    from masterworker.core.task import Finished
    from masterworker.manager import Manager
    from masterworker.master.batch import Batch

logger = logging.getLogger("masterworker.master")

#: What to do so that a `map` is executed whole.
_LOOP = "loop over its results, as in `for _ in master.map(...): pass`"


class Requests(Submitter):
    """Requests of one master.

    Args:
        manager: Where they go.
    """

    #: Seconds after which a wait that gets nowhere is explained in the log, once.
    NOTICE_AFTER = 10.0

    one_by_one = False

    def __init__(self, manager: Manager) -> None:
        super().__init__(manager, self)
        self.needs = Needs(manager)
        #: Who waits for outcomes. Both are entered before anybody can have the task.
        self.futures: dict[int, Future] = {}
        self.batches = Batches()
        #: Who sleeps, and until what.
        self._sleepers: list[tuple[Mailbox, Callable[[], bool]]] = []
        manager.sleepers = self._sleepers

    def as_completed(
        self, futures: Iterable[Future], timeout: float | None = None
    ) -> Iterator[Future]:
        """Iterate over futures as their outcomes come.

        Raises:
            UsageError: One of them is no future of this master.
            TimeoutError: Not all were done in so many seconds.
            Terminated: The job has ended without some of them.
        """
        limit = time_limit(timeout)
        return self._as_completed(self._own(futures), limit)

    def _own(self, futures: Iterable[Future]) -> set[Future]:
        """Check what somebody wants to wait for: for others it would be in vain."""
        if isinstance(futures, Future):
            raise UsageError("as_completed takes several futures, as a list, not a single one")
        try:
            found = list(futures)
        except TypeError:
            raise UsageError(f"as_completed takes a list of futures, not {futures!r}") from None
        for future in found:
            if not isinstance(future, Future):
                raise UsageError(
                    f"as_completed takes futures, as submit() returns them, not {future!r} "
                    f"(of type {type(future).__name__})"
                )
            if future._waiter is not self:
                raise UsageError(f"as_completed: {future!r} is of another master")
        return set(found)

    def _as_completed(self, pending: set[Future], timeout: float | None) -> Iterator[Future]:
        end = None if timeout is None else time.monotonic() + timeout
        arrived: deque[Future] = deque()
        watcher = arrived.append
        try:
            for future in pending:
                future.watchers += (watcher,)
            arrived.extend(future for future in pending if future.done())
            while pending:
                left = None if end is None else max(0.0, end - time.monotonic())
                if not self.wait_until(lambda: bool(arrived), left):
                    number = len(pending)
                    told = "1 task is" if number == 1 else f"{number} tasks are"
                    raise TimeoutError(f"{told} not done after {timeout:g} s")
                future = arrived.popleft()
                if future in pending:
                    pending.remove(future)
                    yield future
        finally:
            for future in pending:
                future.watchers = tuple(w for w in future.watchers if w is not watcher)

    # -- waiting ----------------------------------------------------------------------------

    def wait_until(self, holds: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until something holds, looking again whenever outcomes arrive.

        Args:
            holds: Is asked in other threads, too, with the manager's lock held, so that nobody is
                woken for somebody else's outcome. It must neither block nor call back.
            timeout: Seconds to wait at most; None: as long as it takes.

        Returns:
            False: it does not hold after so many seconds.

        Raises:
            Terminated: The job is over, and it does not hold.
        """
        timeout = time_limit(timeout)
        if holds():
            return True
        self._manager.about_to_wait()
        now = time.monotonic()
        end = inf if timeout is None else now + timeout
        notice = now + self.NOTICE_AFTER
        while True:
            sleeper = Mailbox(), holds
            try:
                self._sleepers.append(sleeper)
                if holds():
                    return True
                self.picking_up()
                self._require_open()
                left = end - now
                if left <= 0:
                    return False
                self._wait_a_turn(sleeper[0], min(left, wire.LONGEST_WAIT))
            finally:
                self._sleepers.remove(sleeper)
            if holds():
                return True
            now = time.monotonic()
            if now >= notice:
                notice = inf
                self._explain_wait()

    def picking_up(self, *, asking: bool = False) -> None:
        """Somebody picks up results, waits or asks for some: more may be handed out."""
        if self._manager.core.held_back:
            self._manager.weigh(asking=asking)

    def _wake(self) -> None:
        """Let all who sleep look again."""
        for box, _ in tuple(self._sleepers):
            box.ring()

    # -- what the master adds ---------------------------------------------------------------

    def _wait_a_turn(self, box: Mailbox, seconds: float) -> None:
        box.wait(seconds)

    def _require_open(self) -> None:
        """Raise `Terminated` when nothing will come any more."""

    def _explain_wait(self) -> None:
        """Say in the log what a wait is waiting for."""

    # -- inside -----------------------------------------------------------------------------

    def _outcomes_arrive(self, finished: list[Finished | FinishedRun]) -> None:
        """Take direct outcomes; called with the manager's lock held."""
        for outcome in finished:
            if isinstance(outcome, FinishedRun):
                first, _, payloads, worker = outcome
                if self.batches:
                    self._distribute(first, payloads, worker)
                else:
                    self._to_handles(first, payloads, worker)
            elif (future := self.futures.pop(outcome[0], None)) is not None:
                future.worker = outcome.worker
                future.outcome = outcome.payload if outcome.kind == RESULT else outcome
                for watcher in future.watchers:
                    watcher(future)
            elif (batch := self.batches.find(outcome[0])) is not None:
                batch.write_one(outcome)
                if not batch.left:
                    self.batches.forget(batch)
        for box, holds in tuple(self._sleepers):  # others come and go meanwhile
            if holds():
                self._manager.ring(box)

    def _to_handles(self, first: int, payloads: Payloads, worker: str) -> None:
        """Give results of tasks in a row to the futures that wait for them."""
        take = self.futures.pop
        each: Iterable[object] = payloads
        if isinstance(payloads, Chunk):
            each = zip(repeat(Values(payloads)), range(len(payloads)), strict=False)
        for number, payload in enumerate(each, first):
            future = take(number, None)
            if future is not None:
                future.worker = worker
                future.outcome = payload
                if future.watchers:
                    for watcher in future.watchers:
                        watcher(future)

    def _distribute(self, first: int, payloads: Payloads, worker: str) -> None:
        """Give results of tasks in a row to batches and futures."""
        at, end = 0, len(payloads)
        while at < end:
            batch = self.batches.find(first + at)
            if batch is None:
                number = 1
                self._to_handles(first + at, payloads[at : at + 1], worker)
            else:
                number = min(end - at, batch.first + len(batch.outcomes) - first - at)
                batch.write(first + at, payloads[at : at + number], worker)
                if not batch.left:
                    self.batches.forget(batch)
            at += number

    def abandon(self, batches: Iterable[Batch], told: str) -> None:
        """Nobody wants the outcomes of these batches any more. May be called from a finalizer.

        Args:
            batches: Their tasks are cancelled.
            told: Goes to the log, if there are any; "" for nothing.
        """
        self._manager.repair_soon(self._take_back_all, batches, told)

    def _take_back_all(self, batches: Iterable[Batch], told: str) -> None:
        """Cancel what has no outcome; called with the manager's lock held."""
        ids = [task_id for batch in batches for task_id in batch.open_ids()]
        if ids and told and not self._manager.core.terminated:
            logger.warning("%s, so %d of its tasks were taken back: %s", told, len(ids), _LOOP)
        self._manager.to_cancel(ids)

    def _cancel(self, number: int) -> bool:
        return bool(self._manager.cancel([number]))
