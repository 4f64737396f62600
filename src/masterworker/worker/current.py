"""Which worker executes the handler that asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.errors import UsageError
from masterworker.launch.process_context import this_process

if TYPE_CHECKING:
    from masterworker.worker.serial import SerialWorker
    from masterworker.worker.worker import Worker


def current_worker() -> Worker | SerialWorker:
    """Return the worker that executes the handler which calls this.

    Raises:
        UsageError: This is not inside a handler.
    """
    worker: Worker | SerialWorker | None = this_process.worker
    if worker is None:
        raise UsageError("current_worker() can be called inside a handler only")
    return worker
