"""Leases, outcomes and results of several tasks, one by one and put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.core.audit import ids_in
from masterworker.core.task import RESULT, Finished, FinishedRun, Lease, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masterworker.core.blocks import Item


def each_lease(leases: Iterable[Lease]) -> list[Lease]:
    """One lease for each task."""
    found = []
    for first, attempt, tag, payload, terms in leases:
        payloads = payload if isinstance(payload, list) else [payload]
        found += [Lease(i, attempt, tag, p, terms) for i, p in enumerate(payloads, first)]
    return found


def each_outcome(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """One outcome for each task."""
    found = []
    for first, attempt, kind, payload in outcomes:
        payloads = payload if isinstance(payload, list) else [payload]
        found += [Outcome(i, attempt, kind, p) for i, p in enumerate(payloads, first)]
    return found


def each_finished(finished: Iterable[Finished | FinishedRun]) -> list[Finished]:
    """One outcome for each task."""
    found = []
    for one in finished:
        if isinstance(one, FinishedRun):
            first, tag, payloads, worker = one
            found += [Finished(i, tag, RESULT, p, worker) for i, p in enumerate(payloads, first)]
        else:
            found.append(one)
    return found


def in_rows(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Results of tasks that follow each other, together, as a worker delivers those of a block."""
    rows: list[Outcome] = []
    for outcome in outcomes:
        first, attempt, kind, payload = rows[-1] if rows else Outcome(0, 0, -1, [])
        follows = isinstance(payload, list) and first + len(payload) == outcome.task_id
        if outcome.kind != RESULT:
            rows.append(outcome)
        elif follows and (attempt, kind) == (outcome.attempt, RESULT):
            payload.append(outcome.payload)
        else:
            rows.append(outcome._replace(payload=[outcome.payload]))
    return rows


def ids_of_all(items: Iterable[Item]) -> list[int]:
    """The ids of all tasks in a queue or in somebody's hands."""
    return [i for item in items for i in ids_in(item)]
