"""What is around each step of the scheduler: the lock, and that nothing breaks it off.

`with guard:` is one step. No signal handler runs within it (see `masterworker.signals`), and what
is to be said afterwards leaves when the lock is free: see `Outbox`.
"""

from __future__ import annotations

from _thread import get_ident
from typing import TYPE_CHECKING, NoReturn

from masterworker import forks
from masterworker.signals import signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.manager.outbox import Outbox


class Guard:
    """The lock of one manager. Not reentrant.

    Args:
        outbox: Is emptied when the lock is free.
    """

    __slots__ = ("__weakref__", "_acquire", "_lock", "_outbox", "_release")

    def __init__(self, outbox: Outbox) -> None:
        self._lock = forks.lock()
        self._acquire: Callable[[], object] = self._lock.acquire
        self._release: Callable[[], object] = self._lock.release
        self._outbox = outbox
        forks.tell(self)

    def after_fork(self) -> None:
        """Refuse all further steps: the scheduler of a fork is a copy that nobody works for."""
        self._acquire, self._release = self._refuse, _nothing
        self._outbox = type(self._outbox)()  # what is to be sent the parent sends

    def _refuse(self) -> NoReturn:
        if get_ident() == signals.main:
            signals.release()
        forks.refuse()

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


def _nothing() -> None:
    """A fork may be made in the middle of a step."""
