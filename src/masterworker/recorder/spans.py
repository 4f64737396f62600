"""When which worker executed what: one entry for each long task, or for several short ones."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Entries that are kept.
SPANS: Final = 100_000
#: The worker of an entry that has been joined of several workers' ones.
SEVERAL: Final = -1
#: Types of the columns, whose order is that of `Spans.columns`: 31 bytes for each entry.
KINDS: Final = ("i", "B", "H", "d", "d", "I", "f")
_MOST_WORKERS: Final = (1 << 31) - 1
_MOST_TASKS: Final = (1 << 32) - 1


class Spans:
    """The spans of one job. When there are too many, neighbours of one worker are joined."""

    def __init__(self) -> None:
        self._clear()
        #: Tags and hosts by the numbers that stand for them.
        self.tags: list[str] = []
        self.hosts: list[str] = []
        self._tag_numbers: dict[str, int] = {}
        self._host_numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.worker)

    @property
    def columns(self) -> tuple[array[int] | array[float], ...]:
        """Worker, tag, host, begin, end, tasks and their busy seconds of each entry."""
        return (
            *(self.worker, self.tag, self.host, self.begin, self.end),
            *(self.number, self.busy),
        )

    def add(
        self, worker: int, place: tuple[str, str], begin: float, end: float, tasks: int, busy: float
    ) -> None:
        """A worker has executed tasks of one tag.

        Args:
            worker: Which one.
            place: The tag, and the worker's host.
            begin: From when on.
            end: Until when.
            tasks: How many.
            busy: Seconds of them together: less than from begin to end, where it was idle at times.
        """
        tag = _numbered(place[0], self._tag_numbers, self.tags)
        host = _numbered(place[1], self._host_numbers, self.hosts)
        self._append(min(worker, _MOST_WORKERS), tag, host, begin, end, tasks, busy)
        if len(self.worker) >= SPANS:
            self._halve()

    def _clear(self) -> None:
        self.worker: array[int] = array("i")
        self.tag: array[int] = array("B")
        self.host: array[int] = array("H")
        self.begin, self.end = array("d"), array("d")
        self.number: array[int] = array("I")
        self.busy = array("f")

    def _append(self, *entry: float) -> None:
        worker, tag, host, begin, end, tasks, busy = entry
        self.worker.append(worker)  # type: ignore[arg-type]
        self.tag.append(tag)  # type: ignore[arg-type]
        self.host.append(host)  # type: ignore[arg-type]
        self.begin.append(begin)
        self.end.append(end)
        self.number.append(min(tasks, _MOST_TASKS))  # type: ignore[arg-type]
        self.busy.append(busy)

    def _halve(self) -> None:
        """Join neighbours of one worker; if there are too many workers, of one host."""
        self._join(self.worker, by_worker=True)
        if len(self.worker) > SPANS * 3 // 4:
            self._join(self.host, by_worker=False)

    def _join(self, keys: Sequence[int], *, by_worker: bool) -> None:
        before = self.columns
        self._clear()
        open_ones: dict[int, int] = {}
        for key, entry in zip(keys, zip(*before, strict=True), strict=True):
            worker, tag, host, begin, end, number, busy = entry
            # What is of several workers already is joined with what is of several of its host.
            one = key if worker != SEVERAL else SEVERAL - 1 - host
            at = open_ones.pop(one, -1)
            if at < 0:
                open_ones[one] = len(self.worker)
                kept = worker if by_worker else SEVERAL
                self._append(kept, tag, host, begin, end, number, busy)
                continue
            if busy > self.busy[at]:
                self.tag[at] = tag
            self.begin[at] = min(begin, self.begin[at])
            self.end[at] = max(end, self.end[at])
            self.number[at] = min(_MOST_TASKS, self.number[at] + number)
            self.busy[at] += busy


def _numbered(name: str, numbers: dict[str, int], names: list[str]) -> int:
    found = numbers.get(name)
    if found is None:
        found = numbers[name] = len(names)
        names.append(name)
    return found
