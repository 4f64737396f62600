"""Tasks with a time limit whose worker does not heed it. Times are seconds on the caller's clock.

A worker breaks its task off itself, and its supervisor ends it where that does not help. Neither
need be so for a worker with a ticket, or one without a supervisor: so for these the manager's own
clock has the last word, when both would have done it long ago.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from masterworker.core.liveness import STOOD_STILL, TICK
from masterworker.core.task import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeGuard

    from masterworker.core.member import Member
    from masterworker.core.task import Task

#: Number of entries that are no reason to clear up.
FEW = 1000
#: The names of classes that mean time limits, as they stand in a pickle: with their lengths.
_MEAN_LIMITS = [
    bytes((0x8C, len(name))) + name
    for name in (b"TaskTimeout", b"TimeoutError", b"Exception", b"BaseException")
]
#: Time for a task to clean up when its time limit is over (seconds), as in `launch.process`.
GRACE = 2.0
#: Time within which a worker says what it executes (seconds). What it has promised itself does not
#: count: it could promise anything.
HEARTBEAT = 5.0


class _Watched(msgspec.Struct, frozen=True, order=True, gc=False):
    until: float
    task_id: int
    attempt: int
    #: It is known that its execution has begun; else it was only handed out.
    begun: bool


class Overdue:
    """Knows which tasks with a time limit are in the hands of workers, and since when.

    Args:
        members: The processes that are here, by id.
    """

    def __init__(self, members: Mapping[int, Member]) -> None:
        self._members = members
        self._watched: list[_Watched] = []
        self._looked = 0.0
        self._clear_up_at = FEW

    def __bool__(self) -> bool:
        return bool(self._watched)

    def watch(self, task: Task, now: float, *, begun: bool) -> bool:
        """A task was handed out, or has begun. True: nothing was watched before."""
        if task.options is None or task.options.timeout is None or self._is_safe(task):
            return False
        first = not self._watched
        if first:
            self._looked = now
        until = now + task.options.timeout + GRACE + HEARTBEAT
        heappush(self._watched, _Watched(until, task.id, task.attempt, begun))
        return first

    def look(self, now: float, find: Callable[[int], Task | None]) -> tuple[list[Task], list[Task]]:
        """See whose time is up.

        A task that waits for others is given the time that they take, which comes anew with each
        look. One that its worker has not begun, since another is before it, is taken from it.

        Args:
            now: The time.
            find: Finds a task.

        Returns:
            Tasks that have been executed for too long, and tasks that were not begun in time.
        """
        gap, self._looked = now - self._looked, now
        if gap > STOOD_STILL:  # this process itself did: what was said meanwhile is unread
            excused = max(0.0, gap - HEARTBEAT / 2)
            self._watched = [replace(each, until=each.until + excused) for each in self._watched]
            heapify(self._watched)
        if len(self._watched) > self._clear_up_at:
            self._clear_up(find)
        late: list[Task] = []
        stuck: list[Task] = []
        while self._watched and self._watched[0].until <= now:
            each = heappop(self._watched)
            task = find(each.task_id)
            if not _is_held(task, each) or task.holder is None:
                continue
            if task.state is State.STARTED and not each.begun:
                continue  # there is another entry, which counts from its begin
            held = list(self._members[task.holder].leases)
            if held[-1] != task.id:
                if each.begun or held[0] == task.id:
                    heappush(self._watched, replace(each, until=now + GRACE + HEARTBEAT))
                else:
                    stuck.append(task)
            elif each.begun or held[0] == task.id:
                late.append(task)
            else:
                stuck.append(task)
        return late, stuck

    def _clear_up(self, find: Callable[[int], Task | None]) -> None:
        """Forget those that are in no worker's hands any more."""
        self._watched = [each for each in self._watched if _is_held(find(each.task_id), each)]
        heapify(self._watched)
        self._clear_up_at = max(FEW, 2 * len(self._watched))

    def next_deadline(self) -> float | None:
        """Say when to look again; None: not before something is handed out."""
        if not self._watched:
            return None
        return min(self._watched[0].until, self._looked + TICK)

    def _is_safe(self, task: Task) -> bool:
        """Return whether its worker has a supervisor that can be relied upon."""
        holder = None if task.holder is None else self._members[task.holder]
        return holder is not None and holder.supervised and holder.is_trusted


def _is_held(task: Task | None, watched: _Watched) -> TypeGuard[Task]:
    return task is not None and task.attempt == watched.attempt and task.holder is not None


def may_try_again(retry_on: bytes) -> bool:
    """Return whether a task may be tried again after its time limit.

    Args:
        retry_on: The classes that were chosen, as a pickle, which is never opened here: it holds
            their names.
    """
    return not retry_on or any(name in retry_on for name in _MEAN_LIMITS)
