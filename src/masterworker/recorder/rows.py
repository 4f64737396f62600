"""The big picture: when each worker, or each host, was busy, how much, and with which tag.

A row for each worker, as long as 512 are enough; then one for each host, or for several of them. A
row has a cell for each slot of the histories. It is noted when a span ends, and put into its shape
when viewers look: as much as goes through a narrow line, the rest next time.
"""

from __future__ import annotations

from array import array
from itertools import zip_longest
from math import inf
from typing import Final

#: Rows of workers, and of hosts or groups of them.
ROWS: Final = 512
HOST_ROWS: Final = 256
#: The latest cell: of the slot that is not full yet, and what rounding makes of it.
LAST: Final = 601
#: Bytes of cells that are told in a second, but for the first time.
PACE: Final = 16_000
#: What is told of a row beside its cells (bytes, about).
_HEAD: Final = 10
#: In a cell: how busy, and what happened.
FULL: Final = 63
FAILED: Final = 64
LOST: Final = 128
#: Longest name (characters).
_NAME: Final = 60
#: Of a row of which nothing is new.
CLEAN: Final = 1 << 30


class Fresh:
    """What is new in a row: copied in one go, put into its shape later."""

    __slots__ = ("busy", "first", "full", "index", "marks", "tags")

    def __init__(self, index: int, row: Row) -> None:
        first = row.dirty
        self.index, self.first, self.full = index, first, row.most * row.width
        self.busy, self.tags, self.marks = row.busy[first:], row.tags[first:], row.marks[first:]

    def cells(self) -> bytes:
        """Return two bytes for each cell: the tag's number, and how busy, with marks."""
        full = max(self.full, 1e-9)
        cells = bytearray()
        for busy, tag, mark in zip(self.busy, self.tags, self.marks, strict=True):
            cells.append(tag)
            part = 0 if busy <= 0.0 else min(FULL, 1 + int((FULL - 1) * min(1.0, busy / full)))
            cells.append(part | mark)
        return bytes(cells)


class Row:
    """One row: `busy` seconds, number of the `tags` of most of them, and `marks`, by slots."""

    __slots__ = (
        *("busy", "dirty", "here", "host", "hosts", "marks", "most", "name", "tags", "width"),
        "worker",
    )

    def __init__(self, name: str, worker: int, host: str, width: float) -> None:
        self.name, self.worker, self.host, self.width = name[:_NAME], worker, host, width
        self.hosts = 1
        #: Workers that are here, and the most at a time.
        self.here = self.most = 1
        self.busy, self.tags, self.marks = array("f"), bytearray(), bytearray()
        #: The first slot of which something is new.
        self.dirty = 0

    def reach(self, slot: int) -> None:
        """Have a cell for a slot."""
        missing = slot + 1 - len(self.tags)
        if missing > 0:
            self.busy.frombytes(bytes(missing * self.busy.itemsize))
            self.tags.extend(bytes(missing))
            self.marks.extend(bytes(missing))
        self.dirty = min(self.dirty, slot)

    def put(self, slot: int, tag: int, seconds: float) -> None:
        """Add busy seconds to a slot."""
        self.reach(slot)
        if seconds >= self.busy[slot]:
            self.tags[slot] = tag
        self.busy[slot] += seconds

    def grow(self, width: float) -> None:
        """Let slots be so long (seconds): two of them become one."""
        while self.width < width:
            pairs = zip_longest(self.busy[::2], self.busy[1::2], fillvalue=0.0)
            tags = zip_longest(self.tags[::2], self.tags[1::2], fillvalue=0)
            marks = zip_longest(self.marks[::2], self.marks[1::2], fillvalue=0)
            both = [*zip(pairs, tags, strict=True)]
            self.busy = array("f", [a + b for (a, b), _ in both])
            self.tags = bytearray(x if a >= b else y for (a, b), (x, y) in both)
            self.marks = bytearray(a | b for a, b in marks)
            self.width *= 2
            if self.dirty != CLEAN:
                self.dirty //= 2

    def take_in(self, other: Row) -> None:
        """Be the row of another one, too, which is of the same width."""
        self.reach(len(other.tags) - 1)
        for slot, (busy, tag, mark) in enumerate(
            zip(other.busy, other.tags, other.marks, strict=True)
        ):
            if busy > self.busy[slot]:
                self.tags[slot] = tag
            self.busy[slot] += busy
            self.marks[slot] |= mark
        self.here += other.here
        self.most += other.most
        self.dirty = 0


class Rows:
    """The rows of one job. Not thread-safe."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.of_hosts = False
        #: Counts up when rows become other ones.
        self.layout = 1
        #: Others have come, or are called otherwise, since they were told.
        self.renamed = True
        #: Where workers, what they are called, and hosts have their rows.
        self._workers: dict[int, int] = {}
        self._infos: dict[str, int] = {}
        self._hosts: dict[str, int] = {}
        self._gone: list[int] = []
        #: When something was told last, and the row whose turn it is.
        self._told: float | None = None
        self._next = 0

    # -- what happens -----------------------------------------------------------------------

    def joined(self, worker: int, info: str, host: str, width: float) -> None:
        """A worker is here."""
        if not self.of_hosts:
            at = self._free(host)
            if at >= 0:
                row = Row(info, worker, host, width)
                self._place(at, row)
                self._workers[worker] = self._infos[row.name] = at
                return
            self._be_of_hosts(width)
        at = self._hosts.get(host, -1)
        if at < 0:
            if len(self.rows) >= HOST_ROWS:
                self._fold(width)
            self._hosts[host] = len(self.rows)
            self._place(len(self.rows), Row(host, -1, host, width))
            return
        row = self.rows[at]
        row.here += 1
        if row.here > row.most:
            row.most, row.dirty = row.here, 0

    def left(self, worker: int, host: str, slot: int, *, lost: bool) -> None:
        """A worker is gone."""
        at = self._hosts.get(host, -1) if self.of_hosts else self._workers.pop(worker, -1)
        if at < 0:
            return
        row = self.rows[at]
        row.here -= 1
        if lost:
            self._mark(row, slot, LOST)
        if not self.of_hosts:
            self._gone.append(at)

    def failed(self, info: str, host: str, slot: int, width: float) -> None:
        """A task has failed."""
        at = self._hosts.get(host, -1) if self.of_hosts else self._infos.get(info[:_NAME], -1)
        if at >= 0:
            self.rows[at].grow(width)
            self._mark(self.rows[at], slot, FAILED)

    def add(
        self, worker: int, host: str, tag: int, span: tuple[float, float, float], width: float
    ) -> None:
        """A span has ended.

        Args:
            worker: Whose.
            host: The worker's.
            tag: The number of its tag, from 1 on.
            span: From when to when, in seconds since the job began, and busy seconds.
            width: The length of a slot now.
        """
        at = self._hosts.get(host, -1) if self.of_hosts else self._workers.get(worker, -1)
        if at < 0:
            return
        row = self.rows[at]
        if row.width < width:
            row.grow(width)
        begin, end, busy = span
        first = max(0, min(LAST, int(begin / width)))
        last = max(first, min(LAST, int(end / width)))
        if first == last:
            row.put(first, tag, busy)
            return
        begin = max(0.0, begin)
        part = busy / (end - begin)
        row.reach(last)  # before `first`: that is the first that is new
        row.put(first, tag, ((first + 1) * width - begin) * part)
        for slot in range(first + 1, last):
            row.put(slot, tag, width * part)
        row.put(last, tag, max(0.0, end - last * width) * part)

    # -- what is told -----------------------------------------------------------------------

    def take(self, now: float, width: float, *, everything: bool) -> list[Fresh]:
        """Copy what is new: no more than may be told. The rest has its turn next time."""
        before, self._told = self._told, now
        room = inf if everything or before is None else PACE * max(1.0, now - before)
        number = len(self.rows)
        fresh: list[Fresh] = []
        first, self._next = self._next, 0
        for n in range(number):
            at = (first + n) % number
            row = self.rows[at]
            row.grow(width)
            if row.dirty == CLEAN:
                continue
            size = _HEAD + 2 * max(0, len(row.tags) - row.dirty)
            if size > room and fresh:
                self._next = at
                break
            room -= size
            fresh.append(Fresh(at, row))
            row.dirty = CLEAN
        return fresh

    # -- inside -----------------------------------------------------------------------------

    def _mark(self, row: Row, slot: int, what: int) -> None:
        slot = max(0, min(LAST, slot))
        row.reach(slot)
        row.marks[slot] |= what

    def _place(self, at: int, row: Row) -> None:
        self.renamed = True
        if at == len(self.rows):
            self.rows.append(row)
            return
        before = self.rows[at]
        self._infos.pop(before.name, None)
        row.busy, row.tags, row.marks = before.busy, before.tags, before.marks
        row.width = before.width
        self.rows[at] = row

    def _free(self, host: str) -> int:
        """Return where a new worker has its row: in the place of one that is gone, if need be."""
        for n, at in enumerate(self._gone):
            if self.rows[at].host == host:
                return self._gone.pop(n)
        if len(self.rows) < ROWS:
            return len(self.rows)
        return self._gone.pop(0) if self._gone else -1

    def _be_of_hosts(self, width: float) -> None:
        """Let each host have a row, and not each worker."""
        before, self.rows = self.rows, []
        self.of_hosts = True
        self._workers, self._infos, self._gone = {}, {}, []
        for row in before:
            row.grow(width)
            at = self._hosts.get(row.host, -1)
            if at < 0:
                self._hosts[row.host] = len(self.rows)
                row.name, row.worker = row.host[:_NAME], -1
                self.rows.append(row)
            else:
                self.rows[at].take_in(row)
        if len(self.rows) > HOST_ROWS:
            self._fold(width)
        self._changed()

    def _fold(self, width: float) -> None:
        """Let two hosts, or groups of them, have a row."""
        for row in self.rows:
            row.grow(width)
        before, self.rows = self.rows, self.rows[::2]
        for one, other in zip(before[::2], before[1::2], strict=False):
            one.take_in(other)
            one.hosts += other.hosts
        self._hosts = {host: at // 2 for host, at in self._hosts.items()}
        self._changed()

    def _changed(self) -> None:
        self.layout += 1
        self.renamed = True
        self._told, self._next = None, 0
        for row in self.rows:
            row.dirty = 0
