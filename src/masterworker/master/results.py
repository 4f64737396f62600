"""Outcomes of `submit` and `map`: from the manager to the futures and batches that wait."""

from __future__ import annotations

import logging
from itertools import repeat
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from masterworker import forks, wire
from masterworker.checking import time_limit
from masterworker.core.chunks import Chunk
from masterworker.core.task import RESULT
from masterworker.data.chunks import Values
from masterworker.manager import Mailbox
from masterworker.master import waiting as rules
from masterworker.master.batch import Batches
from masterworker.master.callbacks import Callbacks
from masterworker.master.future import ENDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.awaits.loops import Bell
    from masterworker.core.task import Finished, Payloads
    from masterworker.manager import Manager
    from masterworker.master.batch import Batch
    from masterworker.master.future import Future
    from masterworker.master.waiting import Waiting

logger = logging.getLogger("masterworker.master")

#: What to do so that a `map` is executed whole.
_LOOP = "loop over its results, as in `for _ in master.map(...): pass`"


class ResultRouter:
    """Gives each outcome to its future or batch, and wakes the threads that wait. Thread-safe.

    Args:
        manager: The task manager of the job; `arrive` is to be its `on_direct`.
        waiting: How to wait.
        label: The label of the job, for displays.
    """

    def __init__(self, manager: Manager, waiting: Waiting, label: str = "") -> None:
        self.label = label
        self._manager = manager
        self._waiting = waiting
        self.picking_up = waiting.picking_up
        #: Runs what `Future.add_done_callback` is given.
        self.callbacks = Callbacks()
        #: Held for a moment while a future gets something that watches it.
        self.watching = forks.rlock()
        #: How large the batches of the latest `map` were, by its tag.
        self.paces: dict[str, int] = {}
        #: What waits for outcomes. Both are entered before any worker can have the task.
        self.futures: dict[int, Future[Any]] = {}
        self.batches = Batches()
        #: The job has ended: no outcome comes any more.
        self.has_ended = False
        #: Mailboxes of the threads that wait (and bells of loops), and until what.
        self.sleepers: list[tuple[Bell, Callable[[], bool]]] = []
        #: The bells of loops of asyncio in which futures are awaited.
        self.loops: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        #: How to wait, and what to do first.
        self.job, self.about_to_wait = waiting, manager.about_to_wait
        manager.machine.pressure.sleepers = self.sleepers

    def wait_until(self, holds: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until something holds, looking again whenever outcomes arrive.

        Args:
            holds: Is asked in other threads, too, with the manager's lock held, so that no thread
                is woken for another one's outcome. It must neither block nor call back.
            timeout: Seconds to wait at most; None: as long as it takes.

        Returns:
            False: it does not hold after this time (seconds).

        Raises:
            Terminated: The job is over, and it does not hold.
        """
        timeout = time_limit(timeout)
        if holds():
            return True
        self._manager.about_to_wait()
        began = monotonic()
        deadline = inf if timeout is None else began + timeout
        waiting, notice = self._waiting, began + rules.NOTICE_AFTER
        while True:
            box = Mailbox()
            sleeper = box, holds
            try:
                self.sleepers.append(sleeper)
                if holds():
                    return True
                waiting.picking_up()
                waiting.require_open()
                left = deadline - monotonic()
                if left <= 0:
                    return False
                waiting.turn(box, min(left, wire.LONGEST_WAIT))
            finally:
                self.sleepers.remove(sleeper)
            if holds():
                return True
            if monotonic() >= notice:
                notice = inf
                waiting.explain()

    def wake(self) -> None:
        """Let all threads that wait look again."""
        for box, _ in tuple(self.sleepers):
            box.ring()

    def expect(self, future: Future[Any], number: int) -> None:
        """A future has got its number, before any worker can have the task."""
        future.number = number
        self.futures[number] = future

    def cancel(self, number: int) -> bool:
        """Cancel a task. False: it has its outcome already."""
        return bool(self._manager.cancel([number]))

    def is_running(self, number: int) -> bool:
        """Return whether a worker has begun with a task."""
        return self._manager.is_running((number,))

    def end(self) -> None:
        """The job has ended: what has no outcome by now has none for good."""
        with self._manager.guard:
            self.has_ended = True
            while self.futures:
                _, future = self.futures.popitem()
                future._outcome = ENDED
                future._notify()
            self.batches.tell()
        self.wake()

    def abandon(self, batches: Iterable[Batch], message: str) -> None:
        """The outcomes of these batches are not wanted any more. May be called from a finalizer.

        Args:
            batches: Their tasks are cancelled.
            message: Goes to the log, if there are any; "" for nothing.
        """
        self._manager.repair_soon(self._take_back_all, batches, message)

    def arrive(self, finished: list[Finished]) -> None:
        """Take direct outcomes; called with the manager's lock held."""
        for outcome in finished:
            payloads = outcome.payloads
            if payloads.__class__ is not list or len(payloads) > 1:  # only results come together
                distribute = self._distribute if self.batches else self._to_futures
                distribute(outcome.task_id, payloads, outcome.worker)
            elif (future := self.futures.pop(outcome.task_id, None)) is not None:
                future._worker = outcome.worker
                future._outcome = payloads[0] if outcome.kind == RESULT else outcome
                if future._watchers:
                    future._notify()
            elif (batch := self.batches.find(outcome.task_id)) is not None:
                batch.write_one(outcome)
                if not batch.left:
                    self.batches.forget(batch)
        for box, holds in tuple(self.sleepers):  # others come and go meanwhile
            if holds():
                self._manager.ring(box)

    # -- inside -----------------------------------------------------------------------------

    def _to_futures(self, first: int, payloads: Payloads, worker: str) -> None:
        """Give results of tasks in a row to the futures that wait for them."""
        take = self.futures.pop
        each: Iterable[Any]
        if isinstance(payloads, Chunk):
            each = zip(repeat(Values(payloads)), range(len(payloads)), strict=False)
        else:
            each = payloads
        for number, payload in enumerate(each, first):
            future = take(number, None)
            if future is not None:
                future._worker = worker
                future._outcome = payload
                if future._watchers:
                    future._notify()

    def _distribute(self, first: int, payloads: Payloads, worker: str) -> None:
        """Give results of tasks in a row to batches and futures."""
        at, end = 0, len(payloads)
        while at < end:
            batch = self.batches.find(first + at)
            if batch is None:
                number = 1
                self._to_futures(first + at, payloads[at : at + 1], worker)
            else:
                number = min(end - at, batch.first + len(batch.outcomes) - first - at)
                batch.write(first + at, payloads[at : at + number], worker)
                if not batch.left:
                    self.batches.forget(batch)
            at += number

    def _take_back_all(self, batches: Iterable[Batch], message: str) -> None:
        """Cancel what has no outcome; called with the manager's lock held."""
        ids = [task_id for batch in batches for task_id in batch.open_ids()]
        if ids and message and not self._manager.core.terminated:
            logger.warning("%s, so %d of its tasks were taken back: %s", message, len(ids), _LOOP)
        self._manager.to_cancel(ids)
