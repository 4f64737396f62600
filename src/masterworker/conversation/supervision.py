"""What supervisors say: the members that are well, and how processes have ended."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final

from masterworker import wire
from masterworker.conversation.orders import SupervisorOrders
from masterworker.conversation.waiting import NO_MEMBER, Event, Waiter
from masterworker.core.departure import Blameless, Ended, Stopped
from masterworker.core.reports import CURRENT
from masterworker.core.task import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker.conversation.whole import Whole
    from masterworker.core.departure import Departure

#: An order for a supervisor: its name, the member, the task.
Order = tuple[str, int, int]

#: What a supervisor has said of a worker holds for this time (seconds): it says it every second.
HOLDS: Final = 5.0
_STOP: Order = (wire.STOP, 0, 0)


class Supervision:
    """The part of a `Dispatcher` about supervisors.

    Args:
        whole: The machine that this is a part of.
    """

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._core = whole.core
        self._orders = SupervisorOrders()
        #: Why workers of supervisors elsewhere are no forks of a template, as far as they are not.
        self.ways: dict[str, str] = {}
        #: Since when a worker's own threads do not run, and when that was said.
        self._still: dict[int, tuple[float, float]] = {}
        #: `number_of_run` of this one.
        self.run = 0

    def attach(self, name: str) -> None:
        """A supervisor speaks through one more connection."""
        self._orders.attach(name)

    def detach(self, name: str, now: float) -> None:
        """A connection of a supervisor has ended; with the last one it is gone."""
        if self._orders.detach(name):
            self.ways.pop(name, None)
            self._whole.apply(self._core.on_unattended(name, now), now)

    def attend(
        self,
        name: str,
        alive: Sequence[int],
        endings: Sequence[wire.Ending],
        wait: float,
        channel: Any,
        until: float,
        now: float,
    ) -> tuple[list[Order] | None, Waiter | None]:
        """A supervisor reports, and asks for orders; see `Manager.attend`.

        Returns:
            Orders; or None, and the call that waits.
        """
        self._core.on_attended(name, alive, now)
        self._orders.heard(name)
        for ending in endings:
            self._take_ending(name, ending, now)
        orders = self._take_orders(name)
        if orders or not wait > 0:
            return orders, None

        def finish(_waiter: Waiter, _now: float) -> list[Order]:
            return self._take_orders(name)

        waiter = Waiter(channel, NO_MEMBER, [], now, until, finish, close=self._orders.close)
        self._orders.wait(name, waiter)
        self._whole.answering.begin(waiter, now)
        return None, waiter

    def order(self, name: str, order: Order, now: float) -> None:
        """Leave an order for a supervisor, and let the call that waits for one have it."""
        for waiter in self._orders.give(name, order):
            self._whole.answering.answer(waiter, Event.ORDERED, now)

    def note_still(self, seen: Iterable[wire.Still], now: float) -> None:
        """A supervisor has said which workers execute, and that their own threads do not run."""
        members = self._core.members
        for member_id, seconds in seen:
            if member_id in members and 0.0 <= seconds < inf:
                self._still[member_id] = now - seconds, now
        for each in [each for each in self._still if each not in members]:
            del self._still[each]

    def still_for(self, member_id: int, now: float) -> float:
        """Return for how long a worker's own threads have not run (seconds); 0.0: they do."""
        since, said = self._still.get(member_id, (now, -inf))
        return now - since if now - said <= HOLDS else 0.0

    def let_listen(self, member_id: int, now: float) -> None:
        """There is an order for a process, which may be busy: let its supervisor say so."""
        member = self._core.members.get(member_id)
        if member is not None:
            self.order(member.supervisor, (wire.LISTEN, member_id, 0), now)

    def waiters(self) -> list[Waiter]:
        """Return the calls that wait for orders."""
        return self._orders.waiters()

    def overdue(self, now: float) -> list[Waiter]:
        """Return the calls that have waited for orders for long enough."""
        return [waiter for waiter in self._orders.waiters() if waiter.until <= now]

    def next_deadline(self) -> float:
        """Return when `overdue` is of use next; inf: not before another call waits."""
        return min((waiter.until for waiter in self._orders.waiters()), default=inf)

    # -- inside -----------------------------------------------------------------------------

    def _take_orders(self, name: str) -> list[Order]:
        orders = self._orders.take(name)
        return [*orders, _STOP] if self._core.terminated else orders

    def _take_ending(self, name: str, ending: wire.Ending, now: float) -> None:
        """A supervisor reports how a process has ended."""
        member_id, how, tail, ended = ending.member_id, ending.how, ending.tail, ending.ended
        core, whole = self._core, self._whole
        if member_id < 0:
            message = f"workers fail at start: {how}"
            whole.troubles.note("start", message, now, tail)
            return
        if ending.run not in {0, self.run}:
            return  # the numbers are of another run of the manager, and mean something else here
        member = core.members.get(member_id)
        if member is None and ended:
            whole.apply(core.on_ended_at_last(member_id, name, now), now)
        if member is None or member.supervisor != name:
            return
        if ending.outcome is not None:
            kind, payload = ending.outcome
            report = Outcome(ending.task_id, CURRENT, kind, [payload])
            whole.apply(core.on_reported(member_id, [report], now)[1], now)
        reason = f"{how}; it wrote last:\n{tail}" if tail else how
        if ending.blame and ("out of memory" in how or "memory limit" in how):
            whole.troubles.note("memory", f"a worker ran out of memory: {how}", now)
        why: Departure = Blameless(reason)
        if ending.blame:
            task_id = ending.task_id
            why = Ended(reason, task_id) if ended else Stopped(reason, task_id)
        whole.apply(core.on_departed(member_id, why, now), now)
