"""Asks for the tasks of one `map`, a batch at a time."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from masterworker.core.blocks import PAGE_BITS
from masterworker.core.chunks import weight
from masterworker.master.batch import Batch
from masterworker.named import NamedTuple
from masterworker.taskid import shown_tag

if TYPE_CHECKING:
    from masterworker.core.options import Options
    from masterworker.manager import Manager
    from masterworker.master.batching import Batcher
    from masterworker.master.journaled import Drawing
    from masterworker.master.results import ResultRouter

#: Most tasks that are asked for at a time: they fit into one page of ids.
BATCH: Final = 1 << PAGE_BITS
#: Most tasks of a lazy `map` that are under way and have not been yielded, ...
LOOK_AHEAD: Final = 10_000
#: ... or this many bytes of parameters, but always a few tasks.
LOOK_AHEAD_BYTES: Final = 64 << 20
FEW: Final = 16


class Counts(NamedTuple):
    """How many tasks of a `map` there are."""

    #: That have an outcome, and of which that is a failure.
    settled: int
    failed: int
    #: Of all that there will be; None: that is not known.
    total: int | None
    #: None is left: either all have their outcomes, or the rest was taken back.
    is_over: bool


class Requests:
    """Asks for tasks as their parameters are drawn. For one thread at a time.

    Args:
        manager: Where requests go.
        router: Where batches wait for outcomes.
        options: What all tasks get.
        drawing: Where their parameters come from.
        total: How many there are; None: it is not known.
    """

    def __init__(
        self,
        manager: Manager,
        router: ResultRouter,
        options: Options | None,
        drawing: Batcher | Drawing,
        total: int | None = None,
    ) -> None:
        self.tag = drawing.tag
        self.router = router
        #: How many tasks of the size of the latest a lazy `map` has under way.
        self.look_ahead = LOOK_AHEAD
        self._manager = manager
        self._options = options
        #: Which of the calls the program knows nothing of; None: there is no journal.
        self.untold = drawing.untold
        #: None: all has been asked for, or no more is wanted.
        self._drawing: Batcher | Drawing | None = drawing
        #: All batches, but those at the front that have all their outcomes.
        self._asked: deque[Batch] = deque()
        #: How many tasks were in those at the front, and how many of them have failed.
        self._before = self._failed = 0
        #: What was asked for is not wanted any more, and how it stood then.
        self.has_ended = False
        self._at_end: Counts | None = None
        #: Where the record of the job has how many will still be asked for.
        self._to_come, self._total, self._number = manager.core.recorder.to_come, total, 0
        #: The size of the next batch, and the id that is expected for its first task.
        self._size = self._following = 1

    def ask(self, most: int = BATCH) -> Batch | None:
        """Ask for the next tasks, a few at first and more each time; None: there are no more.

        Raises:
            UnpicklableError: Says what cannot be sent.
            Terminated: The job is over.
            Exception: What an iterable has raised.
        """
        drawing = self._drawing
        if drawing is None:
            return None
        try:
            payloads = drawing.draw(min(self._size, most, BATCH - self._following % BATCH))
            if not payloads:
                self.forget()
                return None
            batch = Batch(self.tag, len(payloads), drawing.holds())
            batch.named = drawing.named
            if self.untold is not None:
                self.untold.asked(batch)
            asked = self._asked
            while asked and not asked[0].left:
                self._before += len(asked[0].outcomes)
                self._failed += asked.popleft().failed
            asked.append(batch)
            expect = drawing.expecting(partial(self.router.batches.add, batch))
            first = self._manager.request(
                *(self.tag, payloads, self._options),
                direct=True,
                expect=expect,
                recalled=drawing.recalled,
            )
            drawing.were_asked_for(first, len(payloads))
            self._count(len(payloads))
        except BaseException:
            self.forget()
            raise
        most_under_way = LOOK_AHEAD_BYTES // max(1, weight(payloads) // len(payloads))
        self._size = min(4 * self._size, BATCH, max(FEW, most_under_way // 4))
        self.look_ahead = max(self._size, min(LOOK_AHEAD, most_under_way))
        self._following = first + len(payloads)
        return batch

    def are_done(self) -> bool:
        """Return whether all tasks that were asked for have their outcomes."""
        return not any(batch.left for batch in tuple(self._asked))

    def open_ids(self) -> list[int]:
        """Return the ids of the tasks that were asked for and have no outcome."""
        return [each for batch in tuple(self._asked) for each in batch.open_ids()]

    def counts(self) -> Counts:
        """Return how many tasks there are. May be called in another thread: then it may be late."""
        if self._at_end is not None:
            return self._at_end
        is_last = self._drawing is None
        before, failed, batches = self._before, self._failed, tuple(self._asked)
        number = before + sum(len(batch.outcomes) for batch in batches)
        left = sum(batch.left for batch in batches)
        failed += sum(batch.failed for batch in batches)
        total = number if is_last else self._total
        return Counts(number - left, failed, total, is_last and not left)

    def end(self, message: str = "") -> None:
        """Ask for nothing any more; cancel the tasks that have no outcome.

        Args:
            message: Goes to the log if there are any; "" for nothing.
        """
        if not self.has_ended:  # those that are taken back have no outcome of theirs
            total = self._total if self._drawing is not None else None
            counts = self.counts()
            self._at_end = counts._replace(total=total or counts.total, is_over=True)
        self.forget()
        self.has_ended = True
        left = [batch for batch in tuple(self._asked) if batch.left]
        if left:
            self.router.abandon(left, message)

    def give_back(self) -> None:
        """Let later calls have the numbers of those that were cancelled by `end`, of a journal."""
        if self.untold is not None:
            self.untold.give_back()

    def forget(self) -> None:
        """Ask for nothing any more."""
        self._drawing = None
        self._to_come.pop(id(self), None)

    def _count(self, number: int) -> None:
        """Let those who look at the job know how many will still be asked for."""
        self._number += number
        left = None if self._total is None else self._total - self._number
        if left is None or left > 0:
            self._to_come[id(self)] = shown_tag(self.tag), left
        else:
            self._to_come.pop(id(self), None)
