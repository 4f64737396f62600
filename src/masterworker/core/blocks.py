"""Blocks: tasks in a row that have gone the same way so far, as one object.

Most jobs ask for many small tasks with one tag and nothing special, and as long as
nothing special happens to one of them, what is to be known of them is the same. So a block stands
for all of them: while they wait, and while they are together in one worker's hands. What happens to
one task alone takes it out of its block, and makes it a `Task` of its own for the rest of its life.

A block lies within one *page* of ids, so it is found by the id of any of its tasks, and its size
has a bound.
"""

from __future__ import annotations

from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, ClassVar

from masterworker.core.chunks import MOST, Chunk, no_single, weight
from masterworker.core.task import State, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from masterworker.core.chunks import Single
    from masterworker.core.task import Payload, Payloads

#: Number of last bits in which the ids of one page differ.
PAGE_BITS = 10
_PAGE = 1 << PAGE_BITS
assert MOST == _PAGE  # noqa: S101  so that a chunk can fill a page


class Block:
    """Tasks with consecutive ids that are direct, have no options, and share all else.

    Its payloads are never changed, only replaced: leases on their way refer to them.

    Args:
        first: The first id.
        tag: Of all tasks.
        payloads: Their parameters, one after the other.
        found: Where it is to be found.
    """

    __slots__ = (
        "_found",
        "attempt",
        "gone",
        "holder",
        "id",
        "notes",
        "order",
        "payloads",
        "state",
        "tag",
    )

    #: What it has in common with every `Task` that is nothing special.
    suspect: ClassVar[bool] = False
    direct: ClassVar[bool] = True
    priority: ClassVar[int] = 0
    options: ClassVar[None] = None
    losses: ClassVar[None] = None

    #: Position in the queues, as of a `Task`.
    order: int

    def __init__(self, first: int, tag: str, payloads: Payloads, found: Blocks) -> None:
        #: Of the first task that is still in it.
        self.id = first
        self.tag = tag
        self.payloads: Payloads = payloads
        #: Tasks that have been taken out of the middle while it waits.
        self.gone: set[int] = set()
        self.state = State.WAITING
        self.attempt = 0
        self.holder: int | None = None
        self.notes: list[tuple[float, str]] | None = None
        self._found = found
        found.add(self)

    def __repr__(self) -> str:
        held = "" if self.holder is None else f", in the hands of {self.holder}"
        shown = f"{self.state.value}, attempt {self.attempt}{held}"
        return f"<Block of {self.size} tasks from {self.id} on, {self.tag!r}, {shown}>"

    @property
    def size(self) -> int:
        """How many tasks are in it."""
        return len(self.payloads) - len(self.gone)

    @property
    def last(self) -> int:
        """The last id; as long as a worker has a block in hand, no other item has it."""
        return self.id + len(self.payloads) - 1

    @property
    def weight(self) -> int:
        """How many bytes have to be carried for all of it."""
        return weight(self.payloads)

    def ids(self) -> list[int]:
        """Return the ids of its tasks, in order."""
        return [i for i in range(self.id, self.last + 1) if i not in self.gone]

    def note(self, now: float, text: str) -> None:
        """Add a line to the story of all its tasks."""
        self.notes = [*(self.notes or ()), (now, text)]

    # -- taking apart -----------------------------------------------------------------------

    def cut(self, most: int, budget: int) -> Item:
        """Take the first tasks off: up to `most`, and none after `budget` bytes, but always one.

        Returns:
            The block itself, if that is all of it; else an item of its own. What is left may be
            nothing: then this block has ended.
        """
        if self.gone:
            most = min(most, self._skip())
        payloads = self.payloads
        number = min(most, len(payloads))
        # Of a chunk all bytes have to be carried, for however many of its tasks.
        if number > 1 and isinstance(payloads, list) and weight(payloads[:number]) > budget:
            number = 1 + sum(so_far < budget for so_far in accumulate(map(len, payloads[:number])))
            number = min(number, most, len(payloads))
        if number == len(payloads) and number > 1:
            return self
        piece = self.part(0, number)
        self.drop(number)
        return piece

    def drop(self, number: int) -> None:
        """The first tasks are not in it any more."""
        if len(self.payloads) - number > len(self.gone):
            self.id += number
            self.payloads = self.payloads[number:]
        else:
            self.end()

    def end(self) -> None:
        """All its tasks are settled, or in other items."""
        self._found.remove(self)
        self.state = State.DELIVERED
        self.holder = None
        self.payloads = []
        self.gone.clear()

    def part(self, at: int, number: int) -> Item:
        """Make an item of some of its tasks, which this block goes on to hold."""
        first = self.id + at
        item: Item
        if number == 1:
            payload = self._found.payload(self.payloads, at)
            item = Task(first, self.tag, payload, direct=True, state=self.state)
            self._found.tasks[first] = item
        else:
            item = Block(first, self.tag, self.payloads[at : at + number], self._found)
            item.state = self.state
        item.attempt, item.holder = self.attempt, self.holder
        item.notes = None if self.notes is None else self.notes.copy()
        return item

    def withdraw(self, task_id: int) -> Task:
        """Take one task out while the block waits, which keeps its place in the queue."""
        task = self.part(task_id - self.id, 1)
        assert isinstance(task, Task)  # noqa: S101  for the type checker
        self.gone.add(task_id)
        if not self.size:
            self.end()
        return task

    def _skip(self) -> int:
        """Drop what is gone from its beginning. Returns how many tasks follow in a row."""
        number = 0
        while self.id + number in self.gone:
            self.gone.remove(self.id + number)
            number += 1
        if number:
            self.drop(number)
        return min(self.gone) - self.id if self.gone else len(self.payloads)


#: What can be in a queue or in a worker's hands.
Item = Task | Block


class Blocks:
    """All blocks of a scheduler.

    Args:
        tasks: The tasks that are on their own; those that leave blocks are added.
        single: Makes the payload of a task that leaves a chunk.
    """

    def __init__(self, tasks: dict[int, Task], single: Single = no_single) -> None:
        self.tasks = tasks
        self._single = single
        self._pages: dict[int, list[Block]] = {}

    def __bool__(self) -> bool:
        return bool(self._pages)

    def __iter__(self) -> Iterator[Block]:
        return (block for page in self._pages.values() for block in page)

    def make(self, first: int, tag: str, payloads: Sequence[Payload] | Chunk) -> list[Item]:
        """Make blocks of tasks that have been asked for at once. Large ones go alone."""
        items: list[Item] = []
        at, end = 0, len(payloads)
        large: Sequence[Payload] = ()  # looked at one by one, if any is
        if not isinstance(payloads, Chunk) and not {bytes}.issuperset(map(type, payloads)):
            large = payloads
        while at < end:
            number = min(end - at, _PAGE - ((first + at) & (_PAGE - 1)))
            if large:
                places = range(at, at + number)
                small = takewhile(lambda i: type(large[i]) is bytes, places)
                number = max(1, sum(1 for _ in small))
            if number == 1:
                payload = self.payload(payloads, at)
                task = self.tasks[first + at] = Task(first + at, tag, payload, direct=True)
                items.append(task)
            else:
                part = payloads[at : at + number]
                items.append(Block(first + at, tag, part, self))
            at += number
        return items

    def payload(self, payloads: Sequence[Payload] | Chunk, at: int) -> Payload:
        """Return the payload of one task of several."""
        return self._single(payloads, at) if isinstance(payloads, Chunk) else payloads[at]

    def one_by_one(self, payloads: Sequence[Payload] | Chunk) -> Sequence[Payload]:
        """Return the payload of each of several tasks."""
        if isinstance(payloads, Chunk):
            return [self._single(payloads, at) for at in range(len(payloads))]
        return payloads

    def find(self, task_id: int) -> Block | None:
        """Return the block that a task is in; None: it is in none."""
        for block in self._pages.get(task_id >> PAGE_BITS, ()):
            if block.id <= task_id <= block.last and task_id not in block.gone:
                return block
        return None

    def add(self, block: Block) -> None:
        """A block begins."""
        self._pages.setdefault(block.id >> PAGE_BITS, []).append(block)

    def remove(self, block: Block) -> None:
        """A block has ended."""
        page = self._pages[block.id >> PAGE_BITS]
        page.remove(block)
        if not page:
            del self._pages[block.id >> PAGE_BITS]
