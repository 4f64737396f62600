"""Building blocks for other set-ups: a thread-safe task queue, and a watchdog.

The task manager itself does not use them: its queues and its watch over processes are in
`masterworker.core`. They are here because their names are public.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

from masterworker.core.member import MISSED_HEARTBEATS
from Scientific.DistributedComputing.failures import TaskManagerTermination

if TYPE_CHECKING:
    from collections.abc import Callable


class Task:
    """A task: its tag, its parameters, its id."""

    def __init__(self, tag: str, parameters: Any, task_id: str) -> None:
        self.tag = tag
        self.parameters = parameters
        self.id = task_id


class TaskQueue:
    """Tasks in order, to be taken by tag or whatever comes first. Thread-safe; O(tags)."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._tasks: dict[str, deque[tuple[int, Task]]] = {}
        self._by_id: dict[str, Task] = {}
        self._back = self._front = 0
        self._terminated = False

    def __len__(self) -> int:
        return len(self._by_id)

    def addTask(self, task: Task, in_front: bool = False) -> None:
        """Queue a task: behind all others, or before them."""
        with self._changed:
            lane = self._tasks.setdefault(task.tag, deque())
            self._by_id[task.id] = task
            if in_front:
                self._front -= 1
                lane.appendleft((self._front, task))
            else:
                self._back += 1
                lane.append((self._back, task))
            self._changed.notify_all()

    def firstTask(self) -> Task:
        """Wait for a task, and take the first one."""
        return self._take(
            lambda: min(self._tasks, key=lambda t: self._tasks[t][0][0], default=None)
        )

    def firstTaskWithTag(self, tag: str) -> Task:
        """Wait for a task of a tag, and take the first one."""
        return self._take(lambda: tag if tag in self._tasks else None)

    def taskWithId(self, task_id: str) -> Task:
        """Take the task of this id.

        Raises:
            KeyError: It is not in the queue.
        """
        with self._changed:
            task = self._by_id.pop(task_id)
            lane = self._tasks[task.tag]
            self._keep(task.tag, deque(entry for entry in lane if entry[1] is not task))
            return task

    def taskCount(self) -> dict[str, int]:
        """Count the tasks by tag."""
        with self._changed:
            return {tag: len(lane) for tag, lane in self._tasks.items()}

    def terminateWaitingThreads(self) -> None:
        """Let all that wait raise `TaskManagerTermination`."""
        with self._changed:
            self._terminated = True
            self._changed.notify_all()

    def _take(self, choose: Callable[[], str | None]) -> Task:
        with self._changed:
            self._changed.wait_for(lambda: self._terminated or choose() is not None)
            tag = choose()
            if tag is None or self._terminated:
                raise TaskManagerTermination("the queue has been terminated")
            _, task = self._tasks[tag].popleft()
            self._keep(tag, self._tasks[tag])
            del self._by_id[task.id]
            return task

    def _keep(self, tag: str, lane: deque[tuple[int, Task]]) -> None:
        if lane:
            self._tasks[tag] = lane
        else:
            del self._tasks[tag]


class Watchdog:
    """Notices processes that have not pinged for four periods. Thread-safe.

    Args:
        on_lost: Called with the id of each of them, from the watchdog's thread.
    """

    def __init__(self, on_lost: Callable[[Any], None]) -> None:
        self._on_lost = on_lost
        self._changed = threading.Condition()
        self._deadlines: OrderedDict[Any, tuple[float, float]] = OrderedDict()
        self._stopped = False
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def registerProcess(self, process_id: Any, watchdog_period: float) -> None:
        """Watch a process that pings at this interval, in seconds."""
        with self._changed:
            self._deadlines[process_id] = self._entry(watchdog_period)
            self._changed.notify()

    def unregisterProcess(self, process_id: Any) -> None:
        """Stop watching a process. No error if it is not watched."""
        with self._changed:
            self._deadlines.pop(process_id, None)

    def ping(self, process_id: Any) -> bool:
        """Say that a process is alive. False: it is not watched (any more)."""
        with self._changed:
            if process_id not in self._deadlines:
                return False
            self._deadlines[process_id] = self._entry(self._deadlines[process_id][1])
            return True

    def terminate(self) -> None:
        """Stop watching."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    @staticmethod
    def _entry(period: float) -> tuple[float, float]:
        return time.monotonic() + MISSED_HEARTBEATS * period, period

    def _watch(self) -> None:
        while not self._stopped:
            with self._changed:
                first = min((deadline for deadline, _ in self._deadlines.values()), default=None)
                self._changed.wait(None if first is None else max(0.0, first - time.monotonic()))
                now = time.monotonic()
                lost = [pid for pid, (end, _) in self._deadlines.items() if end <= now]
                for process_id in lost:
                    del self._deadlines[process_id]
            for process_id in lost:
                self._on_lost(process_id)
