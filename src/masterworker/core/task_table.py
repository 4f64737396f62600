"""All tasks that are not delivered, by id: on their own, or in a block with others."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from masterworker.core.asked import Asked
from masterworker.core.blocks import PAGE_BITS, Block, Blocks
from masterworker.core.chunks import no_single
from masterworker.core.task import State, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from masterworker.core.blocks import Item
    from masterworker.core.chunks import Single
    from masterworker.core.member import Member
    from masterworker.core.task_queues import TaskQueues

WAITING, LEASED, SETTLED, DELIVERED = State.WAITING, State.LEASED, State.SETTLED, State.DELIVERED


class TaskTable:
    """Finds tasks, gives them ids, and takes single ones out of blocks.

    Args:
        waiting: The queues of those that wait; one that is taken out is withdrawn from them.
        members: The processes in whose hands they are, by id.
        single: Makes the payload of a task that leaves a chunk.
    """

    def __init__(
        self, waiting: TaskQueues, members: Mapping[int, Member], single: Single = no_single
    ) -> None:
        self._waiting = waiting
        self._members = members
        #: Those that are on their own; all others are in blocks.
        self.tasks: dict[int, Task] = {}
        self.blocks = Blocks(self.tasks, single)
        #: The id that the next task will get.
        self.next_id = 1
        #: Of which tags tasks were asked for.
        self.asked = Asked()
        #: How many tasks are to be collected and have not been yet, by tag.
        self.open_tags: dict[str, int] = {}

    def find(self, task_id: int) -> Item | None:
        """Return a task, or the block that it is in; None: it is not known (any more)."""
        return self.tasks.get(task_id) or self.blocks.find(task_id)

    def holder_of(self, task_id: int) -> int | None:
        """Return which member has a task; None: none has it, or it is not known (any more)."""
        item = self.find(task_id)
        return None if item is None else item.holder

    def number(self, tag: str, first: int, number: int) -> None:
        """Give ids to tasks of one tag, which count up from the first."""
        if tag != self.asked.latest:
            self.asked.note(first, tag)
        self.next_id = first + number

    def add(self, tag: str, tasks: Sequence[Task]) -> None:
        """Take in tasks of one request that are on their own."""
        for task in tasks:
            self.tasks[task.id] = task
        if not tasks[0].direct:
            self.open_tags[tag] = self.open_tags.get(tag, 0) + len(tasks)

    def close(self, tag: str) -> None:
        """Count one task less that is to be collected."""
        left = self.open_tags[tag] - 1
        if left:
            self.open_tags[tag] = left
        else:
            del self.open_tags[tag]

    # -- single tasks -----------------------------------------------------------------------

    def single_out(self, item: Item, task_id: int) -> Task:
        """Let a task be one of its own, because something has happened to it alone.

        One that waited is out of its queue then; one in a worker's hands stays there.
        """
        if isinstance(item, Block):
            return self._out_of_block(item, task_id)
        return self._withdrawn(item) if item.state is WAITING else item

    def on_its_own(self, task_id: int) -> Task | None:
        """Return a task, which leaves its block if it is in one, and waits on if it did."""
        item = self.find(task_id)
        if not isinstance(item, Block):
            return item
        waited = item.state is WAITING
        task = self._out_of_block(item, task_id)
        if waited:
            task.state = WAITING
            self._waiting.put_back([task])
        return task

    def split(self, block: Block, first: int, number: int) -> Item:
        """Let some tasks of a block in a worker's hands be an item of its own, in its place."""
        at, size = first - block.id, len(block.payloads)
        if number == size and number > 1:
            return block
        ends = [end for end in (at, at + number, size) if end]
        begins = [0, *ends]
        parts = [block.part(a, b - a) for a, b in zip(begins, ends, strict=False) if a < b]
        self._replace(block, parts)
        return parts[1 if at else 0]

    def dissolve(self, block: Block) -> None:
        """Let each task of a block in a worker's hands be one of its own."""
        self._replace(block, [block.part(at, 1) for at in range(len(block.payloads))])

    def take_from(self, member: Member, task_ids: Iterable[int]) -> list[Item]:
        """Take tasks out of a worker's hands; neighbours in a block stay together."""
        held: list[Item] = []
        ids = deque(task_ids)
        while ids:
            task_id = ids.popleft()
            item = self.find(task_id)
            if item is None or item.holder != member.id:
                continue
            if isinstance(item, Block):
                number = 1
                while ids and ids[0] == task_id + number <= item.last:
                    ids.popleft()
                    number += 1
                item = self.split(item, task_id, number)
            if member.leases.pop(item.last, None) is item:
                item.holder = None
                held.append(item)
        return held

    def _out_of_block(self, block: Block, task_id: int) -> Task:
        if block.state is WAITING:
            self._waiting.withdraw(block)
            task = block.withdraw(task_id)
            task.state = LEASED
            return task
        piece = self.split(block, task_id, 1)
        assert isinstance(piece, Task)  # noqa: S101  for the type checker
        return piece

    def _replace(self, block: Block, parts: list[Item]) -> None:
        """Put items in the place of a block in a worker's hands."""
        assert block.holder is not None  # noqa: S101  for the type checker
        leases = self._members[block.holder].leases
        held = list(leases.values())
        at = held.index(block)
        held[at : at + 1] = parts
        leases.clear()
        leases.update((item.last, item) for item in held)
        block.end()

    def _withdrawn(self, task: Task) -> Task:
        """Take a waiting task out of its queue. Returns the object that it goes on as.

        The old one stays where it is as a withdrawn item, which must keep its place.
        """
        self._waiting.withdraw(task)
        fresh = Task(task.id, task.tag, task.payload, task.direct, LEASED, task.options)
        fresh.attempt, fresh.notes = task.attempt, task.notes
        fresh.losses, fresh.suspect = task.losses, task.suspect
        self.tasks[task.id] = fresh
        task.state, task.payload = DELIVERED, b""
        return fresh

    # -- looking on -------------------------------------------------------------------------

    def check(self) -> Iterator[tuple[str, int]]:
        """Yield each invariant that does not hold, and the task for which it does not."""
        for task in self.tasks.values():
            held = task.state in {LEASED, State.STARTED}
            if held != (task.holder is not None):
                yield "holder", task.id
            if task.state is DELIVERED:
                yield "delivered tasks are forgotten", task.id
            if task.holder is not None and not self._is_held(task):
                yield "lease", task.id
            if task.holder is not None and task.attempt < 1:
                yield "attempt", task.id
        known = set(self.tasks)
        for block in self.blocks:
            yield from self._check_block(block, known)
        number = sum(not task.direct for task in self.tasks.values())
        if sum(self.open_tags.values()) != number:
            yield f"{number} tasks are to be collected, counted as {self.open_tags}", 0

    def _check_block(self, block: Block, known: set[int]) -> Iterator[tuple[str, int]]:
        ids = block.ids()
        if not ids:
            yield "empty block", block.id
        if not known.isdisjoint(ids):
            yield "in a block and elsewhere", block.id
        known.update(ids)
        if block.id >> PAGE_BITS != block.last >> PAGE_BITS:
            yield "page", block.id
        if not all(self.find(i) is block for i in ids):
            yield "not found", block.id
        if block.state is WAITING:
            return
        if block.state is not LEASED or block.gone:
            yield "state of block", block.id
        if block.holder is None or block.attempt < 1:
            yield "holder of block", block.id
        elif not self._is_held(block):
            yield "lease of block", block.id

    def _is_held(self, item: Item) -> bool:
        """Return whether the process that holds an item knows of it."""
        holder = None if item.holder is None else self._members.get(item.holder)
        return holder is not None and holder.leases.get(item.last) is item
