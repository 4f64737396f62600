"""Run many independent Python computations on any number of processors that come and go.

    from masterworker import Master

    with Master(workers=4) as master:
        for value in master.map(simulate, parameters):
            ...

A process asks for tasks (`Master`), others execute them (`Worker`, `task_manager worker LABEL`).
The classic interface on top of this is `Scientific.DistributedComputing.MasterSlave`.
"""

from masterworker.data.states import StateValue
from masterworker.errors import (
    LabelTakenError,
    MasterNotFoundError,
    MasterworkerError,
    RemoteError,
    TaskFailed,
    TaskLost,
    Terminated,
    UnpicklableError,
    UsageError,
)
from masterworker.job import run_job
from masterworker.master import Master
from masterworker.master.handle import Handle
from masterworker.worker import Worker
from masterworker.worker.current import current_worker

__all__ = [
    "Handle",
    "LabelTakenError",
    "Master",
    "MasterNotFoundError",
    "MasterworkerError",
    "RemoteError",
    "StateValue",
    "TaskFailed",
    "TaskLost",
    "Terminated",
    "UnpicklableError",
    "UsageError",
    "Worker",
    "current_worker",
    "run_job",
]
