"""A job as Chrome's trace events, for Perfetto (ui.perfetto.dev) and other viewers of such files.

The format: "Trace Event Format", https://docs.google.com/document/d/
1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU. A host is a process and a worker one of its threads;
the first process is the job itself, with counters and with what has happened.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from masterworker.data.record import printable
from masterworker.recorder.spans import SEVERAL
from masterworker.version import __version__
from masterworker.views.tracks import names_of, tracks
from masterworker.views.wording import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.recorder.shapes import Snapshot
    from masterworker.recorder.spanned import Span
    from masterworker.views.known import Known
    from masterworker.views.tracks import Track

#: Entries of a file.
MOST: Final = 100_000
#: Number of the process that is the job, of the first host, and of the first worker: threads of all
#: processes have numbers of their own, which no process has.
JOB: Final = 1
_HOST: Final = 2
_WORKER: Final = 10_000
#: Room for the names of hosts and workers: see `tracks.WORKERS` and `LANES`.
_NAMES: Final = 22_000
_MICRO: Final = 1e6

Event = dict[str, Any]


def write(known: Known, file: BinaryIO) -> int:
    """Write a job as JSON. Returns the number of entries; takes some 10 us for each."""
    number = 0
    began = datetime.fromtimestamp(known.snapshot.began, UTC).isoformat()
    about = {"job": printable(known.label), "began": began, "masterworker": __version__}
    head = json.dumps({"displayTimeUnit": "ms", "otherData": about})
    file.write(f'{head[:-1]}, "traceEvents": ['.encode())
    for event in events(known):
        file.write(b",\n" if number else b"\n")
        file.write(json.dumps(event).encode())
        number += 1
    file.write(b"\n]}\n")
    return number


def events(known: Known) -> Iterator[Event]:
    """Yield all entries, of which there are 100,000 at most."""
    snapshot = known.snapshot
    first = [*_of_job(known), *_counters(snapshot), *_happened(snapshot)]
    yield from first
    yield from _tracks(known, tracks(known, MOST - len(first) - _NAMES))


def _named(kind: str, pid: int, tid: int, value: object) -> Event:
    key = "sort_index" if kind.endswith("sort_index") else "name"
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": {key: value}}


def _at(seconds: float) -> int:
    return max(0, int(seconds * _MICRO))


# -- the job ------------------------------------------------------------------------------------


def _of_job(known: Known) -> Iterator[Event]:
    yield _named("process_name", JOB, JOB, f"job {printable(known.label)}")
    yield _named("process_sort_index", JOB, JOB, 0)
    yield _named("thread_name", JOB, JOB, "what has happened")


def _counters(snapshot: Snapshot) -> Iterator[Event]:
    """Yield tasks and workers by the ends of slots: at most 1,801 entries."""
    kept = snapshot.histories
    columns = [*kept.tags.values()]
    before = (0.0, 0.0)
    for slot in range(kept.slots):
        at = _at(slot * kept.width)
        done = sum(each.done[slot] for each in columns)
        failed = sum(each.failed[slot] for each in columns)
        rates = (done - before[0]) / kept.width, (failed - before[1]) / kept.width
        before = done, failed
        end = _at((slot + 1) * kept.width)
        waiting = sum(each.waiting[slot] for each in columns)
        workers = sum(each.workers[slot] for each in columns)
        yield _counter("tasks per second", at, {"done": rates[0], "failed": rates[1]})
        yield _counter("tasks that wait", end, {"tasks": waiting})
        yield _counter("busy workers", end, {"workers": workers})


def _counter(name: str, at: int, values: dict[str, float]) -> Event:
    values = {key: round(value, 3) for key, value in values.items()}
    return {"ph": "C", "name": name, "pid": JOB, "ts": at, "args": values}


def _happened(snapshot: Snapshot) -> Iterator[Event]:
    """Yield what has happened: at most 1,101 entries."""
    found: list[tuple[float, str, str, dict[str, Any]]] = [
        (each.at, each.kind, f"{each.kind}: {each.text}", {"number": each.number})
        for each in snapshot.events
    ]
    for failure in snapshot.failures:
        text = f"{failure.type}: {failure.text}"
        tasks = ", ".join(printable(name_of(task)) for task in failure.tasks)
        about = {"number": failure.number, "tasks": tasks}
        found.append((failure.first, "failed", f"first failure: {text}", about))
    for at, kind, text, args in sorted(found, key=lambda each: each[0]):
        name = printable(text)
        place = {"pid": JOB, "tid": JOB, "ts": _at(at), "s": "p"}
        yield {"ph": "i", "cat": kind, "name": name, **place, "args": args}


# -- workers ------------------------------------------------------------------------------------


def _tracks(known: Known, found: dict[Track, list[Span]]) -> Iterator[Event]:
    """Yield hosts, workers, and what these executed."""
    names = names_of(known)
    hosts: dict[str, int] = {}
    for tid, ((host, worker, lane), spans) in enumerate(found.items(), start=_WORKER):
        pid = hosts.get(host)
        if pid is None:
            pid = hosts[host] = _HOST + len(hosts)
            yield _named("process_name", pid, tid, printable(host))
        if worker == SEVERAL:
            name = f"several workers ({lane + 1})"
        else:
            name = printable(names.get(worker, f"worker {worker}"))
        yield _named("thread_name", pid, tid, name)
        yield from chain.from_iterable(_span(span, pid, tid) for span in spans)


def _span(span: Span, pid: int, tid: int) -> Iterator[Event]:
    begin, end = _at(span.begin), _at(span.end)
    args: dict[str, Any] = {"tasks": span.tasks, "busy_seconds": round(span.busy, 6)}
    if not span.tasks:
        args = {"goes_on": True}
    place = {"pid": pid, "tid": tid, "ts": begin, "dur": end - begin}
    yield {
        "ph": "X",
        "cat": "tasks",
        "name": printable(name_of(span.tag)),
        **place,
        "args": args,
    }
