"""Leases, outcomes and results of several tasks, one by one and put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import astuple, replace

from masterworker.core.chunks import Chunk
from masterworker.core.task import RESULT, Finished, Lease, Outcome
from masterworker.data.items import one_by_one
from masterworker.data.pickling import dumps, loads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masterworker.core.blocks import Item


def together(payloads: list[bytes]) -> Chunk:
    """Make a chunk in which each payload is a value."""
    return Chunk(dumps(payloads), 0, len(payloads))


def pack(values: list[bytes], joined: bool) -> list[bytes] | Chunk:
    """Pickle the results of a row, which are as they are to arrive."""
    return together(values) if joined and len(values) > 1 else values


def plain(payload: bytes) -> bytes:
    """Return the payload that an item of such a chunk stands for; others as they are."""
    payload = getattr(payload, "held", payload)  # one whose end is noticed
    opened: bytes = loads(payload) if payload[:1] == b"\x80" else payload
    return opened


def each_lease(leases: Iterable[Lease]) -> list[Lease]:
    """One lease for each task."""
    found = []
    for lease in leases:
        first, attempt, tag, payloads, terms, proof = astuple(lease)
        each = enumerate(one_by_one(payloads), first)
        found += [Lease(i, attempt, tag, [plain(p)], terms, proof) for i, p in each]
    return found


def each_outcome(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """One outcome for each task."""
    found = []
    for outcome in outcomes:
        first, attempt, kind, payloads = astuple(outcome)
        each = enumerate(one_by_one(payloads), first)
        found += [Outcome(i, attempt, kind, [plain(p)]) for i, p in each]
    return found


def each_finished(finished: Iterable[Finished]) -> list[Finished]:
    """One outcome for each task."""
    found = []
    for one in finished:
        found += [
            replace(one, task_id=i, payloads=[plain(p)])
            for i, p in enumerate(one_by_one(one.payloads), one.task_id)
        ]
    return found


def in_rows(outcomes: Iterable[Outcome], *, chunks: bool = False) -> list[Outcome]:
    """Results of tasks that follow each other, together, as a worker delivers those of a block."""
    rows: list[Outcome] = []
    for outcome in outcomes:
        first, attempt, kind, payloads = astuple(rows[-1] if rows else Outcome(0, 0, -1, []))
        follows = first + len(payloads) == outcome.task_id and outcome.kind == RESULT
        if follows and (attempt, kind) == (outcome.attempt, RESULT):
            payloads += outcome.payloads
        else:
            rows.append(replace(outcome, payloads=list(outcome.payloads)))
    if chunks:
        return [_as_chunk(row) if row.kind == RESULT else row for row in rows]
    return rows


def ids_of_all(items: Iterable[Item]) -> list[int]:
    """The ids of all tasks in a queue or in somebody's hands."""
    return [i for item in items for i in item.ids()]


def _as_chunk(row: Outcome) -> Outcome:
    """Results in a row as a part of a chunk that does not begin with them."""
    return replace(row, payloads=together([b"of another", *row.payloads])[1:])
