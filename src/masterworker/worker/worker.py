"""The worker as programs use it, and subclass it: what the reference documents, and nothing else.

A worker has its engine under one mangled name, so a subclass may use any other attribute name.
"""

from __future__ import annotations

from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from masterworker.checking import known_keywords
from masterworker.worker.engine import WorkerEngine
from masterworker.worker.session_shell import HEARTBEAT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from masterworker.launch.process_context import ProcessContext
    from masterworker.transport.base import Connection
    from masterworker.worker.nested import NestedFuture

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """One process that executes tasks.

    Subclass it and add a method `do_<tag>` for each tag, or give handlers. A subclass may use any
    attribute name that is not documented here. Handlers are called in the thread that calls `run`;
    `request_task` and `retrieve_result` may be called in others, too.

    Args:
        label: The label of the job.
        master: "host" or "host:port" of the master; None: look it up by the label.
        handlers: Functions by tag.
        heartbeat: Longest time between signs of life, in seconds; None: silence never means that
            this worker is lost.
        reconnect: Seconds to look for a master that does not answer any more; None: 20, and 600
            for one with a journal, which may be started again (or as MASTERWORKER_RECONNECT says).
        connect: Makes connections in another way; for tests.
        context: Of the process; None: the one that each process has.

    Raises:
        MasterNotFoundError: No living master has this label or address.
        JobEndedError: The job was over long ago.
        CredentialError: The master is not of this user, or does not take us for one of its workers.
        TransportError: The master cannot be reached.
        UsageError: The label or the address cannot be used.
    """

    @known_keywords("Worker")
    def __init__(
        self,
        label: str,
        master: str | None = None,
        *,
        handlers: Mapping[str, Callable[..., Any]] | None = None,
        heartbeat: float | None = HEARTBEAT,
        reconnect: float | None = None,
        connect: Callable[[], Connection] | None = None,
        context: ProcessContext | None = None,
    ) -> None:
        self.__engine = WorkerEngine(
            self,
            label,
            master,
            handlers=handlers or {},
            heartbeat=heartbeat,
            reconnect=reconnect,
            connect=connect,
            context=context,
        )

    @cached_property
    def label(self) -> str:
        """The label of the job."""
        return self.__engine.label

    def run(self) -> None:
        """Execute tasks until the job ends (or has just ended) or `wants_to_stop`.

        Call it once. In the main thread it handles Ctrl-C and SIGTERM meanwhile: what has not been
        begun goes back, and this returns.

        Raises:
            TransportError: The master is gone, and did not come back in time.
            RejectedError: A master came back that this worker does not fit.
        """
        is_asked = getattr(self.wants_to_stop, "__func__", None) is not Worker.wants_to_stop
        handlers = {**methods_of(self), **self.__engine.given}
        self.__engine.run(handlers, self.wants_to_stop if is_asked else None)

    def wants_to_stop(self) -> bool:
        """Override this to end between two tasks, in good order. Asked before each task."""
        return False

    def request_task(self, tag: str, *parameters: Any) -> str:
        """Ask for a further task, from inside a handler. Costs a round trip to the master.

        Args:
            tag: The kind of task.
            parameters: Anything that can be pickled. They are fixed now.

        Returns:
            The task's id.

        Raises:
            UnpicklableError: Names the parameter that cannot be sent.
            Terminated: The job is over.
        """
        return self.__engine.request_task(tag, parameters)

    def retrieve_result(
        self, tag: str | None = None, timeout: float | None = None
    ) -> tuple[str, str, Any]:
        """Wait for the outcome of some further task that this one has asked for.

        Where it has asked for none (of this tag) whose outcome it lacks, it gets those of others:
        of the master's tasks, and what tasks have left. While it waits, this worker executes
        waiting tasks itself, so that a job with one worker goes on as well.

        Args:
            tag: Only of tasks of this tag.
            timeout: Seconds to wait at most; None: as long as it takes.

        Returns:
            (task id, tag, result).

        Raises:
            TaskFailed: The task raised an exception.
            TimeoutError: There was none in this time.
            Terminated: The job is over.
        """
        return self.__engine.retrieve(tag, timeout)

    def submit(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> NestedFuture[T]:
        """Ask for a further call, from inside a handler or call. Costs a round trip to the master.

        Wait for each: `future.result()` executes other tasks meanwhile, so that a job with one
        worker goes on as well. A future is for the thread that asked for it.

        Args:
            function: Anything that can be called and sent.
            args: Its arguments.
            kwargs: Its keyword arguments.

        Raises:
            UnpicklableError: The function or an argument cannot be sent.
            Terminated: The job is over.
        """
        return self.__engine.nested.submit(function, args, kwargs)

    def map(self, function: Callable[..., T], /, *iterables: Iterable[Any]) -> Iterator[T]:
        """Call a function for each item as further tasks, from inside a handler or call.

        The first 256 are asked for now, the others as results are taken. Results come in order;
        the first call that fails ends it. Close the iterator, or take all of it: then what is
        under way is waited for.

        Args:
            function: As in `submit`.
            iterables: Its arguments, one of each; ends with the shortest.

        Raises:
            UnpicklableError: The function or an argument cannot be sent.
            Terminated: The job is over.
        """
        return self.__engine.nested.starmap(function, zip(*iterables, strict=False))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.__engine.label!r}>"


def methods_of(worker: object) -> dict[str, Callable[..., Any]]:
    """Return the handlers that a worker has as methods, by tag."""
    found = {name[3:]: getattr(worker, name) for name in dir(worker) if name.startswith("do_")}
    return {tag: method for tag, method in found.items() if callable(method)}


#: Return the engine of a worker, for the other modules of this package.
engine_of: Callable[[Worker], WorkerEngine] = attrgetter("_Worker__engine")
