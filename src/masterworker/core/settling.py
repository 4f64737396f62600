"""The second half of the scheduler: outcomes, from their report to their delivery.

Each task gets one outcome and no more, whoever reports what and when. What was requested as direct
leaves at once; the rest waits in `results` until somebody collects it.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from masterworker.core.effects import Effects, Tally
from masterworker.core.lanes import Lanes
from masterworker.core.task import FAILURE, RESULT, Finished, Outcome, State, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker.core.member import Member

WAITING, LEASED = State.WAITING, State.LEASED
SETTLED, DELIVERED = State.SETTLED, State.DELIVERED

#: An attempt number that stands for the current attempt, for callers that know only task ids.
CURRENT = 0

#: What a worker can say of a task; that it is lost only the scheduler can.
OUTCOMES = frozenset((RESULT, FAILURE))

#: Makes a named tuple in half the time that its class takes.
_new = tuple.__new__


class Settling:
    """The state of a job, and what happens to outcomes. See `Scheduler`, which adds the rest."""

    def __init__(self) -> None:
        self.tasks: dict[int, Task] = {}
        self.members: dict[int, Member] = {}
        claim_ids = count(1)
        self.waiting = Lanes(WAITING, claim_ids)
        self.results = Lanes(SETTLED, claim_ids)
        self._any_result = self.results.view(None)
        self.tally = Tally()
        #: Tasks that are to be collected and have not been yet, by tag.
        self.open_tags: dict[str, int] = {}
        self.terminated = False
        self._next_task = 1
        self._next_member = 0
        self._workers = 0

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
        member = self.members.get(member_id)
        tasks = self.tasks
        for task_id, attempt, kind, payload in outcomes:
            task = tasks.get(task_id)
            if (
                task is None
                or task.holder is not member
                or task.attempt != attempt
                or member is None
                or kind not in OUTCOMES
            ):
                task = self._late(task, attempt, kind, member_id, now)
                if task is None:
                    self._count_refused(task_id)
                    refused.append(task_id)
                    continue
            self._settle(task, kind, payload, member, runs, effects)
        self._queue_results(runs, effects)
        return refused, effects

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
        view = self._any_result if tag is None else self.results.view(frozenset((tag,)))
        try:
            tasks = self.results.take(view, want)
            if tasks:
                return [self._deliver(task) for task in tasks], None
            return [], self.results.park(member, want, view)
        finally:
            if tag is not None:
                self.results.release(view)

    def on_undelivered(self, outcomes: Sequence[Finished]) -> Effects:
        """Outcomes did not reach the one who asked: back to the very front, for the next one."""
        items = []
        for task_id, tag, kind, payload, worker in outcomes:
            if task_id in self.tasks:
                continue
            task = Task(task_id, tag, payload, direct=False, state=SETTLED)
            task.kind, task.worker = kind, worker
            self.tasks[task_id] = task
            self.open_tags[tag] = self.open_tags.get(tag, 0) + 1
            items.append(task)
        self.tally.delivered -= len(items)
        self.results.put_back(items)
        effects = Effects()
        self._match_results(effects)
        return effects

    # -- inside -----------------------------------------------------------------------------

    def _late(
        self, task: Task | None, attempt: int, kind: int, member_id: int, now: float
    ) -> Task | None:
        """Judge an outcome that is not of the current lease. Returns the task if it counts."""
        if task is None or task.state is SETTLED or kind not in OUTCOMES:
            return None
        if attempt == CURRENT and task.holder is not None and task.holder.id == member_id:
            return task
        if kind != RESULT or not CURRENT <= attempt <= task.attempt or not task.attempt:
            return None
        task.note(now, f"late result of attempt {attempt} from worker {member_id}")
        if task.state is not WAITING:
            return task
        # It stays in its queue as a withdrawn item, which must keep its place; so what goes on
        # from here is another object.
        self.waiting.withdraw()
        settled = self.tasks[task.id] = Task(task.id, task.tag, b"", task.direct)
        settled.attempt, settled.notes, settled.losses = task.attempt, task.notes, task.losses
        task.state, task.payload = DELIVERED, b""
        settled.state = LEASED
        return settled

    def _settle(
        self,
        task: Task,
        kind: int,
        payload: bytes,
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
        elif kind == FAILURE:
            tally.failures += 1
        else:
            tally.given_up += 1
        task.state = SETTLED
        task.payload = payload
        task.kind = kind
        task.suspect = False
        task.worker = member.info if member is not None else ""
        if task.direct:
            effects.direct.append(self._deliver(task))
        elif runs and runs[-1][0].tag == task.tag:
            runs[-1].append(task)
        else:
            runs.append([task])

    def _queue_results(self, runs: list[list[Task]], effects: Effects) -> None:
        for run in runs:
            self.results.append(run[0].tag, run)
        if runs:
            self._match_results(effects)

    def _deliver(self, task: Task) -> Finished:
        task.state = DELIVERED
        del self.tasks[task.id]
        self.tally.delivered += 1
        if not task.direct:
            left = self.open_tags[task.tag] - 1
            if left:
                self.open_tags[task.tag] = left
            else:
                del self.open_tags[task.tag]
        return _new(Finished, (task.id, task.tag, task.kind, task.payload, task.worker))

    def _count_refused(self, task_id: int) -> None:
        if 0 < task_id < self._next_task:
            self.tally.duplicates += 1
        else:
            self.tally.unknown += 1

    def _match_results(self, effects: Effects) -> None:
        for claim, tasks in self.results.match(lambda want: want):
            effects.results.append((claim.id, [self._deliver(task) for task in tasks]))
