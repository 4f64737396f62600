"""The big picture as viewers are given it: cells as bytes, and what is new since the last look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker.recorder import shapes
from masterworker.recorder.rows import FULL

if TYPE_CHECKING:
    from masterworker.recorder.rows import Fresh, Rows

#: How often each row was told that is remembered.
_TOLD: Final = 16


class News:
    """In which snapshot each row was told, for those who have an earlier one. Immutable."""

    __slots__ = ("heads", "layout", "told")

    def __init__(self, layout: int, heads: int, told: list[tuple[tuple[int, int], ...]]) -> None:
        #: The snapshots since which rows are what they are, and are called what they are called.
        self.layout, self.heads = layout, heads
        #: By row: numbers of snapshots, and the first slot that was new in them.
        self.told = told


#: Of rows of which nothing is known.
NOTHING: Final = News(0, 0, [])


class Teller:
    """What was told of the rows of one job. Not thread-safe."""

    def __init__(self) -> None:
        self._layout = self._since = self._renamed = 0
        self._width = 0.0
        self._heads: list[shapes.RowHead] = []
        self._cells: list[bytes] = []
        self._told: list[tuple[tuple[int, int], ...]] = []
        self.news = NOTHING

    def tell(self, told: Told) -> shapes.Rows:
        """Take in what is new, once, and return the whole."""
        if told.layout != self._layout:
            self._layout, self._since, self._width = told.layout, told.number, told.width
            self._cells, self._told = [], []
        while self._width < told.width:
            self._width *= 2
            self._cells = [halve(cells) for cells in self._cells]
            self._told = [tuple((n, first // 2) for n, first in row) for row in self._told]
        if told.heads is not None:
            self._heads, self._renamed = told.heads, told.number
        more = len(self._heads) - len(self._cells)
        self._cells += [b""] * more
        self._told += [()] * more
        for fresh in told.fresh:
            at, first = fresh.index, fresh.first
            self._cells[at] = joined(self._cells[at], first, fresh.cells())
            self._told[at] = (*self._told[at][1 - _TOLD :], (told.number, first))
        self.news = News(self._since, self._renamed, list(self._told))
        cells = [shapes.RowCells(at, 0, cells) for at, cells in enumerate(self._cells)]
        of = "hosts" if told.of_hosts else "workers"
        return shapes.Rows(of, told.layout, True, self._heads, cells)


class Told:
    """What is new in the rows, as of one instant."""

    __slots__ = ("fresh", "heads", "layout", "number", "of_hosts", "width")

    def __init__(
        self, rows: Rows, number: int, now: float, width: float, *, everything: bool
    ) -> None:
        self.number, self.width = number, width
        self.fresh: list[Fresh] = rows.take(now, width, everything=everything)
        self.layout, self.of_hosts = rows.layout, rows.of_hosts
        self.heads = None
        if rows.renamed:
            self.heads = [shapes.RowHead(row.name, row.worker, row.hosts) for row in rows.rows]
            rows.renamed = False


def since(full: shapes.Rows, news: News, before: int) -> shapes.Rows:
    """Return what is new in the rows since an earlier snapshot, which has this number.

    Who calls it has cells of the same width, or halves them.
    """
    if before < news.layout or len(news.told) != len(full.cells):
        return full
    found = []
    for told, whole in zip(news.told, full.cells, strict=True):
        new = [first for number, first in told if number > before]
        if new:
            # Further back than is remembered: from the beginning.
            first = 0 if len(new) == _TOLD else min(new)
            found.append(shapes.RowCells(whole.row, first, whole.cells[2 * first :]))
    heads = full.heads if before < news.heads else []
    return shapes.Rows(full.of, full.layout, False, heads, found)


def put_together(before: shapes.Rows, new: shapes.Rows, doublings: int) -> shapes.Rows:
    """Return the whole of the rows, from an earlier whole and what is new since then.

    Args:
        before: The earlier one.
        new: What is new.
        doublings: How often slots have doubled in between.
    """
    if new.is_whole:
        return new
    cells = [each.cells for each in before.cells]
    for _ in range(doublings):
        cells = [halve(each) for each in cells]
    heads = new.heads or before.heads
    cells += [b""] * (len(heads) - len(cells))
    for each in new.cells:
        cells[each.row] = joined(cells[each.row], each.first, each.cells)
    whole = [shapes.RowCells(at, 0, each) for at, each in enumerate(cells)]
    return shapes.Rows(new.of, new.layout, True, heads, whole)


def doublings(before: float, now: float) -> int:
    """Return how often slots have doubled; -1: what was before cannot be."""
    times = 0
    while before < now:
        before *= 2
        times += 1
    return times if before == now else -1


def joined(cells: bytes, first: int, new: bytes) -> bytes:
    """Return cells of which those from a slot on are new."""
    return cells[: 2 * first].ljust(2 * first, b"\0") + new


def halve(cells: bytes) -> bytes:
    """Let two neighbours be one: with the tag of the busier one, their mean, and all marks."""
    found = bytearray()
    tags, parts = cells[::2], cells[1::2]
    for at in range(0, len(tags), 2):
        tag, part = tags[at], parts[at]
        other, rest = (tags[at + 1], parts[at + 1]) if at + 1 < len(tags) else (0, 0)
        busy, more = part & FULL, rest & FULL
        found.append(tag if busy >= more else other)
        found.append((busy + more + 1) // 2 | ((part | rest) & ~FULL & 0xFF))
    return bytes(found)
