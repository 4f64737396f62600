"""Takes note of what a job does, over its whole time and in bounded memory.

It is given what workers say with each report, and nothing for a single task: so it costs a
microsecond for each report, and is always there. What is full is halved, never forgotten: two
slots, spans or events that are neighbours become one, so that the whole job stays covered, in ever
coarser steps. What is rarely of use (spans, failures, snapshots) is in modules of its own, which
are loaded when they are.

Pure: times are given, in seconds on the scheduler's clock.
"""

from __future__ import annotations

from array import array
from itertools import islice
from math import inf, log2, sqrt
from typing import TYPE_CHECKING, Final

# Not when they are needed first: a process may have no descriptor left to load anything by then.
from masterworker.recorder.failures import FailureKinds
from masterworker.recorder.rows import Rows
from masterworker.recorder.spans import Spans
from masterworker.taskid import shown_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from masterworker.recorder.telling import Teller

    #: Tasks that wait, by tag (and priority) and in all; and the tags that workers are at, with
    #: the numbers of these.
    Gauges = Callable[
        [], tuple[Mapping[str | tuple[str, int], int], int, Iterable[tuple[str, int]]]
    ]
    #: Given kind and payload of a failure, returns its type, message and traceback.
    Explain = Callable[[int, bytes], tuple[str, str, str]]

#: Tags with figures of their own; all further ones are counted together.
TAGS: Final = 64
OTHERS: Final = "others"
#: Names of tags by which those are found at once.
_NAMES: Final = 1024
#: Lanes of waiting tasks that are looked at; what is in others counts as others.
_LANES: Final = 4096
#: Steps of a history, and how long the first of them are (seconds).
SLOTS: Final = 600
FIRST_WIDTH: Final = 0.25
#: Tasks that take this long are in the spans one by one (seconds); shorter ones of one worker and
#: tag are joined, up to this length (seconds).
LONG: Final = 0.05
JOINED: Final = 1.0
#: Tasks whose durations differ so much that their mean alone would mislead.
UNEVEN: Final = 1.25
#: A histogram has four classes for each doubling, from a microsecond on.
CLASSES: Final = 200
PER_DOUBLING: Final = 4
SHORTEST: Final = 2.0**-20
#: Workers that are gone, and hosts, that are known by themselves.
GONE: Final = 500
HOSTS: Final = 1000
EVENTS: Final = 1000
#: Longest text of an event (characters).
_TEXT: Final = 200


class Figures:
    """What is known of the tasks of one tag."""

    __slots__ = (
        *("asked", "busy", "cancelled", "columns", "done", "executed", "failed", "histogram"),
        *("number", "squares", "tag"),
    )

    def __init__(self, tag: str, slots: int, number: int) -> None:
        #: The number counts from 1 on.
        self.tag, self.number = tag, number
        self.asked = self.done = self.failed = self.cancelled = 0
        #: How many executions workers have reported, how long they took, and its squares.
        self.executed, self.busy, self.squares = 0, 0.0, 0.0
        self.histogram = array("Q", bytes(8 * CLASSES))
        #: As of the end of each slot: done, failed and busy seconds so far; tasks that wait and
        #: workers that are at these tasks at that moment.
        self.columns = tuple(array("d", bytes(8 * slots)) for _ in range(5))

    def time(self, seconds: float, tasks: int) -> None:
        """Some tasks took about this long each."""
        at = int(PER_DOUBLING * log2(seconds / SHORTEST)) if seconds > SHORTEST else 0
        self.histogram[at if at < CLASSES else CLASSES - 1] += tasks

    def time_uneven(self, tasks: int, seconds: float, squares: float) -> None:
        """Some tasks took very different times: as if one were unlike all others."""
        mean = seconds / tasks
        deviation = sqrt(max(0.0, squares / tasks - mean * mean))
        one = min(seconds, mean + deviation * sqrt(tasks - 1))
        self.time(one, 1)
        self.time((seconds - one) / (tasks - 1), tasks - 1)


class Worker:
    """What is known of one worker."""

    __slots__ = (
        *("at", "begin", "busy", "changed", "cpu", "end", "host", "id", "info", "joined", "left"),
        *("memory", "number", "seconds", "since", "tag", "task", "tasks", "told", "told_in"),
    )

    def __init__(self, member_id: int, info: str, host: Host, now: float) -> None:
        self.id, self.info, self.host, self.joined = member_id, info, host, now
        self.left: float | None = None
        self.tasks, self.busy, self.memory, self.cpu = 0, 0.0, 0, 0.0
        #: The task that it has said it is executing, its tag, and since when.
        self.task, self.tag, self.since = 0, "", 0.0
        #: In which snapshot it is new.
        self.changed = 0
        #: What viewers were told: what it is at, since when, when it was heard; in which snapshot.
        self.told, self.told_in = ("", 0.0, 0.0), 0
        #: Its latest span, which may go on: of which tag, from when to when, of how many tasks, and
        #: their busy seconds.
        self.at: Figures | None = None
        self.begin = self.end = 0.0
        self.number, self.seconds = 0, 0.0


class Host:
    """What is known of the workers of one host: how many are here, and what others did before."""

    __slots__ = ("busy", "lost", "name", "tasks", "workers")

    def __init__(self, name: str) -> None:
        self.name = name
        self.workers = self.tasks = self.lost = 0
        self.busy = 0.0


class Event:
    """Something that has happened, or several such things."""

    __slots__ = ("at", "kind", "number", "order", "text")

    def __init__(self, order: int, at: float, kind: str, text: str) -> None:
        self.order, self.at, self.kind, self.text, self.number = order, at, kind, text, 1


def explain_nothing(_kind: int, _payload: bytes) -> tuple[str, str, str]:
    """Leave out what failures say."""
    return "", "", ""


def _nothing() -> tuple[Mapping[str | tuple[str, int], int], int, Iterable[tuple[str, int]]]:
    return {}, 0, ()


class Recorder:
    """The record of one job. Not thread-safe: the scheduler's lock is held around every call.

    Args:
        gauges: Says how many tasks wait and which tags workers are at.
        explain: Says what failures are about.
    """

    def __init__(
        self,
        gauges: Gauges = _nothing,
        explain: Explain = explain_nothing,
    ) -> None:
        self._gauges, self._explain = gauges, explain
        #: By the tag that users see.
        self.figures: dict[str, Figures] = {}
        self._found: dict[str, Figures] = {}
        self.workers: dict[int, Worker] = {}
        self.gone: dict[int, Worker] = {}
        self.hosts: dict[str, Host] = {}
        self.events: list[Event] = []
        self._orders = 0
        #: When it began; None: nothing has happened yet.
        self.begin: float | None = None
        #: The latest time that it was given.
        self.now = 0.0
        #: How many slots are full, how long each is, and when the next one is.
        self.slots, self.width, self.until = 0, FIRST_WIDTH, 0.0
        #: The number of the snapshot that is made next.
        self.round = 1
        self.failures: FailureKinds | None = None
        self.spans: Spans | None = None
        self.rows = Rows()
        #: What viewers were told of them; None: there were none.
        self.teller: Teller | None = None
        #: A line of the user's own.
        self.note = ""
        #: Tags of tasks that will still be asked for, and how many; None: it is not known. By who
        #: says so. May be changed without a lock.
        self.to_come: dict[int, tuple[str, int | None]] = {}

    # -- tasks ------------------------------------------------------------------------------

    def of(self, tag: str) -> Figures:
        """Return the figures of a tag, or of those that have none of their own."""
        return self._found.get(tag) or self._find(tag)

    def at(self, now: float) -> None:
        """It is this time, and nothing may have happened since the last call."""
        self.now = now
        if now >= self.until:
            self._fill(now)

    def spent(self, tag: str, member_id: int, tasks: int, seconds: float, squares: float) -> None:
        """A worker has executed tasks of one tag, up to now; `at` has been called."""
        figures = self._found.get(tag) or self._find(tag)
        figures.executed += tasks
        figures.busy += seconds
        figures.squares += squares
        mean = seconds / tasks
        if squares > UNEVEN * mean * seconds and tasks > 1:
            figures.time_uneven(tasks, seconds, squares)
        else:
            figures.time(mean, tasks)
        worker = self.workers.get(member_id)
        if worker is None:
            return
        worker.tasks += tasks
        worker.busy += seconds
        worker.task, worker.changed = 0, self.round
        now = self.now
        if worker.at is figures and now - worker.begin < JOINED and seconds < tasks * LONG:
            worker.number += tasks
            worker.seconds += seconds
        else:
            self._end_span(worker)
            worker.at, worker.begin, worker.number = figures, now - seconds, tasks
            worker.seconds = seconds
        worker.end = now

    def began(self, member_id: int, task_id: int, tag: str, now: float) -> None:
        """A worker says which task it has been executing for a while."""
        worker = self.workers.get(member_id)
        if worker is not None:
            if worker.task != task_id:
                worker.since = now
            worker.task, worker.tag, worker.changed = task_id, shown_tag(tag), self.round

    def failed(self, tag: str, kind: int, payload: bytes, task_id: int, worker: str) -> None:
        """A task has a failure as its outcome."""
        if self.failures is None:
            self.failures = FailureKinds()
        what = self._explain(kind, payload)
        host = host_of(worker)
        self.failures.add(shown_tag(tag), what, task_id, host, self.now)
        self.rows.failed(worker, host, self._slot(), self.width)

    # -- workers ----------------------------------------------------------------------------

    def joined(self, member_id: int, info: str, now: float) -> None:
        """A worker is here."""
        self.at(now)
        host = self._host(host_of(info))
        host.workers += 1
        self.workers[member_id] = worker = Worker(member_id, info, host, now)
        worker.changed = self.round
        self.rows.joined(member_id, info, host.name, self.width)
        self.event("joined", info)

    def left(self, member_id: int, reason: str, now: float, *, lost: bool) -> None:
        """A worker is gone; what is no worker is no error."""
        worker = self.workers.pop(member_id, None)
        if worker is None:
            return
        self.at(now)
        worker.left, worker.changed = now, self.round
        worker.host.workers -= 1
        worker.host.lost += lost
        worker.host.tasks += worker.tasks
        worker.host.busy += worker.busy
        self._end_span(worker)
        self.rows.left(member_id, worker.host.name, self._slot(), lost=lost)
        self.gone[member_id] = worker
        if len(self.gone) > GONE:
            del self.gone[next(iter(self.gone))]
        line = reason.partition("\n")[0]
        self.event("lost" if lost else "left", f"{worker.info}: {line}" if line else worker.info)

    def used(self, member_id: int, memory: int, cpu: float) -> None:
        """A worker has these bytes of memory, and has used these seconds of processor time."""
        worker = self.workers.get(member_id)
        if worker is not None and memory >= 0 and 0.0 <= cpu < inf:
            worker.memory, worker.cpu, worker.changed = memory, cpu, self.round

    def event(self, kind: str, text: str) -> None:
        """Something has happened just now."""
        events = self.events
        self._orders += 1
        events.append(Event(self._orders, self.now, kind, text[:_TEXT]))
        if len(events) > EVENTS:
            self.events = _joined(events, alike=True)
            if len(self.events) > EVENTS * 3 // 4:
                self.events = _joined(self.events, alike=False)

    def end_spans(self, *, everything: bool) -> None:
        """Note spans that are not joined with others any more, or all of them: the job is over."""
        for worker in self.workers.values():
            if worker.at is not None and (everything or self.now - worker.begin >= JOINED):
                self._end_span(worker)

    # -- inside -----------------------------------------------------------------------------

    def _end_span(self, worker: Worker) -> None:
        figures = worker.at
        if figures is None:
            return
        if self.spans is None:
            self.spans = Spans()
        worker.at, begin, end, host = None, worker.begin, worker.end, worker.host.name
        self.spans.add(worker.id, (figures.tag, host), begin, end, worker.number, worker.seconds)
        since = self.begin or 0.0
        span = (begin - since, end - since, worker.seconds)
        self.rows.add(worker.id, host, figures.number, span, self.width)

    def _slot(self) -> int:
        """Return the slot that is not full yet."""
        return int((self.now - (self.begin or 0.0)) / self.width)

    def _find(self, tag: str) -> Figures:
        """Find figures by a name that is not at hand."""
        name = shown_tag(tag)
        if name not in self.figures and len(self.figures) >= TAGS:
            name = OTHERS
        if name not in self.figures:
            self.figures[name] = Figures(name, self.slots, len(self.figures) + 1)
        if len(self._found) >= _NAMES:
            self._found = {}
        self._found[tag] = found = self.figures[name]
        return found

    def _host(self, name: str) -> Host:
        if name not in self.hosts and len(self.hosts) >= HOSTS:
            name = OTHERS
        return self.hosts.setdefault(name, Host(name))

    def gauge(self) -> dict[str, tuple[int, int]]:
        """Say how many tasks of each tag wait, and how many workers are at them."""
        waiting, total, at = self._gauges()
        found: dict[str, int] = {}
        for key, number in islice(waiting.items(), _LANES):
            name = self.of(key if isinstance(key, str) else key[0]).tag
            total -= number
            found[name] = found.get(name, 0) + number
        if total:
            found[OTHERS] = found.get(OTHERS, 0) + total
        busy: dict[str, int] = {}
        for tag, number in at:
            name = self.of(tag).tag
            busy[name] = busy.get(name, 0) + number
        return {tag: (found.get(tag, 0), busy.get(tag, 0)) for tag in self.figures}

    def _fill(self, now: float) -> None:
        """Slots are over: note how things stood at their ends."""
        if self.begin is None:
            self.begin, self.until = now, now + self.width
            return
        while (over := int((now - self.until) / self.width) + 1) > SLOTS - self.slots:
            self._halve()
            if now < self.until:
                return
        gauges = self.gauge()
        for tag, figures in self.figures.items():
            stand = (figures.done, figures.failed, figures.busy, *gauges[tag])
            for column, value in zip(figures.columns, stand, strict=True):
                column.extend([value] * over)
        self.slots += over
        self.until += over * self.width

    def _halve(self) -> None:
        """Let two slots be one. One that is left over is the beginning of the next."""
        assert self.begin is not None  # noqa: S101  for the type checker
        for figures in self.figures.values():
            figures.columns = tuple(column[1::2] for column in figures.columns)
        self.slots //= 2
        self.width *= 2
        self.until = self.begin + (self.slots + 1) * self.width


def host_of(info: str) -> str:
    """Return the name of the host in a line that says which process it is."""
    return (info.partition(" on ")[2] or info).partition(" (")[0]


def _joined(events: list[Event], *, alike: bool) -> list[Event]:
    """Let two neighbours be one, if both are of one kind or that does not matter."""
    kept: list[Event] = []
    can_join = False
    for event in events:
        if can_join and (not alike or kept[-1].kind == event.kind):
            kept[-1].number += event.number
            can_join = False
        else:
            kept.append(event)
            can_join = True
    return kept
