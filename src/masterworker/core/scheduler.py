"""The scheduler: the whole state of a job, and every decision about it.

A plain state machine. One method for each thing that can happen, and no other way to change
anything. Most are batch-shaped; each takes the time as an argument and returns what is to be
done about it. No threads, sockets, clocks, randomness or logging may ever live here, so the same
calls always give the same answers.

What comes from outside never raises: a late, repeated or false report is an ordinary event that
is judged, counted and answered.

    requested                 taken by a claim             reported
    ---------> [waiting] ----------------------> leases ------------> [results] ----> delivered
                   ^                                 |
                   +-- very front -- returned, lost -+
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from masterworker.core.effects import NOTHING, Effects, Tally
from masterworker.core.lanes import Lanes
from masterworker.core.member import Member
from masterworker.core.task import FAILURE, LOST, RESULT, Finished, Lease, Outcome, State, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WAITING, LEASED, STARTED = State.WAITING, State.LEASED, State.STARTED
SETTLED, DELIVERED = State.SETTLED, State.DELIVERED

#: A task that was executing in so many processes that ended is not tried again (three, as in
#: Dask and Ray; HyperQueue takes five).
MAX_LOSSES = 3

#: The clock ticks at least this often (seconds) while somebody is watched, and ...
TICK = 1.0
#: ... a gap of this many seconds between ticks means that this process itself stood still.
STOOD_STILL = 3.0

#: An attempt number that stands for the current attempt, for callers that know only task ids.
CURRENT = 0


class Scheduler:
    """All state of one job.

    Args:
        max_losses: After so many workers have ended while executing a task, it is given up.

    Not thread-safe: the caller holds one lock around every call.
    """

    def __init__(self, max_losses: int = MAX_LOSSES) -> None:
        self.max_losses = max_losses
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
        self._deadlines: list[tuple[float, int]] = []
        self._last_tick: float | None = None

    # -- processes --------------------------------------------------------------------------

    def on_joined(
        self,
        info: str,
        tags: frozenset[str] | None,
        heartbeat: float | None,
        now: float,
    ) -> int:
        """Register a process.

        Args:
            info: One line that says who it is.
            tags: What it can execute. None: every tag that is not a call of a function; empty:
                nothing.
            heartbeat: Seconds between its signs of life; None: it is not watched.
            now: Seconds on a monotonic clock.

        Returns:
            Its process id, which is never used again. The first is 0.
        """
        view = None if tags is not None and not tags else self.waiting.view(tags)
        member = Member(self._next_member, info, view, heartbeat, now)
        self._next_member += 1
        self._workers += view is not None
        self.members[member.id] = member
        if member.deadline is not None:
            heappush(self._deadlines, (member.deadline, member.id))
            if self._last_tick is None:
                self._last_tick = now
        return member.id

    def on_heard(self, member_id: int, now: float) -> bool:
        """Something came from a process. False: it is not registered (any more)."""
        member = self.members.get(member_id)
        if member is None:
            return False
        member.heard = now
        return True

    def on_left(self, member_id: int, now: float) -> Effects:
        """A process signs off. What it holds goes back to the front; no blame."""
        member = self.members.get(member_id)
        if member is None:
            return NOTHING
        effects = self._remove(member)
        held = list(member.leases.values())
        self.tally.returned += len(held)
        return self._requeue(held, f"given back by worker {member.id} as it left", now, effects)

    def on_lost(self, member_id: int, reason: str, now: float, *, blame: bool = True) -> Effects:
        """A process is gone without a word.

        Args:
            member_id: Which one. One that is not registered is no error.
            reason: Why we think so, as text for the tasks' stories.
            now: Seconds on the monotonic clock.
            blame: Its process may have ended because of what it executed. False where only the
                network is known to be silent.
        """
        member = self.members.get(member_id)
        if member is None:
            return NOTHING
        self.tally.lost_members += 1
        effects = self._remove(member)
        effects.lost.append((member, reason))
        held = list(member.leases.values())
        self.tally.requeued += len(held)
        if blame and held:
            self._blame(held, f"{member.info}: {reason}", now, effects)
        held = [task for task in held if task.state is not SETTLED and task.state is not DELIVERED]
        return self._requeue(held, f"worker {member.id} lost: {reason}", now, effects)

    # -- tasks ------------------------------------------------------------------------------

    def on_requested(
        self, tag: str, payloads: Sequence[bytes], *, direct: bool = False
    ) -> tuple[int, Effects]:
        """Tasks of one tag are asked for.

        Returns:
            The id of the first; the others count up from it. Ids are never used again.
        """
        first = task_id = self._next_task
        items = []
        tasks = self.tasks
        for payload in payloads:
            task = tasks[task_id] = Task(task_id, tag, payload, direct)
            items.append(task)
            task_id += 1
        self._next_task = task_id
        self.tally.submitted += len(items)
        if not direct:
            self.open_tags[tag] = self.open_tags.get(tag, 0) + len(items)
        self.waiting.append(tag, items)
        return first, self._match_tasks() if self.waiting.claims else NOTHING

    def on_fetch(
        self, member_id: int, want: int, now: float, tag: str | None = None
    ) -> tuple[list[Lease], int | None]:
        """A process asks for tasks.

        Args:
            member_id: Who asks. One that is not registered gets nothing.
            want: The most tasks that it wants.
            now: Seconds on the monotonic clock.
            tag: Only tasks of this tag; None: of all tags that it has declared.

        Returns:
            Leases; or none, and the id of a claim that waits for some.
        """
        member = self.members.get(member_id)
        if member is None or member.view is None or want < 1 or self.terminated:
            return [], None
        member.heard = now
        view = member.view if tag is None else self.waiting.view(frozenset((tag,)))
        try:
            tasks = self.waiting.take(view, self._share(want))
            if tasks:
                return self._lease(member, tasks), None
            return [], self.waiting.park(member, want, view)
        finally:
            if tag is not None:
                self.waiting.release(view)

    def on_started(self, member_id: int, task_id: int, now: float) -> None:
        """A process says which of its leases it is executing right now."""
        task = self.tasks.get(task_id)
        if task is None or task.state is not LEASED:
            return
        if task.holder is not None and task.holder.id == member_id:
            task.state = STARTED
            task.note(now, f"executing in worker {member_id}")

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
        finished: dict[str, list[Task]] = {}
        member = self.members.get(member_id)
        tasks = self.tasks
        for task_id, attempt, kind, payload in outcomes:
            task = tasks.get(task_id)
            if task is None or task.state is SETTLED:
                self._count_refused(task_id)
                refused.append(task_id)
                continue
            holder = task.holder
            if holder is None or holder is not member or attempt not in (task.attempt, CURRENT):
                if kind != RESULT or attempt > task.attempt:
                    self._count_refused(task_id)
                    refused.append(task_id)
                    continue
                task.note(now, f"late result of attempt {attempt} from worker {member_id}")
            self._settle(task, kind, payload, member, finished, effects)
        if finished:
            for tag, done in finished.items():
                self.results.append(tag, done)
            self._match_results(effects)
        return refused, effects

    def on_returned(self, member_id: int, task_ids: Iterable[int], now: float) -> Effects:
        """A process gives back leases that it has not finished: to the very front, no blame."""
        member = self.members.get(member_id)
        if member is None:
            return NOTHING
        held = [task for i in task_ids if (task := member.leases.pop(i, None)) is not None]
        self.tally.returned += len(held)
        return self._requeue(held, f"given back by worker {member_id}", now, Effects())

    # -- results ----------------------------------------------------------------------------

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

    # -- claims, time, end ------------------------------------------------------------------

    def on_unparked(self, claim_id: int) -> bool:
        """A claim does not wait any longer. False: it has been served or dropped already."""
        return self.waiting.unpark(claim_id) or self.results.unpark(claim_id)

    def on_tick(self, now: float) -> Effects:
        """Time has passed: find the processes that have been silent for too long.

        When this process itself stood still (suspended, stopped), the signs of life that came
        meanwhile have not been read yet, so everybody gets one full period of grace.
        """
        if self._last_tick is not None and now - self._last_tick > STOOD_STILL:
            for watched in self.members.values():
                watched.heard = now
        self._last_tick = now
        effects = Effects()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, member_id = heappop(self._deadlines)
            member = self.members.get(member_id)
            if member is None or member.deadline is None or member.heartbeat is None:
                continue
            if member.deadline > now:
                heappush(self._deadlines, (member.deadline, member_id))
                continue
            silence = now - member.heard
            more = self.on_lost(member_id, f"silent for {silence:.1f} s", now, blame=False)
            effects.add(more)
        if not self._deadlines:
            self._last_tick = None
        return effects

    def next_deadline(self) -> float | None:
        """When `on_tick` is due next, on the same clock; None: not before something happens."""
        if not self._deadlines or self._last_tick is None:
            return None
        return min(self._deadlines[0][0], self._last_tick + TICK)

    def on_terminated(self) -> list[int]:
        """The job ends: nothing more is handed out. Returns the claims that waited."""
        self.terminated = True
        return self.waiting.unpark_all() + self.results.unpark_all()

    # -- inside -----------------------------------------------------------------------------

    def _share(self, want: int) -> int:
        """Cap a claim (guided self-scheduling: Polychronopoulos & Kuck 1987).

        Half of an equal share of what waits, so that the end of a job does not pile up on one
        worker; at least one.
        """
        if want == 1:
            return 1
        share = -(-self.waiting.count // (2 * max(1, self._workers)))
        return max(1, min(want, share))

    def _lease(self, member: Member, tasks: list[Task]) -> list[Lease]:
        leases = []
        held = member.leases
        for task in tasks:
            task.state = LEASED
            task.attempt += 1
            task.holder = member
            held[task.id] = task
            leases.append(Lease(task.id, task.attempt, task.tag, task.payload))
        return leases

    def _settle(
        self,
        task: Task,
        kind: int,
        payload: bytes,
        member: Member | None,
        finished: dict[str, list[Task]],
        effects: Effects,
    ) -> None:
        if task.state is WAITING:
            self.waiting.withdraw()
        elif task.holder is not None:
            task.holder.leases.pop(task.id, None)
        tally = self.tally
        if kind == RESULT:
            tally.results += 1
        elif kind == FAILURE:
            tally.failures += 1
        else:
            tally.given_up += 1
        task.holder = None
        task.state = SETTLED
        task.payload = payload
        task.kind = kind
        task.worker = member.info if member is not None else ""
        if task.direct:
            effects.direct.append(self._deliver(task))
        else:
            finished.setdefault(task.tag, []).append(task)

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
        return Finished(task.id, task.tag, task.kind, task.payload, task.worker)

    def _count_refused(self, task_id: int) -> None:
        if 0 < task_id < self._next_task:
            self.tally.duplicates += 1
        else:
            self.tally.unknown += 1

    def _remove(self, member: Member) -> Effects:
        del self.members[member.id]
        effects = Effects()
        effects.dropped += self.waiting.unpark_all(member)
        effects.dropped += self.results.unpark_all(member)
        if member.view is not None:
            self._workers -= 1
            self.waiting.release(member.view)
        return effects

    def _blame(self, held: list[Task], text: str, now: float, effects: Effects) -> None:
        """Find out which of its tasks may have ended a process."""
        executing = [task for task in held if task.state is STARTED]
        if not executing and len(held) == 1:
            executing = held
        for task in executing or held:
            task.suspect = True
        for task in executing:
            task.losses = [*(task.losses or ()), text]
            task.note(now, f"executing in a worker that ended ({len(task.losses)} so far)")
            if len(task.losses) < self.max_losses:
                continue
            finished: dict[str, list[Task]] = {}
            self._settle(task, LOST, "\n".join(task.losses).encode(), None, finished, effects)
            for tag, done in finished.items():
                self.results.append(tag, done)
        self._match_results(effects)

    def _requeue(self, held: list[Task], why: str, now: float, effects: Effects) -> Effects:
        for task in held:
            task.state = WAITING
            task.holder = None
            task.note(now, why)
        if held:
            self.waiting.put_back(held)
            effects.add(self._match_tasks())
        return effects

    def _match_tasks(self) -> Effects:
        effects = Effects()
        if not self.terminated:
            for claim, tasks in self.waiting.match(self._share):
                effects.leases.append((claim.id, self._lease(claim.taker, tasks)))
        return effects

    def _match_results(self, effects: Effects) -> None:
        for claim, tasks in self.results.match(lambda want: want):
            effects.results.append((claim.id, [self._deliver(task) for task in tasks]))
