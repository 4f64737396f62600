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

from typing import TYPE_CHECKING

from masterworker.core.effects import NOTHING, Effects
from masterworker.core.liveness import Liveness
from masterworker.core.member import Member
from masterworker.core.settling import Settling
from masterworker.core.task import LOST, Lease, State, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WAITING, LEASED, STARTED = State.WAITING, State.LEASED, State.STARTED
SETTLED, DELIVERED = State.SETTLED, State.DELIVERED

#: A task that was executing in so many processes that ended is not tried again (three, as in
#: Dask and Ray; HyperQueue takes five).
MAX_LOSSES = 3

#: Makes a named tuple in half the time that its class takes.
_new = tuple.__new__


class Scheduler(Settling):
    """All state of one job.

    Args:
        max_losses: After so many workers have ended while executing a task, it is given up.

    Not thread-safe: the caller holds one lock around every call.
    """

    def __init__(self, max_losses: int = MAX_LOSSES) -> None:
        super().__init__()
        self.max_losses = max_losses
        self._liveness = Liveness(self.members)

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
        member = Member(self._next_member, " ".join(info.split()), view, heartbeat, now)
        self._next_member += 1
        self._workers += view is not None
        self.members[member.id] = member
        self._liveness.watch(member, now)
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
        first = self._next_task
        items = [Task(first + i, tag, payload, direct) for i, payload in enumerate(payloads)]
        if not items:
            return first, NOTHING
        for task in items:
            self.tasks[task.id] = task
        self._next_task = first + len(items)
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
        holder = None if task is None or task.state is not LEASED else task.holder
        if task is not None and holder is not None and holder.id == member_id:
            task.state = STARTED
            holder.heard = now

    def on_returned(self, member_id: int, task_ids: Iterable[int], now: float) -> Effects:
        """A process gives back leases that it has not finished: to the very front, no blame."""
        member = self.members.get(member_id)
        if member is None:
            return NOTHING
        held = [task for i in task_ids if (task := member.leases.pop(i, None)) is not None]
        self.tally.returned += len(held)
        return self._requeue(held, f"given back by worker {member_id}", now, Effects())

    # -- claims, time, end ------------------------------------------------------------------

    def on_unparked(self, claim_id: int) -> bool:
        """A claim does not wait any longer. False: it has been served or dropped already."""
        return self.waiting.unpark(claim_id) or self.results.unpark(claim_id)

    def on_tick(self, now: float) -> Effects:
        """Time has passed: take out the processes that have been silent for too long."""
        effects = Effects()
        silent = self._liveness.expired(now)
        for member in silent:  # first all of them, so that none gets what another one had
            effects.dropped += self.waiting.unpark_all(member)
        for member in silent:
            reason = f"silent for {now - member.heard:.1f} s"
            effects.add(self.on_lost(member.id, reason, now, blame=False))
        return effects

    def next_deadline(self) -> float | None:
        """When `on_tick` is due next, on the same clock; None: not before something happens."""
        return self._liveness.next_deadline()

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
            leases.append(_new(Lease, (task.id, task.attempt, task.tag, task.payload)))
        return leases

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
        # A task that waits for others may have one of them executed inside it: the youngest.
        executing = [task for task in held if task.state is STARTED][-1:]
        if not executing and len(held) == 1:
            executing = held
        for task in executing or held:
            task.suspect = True
        runs: list[list[Task]] = []
        for task in executing:
            task.losses = [*(task.losses or ()), text]
            task.note(now, f"executing in a worker that ended ({len(task.losses)} so far)")
            if len(task.losses) < self.max_losses:
                continue
            self._settle(task, LOST, "\n".join(task.losses).encode(), None, runs, effects)
        self._queue_results(runs, effects)

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
