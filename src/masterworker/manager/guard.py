"""What is around each step of the machine: the lock, and that nothing breaks it off.

`with guard as machine:` is one step, and the only way to the machine's events. No signal handler
runs within it (see `masterworker.signals`). When it ends, the effects of the step are carried out
with the lock held, and what is to be said leaves when the lock is free: see `Outbox`.
"""

from __future__ import annotations

from _thread import get_ident
from typing import TYPE_CHECKING, NoReturn

from masterworker import forks
from masterworker.signals import signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.conversation.dispatcher import Dispatcher
    from masterworker.manager.outbox import Outbox


class Guard:
    """The lock of one manager. Not reentrant.

    Args:
        machine: What it guards.
        carry_out: Carries out the effects of a step.
        outbox: Is emptied when the lock is free.
    """

    __slots__ = (
        "__weakref__",
        "_acquire",
        "_carry_out",
        "_lock",
        "_machine",
        "_out",
        "_outbox",
        "_release",
    )

    def __init__(
        self, machine: Dispatcher, carry_out: Callable[[Dispatcher], None], outbox: Outbox
    ) -> None:
        self._machine, self._out = machine, machine.core.out
        self._lock = forks.lock()
        self._acquire: Callable[[], object] = self._lock.acquire
        self._release: Callable[[], object] = self._lock.release
        self._carry_out = carry_out
        self._outbox = outbox
        forks.register(self)

    def after_fork(self) -> None:
        """Refuse all further steps: the machine of a fork is a copy without workers."""
        self._acquire, self._release = self._refuse, _nothing
        self._carry_out = _nothing
        self._outbox = type(self._outbox)()  # what is to be sent the parent sends

    def _refuse(self) -> NoReturn:
        if get_ident() == signals.main:
            signals.release()
        forks.refuse()

    def __enter__(self) -> Dispatcher:
        if get_ident() == signals.main:
            signals.hold()
        self._acquire()
        return self._machine

    def __exit__(self, *_: object) -> None:
        machine, outbox = self._machine, self._outbox
        try:
            if machine.effects or machine.alarmed or self._out.alarmed:
                self._carry_out(machine)
        finally:
            self._release()
            try:
                if outbox.replies or outbox.bells:
                    outbox.empty()
            finally:
                if get_ident() == signals.main:
                    signals.release()

    def held(self) -> Dispatcher:
        """Return the machine to a caller that is called within a step."""
        assert self._lock.locked()  # noqa: S101  by our own callers only
        return self._machine

    def is_free(self) -> bool:
        """Return whether no thread is in a step right now."""
        return not self._lock.locked()


def _nothing(*_: object) -> None:
    """A fork may be made in the middle of a step."""
