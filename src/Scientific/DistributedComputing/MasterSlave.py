"""The classic master-slave interface, as published, over `masterworker`.

Only names and habits live here; what happens is in `masterworker.master` and `.worker`. Both
classes hold a master or worker instead of being one, so that a program's subclass may use any
attribute name that the published classes left free.
"""

from __future__ import annotations

import logging
import sys
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Unpack

from masterworker import program
from masterworker.checking import known_keywords
from masterworker.data.states import StateValue
from masterworker.errors import Terminated, UsageError
from masterworker.job import main_program, work_instead
from masterworker.launch.process_context import this_process
from masterworker.machine import process_info
from masterworker.master.engine import JournalOptions, MasterEngine
from masterworker.master.grace import GRACE
from masterworker.master.submission import Submitter
from masterworker.named import NamedTuple
from masterworker.taskid import task_name
from masterworker.transport.address import DEFAULT_PORT, LAST_PORT, check_label
from masterworker.worker import methods_of, script
from Scientific.DistributedComputing import tracing
from Scientific.DistributedComputing.failures import (
    TaskManagerTermination,
    TaskRaisedException,
    as_published,
)
from Scientific.DistributedComputing.slavecode import SlaveCode
from Scientific.DistributedComputing.slaveworker import SlaveWorker
from Scientific.DistributedComputing.TaskManager import TaskManager
from Scientific.DistributedComputing.traced import TracedManager

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from masterworker.core.audit import Summary
    from masterworker.master.submission import TaskOptions
    from masterworker.transport.pyro.names import NameServer
    from masterworker.transport.pyro.server import Server

__all__ = [
    "GlobalStateValue",
    "MasterProcess",
    "SlaveProcess",
    "TaskManager",
    "TaskManagerTermination",
    "TaskRaisedException",
    "debug",
    "getMachineInfo",
    "initializeMasterProcess",
    "runJob",
    "startSlaveProcess",
]

logger = logging.getLogger("Scientific.DistributedComputing.MasterSlave")

#: Set this to True to trace what master and slave do, on stderr.
debug = False


class GlobalStateValue(StateValue):
    """Given as a task parameter, it stands for a value that `setGlobalState` has stored."""


class Requester:
    """Asks for tasks with options. Made by `MasterProcess.options`."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter

    def requestTask(self, tag: str, *parameters: Any) -> str:
        """Ask for a task, as `MasterProcess.requestTask` does."""
        with as_published:
            return self._submitter.request_task(tag, *parameters)


class _Parts(NamedTuple):
    """What a `MasterProcess` is made of; under one mangled name."""

    job: MasterEngine
    submitter: Submitter
    code: SlaveCode


class MasterProcess:
    """The master of a job. Subclass it and override `run`.

    Args:
        label: The label under which slaves find the job.
        use_name_server: Enter it in the Pyro name server; where none runs, the job goes on
            without. False: listen on port 7766, or the next free one up to 7866.
        journal: The path of a file in which outcomes are kept; see `masterworker.Master`.

    Raises:
        LabelTakenError: A living master has this label.
        TransportError: No port is free.
    """

    def __init__(
        self,
        label: str,
        use_name_server: bool = True,
        journal: str | os.PathLike[str] | None = None,
    ) -> None:
        job = MasterEngine(
            check_label(label),
            name_server=use_name_server,
            ports=(0,) if use_name_server else range(DEFAULT_PORT, LAST_PORT + 1),
            is_generic=False,
            manager_class=TracedManager,
            journal=JournalOptions(journal),
        )
        assert job.endpoint is not None  # noqa: S101  for the type checker
        code = SlaveCode(job)
        self.__parts = _Parts(job, Submitter(job.submission), code)
        self.label = label
        self.task_manager = TaskManager(job.manager, job.outcomes.collect, code.follow)
        self.process_id = job.process_id
        self.pyro_daemon: Server = job.endpoint.server
        self.pyro_ns: NameServer | None = job.endpoint.registered
        self.global_states: dict[int, list[str]] = {}
        if not use_name_server:
            logger.warning("master %r listens on port %d", label, self.pyro_daemon.port)
        tracing.trace(debug, "master %r at %s", label, self.pyro_daemon.address)

    def run(self) -> None:
        """Override this with what the master does."""
        raise UsageError(f"{type(self).__name__} must override run()")

    def start(self) -> None:
        """Call `run`, and shut down whatever happens in it."""
        with self.__parts.job.end:
            self.run()

    def shutdown(self, grace: float = GRACE) -> Summary:
        """End the job, wait for the slaves (at most `grace` seconds), free port and name.

        Safe to call twice. Tasks that are still waiting are not executed.

        Returns:
            How many tasks were done, failed, were cancelled, and were not run.
        """
        tracing.trace(debug, "shutdown of master %r", self.label)
        return self.__parts.job.end.shutdown(grace)

    def options(self, **options: Unpack[TaskOptions]) -> Requester:
        """Return an object whose `requestTask` asks for tasks with options.

        Args:
            options: See `masterworker.Master.options`: timeout, retries, retry_on, delay,
                priority, pure.

        Raises:
            UsageError: One of the values cannot be used.
        """
        return Requester(self.__parts.submitter.options(**options))

    def cancelTask(self, task_id: str) -> bool:
        """Cancel a task. False: it has its outcome already.

        A task that is being executed is interrupted, and its slave ended if it does not stop.
        Its outcome is a `masterworker.errors.TaskCancelled`.
        """
        return self.__parts.submitter.cancel(task_id)

    def requestTask(self, tag: str, *parameters: Any) -> str:
        """Ask for a task. Returns its id, which begins with the tag.

        Raises:
            UnpicklableError: Names the parameter that cannot be sent.
        """
        with as_published:
            task_id = self.__parts.submitter.request_task(tag, *parameters)
        tracing.trace(debug, "requested task %s", task_id)
        return task_id

    def retrieveResult(self, tag: str | None = None) -> tuple[Any, Any, Any]:
        """Wait for the outcome of some task (of a tag).

        Returns:
            (task id, tag, result); after the shutdown (None, None, None).

        Raises:
            TaskRaisedException: The task raised an exception.
        """
        try:
            with as_published:
                found: tuple[str, str, Any] = self.__parts.job.outcomes.retrieve(tag, None)
        except Terminated:
            return None, None, None
        tracing.trace(debug, "retrieved result of task %s", found[0])
        return found

    @as_published
    def setGlobalState(self, **values: Any) -> int:
        """Store named values once for all tasks. Returns the state's id: 1, 2, 3, ..."""
        state_id = self.__parts.job.shared.store(values, fixed=False)
        self.global_states[state_id] = sorted(values)
        return state_id

    @as_published
    def deleteGlobalState(self, state_id: int) -> None:
        """Forget a state; slaves drop their copies.

        Raises:
            UsageError: There is none of this id.
        """
        self.__parts.job.shared.delete(state_id)
        self.global_states.pop(state_id, None)

    @as_published
    def launchSlaveJobs(self, n: int = 1, port: int | None = None) -> None:  # noqa: ARG002
        """Start slaves on this machine.

        Args:
            n: How many.
            port: Accepted for programs that give it; slaves know the port anyway.

        Raises:
            WorkerStartError: One of them did not start; shows its stderr.
            UsageError: No slave code is stored.
        """
        if not self.__parts.job.manager.program_digest:
            raise UsageError(
                f"no slave code is stored for {self.label!r}: use runJob, or "
                "initializeMasterProcess(label, slave_script=...)"
            )
        self.__parts.job.execution.launch_workers(n, wait=True)


class SlaveProcess:
    """One slave. Subclass it and add a method `do_<tag>` for each tag.

    Args:
        label: The label of the job.
        master_host: "host" or "host:port" where no name server is used; default port 7766.
        watchdog_period: Longest time between heartbeats, in seconds (they are never more than
            5 s apart). None: no heartbeats; silence never means loss.

    Raises:
        MasterNotFoundError: No such master.
    """

    def __init__(
        self, label: str, master_host: str | None = None, watchdog_period: float | None = 120.0
    ) -> None:
        self.label = label
        self.watchdog_period = watchdog_period
        worker = SlaveWorker(label, master_host, watchdog_period)
        self.__engine = worker.engine
        self.task_manager = worker.task_manager

    @property
    def process_id(self) -> int:
        """The number under which the task manager knows this process."""
        return self.__engine.process_id

    @as_published
    def start(self, namespace: Mapping[str, Any] | None = None) -> None:
        """Execute tasks until the job ends, or `terminationTest` says so.

        Args:
            namespace: Where `do_<tag>` functions are found instead of the methods.
        """
        tracing.trace(debug, "slave of %r starts", self.label)
        if namespace is None:
            handlers = methods_of(self)
        else:
            found = {n[3:]: f for n, f in namespace.items() if n.startswith("do_")}
            handlers = {tag: function for tag, function in found.items() if callable(function)}
        if debug:
            handlers = {tag: self._traced(tag, f) for tag, f in handlers.items()}
        if type(self).processParameter is not SlaveProcess.processParameter:
            handlers = {tag: self._processing(f) for tag, f in handlers.items()}
        self.__engine.run(handlers, self.terminationTest)
        tracing.trace(debug, "slave of %r ends", self.label)

    def terminationTest(self) -> bool:
        """Override this: True ends the slave between two tasks, in good order."""
        return False

    def processParameter(self, parameter: Any) -> Any:
        """Return the value that a `GlobalStateValue` stands for; anything else as it is."""
        if isinstance(parameter, GlobalStateValue):
            return self.__engine.states.value(parameter.state_id, parameter.name)
        return parameter

    def _traced(self, tag: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def handler(*parameters: Any) -> Any:
            task_id = task_name(tag, self.__engine.hand.current)
            tracing.trace(debug, "slave executes task %s", task_id)
            return function(*parameters)

        return handler

    def _processing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *parameters: function(*map(self.processParameter, parameters))


_parts_of: Callable[[MasterProcess], _Parts] = attrgetter("_MasterProcess__parts")


@known_keywords("runJob")
def runJob(
    label: str,
    master_class: Callable[..., MasterProcess],
    slave_class: type[SlaveProcess],
    watchdog_period: float | None = 120.0,
    launch_slaves: int = 0,
    journal: str | os.PathLike[str] | None = None,
) -> None:
    """Be the master of a job, or one of its slaves, whichever this process was started as.

    The script's source and the working directory are stored with the task manager, so that
    `task_manager slave LABEL` can start slaves anywhere.

    Args:
        label: The label of the job.
        master_class: A subclass of `MasterProcess`.
        slave_class: A subclass of `SlaveProcess`. It is made as
            `slave_class(label, watchdog_period=watchdog_period)`.
        watchdog_period: See `SlaveProcess`.
        launch_slaves: Number of slaves to start on this machine.
        journal: See `MasterProcess`, to which it is given as an argument.
    """
    if work_instead(label, slave_class, "start", watchdog_period=watchdog_period):
        return
    master = master_class(label) if journal is None else master_class(label, journal=journal)
    try:
        _parts_of(master).code.store(
            main_program(
                _parts_of(master).job.needs, slave_class, "start", watchdog_period=watchdog_period
            )
        )
        if launch_slaves:
            master.launchSlaveJobs(launch_slaves)
    except BaseException:
        master.shutdown()
        raise
    master.start()


def initializeMasterProcess(
    label: str,
    slave_script: str | None = None,
    slave_module: str | None = None,
    use_name_server: bool = True,
    journal: str | os.PathLike[str] | None = None,
) -> MasterProcess:
    """Make a master for a program of several modules. It is shut down when the program ends.

    Args:
        label: The label of the job.
        slave_script: The file name of the slaves' script, or ...
        slave_module: ... the name of a module that has the `do_<tag>` functions.
        use_name_server: See `MasterProcess`.
        journal: See `MasterProcess`.

    Raises:
        UsageError: The script cannot be read, or both are given.
    """
    if slave_script is not None and slave_module is not None:
        raise UsageError("give slave_script or slave_module, not both")
    code = None
    if slave_script is not None:
        code = program.of_file(slave_script)
    elif slave_module is not None:
        code = program.of_module(slave_module)
    master = MasterProcess(label, use_name_server, journal)
    if code is not None:
        _parts_of(master).code.store(code)
    _parts_of(master).job.end.keep(master)  # programs need not
    return master


def startSlaveProcess(label: str | None = None, master_host: str | None = None) -> None:
    """Be a slave: the last line of a slave script.

    The handlers are the `do_<tag>` functions that the script has defined or imported before.

    Args:
        label: The label of the job; may be left out when started by `task_manager slave`.
        master_host: "host" or "host:port" where no name server is used.

    Raises:
        UsageError: No label was given, and `task_manager slave` did not give one.
        MasterNotFoundError: No such master.
    """
    context = this_process.context.ask_assignment()
    if context is not None:
        script.adopt_names()
        if label is None:
            if context.served:
                return
            label = context.label
    if label is None:
        raise UsageError("startSlaveProcess needs a label, unless started by: task_manager slave")
    namespace = sys._getframe(1).f_globals
    SlaveProcess(label, master_host).start(namespace)
    this_process.context.has_served()


def getMachineInfo() -> str:
    """Return one line: process id, host name, machine type."""
    return process_info()
