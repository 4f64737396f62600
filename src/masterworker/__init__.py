"""Run many independent Python computations on any number of processors that come and go.

    from masterworker import Master

    with Master(workers=4) as master:
        for value in master.map(simulate, parameters):
            ...

A process asks for tasks (`Master`), others execute them (`Worker`, `task_manager worker LABEL`).
The classic interface on top of this is `Scientific.DistributedComputing.MasterSlave`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from masterworker.data.states import StateValue
    from masterworker.engine.opening import Engine
    from masterworker.errors import (
        CodeChangedError,
        CredentialError,
        EngineError,
        JobEndedError,
        JournalError,
        LabelTakenError,
        MasterNotFoundError,
        MasterworkerError,
        RejectedError,
        RemoteError,
        TaskCancelled,
        TaskError,
        TaskFailed,
        TaskLost,
        TaskTimeout,
        Terminated,
        TransportError,
        UnknownKeywordError,
        UnpicklableError,
        UsageError,
        WorkerStartError,
    )
    from masterworker.executor import Executor
    from masterworker.frozen import freeze_support
    from masterworker.job import run_job
    from masterworker.master import Master
    from masterworker.master.future import Future
    from masterworker.pool import Pool
    from masterworker.worker import Worker
    from masterworker.worker.current import current_worker
    from masterworker.worker.streams import task_rng

__all__ = [
    "CodeChangedError",
    "CredentialError",
    "Engine",
    "EngineError",
    "Executor",
    "Future",
    "JobEndedError",
    "JournalError",
    "LabelTakenError",
    "Master",
    "MasterNotFoundError",
    "MasterworkerError",
    "Pool",
    "RejectedError",
    "RemoteError",
    "StateValue",
    "TaskCancelled",
    "TaskError",
    "TaskFailed",
    "TaskLost",
    "TaskTimeout",
    "Terminated",
    "TransportError",
    "UnknownKeywordError",
    "UnpicklableError",
    "UsageError",
    "Worker",
    "WorkerStartError",
    "current_worker",
    "freeze_support",
    "run_job",
    "task_rng",
]

#: Where each of these is defined. They are imported when they are first asked for: a worker does
#: not need the master's half, and starts sooner without it.
_HOMES = {
    "Engine": "engine.opening",
    "Executor": "executor",
    "Future": "master.future",
    "Master": "master",
    "Pool": "pool",
    "StateValue": "data.states",
    "Worker": "worker",
    "current_worker": "worker.current",
    "freeze_support": "frozen",
    "run_job": "job",
    "task_rng": "worker.streams",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from masterworker.garbage import unsearched

    with unsearched():
        home = import_module(f"{__name__}.{_HOMES.get(name, 'errors')}")
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
