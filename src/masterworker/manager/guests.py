"""What the manager remembers of guests: workers that joined one job with a ticket.

A guest's process is known by its ticket and by the random name of its client, a secret between it
and the manager, which it repeats on a new connection. So its membership and its tasks stay its own,
and no other guest's, when a connection breaks.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from masterworker import forks
from masterworker.core.reports import OUTCOMES
from masterworker.core.task import Outcome, ids_of
from masterworker.data.items import one_by_one
from masterworker.errors import NotAllowedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masterworker.core.scheduler import Scheduler
    from masterworker.core.task import Lease
    from masterworker.manager.replies import Replies

#: Most processes that are remembered without a connection. One that is forgotten joins again, and
#: its tasks go to others.
KEPT_PROCESSES = 1000
#: Most names of one process: each object that speaks to the manager has one of its own.
MOST_NAMES = 1000
#: Most tasks that are remembered as handed to a process: more than a worker ever holds.
MOST_HANDED = 20_000
#: Most attempts of each that are remembered.
MOST_ATTEMPTS = 8
#: Most runs of tasks that are remembered as asked for by a process.
MOST_ASKED = 10_000
#: Joins of guests that the journal notes, as the next run of the master waits for them, at most:
#: it must not grow without end where one joins again and again.
MOST_AWAITED = 10_000


class GuestProcess:
    """One process of a guest. Thread-safe."""

    def __init__(self, core: Scheduler) -> None:
        self._core = core
        self._lock = forks.lock()
        #: Attempts that were handed to it and have not come back, by task.
        self._handed: dict[int, tuple[int, ...]] = {}
        #: The tasks that it has asked for.
        self._asked: list[range] = []
        #: As what it has joined, the names of its clients, and how many connections it has: these
        #: are for `Guests`.
        self.members: set[int] = set()
        self.names: list[str] = []
        self.connections = 0

    def hand(self, leases: Iterable[Lease]) -> None:
        """These tasks are on their way to it."""
        with self._lock:
            handed = self._handed
            for lease in leases:
                attempt = lease.attempt
                for task_id in ids_of(lease):
                    before = handed.get(task_id)
                    handed[task_id] = (*(before or ())[1 - MOST_ATTEMPTS :], attempt)
            if len(handed) > MOST_HANDED:
                self._prune()

    def report(self, outcomes: Iterable[Outcome]) -> tuple[list[Outcome], list[int]]:
        """Judge what it delivers: each attempt that was handed to it counts once.

        Returns:
            The outcomes that it may deliver, and the ids of the tasks of all others.
        """
        good: list[Outcome] = []
        refused: list[int] = []
        with self._lock:
            for outcome in outcomes:
                task_ids, attempt, kind = ids_of(outcome), outcome.attempt, outcome.kind
                wrong = [i for i in task_ids if not self._take(i, attempt, kind)]
                refused += wrong
                if not wrong:
                    good.append(outcome)
                elif len(wrong) < len(task_ids):
                    good += _without(outcome, wrong)
        return good, refused

    def returned(self, task_ids: Iterable[int]) -> None:
        """It gives tasks back unfinished."""
        with self._lock:
            for task_id in task_ids:
                self._handed.pop(task_id, None)

    def latest(self, task_id: int) -> int:
        """Return the last attempt of a task that was handed to it; 0 for none."""
        with self._lock:
            return self._handed.get(task_id, (0,))[-1]

    def asked(self, first: int, count: int) -> None:
        """It has asked for tasks."""
        with self._lock:
            if self._asked and self._asked[-1].stop == first:
                first, count = self._asked[-1].start, count + len(self._asked.pop())
            self._asked.append(range(first, first + count))
            del self._asked[:-MOST_ASKED]

    def has_asked(self, task_ids: Iterable[int]) -> bool:
        """Return whether it has asked for all of these tasks."""
        with self._lock:
            return all(any(i in run for run in self._asked) for i in task_ids)

    def leaves(self, member_id: int) -> None:
        """It has signed off; with the last membership it has nothing in hand any more."""
        with self._lock:
            self.members.discard(member_id)
            if not self.members:
                self._handed.clear()

    def _take(self, task_id: int, attempt: int, kind: int) -> bool:
        """Take note that an attempt has come back. False: it had not been handed to it."""
        handed = self._handed.get(task_id, ())
        if kind not in OUTCOMES or attempt not in handed:
            return False
        left = tuple(a for a in handed if a != attempt)
        if left:
            self._handed[task_id] = left
        else:
            del self._handed[task_id]
        return True

    def _prune(self) -> None:
        """Forget tasks whose outcome came from another worker; then the oldest."""
        find = self._core.find
        kept = [(i, attempts) for i, attempts in self._handed.items() if find(i) is not None]
        self._handed = dict(kept[-MOST_HANDED // 2 :])


def _without(outcome: Outcome, wrong: list[int]) -> list[Outcome]:
    """Return the outcomes of single tasks, but for some of them."""
    all_of_them = enumerate(one_by_one(outcome.payloads), outcome.task_id)
    each = (Outcome(i, outcome.attempt, outcome.kind, [p]) for i, p in all_of_them)
    return [one for one in each if one.task_id not in wrong]


class Guests:
    """All guests of one manager. Thread-safe.

    Args:
        core: The scheduler, which is only looked at.
        replies: Of calls that guests have numbered. Kept apart from those of trusted processes:
            guests can neither take nor displace each other's.
    """

    def __init__(self, core: Scheduler, replies: Replies) -> None:
        self.core = core
        self.replies = replies
        self._lock = forks.lock()
        self._by_name: dict[str, GuestProcess] = {}
        self._by_member: dict[int, GuestProcess] = {}
        #: Those without a connection, the longest gone first.
        self._gone: OrderedDict[GuestProcess, None] = OrderedDict()
        self._awaited = 0

    def speaks(self, process: GuestProcess | None, name: str) -> GuestProcess:
        """Find out which process a connection is of.

        Args:
            process: What is known of it; None: nothing yet.
            name: Random name that it gives itself now, with the serial number of its ticket.

        Raises:
            NotAllowedError: The name is another process's.
        """
        with self._lock:
            known = self._by_name.get(name)
            if process is None:
                process = known or GuestProcess(self.core)
                process.connections += 1
                self._gone.pop(process, None)
            if known is None:
                self._by_name[name] = process
                process.names.append(name)
                if len(process.names) > MOST_NAMES:
                    del self._by_name[process.names.pop(0)]
            elif known is not process:
                raise NotAllowedError("that is the client's name of another process")
            return process

    def joined(self, process: GuestProcess, member_id: int) -> None:
        """A process has joined."""
        with self._lock:
            for old in [i for i in process.members if i not in self.core.members]:
                process.members.discard(old)
                self._by_member.pop(old, None)
            process.members.add(member_id)
            self._by_member[member_id] = process
            member = self.core.members.get(member_id)
            if member is not None:  # nothing has been handed to it yet
                member.is_trusted = False

    def may_be_awaited(self) -> bool:
        """Return whether the next run of the master is to wait for one more that joins."""
        with self._lock:
            self._awaited += 1
            return self._awaited <= MOST_AWAITED

    def process_of(self, member_id: int) -> GuestProcess | None:
        """Return the process that has joined as this."""
        return self._by_member.get(member_id)

    def hung_up(self, process: GuestProcess) -> None:
        """A connection of a process has ended. It is remembered, for it may come back."""
        with self._lock:
            process.connections -= 1
            if process.connections <= 0:
                self._gone[process] = None
            while len(self._gone) > KEPT_PROCESSES:
                self._forget(self._gone.popitem(last=False)[0])

    def _forget(self, process: GuestProcess) -> None:
        for name in process.names:
            self._by_name.pop(name, None)
        for member_id in process.members:
            self._by_member.pop(member_id, None)
