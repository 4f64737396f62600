"""Seeds of random numbers: checking them, and numbering the tasks that share one.

Calls that share a seed are numbered as `numpy.random.SeedSequence.spawn` numbers its children: one
call goes on where the one before it has stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final

from masterworker import forks
from masterworker.core.streams import LAST, Stream
from masterworker.data.pickling import dumps
from masterworker.errors import UsageError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator

    from masterworker.core.streams import StreamTable

#: Seeds have at most this many bits: NumPy's own entropy has 128.
_MOST_BITS: Final = 4096
#: For this number of seeds objects are kept, and for all a number.
RECENT: Final = 128


def check_seed(value: Any) -> int:
    """Return a seed.

    Raises:
        UsageError: It cannot be one; says what to pass.
    """
    number = -1 if isinstance(value, bool) or not isinstance(value, Integral) else int(value)
    if 0 <= number < 1 << _MOST_BITS:
        return number
    shown = (
        f"{value!r:.60}" if isinstance(value, (int, float, str)) else f"a {type(value).__name__}"
    )
    raise UsageError(
        f"seed must be an integer, 0 or more, as seed=42, not {shown}. For a fresh one: "
        "secrets.randbits(128); for one of a SeedSequence: its entropy; for one of a Generator: "
        "int(generator.integers(2**63))"
    )


#: How far the streams of each seed have been taken: to this number, or to one below a parent.
Taken = dict[int, int | tuple[Stream, int]]


class Streams:
    """The streams of calls that share a seed. Thread-safe.

    Args:
        seed: Their seed.
        table: Where it is noted which tasks they are.
        lock: Guards the table, and what follows.
        taken: How far streams have been taken, by seed.
    """

    def __init__(self, seed: int, table: StreamTable, lock: threading.Lock, taken: Taken) -> None:
        self.seed = seed
        self._table = table
        self._lock = lock
        self._taken = taken
        self._root = Stream(seed, ())
        self._latest = b"", self._root, b""

    def take(self, number: int | None) -> Share:
        """Return streams for tasks, which no other task gets.

        Args:
            number: At most this many; None: it is not known. Then further streams are children of
                the last one there can be.
        """
        with self._lock:
            found = self._taken.get(self.seed, 0)
            parent, begin = (self._root, found) if isinstance(found, int) else found
            if begin + (1 if number is None else number) > LAST:
                parent, begin = parent.child(LAST), 0
            following = LAST if number is None else begin + number
            self._taken[self.seed] = following if parent is self._root else (parent, following)
            return Share(self, parent, begin)

    def wrapped(self, function: bytes, parent: Stream) -> bytes:
        """Return the pickle of a function whose calls have streams."""
        known, its, pickled = self._latest
        if known is not function or its is not parent:
            from masterworker.worker.seeded import Seeded  # no other part of a worker is needed

            pickled = dumps(Seeded(function, parent))
            self._latest = function, parent, pickled
        return pickled

    def note(self, first: int, number: int, parent: Stream, begin: int) -> None:
        """Tasks were asked for; see `StreamTable.note`."""
        with self._lock:
            self._table.note(first, number, parent, begin)


class Share:
    """Streams that one call has taken.

    Args:
        streams: Where they are from.
        parent: They are its children,
        begin: from this one on.
    """

    def __init__(self, streams: Streams, parent: Stream, begin: int) -> None:
        self._streams = streams
        self._parent = parent
        self._begin = begin

    @property
    def name(self) -> tuple[int, tuple[int, ...]]:
        """What tells the streams apart from others, with their numbers."""
        return self._parent

    @property
    def numbers(self) -> range:
        """The numbers of the tasks: the last argument of each call."""
        return range(self._begin, LAST)

    def each(self) -> Iterator[Stream]:
        """Return the streams of the tasks, one after the other."""
        return map(self._parent.child, self.numbers)

    def seeded(self, function: bytes) -> bytes:
        """Return the pickle of a function whose last argument is the number of the task."""
        return self._streams.wrapped(function, self._parent)

    def note(self, first: int, number: int) -> None:
        """Take note of the next tasks that were asked for.

        Args:
            first: The number inside of the first one.
            number: The number of tasks.
        """
        self._streams.note(first, number, self._parent, self._begin)
        self._begin += number


class SeedBook:
    """The streams of all seeds of a job. Thread-safe.

    Keeps a number for each seed that calls share (0.1 kB), as long as the job lives: were one
    forgotten, later calls with that seed would draw what earlier ones have drawn.

    Args:
        table: Where it is noted which tasks have which stream.
    """

    def __init__(self, table: StreamTable) -> None:
        self._table = table
        self._lock = forks.lock()
        self._taken: Taken = {}
        #: Some of the latest: each has pickled the function that was asked for last.
        self._recent: dict[int, Streams] = {}

    def shared(self, seed: Any) -> Streams | None:
        """Return the streams of a seed that several calls share; None: there is none.

        Raises:
            UsageError: It cannot be a seed.
        """
        if seed is None:
            return None
        number, recent = check_seed(seed), self._recent
        known = recent.get(number)
        if known is None:
            if len(recent) >= RECENT:
                recent.clear()
            known = Streams(number, self._table, self._lock, self._taken)
            known = recent.setdefault(number, known)
        return known

    def for_map(self, seed: Any) -> Share:
        """Return the streams of one `map`, whose items are numbered from 0.

        Raises:
            UsageError: It cannot be a seed.
        """
        return Streams(check_seed(seed), self._table, self._lock, {}).take(None)


def upper_bound(iterables: Iterable[Iterable[Any]]) -> int | None:
    """Return how many items there are at most together; None: that is not known."""
    sized = [len(each) for each in iterables if isinstance(each, (Sequence, AbstractSet, Mapping))]
    return min(sized, default=None)
