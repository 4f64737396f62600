"""The real scheduler, and what follows from its events: `manager.guarded` in virtual time.

Waiting callers are boxes instead of blocked threads, and the timekeeper is an event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blocks import each_finished
from masterworker import wire
from masterworker.core.liveness import STOOD_STILL

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.effects import Effects
    from masterworker.core.scheduler import Scheduler
    from masterworker.core.task import Finished, Lease
    from simulation.kernel import Kernel
    from simulation.oracle import Oracle
    from simulation.swarm import Swarm

#: While tasks wait, the timekeeper looks so often (seconds).
LOOK = 1.0
#: A deadline may be missed by so much (seconds): by the rounding of a sum.
LATE = 1e-6


class Box:
    """Where one caller waits."""

    __slots__ = ("claims", "done", "finish", "finished", "leases", "member", "rung")

    def __init__(self, member: int, claims: list[int], finish: Callable[[Box], None]) -> None:
        self.member = member
        self.claims = claims
        self.finish = finish
        self.leases: list[Lease] = []
        self.finished: list[Finished] = []
        self.rung = self.done = False


class Orders:
    """Where a supervisor finds its orders."""

    def __init__(self) -> None:
        self.given: list[tuple[str, int, int]] = []
        #: Its calls that wait here.
        self.boxes: list[Box] = []

    def take(self) -> list[tuple[str, int, int]]:
        """Return the orders, and forget them."""
        given, self.given = self.given, []
        return given


class Guarded:
    """The scheduler, mailboxes, orders and time."""

    def __init__(self, kernel: Kernel, swarm: Swarm, core: Scheduler, oracle: Oracle) -> None:
        self.kernel = kernel
        self.swarm = swarm
        self.core = core
        self.oracle = oracle
        #: Name of this run of the master.
        self.instance = ""
        #: Something was told to the scheduler since the invariants were looked at.
        self.touched = False
        self._boxes: dict[int, Box] = {}
        self._clients: dict[str, int] = {}
        #: Those whose loss has given a strike: they may come back.
        self._before: dict[str, int] = {}
        self._orders: dict[int, list[tuple[str, int]]] = {}
        #: Where processes wait for outcomes.
        self._collecting: dict[int, Box] = {}
        #: What is to be told to supervisors.
        self._desks: dict[str, Orders] = {}
        self.dead = False
        self._stopped: list[tuple[Any, ...]] | None = None
        self._stopped_at = 0.0
        self._watching = False
        self._due: float | None = None
        self._plan = 0

    # -- standing still ---------------------------------------------------------------------

    def stop(self) -> None:
        """Stand still, as after SIGSTOP: what comes waits."""
        if self._stopped is None:
            self._stopped = []
            self._stopped_at = self.kernel.now

    def die(self) -> None:
        """Stand still for ever."""
        self.dead = True
        self.stop()

    def resume(self) -> None:
        """Go on with what came meanwhile; the clock is asked first or last, as it happens."""
        if self._stopped is None or self.dead:
            return
        waiting, self._stopped = self._stopped, None
        seconds = self.kernel.now - self._stopped_at
        if seconds > STOOD_STILL:
            self.oracle.stood_still(seconds, self.kernel.now)
        ticks = [act for act in waiting if act[0] == self._tick]
        rest = [act for act in waiting if act[0] != self._tick]
        first = self.kernel.random.random() < 0.5
        for act, *args in ticks + rest if first else rest + ticks:
            act(*args)
            self.oracle.check_strikes()  # before one that was cut off comes back

    def held_up(self, *act: Any) -> bool:
        """Tell whether the master stands still; then this is done later."""
        if self._stopped is None:
            return False
        self._stopped.append(act)
        return True

    # -- waiting ----------------------------------------------------------------------------

    def _open(self, box: Box, wait: float) -> Box:
        for claim in box.claims:
            self._boxes[claim] = box
        self.kernel.after(min(wait, wire.LONGEST_WAIT), self._finish, box)
        return box

    def _close(self, box: Box) -> None:
        for claim in box.claims:
            self._boxes.pop(claim, None)
            self.core.on_unparked(claim)

    def _ring(self, box: Box) -> None:
        if not box.rung:
            box.rung = True
            self.kernel.after(0.001 * self.kernel.random.random(), self._finish, box)

    def _ring_all(self, orders: Orders) -> None:
        boxes, orders.boxes = orders.boxes, []
        for box in boxes:
            self._ring(box)

    def _finish(self, box: Box) -> None:
        """A caller that waited has woken up."""
        if box.done or self.held_up(self._finish, box):
            return
        box.done = self.touched = True
        self._close(box)
        box.finish(box)

    # -- what follows from events -----------------------------------------------------------

    def _apply(self, effects: Effects) -> None:
        served = []
        for claim, leases in effects.leases:
            box = self._boxes[claim]
            box.leases += leases
            self.oracle.handed_out(box.member, leases, self.kernel.now)
            served.append(box)
        for claim, finished in effects.results:
            self.oracle.left(finished)
            box = self._boxes[claim]
            box.finished += finished
            served.append(box)
        for box in served:
            self._close(box)
            self._ring(box)
        for claim in effects.dropped:
            if claim in self._boxes:
                self._ring(self._boxes[claim])
        if effects.direct:
            self.oracle.left(effects.direct)
            for outcome in each_finished(effects.direct):
                self.oracle.received(outcome)
        for member_id, task_id in effects.orders:
            self._order_to_stop(member_id, task_id)
        for member, reason in effects.lost:
            self.oracle.lost(member, reason, self.kernel.now)
            self._forget_member(member.id)
        self._watch_clock()

    def _order_to_stop(self, member_id: int, task_id: int) -> None:
        member = self.core.members.get(member_id)
        if member is None:
            return
        self._orders.setdefault(member_id, []).append((wire.CANCEL, task_id))
        if (box := self._collecting.get(member_id)) is not None:
            self._ring(box)  # its task waits for others: it comes for the order
        if (orders := self._desks.get(member.supervisor)) is not None:
            orders.given.append((wire.CANCEL, member_id, task_id))
            self._ring_all(orders)

    def _forget_member(self, member_id: int) -> None:
        self._orders.pop(member_id, None)
        self._collecting.pop(member_id, None)
        for client in [c for c, m in self._clients.items() if m == member_id]:
            del self._clients[client]
            if self.core.has_struck(member_id):
                self._before[client] = member_id

    def _take_orders(self, member_id: int) -> list[tuple[str, int]]:
        orders = self._orders.pop(member_id, [])
        if (wire.STOP, 0) in orders:
            self._orders[member_id] = [(wire.STOP, 0)]
        return orders

    def terminate(self) -> None:
        """The job ends."""
        self.touched = True
        claims = self.core.on_terminated()
        for member_id in self.core.members:
            self._orders.setdefault(member_id, []).append((wire.STOP, 0))
        for claim in claims:
            if claim in self._boxes:
                self._ring(self._boxes[claim])
        for orders in self._desks.values():
            self._ring_all(orders)

    # -- time -------------------------------------------------------------------------------

    def _watch_clock(self) -> None:
        if self.core.alarmed:
            self.core.alarmed = False
            self._look_again()

    def _look_again(self) -> None:
        self._plan += 1
        self._due = self.kernel.now
        self.kernel.after(0.0, self._tick, self._plan)

    def _tick(self, plan: int) -> None:
        if plan != self._plan or self.held_up(self._tick, plan):
            return
        self.touched = True
        now = self.kernel.now
        with self.oracle.watching_limits(now):
            effects = self.core.on_tick(now)
        self._apply(effects)
        self.oracle.ticked()
        due = self.core.next_deadline()
        self._watching = bool(self.core.waiting.count) and not self.core.terminated
        if self._watching:
            due = now + LOOK if due is None else min(due, now + LOOK)
        self._due = due
        if due is not None:
            self._plan += 1
            self.kernel.after(max(0.0, due - now), self._tick, self._plan)

    # -- what must hold ---------------------------------------------------------------------

    def wrong(self) -> str:
        """Say what is wrong with those who wait, and with the clock; "" if nothing is."""
        known = {c.id for lanes in (self.core.waiting, self.core.results) for c in lanes.claims}
        for claim, box in self._boxes.items():
            if not box.rung and claim not in known:
                return f"process {box.member} waits with claim {claim}, which nobody knows"
        now, due = self.kernel.now, self.core.next_deadline()
        if due is not None and (self._due is None or max(due, now) < self._due - LATE):
            return f"something is due at {due}, and nobody looks before {self._due}"
        return ""
