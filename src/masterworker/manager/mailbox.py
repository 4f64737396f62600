"""Where one caller of the manager waits, and what came for it."""

from __future__ import annotations

import threading
from math import inf
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.effects import Effects
    from masterworker.core.task import Finished, Lease


class Mailbox:
    """Where one waiting caller finds what came for it. Filled with the manager's lock held."""

    __slots__ = ("_bell", "claims", "finished", "leases", "release", "until")

    def __init__(self) -> None:
        self._bell = threading.Lock()
        self._bell.acquire()
        #: As `ring`, in one step; a `RuntimeError`: somebody has rung already.
        self.release = self._bell.release
        #: The claims that it waits with. When one is served, the other is taken back.
        self.claims: list[int] = []
        self.leases: list[Lease] = []
        self.finished: list[Finished] = []
        #: When whoever waits here is to be woken; one who waits in a thread knows it himself.
        self.until = inf

    def ring(self) -> None:
        """Wake the caller; once is enough."""
        try:  # noqa: SIM105  a context takes as long as all the rest of this
            self.release()
        except RuntimeError:
            pass  # released already

    def wait(self, seconds: float) -> None:
        """Wait until somebody rings, for so long at most. Signals are handled meanwhile."""
        self._bell.acquire(timeout=seconds)


B = TypeVar("B", bound=Mailbox)


class Desk:
    """Where a supervisor finds its orders. Used with the manager's lock held."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, int, int]] = []
        self._boxes: list[Mailbox] = []

    def put(self, order: tuple[str, int, int]) -> None:
        """Leave an order."""
        self.orders.append(order)
        self.ring()

    def ring(self) -> None:
        """Wake whoever waits here."""
        boxes, self._boxes = self._boxes, []
        for box in boxes:
            box.ring()

    def open(self) -> Mailbox:
        """Make a mailbox to wait at."""
        self._boxes.append(Mailbox())
        return self._boxes[-1]

    def close(self, box: Mailbox) -> None:
        """Whoever has waited there waits no more."""
        if box in self._boxes:
            self._boxes.remove(box)

    def take(self) -> list[tuple[str, int, int]]:
        """Return the orders, and forget them."""
        orders, self.orders = self.orders, []
        return orders


class Mailboxes:
    """All mailboxes of one manager, by the claims that wait. Used with the manager's lock held.

    Args:
        take_back: Takes a claim back from the scheduler; one that has been served is no error.
    """

    def __init__(self, take_back: Callable[[int], object]) -> None:
        self._take_back = take_back
        self._boxes: dict[int, Mailbox] = {}

    def open(self, *claims: int | None) -> Mailbox:
        """Make a mailbox for a caller that waits with these claims."""
        box = Mailbox()
        box.claims = [claim for claim in claims if claim is not None]
        return self.add(box)

    def add(self, box: B) -> B:
        """Use a mailbox that has its claims."""
        for claim in box.claims:
            self._boxes[claim] = box
        return box

    def overdue(self, now: float) -> float:
        """Ring for those who have waited for long enough without a thread of their own.

        Returns:
            When it is time for the next one.
        """
        for box in [box for box in self._boxes.values() if box.until <= now]:
            box.ring()
        return min((box.until for box in self._boxes.values()), default=inf)

    def close(self, box: Mailbox) -> None:
        """Take back what claims are still waiting: the caller has got something, or gives up."""
        for claim in box.claims:
            if self._boxes.pop(claim, None) is not None:
                self._take_back(claim)
        box.claims = []

    def deliver(self, effects: Effects) -> None:
        """Put into mailboxes what has come for them, and wake their owners."""
        served: list[Mailbox] = []
        for claim, leases in effects.leases:
            box = self._boxes.pop(claim)  # it is served: only the other one is to be taken back
            box.leases += leases
            served.append(box)
        for claim, finished in effects.results:
            box = self._boxes.pop(claim)
            box.finished += finished
            served.append(box)
        for box in served:
            if box.claims:  # else both of its claims were served at once
                if len(box.claims) > 1:
                    self.close(box)
                box.claims = []
                box.ring()
        if effects.dropped:
            self.wake(effects.dropped)

    def wake(self, claims: list[int]) -> None:
        """Wake callers for whom nothing will come any more."""
        for claim in claims:
            if claim in self._boxes:
                self._boxes[claim].ring()
