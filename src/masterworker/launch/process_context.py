"""What a process that executes tasks knows of itself: one object, which its worker is given.

`cli.child`, the entry of launched processes, makes the object and gives it to the worker. A plain
script makes none: its worker takes the one that each process has, in which there is no launcher.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from functools import cache
from os import _exit
from typing import TYPE_CHECKING, Any, Final, NoReturn

from masterworker import taskid
from masterworker.errors import MasterNotFoundError
from masterworker.launch import exits, scoreboard
from masterworker.launch.worker_limits import UNLIMITED, WorkerLimits
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

logger = logging.getLogger("masterworker.worker")

#: Linux's number of "send me a signal when my parent ends".
_PR_SET_PDEATHSIG: Final = 1


class Assignment(NamedTuple):
    """The job that a process was started for, where it was started from the label alone."""

    label: str
    #: Digest of the slave program that came from the master.
    digest: str
    #: Name of the class that the master's script gives for its workers; "" where there is none.
    worker_class: str = ""
    #: Is given the worker and its handlers by tag, instead of letting it execute tasks.
    instead: Callable[[Any, Mapping[str, Callable[..., Any]]], None] | None = None
    #: The job is over, as far as this process is concerned.
    served: bool = False


class ProcessContext:
    """What a process knows of its launcher, its supervisor and its job, and how it ends.

    Args:
        launcher: Id of the process that has launched this one; None: it was not launched.
        limits: When the worker leaves by itself.
    """

    def __init__(self, launcher: int | None = None, limits: WorkerLimits = UNLIMITED) -> None:
        self.launcher = launcher
        self.limits = limits
        #: Name of the supervisor of this process; "" for none.
        self.supervisor = ""
        #: What is shared with the supervisor; see `scoreboard`.
        self.board = scoreboard.private()
        #: The tag that is shown there.
        self.shown_tag = ""
        #: Makes the connections of its worker; None: it reaches the master by the label.
        self.connect: Callable[[], Any] | None = None
        #: The job that this process was started for; None: it was not started from a label alone.
        self.assignment: Assignment | None = None
        #: The slave program has asked for its assignment, that is, started a slave.
        self.was_asked = False
        #: The worker was ended by Ctrl-C.
        self.was_interrupted = False
        #: The worker leaves so that a new one takes its place.
        self.is_recycled = False
        #: The master has launched it, and so it ends with the master.
        self.is_masters_own = False

    # -- the supervisor ---------------------------------------------------------------------

    def supervised_by(self, fd: int) -> None:
        """Take note of the supervisor, and of the scoreboard that this process has inherited.

        Args:
            fd: File descriptor of the scoreboard. It is closed.

        Raises:
            OSError: There is no such file descriptor.
            ValueError: What is behind it is no scoreboard.
        """
        self.supervisor, self.board = scoreboard.attach(fd)
        self.shown_tag = ""

    def show_tag(self, tag: str) -> None:
        """Show the supervisor the tag of the tasks that are executed from now on."""
        if tag != self.shown_tag:
            self.shown_tag = tag
            scoreboard.write_tag(self.board, taskid.shown_tag(tag))

    def has_left(self) -> None:
        """Take note that the worker has left: its supervisor may expect the process to end.

        A process that was not launched may do something else; it is not watched any more.
        """
        self.board[scoreboard.LEFT] = 1
        if self.launcher is None:
            self._forget_supervisor()

    def after_fork(self) -> None:
        """Take note that this process is a fork of the one that was launched: it is not watched."""
        self.launcher, self.limits = None, UNLIMITED
        self._forget_supervisor()

    def _forget_supervisor(self) -> None:
        self.supervisor, self.board, self.shown_tag = "", scoreboard.private(), ""

    # -- the launcher -----------------------------------------------------------------------

    @property
    def is_launched(self) -> bool:
        """Return whether another process has launched this one, and looks after it."""
        return self.launcher is not None

    @property
    def is_orphaned(self) -> bool:
        """Return whether the launcher has ended, or has learned that the job is over."""
        launcher = self.launcher
        return launcher is not None and (
            os.getppid() != launcher or self.board[scoreboard.OVER] != 0
        )

    def require_launcher(self, pause: float) -> None:
        """Refuse to look for another master, if the one that launched this process has ended.

        Args:
            pause: Seconds to wait first: connections close an instant before a process is gone.

        Raises:
            MasterNotFoundError: It has ended.
        """
        if self.is_launched:
            threading.Event().wait(pause)
        if self.is_orphaned:
            raise MasterNotFoundError("the master that launched this worker is gone")

    def end_with_launcher(self) -> None:
        """Let the system end this process when the one that launched it ends, where it can.

        What the system watches is the *thread* that launched it, which must live as long.
        """
        end_with_parent()
        if self.is_orphaned:  # it has ended before
            os._exit(exits.MASTER_GONE)

    # -- the job ----------------------------------------------------------------------------

    def ask_assignment(self) -> Assignment | None:
        """Return the job that this process was started for, to a program that starts a slave."""
        self.was_asked = True
        return self.assignment

    def has_served(self) -> None:
        """Take note that the slave has done its work: its script may go on to something else."""
        if self.assignment is not None:
            self.assignment = self.assignment._replace(served=True)

    @property
    def program_digest(self) -> str:
        """The digest of the slave program that came from the master; "" for none."""
        return "" if self.assignment is None else self.assignment.digest

    def use_instead(self, worker: Any, handlers: Mapping[str, Callable[..., Any]]) -> bool:
        """Hand a worker and its handlers to what wants them instead of a worker that works.

        Returns:
            False: there is no such thing, so the worker is to work.
        """
        if self.assignment is None or self.assignment.instead is None:
            return False
        self.assignment.instead(worker, handlers)
        return True

    # -- the end ----------------------------------------------------------------------------

    def conclude(self, status: int, reason: str = "") -> bool:
        """Leave the supervisor the exit status of this process, which ends now, and the reason.

        Returns:
            False: this process was not launched, so nothing passes the reason on. (The sidecar of
            a script has no output.)
        """
        scoreboard.write_verdict(self.board, status, reason)
        return self.is_launched and bool(self.supervisor)

    def end_process(self, reason: str) -> None:
        """End this process, whatever its main thread is doing, since the master is gone."""
        if not self.conclude(exits.MASTER_GONE, reason):
            logger.warning("%s; this worker ends", reason)
        os._exit(exits.MASTER_GONE)


def end_with_parent() -> None:
    """Let the system end this process when the thread that started it ends, where it can."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            _prctl()(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@cache
def _prctl() -> Callable[..., int]:
    """Return a function of the C library. A template has it for all its workers."""
    import ctypes

    found: Callable[..., int] = ctypes.CDLL(None).prctl
    return found


def end_broken() -> NoReturn:
    """End this process at once, with the traceback of what is being handled.

    A handler has left the interpreter so that nothing can be relied upon, not even its builtins.
    """
    try:
        sys.__excepthook__(*sys.exc_info())
        sys.stderr.flush()
    finally:
        _exit(exits.FAILED)


class _OfThread(threading.local):
    worker: object | None = None


class ThisProcess:
    """What a process has one of, since it is asked for where no argument can bring it.

    A script that the master has stored makes its own worker from the label alone; a handler calls
    `current_worker()`, perhaps in a thread of its own; a library that a task imports makes a
    `Master`, which has to know that this is a worker.
    """

    def __init__(self) -> None:
        #: Of the process, as its launcher knows it.
        self.context = ProcessContext()
        self._of_thread = _OfThread()
        self._of_main: object | None = None

    def context_of_worker(self) -> ProcessContext:
        """Return the context for a worker that is not given one.

        A program may have several workers, in threads. What one of them executes, and until when,
        is none of the others' business: the one in the main thread is interrupted by it.
        """
        known = self.context
        return known if known.is_launched or known.assignment is not None else ProcessContext()

    @property
    def worker(self) -> Any:
        """The worker that executes a task here; None: none does."""
        return self._of_thread.worker or self._of_main

    @property
    def is_worker(self) -> bool:
        """Return whether this process executes what others ask for."""
        return self.context.is_launched or self.worker is not None

    @contextlib.contextmanager
    def working_as(self, worker: object) -> Iterator[None]:
        """Within this, `worker` is the one of this thread.

        If this is the process's main thread, it is the one of all threads that have none.
        """
        before, before_all = self._of_thread.worker, self._of_main
        main = threading.current_thread() is threading.main_thread()
        self._of_thread.worker = worker
        if main:
            self._of_main = worker
        try:
            yield
        finally:
            self._of_thread.worker = before
            if main:
                self._of_main = before_all


this_process: Final = ThisProcess()
