"""The part of the scheduler about tasks that pause, and about further attempts after a failure."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from masterworker.core.chunks import no_single
from masterworker.core.queues import Queues
from masterworker.core.task import State

if TYPE_CHECKING:
    from masterworker.core.chunks import Single
    from masterworker.core.effects import Effects
    from masterworker.core.task import Task

PAUSED = State.PAUSED

#: The longest pause before another attempt (seconds).
LONGEST_PAUSE = 3600.0
#: After so many doublings any pause worth the name is longer than that.
MOST_DOUBLINGS = 64


class Pausing(Queues):
    """The state of a job, and what is handed out later. See `Scheduler`, which adds the rest."""

    def __init__(self, single: Single = no_single) -> None:
        super().__init__(single)
        #: How often a task has failed and was tried again; only for those that did.
        self._retries: dict[int, int] = {}
        #: Until when a task is paused, by task id, and the same in the order of time. An entry of
        #: the latter that the former does not confirm is dead.
        self._paused_until: dict[int, float] = {}
        self._pauses: list[tuple[float, int]] = []

    def _try_again(self, task: Task, now: float, effects: Effects) -> bool:
        """A task has failed in a way that may pass. False: it has no attempts left."""
        options = task.options
        tries = self._retries.get(task.id, 0)
        if options is None or tries >= options.retries:
            return False
        self._retries[task.id] = tries + 1
        self.tally.retried += 1
        pause = min(options.delay * 2.0 ** min(tries, MOST_DOUBLINGS), LONGEST_PAUSE)
        told = f"failed, attempt {task.attempt}; {options.retries - tries - 1} more after this"
        if pause > 0:
            task.note(now, f"{told}; tried again in {pause:g} s")
            self._pause(task, now + pause)
            return True
        if task.holder is not None:
            del task.holder.leases[task.id]
        self._requeue([task], told, now, effects)
        return True

    def _pause(self, task: Task, until: float) -> None:
        """Do not hand out a task before some time."""
        if task.holder is not None:
            del task.holder.leases[task.id]
            task.holder = None
        self.backups.put_down(task)
        task.state = PAUSED
        self._paused_until[task.id] = until
        heappush(self._pauses, (until, task.id))
        self.alarmed = True

    def _resumed(self, task: Task, now: float, effects: Effects) -> bool:  # noqa: ARG002
        """A pause is over. False: the task does not go on."""
        return True

    def _resume(self, now: float, effects: Effects) -> None:
        """Queue what has paused for long enough, in the order of its time."""
        due = []
        while self._pauses and self._pauses[0][0] <= now:
            until, task_id = heappop(self._pauses)
            if self._paused_until.get(task_id) != until:
                continue
            del self._paused_until[task_id]
            task = self.tasks.get(task_id)
            if task is not None and task.state is PAUSED and self._resumed(task, now, effects):
                due.append(task)
        self._requeue(due, "tried again", now, effects)

    def paused(self) -> list[Task]:
        """Return the tasks that pause after a failure."""
        found = map(self.tasks.get, self._paused_until)
        return [task for task in found if task is not None and task.state is PAUSED]
