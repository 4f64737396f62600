"""The worker's side of a job: executing tasks."""

from masterworker.worker.current import current_worker
from masterworker.worker.session_shell import HEARTBEAT
from masterworker.worker.worker import Worker, engine_of, methods_of

__all__ = ["HEARTBEAT", "Worker", "current_worker", "engine_of", "methods_of"]
