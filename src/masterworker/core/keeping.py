"""Outcomes that are settled and not kept yet: nothing tells of them before they are.

Where a job has a journal, an outcome is written there first. In between the task has its outcome,
so no further one counts and it is not handed out any more; but no caller, count or display sees it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from masterworker.core.task import Finished, Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.core.blocks import Item
    from masterworker.core.outbox import Outbox
    from masterworker.core.task import Payload, Payloads


class Keeping:
    """The outcomes that wait to be kept, in the order in which they came.

    Args:
        out: Is given them as effects.
    """

    def __init__(self, out: Outbox) -> None:
        self._out = out
        #: A single task, and what its parameters were; results of tasks in a row; or None, for
        #: what no caller has asked for yet.
        self._entries: deque[tuple[Task, Payload] | Finished | None] = deque()
        self._ids: set[int] = set()
        #: How many tasks they are of.
        self.count = 0
        #: How many entries there have been, and how many of them are kept.
        self.mark = self.kept = 0

    @property
    def marks(self) -> tuple[int, int]:
        """How many entries there have been, and how many of them are kept."""
        return self.mark, self.kept

    def __contains__(self, item: Item) -> bool:
        return item.id in self._ids

    def add(self, task: Task, parameters: Payload) -> None:
        """A task has its outcome."""
        self._entries.append((task, parameters))
        self.mark += 1
        self._ids.add(task.id)
        self.count += 1
        done = Finished(task.id, task.tag, task.kind, [task.payload], task.worker, task.tries)
        self._out.effects.unkept.append(done)
        self._out.effects.parameters.append([parameters])

    def add_several(self, done: Finished, parameters: Payloads) -> None:
        """Tasks in a row have their results, and are not known any more."""
        self._entries.append(done)
        self.mark += 1
        self.count += len(done.payloads)
        self._out.effects.unkept.append(done)
        self._out.effects.parameters.append(parameters)

    def add_unasked(self, done: Finished) -> None:
        """A task has its outcome that no caller has asked for yet, in this run of the master."""
        self._entries.append(None)
        self.mark += 1
        self._out.effects.unkept.append(done)
        self._out.effects.parameters.append([b""])

    def take(self, number: int) -> Iterator[tuple[Task, Payload] | Finished]:
        """The first entries are kept: yield them, and forget them."""
        for _ in range(number):
            entry = self._entries.popleft()
            self.kept += 1
            if entry is None:
                continue
            if isinstance(entry, Finished):
                self.count -= len(entry.payloads)
            else:
                self.count -= 1
                self._ids.remove(entry[0].id)
            yield entry
