"""Where one caller of the manager waits, and what came for it."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masterworker.core.task import Finished, Lease


class Mailbox:
    """Where one waiting caller finds what came for it. Filled with the manager's lock held."""

    __slots__ = ("_bell", "claims", "finished", "leases")

    def __init__(self) -> None:
        self._bell = threading.Lock()
        self._bell.acquire()
        #: The claims that it waits with. When one is served, the other is taken back.
        self.claims: list[int] = []
        self.leases: list[Lease] = []
        self.finished: list[Finished] = []

    def ring(self) -> None:
        """Wake the caller; once is enough."""
        with contextlib.suppress(RuntimeError):  # released already
            self._bell.release()

    def wait(self, seconds: float) -> None:
        """Wait until somebody rings, for so long at most. Signals are handled meanwhile."""
        self._bell.acquire(timeout=seconds)
