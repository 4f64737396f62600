"""The big picture as a page is given it: with what workers have in hand, and what is new in it."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from masterworker.recorder.rows import FULL
from masterworker.views.wording import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.recorder.shapes import Snapshot


def shown(snapshot: Snapshot) -> dict[str, Any]:
    """Return the rows as plain data, but for cells, which are bytes: one text for each row.

    A task is in the rows of a snapshot when it has been reported; here it is as soon as it is in a
    worker's hand.
    """
    rows, slots = snapshot.rows, snapshot.histories.slots + 1
    cells = [b""] * len(rows.heads)
    for each in rows.cells:
        cells[each.row] = (bytes(2 * each.first) + each.cells)[: 2 * slots]
    if not snapshot.ended:
        _add_in_hand(snapshot, cells, slots)
    return {
        "of": rows.of,
        "layout": rows.layout,
        "heads": [[head.name, head.worker, head.hosts] for head in rows.heads],
        "cells": cells,
    }


def _add_in_hand(snapshot: Snapshot, cells: list[bytes], slots: int) -> None:
    heads, width = snapshot.rows.heads, snapshot.histories.width
    by_worker = {head.worker: at for at, head in enumerate(heads) if head.worker >= 0}
    by_host = {head.name: at for at, head in enumerate(heads) if head.worker < 0 == head.hosts - 1}
    places = {tag.name: at + 1 for at, tag in enumerate(snapshot.tags)}
    places |= {name_of(name): at for name, at in places.items()}
    here = {host.name: host.workers for host in snapshot.hosts}
    begun: dict[int, list[int]] = {}
    tags: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for worker in snapshot.worker_list:
        row = by_worker.get(worker.id, by_host.get(worker.host, -1))
        first = int(worker.since / width) if width > 0 else 0
        if not worker.tag or worker.left is not None or row < 0 or not 0 <= first < slots:
            continue
        begun.setdefault(row, []).append(first)
        tags[row] = places.get(worker.tag, 0)
        sizes[row] = 1 if worker.id in by_worker else max(1, here.get(worker.host, 1))
    for row, slots_of in begun.items():
        cells[row] = _filled(cells[row], slots_of, slots, tags[row], sizes[row])


def _filled(cells: bytes, begun: list[int], slots: int, tag: int, size: int) -> bytes:
    """Return cells in which this many workers more are busy from these slots on."""
    first = min(begun)
    before = cells.ljust(2 * slots, b"\0")
    steps = [0] * (slots - first)
    for slot in begun:
        steps[slot - first] += 1
    found = bytearray(before[: 2 * first])
    for at, number in enumerate(accumulate(steps), first):
        part = before[2 * at + 1]
        busy = min(FULL, (part & FULL) + -(-FULL * number // size))
        found += bytes((before[2 * at] or tag, busy | (part & ~FULL & 0xFF)))
    return bytes(found)


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return what is new in rows: of each of them the cells from the first one that is.

    Beside the fields of `shown`, `first` has the first cell of each of `cells`, and `row` which
    row that is of; neither is there where all is new.
    """
    if any(before[name] != after[name] for name in ("of", "layout", "width")):
        return after
    rows = list(_changed(before["cells"], after["cells"]))
    new = [cells[2 * first :] for _, first, cells in rows]
    changes = {**after, "cells": new}
    changes |= {"row": [row for row, _, _ in rows], "first": [first for _, first, _ in rows]}
    if before["heads"] == after["heads"]:
        del changes["heads"]
    return changes


def _changed(before: list[bytes], after: list[bytes]) -> Iterator[tuple[int, int, bytes]]:
    for row, cells in enumerate(after):
        known = before[row] if row < len(before) else b""
        if known != cells:
            yield row, _alike(known, cells), cells


def _alike(one: bytes, other: bytes) -> int:
    """Return how many cells two rows have in common from the beginning."""
    low, high = 0, min(len(one), len(other)) // 2
    while low < high:
        middle = (low + high + 1) // 2
        if one[2 * low : 2 * middle] == other[2 * low : 2 * middle]:
            low = middle
        else:
            high = middle - 1
    return low
