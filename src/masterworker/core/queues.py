"""The bottom of the scheduler: who is here, what waits, and handing it out."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from masterworker.core.backups import Backups
from masterworker.core.effects import Effects, Tally
from masterworker.core.lanes import Lanes
from masterworker.core.options import terms_of
from masterworker.core.task import Lease, State, Task

if TYPE_CHECKING:
    from masterworker.core.member import Member

WAITING, LEASED, SETTLED = State.WAITING, State.LEASED, State.SETTLED

#: Makes a named tuple in half the time that its class takes.
_new = tuple.__new__


class Queues:
    """The state of a job. See `Scheduler`, which says what can happen to it."""

    def __init__(self) -> None:
        self.tasks: dict[int, Task] = {}
        self.members: dict[int, Member] = {}
        claim_ids = count(1)
        self.waiting = Lanes(WAITING, claim_ids)
        self.results = Lanes(SETTLED, claim_ids)
        self._any_result = self.results.view(None)
        self.backups = Backups()
        self.tally = Tally()
        #: Tasks that are to be collected and have not been yet, by tag.
        self.open_tags: dict[str, int] = {}
        self.terminated = False
        #: Something has happened that may have brought the next deadline nearer. The caller sets
        #: it back when it has looked.
        self.alarmed = False
        self._next_task = 1
        self._next_member = 0
        self._workers = 0

    @property
    def next_task(self) -> int:
        """The id that the next task will get."""
        return self._next_task

    def _share(self, want: int) -> int:
        """Cap a claim (guided self-scheduling: Polychronopoulos & Kuck 1987).

        Half of an equal share of what waits, so that the end of a job does not pile up on one
        worker; at least one.
        """
        if want == 1:
            return 1
        share = -(-self.waiting.count // (2 * max(1, self._workers)))
        return max(1, min(want, share))

    def _lease(self, member: Member, tasks: list[Task], now: float) -> list[Lease]:
        leases = []
        held = member.leases
        for task in tasks:
            task.state = LEASED
            task.attempt += 1
            task.holder = member
            held[task.id] = task
            terms = None
            if task.options is not None:
                terms = terms_of(task.options)
                if task.options.pure:
                    self.backups.handed_out(task, now)
                    self.alarmed = self.alarmed or bool(self.waiting.claims)
            leases.append(_new(Lease, (task.id, task.attempt, task.tag, task.payload, terms)))
        return leases

    def _requeue(self, held: list[Task], why: str, now: float, effects: Effects) -> Effects:
        for task in held:
            task.state = WAITING
            task.holder = None
            task.note(now, why)
            if task.options is not None:
                self.backups.put_down(task)
        if held:
            self.waiting.put_back(held)
            effects.add(self._match_tasks(now))
        return effects

    def _match_tasks(self, now: float) -> Effects:
        effects = Effects()
        if not self.terminated:
            for claim, tasks in self.waiting.match(self._share):
                effects.leases.append((claim.id, self._lease(claim.taker, tasks, now)))
        return effects

    def _withdrawn(self, task: Task) -> Task:
        """Take a waiting task out of its queue. Returns the object that it goes on as.

        The old one stays where it is as a withdrawn item, which must keep its place.
        """
        self.waiting.withdraw()
        fresh = Task(task.id, task.tag, task.payload, task.direct, LEASED, task.options)
        fresh.attempt, fresh.notes = task.attempt, task.notes
        fresh.losses, fresh.suspect = task.losses, task.suspect
        self.tasks[task.id] = fresh
        task.state, task.payload = State.DELIVERED, b""
        return fresh
