"""What is asked of the job: tasks to be executed, and tasks that are not wanted any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.core.task import CANCELLED, LOST, State, Task, write_history

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker.core.blocks import Item
    from masterworker.core.chunks import Chunk
    from masterworker.core.crashes import CrashPolicy
    from masterworker.core.dispatch import Dispatch
    from masterworker.core.member import Member
    from masterworker.core.options import Options
    from masterworker.core.outbox import Outbox
    from masterworker.core.settlement import Settlement
    from masterworker.core.task import Payload
    from masterworker.core.task_table import TaskTable

WAITING, SETTLED = State.WAITING, State.SETTLED


class Requests:
    """Queues tasks that are asked for, and cancels those that are not wanted.

    Args:
        table: Numbers and keeps the tasks.
        dispatch: Hands them out.
        settlement: Settles those that are cancelled.
        crashes: Says which have too many strikes.
        out: Counts what is asked for.
    """

    def __init__(
        self,
        table: TaskTable,
        dispatch: Dispatch,
        settlement: Settlement,
        crashes: CrashPolicy,
        out: Outbox,
    ) -> None:
        self._table = table
        self._dispatch = dispatch
        self._settlement = settlement
        self._crashes = crashes
        self._out = out

    def add(
        self,
        tag: str,
        payloads: Sequence[Payload] | Chunk,
        now: float,
        *,
        direct: bool,
        options: Options | None,
        first: int | None,
    ) -> int:
        """Queue tasks of one tag. Returns the id of the first. See `Scheduler.on_requested`."""
        table, dispatch, number = self._table, self._dispatch, len(payloads)
        if first is None:
            first = table.next_id
        if not number:
            return first
        table.number(tag, first, number)
        self._out.tally.submitted += number
        self._out.recorder.of(tag).asked += number
        is_plain = options is None and direct
        items: Sequence[Item]
        if is_plain and number > 1:
            items = table.blocks.make(first, tag, payloads)
        else:
            each = enumerate(table.blocks.one_by_one(payloads), first)
            items = tasks = [Task(i, tag, one, direct, WAITING, options) for i, one in each]
            table.add(tag, tasks)
            if number == 1 and dispatch.serves_at_once(tasks[0], now, keepable=is_plain):
                return first
        dispatch.waiting.append(tag, items, 0 if options is None else options.priority)
        if dispatch.waiting.claims.by_id and not (is_plain and dispatch.keeps(tag, now)):
            dispatch.match(now)
        return first

    def add_struck(self, task: Task, now: float) -> None:
        """Queue a task that has strikes already: it is a suspect, or given up at once."""
        table, dispatch = self._table, self._dispatch
        table.number(task.tag, task.id, 1)
        self._out.tally.submitted += 1
        losses = task.losses or ()
        task.suspect = True
        task.note(now, f"it was executing in {len(losses)} workers that ended, in earlier runs")
        table.add(task.tag, [task])
        if self._crashes.is_too_much(task):
            self._settlement.settle(task, LOST, write_history(losses), None)
            return
        dispatch.waiting.append(task.tag, [task], task.priority)
        if dispatch.waiting.claims.by_id:
            dispatch.match(now)

    def cancel(
        self, task_ids: Iterable[int], now: float, dropper: Member | None = None
    ) -> list[int]:
        """Settle tasks as cancelled. Returns the ids of those that were not settled before.

        Args:
            task_ids: Their ids.
            now: The time.
            dropper: A worker that has dropped them already.
        """
        cancelled: list[int] = []
        for task_id in task_ids:
            item = self._table.find(task_id)
            if item is None or item.state is SETTLED:
                continue
            task = self._table.single_out(item, task_id)
            self._dispatch.stop_others(task, dropper, now, always=True)
            self._settlement.settle(task, CANCELLED, b"", None)
            cancelled.append(task_id)
        return cancelled

    def bring(self, task_id: int, kind: int, payload: Payload, worker: str, now: float) -> bool:
        """Settle a task with the outcome that it got in an earlier run. False: it has one."""
        item = self._table.find(task_id)
        if item is None or item.state is SETTLED:
            return False
        task = self._table.single_out(item, task_id)
        self._dispatch.stop_others(task, None, now, always=True)
        self._settlement.settle(task, kind, payload, None, worker)
        return True

    def withdraw(self, task_ids: Iterable[int], now: float) -> None:
        """Cancel tasks whose outcomes are collected by no one; those that are there are dropped."""
        open_ones: list[int] = []
        for task_id in task_ids:
            task = self._table.find(task_id)
            unkept = task is not None and task in self._settlement.keeping
            if isinstance(task, Task) and task.state is SETTLED and not unkept:
                self._settlement.discard(task)
                continue
            if isinstance(task, Task) and not task.direct:
                self._table.close(task.tag)
                task.direct = True
            open_ones.append(task_id)
        self.cancel(open_ones, now)
