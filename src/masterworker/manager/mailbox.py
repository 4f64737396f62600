"""Where one thread waits for the reply to its call."""

from __future__ import annotations

import threading
from typing import Any


class Mailbox:
    """One thread waits here, until its reply is there or another thread rings."""

    __slots__ = ("_bell", "release", "reply")

    def __init__(self) -> None:
        self._bell = threading.Lock()
        self._bell.acquire()
        #: As `ring`, in one step; a `RuntimeError`: it was rung already.
        self.release = self._bell.release
        #: The reply; an exception: the call has failed with it. Set before the bell rings.
        self.reply: Any = None

    def ring(self) -> None:
        """Wake the thread; once is enough."""
        try:  # noqa: SIM105  a context takes as long as all the rest of this
            self.release()
        except RuntimeError:
            pass  # released already

    def wait(self, seconds: float) -> None:
        """Wait until another thread rings, this time at most. Signals are handled meanwhile."""
        self._bell.acquire(timeout=seconds)
