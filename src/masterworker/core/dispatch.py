"""Handing tasks out: which, how many, to which worker, and taking them back undone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from masterworker.core.blocks import Block
from masterworker.core.grain import Grain
from masterworker.core.options import terms_of
from masterworker.core.overdue import Overdue
from masterworker.core.reservation import Reservation
from masterworker.core.stragglers import LOOK, Stragglers
from masterworker.core.task import Lease, State, Task
from masterworker.core.task_queues import key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.core.blocks import Item
    from masterworker.core.claims import Claim
    from masterworker.core.filters import Key, TagFilter
    from masterworker.core.member import Member
    from masterworker.core.member_table import MemberTable
    from masterworker.core.outbox import Outbox
    from masterworker.core.retries import Retries, Retry
    from masterworker.core.task_queues import TaskQueues

WAITING, LEASED = State.WAITING, State.LEASED


class Dispatch:
    """Hands out what waits.

    Args:
        waiting: The queues.
        members: The processes: how many workers there are bounds what each of them gets.
        retries: Is given tasks that pause.
        out: Is given leases for claims that waited.
    """

    def __init__(
        self, waiting: TaskQueues, members: MemberTable, retries: Retries, out: Outbox
    ) -> None:
        self.waiting = waiting
        self._members = members
        self._retries = retries
        self._out = out
        self.grain = Grain()
        self.stragglers = Stragglers()
        self.overdue = Overdue(members.members)
        self.reservation = Reservation()
        #: Nothing is handed out until some results have been picked up.
        self.held_back = False
        #: When outliers were looked for.
        self._looked = 0.0
        #: The job is over: nothing is handed out any more.
        self.terminated = False

    # -- how much ---------------------------------------------------------------------------

    def take(self, wanted: TagFilter, want: int, seconds: float, now: float) -> list[Item]:
        """Take up to `want` tasks worth about `seconds` of work (0.0: any) out of the queues."""
        share = self._share(want)
        if want > 1 and seconds > 0.0:
            portion = partial(self._portion, want, seconds, now, share)
            return self.waiting.take(wanted, want, most=portion)
        return self.waiting.take(wanted, share)

    def _share(self, want: int) -> int:
        """Cap a claim (guided self-scheduling: Polychronopoulos & Kuck 1987).

        Half of an equal share of what waits, so that the end of a job does not pile up on one
        worker; at least one.
        """
        if want == 1:
            return 1
        share = -(-self.waiting.count // (2 * max(1, self._members.workers)))
        return max(1, min(want, share))

    def _portion(self, want: int, seconds: float, now: float, share: int, key: Key) -> int:
        """Return how many tasks of one lane are as much work as is asked for.

        A share at most, but not so few that they are not worth a call.
        """
        most = min(want, self.grain.most(key, seconds, now))
        return most if most <= share else min(most, max(share, self.grain.least(key)))

    # -- out --------------------------------------------------------------------------------

    def fetch(
        self, member: Member, wanted: TagFilter, want: int, seconds: float, now: float
    ) -> tuple[list[Lease], int | None]:
        """Hand tasks out to a worker that asks. See `Scheduler.on_fetch`."""
        if self.waiting.lanes and not self.held_back:
            items = self.take(wanted, want, seconds, now)
            if items:
                return self.lease(member, items, now), None
        self.grain.under_way.put_down(member.id)
        if self.stragglers.in_hand:
            self._out.alarmed = True
        return [], self.waiting.claims.park(member, want, wanted, seconds, member.rank(now))

    def lease(self, member: Member, items: list[Item], now: float) -> list[Lease]:
        """Put tasks that are out of the queues into a worker's hands."""
        leases = []
        held = member.leases
        member.idle_since = None
        key = key_of(items[0])
        tasks = items[0].size if len(items) == 1 else sum([item.size for item in items])
        self.grain.under_way.handed_out(member.id, key, tasks, now)
        if self.grain.is_brisk(key):
            self.reservation.expect(member.id, now)
        for task in items:
            task.state = LEASED
            task.attempt += 1
            task.holder = member.id
            if isinstance(task, Block):
                held[task.last] = task
                leases.append(Lease(task.id, task.attempt, task.tag, task.payloads))
                continue
            held[task.id] = task
            terms = None
            if task.options is not None:
                terms = terms_of(task.options)
                self._watch(task, now)
            leases.append(Lease(task.id, task.attempt, task.tag, [task.payload], terms))
        return leases

    def _watch(self, task: Task, now: float) -> None:
        """A task with options is handed out."""
        options, out = task.options, self._out
        assert options is not None  # noqa: S101  for the type checker
        if options.timeout is not None:
            out.alarmed = self.overdue.watch(task, now, begun=False) or out.alarmed
        if options.pure:
            self.stragglers.handed_out(task, now)
            out.alarmed = out.alarmed or bool(self.waiting.claims)

    def match(self, now: float) -> None:
        """Serve the claims that wait, as far as tasks go."""
        if not self.terminated and not self.held_back:
            for claim, items in self.waiting.match(
                lambda claim: self.take(claim.filter, claim.want, claim.seconds, now)
            ):
                self.serve(claim, items, now)

    def serve(self, claim: Claim, items: list[Item], now: float) -> None:
        """Give tasks to a claim that waits no longer."""
        leases = self.lease(claim.taker, items, now)
        self._out.effects.leases.append((claim.id, leases))

    def serves_at_once(self, task: Task, now: float, *, keepable: bool) -> bool:
        """Give a new task to the claim that waits for just that, if one does; else it waits itself.

        Args:
            task: It is in no queue.
            now: The time.
            keepable: It may be kept for a worker that will be back at once.
        """
        claims = self.waiting.claims
        if not claims.by_id or self.terminated or self.held_back:
            return False
        if self.reservation.until is not None or (keepable and self.keeps(task.tag, now)):
            return False
        claim = claims.next_for(task.tag)
        if claim is None:
            return False
        claims.unpark(claim.id)
        self.serve(claim, [task], now)
        return True

    def keeps(self, tag: str, now: float) -> bool:
        """Return whether what waits is better kept for a worker that will be back at once."""
        if not self.reservation.is_expected(now):
            return False
        if not self.grain.is_brisk(tag, self.waiting.count):
            return False
        if self.reservation.begin(tag, now):
            self._out.alarmed = True
        return True

    def look(self, tasks: dict[int, Task], now: float) -> None:
        """Time has passed: hand out what is not kept any more, and copies of stragglers."""
        self.reservation.end(now)
        if self.reservation.has_ended:
            self.reservation.has_ended = False
            self.match(now)
        self._looked = now
        self._copy_stragglers(tasks, now)

    def next_deadline(self) -> float | None:
        """Say when to look again; None: not before something happens."""
        due = [self.overdue.next_deadline()]
        if not self.terminated:
            due.append(self.reservation.until)
            if self.stragglers and self.waiting.claims:
                due.append(self._looked + LOOK)
        return min((deadline for deadline in due if deadline is not None), default=None)

    def _copy_stragglers(self, tasks: dict[int, Task], now: float) -> None:
        """Give second copies of outliers to workers that have nothing to do."""
        if self.terminated or self.held_back or not self.stragglers:
            return
        for task in self.stragglers.outliers(tasks, now) if self.waiting.claims else ():
            able = self.waiting.claims.able(task.tag)
            free = next((claim for claim in able if claim.taker.id != task.holder), None)
            if free is not None and task.holder is not None:
                self.waiting.claims.unpark(free.id)
                self._copy(task, task.holder, free, now)

    def _copy(self, task: Task, before: int, claim: Claim, now: float) -> None:
        del self._members.members[before].leases[task.id]
        self.stragglers.copied(task, before)
        self._out.tally.copies += 1
        to = claim.taker.id
        task.note(now, f"slow in worker {before}: a second copy goes to worker {to}")
        self.serve(claim, [task], now)

    # -- back -------------------------------------------------------------------------------

    def put_back(self, items: Sequence[Item], why: str, now: float) -> None:
        """Queue tasks that come back undone at the very front, and serve those that wait."""
        for item in items:
            item.state = WAITING
            item.holder = None
            item.note(now, why)
            if isinstance(item, Task) and item.options is not None:
                self.stragglers.put_down(item)
        if items:
            self.waiting.put_back(items)
            self.match(now)
            if self.held_back:  # results go without a word: when there were no tasks, none looked
                self._out.alarmed = True

    def retry(self, task: Task, decision: Retry, now: float) -> None:
        """A task that has failed goes back, or pauses first."""
        self._out.tally.retried += 1
        self.take_away(task)
        if decision.pause > 0:
            task.note(now, decision.message)
            self._retries.pause(task, now + decision.pause)
        else:
            self.put_back([task], decision.message, now)

    def take_away(self, task: Task) -> None:
        """Take a task out of the hands that it is in, if it is in any."""
        if task.holder is not None:
            del self._members.members[task.holder].leases[task.id]
            task.holder = None
        self.stragglers.put_down(task)

    def stop_others(
        self, task: Task, member: Member | None, now: float, *, always: bool = False
    ) -> None:
        """A task gets its outcome from `member`: other workers that execute it may stop.

        Args:
            task: The task.
            member: The one that keeps on; None: none does.
            now: The time.
            always: Inform its holder as well; else only where several may execute it.
        """
        orders = self._out.effects.orders
        kept = None if member is None else member.id
        copies = self.stragglers.settled(task, now)
        pure = task.options is not None and task.options.pure
        if task.holder is not None and task.holder != kept and (pure or always):
            orders.append((task.holder, task.id))
        for member_id in copies:
            if member_id != kept:
                orders.append((member_id, task.id))

    def forget(self, member: Member) -> None:
        """A process is gone."""
        self.reservation.is_back(member.id)
        self.grain.under_way.put_down(member.id)
        if member.filter is not None:
            self.waiting.release(member.filter)
