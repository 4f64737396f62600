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

from itertools import count
from typing import TYPE_CHECKING

from masterworker.core.blocks import Block
from masterworker.core.chunks import no_single
from masterworker.core.crashes import MAX_LOSSES, CrashPolicy
from masterworker.core.departure import Blameless, Departure, Ended, Left, Stopped, Unexplained
from masterworker.core.dispatch import Dispatch
from masterworker.core.effects import NOTHING
from masterworker.core.member_table import MemberTable
from masterworker.core.outbox import Outbox
from masterworker.core.overdue import may_try_again
from masterworker.core.reports import Reports
from masterworker.core.retries import Retries
from masterworker.core.settlement import Settlement
from masterworker.core.stragglers import LOOK
from masterworker.core.task import CANCELLED, FAILURE, LOST, State, Task, write_history
from masterworker.core.task_queues import TaskQueues, key_of
from masterworker.core.task_table import TaskTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from masterworker.core.blocks import Item
    from masterworker.core.chunks import Chunk, Single
    from masterworker.core.claims import Claim
    from masterworker.core.effects import Effects
    from masterworker.core.grain import Spent
    from masterworker.core.member import Member
    from masterworker.core.options import Options
    from masterworker.core.task import Finished, Lease, Outcome, Payload

WAITING, LEASED, STARTED, SETTLED = State.WAITING, State.LEASED, State.STARTED, State.SETTLED


class Scheduler:
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
        self._timed_out = timed_out
        self.out = Outbox()
        claim_ids = count(1)
        #: The tasks that wait for a worker, and the outcomes that wait to be collected.
        self.waiting = TaskQueues(WAITING, claim_ids)
        self.results = TaskQueues(SETTLED, claim_ids)
        self.processes = MemberTable()
        self.table = TaskTable(self.waiting, self.processes.members, single)
        self.retries = Retries(self.table.tasks, self.out)
        self.crashes = CrashPolicy(self.table.tasks, max_losses)
        self.dispatch = Dispatch(self.waiting, self.processes, self.retries, self.out)
        self.settlement = Settlement(
            self.table, self.processes, self.results, self.retries, self.crashes, self.out
        )
        self.reports = Reports(
            self.table, self.processes, self.dispatch, self.retries, self.settlement, self.out
        )
        # What is looked at all the time, by its short name.
        self.members = self.processes.members
        self.tasks = self.table.tasks
        self.tally = self.out.tally
        self.find = self.table.find
        self.holder_of = self.table.holder_of
        self.open_tags = self.table.open_tags
        self.paused = self.retries.paused
        self.has_struck = self.crashes.has_struck
        #: When outliers were looked for.
        self._looked = 0.0

    # -- looking on -------------------------------------------------------------------------

    @property
    def alarmed(self) -> bool:
        """Something has happened that may have brought the next deadline nearer.

        The caller sets it back when it has looked.
        """
        return self.out.alarmed

    @alarmed.setter
    def alarmed(self, value: bool) -> None:
        self.out.alarmed = value

    @property
    def terminated(self) -> bool:
        """The job is over."""
        return self.dispatch.terminated

    @property
    def held_back(self) -> bool:
        """Nothing is handed out until some results have been picked up."""
        return self.dispatch.held_back

    @property
    def kept_tag(self) -> str | None:
        """Of which tag those are: more of it needs nobody's attention. Read without the lock."""
        return self.dispatch.reservation.tag

    def check(self) -> Iterator[tuple[str, int]]:
        """Yield each invariant of a part that does not hold. See `audit.check` for the whole."""
        parts = (self.table, self.processes, self.retries, self.crashes, self.settlement)
        for part in (self.waiting, self.results, *parts):
            yield from part.check()
        yield from self.dispatch.stragglers.check(self.tasks)

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
        if was is not None and (task := self.crashes.absolve(was, now)) is not None:
            self.retries.pause(task, now)  # which is over at once
        wanted = None if tags is not None and not tags else self.waiting.use_filter(tags)
        member = self.processes.join(info, wanted, heartbeat, now, supervisor)
        self.alarmed = heartbeat is not None or self.alarmed
        return member.id

    def on_heard(self, member_id: int, now: float) -> bool:
        """Something came from a process. False: it is not registered (any more)."""
        return self.processes.heard(member_id, now)

    def on_attended(self, name: str, alive: Iterable[int], now: float) -> None:
        """A supervisor is here, and the processes of these members are well."""
        self.processes.attended(name, alive, now)

    def on_unattended(self, name: str, now: float) -> Effects:
        """A supervisor is gone: what it should have explained remains unexplained."""
        for member_id, reason in self.processes.unattended(name):
            # With its supervisor gone, its host or batch job has probably ended.
            self._depart(member_id, Blameless(reason), now)
        return self._done()

    def on_closed(self, member_id: int, reason: str, now: float) -> Effects:
        """The connection of a process has closed, and it did not sign off.

        If it holds tasks and has a supervisor, this is a loss only when that has told why, or
        after `REPORT_WITHIN`. Until then it gets nothing more.
        """
        member = self.members.get(member_id)
        if member is None or member_id in self.processes.closed:
            return NOTHING
        if self.processes.close(member, reason, now):
            self.alarmed = True
            self._drop_claims(member)
        else:
            self._depart(member_id, Unexplained(reason), now)
        return self._done()

    def on_departed(self, member_id: int, why: Departure, now: float) -> Effects:
        """A process has left, or is taken for gone; one that is not registered is no error.

        Whatever it had in hand goes back to the very front.
        """
        self._depart(member_id, why, now)
        return self._done()

    def on_ended_at_last(self, member_id: int, supervisor: str, now: float) -> Effects:
        """A supervisor reports the end of a process that counts as lost: it cannot come back."""
        if (task := self.crashes.confirm(member_id, supervisor)) is not None:
            self.retries.pause(task, now)  # which is over at once
        return NOTHING

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
            first = self.table.next_id
        if not number:
            return first, NOTHING
        self.table.number(tag, first, number)
        self.tally.submitted += number
        keepable = options is None and direct
        if number == 1 and self.dispatch.may_serve_at_once(tag, now, keepable=keepable):
            claim = self.waiting.claims.next_for(tag)
            if claim is not None:
                payload = self.table.blocks.payload(payloads, 0)
                task = Task(first, tag, payload, direct, WAITING, options)
                return first, self._hand_over(task, claim, now)
        items: Iterable[Item]
        if direct and options is None and number > 1:
            items = self.table.blocks.make(first, tag, payloads)
        else:
            each = self.table.blocks.one_by_one(payloads)
            made = {
                i: Task(i, tag, payload, direct, WAITING, options)
                for i, payload in enumerate(each, first)
            }
            items = made.values()
            self.tasks.update(made)
        if not direct:
            self.table.open(tag, number)
        self.waiting.append(tag, items, 0 if options is None else options.priority)
        if not self.waiting.claims.by_id or (keepable and self.dispatch.keeps(tag, now)):
            return first, NOTHING
        self.dispatch.match(now)
        return first, self.out.take()

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
        if member is None or member.filter is None or want < 1 or self.dispatch.terminated:
            return [], None
        if member_id in self.processes.closed:
            return [], None
        dispatch = self.dispatch
        member.heard = now
        dispatch.reservation.is_back(member_id)
        wanted = member.filter if tag is None else self.waiting.use_filter(frozenset((tag,)))
        try:
            there = self.waiting.lanes and not dispatch.held_back
            tasks = dispatch.take(wanted, want, seconds, now) if there else None
            if tasks:
                return dispatch.lease(member, tasks, now), None
            dispatch.grain.under_way.put_down(member_id)
            if dispatch.stragglers.in_hand:
                self.alarmed = True
            return [], self.waiting.claims.park(member, want, wanted, seconds, member.rank(now))
        finally:
            if tag is not None:
                self.waiting.release(wanted)

    def on_spent(self, member_id: int, spent: Iterable[Spent]) -> None:
        """A process says how long tasks took. Before their outcomes: they must be in its hands."""
        for each in spent:
            task = self.find(each.task_id)
            if task is not None and task.holder == member_id:
                self.dispatch.grain.observe(key_of(task), each, member_id)

    def on_started(self, member_id: int, task_id: int, now: float) -> None:
        """A process says which of its tasks it is executing right now."""
        task = self.find(task_id)
        if task is not None and task.state is LEASED and task.holder == member_id:
            if isinstance(task, Block):
                task = self.table.single_out(task, task_id)
            task.state = STARTED
            self.members[member_id].heard = now
            if task.options is not None and self.dispatch.overdue.watch(task, now, begun=True):
                self.alarmed = True

    def on_returned(self, member_id: int, task_ids: Iterable[int], now: float) -> Effects:
        """A process gives back tasks that it has not finished: to the very front, no blame."""
        member = self.members.get(member_id)
        if member is None:
            return NOTHING
        held = self.table.take_from(member, task_ids)
        number = sum(item.size for item in held)
        self.tally.returned += number
        self.dispatch.grain.under_way.reduced(member_id, number)
        self.dispatch.put_back(held, f"given back by worker {member_id}", now)
        return self._done()

    # -- outcomes ---------------------------------------------------------------------------

    def on_reported(
        self, member_id: int, outcomes: Iterable[Outcome], now: float
    ) -> tuple[list[int], Effects]:
        """A process delivers outcomes. See `Reports` for which of them count.

        Returns:
            The ids of the tasks whose outcome was not accepted.
        """
        refused = self.reports.judge(member_id, outcomes, now)
        return refused, self._done()

    def on_cancelled(self, task_ids: Iterable[int], now: float) -> tuple[list[int], Effects]:
        """These tasks are not wanted any more.

        One that waits is never executed; a worker that has one in hand is told to drop it or break
        it off. One that is settled already stays as it is.

        Returns:
            The ids of those that are cancelled now.
        """
        cancelled: list[int] = []
        for task_id in task_ids:
            item = self.find(task_id)
            if item is None or item.state is SETTLED:
                continue
            task = self.table.single_out(item, task_id)
            self.dispatch.stop_others(task, None, now, always=True)
            self.settlement.settle(task, CANCELLED, b"", None)
            cancelled.append(task_id)
        return cancelled, self._done()

    def on_withdrawn(self, task_ids: Iterable[int], now: float) -> Effects:
        """The caller that has asked for these tasks does not know of it: nobody collects them.

        Those that are not settled are cancelled.
        """
        open_ones: list[int] = []
        for task_id in task_ids:
            task = self.find(task_id)
            if isinstance(task, Task) and task.state is SETTLED:
                self.settlement.discard(task)
                continue
            if isinstance(task, Task) and not task.direct:
                self.table.close(task.tag)
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
        return self.settlement.collect(member, want, tag)

    def on_undelivered(self, outcomes: Sequence[Finished]) -> Effects:
        """Outcomes did not reach the one who asked: back to the very front, for the next one."""
        self.settlement.put_back(outcomes)
        return self._done()

    # -- claims, time, end ------------------------------------------------------------------

    def on_unparked(self, claim_id: int) -> bool:
        """A claim does not wait any longer. False: it has been served or dropped already."""
        return self.waiting.claims.unpark(claim_id) or self.results.claims.unpark(claim_id)

    def on_held_back(self, now: float, *, held: bool) -> Effects:
        """Results pile up that are not picked up: hand out no more; or the pile is small again."""
        self.dispatch.held_back = held
        if not held:
            self.dispatch.match(now)
        return self._done()

    def end_keeping(self, now: float) -> None:
        """Release the tasks that are kept for a busy worker, if it is time; see `on_tick`.

        To be called before requests are taken in: a caller that has seen that a task is kept
        relies on it.
        """
        self.dispatch.reservation.end(now)

    def on_tick(self, now: float) -> Effects:
        """Time has passed: end pauses, take out the silent, enforce limits, copy stragglers."""
        self._resume(now)
        for member_id, reason in self.processes.unexplained(now):
            self._depart(member_id, Unexplained(reason), now)
        silent = self.processes.silent(now)
        for member in silent:  # first all of them, so that none gets what another one had
            self.out.effects.dropped += self.waiting.claims.unpark_all(member)
        for member in silent:
            self._depart(member.id, Blameless(f"silent for {now - member.heard:.1f} s"), now)
        if self.dispatch.overdue:
            self._look_at_limits(now)
        self.end_keeping(now)
        if self.dispatch.reservation.has_ended:
            self.dispatch.reservation.has_ended = False
            self.dispatch.match(now)
        self._looked = now
        self.dispatch.copy_stragglers(self.tasks, now)
        return self._done()

    def next_deadline(self) -> float | None:
        """When `on_tick` is due next, on the same clock; None: not before something happens."""
        due = [self.processes.next_deadline(), self.dispatch.overdue.next_deadline()]
        if not self.terminated:
            due += [self.retries.next_deadline(), self.dispatch.reservation.until]
            if self.dispatch.stragglers and self.waiting.claims:
                due.append(self._looked + LOOK)
        return min((deadline for deadline in due if deadline is not None), default=None)

    def on_terminated(self) -> list[int]:
        """The job ends: nothing more is handed out. Returns the claims that waited."""
        self.dispatch.terminated = True
        return self.waiting.claims.unpark_all() + self.results.claims.unpark_all()

    # -- inside -----------------------------------------------------------------------------

    def _done(self) -> Effects:
        """The event has been dealt with. Returns what follows."""
        if self.settlement.settled:
            self.settlement.flush()
        return self.out.take()

    def _hand_over(self, task: Task, claim: Claim, now: float) -> Effects:
        """A task is asked for while a claim waits for just that: it need not be queued."""
        self.tasks[task.id] = task
        if not task.direct:
            self.table.open(task.tag, 1)
        self.waiting.claims.unpark(claim.id)
        self.dispatch.serve(claim, [task], now)
        return self.out.take()

    def _depart(self, member_id: int, why: Departure, now: float) -> None:
        member = self.members.get(member_id)
        if member is None:
            return
        self._drop_claims(member)
        self.dispatch.forget(member_id)
        if member.filter is not None:
            self.waiting.release(member.filter)
        if isinstance(why, Left):
            self.tally.returned += member.in_hand
            told = f"given back by worker {member_id} as it left"
        else:
            self.tally.lost_members += 1
            self.tally.requeued += member.in_hand
            self.out.effects.lost.append((member, why.reason))
            told = f"worker {member_id} lost: {why.reason}"
            for task in self._guilty(member, why, now) if why.blames else ():
                if self.crashes.strike(task, member, why, now):
                    self._give_up(task, now)
        self.processes.remove(member)
        held = list(member.leases.values())
        self.dispatch.put_back(held, told, now)

    def _drop_claims(self, member: Member) -> None:
        self.out.effects.dropped += self.waiting.claims.unpark_all(member)
        self.out.effects.dropped += self.results.claims.unpark_all(member)

    def _guilty(self, member: Member, why: Departure, now: float) -> list[Task]:
        """Find the task whose execution may have ended a process; none if that is not known."""
        if isinstance(why, (Ended, Stopped)):
            task = self.table.on_its_own(why.task_id)
            concerned = guilty = [] if task is None or task.state is SETTLED else [task]
        else:
            concerned = self._may_have_executed(member)
            guilty = self.crashes.suspect(concerned)
        if why.is_doubtful:
            self.crashes.doubt(concerned, now)
        return guilty

    def _may_have_executed(self, member: Member) -> list[Task]:
        """Return the tasks in a worker's hands, one of which it may have been executing.

        What it has said that it had begun is on its own already. If it has not said anything, no
        block stays together.
        """
        if not any(item.state is STARTED for item in member.leases.values()):
            for block in [item for item in member.leases.values() if isinstance(item, Block)]:
                self.table.dissolve(block)
        return [item for item in member.leases.values() if isinstance(item, Task)]

    def _give_up(self, task: Task, now: float) -> None:
        """A task has too many strikes: that is its outcome, unless one may turn out to be void."""
        task = self.table.single_out(task, task.id)
        if (until := self.crashes.may_be_void(task, now)) is not None:
            self.dispatch.take_away(task)
            self.retries.pause(task, until)
            task.note(now, "not handed out any more, unless a worker that was cut off comes back")
            return
        if task.options is not None:
            self.dispatch.stop_others(task, None, now, always=True)
        self.settlement.settle(task, LOST, write_history(task.losses or ()), None)

    def _resume(self, now: float) -> None:
        """Queue what has paused for long enough, in the order of its time."""
        due: list[Item] = []
        for task in self.retries.due(now):
            if self.crashes.is_too_much(task):
                self._give_up(task, now)
            else:
                due.append(task)
        self.dispatch.put_back(due, "tried again", now)

    def _look_at_limits(self, now: float) -> None:
        """Take tasks whose time is long over out of the hands that keep them."""
        late, stuck = self.dispatch.overdue.look(now, self.tasks.get)
        for task in stuck + late:
            options = task.options
            holder = None if task.holder is None else self.members[task.holder]
            if holder is None or options is None:
                continue
            self.out.effects.orders.append((holder.id, task.id))
            if task in stuck:
                held = self.table.take_from(holder, [task.id])
                self.dispatch.put_back(held, f"worker {holder.id} did not begin in time", now)
                continue
            task.note(now, f"its time limit is over, and worker {holder.id} does not say so")
            if may_try_again(options.retry_on) and (again := self.retries.decide(task)):
                self.dispatch.retry(task, again, now)
                continue
            self.dispatch.stop_others(task, holder, now)
            self.settlement.settle(task, FAILURE, self._timed_out(options.timeout or 0.0), holder)
