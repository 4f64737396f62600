"""Memory that a worker shares with its supervisor: a few numbers, and two short texts.

A worker writes here what it is doing, at the cost of one store for each task, and a tag where it
differs from that of the task before. At its end it writes a *verdict*: the exit status that it has
chosen, and why. The supervisor reads all this while the worker is alive, and above all when it is
not any more: so it knows which task was being executed when a process ended, whatever ended it.
Nothing that a handler prints or returns can be taken for any of it.

Behind the numbers stands the name of the supervisor. With that name a process can speak for the
workers, so it is in no command line, which every user of the machine could read. Behind the name
stands where the worker is to import from when it begins.
"""

from __future__ import annotations

import mmap
import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What is where. Each is a signed number of 8 bytes.
#: Id of the member that the worker has joined as, plus 1; 0: it has never joined.
MEMBER: Final = 0
#: Id of the task that is being executed; 0 for none.
TASK: Final = 1
#: When its time is up, in nanoseconds of the monotonic clock; 0: never.
DEADLINE: Final = 2
#: 1 if a task whose time is up may be tried again.
AGAIN: Final = 3
#: Counts up while the worker's own threads run.
TICK: Final = 4
#: Written by the supervisor: id of the task that is to be broken off; 0 for none.
CANCEL: Final = 5
#: How many tasks have been executed.
DONE: Final = 6
#: Written by the supervisor: 1 once the job is over.
OVER: Final = 7
#: 1 once the worker has left in good order, though its process may go on.
LEFT: Final = 8
#: Written by the supervisor: how many signals it has sent that mean the worker as a whole.
END: Final = 9
#: Written by the supervisor: the file descriptor of its shelf (see `data.shelf`) in its own
#: process, plus 1; 0: there is none.
SHELF: Final = 10
#: Id of the task that was executed last, or is; 0 for none. It may have left the process broken.
LAST: Final = 11
#: The exit status that the worker has chosen, plus 1; 0: it has chosen none. Written last of all.
VERDICT: Final = 12
#: Written by the supervisor: counts up when the master has left an order for this worker.
ORDERS: Final = 13
#: Written by a fork of a template, first of all: its process id.
PID: Final = 14
#: What the process does before it joins, one of the numbers below.
STEP: Final = 15
#: Which run of the manager `MEMBER` and `TASK` are of, as `wire.number_of_run`.
RUN: Final = 16
#: From here on: the tag of the task that is being executed, as text that ends with a zero.
TAG: Final = 17
#: From here on: why the worker ends, as text that ends with a zero.
_REASON: Final = TAG + 32
#: How many numbers there are. Longer texts are cut.
_COUNT: Final = _REASON + 256
_SIZE: Final = 8 * _COUNT
#: What `STEP` says, from 0 on.
LOADING, CONNECTING, ENTERING, IMPORTING, INITIALIZING, JOINING = range(6)
#: The same in words.
_STEPS: Final = (
    "loading Python and masterworker",
    "connecting to the master",
    "setting up its folder, variables and import path",
    "importing what the initializer needs",
    "executing the initializer",
    "joining, or executing a script up to where it starts a worker",
)
#: The signal that lets a worker look whether its task is to be broken off, and one that
#: has not joined write to stderr where it is. Only supervisors send
#: it, and a process that does not handle it, a fork of a handler say, ignores it.
LOOK: Final = signal.SIGURG
#: The name is not longer than this (bytes).
_LONGEST_NAME: Final = 200
#: Where `sys.path` begins, with zeros between its entries, and how long it may be (bytes).
PATH: Final = _SIZE + _LONGEST_NAME
LONGEST_PATH: Final = 1 << 20


def create(supervisor: str, path: Sequence[str] = ()) -> tuple[int, memoryview]:
    """Make a scoreboard.

    Args:
        supervisor: Name of the supervisor.
        path: Where the worker is to import from when it begins.

    Returns:
        A file descriptor that a child process may inherit (close it when the child is there), and
        the numbers.
    """
    fd = _nameless()
    os.truncate(fd, _SIZE)
    os.pwrite(fd, supervisor.encode().ljust(_LONGEST_NAME, b"\0"), _SIZE)
    os.pwrite(fd, os.fsencode("\0".join(path)), PATH)
    return fd, _map(fd)


def attach(fd: int) -> tuple[str, memoryview]:
    """Take over an inherited scoreboard, and close its file descriptor.

    Returns:
        The name of the supervisor, and the numbers.

    Raises:
        OSError: There is no such file descriptor.
        ValueError: What is behind it is no scoreboard.
    """
    try:
        return os.pread(fd, _LONGEST_NAME, _SIZE).rstrip(b"\0").decode(), _map(fd)
    finally:
        os.close(fd)


def private() -> memoryview:
    """Return numbers of this process alone, for a worker without a supervisor."""
    return memoryview(bytearray(_SIZE)).cast("q")


def write_tag(numbers: memoryview, tag: str) -> None:
    """Write the tag of the tasks that are executed from now on."""
    _write_text(numbers, TAG, _REASON, tag)


def read_tag(numbers: memoryview) -> str:
    """Read it; "" where none has been written."""
    return _read_text(numbers, TAG, _REASON)


def write_verdict(numbers: memoryview, status: int, reason: str = "") -> None:
    """Write how the worker ends, just before it does.

    Args:
        numbers: The scoreboard.
        status: The exit status that it has chosen.
        reason: Why, in one line; "" where the status says it all. Cut after 2 kB.
    """
    _write_text(numbers, _REASON, _COUNT, reason)
    numbers[VERDICT] = status + 1


def read_verdict(numbers: memoryview) -> tuple[int | None, str]:
    """Read the exit status that the worker has chosen (None: it has chosen none), and why."""
    status = int(numbers[VERDICT]) - 1
    return (None, "") if status < 0 else (status, _read_text(numbers, _REASON, _COUNT))


def read_step(numbers: memoryview) -> str:
    """Return what a process does that has not joined."""
    return _STEPS[int(numbers[STEP])]


def _write_text(numbers: memoryview, begin: int, end: int, text: str) -> None:
    data = text.encode(errors="replace")[: 8 * (end - begin) - 1] + b"\0"
    padded = memoryview(data.ljust(-len(data) % 8 + len(data), b"\0")).cast("q")
    numbers[begin : begin + len(padded)] = padded


def _read_text(numbers: memoryview, begin: int, end: int) -> str:
    return bytes(numbers[begin:end]).partition(b"\0")[0].decode(errors="replace")


def _nameless() -> int:
    """Return a file in memory, or on disk where the system has no such thing, without a name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("masterworker-scoreboard", os.MFD_CLOEXEC)
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _map(fd: int) -> memoryview:
    return memoryview(mmap.mmap(fd, _SIZE)).cast("q")
