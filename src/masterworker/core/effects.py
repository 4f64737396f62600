"""What the scheduler answers: what there is to do, and what it has counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.core.task import Payload

if TYPE_CHECKING:
    from masterworker.core.member import Member
    from masterworker.core.task import Finished, FinishedRun, Lease


#: A call that has failed: task id, tag, parameters, kind of outcome, its payload, and who
#: delivered that, as text.
Failed = tuple[int, str, Payload, int, bytes, str]


class Effects:
    """What the caller has to do after an event."""

    __slots__ = ("direct", "dropped", "failed", "leases", "lost", "orders", "results")

    def __init__(self) -> None:
        #: Leases for claims that waited: (claim id, leases).
        self.leases: list[tuple[int, list[Lease]]] = []
        #: Outcomes for claims that waited: (claim id, outcomes).
        self.results: list[tuple[int, list[Finished]]] = []
        #: Outcomes of tasks that were requested as direct.
        self.direct: list[Finished | FinishedRun] = []
        #: Claims that will never be served: their takers are gone.
        self.dropped: list[int] = []
        #: Processes that were taken out, and why.
        self.lost: list[tuple[Member, str]] = []
        #: Tasks whose execution is of no use any more: (process that has it in hand, task id).
        self.orders: list[tuple[int, int]] = []
        #: Calls that have failed.
        self.failed: list[Failed] = []

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Effects):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        told = (f"{name}={getattr(self, name)}" for name in self.__slots__ if getattr(self, name))
        return f"Effects({', '.join(told)})"

    def add(self, more: Effects) -> None:
        """Append the effects of a further event."""
        self.leases += more.leases
        self.results += more.results
        self.direct += more.direct
        self.dropped += more.dropped
        self.lost += more.lost
        self.orders += more.orders
        self.failed += more.failed


#: What follows from most events. Never changed.
NOTHING = Effects()


class Tally:
    """Counters over the whole job."""

    def __init__(self) -> None:
        self.submitted = 0
        self.delivered = 0
        #: Settled by a result, a failure, or given up.
        self.results = 0
        self.failures = 0
        self.given_up = 0
        self.cancelled = 0
        #: Attempts that failed and were followed by another one; copies of slow tasks.
        self.retried = 0
        self.copies = 0
        #: Reports that came too late or twice, and were dropped.
        self.duplicates = 0
        #: Reports for tasks that never were.
        self.unknown = 0
        #: Hand-outs that came back undone, and hand-outs whose worker was lost.
        self.returned = 0
        self.requeued = 0
        self.lost_members = 0
