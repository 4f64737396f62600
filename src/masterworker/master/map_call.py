"""One `map`: asks for its tasks as it goes, and yields what comes."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from masterworker.awaits.iterators import NOT_YET, Pauses, Results
from masterworker.checking import time_limit
from masterworker.data.chunks import Values
from masterworker.data.pickling import loads
from masterworker.errors import UsageError
from masterworker.master.batch import PICKLE, TAKEN
from masterworker.master.batching import SLOW_BATCH
from masterworker.master.requests import BATCH, FEW
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from masterworker.master.batch import Batch, OnError
    from masterworker.master.requests import Requests

#: Where items come slowly, `map` returns after drawing them for this time (seconds).
FIRST_DRAW = 0.5
#: A batch is what is done in this time (seconds), since a lease of one task carries the bytes of
#: all; as long as nothing is known, this number of tasks, or what the last `map` has found, if
#: that is more, and it was of the same function.
PACE = 0.005
AT_FIRST = 128
#: Where results are yielded very quickly, a usual number of tasks is done before this process is
#: next awake, so there may be more: as many times as many as full batches are yielded in `PACE`,
#: and this at most.
FURTHEST = 4


class Bounds(NamedTuple):
    """How far a `map` goes ahead of its results, and for how long.

    Args:
        most: This many tasks are under way, or done and not yielded, at most; None: as many as is
            usual for their size.
        eager: All items are drawn at once.
        end: When each result must have come, by `time.monotonic`; None: any time.
        unattended: Where it is dropped before a result is taken, what was asked for is executed all
            the same: as the standard library's executors do it, it was called for what it does.
    """

    most: int | None = None
    eager: bool = False
    end: float | None = None
    unattended: bool = False


#: What `Master.map` has.
USUAL: Final = Bounds()


def end_after(timeout: Any) -> float | None:
    """Return when a `map` with a timeout ends, by `time.monotonic`; None: it may take any time.

    Raises:
        UsageError: It is no number of seconds, or less than 0.
    """
    limit = time_limit(timeout)
    if limit is not None and limit < 0:
        raise UsageError(f"timeout must be 0 or more seconds, or None, not {timeout!r}")
    return None if limit is None else time.monotonic() + limit


class MapCall:
    """What is under way for one `map`.

    Args:
        requests: Asks for its tasks.
        on_error: Returns what is yielded in place of an exception; None: it is raised.
        bounds: How far it goes ahead.
        in_place: What ends the first drawing of items is raised after the results before it, and
            not at once.
    """

    def __init__(
        self,
        requests: Requests,
        *,
        on_error: OnError = None,
        bounds: Bounds = USUAL,
        in_place: bool = False,
    ) -> None:
        #: Seconds to wait for one result before `NOT_YET` is yielded; None: as long as it takes.
        self.patience: float | None = None
        self._requests = requests
        self._router = requests.router
        self._pauses = Pauses(requests.router)
        self._bounds = bounds
        self._on_error = on_error
        self._in_place = in_place
        #: What ends it after the results of all tasks that were asked for.
        self._failure: Exception | None = None
        #: What is to be said in the log if it is dropped now.
        self._message = ""
        #: It was dropped, and what was asked for is to be executed.
        self._is_unattended = False
        self._ready: deque[Batch] = deque()
        #: How many tasks are under way.
        self._pending = 0
        #: How many have been yielded since when, and how many that makes in `PACE`.
        self._yielded, self._since = 0, 0.0
        self._pace = requests.router.paces.get(requests.tag, AT_FIRST)
        #: Returns whether the next result could be yielded at once.
        self._is_here: Callable[[], bool] = bool
        #: How many times as many tasks are under way as is usual.
        self._times = 1

    def begin(self, *, ordered: bool) -> Results[Any]:
        """Ask for the first tasks. Returns what yields the results.

        However that is left, nothing is executed any more that is not wanted.

        Raises:
            UnpicklableError: Says what cannot be sent.
            Terminated: The job is over.
        """
        try:
            self._draw_first()
            self._since = time.monotonic()
            results = self._in_order() if ordered else self._as_come()
            next(results)  # so that it ends what was begun, even if nothing is taken from it
        except BaseException:
            self._end()
            raise
        return Results(results, self._describe, self._pauses)

    def draw_all(self) -> None:
        """Ask for all tasks that are left. Not while another thread takes a result."""
        self._bounds = self._bounds._replace(most=None, eager=True)
        while self._ask_for_more():
            pass

    def wait(self) -> None:
        """Wait until all tasks that were asked for have their outcomes.

        Raises:
            Terminated: The job has ended without them.
        """
        self._router.wait_until(self._requests.are_done, None)

    # -- inside -----------------------------------------------------------------------------

    def _describe(self) -> str:
        name = self._requests.tag.removeprefix("@")
        return f"results of map({name}): {self._pending} asked for and not yielded yet"

    def _in_order(self) -> Generator[Any]:
        """Yield nothing of interest, and then the results in the order of the items."""
        ready, loaded = self._ready, loads
        on_error = self._on_error
        outcomes: list[Any] = []
        at = size = 0

        def is_here() -> bool:
            if at < size:
                return outcomes[at] is not None
            return bool(ready) and ready[0].outcomes[0] is not None

        self._is_here = is_here
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
                        values = batch.open_all(outcome, on_error)
                        at += len(values)
                        yield from self._taken(values, batch, at)
                        continue
                    if outcome.__class__ is bytes and outcome[0] == PICKLE:
                        outcomes[at] = TAKEN
                        try:
                            value = loaded(outcome)
                        except KeyboardInterrupt:
                            raise
                        except BaseException:
                            value = batch.open(at, outcome, on_error=on_error)
                    else:
                        value = batch.open(at, on_error=on_error)
                    last = [value]
                    del value
                    at += 1
                    yield last.pop()  # and keep no reference to it
                    self._take(1)
            self._finish()
        finally:
            self._end()

    def _as_come(self) -> Generator[Any]:
        """Yield nothing of interest, and then the results as they come."""
        arrived: deque[tuple[Batch, int, int]] = deque()
        ready, on_error = self._ready, self._on_error
        self._is_here = lambda: bool(arrived)
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
                        values = batch.open_all(outcome, on_error)
                        at = outcome.begin + len(values)
                        yield from self._taken(values, batch, at)
                        continue
                    if outcome is not None and outcome is not TAKEN:
                        yield batch.open(at, on_error=on_error)
                        self._take(1)  # not before: no more than `most` have not been yielded
                    at += 1
            self._finish()
        finally:
            self._end()

    def _taken(self, values: list[Any], batch: Batch, end: int) -> Iterable[Any]:
        """Return results that came as one, each of which counts as taken in its time."""
        untold = self._requests.untold
        left = values if untold is None else untold.yielding(values, batch, end)
        if self._bounds.most is None:
            self._take(len(values), is_here=True)
            return left
        return self._one_by_one(left)

    def _one_by_one(self, values: Iterable[Any]) -> Generator[Any]:
        for value in values:
            yield value
            self._take(1)

    def _wait_until(self, holds: Callable[[], bool]) -> bool:
        """Wait until something holds. False: `NOT_YET` is to be yielded, and this called again.

        Raises:
            TimeoutError: It does not hold at the end of this `map`.
        """
        left, end = self.patience, self._bounds.end
        if end is not None:
            left = max(0.0, end - time.monotonic())
        if self._pauses.leave_to_loop(holds, left):
            return False
        came = self._router.wait_until(holds, left)
        if not came and end is not None:
            raise TimeoutError("a result of map has not come in time")
        return came

    def _begun(self) -> Generator[None]:
        """Stop once, so that to drop this before its first result ends it as well."""
        try:
            yield
        except GeneratorExit:
            name = self._requests.tag.removeprefix("@")
            self._message = f"no result has been taken of map({name})"
            self._is_unattended = self._bounds.unattended
            raise

    def _end(self) -> None:
        """Ask for nothing any more, and take back what has no outcome."""
        if self._is_unattended:
            self._requests.forget()
        else:
            self._requests.end(self._message)
            self._requests.give_back()

    def _finish(self) -> None:
        """All has been yielded: raise what has ended it early, if anything has."""
        if self._failure is not None:
            raise self._failure

    def _draw_first(self) -> None:
        """Ask for the first tasks, in bounded time unless all are to be asked for."""
        began = time.monotonic()
        try:
            while self._ask():
                if self._bounds.eager:
                    continue
                if not self._has_room() or time.monotonic() - began > FIRST_DRAW:
                    break
        except Exception as error:
            if not self._in_place:
                raise
            self._failure = error

    def _ask(self) -> bool:
        """Ask for some more tasks. False: there are none."""
        most = self._bounds.most
        number = BATCH if self._bounds.eager else self._pace
        if most is not None:
            number = min(number, most - self._pending)
        batch = self._requests.ask(number)
        if batch is None:
            return False
        self._ready.append(batch)
        self._pending += len(batch.outcomes)
        return True

    def _ask_for_more(self) -> bool:
        """Do the same; what an iterable raises comes in its place, after all before it."""
        try:
            return self._ask()
        except Exception as error:
            self._failure = error
            return False

    def _has_room(self) -> bool:
        return self._pending < (self._bounds.most or self._requests.look_ahead)

    def _is_low(self) -> bool:
        """Return whether it is time to ask for more: some at a time, where many are allowed."""
        most = self._bounds.most
        if most is None:
            return self._pending <= max(
                self._times * self._requests.look_ahead - BATCH, 2 * FEW - 1
            )
        return self._pending <= most - max(1, most // 8)

    def _take(self, number: int, *, is_here: bool = False) -> None:
        """Some tasks are not under way any more: ask for others.

        Where items come slowly, a result that is here does not wait until there are as many others
        under way as there might be.

        Args:
            number: How many.
            is_here: There is a result that can be yielded.
        """
        self._pending -= number
        self._yielded += number
        self._router.picking_up()
        began = 0.0
        while self._is_low():
            now = time.monotonic()
            began = began or now
            if now - began > SLOW_BATCH and (
                is_here or self._is_here() or self._router.job.executes
            ):
                return
            if now - self._since >= PACE:
                pace = int(self._yielded / (now - self._since) * PACE)
                self._pace = min(BATCH, max(FEW, pace))
                self._router.paces = {self._requests.tag: max(AT_FIRST, self._pace)}
                self._times = min(FURTHEST, max(1, pace // BATCH))
                self._yielded, self._since = 0, now
            if not self._ask_for_more():
                return


def _is_there(outcomes: list[Any], at: int) -> bool:
    return outcomes[at] is not None
