"""The door is closed: what programs can see is what is written here, and it is documented."""

from __future__ import annotations

import builtins
import inspect
import re
from typing import Any

import pytest

import masterworker
from masterworker import Future, Master, Worker, current_worker, freeze_support, run_job
from masterworker.master.shared import Shared
from masterworker.master.submission import Submitter
from Scientific.DistributedComputing import MasterSlave, TaskManager

NAMES = """
CodeChangedError CredentialError Engine EngineError Executor
Future JobEndedError JournalError LabelTakenError Master MasterNotFoundError MasterworkerError Pool
RejectedError RemoteError StateValue TaskCancelled TaskError TaskFailed TaskLost TaskTimeout
Terminated TransportError UnknownKeywordError UnpicklableError UsageError Worker WorkerStartError
current_worker freeze_support run_job task_rng
"""

SUBMITTER = {
    "cancel": "(task_id)",
    "map": (
        "(function, iterable, /, *more, ordered=True, progress=False, return_errors=False, "
        "seed=None, timeout=None, keys=None)"
    ),
    "options": (
        "(*, timeout=None, retries=0, retry_on=(), delay=0.0, priority=0, pure=False, "
        "seed=None, key=None)"
    ),
    "request_task": "(tag, *parameters)",
    "submit": "(function, /, *args, **kwargs)",
}
MASTER = {
    **SUBMITTER,
    "__init__": (
        "(label=None, *, workers=0, name_server=False, host=None, ports=(0,), serial=False, "
        "engine=None, handlers=None, accept='any', results_memory=None, journal=None, "
        "journal_mode='disk', "
        "journal_failures='retry', journal_changed='stop', seed=None, web=False, "
        "report=None, **worker_options)"
    ),
    "as_completed": "(futures, timeout=None)",
    "delete_state": "(state_id)",
    "label": "",
    "launch_workers": (
        "(number=1, *, wait=False, max_tasks=None, idle_timeout=None, memory_limit=None, "
        "lifetime=None, initializer=None, start_timeout=None, output='marked', "
        "preload=None, on=None, no_workers_timeout=None, **resources)"
    ),
    "note": "(text)",
    "number_of_workers": "",
    "results": "(tag=None, *, return_errors=False)",
    "retrieve_result": "(tag=None, timeout=None)",
    "run": "()",
    "share": "(**values)",
    "shutdown": "(grace=10.0)",
    "start": "()",
    "status": "()",
    "store_state": "(**values)",
    "ticket": "(valid='7d', *, role='worker')",
}
WORKER = {
    "__init__": (
        "(label, master=None, *, handlers=None, heartbeat=5.0, reconnect=None, connect=None, "
        "context=None)"
    ),
    "label": "",
    "map": "(function, /, *iterables)",
    "request_task": "(tag, *parameters)",
    "retrieve_result": "(tag=None, timeout=None)",
    "run": "()",
    "submit": "(function, /, *args, **kwargs)",
    "wants_to_stop": "()",
}
FUTURE = {
    "add_done_callback": "(callback)",
    "cancel": "()",
    "cancelled": "()",
    "done": "()",
    "exception": "(timeout=None)",
    "number": "",
    "result": "(timeout=None)",
    "running": "()",
    "tag": "",
    "task_id": "",
    "worker": "",
}
MASTER_PROCESS = {
    "cancelTask": "(task_id)",
    "deleteGlobalState": "(state_id)",
    "launchSlaveJobs": "(n=1, port=None)",
    "options": "(**options)",
    "requestTask": "(tag, *parameters)",
    "retrieveResult": "(tag=None)",
    "run": "()",
    "setGlobalState": "(**values)",
    "shutdown": "(grace=10.0)",
    "start": "()",
}
SLAVE_PROCESS = {
    "process_id": "",
    "processParameter": "(parameter)",
    "start": "(namespace=None)",
    "terminationTest": "()",
}
TASK_MANAGER = {
    "activeProcessInfo": "(pid)",
    "addTaskRequest": "(tag, parameters, process_id=None)",
    "connected": "(label, master_host=None)",
    "deleteData": "(label)",
    "getAnyResult": "()",
    "getAnyTask": "(process_id=None)",
    "getResultWithTag": "(tag)",
    "getTaskWithTag": "(tag, process_id=None)",
    "numberOfActiveProcesses": "()",
    "numberOfTasks": "()",
    "ping": "(process_id)",
    "registerProcess": "(watchdog_period=None, info=None)",
    "retrieveData": "(label)",
    "returnTask": "(task_id)",
    "storeData": "(**items)",
    "storeException": "(task_id, exception, traceback)",
    "storeResult": "(task_id, result)",
    "terminate": "()",
    "unregisterProcess": "(process_id)",
}
CLASSES: dict[type[Any], dict[str, str]] = {
    Master: MASTER,
    Submitter: SUBMITTER,
    Worker: WORKER,
    Future: FUTURE,
    Shared: {"delete": "()"},
    MasterSlave.MasterProcess: MASTER_PROCESS,
    MasterSlave.SlaveProcess: SLAVE_PROCESS,
    TaskManager.TaskManager: TASK_MANAGER,
}
FUNCTIONS = [
    *(run_job, current_worker, freeze_support),
    *(MasterSlave.runJob, MasterSlave.initializeMasterProcess, MasterSlave.startSlaveProcess),
]
#: Where programs of the classic interface import errors from.
CLASSIC = vars(MasterSlave) | vars(TaskManager)


def signature(member: Any) -> str:
    """Names, kinds and defaults; "" of what is no function."""
    if not callable(member):
        return ""
    told = inspect.signature(member)
    parameters = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in told.parameters.values()
        if p.name not in {"self", "cls"}
    ]
    return str(told.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def members() -> list[Any]:
    return [
        pytest.param(kind, name, id=f"{kind.__name__}.{name}")
        for kind, names in CLASSES.items()
        for name in names
        if name != "__init__"
    ]


def test_names_of_the_package() -> None:
    """No more, no less, and each can be imported and has a docstring."""
    assert sorted(masterworker.__all__) == sorted(NAMES.split())
    for name in masterworker.__all__:
        assert inspect.getdoc(getattr(masterworker, name)), name


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_names_of_the_classes(kind: type[Any]) -> None:
    """A subclass shares its attributes with these names, and with one that is mangled."""
    names = {name for name in dir(kind) if not name.startswith("_")}
    assert names == CLASSES[kind].keys() - {"__init__"}
    for name, expected in CLASSES[kind].items():
        assert signature(getattr(kind, name)) == expected, name


def test_attributes_of_the_objects() -> None:
    """What is in an object is under mangled names alone."""
    with Master(serial=True) as master:
        assert vars(master).keys() == {"_Submitter__to", "_Master__engine"}
        assert vars(master.options(retries=1)).keys() == {"_Submitter__to"}


@pytest.mark.parametrize(("kind", "name"), members())
def test_members_are_documented(kind: type[Any], name: str) -> None:
    """What they do, and each argument where there is more than one to explain."""
    member = getattr(kind, name)
    documented = member if callable(member) or isinstance(member, property) else kind
    text = inspect.getdoc(documented) or ""
    assert text.split("\n", maxsplit=1)[0].endswith((".", "?", ":")), text
    if kind in {Master, Worker, Future, Submitter} and callable(member):
        for parameter in inspect.signature(member).parameters:
            explained = re.search(rf"^ +{parameter}: ", text, re.MULTILINE)
            assert parameter in {"self", "cls"} or explained, f"{parameter} is not explained"


@pytest.mark.parametrize(
    "documented",
    [*CLASSES, *FUNCTIONS, *(getattr(kind, name) for kind in CLASSES for name in CLASSES[kind])],
    ids=lambda documented: getattr(documented, "__qualname__", "property"),
)
def test_errors_in_docstrings_can_be_caught(documented: Any) -> None:
    """Each can be imported from the package, or from the published module, or is Python's own."""
    _, _, raises = (inspect.getdoc(documented) or "").partition("Raises:\n")
    for name in re.findall(r"^    (\w+): ", raises, re.MULTILINE):
        assert (
            name in masterworker.__all__
            or hasattr(builtins, name)
            or (documented.__module__.startswith("Scientific.") and name in CLASSIC)
        ), name


@pytest.mark.parametrize("kind", [Master, Worker, Future, Submitter, TaskManager.TaskManager])
def test_classes_say_which_threads_may_use_them(kind: type[Any]) -> None:
    """Thread-safe, or in which thread."""
    assert "thread" in (inspect.getdoc(kind) or "").lower()
