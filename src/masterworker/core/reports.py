"""Judging what workers say of tasks: which outcome counts, and what follows from a failure.

The first outcome of a task wins. A result of an attempt that was given up is as good as any while
the task is open; a failure of such an attempt is not, since another attempt is under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.core.blocks import Block
from masterworker.core.task import AGAIN, FAILURE, RESULT, Outcome, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masterworker.core.blocks import Item
    from masterworker.core.dispatch import Dispatch
    from masterworker.core.member_table import MemberTable
    from masterworker.core.outbox import Outbox
    from masterworker.core.retries import Retries
    from masterworker.core.settlement import Settlement
    from masterworker.core.task import Payload, Payloads
    from masterworker.core.task_table import TaskTable

SETTLED = State.SETTLED

#: An attempt number that stands for the current attempt, for callers that know only task ids.
CURRENT = 0

#: What a worker can say of a task; that it is lost only the scheduler can.
OUTCOMES = frozenset((RESULT, FAILURE, AGAIN))


def _is_outcome(kind: int, payload: object) -> bool:
    """Return whether a worker can say this of a task: failures are never large."""
    return kind == RESULT or (kind in OUTCOMES and isinstance(payload, bytes))


class Reports:
    """Judges outcomes, and has those that count settle their tasks."""

    def __init__(
        self,
        table: TaskTable,
        members: MemberTable,
        dispatch: Dispatch,
        retries: Retries,
        settlement: Settlement,
        out: Outbox,
    ) -> None:
        self._table = table
        self._members = members.members
        self._dispatch = dispatch
        self._retries = retries
        self._settlement = settlement
        self._out = out

    def judge(self, member_id: int, outcomes: Iterable[Outcome], now: float) -> list[int]:
        """A process delivers outcomes. Returns the ids of the tasks whose outcome is refused."""
        refused: list[int] = []
        for outcome in outcomes:
            payloads = outcome.payloads
            if len(payloads) != 1:
                refused += self._judge_several(outcome, payloads, member_id, now)
                continue
            payload = self._table.blocks.payload(payloads, 0)
            if not self._judge_one(outcome, payload, member_id, now):
                refused.append(outcome.task_id)
        return refused

    def _judge_one(self, outcome: Outcome, payload: Payload, member_id: int, now: float) -> bool:
        task_id, attempt, kind = outcome.task_id, outcome.attempt, outcome.kind
        member = self._members.get(member_id)
        task = self._table.tasks.get(task_id) or self._table.blocks.find(task_id)
        if (
            task is None
            or task.holder != member_id
            or task.attempt != attempt
            or member is None
            or (kind != RESULT and not _is_outcome(kind, payload))
        ):
            task = self._late(task, outcome, member_id, now)
            if task is None or not _is_outcome(kind, payload):
                self._count_refused(task_id)
                return False
        if isinstance(task, Block):
            task = self._table.single_out(task, task_id)
        if task.options is not None:
            if kind == AGAIN and (decision := self._retries.decide(task)) is not None:
                self._settlement.tried_again(task)
                self._dispatch.retry(task, decision, now)
                return True
            self._dispatch.stop_others(task, member, now)
        self._settlement.settle(task, FAILURE if kind == AGAIN else kind, payload, member)
        return True

    def _judge_several(
        self, outcome: Outcome, payloads: Payloads, member_id: int, now: float
    ) -> list[int]:
        """A process delivers results in a row: of blocks from their beginnings on, or others."""
        refused: list[int] = []
        first, attempt, kind = outcome.task_id, outcome.attempt, outcome.kind
        member, blocks = self._members.get(member_id), self._table.blocks
        at, end = 0, len(payloads)
        while at < end:
            block = blocks.find(first + at)
            if (
                block is None
                or block.id != first + at
                or block.holder != member_id
                or block.attempt != attempt
                or member is None
                or kind != RESULT
            ):
                payload = blocks.payload(payloads, at)
                one = Outcome(first + at, attempt, kind, [payload])
                if not self._judge_one(one, payload, member_id, now):
                    refused.append(one.task_id)
                at += 1
                continue
            number = min(end - at, len(block.payloads))
            part = payloads if number == end else payloads[at : at + number]
            self._settlement.settle_first(block, part, member)
            at += number
        return refused

    def _late(self, task: Item | None, outcome: Outcome, member_id: int, now: float) -> Item | None:
        """Judge an outcome that is not of the current lease. Returns the task if it counts."""
        attempt, kind = outcome.attempt, outcome.kind
        if task is None or task.state is SETTLED or kind not in OUTCOMES:
            return None
        if attempt == CURRENT and task.holder == member_id:
            return task
        if kind != RESULT or not CURRENT <= attempt <= task.attempt or not task.attempt:
            return None
        single = self._table.single_out(task, outcome.task_id)
        single.note(now, f"late result of attempt {attempt} from worker {member_id}")
        return single

    def _count_refused(self, task_id: int) -> None:
        if 0 < task_id < self._table.next_id:
            self._out.tally.duplicates += 1
        else:
            self._out.tally.unknown += 1
