"""When which worker executed what: one entry for each long task, or for several short ones."""

from __future__ import annotations

from array import array
from typing import Final

#: Entries that are kept.
SPANS: Final = 100_000
#: The worker of an entry that has been joined of several workers' ones.
SEVERAL: Final = -1


class Spans:
    """The spans of one job. When there are too many, neighbours of one worker are joined."""

    def __init__(self) -> None:
        self.worker = array("q")
        self.tag = array("H")
        self.begin = array("d")
        self.end = array("d")
        self.number = array("Q")
        #: Tags by the number that stands for them.
        self.tags: list[str] = []
        self._numbers: dict[str, int] = {}
        #: How often neighbours were joined: places of spans mean something else then.
        self.joined = 0

    def __len__(self) -> int:
        return len(self.worker)

    def add(self, worker: int, tag: str, begin: float, end: float, tasks: int) -> None:
        """A worker has executed tasks of one tag."""
        number = self._numbers.get(tag)
        if number is None:
            number = self._numbers[tag] = len(self.tags)
            self.tags.append(tag)
        self._append(worker, number, begin, end, tasks)
        if len(self.worker) >= SPANS:
            self._halve()

    def _append(self, worker: int, tag: int, begin: float, end: float, tasks: int) -> None:
        self.worker.append(worker)
        self.tag.append(tag)
        self.begin.append(begin)
        self.end.append(end)
        self.number.append(tasks)

    def _halve(self) -> None:
        """Join neighbours of one worker; if there are too many workers, of any."""
        self._join(by_worker=True)
        if len(self.worker) > SPANS * 3 // 4:
            self._join(by_worker=False)
        self.joined += 1

    def _join(self, *, by_worker: bool) -> None:
        before = (self.worker, self.tag, self.begin, self.end, self.number)
        self.worker, self.tag, self.number = array("q"), array("H"), array("Q")
        self.begin, self.end = array("d"), array("d")
        open_ones: dict[int, int] = {}
        for worker, tag, begin, end, number in zip(*before, strict=True):
            key = worker if by_worker else SEVERAL
            at = open_ones.pop(key, -1)
            if at < 0:
                open_ones[key] = len(self.worker)
                self._append(key, tag, begin, end, number)
                continue
            if end - begin > self.end[at] - self.begin[at]:
                self.tag[at] = tag
            self.begin[at] = min(begin, self.begin[at])
            self.end[at] = max(end, self.end[at])
            self.number[at] += number
