"""The bottom of the scheduler: who is here, what waits, and handing it out."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from masterworker.core.asked import Asked
from masterworker.core.backups import Backups
from masterworker.core.blocks import Block, Blocks
from masterworker.core.chunks import no_single
from masterworker.core.effects import Effects, Tally
from masterworker.core.filters import key_of
from masterworker.core.grain import BACK, KEPT, Grain
from masterworker.core.options import terms_of
from masterworker.core.overdue import Overdue
from masterworker.core.task import Lease, State, Task
from masterworker.core.task_queues import TaskQueues

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.core.blocks import Item
    from masterworker.core.chunks import Single
    from masterworker.core.claims import Claim
    from masterworker.core.filters import Key, TagFilter
    from masterworker.core.member import Member

WAITING, LEASED, SETTLED = State.WAITING, State.LEASED, State.SETTLED


class Queues:
    """The state of a job. See `Scheduler`, which says what can happen to it."""

    def __init__(self, single: Single = no_single) -> None:
        #: Those that are on their own; all others are in blocks.
        self.tasks: dict[int, Task] = {}
        self.blocks = Blocks(self.tasks, single)
        self.members: dict[int, Member] = {}
        claim_ids = count(1)
        self.waiting = TaskQueues(WAITING, claim_ids)
        self.results = TaskQueues(SETTLED, claim_ids)
        self._any_result = self.results.use_filter(None)
        self.backups = Backups()
        self.overdue = Overdue()
        self.grain = Grain()
        #: Until when members are expected back who have only brisk tasks in hand; the latest last.
        self._back: dict[int, float] = {}
        #: Until when brisk tasks are kept for them; None: there are none. Ends in `on_tick` alone.
        self.kept: float | None = None
        #: Of which tag they are: more of it needs nobody's attention. Read without the lock.
        self.kept_tag: str | None = None
        #: Nothing is handed out until some results have been picked up: see `on_held_back`.
        self.held_back = False
        self.tally = Tally()
        self.asked = Asked()
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

    def _portion(self, want: int, seconds: float, now: float, share: int, key: Key) -> int:
        """Tell how many tasks of one lane are as much work as is asked for.

        A share at most, but not so few that they are not worth a call.
        """
        most = min(want, self.grain.most(key, seconds, now))
        return most if most <= share else min(most, max(share, self.grain.least(key)))

    def _take(self, wanted: TagFilter, want: int, seconds: float, now: float) -> list[Item]:
        """Take what somebody gets who asks for so many tasks and so much work (0.0: any)."""
        share = self._share(want)
        if want > 1 and seconds > 0.0:
            portion = partial(self._portion, want, seconds, now, share)
            return self.waiting.take(wanted, want, most=portion)
        return self.waiting.take(wanted, share)

    def find(self, task_id: int) -> Item | None:
        """Return a task, or the block that it is in; None: it is not known (any more)."""
        return self.tasks.get(task_id) or self.blocks.find(task_id)

    def holder_of(self, task_id: int) -> Member | None:
        """Return which member has a task; None: none has it, or it is not known (any more)."""
        item = self.find(task_id)
        return None if item is None else item.holder

    def _lease(self, member: Member, items: list[Item], now: float) -> list[Lease]:
        leases = []
        held = member.leases
        member.idle_since = None
        key = key_of(items[0])
        tasks = items[0].size if len(items) == 1 else sum([item.size for item in items])
        self.grain.under_way.handed_out(member.id, key, tasks, now)
        if self.grain.is_brisk(key):
            self._back[member.id] = now + BACK
        for task in items:
            task.state = LEASED
            task.attempt += 1
            task.holder = member
            if isinstance(task, Block):
                held[task.last] = task
                leases.append(Lease(task.id, task.attempt, task.tag, task.payloads))
                continue
            held[task.id] = task
            terms = None
            if task.options is not None:
                terms = terms_of(task.options)
                if task.options.timeout is not None:
                    self.alarmed = self.overdue.watch(task, now, begun=False) or self.alarmed
                if task.options.pure:
                    self.backups.handed_out(task, now)
                    self.alarmed = self.alarmed or bool(self.waiting.claims)
            leases.append(Lease(task.id, task.attempt, task.tag, task.payload, terms))
        return leases

    def _requeue(self, held: Sequence[Item], why: str, now: float, effects: Effects) -> Effects:
        for task in held:
            task.state = WAITING
            task.holder = None
            task.note(now, why)
            if isinstance(task, Task) and task.options is not None:
                self.backups.put_down(task)
        if held:
            self.waiting.put_back(held)
            effects.add(self._match_tasks(now))
        return effects

    def _apart(self, block: Block, task_id: int) -> Task:
        """Let a task be one of its own, because something has happened to it alone.

        One that waited is out of its queue then; one in somebody's hands stays there.
        """
        if block.state is WAITING:
            self.waiting.withdraw()
            task = block.withdraw(task_id)
            task.state = LEASED
            return task
        piece = self._split(block, task_id, 1)
        assert isinstance(piece, Task)  # noqa: S101  for the type checker
        return piece

    def _split(self, block: Block, first: int, number: int) -> Item:
        """Let some tasks of a block in somebody's hands be an item of its own, in its place."""
        at, size = first - block.id, len(block.payloads)
        if number == size and number > 1:
            return block
        ends = [end for end in (at, at + number, size) if end]
        begins = [0, *ends]
        parts = [block.part(a, b - a) for a, b in zip(begins, ends, strict=False) if a < b]
        self._replace(block, parts)
        return parts[1 if at else 0]

    def _replace(self, block: Block, parts: list[Item]) -> None:
        """Put items in the place of a block in somebody's hands."""
        assert block.holder is not None  # noqa: S101  for the type checker
        leases = block.holder.leases
        held = list(leases.values())
        at = held.index(block)
        held[at : at + 1] = parts
        leases.clear()
        leases.update((item.last, item) for item in held)
        block.end()

    def _take_for(self, now: float, claim: Claim) -> list[Item]:
        return self._take(claim.filter, claim.want, claim.seconds, now)

    def _keep(self, tag: str, now: float) -> bool:
        """Tell whether what waits is better kept for somebody who will be back at once.

        Then nobody is woken for it, where each of a hundred idle workers would get a tiny task.
        """
        back = next(reversed(self._back.values()), 0.0)
        if back <= now or not self.grain.is_brisk(tag, self.waiting.count):
            return False
        if self.kept is None:
            self.kept, self.kept_tag = now + KEPT, tag
            self.alarmed = True
        return True

    def _match_tasks(self, now: float) -> Effects:
        effects = Effects()
        if not self.terminated and not self.held_back:
            for claim, tasks in self.waiting.match(partial(self._take_for, now)):
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
