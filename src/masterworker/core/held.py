"""Outcomes that a worker holds until its master has kept them, and brings to the master's next run.

A master with a journal may be killed with outcomes that it has taken and not written. So each reply
says up to where outcomes are kept, and a worker holds what it has sent after that.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from masterworker.core.chunks import Chunk
from masterworker.core.task import Proof, ids_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.core.row import Row
    from masterworker.core.task import Lease, Outcome

#: Most bytes of results that are held for a master that may come back; the oldest are let go.
MOST_BYTES: Final = 64 << 20
#: Of this many runs of the master, tasks may still be executed.
MOST_RUNS: Final = 8
#: Most proofs of each run: more than there are tasks in a hand.
MOST_PROOFS: Final = 20_000


class Held:
    """What one worker holds.

    Args:
        drain: Takes what is finished out of a queue of outcomes, and adds it to a list.
    """

    def __init__(self, drain: Callable[[deque[Outcome | Row], list[Outcome]], None]) -> None:
        self._drain = drain
        #: Sent: up to where the master has to keep outcomes so that these are kept, of which run
        #: their numbers are, and their bytes.
        self._sent: deque[tuple[int, str, list[Outcome], int]] = deque()
        self._bytes = 0
        #: What is to be brought, by the run of the master that it is of.
        self._to_bring: dict[str, list[Outcome]] = {}
        #: Where outcomes of earlier runs still end up.
        self._queues: deque[tuple[str, deque[Outcome | Row]]] = deque(maxlen=MOST_RUNS)
        #: That tasks were handed to this process, by the run of the master.
        self._proofs: dict[str, deque[Proof]] = {}

    def handed(self, run: str, leases: Iterable[Lease]) -> None:
        """A run of the master has handed out tasks; keep the proofs of that, if there are any."""
        for lease in leases:
            if not lease.proof:
                return
            if run not in self._proofs:
                self._proofs[run] = deque(maxlen=MOST_PROOFS)
                if len(self._proofs) > MOST_RUNS:
                    del self._proofs[next(iter(self._proofs))]
            proof = Proof(lease.task_id, len(lease.payloads), lease.attempt, lease.proof)
            self._proofs[run].append(proof)

    def proofs(self, run: str, outcomes: Iterable[Outcome]) -> list[Proof]:
        """Return those that concern outcomes."""
        known = self._proofs.get(run)
        if not known:
            return []
        ids = {task_id for outcome in outcomes for task_id in ids_of(outcome)}
        return [p for p in known if not ids.isdisjoint(range(p.task_id, p.task_id + p.number))]

    def sent(self, mark: int, kept: int, run: str, outcomes: list[Outcome]) -> None:
        """The manager has answered.

        Args:
            mark: When it keeps outcomes up to here, these are kept.
            kept: Up to where it keeps them now.
            run: Of which run of the master their numbers are.
            outcomes: What it was sent.
        """
        held = self._sent
        if outcomes and mark > kept:
            size = sum(map(_size_of, outcomes))
            held.append((mark, run, outcomes, size))
            self._bytes += size
        while held and (held[0][0] <= kept or self._bytes > MOST_BYTES):
            self._bytes -= held.popleft()[3]

    def another_run(self, run: str, unanswered: list[Outcome], queue: deque[Outcome | Row]) -> None:
        """The master has come back as another run: it may lack what is held.

        Args:
            run: The one before.
            unanswered: What was sent and not answered.
            queue: Where what is being executed ends up.
        """
        for _, of, outcomes, _ in self._sent:
            self._to_bring.setdefault(of, []).extend(outcomes)
        self._to_bring.setdefault(run, []).extend(unanswered)
        self._sent.clear()
        self._bytes = 0
        self._queues.append((run, queue))

    def forget(self) -> None:
        """It is another job, to which nothing of this means anything."""
        self._sent.clear()
        self._to_bring.clear()
        self._queues.clear()
        self._proofs.clear()
        self._bytes = 0

    def next(self) -> tuple[str, list[Outcome]] | None:
        """Return what is to be brought next, and of which run it is; None: there is nothing."""
        if not self._queues:
            return None
        for run, queue in self._queues:
            if queue:
                self._drain(queue, self._to_bring.setdefault(run, []))
        for run, outcomes in self._to_bring.items():
            if outcomes:
                return run, outcomes
        return None

    def brought(self, mark: int, kept: int, run: str) -> None:
        """The manager has answered to what `next` has returned."""
        self.sent(mark, kept, run, self._to_bring.pop(run, []))


def _size_of(outcome: Outcome) -> int:
    payloads = outcome.payloads
    if isinstance(payloads, Chunk):
        return len(payloads.data)
    return sum(map(len, payloads))
