"""What a screen shows of tags, hosts, workers and failures: rows, which can be put in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from masterworker.core.audit import times
from masterworker.named import NamedTuple
from masterworker.views import wording
from masterworker.views.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.recorder.shapes import Snapshot

#: Workers that are shown beside others: those that are silent, or at one task for longest.
SLOWEST: Final = 10
#: The signs behind the title of the column by which rows are in order.
UP, DOWN = " ▲", " ▼"


class Row(NamedTuple):
    """One thing."""

    #: What is written in each column, and what rows are put in order by.
    cells: tuple[str, ...]
    values: tuple[Any, ...]
    #: The task that can be explained; "" for none. And what is known here already.
    task: str = ""
    more: tuple[str, ...] = ()


class Section(NamedTuple):
    """Things of one kind, in the order in which they matter."""

    titles: tuple[str, ...]
    rows: list[Row]

    def sorted(self, column: int, *, backwards: bool) -> Section:
        """Return the same in the order of one column; numbers begin with the largest."""
        if not 0 <= column < len(self.titles) or not self.rows:
            return self
        down = backwards is not self.is_number(column)
        rows = sorted(self.rows, key=lambda row: row.values[column], reverse=down)
        titles = list(self.titles)
        titles[column] += DOWN if down else UP
        return Section(tuple(titles), rows)

    def is_number(self, column: int) -> bool:
        """Return whether there are numbers in a column; in the first there are names."""
        return column > 0 and any(not isinstance(row.values[column], str) for row in self.rows)

    def lines(self, width: int) -> list[str]:
        """Return it as lines, the titles first; nothing, where there are no rows."""
        if not self.rows:
            return []
        numbers = frozenset(n for n in range(len(self.titles)) if self.is_number(n))
        return table(self.titles, [row.cells for row in self.rows], width, numbers)


def tags(snapshot: Snapshot, *, whole: bool) -> Section:
    """Return what is known of each tag, the one with most work first."""
    forecasts = {each.tag: wording.when(each) for each in snapshot.forecasts}
    rows = []
    for tag in sorted(snapshot.tags, key=lambda tag: tag.busy, reverse=True):
        name = wording.name_of(tag.name)
        counts = (tag.waiting, tag.in_hand, tag.done, tag.failed, tag.busy_workers)
        times_of = (tag.median, tag.p99)
        shown = map(wording.time, times_of) if tag.executed else ("", "")
        coming = forecasts.get(tag.name, "") if whole else ""
        cells = (name, *map(wording.number, counts), *shown, coming)
        if tag.asked:
            rows.append(Row(cells, (name, *counts, *times_of, coming)))
    titles = ("TAG", "waiting", "in hand", "done", "failed", "workers", "median", "99 %", "")
    return Section(titles, rows)


def hosts(snapshot: Snapshot, *, whole: bool) -> Section:  # noqa: ARG001
    """Return what is known of each host: slow ones first, then the one with most workers."""
    rows = []
    slow = wording.slow_hosts(snapshot)
    for host in wording.ranked_hosts(snapshot):
        counts = (host.workers, host.lost, host.tasks)
        mean = host.busy / host.tasks if host.tasks else 0.0
        cells = (
            host.name,
            *map(wording.number, counts),
            ("! slow: " if host.name in slow else "") + wording.time(mean) if host.tasks else "",
            wording.time(host.busy),
            wording.memory(host.memory),
        )
        rows.append(Row(cells, (host.name, *counts, mean, host.busy, host.memory)))
    return Section(("HOST", "workers", "lost", "tasks", "mean", "busy", "memory"), rows)


def workers(snapshot: Snapshot, *, whole: bool) -> Section:
    """Return the workers, those first that are silent, or at one task for longest."""
    rows = []
    for worker in wording.slowest(snapshot)[: None if whole else SLOWEST]:
        at_it = wording.at_it(worker, snapshot)
        what = wording.name_of(worker.task or worker.tag) or "idle"
        if wording.is_silent(worker, snapshot):
            what = f"silent for {wording.time(snapshot.age - worker.heard)}; {what}"
        cells = (
            f"{worker.id}: {worker.info.partition(' (')[0]}",
            wording.number(worker.tasks),
            wording.time(worker.busy),
            wording.memory(worker.memory),
            wording.time(at_it) if worker.tag else "",
            what,
        )
        values = (worker.id, worker.tasks, worker.busy, worker.memory, at_it, what)
        rows.append(Row(cells, values, worker.task))
    return Section(("WORKER", "tasks", "busy", "memory", "since", "is at"), rows)


def failures(snapshot: Snapshot, *, whole: bool) -> Section:
    """Return failures by kind, the most frequent first."""
    rows = []
    for kind in sorted(snapshot.failures, key=lambda kind: kind.number, reverse=True):
        text = f"{kind.type}: {kind.text}" if kind.text else kind.type
        tasks = ", ".join(map(wording.name_of, kind.tasks[: None if whole else 1]))
        places = ", ".join(kind.hosts[: None if whole else 2])
        cells = (text, times(kind.number), tasks, places)
        task = kind.tasks[0] if kind.tasks else ""
        more = ("", text, *kind.traceback.splitlines())
        rows.append(Row(cells, (text, kind.number, tasks, places), task, more))
    return Section(("FAILURE", "", "tasks", "hosts"), rows)


SECTIONS: Final[list[Callable[..., Section]]] = [tags, hosts, workers, failures]
