"""Outcomes from their acceptance to their delivery.

Each task gets one outcome and no more. What was requested as direct leaves at once; the rest waits
in queues of its own until it is collected.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, cast

from masterworker.core.keeping import Keeping
from masterworker.core.task import CANCELLED, LOST, RESULT, Finished, State, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from masterworker.core.blocks import Block, Item
    from masterworker.core.crashes import CrashPolicy
    from masterworker.core.further import FurtherTasks
    from masterworker.core.member import Member
    from masterworker.core.member_table import MemberTable
    from masterworker.core.outbox import Outbox
    from masterworker.core.retries import Retries
    from masterworker.core.task import Payload, Payloads
    from masterworker.core.task_queues import TaskQueues
    from masterworker.core.task_table import TaskTable

SETTLED, DELIVERED = State.SETTLED, State.DELIVERED
_NO_FAILURES = (RESULT, CANCELLED)


class Settlement:
    """Gives tasks their outcomes, and outcomes to those that ask for them.

    Args:
        table: The tasks.
        members: The processes in whose hands they are.
        results: The queues of outcomes that are to be collected.
        further: Which of them are kept for which task.
        retries: Learns which tasks have their outcome.
        crashes: The same.
        out: Is given what leaves.
        keeps: Outcomes are kept elsewhere before anything tells of them.
    """

    def __init__(
        self,
        table: TaskTable,
        members: MemberTable,
        results: TaskQueues,
        further: FurtherTasks,
        retries: Retries,
        crashes: CrashPolicy,
        out: Outbox,
        *,
        keeps: bool = False,
    ) -> None:
        self._table = table
        self._members = members.members
        self.results = results
        self._further = further
        self._retries = retries
        self._crashes = crashes
        self._out = out
        self._keeps = keeps
        #: What is settled, and not kept yet.
        self.keeping = Keeping(out)
        self._any_tag = results.use_filter(None)
        #: Settled in this event, and not queued yet.
        self.settled: list[Task] = []

    def settle(
        self, task: Task, kind: int, payload: Payload, member: Member | None, worker: str = ""
    ) -> None:
        """Give a task its outcome. `flush` has to follow in the same event."""
        if task.holder is not None:
            del self._members[task.holder].leases[task.id]
            task.holder = None
        task.tries = self._retries.settled(task)
        self._crashes.settled(task)
        parameters, task.payload = task.payload, payload
        task.state = SETTLED
        task.kind = kind
        task.suspect = False
        task.worker = member.info if member is not None else worker
        if self._further.parents:
            self._further.ended(task.id, task.id)
        if self._keeps and kind != CANCELLED:
            self.keeping.add(task, parameters)
        else:
            self._tell(task, parameters)

    def settle_first(self, block: Block, results: Payloads, member: Member) -> None:
        """The first tasks of a block have their results."""
        done = Finished(block.id, block.tag, RESULT, results, member.info)
        number = len(results)
        if self._keeps:
            self.keeping.add_several(done, block.payloads[:number])
        else:
            self._tell_several(done)
        if number == len(block.payloads):
            del member.leases[block.last]
        if self._further:
            self._further.ended(block.id, block.id + number - 1)
        block.drop(number)

    def tried_again(self, task: Task) -> None:
        """An attempt has failed, and is not the last one: what it has asked for is for all."""
        self._further.ended(task.id, task.id)

    def kept(self, number: int) -> None:
        """The first outcomes that wait to be kept are. `flush` has to follow in the same event.

        Args:
            number: How many entries of `Effects.unkept`.
        """
        for entry in self.keeping.take(number):
            if isinstance(entry, Finished):
                self._tell_several(entry)
            else:
                self._tell(*entry)

    def recall(
        self, tag: str, first: int, kind: int, worker: str, payloads: Payloads, *, direct: bool
    ) -> None:
        """Tasks are asked for whose outcomes are kept. `flush` has to follow in the same event.

        Args:
            tag: Their tag.
            first: The id of the first.
            kind: Of their outcomes.
            payloads: Of their outcomes.
            worker: Which process delivered them.
            direct: They leave at once.
        """
        number, tally = len(payloads), self._out.tally
        tally.submitted += number
        self._out.recorder.of(tag).asked += number
        if direct:
            self._count(tag, kind, number)
            tally.delivered += number
            done = Finished(first, tag, kind, payloads, worker)
            self._out.effects.direct.append(done)
            return
        tasks = []
        for task_id, payload in enumerate(self._table.blocks.one_by_one(payloads), first):
            task = Task(task_id, tag, payload, direct=False, state=SETTLED)
            task.kind, task.worker = kind, worker
            tasks.append(task)
        self._count(tag, kind, number)
        self._table.add(tag, tasks)
        self.settled += tasks

    def flush(self) -> None:
        """Queue what has been settled, and serve those that wait for it."""
        further = self._further
        settled, self.settled = self.settled, []
        if further:
            further.arrived(settled)
        freed, further.freed = further.freed, []
        for lane, tag in freed:
            self.results.merge(lane, tag)
        for key, run in groupby(settled, further.lane_of):
            self.results.append(key, run)
        self._match()

    def collect(
        self, member: Member, want: int, tag: str | None, lanes: frozenset[str]
    ) -> tuple[list[Finished], int | None]:
        """Return outcomes; or none, and the id of a claim that waits for some.

        Args:
            member: The process that collects.
            want: How many, at most.
            tag: Only those of this tag; None: of any.
            lanes: Only those that are kept here, where these are any.
        """
        if tag is not None and not lanes:
            lanes = frozenset((tag,))
        wanted = self.results.use_filter(lanes) if lanes else self._any_tag
        try:
            tasks = self.results.take(wanted, want)
            if tasks:
                return self._deliver_all(tasks), None
            return [], self.results.claims.park(member, want, wanted)
        finally:
            if lanes:
                self.results.release(wanted)

    def put_back(self, outcomes: Sequence[Finished]) -> None:
        """Outcomes did not reach their collector: back to the very front, for the next one."""
        items: list[Item] = []
        for done in outcomes:
            if self._table.find(done.task_id) is not None:
                continue
            task = Task(done.task_id, done.tag, done.payload, direct=False, state=SETTLED)
            task.kind, task.worker, task.tries = done.kind, done.worker, done.attempts
            self._table.add(task.tag, [task])
            self._further.delivered(task.id, task.tag, -1)
            items.append(task)
        self._out.tally.delivered -= len(items)
        self.results.put_back(items)
        self._match()

    def discard(self, task: Task) -> None:
        """The outcome of a settled task that waits is not wanted."""
        self.results.withdraw(task)
        self._deliver(task)

    def check(self) -> Iterator[tuple[str, int]]:
        """Yield each invariant that does not hold, and the task for which it does not."""
        for task in self.settled:
            yield "settled, and in no queue", task.id
        waiting = {item.id for item in self.results.items()}
        for task in self._table.tasks.values():
            unkept = task in self.keeping
            if (task.id in waiting or unkept) != (task.state is SETTLED):
                yield "settled", task.id
            if task.id in waiting and unkept:
                yield "told before it is kept", task.id

    def _tell(self, task: Task, parameters: Payload) -> None:
        """The outcome of a task leaves, or waits to be collected."""
        self._count(task.tag, task.kind, 1)
        if task.kind not in _NO_FAILURES:
            what = cast("bytes", task.payload)  # failures are never large
            call = task.id, task.tag, parameters, task.kind, what, task.worker
            self._out.effects.failed.append(call)
            self._out.recorder.failed(task.tag, task.kind, what, task.id, task.worker)
        if task.direct:
            self._out.effects.direct.append(self._deliver(task))
        else:
            self.settled.append(task)

    def _tell_several(self, done: Finished) -> None:
        """Results of tasks in a row leave."""
        number, tally = len(done.payloads), self._out.tally
        tally.results += number
        tally.delivered += number
        self._out.recorder.of(done.tag).done += number
        self._out.effects.direct.append(done)

    def _match(self) -> None:
        for claim, tasks in self.results.match(
            lambda claim: self.results.take(claim.filter, claim.want)
        ):
            self._out.effects.results.append((claim.id, self._deliver_all(tasks)))

    def _deliver_all(self, tasks: Sequence[Item]) -> list[Finished]:
        return [self._deliver(task) for task in cast("Sequence[Task]", tasks)]

    def _deliver(self, task: Task) -> Finished:
        task.state = DELIVERED
        del self._table.tasks[task.id]
        self._out.tally.delivered += 1
        if not task.direct:
            self._table.close(task.tag)
        if self._further.parents:
            self._further.delivered(task.id, task.tag)
        return Finished(task.id, task.tag, task.kind, [task.payload], task.worker, task.tries)

    def _count(self, tag: str, kind: int, number: int) -> None:
        tally, figures = self._out.tally, self._out.recorder.of(tag)
        if kind == RESULT:
            tally.results += number
            figures.done += number
        elif kind == CANCELLED:
            tally.cancelled += number
            figures.cancelled += number
        elif kind == LOST:
            tally.given_up += number
            figures.failed += number
        else:
            tally.failures += number
            figures.failed += number
