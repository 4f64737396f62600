"""What handlers find with `masterworker.current_worker()` when they are executed by a slave."""

from __future__ import annotations

from typing import Any

from masterworker.worker import HEARTBEAT
from masterworker.worker.engine import WorkerEngine
from Scientific.DistributedComputing.failures import as_published
from Scientific.DistributedComputing.TaskManager import TaskManager


class SlaveWorker:
    """The worker under a `SlaveProcess`, for handlers that are functions.

    Args:
        label: The label of the job.
        master_host: See `SlaveProcess`, as the next one.
        watchdog_period: Longest time between heartbeats, in seconds; None: no heartbeats.
    """

    def __init__(self, label: str, master_host: str | None, watchdog_period: float | None) -> None:
        heartbeat = None if watchdog_period is None else min(watchdog_period, HEARTBEAT)
        option = 'master_host="HOST:PORT"'
        self.engine = WorkerEngine(self, label, master_host, heartbeat=heartbeat, option=option)
        self.task_manager = TaskManager(
            self.engine.client, self.engine.collect, request=self.engine.request
        )

    @property
    def label(self) -> str:
        """The label of the job."""
        return self.engine.label

    @as_published
    def request_task(self, tag: str, *parameters: Any) -> str:
        """Ask for a further task; see `masterworker.Worker`."""
        return self.engine.request_task(tag, parameters)

    @as_published
    def retrieve_result(self, tag: str | None = None, timeout: float | None = None) -> Any:
        """Wait for the outcome of some further task; see `masterworker.Worker`."""
        return self.engine.retrieve(tag, timeout)
