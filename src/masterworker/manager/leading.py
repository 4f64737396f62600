"""How threads of the master wait: they serve connections meanwhile, if no other one does."""

from __future__ import annotations

from _thread import get_ident
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.manager.mailbox import Mailbox


class Leading:
    """The way to wait in one job. Thread-safe."""

    def __init__(self) -> None:
        #: Serves connections until a box is rung, or a time is up. False: it could not. See
        #: `transport.pyro.reactor`; None: there are no connections.
        self.lead: Callable[[Mailbox, float], bool] | None = None
        #: What a leader can do itself, where else another thread would be woken; None: nothing.
        self.errand: Callable[[], object] | None = None
        #: Where threads wait that could.
        self._boxes: dict[int, Mailbox] = {}

    def wait(self, box: Mailbox, seconds: float) -> None:
        """Wait until another thread rings, this time at most; or a signal has been handled."""
        lead, errand = self.lead, self.errand
        if errand is not None:
            self._boxes[get_ident()] = box
        try:
            if lead is None or not lead(box, seconds):
                box.wait(seconds)
        finally:
            if errand is not None:
                self._boxes.pop(get_ident(), None)

    def takes_errand(self) -> bool:
        """Ask the calling thread to do the errand, if it leads: when it has left off leading.

        A signal handler that raises may come first, so the errand is only ever a short cut.
        """
        box = self._boxes.get(get_ident())
        if box is None or box.also is None:
            return False
        box.errand = self.errand
        box.ring()
        return True
