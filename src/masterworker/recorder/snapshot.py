"""Makes snapshots of a job: in two steps, of which only the first needs the scheduler's lock.

Neither step walks through tasks: what they cost depends on the numbers of tags and of workers.
"""

from __future__ import annotations

from copy import copy
from itertools import accumulate
from math import sqrt
from operator import add
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from masterworker.recorder import shapes, telling
from masterworker.recorder.forecast import Known, forecast, together
from masterworker.recorder.recorder import PER_DOUBLING, SHORTEST
from masterworker.taskid import shown_tag, task_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masterworker.recorder.recorder import Figures, Recorder, Worker

#: Decimals of times (seconds).
_DIGITS: Final = 4
#: A sign of life is told if the one that was told before is so much older (seconds).
_HEARD: Final = 2.0


class Stand(Struct, frozen=True):
    """What the scheduler knows at the instant of a snapshot. Times in seconds on its clock."""

    asked: int
    done: int
    failed: int
    cancelled: int
    repeated: int
    copies: int
    duplicates: int
    lost: int
    waiting: int
    ended: bool
    troubles: list[str]
    #: When each worker was last heard of.
    heard: Callable[[], Mapping[int, float]]
    #: What each worker that is not idle has in hand: the tag, and since when.
    in_hand: Callable[[], Mapping[int, tuple[str, float]]]
    #: How many workers can execute a tag.
    able: Callable[[str], int]


class Taken(Struct, frozen=True):
    """A job at one instant, before it has been put into its shape."""

    stand: Stand
    number: int
    begin: float
    now: float
    note: str
    width: float
    slots: int
    #: With their tasks that wait, and workers that are at them.
    figures: list[tuple[Figures, int, int]]
    workers: list[Worker]
    #: Name, workers, lost, tasks, busy.
    hosts: list[tuple[str, int, int, int, float]]
    events: list[shapes.Event]
    failures: list[shapes.Failure]
    to_come: list[tuple[str, int | None]]
    rows: telling.Told
    teller: telling.Teller


class Changed(Struct, frozen=True):
    """In which snapshots what was last new: of each worker, and of the rows."""

    workers: Mapping[int, int]
    rows: telling.News


def take(recorder: Recorder, stand: Stand, now: float, *, everything: bool = False) -> Taken:
    """Note how things stand. With the scheduler's lock held.

    Args:
        recorder: Of the job.
        stand: How it stands.
        now: The time.
        everything: All that is new of the rows, not only as much as goes through a narrow line.
    """
    recorder.at(now)
    recorder.end_spans(everything=stand.ended)
    if recorder.teller is None:
        recorder.teller = telling.Teller()
    begin, gauges = recorder.begin or 0.0, recorder.gauge()
    number, recorder.round = recorder.round, recorder.round + 1
    kinds = [] if recorder.failures is None else recorder.failures.kinds.values()
    figures = []
    for each in recorder.figures.values():
        kept = copy(each)
        kept.columns = tuple(column[:] for column in each.columns)
        kept.histogram = each.histogram[:]
        figures.append((kept, *gauges[each.tag]))
    return Taken(
        stand=stand,
        number=number,
        begin=begin,
        now=now,
        note=recorder.note,
        width=recorder.width,
        slots=recorder.slots,
        figures=figures,
        workers=[*recorder.gone.values(), *recorder.workers.values()],
        hosts=[(h.name, h.workers, h.lost, h.tasks, h.busy) for h in recorder.hosts.values()],
        events=[
            shapes.Event(e.order, _round(e.at - begin), e.kind, e.text, e.number)
            for e in recorder.events
        ],
        failures=[
            shapes.Failure(
                *(k.order, k.tag, k.type, k.text, k.number),
                *(_round(k.first - begin), _round(k.last - begin), list(k.hosts)),
                [task_name(k.tag, task) for task in k.tasks],
                k.traceback,
            )
            for k in kinds
        ],
        to_come=list(recorder.to_come.values()),
        rows=telling.Told(
            *(recorder.rows, number, now, recorder.width), everything=everything or stand.ended
        ),
        teller=recorder.teller,
    )


def changed(taken: Taken) -> Changed:
    """Return what was last new when. After `whole`."""
    workers = {worker.id: max(worker.changed, worker.told_in) for worker in taken.workers}
    return Changed(workers, taken.teller.news)


def whole(
    taken: Taken, instance: str, began: float, about: dict[str, str] | None = None
) -> shapes.Snapshot:
    """Put a job into its shape. Needs no lock.

    Args:
        taken: What `take` has returned.
        instance: The random name of this run of the manager.
        began: When the job began, in seconds since 1970.
        about: Versions and settings.
    """
    stand = taken.stand
    settled = stand.done + stand.failed + stand.cancelled
    tags = [_tag(*each, stand) for each in taken.figures]
    heard, in_hand = stand.heard(), stand.in_hand()
    workers = [_worker(each, taken, heard, in_hand) for each in taken.workers]
    forecasts = _forecasts(taken, tags)
    return shapes.Snapshot(
        version=shapes.VERSION,
        number=taken.number,
        base=0,
        instance=instance,
        began=began,
        age=_round(taken.now - taken.begin),
        ended=stand.ended,
        note=taken.note,
        asked=stand.asked,
        waiting=stand.waiting,
        in_hand=stand.asked - settled - stand.waiting,
        done=stand.done,
        failed=stand.failed,
        cancelled=stand.cancelled,
        repeated=stand.repeated,
        copies=stand.copies,
        duplicates=stand.duplicates,
        lost=stand.lost,
        workers=sum(each.left is None for each in workers),
        busy_workers=len(in_hand),
        troubles=stand.troubles,
        forecast=forecasts[0],
        forecasts=forecasts[1:],
        tags=tags,
        hosts=_hosts(taken, workers),
        worker_list=workers,
        failures=taken.failures,
        events=taken.events,
        histories=shapes.Histories(
            taken.width,
            0,
            taken.slots,
            {each.tag: _history(each) for each, _, _ in taken.figures},
        ),
        rows=taken.teller.tell(taken.rows),
        about=about or {},
    )


def since(full: shapes.Snapshot, changed: Changed, seen: shapes.Looked) -> shapes.Snapshot:
    """Return what is new in a snapshot for a caller that has an earlier one.

    Args:
        full: The whole of it.
        changed: What was last new when.
        seen: What the caller has.
    """
    if not 0 < seen.number <= full.number:
        return full
    before, now, workers = seen.number, full.histories, changed.workers
    first = min(seen.slots, now.slots) if seen.width == now.width else 0
    known = seen.width > 0 and telling.doublings(seen.width, now.width) >= 0
    tags = {
        name: shapes.History(*(column[first:] for column in _columns(each)))
        for name, each in now.tags.items()
    }
    return replace(
        full,
        base=before,
        worker_list=[w for w in full.worker_list if workers.get(w.id, full.number) > before],
        events=[event for event in full.events if event.order > seen.event],
        histories=shapes.Histories(now.width, first, now.slots, tags),
        rows=telling.since(full.rows, changed.rows, before) if known else full.rows,
    )


# -- parts --------------------------------------------------------------------------------------


def _round(seconds: float) -> float:
    return round(seconds, _DIGITS)


def _columns(each: shapes.History) -> tuple[list[float], ...]:
    return each.done, each.failed, each.busy, each.waiting, each.workers


def _history(figures: Figures) -> shapes.History:
    done, failed, busy, waiting, workers = figures.columns
    rounded = [_round(each) for each in busy]
    return shapes.History(list(done), list(failed), rounded, list(waiting), list(workers))


def _tag(figures: Figures, waiting: int, busy_workers: int, stand: Stand) -> shapes.Tag:
    executed, settled = figures.executed, figures.done + figures.failed + figures.cancelled
    mean = figures.busy / executed if executed else 0.0
    spread = sqrt(max(0.0, figures.squares / executed - mean * mean)) if executed else 0.0
    return shapes.Tag(
        name=figures.tag,
        asked=figures.asked,
        waiting=waiting,
        in_hand=figures.asked - settled - waiting,
        done=figures.done,
        failed=figures.failed,
        cancelled=figures.cancelled,
        busy_workers=busy_workers,
        able_workers=stand.able(figures.tag),
        executed=executed,
        busy=_round(figures.busy),
        mean=mean,
        deviation=spread,
        median=quantile(figures, 0.5),
        p99=quantile(figures, 0.99),
        histogram=[(_lower(at), n) for at, n in enumerate(figures.histogram) if n],
    )


def _lower(at: int) -> float:
    return SHORTEST * float(2.0 ** (at / PER_DOUBLING))


def quantile(figures: Figures, part: float) -> float:
    """Return how long this part of the tasks takes at most, about (seconds)."""
    wanted = part * sum(figures.histogram)
    for at, number in enumerate(accumulate(figures.histogram)):
        if number and number >= wanted:
            return _lower(at) * 1.09  # its middle
    return 0.0


def _worker(
    worker: Worker,
    taken: Taken,
    heard: Mapping[int, float],
    in_hand: Mapping[int, tuple[str, float]],
) -> shapes.Worker:
    tag, when = in_hand.get(worker.id, ("", 0.0))
    task = ""
    if tag and worker.task:
        tag, when, task = worker.tag, worker.since, task_name(worker.tag, worker.task)
    last = heard.get(worker.id, worker.left or taken.now)
    if worker.told[:2] != (tag, when) or last - worker.told[2] >= _HEARD:
        # Reports say nothing of these: an idle worker would look as if it were silent.
        worker.told, worker.told_in = (tag, when, last), taken.number
    return shapes.Worker(
        id=worker.id,
        info=worker.info,
        host=worker.host.name,
        joined=_round(worker.joined - taken.begin),
        left=None if worker.left is None else _round(worker.left - taken.begin),
        tasks=worker.tasks,
        busy=_round(worker.busy),
        heard=_round(last - taken.begin),
        tag=shown_tag(tag),
        task=task,
        since=_round(when - taken.begin) if tag else 0.0,
        memory=worker.memory,
        cpu=worker.cpu,
    )


def _hosts(taken: Taken, workers: list[shapes.Worker]) -> list[shapes.Host]:
    sums = {name: [tasks, busy, 0, 0.0] for name, _, _, tasks, busy in taken.hosts}
    for each in workers:
        if each.left is None:
            parts = (each.tasks, each.busy, each.memory, each.cpu)
            sums[each.host] = [*map(add, sums[each.host], parts)]
    return [
        shapes.Host(name, here, lost, int(tasks), _round(busy), int(memory), cpu)
        for name, here, lost, _, _ in taken.hosts
        for tasks, busy, memory, cpu in (sums[name],)
    ]


# -- when it will be done -----------------------------------------------------------------------


def _forecasts(taken: Taken, tags: list[shapes.Tag]) -> list[shapes.Forecast]:
    """Return that of all tasks, and that of each tag."""
    since = taken.now - taken.begin - taken.slots * taken.width
    coming: dict[str, int] = {}
    endless = {name for name, number in taken.to_come if number is None}
    for name, number in taken.to_come:
        coming[name] = coming.get(name, 0) + (number or 0)
    parts = []
    for (figures, _, _), tag in zip(taken.figures, tags, strict=True):
        done, failed, busy, *_ = figures.columns
        parts.append(
            Known(
                left=tag.waiting + tag.in_hand + coming.get(tag.name, 0),
                executed=tag.executed,
                mean=tag.mean,
                deviation=tag.deviation,
                longest=tag.p99,
                workers=tag.able_workers,
                settled=[*map(add, done, failed), tag.done + tag.failed],
                busy=[*busy, figures.busy],
                width=taken.width,
                since=since,
            )
        )
    names = [(tag.name, tag.name in endless) for tag in tags]
    all_known, is_known = together(parts)
    is_least = bool(endless) or (not is_known and all_known.executed > 0)
    entries = [("", is_least, all_known)]
    entries += [(*name, part) for name, part in zip(names, parts, strict=True)]
    nothing = (None, None, None)
    return [
        shapes.Forecast(name, part.left, is_least, *(forecast(part) or nothing))
        for name, is_least, part in entries
    ]
