"""What must be true of a history, known from outside: from who did what, not from the scheduler."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from blocks import each_finished, each_lease, each_outcome
from masterworker.core.member import MISSED_HEARTBEATS
from masterworker.core.overdue import GRACE, HEARTBEAT
from masterworker.core.reports import CURRENT
from masterworker.core.task import (
    AGAIN,
    CANCELLED,
    FAILURE,
    LOST,
    RESULT,
    Finished,
    Lease,
    Outcome,
    State,
)
from masterworker.wire import CANCEL
from simulation.swarm import FURTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from masterworker.core.member import Member
    from masterworker.core.options import Options
    from masterworker.core.scheduler import Scheduler
    from masterworker.core.task import Task
    from masterworker.wire import Ending
    from simulation.kernel import Process
    from simulation.worker import SimWorker


class Violation(AssertionError):
    """Something happened that must not happen."""


class Oracle:
    """Watches every step of a history.

    Args:
        core: The scheduler, for what it has been told and not for what it believes.
        trace: Takes note of what happens.
    """

    def __init__(self, core: Scheduler, trace: Callable[[str], None]) -> None:
        self.core = core
        self.trace = trace
        #: What is known of each task: what workers have really produced, the outcome that was
        #: accepted, the one that left the scheduler, the one that arrived.
        self.produced_by: dict[int, list[tuple[int, bytes]]] = {}
        self._accepted: dict[int, tuple[int, bytes]] = {}
        self._left: dict[int, Finished] = {}
        self.arrived: dict[int, Finished] = {}
        self._receivers: dict[int, Process | None] = {}
        self.asked = 0
        self._options: dict[int, Options | None] = {}
        self._retries: dict[int, int] = {}
        self._payloads: dict[bytes, None] = {}
        self._unsure: dict[bytes, None] = {}
        self._attempts: dict[int, int] = {}
        self._given: dict[tuple[int, int], int] = {}
        self._handed_at: dict[tuple[int, int], float] = {}
        self._done: dict[tuple[int, str], None] = {}
        self._joined: dict[int, float] = {}
        self._heard: dict[int, float] = {}
        #: Who has ever had it in hand; in how many processes that died it was executing.
        self._held: dict[int, list[int]] = {}
        self._deaths: dict[int, dict[str, None]] = {}
        #: Which member has begun it, and which members had only one task when they were lost.
        self._begun: dict[tuple[int, int | None], None] = {}
        self._single: dict[int, None] = {}
        self._strikes_to_check = False
        #: How many orders to stop a task a process has not been told.
        self._ordered: dict[tuple[int, int], int] = {}
        #: Members whose connections broke, who they are, and who each process is by now.
        self._broken: dict[int, None] = {}
        self._client_of: dict[int, str] = {}
        #: Which attempts have begun; for which tasks a caller waits that wants them cancelled.
        self._executed: set[tuple[int, int]] = set()
        self._asked_back: Counter[int] = Counter()
        self._member_of: dict[str, int] = {}

    # -- requests ---------------------------------------------------------------------------

    def requested(
        self, first: int, tag: str, payloads: list[bytes], direct: bool, options: Options | None
    ) -> None:
        """The scheduler has been asked for tasks."""
        for number, payload in enumerate(payloads):
            if payload in self._payloads and payload not in self._unsure:
                raise Violation(f"one request was carried out twice: {payload!r}")
            self._payloads[payload] = None
            self._options[first + number] = options
        self.asked += len(payloads) if tag != FURTHER else 0
        self.trace(f"requested: {len(payloads)} {tag} from {first}, {direct=}, {options}")

    def unsure(self, payloads: list[bytes]) -> None:
        """A client has given up asking for tasks, which may or may not have been asked for."""
        for payload in payloads:
            self._unsure[payload] = None

    def cancelled(
        self, task_ids: list[int], held: list[tuple[int, int]], orders: list[tuple[int, int]]
    ) -> None:
        """The scheduler says that these are cancelled now; whoever held one has to be told."""
        for order in held:
            if order[1] in task_ids and order not in orders:
                raise Violation(f"member {order[0]} is not told that task {order[1]} is cancelled")
        self.trace(f"cancelled: {task_ids}")
        for task in task_ids:
            self._accept(task, CANCELLED, b"")

    def asks_back(self, task_ids: Sequence[int]) -> None:
        """A caller wants these tasks cancelled if they have not begun, and waits."""
        self._asked_back.update(task_ids)

    def dropped(self, member: int, task_ids: Sequence[int]) -> None:
        """Tasks are cancelled since their worker has given them back, as it was asked to."""
        for task in task_ids:
            if (task, self._attempts[task]) in self._executed:
                raise Violation(f"task {task} is cancelled as not begun, and {member} has begun")
            if self._asked_back[task] < 1:
                raise Violation(
                    f"task {task} is cancelled after its caller was told that it is not"
                )

    def answered(self, task_ids: Sequence[int], cancelled: Sequence[int]) -> None:
        """The caller is told which of these tasks never run."""
        self._asked_back.subtract(task_ids)
        self.trace(f"asked back: {task_ids}, cancelled: {cancelled}")
        for task in cancelled:
            if self._accepted.get(task, (None,))[0] != CANCELLED:
                raise Violation(f"task {task} is not cancelled, and its caller is told that it is")

    # -- who does what ----------------------------------------------------------------------

    def joined(self, member: int, client: str, now: float) -> None:
        """A process is registered, once."""
        twins = [m.id for m in self.core.members.values() if m.info == client and m.id != member]
        if twins:
            raise Violation(f"{client} is registered as {twins} and as {member}")
        self._strikes_to_check = True
        self._joined[member] = now
        self._client_of[member] = client
        self._member_of[client] = member
        self.trace(f"{client} joined as {member}")

    def handed_out(self, member: int, leases: Sequence[Lease], now: float) -> None:
        """The scheduler hands out leases."""
        known = self.core.members.get(member)
        for lease in each_lease(leases):
            task, attempt, tag = lease.task_id, lease.attempt, lease.tag
            if known is not None and (known.filter is None or not known.filter.accepts(tag)):
                raise Violation(f"{member} is given task {task}, and cannot do {tag!r}")
            if task in self._accepted:
                raise Violation(f"task {task} is handed out after it was settled")
            if attempt != self._attempts.get(task, 0) + 1:
                raise Violation(f"task {task} is handed out as attempt {attempt}: not the next one")
            self._attempts[task] = attempt
            self._given[task, attempt] = member
            self._handed_at[task, attempt] = now
            self._held.setdefault(task, []).append(member)

    def ordered(self, member: int, task: int) -> None:
        """The scheduler wants a process to stop executing a task."""
        self._ordered[member, task] = self._ordered.get((member, task), 0) + 1

    def told(self, member: int, orders: Sequence[tuple[str, int]]) -> None:
        """A process is told orders: each as often as it was given."""
        for order, task in orders:
            if order == CANCEL:
                self._ordered[member, task] = self._ordered.get((member, task), 0) - 1
                if self._ordered[member, task] < 0:
                    raise Violation(f"member {member} is told twice to stop task {task}")

    def begun(self, member: int, task: int) -> None:
        """The scheduler takes it for begun, although the lease may never arrive."""
        self._begun[task, member] = None

    def executes(self, lease: Lease, worker: SimWorker) -> None:
        """A worker begins with a task: one that it has been given since it joined, and not done."""
        task, attempt = lease.task_id, lease.attempt
        if self._given.get((task, attempt)) != worker.member:
            raise Violation(f"{worker.client} executes a lease that is not its own: {lease}")
        self._begun[task, worker.member] = None
        self._executed.add((task, attempt))
        if (task, worker.client) in self._done:
            raise Violation(f"{worker.client} executes task {task} again, which it has done")
        self.trace(f"{worker.client} ({worker.member}) executes {lease}")

    def is_open(self, task: int, attempt: int) -> bool:
        """Return whether a task has no outcome yet, and this attempt of it is the only one."""
        return task not in self._accepted and self._attempts[task] == attempt == 1

    def produced(self, task: int, kind: int, payload: bytes, client: str) -> None:
        """A worker has really come to this."""
        if kind == RESULT:
            self._done[task, client] = None
        self.produced_by.setdefault(task, []).append((kind, payload))

    def died(self, worker: SimWorker, why: str) -> None:
        """A worker process has ended, just like that."""
        current = worker.hand.current
        if current:
            self._deaths.setdefault(current, {})[worker.client] = None
        self.trace(f"{worker.client} dies ({why}), executing {current}")

    def disconnected(self, member: int) -> None:
        """The manager was told that a connection has closed."""
        self._broken[member] = None
        self._note_single(self.core.members.get(member))
        self.trace(f"connection of {member} closed")

    def spoke(self, member: int, now: float) -> None:
        """Something of a worker has been read."""
        if member in self.core.members:
            self._heard[member] = now

    def stood_still(self, seconds: float, now: float) -> None:
        """The master has stood still for so long that nobody is to pay for it.

        What has come meanwhile has not been read, perhaps. Half a heartbeat counts all the same.
        """
        for member in self.core.members.values():
            if member.heartbeat is not None:
                excused = max(0.0, seconds - member.heartbeat / 2)
                heard = self._heard.get(member.id, self._joined[member.id])
                self._heard[member.id] = min(now, heard + excused)

    def lost(self, member: Member, reason: str, now: float) -> None:
        """The scheduler has taken somebody out."""
        self.trace(f"{member.id} lost: {reason}")
        self._note_single(member)
        if reason.startswith("silent") and member.heartbeat is not None:
            silent = now - self._heard.get(member.id, self._joined[member.id])
            if silent < MISSED_HEARTBEATS * member.heartbeat - 0.001:
                raise Violation(f"{member.id} spoke {silent:.3f} s ago, and is lost: {reason}")

    def _note_single(self, member: Member | None) -> None:
        self._strikes_to_check = True
        if member is not None and member.in_hand <= 1:
            self._single[member.id] = None

    def explained(self, ending: Ending) -> None:
        """A supervisor's report has arrived."""
        self.trace(f"end of {ending.member_id} explained: task {ending.task_id}")

    # -- outcomes ---------------------------------------------------------------------------

    def reported(self, outcomes: Sequence[Outcome], refused: list[int]) -> None:
        """The scheduler has judged outcomes."""
        left = list(refused)
        self.trace(f"reported {outcomes}, refused {refused}")
        for outcome in each_outcome(outcomes):
            task, attempt, kind = outcome.task_id, outcome.attempt, outcome.kind
            payload = outcome.payload
            if task in left:
                left.remove(task)
                continue
            if (kind, payload) not in self.produced_by.get(task, ()):
                raise Violation(f"nobody produced this outcome of task {task}: {payload!r}")
            if kind != RESULT and attempt not in {CURRENT, self._attempts[task]}:
                raise Violation(f"a failure of attempt {attempt} settled task {task}")
            if kind == AGAIN and self._to_be_tried_again(task):
                continue
            self._accept(task, FAILURE if kind == AGAIN else kind, payload)

    @contextlib.contextmanager
    def watching_limits(self, now: float) -> Iterator[None]:
        """Within this the scheduler may find tasks whose time limit nobody has heeded."""
        overdue = self.core.dispatch.overdue
        look = overdue.look
        overdue.look = lambda *args: self._out_of_time(look(*args), now)  # type: ignore[method-assign]
        try:
            yield
        finally:
            del overdue.look

    def _out_of_time(self, found: tuple[list[Task], list[Task]], now: float) -> Any:
        late, _ = found
        for task in late:
            options = self._options[task.id]
            limit = None if options is None else options.timeout
            handed = self._handed_at.get((task.id, task.attempt), now)
            if limit is None or now - handed < limit + GRACE + HEARTBEAT - 0.001:
                raise Violation(f"task {task.id} is timed out {now - handed:.3f} s after its lease")
            self.trace(f"{task.id} is out of time")
            if not self._to_be_tried_again(task.id):
                self._accept(task.id, FAILURE, b"")
        return found

    def _to_be_tried_again(self, task: int) -> bool:
        options = self._options[task]
        retries = self._retries.get(task, 0)
        if task in self._accepted or options is None or retries >= options.retries:
            return False
        self._retries[task] = retries + 1
        return True

    def _accept(self, task: int, kind: int, payload: bytes) -> None:
        if task in self._accepted:
            raise Violation(f"a second outcome of task {task} was accepted")
        self._accepted[task] = kind, payload

    def left(self, outcomes: Sequence[Finished]) -> None:
        """Outcomes have left the scheduler."""
        for outcome in each_finished(outcomes):
            task = outcome.task_id
            if task in self._left:
                raise Violation(f"task {task} was delivered twice")
            self._left[task] = outcome
            if outcome.kind == LOST:
                self._judge_loss(task)
            elif self._accepted.get(task) != (outcome.kind, outcome.payload):
                raise Violation(f"not what was accepted for task {task}: {outcome}")

    def _judge_loss(self, task: int) -> None:
        """It was given up: were there as many processes that ended in it, as far as is known?"""
        if self._accepted.get(task, (LOST, b""))[0] != LOST:
            raise Violation(f"task {task} has an outcome, and was given up as well")
        if task not in self._accepted:
            self._accepted[task] = LOST, b""
            guilty = self._guilty_of(task)
            if len(guilty) < self.core.crashes.max_losses:
                raise Violation(f"task {task} was given up, but only {guilty} died of it")

    def _guilty_of(self, task: int) -> list[str]:
        """Name the processes whose end may have been its fault.

        It died with it in execution; or its connection broke, it never came back, and the task had
        been begun by it or was all that it had.
        """
        guilty = dict(self._deaths.get(task, {}))
        for member in self._held.get(task, ()):
            client = self._client_of[member]
            begun = (task, member) in self._begun or member in self._single
            if member in self._broken and self._member_of[client] == member and begun:
                guilty[client] = None
        return list(guilty)

    def ticked(self) -> None:
        """The scheduler has looked at the clock, and may have given something up."""
        self._strikes_to_check = True

    def check_strikes(self) -> None:
        """No task has more strikes than there are processes that may have died of it."""
        if self._strikes_to_check:
            self._strikes_to_check = False
            for task in self.core.tasks.values():
                if not task.losses or task.id in self._accepted:
                    continue
                if task.state is State.SETTLED:
                    self._judge_loss(task.id)
                elif len(task.losses) > len(self._guilty_of(task.id)):
                    raise Violation(f"task {task.id} got a strike that it did not earn")

    def came_back(self, outcomes: list[Finished]) -> None:
        """Outcomes are taken back, since the one who asked is gone."""
        self.trace(f"came back: {outcomes}")
        for outcome in outcomes:
            self._left.pop(outcome.task_id, None)

    def received(self, outcome: Finished, by: Process | None = None) -> None:
        """An outcome has arrived where it was asked for: once, unless that process has died."""
        self.trace(f"arrived: {outcome}")
        before = self._receivers.get(outcome.task_id)
        if outcome.task_id in self._receivers and (before is None or before.alive):
            raise Violation(f"task {outcome.task_id} arrived twice")
        if self._left.get(outcome.task_id) != outcome:
            raise Violation(f"arrived, but never left: {outcome}")
        if outcome.tag != FURTHER:
            self.arrived[outcome.task_id] = outcome
        self._receivers[outcome.task_id] = by
