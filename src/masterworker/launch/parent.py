"""What a worker process knows of the process that launched it: it ends with it, and as it says."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from os import _exit
from typing import Final, NamedTuple, NoReturn

from masterworker.errors import MasterNotFoundError
from masterworker.launch import exits, scoreboard

logger = logging.getLogger("masterworker.worker")

#: A master that cannot be reached for so long is a matter for the log (seconds), which says this.
NAMED_AFTER: Final = 4.0
UNREACHABLE: Final = "the master cannot be reached; trying for %.0f s more"

#: Linux's number of "send me a signal when my parent ends".
_PR_SET_PDEATHSIG: Final = 1


class WorkerLimits(NamedTuple):
    """When a worker leaves by itself, and what it does first."""

    #: After so many tasks (then a new one takes its place); None: never.
    max_tasks: int | None = None
    #: After so many seconds without a task; None: never.
    idle_timeout: float | None = None
    #: At this time of the monotonic clock, in seconds; None: never.
    deadline: float | None = None
    #: What each process calls before it works: "module:function", or `STORED` and the name under
    #: which the master has stored it; "" for nothing.
    initializer: str = ""


#: Begins the name of an initializer that the master has stored.
STORED: Final = "stored:"

#: Those of most processes.
UNLIMITED: Final = WorkerLimits()
#: Those of this process.
limits = UNLIMITED

_launcher: int | None = None
#: Name of the supervisor of this process ("" for none), and what is shared with it.
supervisor = ""
shared: memoryview = scoreboard.private()
#: The tag that is shown there.
shown_tag = ""


def launched_by(pid: int) -> None:
    """Take note of the process that launched this one."""
    global _launcher
    _launcher = pid


def limited_to(these: WorkerLimits) -> None:
    """Take note of this process's limits."""
    global limits
    limits = these


def end_with_launcher() -> None:
    """Let the system end this process when the one that launched it ends, where it can.

    What the system watches is the *thread* that launched it, which must live as long.
    """
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if orphaned():  # it has ended before
        os._exit(exits.MASTER_GONE)


def supervised_by(fd: int) -> None:
    """Take note of this process's supervisor, and of the scoreboard that it has inherited.

    Args:
        fd: File descriptor of the scoreboard. It is closed.

    Raises:
        OSError: There is no such file descriptor.
        ValueError: What is behind it is no scoreboard.
    """
    global supervisor, shared, shown_tag
    supervisor, shared = scoreboard.attach(fd)
    shown_tag = ""


def after_fork() -> None:
    """Take note that this process is a fork of the one that was launched: nobody supervises it."""
    global _launcher, limits, supervisor, shared, shown_tag
    _launcher, limits = None, UNLIMITED
    supervisor, shared, shown_tag = "", scoreboard.private(), ""


def show_tag(tag: str) -> None:
    """Show the supervisor what the tasks are called that are executed from now on."""
    global shown_tag
    if tag != shown_tag:
        shown_tag = tag
        scoreboard.write_tag(shared, tag)


def has_left() -> None:
    """The worker of this process has left: whoever watches it may expect the process to end.

    A process that was not launched as a worker may do something else; nobody watches it any more.
    """
    global supervisor, shared, shown_tag
    shared[scoreboard.LEFT] = 1
    if _launcher is None:
        supervisor, shared, shown_tag = "", scoreboard.private(), ""


def has_launcher() -> bool:
    """Tell whether another process has launched this one, and looks after it."""
    return _launcher is not None


def orphaned() -> bool:
    """Tell whether nobody is left for this process to work for, as far as its launcher knows.

    Either that has ended, or it has learned that the job is over.
    """
    return _launcher is not None and (os.getppid() != _launcher or shared[scoreboard.OVER] != 0)


def end_if_orphaned(pause: float) -> None:
    """Refuse to look for another master, if the one that launched this process has ended.

    Args:
        pause: Seconds to wait first: connections close an instant before a process is gone.

    Raises:
        MasterNotFoundError: It has ended.
    """
    if _launcher is not None:
        threading.Event().wait(pause)
    if orphaned():
        raise MasterNotFoundError("the master that launched this worker is gone")


def end_broken() -> NoReturn:
    """End this process at once, with the traceback of what is being handled.

    A handler has left the interpreter so that nothing can be relied upon, not even its builtins.
    """
    try:
        sys.__excepthook__(*sys.exc_info())
        sys.stderr.flush()
    finally:
        _exit(exits.FAILED)


def conclude(status: int, reason: str = "") -> bool:
    """Tell the supervisor with which exit status this process ends now, and why.

    Returns:
        False: there is no supervisor, so nobody passes the reason on.
    """
    scoreboard.write_verdict(shared, status, reason)
    return bool(supervisor)


def end_process(reason: str) -> None:
    """End this process, whatever its main thread is doing."""
    if not conclude(exits.MASTER_GONE, reason):
        logger.warning("%s; this worker ends", reason)
    os._exit(exits.MASTER_GONE)
