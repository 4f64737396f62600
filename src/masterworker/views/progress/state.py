"""What is known of one `map` while it goes on, and how that is said in one line."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from masterworker.data.record import printable
from masterworker.named import NamedTuple
from masterworker.views import wording

if TYPE_CHECKING:
    from collections.abc import Callable

#: The time that is left follows from the latest tasks: this number of them, ...
LATEST: Final = 20
#: ... and at least those of this time (seconds).
LATELY: Final = 10.0
#: A name is cut (characters).
LONGEST_NAME: Final = 60


class Counts(Protocol):
    """How many tasks of a `map` there are; see `master.requests.Counts`."""

    @property
    def settled(self) -> int:
        """Have an outcome."""

    @property
    def failed(self) -> int:
        """Of which that is a failure."""

    @property
    def total(self) -> int | None:
        """Of all that there will be; None: that is not known."""

    @property
    def is_over(self) -> bool:
        """None is left."""


class State(NamedTuple):
    """How a `map` stands at one instant."""

    name: str
    counts: Counts
    workers: int
    #: Since it began, and how long it will still take as far as can be told (seconds).
    elapsed: float
    left: float | None
    #: Nothing more comes: it is done, or was left.
    is_last: bool

    @property
    def is_whole(self) -> bool:
        """Whether all tasks have their outcomes."""
        return self.counts.total is not None and self.counts.settled >= self.counts.total

    def extras(self) -> str:
        """Return how many workers there are, and how many tasks have failed."""
        parts = [] if self.is_last else [_number(self.workers, "worker")]
        if self.counts.failed:
            parts.append(f"{wording.number(self.counts.failed)} failed")
        return ", ".join(parts)

    def line(self) -> str:
        """Return all of it in one line."""
        settled, total = self.counts.settled, self.counts.total
        if total is None:
            parts = [f"{_number(settled, 'task')} done"]
        else:
            part = f" ({100 * settled // total} %)" if total else ""
            parts = [f"{wording.number(settled)} of {_number(total, 'task')} done{part}"]
        if extras := self.extras():
            parts.append(extras)
        if self.is_last:
            took = wording.time(self.elapsed)
            parts.append(f"in {took}" if self.is_whole else f"stopped after {took}")
        elif self.left is not None:
            parts.append(f"about {wording.time(self.left)} left")
        return f"{self.name}: {', '.join(parts)}"


class Watched:
    """One `map` that is looked at now and again.

    Args:
        name: Of the function or tag.
        counts: Says how many tasks there are.
        workers: Says how many workers there are.
        now: When it began (seconds on any clock).
    """

    def __init__(
        self, name: str, counts: Callable[[], Counts], workers: Callable[[], int], now: float
    ) -> None:
        self._name = printable(name[:LONGEST_NAME])
        self._counts, self._workers, self._began = counts, workers, now
        #: When how many were settled, the first and the latest.
        self._seen: deque[tuple[float, int]] = deque([(now, 0)])

    def look(self, now: float, *, is_last: bool = False) -> State:
        """Return how it stands."""
        counts = self._counts()
        left = self._left(counts, now)
        return State(self._name, counts, self._workers(), now - self._began, left, is_last)

    def _left(self, counts: Counts, now: float) -> float | None:
        seen, settled = self._seen, counts.settled
        if settled > seen[-1][1]:
            seen.append((now, settled))
        while len(seen) > 2 and settled - seen[1][1] >= LATEST and now - seen[1][0] >= LATELY:
            seen.popleft()
        since, before = seen[0]
        if counts.total is None or settled == before or now <= since:
            return None
        return (counts.total - settled) * (now - since) / (settled - before)


def _number(value: int, noun: str) -> str:
    return f"{wording.number(value)} {noun if value == 1 else noun + 's'}"
