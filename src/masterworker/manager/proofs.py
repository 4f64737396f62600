"""What shows another run of the manager that a process with a ticket was handed tasks.

The manager remembers what it has handed to whom, and no other run of it does. So what it hands out
carries a digest that only the job can make, of the run, the ticket and the tasks.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from msgspec.structs import replace

from masterworker.core.task import ids_of
from masterworker.data.items import one_by_one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.core.task import Lease, Outcome, Proof


class Proofs:
    """Makes and judges proofs for one ticket.

    Args:
        sign: Returns the digest of a text, which only the job can make.
        serial: Of the ticket.
    """

    def __init__(self, sign: Callable[[str], bytes], serial: str) -> None:
        self._sign, self._serial = sign, serial

    def added(self, leases: Iterable[Lease], run: str) -> list[Lease]:
        """Return what a run of the manager hands out, with proofs."""
        return [
            replace(lease, proof=self._of(run, lease.task_id, len(lease.payloads), lease.attempt))
            for lease in leases
        ]

    def proved(
        self, run: str, outcomes: Iterable[Outcome], proofs: Iterable[Proof]
    ) -> list[Outcome]:
        """Return the outcomes of those tasks that were handed out by a run, one by one."""
        handed: set[tuple[int, int]] = set()
        for p in set(proofs):  # one is worth as much as a thousand times the same
            if hmac.compare_digest(p.proof, self._of(run, p.task_id, p.number, p.attempt)):
                ids = range(p.task_id, p.task_id + p.number)
                handed.update((task_id, p.attempt) for task_id in ids)
        return [
            replace(outcome, task_id=task_id, payloads=[payload])
            for outcome in outcomes
            for task_id, payload in zip(ids_of(outcome), one_by_one(outcome.payloads), strict=True)
            if (task_id, outcome.attempt) in handed
        ]

    def _of(self, run: str, first: int, number: int, attempt: int) -> bytes:
        return self._sign(f"{run} {self._serial} {first} {number} {attempt}")
