"""The scheduler: the whole state of a job, and every decision about it.

A plain state machine. One method for each thing that can happen, and no other way to change
anything. Most are batch-shaped; each takes the time as an argument and returns what is to be
done about it. No threads, sockets, clocks, randomness or logging may ever live here, so the same
calls always give the same answers.

What comes from outside never raises: a late, repeated or false report is an ordinary event that
is judged, counted and answered. ARCHITECTURE.md has a drawing of the life of a task.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from masterworker.core.chunks import no_single
from masterworker.core.crashes import MAX_LOSSES, CrashPolicy
from masterworker.core.departures import Departures
from masterworker.core.dispatch import Dispatch
from masterworker.core.effects import NOTHING
from masterworker.core.further import FurtherTasks
from masterworker.core.grain import INEXACT
from masterworker.core.member_table import MemberTable
from masterworker.core.outbox import Outbox
from masterworker.core.presence import Presence
from masterworker.core.reports import Reports
from masterworker.core.requests import Requests
from masterworker.core.retries import Retries
from masterworker.core.settlement import Settlement
from masterworker.core.task import Finished, State, Task
from masterworker.core.task_queues import TaskQueues, key_of
from masterworker.core.task_table import TaskTable
from masterworker.core.time_limits import TimeLimits
from masterworker.recorder.recorder import Recorder, explain_nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from masterworker.core.chunks import Chunk, Single
    from masterworker.core.departure import Departure
    from masterworker.core.effects import Effects
    from masterworker.core.filters import Key
    from masterworker.core.grain import Spent
    from masterworker.core.options import Options
    from masterworker.core.task import Lease, Outcome, Payload, Payloads
    from masterworker.recorder.recorder import Explain

WAITING, LEASED, STARTED, SETTLED = State.WAITING, State.LEASED, State.STARTED, State.SETTLED


class Scheduler:
    """All state of one job.

    Args:
        max_losses: Number of workers that may end while executing a task, until it is given up.
        timed_out: Makes the failure of a task whose time limit (seconds) is over.
        single: Makes the payload of a task that leaves a chunk.
        explain: Given kind and payload of a failure, returns type, message and traceback.
        keeps: Outcomes are `Effects.unkept` first, and told of after `on_kept`.

    Not thread-safe: the caller holds one lock around every call.
    """

    def __init__(
        self,
        max_losses: int = MAX_LOSSES,
        timed_out: Callable[[float], bytes] = lambda _: b"",
        single: Single = no_single,
        explain: Explain = explain_nothing,
        *,
        keeps: bool = False,
    ) -> None:
        #: What has become of the tasks over the whole time of the job.
        self.recorder = Recorder(self._gauges, explain)
        self.out = Outbox(self.recorder)
        claim_ids = count(1)
        #: The tasks that wait for a worker, and the outcomes that wait to be collected.
        self.waiting = TaskQueues(WAITING, claim_ids)
        self.processes = MemberTable()
        self.table = TaskTable(self.waiting, self.processes.members, single)
        self.further = FurtherTasks(self.table, self.out)
        self.results = TaskQueues(SETTLED, claim_ids, self.further.lane_of)
        self.retries = Retries(self.table.tasks, self.out)
        self.crashes = CrashPolicy(self.table.tasks, max_losses, self.out if keeps else None)
        self.dispatch = Dispatch(self.waiting, self.processes, self.retries, self.out)
        self.settlement = Settlement(
            *(self.table, self.processes, self.results, self.further, self.retries, self.crashes),
            self.out,
            keeps=keeps,
        )
        self.reports = Reports(
            self.table, self.processes, self.dispatch, self.retries, self.settlement, self.out
        )
        self.requests = Requests(self.table, self.dispatch, self.settlement, self.crashes, self.out)
        self.departures = Departures(
            *(self.table, self.processes, self.dispatch, self.retries, self.crashes),
            *(self.settlement, self.out),
        )
        self.time_limits = TimeLimits(
            *(self.table, self.processes, self.dispatch, self.retries, self.settlement, self.out),
            timed_out,
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
        #: A task asks for further tasks, which is known before they are requested.
        self.on_further = self.further.asked

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

    def check(self) -> Iterator[tuple[str, int]]:
        """Yield each invariant of a part that does not hold. See `audit.check` for the whole."""
        parts = (self.table, self.processes, self.retries, self.crashes, self.settlement)
        for part in (self.waiting, self.results, self.further, *parts):
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
            info: One line that describes it.
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
            self.departures.came_back(was, now)
        wanted = None if tags is not None and not tags else self.waiting.use_filter(tags)
        member = self.processes.join(info, wanted, heartbeat, now, supervisor)
        self.alarmed = heartbeat is not None or self.alarmed
        if wanted is not None:
            self.recorder.joined(member.id, member.info, now)
        return member.id

    def on_heard(self, member_id: int, now: float) -> bool:
        """Something came from a process. False: it is not registered (any more)."""
        return self.processes.heard(member_id, now)

    def on_attended(self, name: str, alive: Iterable[int], now: float) -> None:
        """A supervisor is here, and the processes of these members are well."""
        self.processes.attended(name, alive, now)

    def on_unattended(self, name: str, now: float) -> Effects:
        """A supervisor is gone: what it should have explained remains unexplained."""
        self.departures.unattended(name, now)
        return self._done()

    def on_closed(self, member_id: int, reason: str, now: float) -> Effects:
        """The connection of a process has closed, and it did not sign off."""
        return self._done() if self.departures.close(member_id, reason, now) else NOTHING

    def on_departed(self, member_id: int, why: Departure, now: float) -> Effects:
        """A process has left, or is taken for gone; one that is not registered is no error.

        Whatever it had in hand goes back to the very front.
        """
        self.departures.depart(member_id, why, now)
        return self._done()

    def on_ended_at_last(self, member_id: int, supervisor: str, now: float) -> Effects:
        """A supervisor reports the end of a process that counts as lost: it cannot come back."""
        self.departures.confirm(member_id, supervisor, now)
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
            first: The id of the first, if the caller has chosen it: higher than all before.

        Returns:
            The id of the first; the others count up from it. Ids are never used again.
        """
        first = self.requests.add(tag, payloads, now, direct=direct, options=options, first=first)
        return first, self.out.take() if self.out.effects.leases else NOTHING

    def on_requested_again(self, task: Task, now: float) -> Effects:
        """A task is asked for that has strikes, of an earlier run.

        Args:
            task: Its id is higher than all before.
            now: Seconds on the monotonic clock.
        """
        self.requests.add_struck(task, now)
        return self._done()

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
            member_id: The member that asks. One that is not registered gets nothing.
            want: The most tasks that it wants.
            now: Seconds on the monotonic clock.
            tag: Only tasks of this tag; None: of all tags that it has declared.
            seconds: Amount of work, about; of tasks of which nothing is known, one. 0.0: as many
                tasks as it wants, however long they take.

        Returns:
            Leases; or none, and the id of a claim that waits for some.
        """
        member = self.members.get(member_id)
        if member is None or member.filter is None or want < 1 or self.dispatch.terminated:
            return [], None
        if member.presence is Presence.UNEXPLAINED:
            return [], None
        member.heard = now
        self.dispatch.reservation.is_back(member_id)
        if tag is None:
            return self.dispatch.fetch(member, member.filter, want, seconds, now)
        wanted = self.waiting.use_filter(frozenset((tag,)))
        try:
            return self.dispatch.fetch(member, wanted, want, seconds, now)
        finally:
            self.waiting.release(wanted)

    def on_spent(self, member_id: int, spent: Iterable[Spent], now: float) -> None:
        """A process says how long tasks took. Before their outcomes: they must be in its hands."""
        recorder = self.recorder
        recorder.now = now
        if now >= recorder.until:
            recorder.at(now)
        # None can have begun before the job.
        longest = now - (recorder.begin or 0.0) + INEXACT
        for each in spent:
            task = self.find(each.task_id)
            if (
                task is not None
                and each.seconds <= longest
                and task.holder == member_id
                and self.dispatch.grain.observe(key_of(task), each, member_id)
            ):
                recorder.spent(task.tag, member_id, each.tasks, each.seconds, each.squares)

    def on_started(self, member_id: int, task_id: int, now: float) -> None:
        """A process says which of its tasks it is executing right now."""
        task = self.find(task_id)
        if task is not None and task.state is LEASED and task.holder == member_id:
            task = self.table.single_out(task, task_id)
            task.state = STARTED
            self.members[member_id].heard = now
            self.recorder.began(member_id, task_id, task.tag, now)
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
        self.recorder.now = now
        refused = self.reports.judge(member_id, outcomes, now)
        return refused, self._done()

    def on_brought(
        self, task_id: int, tag: str, kind: int, payload: Payload, worker: str, now: float
    ) -> tuple[bool, Effects]:
        """An outcome comes that was computed for an earlier run of the master.

        Args:
            task_id: Which task of this run it is; negative: no caller has asked for it so far.
            tag: Its tag.
            kind: As in `core.task`.
            payload: The outcome.
            worker: Which process delivers it.
            now: Seconds on the monotonic clock.

        Returns:
            Whether it counts: a task has one outcome, the first.
        """
        if task_id < 0:
            done = Finished(task_id, tag, kind, [payload], worker)
            self.settlement.keeping.add_unasked(done)
            return True, self._done()
        taken = self.requests.bring(task_id, kind, payload, worker, now)
        return taken, self._done()

    def on_kept(self, number: int) -> Effects:
        """Outcomes are kept: this number of entries of `Effects.unkept`, in their order."""
        self.settlement.kept(number)
        return self._done()

    def on_recalled(
        self, tag: str, first: int, kind: int, worker: str, payloads: Payloads, *, direct: bool
    ) -> Effects:
        """Tasks are asked for whose outcomes are kept; see `Settlement.recall`.

        The id of the first is higher than all before.
        """
        self.table.number(tag, first, len(payloads))
        self.settlement.recall(tag, first, kind, worker, payloads, direct=direct)
        return self._done()

    def on_cancelled(
        self, task_ids: Iterable[int], now: float, dropped_by: int | None = None
    ) -> tuple[list[int], Effects]:
        """These tasks are not wanted any more.

        One that waits is never executed; a worker that has one in hand is asked to drop it or break
        it off. One that is settled already stays as it is.
        `dropped_by` is a worker that has dropped them already, if one has.

        Returns:
            The ids of those that are cancelled now.
        """
        dropper = None if dropped_by is None else self.members.get(dropped_by)
        cancelled = self.requests.cancel(task_ids, now, dropper)
        return cancelled, self._done()

    def on_withdrawn(self, task_ids: Iterable[int], now: float) -> Effects:
        """The caller that has asked for these tasks does not know of it, and will not collect them.

        Those that are not settled are cancelled.
        """
        self.requests.withdraw(task_ids, now)
        return self._done()

    def on_collect(
        self, member_id: int, want: int, tag: str | None = None, task_id: int = 0, process: str = ""
    ) -> tuple[list[Finished], int | None]:
        """A process asks for outcomes, of one tag or of any, in the order of their arrival.

        The task that it executes, if any, gets those that it has asked for, as long as there are or
        will be such; `process` is the name that `on_further` was given.

        Returns:
            Outcomes; or none, and the id of a claim that waits for some.
        """
        member = self.members.get(member_id)
        if member is None or want < 1 or self.terminated:
            return [], None
        lanes = self.further.lanes(task_id, process, tag)
        return self.settlement.collect(member, want, tag, lanes)

    def on_undelivered(self, outcomes: Sequence[Finished]) -> Effects:
        """Outcomes did not reach their collector: back to the very front, for the next one."""
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
        self.departures.end_pauses(now)
        self.departures.look(now)
        self.time_limits.enforce(now)
        self.dispatch.look(self.tasks, now)
        self.further.look(now)
        return self._done()

    def next_deadline(self) -> float | None:
        """When `on_tick` is due next, on the same clock; None: not before something happens."""
        parts = (self.processes, self.dispatch, self.further)
        due = [part.next_deadline() for part in parts]
        if not self.terminated:
            due.append(self.retries.next_deadline())
        return min((deadline for deadline in due if deadline is not None), default=None)

    def on_terminated(self) -> list[int]:
        """The job ends: nothing more is handed out. Returns the claims that waited."""
        self.dispatch.terminated = True
        return self.waiting.claims.unpark_all() + self.results.claims.unpark_all()

    # -- inside -----------------------------------------------------------------------------

    def _gauges(self) -> tuple[Mapping[Key, int], int, Iterable[tuple[str, int]]]:
        return self.waiting.in_lanes, self.waiting.count, self.dispatch.grain.under_way.by_tag()

    def _done(self) -> Effects:
        """The event has been dealt with. Returns what follows."""
        if self.settlement.settled or self.further.freed:
            self.settlement.flush()
        return self.out.take()
