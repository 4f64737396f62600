"""What is to be said to processes and to supervisors, until they come for it or wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker import wire

if TYPE_CHECKING:
    from masterworker.conversation.waiting import Waiter

_STOP = (wire.STOP, 0)


class MemberOrders:
    """The orders for processes, which every reply to an `exchange` takes along."""

    def __init__(self) -> None:
        self._orders: dict[int, list[tuple[str, int]]] = {}

    def give(self, member_id: int, order: tuple[str, int]) -> None:
        """Leave an order for a process."""
        self._orders.setdefault(member_id, []).append(order)

    def waiting_for(self, member_id: int) -> bool:
        """Return whether there are orders for a process."""
        return member_id in self._orders

    def take(self, member_id: int) -> list[tuple[str, int]]:
        """Return the orders for a process. All but `wire.STOP` are given once."""
        if not self._orders:
            return []
        orders = self._orders.pop(member_id, None)
        if orders is None:
            return []
        if _STOP in orders:
            self._orders[member_id] = [_STOP]
        return orders

    def put_back(self, member_id: int, orders: list[tuple[str, int]]) -> None:
        """Take back orders whose reply was not delivered."""
        orders = [order for order in orders if order != _STOP]
        if orders:
            self._orders[member_id] = orders + self._orders.get(member_id, [])

    def forget(self, member_id: int) -> None:
        """A process is gone."""
        self._orders.pop(member_id, None)


class _Queue:
    """The orders for one supervisor."""

    __slots__ = ("orders", "waiters")

    def __init__(self) -> None:
        self.orders: list[tuple[str, int, int]] = []
        #: Its calls that wait for orders, the latest last.
        self.waiters: list[Waiter] = []


class SupervisorOrders:
    """The orders for supervisors, and the connections through which each of them speaks."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        self._lines: dict[str, int] = {}

    def attach(self, name: str) -> None:
        """A supervisor speaks through one more connection."""
        self._lines[name] = self._lines.get(name, 0) + 1

    def detach(self, name: str) -> bool:
        """A connection of a supervisor has ended. True: it was the last."""
        self._lines[name] = self._lines.get(name, 1) - 1
        if self._lines[name] > 0:
            return False
        del self._lines[name]
        self._queues.pop(name, None)
        return True

    def heard(self, name: str) -> None:
        """A supervisor has spoken: from now on there may be orders for it."""
        if name not in self._queues:
            self._queues[name] = _Queue()

    def give(self, name: str, order: tuple[str, int, int]) -> list[Waiter]:
        """Leave an order for a supervisor. Returns its calls that wait for one, the latest first.

        The latest call takes all orders along: an earlier one that still waits may belong to a
        connection that has broken.
        """
        queue = self._queues.get(name)
        if queue is None:
            return []
        queue.orders.append(order)
        return self._all_of(queue)

    def take(self, name: str) -> list[tuple[str, int, int]]:
        """Return the orders for a supervisor, and forget them."""
        queue = self._queues.get(name)
        if queue is None:
            return []
        orders, queue.orders = queue.orders, []
        return orders

    def wait(self, name: str, waiter: Waiter) -> None:
        """A call of a supervisor waits for orders."""
        self._queues[name].waiters.append(waiter)

    def close(self, waiter: Waiter) -> None:
        """A call of a supervisor waits no more."""
        for queue in self._queues.values():
            if waiter in queue.waiters:
                queue.waiters.remove(waiter)

    def waiters(self) -> list[Waiter]:
        """Return all calls that wait for orders."""
        return [waiter for queue in self._queues.values() for waiter in self._all_of(queue)]

    def _all_of(self, queue: _Queue) -> list[Waiter]:
        return queue.waiters[::-1]
