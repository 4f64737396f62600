"""A worker that was launched by a master ends with it."""

from __future__ import annotations

import logging
import os
import threading

from masterworker.errors import MasterNotFoundError

logger = logging.getLogger("masterworker.worker")

#: Exit status of a worker whose master is gone.
EXIT_MASTER_GONE = 4

_launcher: int | None = None


def launched_by(pid: int) -> None:
    """Take note of the process that launched this one."""
    global _launcher
    _launcher = pid


def orphaned() -> bool:
    """Tell whether this process was launched by another one, which has ended."""
    return _launcher is not None and os.getppid() != _launcher


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
        raise MasterNotFoundError("the master that launched this worker has ended")


def end_process(reason: str) -> None:
    """End this process, whatever its main thread is doing."""
    logger.warning("%s; this worker ends", reason)
    os._exit(EXIT_MASTER_GONE)
