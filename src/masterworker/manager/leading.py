"""How threads of the master wait: they serve connections meanwhile, if no other one does."""

from __future__ import annotations

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

    def wait(self, box: Mailbox, seconds: float) -> None:
        """Wait until another thread rings, this time at most; or a signal has been handled."""
        lead = self.lead
        if lead is None or not lead(box, seconds):
            box.wait(seconds)
