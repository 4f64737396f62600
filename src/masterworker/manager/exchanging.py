"""A worker's one call: outcomes out, leases in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker import wire
from masterworker.manager.guarded import Guarded
from masterworker.manager.mailbox import Mailbox
from masterworker.manager.outbox import Postponed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker.core.grain import Spent
    from masterworker.core.task import Outcome
    from masterworker.transport.base import Later

    #: What a worker tells and asks: the fields of `wire.Exchange`.
    Asked = tuple[
        int,
        Sequence[Outcome],
        Iterable[int],
        int,
        int,
        float,
        str | None,
        float,
        Sequence[Spent],
    ]

_new = tuple.__new__  # makes a named tuple in half the time


class Exchanging(Guarded):
    """The guarded scheduler, and `exchange`. See `Manager`, which adds the other calls."""

    def exchange(  # noqa: PLR0913, PLR0917  one call tells everything
        self,
        member_id: int,
        outcomes: Sequence[Outcome] = (),
        returned: Iterable[int] = (),
        started: int = 0,
        want: int = 0,
        wait: float = 0.0,
        tag: str | None = None,
        seconds: float = 0.0,
        spent: Sequence[Spent] = (),
    ) -> wire.Reply:
        """Deliver outcomes, give back leases, and get new ones: a worker's one call.

        Args:
            member_id: Who calls.
            outcomes: Of tasks that it has executed.
            returned: Ids of tasks that it has not started.
            started: Id of the task that it is executing; 0 for none.
            want: The most tasks that it wants (of `tag`, if given).
            wait: Seconds to wait for one, at most.
            tag: Only tasks of this tag.
            seconds: About how much work it wants; 0.0: so many tasks, however long they take.
            spent: How long tasks took whose outcomes it delivers.
        """
        asked = (member_id, outcomes, returned, started, want, wait, tag, seconds, spent)
        box = Mailbox()
        try:
            with self.guard:
                now = self._clock()
                reply, claim = self._deal(asked, now)
                if claim is None:
                    box.leases = reply.leases
                    return reply
                box.claims = [claim]
                self._boxes.add(box)
                self._take_in()  # what came since saw nobody wait
                if self._orders.get(member_id):
                    box.ring()
                self._watch_clock()
            box.wait(min(wait, wire.LONGEST_WAIT))
            with self.guard:
                self._boxes.close(box)
                orders = self._take_orders(member_id)
                return wire.Reply(reply.refused, box.leases, orders, self._clock() - now)
        except BaseException:  # a Ctrl-C, say: what has come goes to somebody else
            if box.leases or box.claims:
                self.repairs.append((self._take_back, box, member_id))
                self._timekeeper.look_again()
            raise

    def exchange_later(self, later: Later, asked: Asked) -> wire.Reply | None:
        """Do the same, and do not wait.

        Args:
            later: Takes the reply when there is something to say, or after `wait` seconds.
            asked: What `exchange` takes.

        Returns:
            The reply, if there is something to say at once.
        """
        with self.guard:
            now = self._clock()
            reply, claim = self._deal(asked, now)
            if claim is None:
                return reply
            member_id, wait = asked[0], asked[5]
            until = now + min(wait, wire.LONGEST_WAIT)
            box = Postponed(later, claim, reply.refused, member_id, now, until, self._ready)
            self._boxes.add(box)
            if self._intake.runs:  # what came since saw nobody wait
                self._take_in()
            if self._orders.get(member_id):
                box.ring()
            if until < self._due:
                self._due = until
                self._timekeeper.look_again()
            if self.core.alarmed:
                self._watch_clock()
        return None

    def _ready(self, box: Postponed) -> None:
        """There is a reason to reply to somebody who waits."""
        if box.claims:
            self._boxes.close(box)
        orders = self._take_orders(box.member_id) if self._orders else []
        box.reply = _new(wire.Reply, (box.refused, box.leases, orders, self._clock() - box.began))
        self._outbox.send(box)

    def _deal(self, asked: Asked, now: float) -> tuple[wire.Reply, int | None]:
        """Take what a worker brings, and give it what there is.

        Returns:
            The reply, and the claim that it may wait with, if there is nothing to give.
        """
        member_id, outcomes, returned, started, want, wait, tag, seconds, spent = asked
        core = self.core
        if self._intake.runs or self.repairs:
            self._take_in()
        refused: list[int] = []
        if spent:
            core.on_spent(member_id, spent)
        if outcomes:
            counted = self._pile.count(outcomes)
            refused, effects = core.on_reported(member_id, counted, now)
            self._apply(effects)
            if self._pile:
                self._weigh(now)
        if not core.on_heard(member_id, now):
            order = wire.STOP if core.terminated else wire.REJOIN
            return wire.Reply(refused, [], [(order, 0)], 0.0), None
        if returned:
            self._apply(core.on_returned(member_id, returned, now))
        if started:
            core.on_started(member_id, started, now)
        leases, claim = core.on_fetch(member_id, want, now, tag, seconds) if want else ([], None)
        if claim is not None and wait > 0:
            return _new(wire.Reply, (refused, leases, [], 0.0)), claim
        if claim is not None:
            core.on_unparked(claim)
        if core.alarmed:
            self._watch_clock()
        return _new(wire.Reply, (refused, leases, self._take_orders(member_id), 0.0)), None
