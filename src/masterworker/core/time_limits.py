"""What follows when the time of a task is long over, and its worker does not say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.core.overdue import may_try_again
from masterworker.core.task import FAILURE

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.dispatch import Dispatch
    from masterworker.core.member import Member
    from masterworker.core.member_table import MemberTable
    from masterworker.core.outbox import Outbox
    from masterworker.core.retries import Retries
    from masterworker.core.settlement import Settlement
    from masterworker.core.task import Task
    from masterworker.core.task_table import TaskTable


class TimeLimits:
    """Takes tasks out of the hands of workers that do not heed their time limits.

    Args:
        table: The tasks.
        members: The processes.
        dispatch: Knows which tasks are overdue.
        retries: Says which are tried again.
        settlement: Settles the others.
        out: Is given orders to stop.
        timed_out: Makes the failure of a task whose time limit (seconds) is over.
    """

    def __init__(
        self,
        table: TaskTable,
        members: MemberTable,
        dispatch: Dispatch,
        retries: Retries,
        settlement: Settlement,
        out: Outbox,
        timed_out: Callable[[float], bytes],
    ) -> None:
        self._table = table
        self._members = members.members
        self._dispatch = dispatch
        self._retries = retries
        self._settlement = settlement
        self._out = out
        self._timed_out = timed_out

    def enforce(self, now: float) -> None:
        """Look at all tasks that have time limits and are in hand."""
        if not self._dispatch.overdue:
            return
        late, stuck = self._dispatch.overdue.look(now, self._table.tasks.get)
        for tasks, follows in ((stuck, self._take_from), (late, self._end)):
            for task in tasks:
                if task.holder is not None:
                    self._out.effects.orders.append((task.holder, task.id))
                    follows(task, self._members[task.holder], now)

    def _take_from(self, task: Task, holder: Member, now: float) -> None:
        """A task was not begun, since the one before it does not end."""
        held = self._table.take_from(holder, [task.id])
        self._dispatch.put_back(held, f"worker {holder.id} did not begin in time", now)

    def _end(self, task: Task, holder: Member, now: float) -> None:
        """A task is executed for too long: it has failed, and may be tried again."""
        options = task.options
        assert options is not None  # noqa: S101  for the type checker
        task.note(now, f"its time limit is over, and worker {holder.id} does not say so")
        if may_try_again(options.retry_on) and (again := self._retries.decide(task)):
            self._settlement.tried_again(task)
            self._dispatch.retry(task, again, now)
            return
        self._dispatch.stop_others(task, holder, now)
        self._settlement.settle(task, FAILURE, self._timed_out(options.timeout or 0.0), holder)
