"""What is around each step of the scheduler: the lock, and that nothing breaks it off.

`with guard:` is one step. No signal handler runs within it (see `masterworker.signals`), and what
is to be said afterwards leaves when the lock is free: see `Outbox`.
"""

from __future__ import annotations

import threading
from _thread import get_ident
from typing import TYPE_CHECKING

from masterworker.signals import signals

if TYPE_CHECKING:
    from masterworker.manager.outbox import Outbox


class Guard:
    """The lock of one manager. Not reentrant.

    Args:
        outbox: Is emptied when the lock is free.
    """

    __slots__ = ("_acquire", "_lock", "_outbox", "_release")

    def __init__(self, outbox: Outbox) -> None:
        self._lock = threading.Lock()
        self._acquire = self._lock.acquire
        self._release = self._lock.release
        self._outbox = outbox

    def __enter__(self) -> None:
        if get_ident() == signals.main:
            signals.hold()
        self._acquire()

    def __exit__(self, *_: object) -> None:
        self._release()
        try:
            if self._outbox:
                self._outbox.empty()
        finally:
            if get_ident() == signals.main:
                signals.release()

    def is_free(self) -> bool:
        """Tell whether nobody is in a step right now."""
        return not self._lock.locked()
