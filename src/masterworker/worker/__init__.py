"""The worker's side of a job: executing tasks."""

from masterworker.worker.current import current_worker
from masterworker.worker.worker import HEARTBEAT, Worker

__all__ = ["HEARTBEAT", "Worker", "current_worker"]
