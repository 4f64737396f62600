"""Spans of a job by who executed them, so that none overlaps another one of its track."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import zip_longest
from math import inf
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from masterworker.recorder.spanned import Span
from masterworker.recorder.spans import SEVERAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masterworker.views.known import Known

#: A host, a worker of it (`SEVERAL`: several ones), and which of several tracks.
Track = tuple[str, int, int]

#: Workers with tracks of their own; where there are more, hosts have some.
WORKERS: Final = 10_000
#: Tracks of several workers of one host; what overlaps beyond that is joined.
LANES: Final = 10


def tracks(known: Known, most: int) -> dict[Track, list[Span]]:
    """Return what was executed, by track and time, and what workers have in hand (0 tasks).

    What workers report with one call is known to end at that moment, so it is laid one behind the
    other. Where there are too many spans, neighbours are joined: no task or second is left out.

    Args:
        known: The job.
        most: The number of spans, which is larger than that of all tracks.
    """
    found: dict[Track, list[Span]] = {}
    for span in known.spans:
        found.setdefault((span.host, span.worker, 0), []).append(span)
    if len(found) > WORKERS:
        before, found = found, {}
        for (host, _, _), spans in before.items():
            found.setdefault((host, SEVERAL, 0), []).extend(spans)
    for host, worker, _ in [*found]:
        spans = found.pop((host, worker, 0))
        if worker == SEVERAL:
            lanes = _side_by_side(spans)
            found.update({(host, SEVERAL, n): lane for n, lane in enumerate(lanes)})
        else:
            found[host, worker, 0] = _one_after_the_other(spans)
    _add_in_hand(known, found)
    while sum(map(len, found.values())) > most and max(map(len, found.values())) > 1:
        found = {key: _joined(spans) for key, spans in found.items()}
    return dict(sorted(found.items()))


def _one_after_the_other(spans: list[Span]) -> list[Span]:
    """Move spans of one worker back in time, where one would begin before another one's end."""
    laid: list[Span] = []
    limit = inf
    # Of those that end at one moment the one that was reported last is the last.
    by_end = sorted(spans, key=lambda span: span.end)
    for span in by_end[::-1]:
        end = min(span.end, limit)
        limit = max(0.0, end - (span.end - span.begin))
        laid.append(replace(span, begin=limit, end=max(0.0, end)))
    laid.reverse()
    return laid


def _side_by_side(spans: Iterable[Span]) -> list[list[Span]]:
    """Let each span be in the first lane that is free; where there is none, in that which ends."""
    lanes: list[list[Span]] = []
    ends: list[tuple[float, int]] = []
    for span in sorted(spans, key=lambda span: span.begin):
        begin, end = max(0.0, span.begin), max(0.0, span.end)
        if len(lanes) < LANES and (not ends or ends[0][0] > begin):
            at = len(lanes)
            lanes.append([])
        else:
            last, at = heappop(ends)
            if last > begin:
                lanes[at][-1] = before = _both(lanes[at][-1], span)
                heappush(ends, (before.end, at))
                continue
        lanes[at].append(replace(span, begin=begin, end=end))
        heappush(ends, (end, at))
    return lanes


def _add_in_hand(known: Known, found: dict[Track, list[Span]]) -> None:
    age = known.snapshot.age
    if known.snapshot.ended:
        return
    for worker in known.snapshot.worker_list:
        if worker.tag and worker.left is None:
            track = found.setdefault((worker.host, worker.id, 0), [])
            begin = max(worker.since, track[-1].end if track else 0.0)
            if begin < age:
                name = worker.task or worker.tag
                track.append(Span(worker.id, worker.host, name, begin, age, 0, age - begin))


def _joined(spans: list[Span]) -> list[Span]:
    """Let two neighbours be one."""
    pairs = zip_longest(spans[::2], spans[1::2])
    return [one if other is None else _both(one, other) for one, other in pairs]


def _both(one: Span, other: Span) -> Span:
    """Return a span of two, of which the first begins first."""
    tag = one.tag if one.busy >= other.busy else other.tag
    tasks, busy = one.tasks + other.tasks, one.busy + other.busy
    return replace(one, tag=tag, end=max(one.end, other.end), tasks=tasks, busy=busy)


def names_of(known: Known) -> dict[int, str]:
    """Return what workers are called; those that have been gone for long are known by number."""
    return {worker.id: worker.info for worker in known.snapshot.worker_list}
