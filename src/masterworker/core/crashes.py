"""Which tasks may have ended the processes that executed them, and when one is given up.

A strike is only for the task that was being executed when the process ended. Its supervisor knows
which one that was; where there is none or it does not say, the tasks become suspects, which are
handed out alone until it is known.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from masterworker.core.task import State, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from masterworker.core.departure import Departure
    from masterworker.core.member import Member
    from masterworker.core.outbox import Outbox

SETTLED, PAUSED = State.SETTLED, State.PAUSED

#: A task that was executing in this many processes that ended is not tried again (three, as in
#: Dask and Ray; HyperQueue takes five).
MAX_LOSSES = 3

#: A process whose connection has closed without an explanation may come back within this time
#: (seconds): then it was only cut off, and its strike is void. A task is not given up before.
COMES_BACK_WITHIN = 25.0

#: This many strikes can still be taken back when their process turns out to be alive.
KEPT_STRIKES = 1000


class Strike(msgspec.Struct, frozen=True):
    """What the loss of a process has given."""

    task_id: int
    #: The line in the task's history.
    text: str
    #: The process may come back.
    is_doubtful: bool
    supervisor: str


class CrashPolicy:
    """Counts strikes, and takes back those that turn out to be void.

    Args:
        tasks: The tasks that are on their own, by id: only such have strikes.
        max_losses: A task with this many strikes is given up.
        out: Is told of strikes, which are kept elsewhere; None: they are not.
    """

    def __init__(
        self, tasks: dict[int, Task], max_losses: int = MAX_LOSSES, out: Outbox | None = None
    ) -> None:
        self._tasks = tasks
        self._out = out
        self.max_losses = max_losses
        #: The strikes that lost processes have given, by process id.
        self._strikes: OrderedDict[int, Strike] = OrderedDict()
        #: Until when the latest strike of a task may turn out to be void, by task id.
        self._doubts: dict[int, float] = {}

    def suspect(self, held: list[Task]) -> list[Task]:
        """Find out which of its tasks may have ended a process.

        Returns:
            The one that it was executing, if that is known; nothing otherwise.
        """
        # A task that waits for others may have one of them executed inside it: the youngest.
        executing = [task for task in held if task.state is State.STARTED][-1:]
        if not executing and len(held) == 1:
            executing = held
        for task in executing or held:
            task.suspect = True
        return executing

    def doubt(self, tasks: Iterable[Task], now: float) -> None:
        """The process that has these tasks may come back: then it has not ended."""
        for task in tasks:
            self._doubts[task.id] = now + COMES_BACK_WITHIN

    def strike(self, task: Task, member: Member, why: Departure, now: float) -> bool:
        """A process has ended while executing a task. True: the task has too many strikes."""
        text = f"{member.info}: {why.reason}"
        task.suspect = True
        task.losses = [*(task.losses or ()), text]
        task.note(now, f"executing in a worker that ended ({len(task.losses)} so far)")
        self._tell(task)
        self._strikes[member.id] = Strike(task.id, text, why.is_doubtful, member.supervisor)
        while len(self._strikes) > KEPT_STRIKES:
            self._strikes.popitem(last=False)
        return self.is_too_much(task)

    def is_too_much(self, task: Task) -> bool:
        """Return whether a task has too many strikes."""
        return len(task.losses or ()) >= self.max_losses

    def may_be_void(self, task: Task, now: float) -> float | None:
        """Return until when a strike of a task may turn out to be void; None: it cannot."""
        until = self._doubts.get(task.id, now)
        return until if until > now else None

    def has_struck(self, member_id: int) -> bool:
        """Return whether the loss of a process has given a strike, which it may take back."""
        return member_id in self._strikes

    def absolve(self, member_id: int, now: float) -> Task | None:
        """A lost process is alive: it was only cut off, so the strike that it gave is void.

        Returns:
            The task, if it pauses only because it has too many strikes.
        """
        strike = self._strikes.pop(member_id, None)
        task = None if strike is None else self._tasks.get(strike.task_id)
        if strike is None or task is None or task.state is SETTLED:
            return None
        if strike.text not in (task.losses or ()):
            return None
        losses = list(task.losses or ())
        losses.remove(strike.text)
        task.losses = losses or None
        task.note(now, f"worker {member_id} had only been cut off: its loss does not count")
        self._tell(task)
        return task if task.state is PAUSED else None

    def confirm(self, member_id: int, supervisor: str) -> Task | None:
        """A lost process has ended, as its supervisor says, so it cannot come back.

        Returns:
            A task that paused for this alone, and has too many strikes.
        """
        strike = self._strikes.get(member_id)
        if strike is None or not strike.is_doubtful or strike.supervisor != supervisor:
            return None
        self._strikes[member_id] = msgspec.structs.replace(strike, is_doubtful=False)
        others = self._strikes.values()
        if any(each.task_id == strike.task_id and each.is_doubtful for each in others):
            return None
        self._doubts.pop(strike.task_id, None)
        task = self._tasks.get(strike.task_id)
        paused = task is not None and task.state is PAUSED
        return task if task is not None and paused and self.is_too_much(task) else None

    def settled(self, task: Task) -> None:
        """A task has its outcome."""
        if self._doubts:
            self._doubts.pop(task.id, None)

    def check(self) -> Iterator[tuple[str, int]]:
        """Yield each invariant that does not hold, and the task for which it does not."""
        for task in self._tasks.values():
            if self.is_too_much(task) and task.state not in {SETTLED, PAUSED}:
                yield "losses", task.id

    def _tell(self, task: Task) -> None:
        if self._out is not None:
            self._out.effects.struck.append((task.id, list(task.losses or ())))
