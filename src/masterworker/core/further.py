"""Further tasks, which a task asks for while it is executed: their outcomes are kept for it.

Outcomes of tasks that are asked for by tag are in one pool. Were those of further tasks in it as
well, two tasks that wait for outcomes of one tag could each get what the other one waits for; and
if one of them is inside the other, in the same worker, neither would ever go on. So the outcomes of
further tasks have lanes of their own until the task that has asked for them, their *parent*, is
done; after that they are in the pool.

With lanes of their own no tasks wait for each other in a circle: one that waits has begun before
what it waits for, and what is executed inside it has begun after it.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from masterworker.core.filters import CALL_MARK
from masterworker.core.task import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from masterworker.core.blocks import Item
    from masterworker.core.outbox import Outbox
    from masterworker.core.task import Task
    from masterworker.core.task_table import TaskTable

#: How long an outcome is kept for a parent that has not asked for any (seconds). A handler that
#: finds tasks for others, and has no end, must not keep their outcomes for ever.
KEPT = 10.0


class Parent(msgspec.Struct, eq=False):
    """A task that has asked for further ones, as one process executes it."""

    task_id: int
    #: The name of the process.
    process: str
    #: Part of the names of its lanes.
    number: int
    #: Whether outcomes are kept for it.
    keeps: bool = True
    #: It has asked for outcomes: from then on no other gets them.
    collects: bool = False
    #: All tasks that it has asked for.
    children: set[int] = msgspec.field(default_factory=set)
    #: How many of each tag have an outcome that is not delivered, or will have one.
    open: Counter[str] = msgspec.field(default_factory=Counter)

    def lane(self, tag: str) -> str:
        """Name the lane of its outcomes of a tag: as a call's, so it belongs to no "any tag"."""
        return f"{CALL_MARK}\0{self.number} {tag}"


class FurtherTasks:
    """Which outcomes are kept for which task.

    Args:
        table: The tasks.
        out: Learns that something is due.
    """

    def __init__(self, table: TaskTable, out: Outbox) -> None:
        self._table = table
        self._out = out
        self._numbers = count(1)
        #: By task, and by process.
        self.parents: dict[int, dict[str, Parent]] = {}
        #: By further task.
        self._parent_of: dict[int, Parent] = {}
        #: Those for which there is an outcome, and that have not collected any; and since when, as
        #: far as is known.
        self._idle: dict[Parent, float | None] = {}
        #: Lanes whose outcomes belong to the pool from now on, and their tags.
        self.freed: list[tuple[str, str]] = []

    def __bool__(self) -> bool:
        return bool(self.parents)

    # -- what happens -----------------------------------------------------------------------

    def asked(self, task_id: int, process: str, tag: str, children: range) -> None:
        """A task asks for further ones; calls have tags of their own, so they are never kept.

        Args:
            task_id: The task that asks. One that is done keeps nothing.
            process: The name of the process that executes it.
            tag: Of the further tasks.
            children: Their ids.
        """
        item = self._table.find(task_id)
        if item is None or item.state is State.SETTLED or tag.startswith(CALL_MARK):
            return
        here = self.parents.setdefault(task_id, {})
        parent = here.get(process)
        if parent is None:
            parent = here[process] = Parent(task_id, process, next(self._numbers))
        if parent.keeps:
            parent.open[tag] += len(children)
            parent.children.update(children)
            self._parent_of.update(dict.fromkeys(children, parent))

    def arrived(self, tasks: Iterable[Task]) -> None:
        """These have their outcomes."""
        for task in tasks:
            parent = self._parent_of.get(task.id)
            if parent is not None and not parent.collects and parent not in self._idle:
                self._idle[parent] = None
                self._out.alarmed = True

    def delivered(self, task_id: int, tag: str, number: int = 1) -> None:
        """The outcome of a task has left; -1: it has come back."""
        parent = self._parent_of.get(task_id)
        if parent is not None:
            parent.open[tag] -= number

    def ended(self, first: int, last: int) -> None:
        """Tasks are done, or an attempt has failed: what is left is for all."""
        known = self.parents
        if first != last:  # a block, in which most have no further tasks
            for task_id in [i for i in known if first <= i <= last]:
                self.ended(task_id, task_id)
            return
        for parent in known.pop(first, {}).values():
            self._free(parent)

    def look(self, now: float) -> None:
        """Time has passed: what was kept for a task that does not collect is for all."""
        for parent, since in list(self._idle.items()):
            if since is None:
                self._idle[parent] = now
            elif now >= since + KEPT:
                self._free(parent)

    def next_deadline(self) -> float | None:
        """When `look` is due next; None: not before something happens."""
        return min((0.0 if s is None else s + KEPT for s in self._idle.values()), default=None)

    # -- lanes ------------------------------------------------------------------------------

    def lanes(self, task_id: int, process: str, tag: str | None) -> frozenset[str]:
        """A task asks for an outcome. Returns the lanes that are for it; none: the pool is."""
        parent = self.parents.get(task_id, {}).get(process)
        if parent is None or not parent.keeps:
            return frozenset()
        parent.collects = True
        self._idle.pop(parent, None)
        tags = [tag] if tag is not None else [*parent.open]
        return frozenset(parent.lane(each) for each in tags if parent.open[each])

    def lane_of(self, item: Item) -> str:
        """Name the lane that the outcome of a task belongs to."""
        parent = self._parent_of.get(item.id)
        return item.tag if parent is None else parent.lane(item.tag)

    def check(self) -> Iterator[tuple[str, int]]:
        """Yield each invariant that does not hold, and the task for which it does not."""
        for task_id, here in self.parents.items():
            if self._table.find(task_id) is None:
                yield "outcomes are kept for a task that is done", task_id
            for parent in here.values():
                there = Counter(
                    task.tag for i in parent.children if (task := self._table.tasks.get(i))
                )
                if there != +parent.open:
                    yield f"further tasks {there}, counted as {parent.open}", task_id

    def _free(self, parent: Parent) -> None:
        parent.keeps = False
        self._idle.pop(parent, None)
        self.freed += [(parent.lane(tag), tag) for tag in parent.open]
        for task_id in parent.children:
            del self._parent_of[task_id]
        parent.children, parent.open = set(), Counter()
