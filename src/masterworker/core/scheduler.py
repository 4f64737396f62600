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

from collections import deque
from typing import TYPE_CHECKING

from masterworker.core.backups import LOOK
from masterworker.core.blocks import Block
from masterworker.core.chunks import no_single
from masterworker.core.effects import NOTHING, Effects
from masterworker.core.filters import key_of
from masterworker.core.liveness import Liveness
from masterworker.core.losses import MAX_LOSSES, Losses
from masterworker.core.member import Member
from masterworker.core.overdue import may_try_again
from masterworker.core.task import FAILURE, Lease, State, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from masterworker.core.blocks import Item
    from masterworker.core.chunks import Chunk, Single
    from masterworker.core.claims import Claim
    from masterworker.core.grain import Spent
    from masterworker.core.options import Options
    from masterworker.core.task import Payload

WAITING, LEASED, STARTED = State.WAITING, State.LEASED, State.STARTED


class Scheduler(Losses):
    """All state of one job.

    Args:
        max_losses: After so many workers have ended while executing a task, it is given up.
        timed_out: Makes the failure of a task whose time limit (seconds) is over.
        single: Makes the payload of a task that leaves a chunk.

    Not thread-safe: the caller holds one lock around every call.
    """

    def __init__(
        self,
        max_losses: int = MAX_LOSSES,
        timed_out: Callable[[float], bytes] = lambda _: b"",
        single: Single = no_single,
    ) -> None:
        super().__init__(max_losses, single)
        self._timed_out = timed_out
        self._liveness = Liveness(self.members)
        #: When outliers were looked for.
        self._looked = 0.0
        #: What was kept for somebody has not been offered to others yet.
        self._overdue = False

    # -- processes --------------------------------------------------------------------------

    def on_joined(
        self,
        info: str,
        tags: frozenset[str] | None,
        heartbeat: float | None,
        now: float,
        supervisor: str = "",
        was: int | None = None,
    ) -> int:
        """Register a process.

        Args:
            info: One line that says who it is.
            tags: What it can execute. None: every tag that is not a call of a function; empty:
                nothing.
            heartbeat: Seconds between its signs of life; None: it is not watched.
            now: Seconds on a monotonic clock.
            supervisor: Name of the supervisor that watches it; "" for none.
            was: As what the same process was registered before, if it was.

        Returns:
            Its process id, which is never used again. The first is 0.
        """
        if was is not None:
            self._absolve(was, now)
        wanted = None if tags is not None and not tags else self.waiting.use_filter(tags)
        member = Member(
            self._next_member,
            " ".join(info.split()),
            wanted,
            heartbeat,
            now,
            supervisor,
        )
        self._next_member += 1
        self._workers += wanted is not None
        self.members[member.id] = member
        self._liveness.watch(member, now)
        self.alarmed = heartbeat is not None or self.alarmed
        return member.id

    def on_heard(self, member_id: int, now: float) -> bool:
        """Something came from a process. False: it is not registered (any more)."""
        member = self.members.get(member_id)
        if member is None:
            return False
        member.heard = now
        return True

    # -- tasks ------------------------------------------------------------------------------

    def on_requested(
        self,
        tag: str,
        payloads: Sequence[Payload] | Chunk,
        now: float = 0.0,
        *,
        direct: bool = False,
        options: Options | None = None,
        first: int | None = None,
    ) -> tuple[int, Effects]:
        """Tasks of one tag are asked for.

        Args:
            tag: Their tag.
            payloads: Their parameters.
            now: Seconds on the monotonic clock.
            direct: Their outcomes leave as effects.
            options: How they are to be treated.
            first: The id of the first, if whoever asks has chosen it: higher than all before.

        Returns:
            The id of the first; the others count up from it. Ids are never used again.
        """
        number = len(payloads)
        if first is None:
            first = self._next_task
        if not number:
            return first, NOTHING
        if tag != self.asked.latest:
            self.asked.note(first, tag)
        self._next_task = first + number
        self.tally.submitted += number
        keepable = options is None and direct
        if number == 1 and self._may_hand_over(tag, now, keepable=keepable):
            claim = self.waiting.claims.next_for(tag)
            if claim is not None:
                payload = self.blocks.payload(payloads, 0)
                return first, self._hand_over(first, tag, payload, direct, options, claim, now)
        items: Iterable[Item]
        if direct and options is None and number > 1:
            items = self.blocks.make(first, tag, payloads)
        else:
            each = self.blocks.one_by_one(payloads)
            made = {
                i: Task(i, tag, payload, direct, WAITING, options)
                for i, payload in enumerate(each, first)
            }
            items = made.values()
            self.tasks.update(made)
        if not direct:
            self.open_tags[tag] = self.open_tags.get(tag, 0) + number
        self.waiting.append(tag, items, 0 if options is None else options.priority)
        if not self.waiting.claims or (keepable and self._keep(tag, now)):
            return first, NOTHING
        return first, self._match_tasks(now)

    def on_fetch(
        self,
        member_id: int,
        want: int,
        now: float,
        tag: str | None = None,
        seconds: float = 0.0,
    ) -> tuple[list[Lease], int | None]:
        """A process asks for tasks.

        Args:
            member_id: Who asks. One that is not registered gets nothing.
            want: The most tasks that it wants.
            now: Seconds on the monotonic clock.
            tag: Only tasks of this tag; None: of all tags that it has declared.
            seconds: About so much work; of tasks of which nothing is known, one. 0.0: as many
                tasks as it wants, however long they take.

        Returns:
            Leases; or none, and the id of a claim that waits for some.
        """
        member = self.members.get(member_id)
        if member is None or member.filter is None or want < 1 or self.terminated:
            return [], None
        if member_id in self.closed:
            return [], None
        member.heard = now
        self._back.pop(member_id, None)
        wanted = member.filter if tag is None else self.waiting.use_filter(frozenset((tag,)))
        try:
            there = self.waiting.lanes and not self.held_back
            tasks = self._take(wanted, want, seconds, now) if there else None
            if tasks:
                return self._lease(member, tasks, now), None
            self.grain.under_way.put_down(member_id)
            if self.backups.in_hand:
                self.alarmed = True
            return [], self.waiting.claims.park(member, want, wanted, seconds, member.rank(now))
        finally:
            if tag is not None:
                self.waiting.release(wanted)

    def on_spent(self, member_id: int, spent: Iterable[Spent]) -> None:
        """A process says how long tasks took. Before their outcomes: they must be in its hands."""
        for each in spent:
            task = self.tasks.get(each.task_id) or self.blocks.find(each.task_id)
            if task is not None and task.holder is not None and task.holder.id == member_id:
                self.grain.observe(key_of(task), each, member_id)

    def on_started(self, member_id: int, task_id: int, now: float) -> None:
        """A process says which of its tasks it is executing right now."""
        task = self.find(task_id)
        holder = None if task is None or task.state is not LEASED else task.holder
        if task is not None and holder is not None and holder.id == member_id:
            if isinstance(task, Block):
                task = self._apart(task, task_id)
            task.state = STARTED
            holder.heard = now
            if task.options is not None and self.overdue.watch(task, now, begun=True):
                self.alarmed = True

    def on_returned(self, member_id: int, task_ids: Iterable[int], now: float) -> Effects:
        """A process gives back tasks that it has not finished: to the very front, no blame."""
        member = self.members.get(member_id)
        if member is None:
            return NOTHING
        held = self._taken_from(member, task_ids)
        number = sum(item.size for item in held)
        self.tally.returned += number
        self.grain.under_way.reduced(member_id, number)
        return self._requeue(held, f"given back by worker {member_id}", now, Effects())

    # -- claims, time, end ------------------------------------------------------------------

    def on_unparked(self, claim_id: int) -> bool:
        """A claim does not wait any longer. False: it has been served or dropped already."""
        return self.waiting.claims.unpark(claim_id) or self.results.claims.unpark(claim_id)

    def on_held_back(self, now: float, *, held: bool) -> Effects:
        """Results pile up that nobody picks up: hand out no more; or the pile is small again."""
        self.held_back = held
        return NOTHING if held else self._match_tasks(now)

    def end_keeping(self, now: float) -> None:
        """What was kept for somebody goes to whoever is there with the next tick, if it is time.

        To be called before requests are taken in: who has seen that a task is kept relies on it.
        """
        if self.kept is not None and self.kept <= now:
            self.kept = self.kept_tag = None
            self._overdue = True

    def on_tick(self, now: float) -> Effects:
        """Time has passed: take out the processes that have been silent for too long."""
        effects = Effects()
        if self._pauses:
            self._resume(now, effects)
        if self.closed:
            effects.add(self._unexplained(now))
        silent = self._liveness.expired(now)
        for member in silent:  # first all of them, so that none gets what another one had
            effects.dropped += self.waiting.claims.unpark_all(member)
        for member in silent:
            reason = f"silent for {now - member.heard:.1f} s"
            effects.add(self.on_lost(member.id, reason, now, blame=False))
        if self.overdue:
            effects.add(self._look_at_limits(now))
        self.end_keeping(now)
        if self._overdue:
            self._overdue = False
            effects.add(self._match_tasks(now))
        self._looked = now
        effects.add(self._hand_out_copies(now))
        return effects

    def next_deadline(self) -> float | None:
        """When `on_tick` is due next, on the same clock; None: not before something happens."""
        due = [until for until, _ in self.closed.values()]
        if (watched := self._liveness.next_deadline()) is not None:
            due.append(watched)
        if (limited := self.overdue.next_deadline()) is not None:
            due.append(limited)
        if self._pauses and not self.terminated:
            due.append(self._pauses[0][0])
        if self.kept is not None and not self.terminated:
            due.append(self.kept)
        if self.backups and self.waiting.claims and not self.terminated:
            due.append(self._looked + LOOK)
        return min(due, default=None)

    def on_terminated(self) -> list[int]:
        """The job ends: nothing more is handed out. Returns the claims that waited."""
        self.terminated = True
        return self.waiting.claims.unpark_all() + self.results.claims.unpark_all()

    # -- inside -----------------------------------------------------------------------------

    def _may_hand_over(self, tag: str, now: float, *, keepable: bool) -> bool:
        """Tell whether a task need not be queued, if anybody waits for just that."""
        if not self.waiting.claims or self.terminated or self.held_back or self.kept is not None:
            return False
        return not (keepable and self._keep(tag, now))

    def _hand_over(
        self,
        task_id: int,
        tag: str,
        payload: Payload,
        direct: bool,
        options: Options | None,
        claim: Claim,
        now: float,
    ) -> Effects:
        """A task is asked for while somebody waits for just that: it need not be queued."""
        task = self.tasks[task_id] = Task(task_id, tag, payload, direct, WAITING, options)
        if not direct:
            self.open_tags[tag] = self.open_tags.get(tag, 0) + 1
        self.waiting.claims.unpark(claim.id)
        effects = Effects()
        effects.leases.append((claim.id, self._lease(claim.taker, [task], now)))
        return effects

    def _look_at_limits(self, now: float) -> Effects:
        """Take tasks whose time is long over out of the hands that keep them."""
        effects = Effects()
        runs: list[list[Task]] = []
        late, stuck = self.overdue.look(now, self.tasks.get)
        for task in stuck + late:
            holder, options = task.holder, task.options
            if holder is None or options is None:
                continue
            effects.orders.append((holder.id, task.id))
            if task in stuck:
                held = self._taken_from(holder, [task.id])
                self._requeue(held, f"worker {holder.id} did not begin in time", now, effects)
                continue
            task.note(now, f"its time limit is over, and worker {holder.id} does not say so")
            if not (may_try_again(options.retry_on) and self._try_again(task, now, effects)):
                self._stop_others(task, holder, now, effects)
                failure = self._timed_out(options.timeout or 0.0)
                self._settle(task, FAILURE, failure, holder, runs, effects)
        self._queue_results(runs, effects)
        return effects

    def _taken_from(self, member: Member, task_ids: Iterable[int]) -> list[Item]:
        """Take tasks out of somebody's hands; what follows each other in a block stays together."""
        held: list[Item] = []
        ids = deque(task_ids)
        while ids:
            task_id = ids.popleft()
            item = self.find(task_id)
            if item is None or item.holder is not member:
                continue
            if isinstance(item, Block):
                number = 1
                while ids and ids[0] == task_id + number <= item.last:
                    ids.popleft()
                    number += 1
                item = self._split(item, task_id, number)
            if member.leases.pop(item.last, None) is item:
                item.holder = None
                held.append(item)
        return held

    def _hand_out_copies(self, now: float) -> Effects:
        """Give second copies of outliers to workers that have nothing to do."""
        effects = Effects()
        if self.terminated or self.held_back or not self.backups:
            return effects
        for task in self.backups.outliers(self.tasks, now) if self.waiting.claims else ():
            able = self.waiting.claims.able(task.tag)
            free = next((claim for claim in able if claim.taker is not task.holder), None)
            if free is None or task.holder is None:
                continue
            self.waiting.claims.unpark(free.id)
            leases = self._copy(task, task.holder, free.taker, now)
            effects.leases.append((free.id, leases))
        return effects

    def _copy(self, task: Task, before: Member, to: Member, now: float) -> list[Lease]:
        del before.leases[task.id]
        self.backups.copied(task, before.id)
        self.tally.copies += 1
        task.note(now, f"slow in worker {before.id}: a second copy goes to worker {to.id}")
        return self._lease(to, [task], now)
