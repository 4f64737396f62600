"""Signals to a worker: Ctrl-C and SIGTERM, as distinct from what a handler raises itself.

SIGINT interrupts the task that is being executed; it goes back. SIGTERM lets it finish within a
grace, and then the worker leaves; a second one counts as SIGINT. A second SIGINT ends the process
at once. A signal of a batch system to all processes comes twice, directly and from our supervisor:
that is one stop, and how long it lasts the supervisor decides. That one task alone is to be broken
off (it is cancelled, or its time is up) stands on the scoreboard, and another signal,
`scoreboard.LOOK`, says to look there. One that comes late or twice finds nothing to do.

A signal can come between any two steps. So a task is broken off in its own code only: never while
this worker does something for it that must be done whole or not at all. In between stands
`holding`: what comes there is done at its end, or where the worker says that it may be.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from masterworker import forks
from masterworker.launch.scoreboard import CANCEL, DEADLINE, END, LOOK, TASK
from masterworker.worker import integrity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from masterworker.launch.process_context import ProcessContext

#: Exit status of a process that a second Ctrl-C ended: what shells say of SIGINT.
EXIT_INTERRUPTED = 128 + signal.SIGINT


class LeftIdle(BaseException):
    """A signal came while this worker waited for work.

    Not a `KeyboardInterrupt`: Pyro closes a connection when it sees one, and a worker whose
    connection closes before it signs off is a lost one.
    """


class Broken(BaseException):
    """The task that is being executed is to end, and the worker to go on.

    Args:
        cancelled: It is not wanted any more; else its time is up.
    """

    def __init__(self, cancelled: bool) -> None:
        super().__init__()
        self.cancelled = cancelled


#: A signal to all processes comes once more from our supervisor, within this time (seconds).
PASSED_ON = 0.2
#: Time that a task may go on after a SIGTERM before it is given back (seconds).
GRACE = 10.0


class _Breakable:
    """See `Interrupts.may_break`. Entered for each task, so it is no generator."""

    __slots__ = ("_idle", "_interrupts")

    def __init__(self, interrupts: Interrupts, idle: bool) -> None:
        self._interrupts = interrupts
        self._idle = idle

    def __enter__(self) -> None:
        interrupts = self._interrupts
        if interrupts.came:
            raise KeyboardInterrupt
        interrupts.idle = self._idle
        interrupts.is_calling = False
        interrupts.breakable = True

    def __exit__(self, *_: object) -> None:
        self._interrupts.breakable = self._interrupts.idle = False


class _Calling:
    """See `Interrupts.calling`."""

    __slots__ = ("_interrupts",)

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts

    def __enter__(self) -> None:
        self._interrupts.is_calling = True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._interrupts.is_calling = False
        if kind is LeftIdle and not self._interrupts.idle:
            raise KeyboardInterrupt from None


class _Holding:
    """See `Interrupts.holding`."""

    __slots__ = ("_interrupts",)

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts

    def __enter__(self) -> None:
        self._interrupts.held = True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._interrupts.held = False
        if kind is None or issubclass(kind, Exception):
            self._interrupts.raise_pending()


_NOTHING = contextlib.nullcontext()


class Interrupts:
    """The signals that came to this worker.

    Args:
        context: Of its process.
    """

    def __init__(self, context: ProcessContext) -> None:
        self._context = context
        #: A Ctrl-C came from outside: whatever `KeyboardInterrupt` surfaces is that one.
        self.came = False
        #: Finish the current task, and leave.
        self.leaving = False
        #: This worker has the process's signals, so the process is its own.
        self.in_charge = False
        #: When it has to be gone, if it is leaving (seconds on the monotonic clock).
        self._leave_by = float("inf")
        #: How many stops our supervisor had sent, or was about to, when that Ctrl-C came.
        self._stops = 0
        #: What is to break off a task as soon as that may be, by its id; None: it has been raised,
        #: and once is enough.
        self._pending: dict[int, BaseException | None] = {}
        #: This worker does something for a task that must not be broken off in the middle.
        self.held = False
        #: A signal may raise an exception; and nothing is being executed.
        self.breakable = False
        self.idle = False
        #: A call to the manager is under way.
        self.is_calling = False
        self._pid = os.getpid()
        #: What the handlers of these signals were before.
        self._before: dict[int, Any] = {}
        # Entered for each batch and each call, so they are made once.
        self._within = _Breakable(self, False), _Breakable(self, True)
        self._calling = _Calling(self)
        self._holding = _Holding(self)
        #: The thread that executes, where it has the signals.
        self._main = 0
        forks.register(self)

    def has_come(self) -> bool:
        """Return whether a Ctrl-C came from outside; asked when a handler has raised one."""
        if not self.came and self.in_charge and self._context.is_launched:
            threading.Event().wait(PASSED_ON)
        return self.came

    def look(self) -> None:
        """Let the main thread look whether the task that it executes is to be broken off."""
        if self.in_charge:
            signal.pthread_kill(self._main, LOOK)

    def cancel(self, task_id: int) -> None:
        """Break off a task that is not wanted: as soon as it goes on, if it waits for another."""
        if threading.get_ident() == self._main or self._context.board[TASK] != task_id:
            self._pending.setdefault(task_id, Broken(cancelled=True))
        else:
            self._context.board[CANCEL] = task_id
            self.look()

    def look_at_clock(self) -> None:
        """Break off what has taken too long, also if the grace after a SIGTERM is over."""
        deadline = self._context.board[DEADLINE]
        if deadline and time.monotonic_ns() > deadline:
            self.look()
        if self.leaving and not self.came and time.monotonic() > self._leave_by:
            self._leave_by = float("inf")
            if self.in_charge:
                signal.pthread_kill(self._main, signal.SIGINT)

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle signals, if this is the main thread; else leave them to the program."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._before = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGINT, self._on_interrupt),
                (signal.SIGTERM, self._on_terminate),
                (LOOK, self._on_look),
            )
        }
        self._main = threading.get_ident()
        self.in_charge = True
        forks.carry(self._before)
        try:
            yield
        finally:
            self._give_back()

    def after_fork(self) -> None:
        """The signals of a fork that a task has made are its own."""
        self._context.after_fork()
        self._pending.clear()
        self.calm_down()
        self.leaving = True  # once it comes back from the task, it begins nothing more
        if self.in_charge:
            ours = self._on_interrupt, self._on_terminate, self._on_look
            self._give_back(number for number in self._before if signal.getsignal(number) in ours)

    def _give_back(self, numbers: Iterable[int] | None = None) -> None:
        self.in_charge = False
        for number in self._before if numbers is None else numbers:
            signal.signal(number, self._before[number])

    def may_break(self, *, idle: bool = False) -> _Breakable:
        """Within this, a signal may raise `KeyboardInterrupt`.

        Args:
            idle: Nothing is being executed, so SIGTERM breaks it off, too.
        """
        return self._within[idle]

    def calling(self) -> AbstractContextManager[None]:
        """Within this, a call is under way, through which a `KeyboardInterrupt` must not pass."""
        if not self.in_charge or threading.get_ident() != self._main:
            return _NOTHING
        return self._calling

    def holding(self) -> AbstractContextManager[None]:
        """Within this, a task in the main thread is not broken off, but at the end of it."""
        if self.held or not self.in_charge or threading.get_ident() != self._main:
            return _NOTHING
        return self._holding

    def calm_down(self) -> None:
        """The worker leaves: what comes now only makes it hurry."""
        self.breakable = self.idle = self.is_calling = False

    def _on_interrupt(self, number: int, frame: Any) -> None:  # noqa: ARG002  Python's signature
        if os.getpid() != self._pid:
            _default(number)
        executing = self._context.board[TASK]
        if (
            number == signal.SIGINT
            and self._context.is_launched
            and not self._context.board[END]
            and executing
        ):
            # Its own process group keeps a Ctrl-C at the terminal away, and its supervisor says
            # when it means the worker: a handler has sent this to its own process.
            if self.held and not self.is_calling:
                self._pending[executing] = KeyboardInterrupt()
                return
            raise KeyboardInterrupt
        if self.came:
            if not self._context.is_launched or self._context.board[END] > self._stops:
                os._exit(EXIT_INTERRUPTED)
            return
        self._stops = max(1, self._context.board[END])
        self.came = self.leaving = True
        if self.idle or (self.is_calling and self.breakable):
            raise LeftIdle
        if self.breakable:
            raise KeyboardInterrupt

    def _on_look(self, number: int, frame: Any) -> None:  # noqa: ARG002  Python's signature
        """Break off the task that is being executed, if it is meant."""
        board = self._context.board
        executing, deadline = board[TASK], board[DEADLINE]
        cancelled = board[CANCEL] == executing
        late = deadline and time.monotonic_ns() > deadline
        if not executing or not (cancelled or late) or os.getpid() != self._pid:
            return
        if executing in self._pending or not self.breakable:
            return  # that was said already, or this worker leaves
        if self.held or self.is_calling:  # a call that was broken off would take along what came
            self._pending[executing] = Broken(cancelled)
            return
        self._pending[executing] = None
        raise Broken(cancelled)

    def is_pending(self) -> bool:
        """Return whether the task that is being executed is to be broken off."""
        return bool(self._pending) and self._pending.get(self._context.board[TASK]) is not None

    def raise_pending(self) -> None:
        """Break it off now, if it is to be."""
        if self._pending:
            executing = self._context.board[TASK]
            broken = self._pending.get(executing)
            if broken is not None:
                self._pending[executing] = None
                raise broken

    def is_over(self, task_id: int) -> None:
        """An execution has ended: nothing more can be meant for it."""
        if self._pending:
            was_broken_off = self._pending.pop(task_id, _NOTHING) is None
            if was_broken_off and self._context.is_launched and integrity.has_half_imported():
                self.leaving = self._context.is_recycled = True  # another process takes its place

    def _on_terminate(self, number: int, frame: Any) -> None:
        if os.getpid() != self._pid:
            _default(number)
        if self.leaving:
            if not self._context.is_launched:
                self._on_interrupt(number, frame)
            return
        self.leaving = True
        if not self._context.is_launched:  # whose supervisor knows how much time there is
            self._leave_by = time.monotonic() + GRACE
        elif not self._context.board[END]:  # it was not the supervisor: let it start another one
            self._context.is_recycled = True
        if self.idle:
            raise LeftIdle


def _default(number: int) -> None:
    """Do what this signal does to a process that was forked by a handler: end it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
