"""What a worker has in its hands, and how much more it should ask for.

The worker's half of the conversation as plain state: leases that it has not started, outcomes that
the manager has not acknowledged, and what replies and broken connections do to them. Two threads
of a worker use one `Hand`: the main thread executes, the courier delivers. Taking from a deque is
atomic, so they need no lock between them; only what concerns a message on its way is done with the
worker's conversation lock held.
"""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING

from masterworker.core.grain import DOWN, KEPT_TAGS, UP, Spent
from masterworker.core.held import Held
from masterworker.core.row import Row, rows_and_leases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.core.row import Pack
    from masterworker.core.task import Lease, Outcome

#: Seconds of work to ask for at a time: long enough that a call of 0.1 to 1 ms is small beside
#: it, short enough that no worker waits for what another one has in hand.
BUDGET = 0.1
#: Where the round trip is long, ask for this many round trips' worth of work, ...
ROUND_TRIPS = 4
#: ... but never for more than this many seconds, ...
MAX_BUDGET = 0.25
#: ... nor for more tasks than this.
MAX_WANT = 20_000
#: Weight of the newest observation in the moving average of round trips.
WEIGHT = 0.3


class Hand:
    """Leases and outcomes of one worker.

    Args:
        pack: Pickles the results of a row that are kept as values.
    """

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        #: What is to be executed. A row stays the first until it is done.
        self.leases: deque[Lease | Row] = deque()
        #: What is done. A row is here from its begin on, and gives what it has.
        self.outcomes: deque[Outcome | Row] = deque()
        #: The task that is being executed right now, or the row that it is in; 0 for none.
        self.executing: int | Row = 0
        #: Sent, and not acknowledged yet: sent again if the connection breaks.
        self._sent: list[Outcome] = []
        #: Which run of the manager the ids are of; "" for none yet.
        self.instance = ""
        #: Which job that is, if its master may come back; "": it does not.
        self.job = ""
        #: What such a master may lack.
        self.held = Held(self._drain)

    @property
    def current(self) -> int:
        """Which task is being executed right now; 0 for none."""
        executing = self.executing
        return executing.current if isinstance(executing, Row) else executing

    @current.setter
    def current(self, task_id: int) -> None:
        self.executing = task_id

    @property
    def has_more(self) -> bool:
        """Whether there is anything that has not been begun."""
        leases = self.leases
        if len(leases) != 1:
            return bool(leases)
        try:
            first = leases[0]
        except IndexError:  # another thread was faster
            return False
        return not isinstance(first, Row) or first.has_more()

    def to_send(self) -> list[Outcome]:
        """Return all outcomes that are finished and not acknowledged."""
        sent = self._sent
        self._drain(self.outcomes, sent)
        return sent

    def take(self, leases: Sequence[Lease], mark: int = 0, kept: int = 0) -> None:
        """The manager has answered: it has what `to_send` returned, and gives new leases.

        Args:
            leases: New ones.
            mark: When it keeps outcomes up to here, those are kept.
            kept: Up to where it keeps them now.
        """
        if mark:
            self.held.sent(mark, kept, self.instance, self._sent)
        self._sent = []
        if self.job:
            self.held.handed(self.instance, leases)
        self.leases.extend(rows_and_leases(leases))

    def cut_off(self) -> None:
        """We are not registered any more: others get what we have not started.

        What is finished is delivered when we are back.
        """
        for lease in tuple(self.leases):
            if isinstance(lease, Row):
                lease.ids.clear()
        self.leases.clear()

    def joined(self, instance: str, job: str = "") -> None:
        """We have joined a manager; to another run of it than before our ids mean nothing.

        Unless it is the same job, whose master has come back: then what is finished is to be
        brought under its old ids.

        Args:
            instance: Which run it is.
            job: Of which job whose master may come back; "": it does not.
        """
        if self.instance and self.instance != instance:
            self.cut_off()
            if job and job == self.job:
                self.held.another_run(self.instance, self._sent, self.outcomes)
            else:
                self.held.forget()
            # What is being executed still ends up in the old ones.
            self.leases, self.outcomes = deque(), deque()
            self._sent = []
        self.instance, self.job = instance, job

    def drop(self, task_id: int) -> bool:
        """A task is of no use any more. True: it was here and had not been started."""
        for lease in tuple(self.leases):
            if isinstance(lease, Row):
                if lease.drop(task_id):
                    return True
            elif lease.task_id == task_id:
                return self.done_with(lease)
        return False

    def done_with(self, lease: Lease | Row) -> bool:
        """Take a lease out of the hand. False: another thread was faster."""
        try:
            self.leases.remove(lease)
        except ValueError:
            return False
        return True

    def put_down(self) -> list[int]:
        """Take all tasks that have not been started out of the hand. Returns their ids."""
        parts: list[list[int]] = []
        for lease in reversed(tuple(self.leases)):
            if isinstance(lease, Row):
                parts.append(lease.put_down())
            elif self.done_with(lease):
                parts.append([lease.task_id])
        return list(chain.from_iterable(reversed(parts)))

    def _drain(self, outcomes: deque[Outcome | Row], into: list[Outcome]) -> None:
        """Move what is finished."""
        for _ in range(len(outcomes)):
            done = outcomes.popleft()
            if isinstance(done, Row):
                over = done.over  # asked first: nothing comes after it
                into += done.outcomes(self._pack)
                if not over:
                    outcomes.append(done)
            else:
                into.append(done)


class Pace:
    """How fast tasks go, and how much work to ask for. Times are in seconds.

    Used by the main thread; the courier only reads.
    """

    def __init__(self) -> None:
        #: How long tasks take, by tag.
        self._means: dict[str, float] = {}
        #: The tag of what is being executed, or was last.
        self._tag = ""
        self._round_trip = 0.0
        #: What has not been reported, by tag.
        self._spent: dict[str, Spent] = {}

    def begin(self, tag: str, now: float) -> float:
        """Tasks of this tag are next. Returns the time."""
        self._tag = tag
        return now

    def observe(self, tag: str, last: int, tasks: int, seconds: float) -> None:
        """Note a number of tasks and the seconds that they took; the last of them was this one."""
        mean = seconds / tasks
        known = self._means.get(tag)
        if known is None:
            if len(self._means) >= KEPT_TAGS:
                self._means.clear()
            self._means[tag] = mean
        else:
            self._means[tag] = known + (DOWN if mean < known else UP) * (mean - known)
        before = self._spent.get(tag)
        if before is None:
            self._spent[tag] = Spent(last, tasks, seconds, seconds * mean)
        else:
            squares = before.squares + seconds * mean
            self._spent[tag] = Spent(last, before.tasks + tasks, before.seconds + seconds, squares)

    def observe_round_trip(self, seconds: float) -> None:
        """Note how long a call took, without the time that the manager let us wait."""
        self._round_trip += WEIGHT * (seconds - self._round_trip)

    def report(self) -> tuple[Spent, ...]:
        """Return how long tasks took that have been executed since it was asked last."""
        spent = tuple(self._spent.values())
        self._spent.clear()
        return spent

    @property
    def task_seconds(self) -> float:
        """How long a task of the present tag takes, as far as is known; 0 before the first one."""
        return self._means.get(self._tag, 0.0)

    @property
    def seconds(self) -> float:
        """How much work to ask for."""
        return min(MAX_BUDGET, max(BUDGET, ROUND_TRIPS * self._round_trip))
