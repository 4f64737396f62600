"""One `map`: asks for its tasks as it goes, and yields what comes."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from masterworker.awaits.iterators import NOT_YET, Pauses, Results
from masterworker.core.blocks import PAGE_BITS
from masterworker.core.chunks import weight
from masterworker.data.chunks import Values
from masterworker.data.pickling import loads
from masterworker.master.batch import PICKLE, TAKEN, Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from masterworker.core.options import Options
    from masterworker.manager import Manager
    from masterworker.master.batching import Batcher
    from masterworker.master.results import ResultRouter

#: `map` asks for this many tasks at a time, which fit into one page of ids, ...
BATCH = 1 << PAGE_BITS
#: ... and has at most this many under way that have not been yielded yet, ...
LOOK_AHEAD = 10_000
#: ... or this many bytes of parameters, but always a few tasks.
LOOK_AHEAD_BYTES = 64 << 20
FEW = 16
#: Where items come slowly, `map` returns after drawing them for this time (seconds).
FIRST_DRAW = 0.5
#: A batch is what is done in this time (seconds), since a lease of one task carries the bytes of
#: all; as long as nothing is known, this number of tasks.
PACE = 0.005
AT_FIRST = 128


class Bounds(NamedTuple):
    """How far a `map` goes ahead of its results, and for how long.

    Args:
        most: This many tasks are under way, or done and not yielded, at most; None: as many as is
            usual for their size.
        eager: All items are drawn at once.
        end: When each result must have come, by `time.monotonic`; None: any time.
    """

    most: int | None = None
    eager: bool = False
    end: float | None = None


#: What `Master.map` has.
USUAL: Final = Bounds()


class MapCall:
    """What is under way for one `map`.

    Args:
        manager: Where requests go.
        router: Where batches wait for outcomes.
        options: What all tasks get.
        drawing: Where their parameters come from.
        return_errors: Failures are yielded, not raised.
        bounds: How far it goes ahead.
    """

    def __init__(
        self,
        manager: Manager,
        router: ResultRouter,
        options: Options | None,
        drawing: Batcher,
        *,
        return_errors: bool = False,
        bounds: Bounds = USUAL,
    ) -> None:
        self._manager = manager
        self._bounds = bounds
        self._router = router
        self._pauses = Pauses(router)
        self._options = options
        self._drawing = drawing
        self._return_errors = return_errors
        self._batches = self._ask()
        #: What has been asked for, and what has all its outcomes only where others have not.
        self._asked: deque[Batch] = deque()
        #: What ends it after the results of all tasks that were asked for.
        self._failure: Exception | None = None
        #: What is to be said in the log if it is dropped now.
        self._message = ""
        self._ready: deque[Batch] = deque()
        #: How many tasks are under way, and may be at most, by the size of the latest.
        self._pending = 0
        self._look_ahead = LOOK_AHEAD
        #: How many have been yielded since when, and how many that makes in `PACE`.
        self._yielded, self._since = 0, 0.0
        self._pace = AT_FIRST

    def begin(self, *, ordered: bool) -> Results[Any]:
        """Ask for the first tasks. Returns what yields the results.

        However that is left, nothing is executed any more that is not wanted.

        Raises:
            UnpicklableError: Says what cannot be sent.
            Terminated: The job is over.
        """
        began = time.monotonic()
        try:
            for batch in self._batches:
                self._add(batch)
                if self._bounds.eager:
                    continue
                if not self._has_room() or time.monotonic() - began > FIRST_DRAW:
                    break
            self._since = time.monotonic()
            results = self._in_order() if ordered else self._as_come()
            next(results)  # so that it ends what was begun, even if nothing is taken from it
        except BaseException:
            self._end()
            raise
        return Results(results, self._describe, self._pauses)

    # -- inside -----------------------------------------------------------------------------

    def _describe(self) -> str:
        name = self._drawing.tag.removeprefix("@")
        return f"results of map({name}): {self._pending} asked for and not yielded yet"

    def _in_order(self) -> Generator[Any]:
        """Yield nothing of interest, and then the results in the order of the items."""
        ready, loaded = self._ready, loads
        return_errors = self._return_errors
        try:
            yield from self._begun()
            while ready:
                batch = ready.popleft()
                outcomes = batch.outcomes
                at, size = 0, len(outcomes)
                while at < size:
                    if outcomes[at] is None:
                        while not self._wait_until(partial(_is_there, outcomes, at)):
                            yield NOT_YET
                    outcome = outcomes[at]
                    if isinstance(outcome, Values):
                        values = batch.open_all(outcome, return_errors=return_errors)
                        at += len(values)
                        yield from self._taken(values)
                        continue
                    if outcome.__class__ is bytes and outcome[0] == PICKLE:
                        outcomes[at] = TAKEN
                        try:
                            value = loaded(outcome)
                        except KeyboardInterrupt:
                            raise
                        except BaseException:
                            value = batch.open(at, outcome, return_errors=return_errors)
                    else:
                        value = batch.open(at, return_errors=return_errors)
                    last = [value]
                    del value
                    yield last.pop()  # and keep no reference to it
                    at += 1
                    self._take(1)
            self._finish()
        finally:
            self._end()

    def _as_come(self) -> Generator[Any]:
        """Yield nothing of interest, and then the results as they come."""
        arrived: deque[tuple[Batch, int, int]] = deque()
        ready, return_errors = self._ready, self._return_errors
        try:
            yield from self._begun()
            while True:
                while ready:
                    batch = ready.popleft()
                    batch.watcher = arrived.append
                    arrived.append((batch, 0, len(batch.outcomes)))  # what was there before that
                if not self._pending:
                    break
                while not self._wait_until(lambda: bool(arrived)):
                    yield NOT_YET
                batch, begin, number = arrived.popleft()
                at, end = begin, begin + number
                while at < end:
                    outcome = batch.outcomes[at]
                    if isinstance(outcome, Values):
                        # They may have come while we were on our way through their places.
                        values = batch.open_all(outcome, return_errors=return_errors)
                        at = outcome.begin + len(values)
                        yield from self._taken(values)
                        continue
                    if outcome is not None and outcome is not TAKEN:
                        self._take(1)
                        yield batch.open(at, return_errors=return_errors)
                    at += 1
            self._finish()
        finally:
            self._end()

    def _taken(self, values: list[Any]) -> Iterable[Any]:
        """Return results that came as one, each of which counts as taken in its time."""
        if self._bounds.most is None:
            self._take(len(values))
            return values
        return self._one_by_one(values)

    def _one_by_one(self, values: list[Any]) -> Generator[Any]:
        for value in values:
            yield value
            self._take(1)

    def _wait_until(self, holds: Callable[[], bool]) -> bool:
        """Wait until something holds. False: a loop is to wait for that.

        Raises:
            TimeoutError: It does not at the end of this `map`.
        """
        end = self._bounds.end
        left = None if end is None else max(0.0, end - time.monotonic())
        if self._pauses.leave_to_loop(holds, left):
            return False
        if not self._router.wait_until(holds, left):
            raise TimeoutError("a result of map has not come in time")
        return True

    def _begun(self) -> Generator[None]:
        """Stop once, so that to drop this before its first result ends it as well."""
        try:
            yield
        except GeneratorExit:
            self._message = (
                f"no result has been taken of map({self._drawing.tag.removeprefix('@')})"
            )
            raise

    def _finish(self) -> None:
        """All has been yielded: raise what has ended it early, if anything has."""
        if self._failure is not None:
            raise self._failure

    def _end(self) -> None:
        """No caller waits any more: what has no outcome is not wanted."""
        self._batches.close()  # it refers to this object, and so to the items
        left = [batch for batch in self._asked if batch.left]
        if left:
            self._router.abandon(left, self._message)

    def _ask(self) -> Generator[Batch]:
        size = following = 1
        while payloads := self._drawing.draw(
            min(size, self._pace, BATCH - following % BATCH, self._room())
        ):
            number = len(payloads)
            mean = max(1, weight(payloads) // number)
            most = LOOK_AHEAD_BYTES // mean
            size = min(2 * size, BATCH, max(FEW, most // 4))
            self._look_ahead = max(size, min(LOOK_AHEAD, most))
            batch = Batch(self._drawing.tag, number, self._drawing.holds())
            while self._asked and not self._asked[0].left:
                self._asked.popleft()
            self._asked.append(batch)
            expect = partial(self._router.batches.add, batch)
            tag, options = self._drawing.tag, self._options
            first = self._manager.request(tag, payloads, options, direct=True, expect=expect)
            self._drawing.were_asked_for(first, number)
            following = first + number
            yield batch

    def _add(self, batch: Batch) -> None:
        self._ready.append(batch)
        self._pending += len(batch.outcomes)

    def _room(self) -> int:
        """Return how many tasks may be asked for."""
        return (self._bounds.most or BATCH + self._pending) - self._pending

    def _has_room(self) -> bool:
        return self._pending < (self._bounds.most or self._look_ahead)

    def _is_low(self) -> bool:
        """Return whether it is time to ask for more: some at a time, where many are allowed."""
        most = self._bounds.most
        if most is None:
            return self._pending <= max(self._look_ahead - BATCH, 2 * FEW - 1)
        return self._pending <= most - max(1, most // 8)

    def _take(self, number: int) -> None:
        """Some tasks are not under way any more: ask for others."""
        self._pending -= number
        self._yielded += number
        self._router.picking_up()
        while self._is_low():
            now = time.monotonic()
            if now - self._since >= PACE:
                pace = self._yielded / (now - self._since) * PACE
                self._pace = min(BATCH, max(FEW, int(pace)))
                self._yielded, self._since = 0, now
            try:
                more = next(self._batches, None)
            except Exception as error:  # of the iterable, say: in its place, after all before it
                self._failure = error
                return
            if more is None:
                return
            self._add(more)


def _is_there(outcomes: list[Any], at: int) -> bool:
    return outcomes[at] is not None
