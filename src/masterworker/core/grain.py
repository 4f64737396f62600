"""How much a worker is given at a time: enough that asking for it costs little, and no more.

A worker that has nothing in hand asks, and waits for a round trip. So tasks that are all alike are
handed out by the dozen; where one may take a hundred times as long as the next, each goes alone,
since whatever is in hand behind a long one waits until it is given back. Workers report how long
their tasks took; what matters is known by lane (a tag, and a priority: priorities often go
by length), and for all workers at once, so that one that has never seen a tag gets
as much of it as the others. A task that has been executed for longer than its kind is reckoned at
counts as seen: of those that differ, the short ones are reported first.

What is used of what others found: the cost of a call is spread over a portion whose size follows
from mean *and* spread of the durations (Kruskal & Weiss, "Allocating independent subtasks on
parallel processors", IEEE TSE 11(10), 1985; Lucco, "A dynamic scheduling method for irregular
parallel programs", PLDI 1992); and portions get smaller as less is left, see `Queues`
(Polychronopoulos & Kuck, "Guided self-scheduling", IEEE TC 36(12), 1987; half of an equal share, as
in factoring: Flynn Hummel, Schonberg & Flynn, CACM 35(8), 1992). They minimise when the last task
of a known number ends; here the number is not known, and a task behind a long one must not wait.
"""

from __future__ import annotations

from collections import OrderedDict
from math import sqrt
from typing import TYPE_CHECKING

from masterworker.core.task import Travels
from masterworker.core.underway import UnderWay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.core.filters import Key

#: Work that is not worth a call of its own (seconds): a call costs 0.1 to 0.5 ms.
LEAST = 0.002
#: Tasks of a lane that have to be seen for each one that is handed out beyond `LEAST`. Of tasks
#: that were all short so far, the next can be long.
TRUST = 8
#: Weights of the newest observation in the moving average of what is usual: it is learned quickly,
#: and what is unusual hardly counts.
DOWN, UP = 0.5, 0.1
#: Tasks that usually take no longer are brisk (seconds): waking a process costs as much, ...
BRISK = 0.00025
#: ... and a worker that has them is expected to come for more within this time (seconds) ...
BACK = 0.002
#: ... so that a little of such work is kept for that worker, but no longer than this.
KEPT = 0.005
#: Reckon with this many standard deviations more than the mean.
CAUTION = 2.0
#: Reports after which an earlier one counts for half.
REMEMBERED = 64
#: Time that a task of no time at all is taken to need, so that it can be divided by (seconds).
NO_TIME = 1e-7
#: Most lanes whose durations are kept.
KEPT_TAGS = 256
#: Most tasks, and seconds, that are believed to lie between two calls of a worker.
MOST_TASKS, LONGEST = 1_000_000, 1e9
#: By how much clocks, and what they are read for, may differ (seconds).
INEXACT = 60.0


class Spent(Travels, frozen=True):
    """How long tasks of one tag took, that a worker has executed since its last call."""

    #: The last of them, by which its tag is known.
    task_id: int
    tasks: int
    seconds: float
    #: The sum of seconds ** 2 / tasks over what was timed in one go.
    squares: float


class Durations:
    """What is known of the durations of one lane."""

    __slots__ = ("_reports", "_seconds", "_squares", "each", "tasks", "usual")

    def __init__(self) -> None:
        self._reports = 0
        self._seconds = self._squares = 0.0
        #: Number of tasks that have been seen, the older ones counting less.
        self.tasks = 0.0
        #: Seconds to reckon for one: the mean, and once more as much as they differ.
        self.each = 0.0
        #: What most of them take, if a few take much longer (as the first one, which imports).
        self.usual = 0.0

    def add(self, spent: Spent) -> None:
        """A worker has executed some."""
        if self._reports >= REMEMBERED:
            self._reports //= 2
            self.tasks /= 2
            self._seconds /= 2
            self._squares /= 2
        self._reports += 1
        self.tasks += spent.tasks
        self._seconds += spent.seconds
        self._squares += spent.squares
        latest = max(NO_TIME, spent.seconds / spent.tasks)
        usual = self.usual or latest
        self.usual = usual + (DOWN if latest < usual else UP) * (latest - usual)
        self.each = _reckon(self.tasks, self._seconds, self._squares)

    def each_with(self, ages: Sequence[float]) -> float:
        """Return the seconds to reckon for one if these have been seen, too."""
        return _reckon(
            self.tasks + len(ages),
            self._seconds + sum(ages),
            self._squares + sum(age * age for age in ages),
        )


def _reckon(tasks: float, seconds: float, squares: float) -> float:
    mean = max(NO_TIME, seconds / tasks)
    # Not divided by the number that was timed in one go, as for tasks that are independent of
    # each other: they are not, where the processor is given to another process meanwhile.
    spread = sqrt(max(0.0, squares / tasks - mean * mean))
    return mean + CAUTION * spread


class Grain:
    """Knows how long tasks take, by lane, and how many of them to hand out at a time."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[Key, Durations] = OrderedDict()
        self.under_way = UnderWay()

    def observe(self, key: Key, spent: Spent, member_id: int = -1) -> bool:
        """Note the durations of tasks of a lane in this worker. False: they cannot be."""
        if not (
            0 < spent.tasks <= MOST_TASKS
            and 0.0 <= spent.seconds <= LONGEST
            and 0.0 <= spent.squares <= (1.0 + 1e-6) * spent.seconds * spent.seconds
        ):
            return False
        durations = self._lanes.get(key)
        if durations is None:
            durations = self._lanes[key] = Durations()
            if len(self._lanes) > KEPT_TAGS:
                self._lanes.popitem(last=False)
        durations.add(spent)
        self.under_way.reduced(member_id, spent.tasks, spent.seconds)
        return True

    def each(self, key: Key) -> float | None:
        """Return the seconds to reckon for a task; None: nothing is known of its lane."""
        durations = self._lanes.get(key)
        return None if durations is None else durations.each

    def is_brisk(self, key: Key, number: int = 0) -> bool:
        """Return whether tasks take hardly any time, and this number of them is hardly any work."""
        known = self._lanes.get(key)
        return known is not None and known.usual <= BRISK and number * known.usual <= LEAST

    def most(self, key: Key, seconds: float, now: float) -> int:
        """Return how many tasks make this many seconds of work; one if nothing is known of them."""
        durations = self._lanes.get(key)
        if durations is None:
            return 1
        worth, trust = LEAST / durations.usual, durations.tasks / TRUST
        number = min(seconds / durations.each, trust)
        if number > max(1, worth):
            late = list(self.under_way.overdue(key, durations.each, now))
            if late:
                number = min(seconds / durations.each_with(late), trust)
        return max(1, int(max(worth, number)))

    def least(self, key: Key) -> int:
        """Return how many tasks are worth a call; one if nothing is known of them."""
        durations = self._lanes.get(key)
        return 1 if durations is None else max(1, int(LEAST / durations.usual))
