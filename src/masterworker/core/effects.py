"""What the scheduler answers: what there is to do, and what it has counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from masterworker.core.task import Payload, Payloads

if TYPE_CHECKING:
    from masterworker.core.member import Member
    from masterworker.core.task import Finished, Lease


#: A call that has failed: task id, tag, parameters, kind of outcome, its payload, and the
#: worker that delivered it, as text.
Failed = tuple[int, str, Payload, int, bytes, str]


class Effects(msgspec.Struct, repr_omit_defaults=True):
    """What the caller has to do after an event."""

    #: Leases for claims that waited: (claim id, leases).
    leases: list[tuple[int, list[Lease]]] = []
    #: Outcomes for claims that waited: (claim id, outcomes).
    results: list[tuple[int, list[Finished]]] = []
    #: Outcomes of tasks that were requested as direct.
    direct: list[Finished] = []
    #: Outcomes that are to be kept, in this order; then `Scheduler.on_kept` is due.
    unkept: list[Finished] = []
    #: What the parameters of each of these were.
    parameters: list[Payloads] = []
    #: Tasks whose strikes have changed, where outcomes are kept elsewhere: what they are now.
    struck: list[tuple[int, list[str]]] = []
    #: Claims that will never be served: their takers are gone.
    dropped: list[int] = []
    #: Processes that were taken out, and why.
    lost: list[tuple[Member, str]] = []
    #: Tasks whose execution is of no use any more: (process that has it in hand, task id).
    orders: list[tuple[int, int]] = []
    #: Calls that have failed.
    failed: list[Failed] = []


#: What follows from most events. Never changed.
NOTHING = Effects()


class Tally(msgspec.Struct):
    """Counters over the whole job."""

    submitted: int = 0
    delivered: int = 0
    #: Settled by a result, a failure, or given up.
    results: int = 0
    failures: int = 0
    given_up: int = 0
    cancelled: int = 0
    #: Attempts that failed and were followed by another one; copies of slow tasks.
    retried: int = 0
    copies: int = 0
    #: Reports that came too late or twice, and were dropped.
    duplicates: int = 0
    #: Reports for tasks that never were.
    unknown: int = 0
    #: Hand-outs that came back undone, and hand-outs whose worker was lost.
    returned: int = 0
    requeued: int = 0
    lost_members: int = 0
