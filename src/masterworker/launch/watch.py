"""What a supervisor ends a worker for: memory, a task beyond its time limit, standing still."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from masterworker.core.task import AGAIN, FAILURE
from masterworker.data.failure import describe
from masterworker.errors import TaskTimeout
from masterworker.launch import exits, scoreboard
from masterworker.launch.process import KILL_GRACE

if TYPE_CHECKING:
    from masterworker.launch.process import WorkerProcess
    from masterworker.launch.procfs import Look


def exceeds_memory(process: WorkerProcess, seen: Look) -> bool:
    """End a worker that has more memory than it may."""
    limit = process.spec.memory_limit
    if limit is None or seen.memory <= limit or process.asked:
        return False
    process.asked = (
        f"it had {exits.megabytes(seen.memory)} of memory, and its limit is "
        f"{exits.megabytes(limit)}"
    )
    process.guilty = True
    process.kill()
    return True


def stands_still(process: WorkerProcess) -> bool:
    """End a worker that is stopped, or broken, for good, so that another one takes its place."""
    wellness = process.wellness
    if process.asked or not (wellness.stays_stopped or wellness.stays_wedged):
        return False
    process.asked = (
        "it was stopped, and nobody continued it"
        if wellness.stays_stopped
        else "its own threads did not run any more"
    )
    process.guilty = True
    process.kill()
    return True


def exceeds_time(process: WorkerProcess) -> bool:
    """End a worker whose task goes on though its time is up and it was told so.

    The worker itself interrupts the handler when the time is up. That does not help where the
    handler catches everything, or does not come back to Python's interpreter.
    """
    task, deadline, again = (
        process.task,
        process.board[scoreboard.DEADLINE],
        process.board[scoreboard.AGAIN],
    )
    late = time.monotonic() - deadline / 1e9
    if not task or not deadline or late < KILL_GRACE or process.task != task or process.asked:
        return False
    text = (
        "the task took longer than its time limit and did not stop when it was asked to, so its "
        "worker was ended"
    )
    process.asked = "its task did not heed its time limit"
    process.outcome = (AGAIN if again else FAILURE, describe(TaskTimeout(text)).encode())
    process.kill()
    return True
