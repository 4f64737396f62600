"""The classic task manager: the methods as published, over a manager here or elsewhere.

It can be used directly for set-ups other than master and slaves. Parameters and results are
pickled on their way in and out, so no two processes or threads share an object by accident.
"""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.client import Client
from masterworker.core.task import FAILURE, RESULT
from masterworker.data.failure import describe
from masterworker.data.outcome import open_finished
from masterworker.data.pickling import dumps_call, dumps_payload, open_payload
from masterworker.errors import NotRegisteredError, UsageError
from masterworker.master.task_options import check_tag
from masterworker.taskid import task_name, task_number
from masterworker.transport.discovery import reach
from Scientific.DistributedComputing.failures import (
    TaskLostException,
    TaskManagerTermination,
    TaskRaisedException,
    as_published,
)
from Scientific.DistributedComputing.queueing import Task, TaskQueue, Watchdog
from Scientific.DistributedComputing.slavecode import CODE, FOLDER
from Scientific.DistributedComputing.traced import TracedManager

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masterworker.core.task import Finished, Lease, Payload
    from masterworker.manager import Manager

__all__ = [
    "Task",
    "TaskLostException",
    "TaskManager",
    "TaskManagerTermination",
    "TaskQueue",
    "TaskRaisedException",
    "Watchdog",
    "debug",
]

#: Set this to True to trace what processes ask for, get and deliver, on stderr.
debug = False


class UnknownDataError(UsageError, KeyError):
    """There is no data item of this label."""

    __str__ = Exception.__str__


class TaskManager:
    """Task requests, results, data items and processes of one job.

    Args:
        link: A manager in this process, or a connection to one; None: make a new manager.
        collect: Waits for one outcome of a tag (or any) in a better way than asking for it.
        on_data: Called with data items before they are stored, and for deleted ones with None.
        request: Asks for one task, from its tag and parameters, instead of the link.

    Thread-safe.
    """

    def __init__(
        self,
        link: Manager | Client | None = None,
        collect: Callable[[str | None, float | None], Finished] | None = None,
        on_data: Callable[[Mapping[str, Any]], None] | None = None,
        request: Callable[[str, Payload], int] | None = None,
    ) -> None:
        self._link = TracedManager() if link is None else link
        self._own_collect = collect
        self._on_data = on_data
        self._own_request = request
        self._lock = threading.Lock()
        #: Under this process the calls are made that name none; not counted as active.
        self._observer: int | None = None

    @classmethod
    def connected(cls, label: str, master_host: str | None = None) -> TaskManager:
        """Return an object that is connected to the task manager of a label, anywhere.

        Args:
            label: The label.
            master_host: "host" or "host:port"; None: look the label up.
        """
        client = Client(lambda: reach(label, master_host, option='master_host="HOST:PORT"'))
        client.connect()
        return cls(client)

    # -- processes --------------------------------------------------------------------------

    @as_published
    def registerProcess(self, watchdog_period: float | None = None, info: str | None = None) -> int:
        """Register a process that executes tasks. Returns its id.

        Args:
            watchdog_period: Seconds between its pings; it is lost when four have not come. None:
                it is not watched.
            info: One line that describes it.
        """
        hello = wire.introduce(info or "", None, watchdog_period, uuid.uuid4().hex)
        return self._link.join(hello).member_id

    @as_published
    def unregisterProcess(self, process_id: int) -> None:
        """Sign a process off; what it holds goes to others. No error if it is not registered."""
        self._link.leave(process_id)

    @as_published
    def ping(self, process_id: int) -> bool:
        """Say that a process is alive. False: it is not registered (any more)."""
        return self._link.ping(process_id)

    @as_published
    def numberOfActiveProcesses(self) -> int:
        """Count the registered processes."""
        processes = self._link.census().processes
        return sum(process.member_id != self._observer for process in processes)

    @as_published
    def activeProcessInfo(self, pid: int) -> str:
        """Return the line that a process gave of itself.

        Raises:
            UsageError: There is no such process (any more).
        """
        for process in self._link.census().processes:
            if process.member_id == pid:
                return process.info
        raise UsageError(f"there is no process {pid}, or it has ended")

    # -- tasks ------------------------------------------------------------------------------

    @as_published
    def numberOfTasks(self) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """Count the tasks that are waiting, running, and finished, each by tag."""
        census = self._link.census()
        return census.waiting, census.running, census.finished

    @as_published
    def addTaskRequest(
        self,
        tag: str,
        parameters: tuple[Any, ...],
        process_id: int | None = None,  # noqa: ARG002  published; nothing depends on it here
    ) -> str:
        """Ask for a task. Returns its id.

        Raises:
            UnpicklableError: A parameter cannot be sent.
            TaskManagerTermination: The job is over.
        """
        payload = dumps_call(f"task {tag!r}", tuple(parameters))
        if self._own_request is not None:
            return task_name(tag, self._own_request(check_tag(tag), payload))
        return task_name(tag, self._link.request(check_tag(tag), (payload,)))

    @as_published
    def getTaskWithTag(
        self, tag: str, process_id: int | None = None
    ) -> tuple[str, tuple[Any, ...]]:
        """Wait for a task of a tag. Returns its id and parameters."""
        task_id, _, parameters = self._get_task(process_id, tag)
        return task_id, parameters

    @as_published
    def getAnyTask(self, process_id: int | None = None) -> tuple[str, str, tuple[Any, ...]]:
        """Wait for a task. Returns its id, tag and parameters."""
        return self._get_task(process_id, None)

    @as_published
    def storeResult(self, task_id: str, result: Any) -> bool:
        """Deliver a result. False: the task had an outcome already."""
        return self._link.settle(task_number(task_id), RESULT, dumps_payload(result))

    @as_published
    def storeException(self, task_id: str, exception: BaseException, traceback: str) -> bool:
        """Deliver an exception, and the text of its traceback. False: as above."""
        failure = describe(exception)._replace(traceback=str(traceback))
        return self._link.settle(task_number(task_id), FAILURE, failure.encode())

    @as_published
    def returnTask(self, task_id: str) -> None:
        """Give a task back: to the front of the queue."""
        self._link.give_back(task_number(task_id))

    # -- results ----------------------------------------------------------------------------

    @as_published
    def getAnyResult(self) -> tuple[str, str, Any]:
        """Wait for an outcome. Returns the task's id, its tag, and the result.

        Raises:
            TaskRaisedException: The task raised an exception.
            TaskManagerTermination: The job is over.
        """
        return open_finished(self._collect(None))

    @as_published
    def getResultWithTag(self, tag: str) -> tuple[str, Any]:
        """Wait for an outcome of a tag. Returns the task's id, and the result."""
        task_id, _, result = open_finished(self._collect(tag))
        return task_id, result

    # -- data -------------------------------------------------------------------------------

    @as_published
    def storeData(self, **items: Any) -> None:
        """Store data items under their names.

        `slave_code` and `cwd` are what slaves execute that are started afterwards, and where.

        Raises:
            UsageError: One of these two cannot be used, or this is not the master.
        """
        self._follow(items)
        for name, value in items.items():
            self._link.put(wire.DATA, name, dumps_payload(value))

    @as_published
    def retrieveData(self, label: str) -> Any:
        """Return a data item.

        Raises:
            UnknownDataError: There is none of this label (a `KeyError`, too).
        """
        data = self._link.get(wire.DATA, label)
        if data is None:
            raise UnknownDataError(f"no data is stored under {label!r}")
        return open_payload(data)

    @as_published
    def deleteData(self, label: str) -> None:
        """Forget a data item.

        Raises:
            UnknownDataError: There is none of this label.
        """
        self._follow({label: None})
        if not self._link.drop(wire.DATA, label):
            raise UnknownDataError(f"no data is stored under {label!r}")

    @as_published
    def terminate(self) -> None:
        """End the job: all blocked callers get `TaskManagerTermination`."""
        self._link.terminate()

    # -- inside -----------------------------------------------------------------------------

    def _follow(self, items: Mapping[str, Any]) -> None:
        if self._on_data is not None:
            self._on_data(items)
        elif isinstance(self._link, Client) and items.keys() & {CODE, FOLDER}:
            raise UsageError(f"{CODE} and {FOLDER} are the master's: store them there")

    def _anonymous(self, *, again: bool = False) -> int:
        with self._lock:
            if self._observer is None or again:
                hello = wire.introduce(
                    "callers that named no process", None, None, uuid.uuid4().hex
                )
                self._observer = self._link.join(hello).member_id
            return self._observer

    def _get_task(
        self, process_id: int | None, tag: str | None
    ) -> tuple[str, str, tuple[Any, ...]]:
        me = self._anonymous() if process_id is None else process_id
        while True:
            asked = wire.Exchange(me, want=1, wait=wire.LONGEST_WAIT, tag=tag)
            reply = self._link.exchange(asked)
            for order, _ in reply.orders:
                if order == wire.STOP:
                    raise TaskManagerTermination("the job is over")
                if order == wire.REJOIN and process_id is not None:
                    raise NotRegisteredError(f"process {me} is not registered (any more)")
                if order == wire.REJOIN:
                    me = self._anonymous(again=True)
            if reply.leases:
                return self._open(reply.leases[0])
            if not reply.orders and not reply.waited:
                raise UsageError(f"process {me} joined as one that executes nothing")

    def _open(self, lease: Lease) -> tuple[str, str, tuple[Any, ...]]:
        return task_name(lease.tag, lease.task_id), lease.tag, open_payload(lease.payload)

    def _collect(self, tag: str | None) -> Finished:
        if self._own_collect is not None:
            return self._own_collect(tag, None)
        me = self._anonymous()
        while True:
            try:
                finished, _ = self._link.collect(me, tag, 1, wire.LONGEST_WAIT)
            except NotRegisteredError:  # the connection was cut
                me = self._anonymous(again=True)
                continue
            if finished:
                return finished[0]
