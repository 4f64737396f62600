"""The manager's half of the conversation: every event that can come, and what follows from it.

A plain state machine around the scheduler, which it owns. One method for each event; each takes the
time, and leaves what the shell has to do in `effects`. No locks, threads, sockets, clocks,
randomness or logging may ever live here, so the same calls always give the same effects, and the
simulation drives this very object.

    event, time --> [ Dispatcher: Scheduler, waiting calls, orders, numbered calls, buffer ]
                        |
                        `--> effects: Reply(channel, value), Settled, CallsFailed, Warned, ...

A call that finds nothing becomes a `Waiter`. It is answered once: when something has come for it,
when there is an order for it, or when its time is up.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.conversation.answering import Answering
from masterworker.conversation.collecting import Collecting
from masterworker.conversation.effects import (
    MEMBERS_CHANGED,
    CallsFailed,
    Effect,
    Reply,
    Settled,
    Struck,
    Unkept,
    Warned,
)
from masterworker.conversation.membership import Membership
from masterworker.conversation.numbered import Call, NumberedCalls
from masterworker.conversation.orders import MemberOrders
from masterworker.conversation.returning import Returning
from masterworker.conversation.revoking import Revoking
from masterworker.conversation.submissions import LOOK, Again, FlushRule, SubmissionBuffer
from masterworker.conversation.supervision import Supervision
from masterworker.conversation.troubles import Troubles
from masterworker.conversation.waiting import Waiter
from masterworker.core.reports import CURRENT
from masterworker.core.task import Lease, Outcome, Task, ids_of
from masterworker.errors import JournalError, Terminated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from masterworker.conversation.backpressure import BackPressure
    from masterworker.conversation.stacks import Stacks
    from masterworker.core.effects import Effects
    from masterworker.core.scheduler import Scheduler
    from masterworker.core.task import Finished, Payload
    from masterworker.errors import MasterworkerError


class Dispatcher:
    """The state of one job and of every conversation about it.

    Not thread-safe: the caller holds one lock around every call, but for `submissions`, `rule` and
    `repairs`, which say so.

    Args:
        core: The scheduler.
        pressure: Holds tasks back while results pile up.
        lock: Is held around changes of the buffer of requests.
    """

    def __init__(
        self,
        core: Scheduler,
        pressure: BackPressure,
        lock: AbstractContextManager[object],
    ) -> None:
        self.core = core
        #: What the shell has to do, in this order. It takes them out after each call.
        self.effects: deque[Effect] = deque()
        #: A tick is needed sooner than the last one has said.
        self.alarmed = False
        #: Why nothing can be kept any more; "" as long as outcomes are kept, or need not be.
        self.failure = ""
        #: What a caller has left behind whose call was broken off: functions and what to give them.
        #: To add one is a single step, without the lock; `flush` does them.
        self.repairs: deque[tuple[Any, ...]] = deque()
        #: As long as no more workers have something to do, those may look before they sleep.
        self.most_awake = 0
        self.pressure = pressure
        self.submissions = SubmissionBuffer(lock)
        self.rule = FlushRule(self.submissions, core.waiting.claims.by_id)
        self.membership = Membership(self)
        self.orders = MemberOrders()
        self.supervision = Supervision(self)
        self.answering = Answering(self)
        #: Of trusted processes, and of those with a ticket: neither pushes the other's out.
        self.calls, self.guest_calls = NumberedCalls(), NumberedCalls()
        self.troubles = Troubles(self._warn)
        self.collecting = Collecting(self)
        self.revoking = Revoking(self)
        self.stacks: Stacks | None = None  # until it is asked
        self.returning = Returning(self)

    @property
    def may_look(self) -> bool:
        """Whether so few workers are awake that one may look before it sleeps."""
        most, core = self.most_awake, self.core
        return most > 0 and core.processes.workers - len(core.waiting.claims.by_id) <= most

    # -- tasks ------------------------------------------------------------------------------

    def flush(self, now: float) -> None:
        """Let the scheduler know of all requests. First of all, whenever tasks are looked at."""
        if self.submissions.runs:
            core = self.core
            for first, tag, options, direct, payloads, expect, kept in self.submissions.take():
                if expect is not None:
                    expect(first)
                if isinstance(kept, Again):
                    one = core.table.blocks.one_by_one(payloads)[0]
                    task = Task(first, tag, one, direct, options=options, losses=list(kept.losses))
                    self.apply(core.on_requested_again(task, now), now)
                    continue
                if kept is not None:
                    self.apply(core.on_recalled(tag, first, *kept, payloads, direct=direct), now)
                    continue
                _, effects = core.on_requested(
                    tag, payloads, now, direct=direct, options=options, first=first
                )
                if effects.leases:
                    self.apply(effects, now)
        while self.repairs:
            repair, *what = self.repairs.popleft()
            repair(*what)

    def expect(self, asked: wire.Submission) -> Callable[[int], None] | None:
        """Return what is to be done with the id of the first task of a request, if anything.

        It notes which task has asked for them; see `SubmissionBuffer.add`.
        """
        if not asked.task_id:
            return None

        def note(first: int) -> None:
            children = range(first, first + len(asked.payloads))
            self.core.on_further(asked.task_id, asked.client, asked.tag, children)

        return note

    def flush_requests(self, now: float) -> None:
        """The same, for a caller to which the rule has said so."""
        self.flush(now)
        if self.rule.watch(now):
            self.alarmed = True

    def cancel(self, task_ids: Sequence[int], now: float) -> list[int]:
        """Cancel tasks. Returns the ids of those that had no outcome yet."""
        self.flush(now)
        cancelled, effects = self.core.on_cancelled(task_ids, now)
        self.apply(effects, now)
        return cancelled

    def withdraw(self, task_ids: Sequence[int], now: float) -> None:
        """The caller that has asked for these tasks was interrupted before it knew of them."""
        self.apply(self.core.on_withdrawn(task_ids, now), now)

    def settle(self, task_id: int, kind: int, payload: Payload, attempt: int, now: float) -> bool:
        """Take the outcome of (an attempt of) a task, whichever process holds it.

        Returns:
            False: it was not accepted.
        """
        self.flush(now)
        outcome = Outcome(task_id, attempt, kind, [payload])
        refused, effects = self.core.on_reported(self._holder(task_id, attempt), [outcome], now)
        self.apply(effects, now)
        return not refused

    def give_back(self, task_id: int, attempt: int, now: float) -> None:
        """Take (an attempt of) a task back, whichever process holds it."""
        self.flush(now)
        holder = self._holder(task_id, attempt)
        self.apply(self.core.on_returned(holder, [task_id], now), now)

    def exchange(
        self, asked: wire.Exchange, channel: Any, until: float, now: float
    ) -> tuple[wire.Reply | None, Waiter | None]:
        """A worker delivers outcomes, gives back leases, and asks for new ones.

        Args:
            asked: What it reports and asks for.
            channel: Where its reply goes if there is nothing to say at once.
            until: When that is due at the latest; inf: the shell calls `expire`.
            now: Seconds on the manager's clock.

        Returns:
            The reply; or None, and the call that waits.
        """
        if asked.run:
            return self.returning.bring(asked, now), None
        member_id, outcomes = asked.member_id, asked.outcomes
        core = self.core
        if self.submissions.runs or self.repairs:
            self.flush(now)
        refused: list[int] = []
        if asked.spent:
            core.on_spent(member_id, asked.spent, now)
        if outcomes:
            refused, effects = core.on_reported(member_id, self.pressure.count(outcomes), now)
            self.apply(effects, now)
            if self.pressure:
                self.weigh(now)
        if not core.on_heard(member_id, now):
            order = wire.STOP if core.terminated else wire.REJOIN
            return wire.Reply(refused, [], [(order, 0)], 0.0), None
        if asked.returned:
            self.revoking.given_back(member_id, asked.returned, now)
            self.apply(core.on_returned(member_id, asked.returned, now), now)
        if asked.started:
            core.on_started(member_id, asked.started, now)
            self.revoking.look(now)
        leases, claim = list[Lease](), None
        self.returning.is_back(member_id, asked.want, now)
        if asked.want:
            leases, claim = core.on_fetch(member_id, asked.want, now, asked.tag, asked.seconds)
        if claim is None or not asked.wait > 0:
            if claim is not None:
                core.on_unparked(claim)
            orders = self.orders.take(member_id)
            marks = core.settlement.keeping.marks
            return wire.Reply(refused, leases, orders, 0.0, self.may_look, *marks), None
        finish = self.answering.finish_exchange
        waiter = Waiter(channel, member_id, [claim], now, until, finish, refused)
        self.answering.begin(waiter, now)
        return None, waiter

    # -- outcomes ---------------------------------------------------------------------------

    def kept(self, number: int, now: float) -> None:
        """Outcomes are kept: this number of those that were `Unkept`, in their order."""
        self.apply(self.core.on_kept(number), now)

    def undelivered(self, finished: Sequence[Finished], now: float) -> None:
        """Outcomes have not reached their collector: they go to others."""
        if finished:
            self.apply(self.core.on_undelivered(finished), now)

    def put_back(
        self, member_id: int, finished: Sequence[Finished], leases: Sequence[Lease], now: float
    ) -> None:
        """Take back what a call was given that did not get it."""
        self.undelivered(finished, now)
        ids = [task_id for lease in leases for task_id in ids_of(lease)]
        self.apply(self.core.on_returned(member_id, ids, now), now)

    def weigh(self, now: float, *, asking: bool = False) -> None:
        """See whether tasks are to be held back, or not any more.

        Args:
            now: Seconds on the manager's clock.
            asking: A caller asks for an outcome that is not there, perhaps again and again.
        """
        core, pressure = self.core, self.pressure
        if asking:
            pressure.asked = now
        held = pressure.decide(core, self.collecting.others_execute, now)
        if held is core.held_back:
            return
        if held and not pressure.stalled and not pressure.expecting:
            message = f"results of {pressure.size / 1e6:,.0f} MB wait to be picked up"
            message += ": no more tasks are handed out until some are"
            self.troubles.note("held", message, now)
        self.apply(core.on_held_back(now, held=held), now)

    # -- calls that are made once ------------------------------------------------------------

    def complete(self, calls: NumberedCalls, call: Call, reply: Any) -> bool:
        """A numbered call has been carried out, or has failed with a `MasterworkerError`.

        Returns:
            True: its client has given it up, so what can be undone is to be undone.
        """
        channels, orphan = calls.complete(call, reply)
        self.effects += [Reply(channel, reply) for channel in channels]
        return orphan

    def forgo(self, calls: NumberedCalls, client: str, number: int | None, now: float) -> None:
        """A client will not come for the reply of a numbered call (None: its last)."""
        self.undelivered(calls.forgo(client, number), now)

    def abandon(self, calls: NumberedCalls, client: str, now: float) -> None:
        """The connection of a client has ended, which may come back for its last reply."""
        calls.abandon(client, now)
        self.alarmed = True

    # -- time, and the end ------------------------------------------------------------------

    def on_tick(self, now: float) -> float:
        """Time has passed. Returns when it is due again; inf: not before something happens."""
        core = self.core
        self.rule.tick()  # before requests are taken in: one that comes later causes a tick again
        core.end_keeping(now)
        self.flush(now)
        self.returning.on_tick(now)
        if core.held_back:
            self.weigh(now)
        core.recorder.at(now)
        self.apply(core.on_tick(now), now)
        for calls in (self.calls, self.guest_calls):
            self.undelivered(calls.on_tick(now), now)
        self.troubles.look(core, now)
        self.answering.on_tick(now)
        waiting = bool(core.waiting.count) and not core.terminated
        look = now + LOOK if self.rule.ticked(now, waiting=waiting) else inf
        self.alarmed = core.alarmed = False
        return min(look, self.next_deadline())

    def next_deadline(self) -> float:
        """Return when a tick is due for something that is known by now; inf: for nothing."""
        core = self.core.next_deadline()
        parts = (self.answering, self.calls, self.guest_calls, self.returning)
        due = min(part.next_deadline() for part in parts)
        return due if core is None else min(due, core)

    def terminate(self, now: float) -> None:
        """End the job: nothing more is handed out, and every call that waits is answered."""
        self.flush(now)
        claims = self.core.on_terminated()
        for member_id in self.core.members:
            self.orders.give(member_id, (wire.STOP, 0))
        self.answering.terminate(claims, now)
        self.effects.append(MEMBERS_CHANGED)

    def check(self) -> None:
        """Verify that the calls that wait are those for which the scheduler knows a claim.

        Raises:
            AssertionError: They are not.
        """
        parked = {*self.core.waiting.claims.by_id, *self.core.results.claims.by_id}
        self.answering.waiters.check(parked)

    def require_open(self) -> None:
        """Raise `Terminated` if the job is over."""
        if self.core.terminated:
            raise self.ended()

    def ended(self) -> MasterworkerError:
        """Return the error of calls that come after the end."""
        return JournalError(self.failure) if self.failure else Terminated("the job is over")

    # -- what follows from the scheduler's effects --------------------------------------------

    def apply(self, effects: Effects, now: float) -> None:
        """Inform all processes that an event of the scheduler concerns."""
        if effects.leases or effects.results or effects.dropped:
            self.answering.serve(effects, now)
        if effects.direct:
            self.effects.append(Settled(effects.direct))
        if effects.unkept:
            self.effects.append(Unkept(effects.unkept, effects.parameters))
        if effects.struck:
            self.effects.append(Struck(effects.struck))
        if effects.failed:
            self.effects.append(CallsFailed(effects.failed))
        for member_id, task_id in effects.orders:
            self._order_to_stop(member_id, task_id, now)
        for member, reason in effects.lost:
            what = ""
            if held := member.in_hand:
                go = "1 task goes" if held == 1 else f"{held} tasks go"
                what = f"; {go} to another worker"
            line = reason.partition("\n")[0]
            message = f"worker {member.id} ({member.info}) lost: {line}{what}"
            self.effects.append(Warned(message, loud=not self.core.terminated))
            self.membership.forget(member.id)
        self.revoking.look(now)

    # -- inside -----------------------------------------------------------------------------

    def _warn(self, text: str) -> None:
        self.effects.append(Warned(text))
        self.core.recorder.event("trouble", text.partition("\n")[0])

    def _holder(self, task_id: int, attempt: int) -> int:
        """Return the process that has an attempt of a task in hand; -1 for none."""
        task = self.core.find(task_id)
        if task is None or task.holder is None or attempt not in {CURRENT, task.attempt}:
            return -1
        return task.holder

    def _order_to_stop(self, member_id: int, task_id: int, now: float) -> None:
        """Inform a process, and its supervisor, that a task is of no use any more."""
        member = self.core.members.get(member_id)
        if member is None:
            return
        self.orders.give(member_id, (wire.CANCEL, task_id))
        self.collecting.interrupt(member_id, now)  # if its task waits for others
        self.supervision.order(member.supervisor, (wire.CANCEL, member_id, task_id), now)
