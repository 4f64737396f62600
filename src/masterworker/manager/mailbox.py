"""Where one thread waits for the reply to its call."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Mailbox:
    """One thread waits here, until its reply is there or another thread rings."""

    __slots__ = ("_bell", "also", "errand", "release", "reply")

    def __init__(self) -> None:
        self._bell = threading.Lock()
        self._bell.acquire()
        self.release = self._bell.release
        #: Called when it is rung, by the thread that rings.
        self.also: Callable[[], None] | None = None
        #: What the thread has to do when it does not lead any more; see `leading`.
        self.errand: Callable[[], object] | None = None
        #: The reply; an exception: the call has failed with it. Set before the bell rings.
        self.reply: Any = None

    def ring(self) -> None:
        """Wake the thread; once is enough."""
        try:  # noqa: SIM105  a context takes as long as all the rest of this
            self.release()
        except RuntimeError:
            pass  # released already
        if self.also is not None:  # after the release: who sets it looks at `is_rung` then
            self.also()

    @property
    def is_rung(self) -> bool:
        """Whether a thread has rung since the last wait."""
        return not self._bell.locked()

    def do_errand(self) -> bool:
        """Do what there is to do. False: nothing."""
        errand, self.errand = self.errand, None
        if errand is None:
            return False
        self._bell.acquire(timeout=0.0)  # it was rung for this; who waits here looks again anyway
        errand()
        return True

    def wait(self, seconds: float) -> None:
        """Wait until another thread rings, this time at most. Signals are handled meanwhile."""
        self._bell.acquire(timeout=seconds)
