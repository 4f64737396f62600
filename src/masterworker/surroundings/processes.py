"""What `multiprocessing` says of this process: a worker is not the program's main process.

Modules ask it before they do what is to be done once, or so that a log shows which process it is.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from masterworker.imported import when_imported

if TYPE_CHECKING:
    from types import ModuleType


def be_a_worker() -> None:
    """Let this process have a name of its own there, and a parent. It may start processes."""
    when_imported("multiprocessing.process", _be_a_worker, key="masterworker")


def _be_a_worker(module: ModuleType) -> None:
    process: Any = module
    current = process.current_process()
    if current.name != "MainProcess":  # a fork of a task's pool
        return
    current.name = f"MasterworkerProcess-{os.getpid()}"
    with contextlib.suppress(OSError, AttributeError, TypeError):  # of another version
        parent = os.getppid()
        process._parent_process = process._ParentProcess(
            "MainProcess", parent, os.pidfd_open(parent)
        )
