"""Further attempts after a failure, and the tasks that pause before one."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

import msgspec

from masterworker.core.task import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.core.outbox import Outbox
    from masterworker.core.task import Task

PAUSED = State.PAUSED

#: The longest pause before another attempt (seconds).
LONGEST_PAUSE = 3600.0
#: After this many doublings any pause worth the name is longer than that.
MOST_DOUBLINGS = 64


class Retry(msgspec.Struct, frozen=True):
    """The decision that a task is tried again."""

    #: In how many seconds.
    pause: float
    #: For the task's story.
    message: str


class Retries:
    """Counts failures, and knows until when tasks pause.

    Args:
        tasks: The tasks that are on their own, by id: only such can pause.
        out: Is alarmed when a pause begins.
    """

    def __init__(self, tasks: dict[int, Task], out: Outbox) -> None:
        self._tasks = tasks
        self._out = out
        #: How many further attempts a task has had; only for those that failed.
        self._retried: dict[int, int] = {}
        #: Until when a task is paused, by task id, and the same in the order of time. An entry of
        #: the latter that the former does not confirm is dead.
        self._paused_until: dict[int, float] = {}
        self._pauses: list[tuple[float, int]] = []

    def decide(self, task: Task) -> Retry | None:
        """A task has failed in a way that may pass. None: it has no attempts left."""
        options = task.options
        tries = self._retried.get(task.id, 0)
        if options is None or tries >= options.retries:
            return None
        self._retried[task.id] = tries + 1
        pause = min(options.delay * 2.0 ** min(tries, MOST_DOUBLINGS), LONGEST_PAUSE)
        message = f"failed, attempt {task.attempt}; {options.retries - tries - 1} more after this"
        return Retry(pause, f"{message}; tried again in {pause:g} s" if pause > 0 else message)

    def settled(self, task: Task) -> int:
        """A task has its outcome. Returns after how many attempts, those lost not counted."""
        return 1 + self._retried.pop(task.id, 0) if self._retried else 1

    def pause(self, task: Task, until: float) -> None:
        """Keep a task, which no worker has in its hands, from being handed out before some time."""
        task.state = PAUSED
        self._paused_until[task.id] = until
        heappush(self._pauses, (until, task.id))
        self._out.alarmed = True

    def due(self, now: float) -> list[Task]:
        """Return the tasks whose pause is over, in the order of their times."""
        due = []
        while self._pauses and self._pauses[0][0] <= now:
            until, task_id = heappop(self._pauses)
            if self._paused_until.get(task_id) != until:
                continue
            del self._paused_until[task_id]
            task = self._tasks.get(task_id)
            if task is not None and task.state is PAUSED:
                due.append(task)
        return due

    def paused(self) -> list[Task]:
        """Return the tasks that pause."""
        found = map(self._tasks.get, self._paused_until)
        return [task for task in found if task is not None and task.state is PAUSED]

    def next_deadline(self) -> float | None:
        """Say when the next pause may be over; None: nothing pauses."""
        return self._pauses[0][0] if self._pauses else None

    def check(self) -> Iterator[tuple[str, int]]:
        """Yield each invariant that does not hold, and the task for which it does not."""
        paused = {task.id for task in self.paused()}
        for task in self._tasks.values():
            if (task.state is PAUSED) != (task.id in paused):
                yield "pauses, and nothing ends that", task.id
        if not set(self._paused_until.items()) <= {(i, until) for until, i in self._pauses}:
            yield "a pause that never ends", 0
        for task_id in self._retried.keys() - self._tasks.keys():
            yield "failures of a settled task are counted", task_id
