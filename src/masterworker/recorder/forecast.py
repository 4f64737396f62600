"""When it will be done: a time and a range, or nothing as long as little is known.

What is left times the mean duration, by the workers that can execute it, and what is left by the
recent rate, are two answers; they differ where durations or the number of workers change. The range
spans both, and the spread of the durations: of the sum of what is left, of the mean itself, which
is known from a sample only, and of the last task, which nothing is done beside.
"""

from __future__ import annotations

from bisect import bisect_right
from math import sqrt
from typing import TYPE_CHECKING, Final

from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Nothing is said before this number of tasks has been executed.
LEAST: Final = 20
#: Standard deviations to either side: nine of ten.
WIDE: Final = 1.65
#: The part of the tasks done that counts as recent.
RECENT: Final = 0.25


class Known(NamedTuple):
    """What is known of the tasks of a tag, or of all. Times in seconds."""

    #: Not settled.
    left: int
    #: Executed so far, with the mean and the standard deviation of how long that took.
    executed: int
    mean: float
    deviation: float
    #: As long as 99 of 100 of them take.
    longest: float
    #: Workers that can execute them.
    workers: int
    #: Settled so far, and busy seconds, by the ends of slots; and as of now.
    settled: Sequence[float]
    busy: Sequence[float]
    #: The length of a slot, and how long the last one has been full.
    width: float
    since: float


class Range(NamedTuple):
    """How long it takes from now on (seconds)."""

    seconds: float
    earliest: float
    latest: float


def forecast(known: Known) -> Range | None:
    """Return how long the tasks that are left take; None: too little is known."""
    if known.left <= 0:
        return Range(0.0, 0.0, 0.0)
    if known.executed < LEAST or known.workers < 1 or known.mean <= 0.0:
        return None
    workers = min(known.workers, known.left)
    mean, rate = _recent(known)
    ways = [known.mean * known.left / workers, mean * known.left / workers]
    if rate > 0:
        ways.append(known.left / rate)
    # The last task ends last, with nothing to be done beside it.
    tail = max(0.0, known.longest - known.mean) * (1 - 1 / workers)
    spread = known.deviation * sqrt(known.left * (1 + known.left / known.executed)) / workers
    seconds = sum(ways[1:]) / len(ways[1:])
    earliest = max(0.0, min(ways) - WIDE * spread - known.mean / 2)
    return Range(seconds + tail / 2, earliest, max(ways) + WIDE * spread + tail + known.mean)


def together(parts: Sequence[Known]) -> tuple[Known, bool]:
    """Return what is known of the tasks of all tags, and whether that is of all of them."""
    open_ones = [part for part in parts if part.left > 0]
    known = [part for part in open_ones if part.executed >= LEAST and part.workers]
    left = sum(part.left for part in known)
    share = [part.left / left for part in known]
    mean = sum(part.mean * weight for part, weight in zip(known, share, strict=True))
    squares = sum(
        (part.deviation**2 + part.mean**2) * weight
        for part, weight in zip(known, share, strict=True)
    )
    columns = [part.settled for part in known], [part.busy for part in known]
    found = Known(
        left=left if known or not open_ones else sum(part.left for part in open_ones),
        executed=sum(part.executed for part in known),
        mean=mean,
        deviation=sqrt(max(0.0, squares - mean * mean)),
        longest=max((part.longest for part in known), default=0.0),
        workers=max((part.workers for part in known), default=0),
        settled=[sum(each) for each in zip(*columns[0], strict=True)],
        busy=[sum(each) for each in zip(*columns[1], strict=True)],
        width=parts[0].width if parts else 0.0,
        since=parts[0].since if parts else 0.0,
    )
    return found, len(known) == len(open_ones)


def _recent(known: Known) -> tuple[float, float]:
    """Return the mean duration of the latest tasks, and tasks per second; 0.0: not known."""
    settled, busy = known.settled, known.busy
    begin = settled[-1] * (1 - RECENT)
    at = bisect_right(settled, begin) - 1
    before, busy_before = (settled[at], busy[at]) if at >= 0 else (0.0, 0.0)
    number = settled[-1] - before
    seconds = (len(settled) - 2 - at) * known.width + known.since
    if number < LEAST / 2 or seconds <= 0:
        return known.mean, 0.0
    return (busy[-1] - busy_before) / number or known.mean, number / seconds
