"""Signals to a worker: Ctrl-C and SIGTERM, told apart from what a handler raises itself.

SIGINT interrupts the task that is being executed; it goes back. SIGTERM lets it finish, and then
the worker leaves; a second one counts as SIGINT. A second SIGINT ends the process at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Exit status of a process that a second Ctrl-C ended: what shells say of SIGINT.
EXIT_INTERRUPTED = 128 + signal.SIGINT


class LeftIdle(BaseException):
    """A signal came while this worker waited for work.

    Not a `KeyboardInterrupt`: Pyro closes a connection when it sees one, and a worker whose
    connection closes before it signs off is a lost one.
    """


class Interrupts:
    """The signals that came to this worker."""

    def __init__(self) -> None:
        #: A Ctrl-C came from outside: whatever `KeyboardInterrupt` surfaces is that one.
        self.came = False
        #: Finish the current task, and leave.
        self.leaving = False
        #: This worker has the process's signals, so the process is its own.
        self.in_charge = False
        self._breakable = False
        self._idle = False
        self._calling = False
        self._pid = os.getpid()

    def has_come(self) -> bool:
        """Tell whether a Ctrl-C came from outside."""
        return self.came

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle signals, if this is the main thread; else leave them to the program."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGINT, self._on_interrupt),
                (signal.SIGTERM, self._on_terminate),
            )
        }
        self.in_charge = True
        try:
            yield
        finally:
            self.in_charge = False
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def may_break(self, *, idle: bool = False) -> Iterator[None]:
        """Within this, a signal may raise `KeyboardInterrupt`.

        Args:
            idle: Nothing is being executed, so SIGTERM breaks it off, too.
        """
        if self.came:
            raise KeyboardInterrupt
        self._breakable, self._idle = True, idle
        try:
            yield
        finally:
            self._breakable = self._idle = False

    @contextlib.contextmanager
    def calling(self) -> Iterator[None]:
        """Within this, a call is under way, through which a `KeyboardInterrupt` must not pass."""
        if not self.in_charge or threading.current_thread() is not threading.main_thread():
            yield
            return
        before, self._calling = self._calling, True
        try:
            yield
        except LeftIdle:
            if self._idle:
                raise
            raise KeyboardInterrupt from None
        finally:
            self._calling = before

    def _on_interrupt(self, number: int, frame: Any) -> None:  # noqa: ARG002  Python's signature
        if os.getpid() != self._pid:
            _default(number)
        if self.came:
            os._exit(EXIT_INTERRUPTED)
        self.came = self.leaving = True
        if self._idle or (self._calling and self._breakable):
            raise LeftIdle
        if self._breakable:
            raise KeyboardInterrupt

    def _on_terminate(self, number: int, frame: Any) -> None:
        if os.getpid() != self._pid:
            _default(number)
        if self.leaving:
            self._on_interrupt(number, frame)
            return
        self.leaving = True
        if self._idle:
            raise LeftIdle


def _default(number: int) -> None:
    """Do what this signal does to a process that was forked by a handler: end it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
