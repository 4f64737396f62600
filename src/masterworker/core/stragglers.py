"""The tail of a job: which tasks take long enough, beside their like, to be worth a copy.

When nothing waits and a worker is idle, a task that has been in a worker's hands for more than
twice the usual time is handed out once more, if its options say that it has no side effects. The
first outcome wins. (Backup tasks: Dean & Ghemawat, MapReduce, OSDI 2004, section 3.6.)
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from masterworker.core.task import Task

#: A task is an outlier that takes this many times the median of its tag, ...
OUTLIER = 2.0
#: ... but not before it has been in hand for this time (seconds), ...
SHORTEST = 0.1
#: ... and not before this many tasks of its tag have been done.
ENOUGH = 3
#: Number of latest tasks over which the median is taken.
REMEMBERED = 32
#: Most tags whose durations are kept.
KEPT_TAGS = 256
#: Time between looks while there may be outliers and idle workers (seconds).
LOOK = 0.1


class Stragglers:
    """The tasks in hand that may have copies, and how long their like took. Times in seconds."""

    def __init__(self) -> None:
        #: When each was handed out.
        self._since: dict[int, float] = {}
        #: The ids of the tasks that are watched.
        self.in_hand: Collection[int] = self._since.keys()
        self._durations: OrderedDict[str, deque[float]] = OrderedDict()
        #: Members that execute a task besides its holder, by task id.
        self._others: dict[int, list[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._since)

    def handed_out(self, task: Task, now: float) -> None:
        """A task has been handed out (once more)."""
        self._since[task.id] = now

    def copied(self, task: Task, before: int) -> None:
        """A task has got a second copy; the first is still in the hands of `before`."""
        self._others.setdefault(task.id, []).append(before)

    def put_down(self, task: Task) -> None:
        """A task has come back undone."""
        self._since.pop(task.id, None)

    def settled(self, task: Task, now: float) -> Iterable[int]:
        """A task is done. Returns which other members are executing it."""
        since = self._since.pop(task.id, None)
        if since is not None:
            durations = self._durations.get(task.tag)
            if durations is None:
                durations = self._durations[task.tag] = deque(maxlen=REMEMBERED)
                if len(self._durations) > KEPT_TAGS:
                    self._durations.popitem(last=False)
            durations.append(now - since)
        return self._others.pop(task.id, ())

    def outliers(self, tasks: dict[int, Task], now: float) -> list[Task]:
        """Return the tasks that deserve a copy and have none yet, the oldest first."""
        limits: dict[str, float] = {}
        found = []
        for task_id, since in self._since.items():
            task = tasks[task_id]
            limit = limits.get(task.tag)
            if limit is None:
                limit = limits[task.tag] = self._limit(task.tag)
            if now - since > limit and task_id not in self._others:
                found.append(task)
        return found

    def check(self, tasks: dict[int, Task]) -> Iterator[tuple[str, int]]:
        """Yield each invariant that does not hold, and the task for which it does not."""
        for task_id in self._since:
            task = tasks.get(task_id)
            if task is None or task.holder is None:
                yield "watched, and in no worker's hands", task_id

    def _limit(self, tag: str) -> float:
        durations = self._durations.get(tag, ())
        if len(durations) < ENOUGH:
            return float("inf")
        return max(SHORTEST, OUTLIER * _median(durations))


def _median(values: Iterable[float]) -> float:
    # The one of `statistics` takes half as long to load as a whole worker's own modules.
    ordered = sorted(values)
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[~middle]) / 2
