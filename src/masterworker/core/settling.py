"""The part of the scheduler about outcomes: from their report to their delivery.

Each task gets one outcome and no more, whoever reports what and when. What was requested as direct
leaves at once; the rest waits in `results` until somebody collects it. A failure may be followed
by another attempt, if the task's options say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from masterworker.core.blocks import Block
from masterworker.core.chunks import Chunk, no_single
from masterworker.core.effects import Effects
from masterworker.core.pausing import Pausing
from masterworker.core.task import (
    AGAIN,
    CANCELLED,
    FAILURE,
    RESULT,
    Finished,
    FinishedRun,
    Outcome,
    State,
    Task,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker.core.blocks import Item
    from masterworker.core.chunks import Payloads, Single
    from masterworker.core.member import Member
    from masterworker.core.task import Payload

WAITING, SETTLED, DELIVERED = State.WAITING, State.SETTLED, State.DELIVERED

#: An attempt number that stands for the current attempt, for callers that know only task ids.
CURRENT = 0

#: What a worker can say of a task; that it is lost only the scheduler can.
OUTCOMES = frozenset((RESULT, FAILURE, AGAIN))


def _finished(task: Task) -> Finished:
    return Finished(task.id, task.tag, task.kind, task.payload, task.worker, task.tries)


def _is_outcome(kind: int, payload: object) -> bool:
    """Tell whether a worker can say this of a task: failures are never large."""
    return kind == RESULT or (kind in OUTCOMES and isinstance(payload, bytes))


class Settling(Pausing):
    """The state of a job, and what happens to outcomes. See `Scheduler`, which adds the rest."""

    def __init__(self, single: Single = no_single) -> None:
        super().__init__(single)
        #: Until when the latest strike of a task may turn out to be void, by task id.
        self._doubts: dict[int, float] = {}

    def on_reported(
        self, member_id: int, outcomes: Iterable[Outcome], now: float
    ) -> tuple[list[int], Effects]:
        """A process delivers outcomes.

        The first outcome of a task wins. A result of an attempt that was given up is as good as
        any while the task is open; a failure of such an attempt is not.

        Returns:
            The ids of the tasks whose outcome was not accepted.
        """
        refused: list[int] = []
        effects = Effects()
        runs: list[list[Task]] = []
        for outcome in outcomes:
            payload = outcome.payload
            if isinstance(payload, (list, Chunk)):
                self._report_run(outcome, payload, member_id, now, refused, runs, effects)
            else:
                self._report_one(outcome, payload, member_id, now, refused, runs, effects)
        if runs:
            self._queue_results(runs, effects)
        return refused, effects

    def on_cancelled(self, task_ids: Iterable[int], now: float) -> tuple[list[int], Effects]:
        """Somebody does not want these tasks any more.

        One that waits is never executed; whoever has one in hand is told to drop it or break it
        off. One that is settled already stays as it is.

        Returns:
            The ids of those that are cancelled now.
        """
        cancelled: list[int] = []
        effects = Effects()
        runs: list[list[Task]] = []
        for task_id in task_ids:
            task = self.find(task_id)
            if task is None or task.state is SETTLED:
                continue
            if isinstance(task, Block):
                task = self._apart(task, task_id)
            elif task.state is WAITING:
                task = self._withdrawn(task)
            self._stop_others(task, None, now, effects, always=True)
            self._settle(task, CANCELLED, b"", None, runs, effects)
            cancelled.append(task_id)
        self._queue_results(runs, effects)
        return cancelled, effects

    def on_withdrawn(self, task_ids: Iterable[int], now: float) -> Effects:
        """Whoever has asked for these tasks does not know of it: there will be no outcome of them.

        Those that are not settled are cancelled, and nobody collects that.
        """
        open_ones: list[int] = []
        for task_id in task_ids:
            task = self.find(task_id)
            if task is None:
                continue
            if isinstance(task, Task) and task.state is SETTLED:
                self.results.withdraw()
                self._deliver(task)
                continue
            if isinstance(task, Task) and not task.direct:
                self._close(task.tag)
                task.direct = True
            open_ones.append(task_id)
        return self.on_cancelled(open_ones, now)[1]

    def on_collect(
        self, member_id: int, want: int, tag: str | None = None
    ) -> tuple[list[Finished], int | None]:
        """A process asks for outcomes, of one tag or of any, in the order of their arrival.

        Returns:
            Outcomes; or none, and the id of a claim that waits for some.
        """
        member = self.members.get(member_id)
        if member is None or want < 1 or self.terminated:
            return [], None
        wanted = self._any_result if tag is None else self.results.use_filter(frozenset((tag,)))
        try:
            tasks = self.results.take(wanted, want)
            if tasks:
                return self._deliver_all(tasks), None
            return [], self.results.claims.park(member, want, wanted)
        finally:
            if tag is not None:
                self.results.release(wanted)

    def on_undelivered(self, outcomes: Sequence[Finished]) -> Effects:
        """Outcomes did not reach the one who asked: back to the very front, for the next one."""
        items: list[Item] = []
        for outcome in outcomes:
            task_id, tag = outcome.task_id, outcome.tag
            if self.find(task_id) is not None:
                continue
            task = Task(task_id, tag, outcome.payload, direct=False, state=SETTLED)
            task.kind, task.worker, task.tries = outcome.kind, outcome.worker, outcome.attempts
            self.tasks[task_id] = task
            self.open_tags[tag] = self.open_tags.get(tag, 0) + 1
            items.append(task)
        self.tally.delivered -= len(items)
        self.results.put_back(items)
        effects = Effects()
        self._match_results(effects)
        return effects

    # -- inside -----------------------------------------------------------------------------

    def _report_one(
        self,
        outcome: Outcome,
        payload: Payload,
        member_id: int,
        now: float,
        refused: list[int],
        runs: list[list[Task]],
        effects: Effects,
    ) -> None:
        task_id, attempt, kind = outcome.task_id, outcome.attempt, outcome.kind
        member = self.members.get(member_id)
        task = self.tasks.get(task_id) or self.blocks.find(task_id)
        if (
            task is None
            or task.holder is not member
            or task.attempt != attempt
            or member is None
            or (kind != RESULT and not _is_outcome(kind, payload))
        ):
            task = self._late(task, attempt, kind, member_id, now, task_id)
            if task is None or not _is_outcome(kind, payload):
                self._count_refused(task_id)
                refused.append(task_id)
                return
        if isinstance(task, Block):
            task = self._apart(task, task_id)
        if task.options is not None:
            if kind == AGAIN and self._try_again(task, now, effects):
                return
            self._stop_others(task, member, now, effects)
        kind = FAILURE if kind == AGAIN else kind
        self._settle(task, kind, payload, member, runs, effects)

    def _report_run(
        self,
        outcome: Outcome,
        payloads: Payloads,
        member_id: int,
        now: float,
        refused: list[int],
        runs: list[list[Task]],
        effects: Effects,
    ) -> None:
        """A process delivers results in a row: of blocks from their beginnings on, or others."""
        first, attempt, kind = outcome.task_id, outcome.attempt, outcome.kind
        member = self.members.get(member_id)
        at, end = 0, len(payloads)
        while at < end:
            block = self.blocks.find(first + at)
            if (
                block is None
                or block.id != first + at
                or block.holder is not member
                or block.attempt != attempt
                or member is None
                or kind != RESULT
            ):
                payload = self.blocks.payload(payloads, at)
                one = Outcome(first + at, attempt, kind, payload)
                self._report_one(one, payload, member_id, now, refused, runs, effects)
                at += 1
                continue
            number = min(end - at, len(block.payloads))
            part = payloads if number == end else payloads[at : at + number]
            self._settle_first(block, part, member, effects)
            at += number

    def _settle_first(
        self, block: Block, results: Payloads, member: Member, effects: Effects
    ) -> None:
        """The first tasks of a block have their results, and leave."""
        number = len(results)
        self.tally.results += number
        self.tally.delivered += number
        effects.direct.append(FinishedRun(block.id, block.tag, results, member.info))
        if number == len(block.payloads):
            del member.leases[block.last]
        block.drop(number)

    def _late(
        self,
        task: Item | None,
        attempt: int,
        kind: int,
        member_id: int,
        now: float,
        task_id: int,
    ) -> Item | None:
        """Judge an outcome that is not of the current lease. Returns the task if it counts."""
        if task is None or task.state is SETTLED or kind not in OUTCOMES:
            return None
        if attempt == CURRENT and task.holder is not None and task.holder.id == member_id:
            return task
        if kind != RESULT or not CURRENT <= attempt <= task.attempt or not task.attempt:
            return None
        if isinstance(task, Block):
            task = self._apart(task, task_id)
        elif task.state is WAITING:
            task = self._withdrawn(task)
        task.note(now, f"late result of attempt {attempt} from worker {member_id}")
        return task

    def _stop_others(
        self,
        task: Task,
        member: Member | None,
        now: float,
        effects: Effects,
        *,
        always: bool = False,
    ) -> None:
        """A task gets its outcome from `member`: whoever else executes it may stop."""
        copies = self.backups.settled(task, now)
        pure = task.options is not None and task.options.pure
        if task.holder is not None and task.holder is not member and (pure or always):
            effects.orders.append((task.holder.id, task.id))
        for member_id in copies:
            if member is None or member_id != member.id:
                effects.orders.append((member_id, task.id))

    def _settle(
        self,
        task: Task,
        kind: int,
        payload: Payload,
        member: Member | None,
        runs: list[list[Task]],
        effects: Effects,
    ) -> None:
        """Give a task its outcome. What is not direct is added to runs of one tag each."""
        if task.holder is not None:
            del task.holder.leases[task.id]
            task.holder = None
        tally = self.tally
        if kind == RESULT:
            tally.results += 1
        else:
            self._count_failure(task, kind, payload, member, effects)
        task.tries = 1
        if self._retries:
            task.tries += self._retries.pop(task.id, 0)
        if self._doubts:
            self._doubts.pop(task.id, None)
        task.state = SETTLED
        task.payload = payload
        task.kind = kind
        task.suspect = False
        task.worker = member.info if member is not None else ""
        if task.direct:  # as in `_deliver`: most are
            task.state = DELIVERED
            del self.tasks[task.id]
            tally.delivered += 1
            effects.direct.append(_finished(task))
        elif runs and runs[-1][0].tag == task.tag:
            runs[-1].append(task)
        else:
            runs.append([task])

    def _count_failure(
        self, task: Task, kind: int, payload: Payload, member: Member | None, effects: Effects
    ) -> None:
        tally = self.tally
        if kind == CANCELLED:
            tally.cancelled += 1
        else:
            if kind == FAILURE:
                tally.failures += 1
            else:
                tally.given_up += 1
            worker = member.info if member is not None else ""
            what = cast("bytes", payload)  # failures are never large
            effects.failed.append((task.id, task.tag, task.payload, kind, what, worker))

    def _queue_results(self, runs: list[list[Task]], effects: Effects) -> None:
        for run in runs:
            self.results.append(run[0].tag, run)
        if runs:
            self._match_results(effects)

    def _deliver_all(self, tasks: Sequence[Item]) -> list[Finished]:
        return [self._deliver(task) for task in cast("Sequence[Task]", tasks)]

    def _deliver(self, task: Task) -> Finished:
        task.state = DELIVERED
        del self.tasks[task.id]
        self.tally.delivered += 1
        if not task.direct:
            self._close(task.tag)
        return _finished(task)

    def _close(self, tag: str) -> None:
        """One task less of this tag is to be collected."""
        left = self.open_tags[tag] - 1
        if left:
            self.open_tags[tag] = left
        else:
            del self.open_tags[tag]

    def _count_refused(self, task_id: int) -> None:
        if 0 < task_id < self._next_task:
            self.tally.duplicates += 1
        else:
            self.tally.unknown += 1

    def _match_results(self, effects: Effects) -> None:
        for claim, tasks in self.results.match(
            lambda claim: self.results.take(claim.filter, claim.want)
        ):
            effects.results.append((claim.id, self._deliver_all(tasks)))
