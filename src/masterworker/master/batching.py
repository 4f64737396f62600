"""From the items of a `map` to the payloads of its tasks, some at a time.

What an item is worth when it is drawn is what its task gets: an iterator that goes on may change
what it has given before. So each item is pickled when it is drawn, but for those that cannot
change: they go together into a chunk.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from masterworker.core.chunks import MOST_BYTES, PICKLED, PLAIN
from masterworker.data.chunks import MOST_VALUES, calls_together, coding_of, is_small
from masterworker.data.items import single
from masterworker.data.pickling import (
    calls_plainly,
    dumps_call,
    dumps_many_quickly,
    dumps_plainly,
    line_of,
)
from masterworker.errors import UnpicklableError
from masterworker.master.needs import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from masterworker.core.chunks import Chunk
    from masterworker.core.task import Payload
    from masterworker.master.needs import Hold, Needs, Travelling
    from masterworker.streams.seeds import Share

#: Where items come slowly, time after which no more are drawn at once (seconds).
SLOW_BATCH = 0.02

#: Where fewer than this would fit into a chunk, items go one by one.
WORTH = 64

#: Items of these are drawn without looking at the clock, and none changes while others are drawn.
QUICK = frozenset((list, tuple, range, str, bytes, set, frozenset, dict))


class Batcher:
    """The tasks of one `map`, as far as they have not been asked for.

    Args:
        needs: What calls need of the main program.
        function: What is called; no pickle, where the tag says what is to be done.
        iterables: Where the parameters come from.
        together: They may be put into chunks.
        streams: Of their random numbers, which the parameters name.
        starred: There is one iterable, whose items are all parameters of a call.
    """

    def __init__(
        self,
        needs: Needs,
        function: Travelling,
        iterables: Sequence[Iterable[Any]],
        *,
        together: bool,
        streams: Share | None = None,
        starred: bool = False,
    ) -> None:
        self.tag = function.tag
        self._needs = needs
        self._streams = streams
        self._function = function.pickled
        self._holds = set(holds(function.hold))
        self._together = together and len(self._function) <= MOST_BYTES - MOST_VALUES
        self._single = len(iterables) == 1 and not starred
        self._quick = all(type(each) in QUICK for each in iterables)
        #: All parameters are whole numbers.
        self._whole = not starred and all(type(each) is range for each in iterables)
        #: Parameters themselves, where there is one for each task; else tuples of them.
        self._items: Iterator[Any]
        if starred:
            self._quick = self._quick and all(type(each) is tuple for each in iterables[0])
            self._items = iter(iterables[0]) if self._quick else map(tuple, iterables[0])
        elif self._single:
            self._items = iter(iterables[0])
        else:
            self._items = zip(*iterables, strict=False)
        #: What is known already of those that were drawn last: nothing.
        self.recalled: Final = None
        #: See `Drawing`: there is no journal.
        self.named: Final = None
        self.untold: Final = None
        #: Bytes of the latest parameters, on average.
        self._mean = 1
        #: What comes in the place of the next item, and of all that follow.
        self._failure: Exception | None = None

    def draw(self, most: int) -> Sequence[Payload] | Chunk:
        """Draw items: this many at most, and what comes in a moment, but one if there is any.

        Raises:
            UnpicklableError: Says what cannot be sent; all that comes before it has been drawn.
            Exception: What an iterable has raised; as well.
        """
        if self._failure is not None:
            raise self._failure
        fit = MOST_VALUES // self._mean
        together = self._together and fit >= WORTH
        if together:
            most = min(most, fit)
        if not self._quick:
            return self._draw_slowly(most, together=together)
        items = list(islice(self._items, most))
        columns = self._columns(items) if together and items else None
        if columns and (coding := PLAIN if self._whole else min(map(coding_of, columns))):
            return self._put_together(items, columns, coding)
        return self._each(items)

    def expecting(self, entered: Callable[[int], object]) -> Callable[[int], object]:
        """Return what is called with the id of the first of those that were drawn last."""
        return entered

    def refill(self, items: list[Any]) -> None:
        """Go on with these items, all of which are there: parameters themselves, or tuples."""
        self._items, self._quick = iter(items), True

    def were_asked_for(self, first: int, number: int) -> None:
        """Tasks have got their ids: those that were drawn last."""
        if self._streams is not None:
            self._streams.note(first, number)

    def holds(self) -> tuple[Hold, ...]:
        """Return what keeps in the store what the calls need that have been drawn so far."""
        return tuple(self._holds)

    # -- inside -----------------------------------------------------------------------------

    def _draw_slowly(self, most: int, *, together: bool) -> Sequence[Payload] | Chunk:
        clock, single = time.monotonic, self._single
        end = clock() + SLOW_BATCH
        kept: list[Any] = []
        payloads: list[Payload] | None = None if together else []
        try:
            for item in islice(self._items, most):
                if payloads is None and (is_small(item) if single else all(map(is_small, item))):
                    kept.append(item)
                else:
                    if payloads is None:
                        payloads = self._each(kept)
                    payloads.append(self.one(self._args(item)))
                if clock() > end:
                    break
        except Exception as error:
            self._failure = error
            if not kept and not payloads:
                raise
        if not kept and not payloads:
            return []
        if payloads is None:
            columns = self._columns(kept)
            return self._put_together(kept, columns) if columns else self._each(kept)
        self._note(payloads)
        return payloads

    def _put_together(
        self, items: list[Any], columns: Sequence[Sequence[Any]], coding: int = PICKLED
    ) -> Sequence[Payload] | Chunk:
        chunk = calls_together(self._function, columns, coding)
        if chunk is None:
            return self._each(items)
        self._mean = max(1, (len(chunk.data) - len(self._function)) // len(items))
        return chunk if len(items) > 1 else [single(chunk, 0)]

    def _note(self, payloads: list[Payload]) -> None:
        """Remember how large the latest were."""
        if payloads:
            mean = sum(map(len, payloads)) // len(payloads) - len(self._function)
            self._mean = max(1, mean)

    def _columns(self, items: list[Any]) -> Sequence[Sequence[Any]] | None:
        """Return the parameters column by column; nothing, if calls have different numbers."""
        if self._single:
            return [items]
        number = len(items[0])
        if any(len(item) != number for item in items):  # of `starmap`
            return None
        return list(zip(*items, strict=True))

    def _args(self, item: Any) -> tuple[Any, ...]:
        return (item,) if self._single else item

    def _each(self, items: list[Any]) -> list[Payload]:
        """Pickle the parameters of each call by themselves."""
        calls = [(item,) for item in items] if self._single else items
        small = dumps_many_quickly(self._function, calls) if self._function and calls else None
        payloads = self._one_by_one(calls) if small is None else cast("list[Payload]", small)
        self._note(payloads)
        return payloads

    def _one_by_one(self, calls: Iterable[tuple[Any, ...]]) -> list[Payload]:
        payloads: list[Payload] = []
        try:
            for args in calls:
                payloads.append(self.one(args))  # noqa: PERF401  those before a failure count
        except Exception as error:
            self._failure = error
            if not payloads:
                raise
        return payloads

    def one(self, args: tuple[Any, ...]) -> Payload:
        """Pickle the parameters of one call, which is not among those that are drawn."""
        if not self._function:
            return dumps_call(f"task {self.tag!r}", args)
        try:
            payload = dumps_plainly((self._function, args, {}))
            if calls_plainly(payload):
                return payload
        except Exception:  # noqa: S110  not plainly: the next try decides
            pass
        call, hold = call_payload(self._needs, self.tag, self._function, args, {})
        if hold is not None:
            self._holds.add(hold)
        return call


def call_payload(
    needs: Needs,
    tag: str,
    function: bytes,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Payload, Hold | None]:
    """Pickle a call.

    Returns:
        The pickle, and what keeps in the store what the arguments need.

    Raises:
        UnpicklableError: Says what cannot be sent.
    """
    try:
        return needs.of_value((function, args, kwargs))
    except Exception as error:
        dumps_call(f"call of {tag[1:]}", args)  # says which one it is
        dumps_call(f"call of {tag[1:]}, keyword arguments", tuple(kwargs.items()))
        if isinstance(error, UnpicklableError):
            raise
        raise UnpicklableError(f"call of {tag[1:]}: {line_of(error)}") from error
