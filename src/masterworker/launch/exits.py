"""What worker processes end with, and what is said of that.

The numbers are those of the command `task_manager` (see `masterworker.cli.exit_codes`).
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import resource

#: It left in good order: the job is over, it was idle for too long, or it was asked to leave.
LEFT: Final = frozenset({0, 130})
#: The slave program raised an exception, or something unexpected happened.
FAILED: Final = 1
#: No such label, no such host, or nothing listens there.
NOT_FOUND: Final = 3
#: Its master is gone.
MASTER_GONE: Final = 4
#: It has executed as many tasks as one process should. Nothing else has this number: a worker
#: that ends with it is replaced at once.
RECYCLED: Final = 8
#: Wrong command line, no such label, other versions, no code: trying again will not help.
HOPELESS: Final = frozenset({2, NOT_FOUND, 5, 6})

#: After this time the log names a master that cannot be reached (seconds).
NAMED_AFTER_SECONDS: Final = 4.0
UNREACHABLE: Final = "the master cannot be reached; trying for %.0f s more"

#: Begins what the command line says about an error.
PROGRAM: Final = "task_manager: "

#: Bytes in a unit of `ru_maxrss`.
MAXRSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024


def describe(status: int | None) -> str:
    """Describe how a process ended.

    Args:
        status: Exit status, or a negative signal; None: other code has collected it.
    """
    if status is None:
        return "its process ended"
    if status >= 0:
        return f"its process ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = "unknown"
    return f"its process was ended by signal {-status} ({name})"


def describe_memory(usage: resource.struct_rusage | None, seen: int, ours: int) -> str:
    """Say how much memory an ended process has had; "" if that is unknown.

    A child that was made by `vfork` starts with the peak of its parent in the books, so what the
    system says counts only where it is more than that.

    Args:
        usage: What the system says of it.
        seen: The most that was seen while it was alive, in bytes.
        ours: The peak of this process when it made the child, in bytes.
    """
    peak = 0 if usage is None else usage.ru_maxrss * MAXRSS_UNIT
    if peak > ours:
        return f"its memory had a peak of {megabytes(peak)}"
    if seen:
        return f"it had {megabytes(seen)} of memory when it was last looked at"
    return f"its memory had a peak of {megabytes(peak)} at most" if peak else ""


def megabytes(size: int) -> str:
    """Write a size for people."""
    return f"{size / 1e6:,.0f} MB"
