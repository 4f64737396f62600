"""When it will be done: a time and a range, or nothing as long as little is known.

What is left times the mean duration, by the workers that can execute it, and what is left by the
recent rate, are two answers; they differ where durations or the number of workers change. The range
spans both, and the spread of the durations: of the sum of what is left, of the mean itself, which
is known from a sample only, and of the last task, which nothing is done beside.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Nothing is said before this number of tasks has been executed.
LEAST: Final = 20
#: Standard deviations to either side: 19 of 20.
WIDE: Final = 2.0
#: What is added to either side for all that is not in these figures, such as workers that come.
MARGIN: Final = 0.1
#: The part of the tasks done that counts as recent.
RECENT: Final = 0.25


class Known(Struct, frozen=True):
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


#: How long it takes from now on (seconds): most likely, at the earliest, and at the latest.
Range = tuple[float, float, float]


def forecast(known: Known) -> Range | None:
    """Return how long the tasks that are left take; None: too little is known."""
    if known.left <= 0:
        return 0.0, 0.0, 0.0
    if known.executed < LEAST or known.workers < 1 or known.mean <= 0.0:
        return None
    workers = min(known.workers, known.left)
    recent, rate = _recent(known, RECENT)
    means = [recent, known.mean]
    trend = _trend(known)
    if trend is not None:
        means = [trend, recent]
    ways = [mean * known.left / workers for mean in means]
    if rate > 0:
        by_rate = known.left / rate
        ways.append(by_rate if trend is None else by_rate * trend / recent)
    # The last task ends last, with nothing to be done beside it.
    tail = max(0.0, known.longest - known.mean) * (1 - 1 / workers)
    spread = known.deviation * sqrt(known.left * (1 + known.left / known.executed)) / workers
    seconds = (ways[0] + ways[-1]) / 2
    earliest = max(0.0, min(ways) * (1 - MARGIN) - WIDE * spread - known.mean / 2)
    latest = max(ways) * (1 + MARGIN) + WIDE * spread + tail + known.mean
    return min(seconds + tail / 2, latest), earliest, latest


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


def _recent(known: Known, part: float) -> tuple[float, float]:
    """Return the mean duration of the latest part, and tasks per second; 0.0: not known."""
    settled, busy = known.settled, known.busy
    at = bisect_right(settled, settled[-1] * (1 - part)) - 1
    before, busy_before = (settled[at], busy[at]) if at >= 0 else (0.0, 0.0)
    number = settled[-1] - before
    seconds = (len(settled) - 2 - at) * known.width + known.since
    if number < LEAST / 2 or seconds <= 0:
        return known.mean, 0.0
    return (busy[-1] - busy_before) / number or known.mean, number / seconds


def _trend(known: Known) -> float | None:
    """Return the mean of what is left, if durations have risen or fallen all the time; else None.

    The mean of each third of what is done is taken, and a line through the outer ones.
    """
    settled, busy = known.settled, known.busy
    total = settled[-1]
    ends = [bisect_right(settled, total * n / 3) - 1 for n in (1, 2)]
    marks = [(settled[at], busy[at]) if at >= 0 else (0.0, 0.0) for at in ends]
    marks = [(0.0, 0.0), *marks, (total, busy[-1])]
    parts = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(marks)]
    if min(number for number, _ in parts) < LEAST / 2:
        return None
    first, middle, last = (seconds / number for number, seconds in parts)
    doubt = known.deviation * sqrt(1 / parts[0][0] + 1 / parts[2][0])
    if not (first < middle < last or first > middle > last) or abs(last - first) < 2 * doubt:
        return None
    slope = (last - first) / (total - parts[0][0] / 2 - parts[2][0] / 2)
    coming = last + slope * (parts[2][0] + known.left) / 2
    return min(max(coming, last / 3), last * 3)
