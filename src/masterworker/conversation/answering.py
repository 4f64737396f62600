"""Calls that wait: when they are answered, and with what; each once."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.conversation.effects import Reply
from masterworker.conversation.waiting import Event, Waiters

if TYPE_CHECKING:
    from masterworker.conversation.waiting import Waiter
    from masterworker.conversation.whole import Timed, Whole
    from masterworker.core.effects import Effects


class Answering:
    """The part of a `Dispatcher` about calls that have found nothing.

    Such a call is answered when something has come for it, when there is an order for it, when its
    process is gone, or when its time is up.

    Args:
        whole: The machine that this is a part of.
    """

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self.waiters = Waiters(whole.core.on_unparked)
        #: No call is due before.
        self._due = inf

    def begin(self, waiter: Waiter, now: float) -> None:
        """A call waits from now on, with the claims that it has."""
        whole = self._whole
        self.waiters.add(waiter)
        if whole.submissions.runs or whole.repairs:  # what came since saw no call wait
            whole.flush(now)
        if whole.orders.waiting_for(waiter.member_id):
            self.answer(waiter, Event.ORDERED, now)
        if waiter.until < self._due:
            self._due = waiter.until
            whole.alarmed = True

    def serve(self, effects: Effects, now: float) -> None:
        """Answer the calls for which an event of the scheduler has brought something."""
        for waiter, why in self.waiters.serve(effects):
            self.answer(waiter, why, now)

    def answer(self, waiter: Waiter, why: Event, now: float) -> None:
        """There is something to say to a call that waits; once is enough."""
        if self._make_reply(waiter, why, now):
            self._whole.effects.append(Reply(waiter.channel, waiter.reply))

    def expire(self, waiter: Waiter, now: float) -> Any:
        """The time of a call is up. Returns its reply; an exception: the call fails with it."""
        self._make_reply(waiter, Event.EXPIRED, now)
        return waiter.reply

    def give_up(self, waiter: Waiter, now: float) -> None:
        """A call that waits, or was answered, does not get its reply: what it has goes back."""
        waiter.happens(Event.ABANDONED)
        self._close(waiter)
        finished, leases, orders = waiter.finished, waiter.leases, waiter.orders
        waiter.finished, waiter.leases, waiter.orders = [], [], []
        self._whole.orders.put_back(waiter.member_id, orders)
        self._whole.put_back(waiter.member_id, finished, leases, now)

    def on_tick(self, now: float) -> None:
        """Answer the calls that have waited for long enough."""
        if now < self._due:
            return
        whole = self._whole
        parts: list[Timed] = [self.waiters, whole.supervision]
        parts += [] if whole.stacks is None else [whole.stacks]
        for waiter in [waiter for part in parts for waiter in part.overdue(now)]:
            self.answer(waiter, Event.EXPIRED, now)
        self._due = min(part.next_deadline() for part in parts)

    def next_deadline(self) -> float:
        """Return when `on_tick` is of use next; inf: not before another call waits."""
        return self._due

    def terminate(self, claims: list[int], now: float) -> None:
        """The job ends, and these claims wait no more: every call that waits is answered."""
        whole = self._whole
        others = whole.supervision.waiters() + whole.revoking.waiters()
        others += [] if whole.stacks is None else whole.stacks.waiters()
        for waiter in self.waiters.of(claims) + others:
            self.answer(waiter, Event.DROPPED, now)

    def finish_exchange(self, waiter: Waiter, now: float) -> wire.Reply:
        """Make the reply to an exchange that has waited."""
        orders = waiter.orders = self._whole.orders.take(waiter.member_id)
        waited, may_look = now - waiter.began, self._whole.may_look
        marks = self._whole.core.settlement.keeping.marks
        return wire.Reply(waiter.refused, waiter.leases, orders, waited, may_look, *marks)

    # -- inside -----------------------------------------------------------------------------

    def _make_reply(self, waiter: Waiter, why: Event, now: float) -> bool:
        """Make the reply of a call that waits. Returns False: it has one already."""
        is_first = waiter.happens(why)
        if is_first:
            self._close(waiter)
            waiter.reply = waiter.finish(waiter, now)
        return is_first

    def _close(self, waiter: Waiter) -> None:
        self.waiters.close(waiter)
        if waiter.close is not None:
            waiter.close(waiter)
