"""One script for both roles: run plainly it is the master, started as a slave it is a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker import program
from masterworker.checking import known_keywords
from masterworker.data.segment import bytes_of
from masterworker.errors import UnpicklableError, UsageError
from masterworker.launch.process_context import this_process
from masterworker.master import engine_of
from masterworker.worker import HEARTBEAT, methods_of, script

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from masterworker.master import Master
    from masterworker.master.needs import Needs
    from masterworker.worker import Worker


@known_keywords("run_job")
def run_job(
    label: str,
    make_master: Callable[..., Master],
    worker_class: type[Worker],
    *,
    workers: int = 0,
    heartbeat: float | None = HEARTBEAT,
    serial: bool = False,
    journal: str | os.PathLike[str] | None = None,
    engine: Any = None,
) -> None:
    """Be the master of a job, or one of its workers, whichever this process was started as.

    The script that calls this is stored with the task manager, so that
    `task_manager worker LABEL` can start workers anywhere from the label alone.

    Args:
        label: The label of the job.
        make_master: A subclass of `Master` whose `run` does the master's work.
        worker_class: A subclass of `Worker` with methods `do_<tag>`. It is made as
            `worker_class(label, heartbeat=heartbeat)`.
        workers: Number of workers to start on this machine.
        heartbeat: Longest time between signs of life of a worker (seconds).
        serial: Execute the tasks in this process; no workers.
        journal: The path of a file in which outcomes are kept: see `Master`, to which it is given
            as an argument.
        engine: Execute them through an engine; see `Master`, to which it is given likewise.

    Raises:
        UsageError: The label cannot be used, or is taken.
        TransportError: The master cannot be reached.
    """
    if work_instead(label, worker_class, "run", heartbeat=heartbeat):
        return
    kept: dict[str, Any] = {} if journal is None else {"journal": journal}
    if engine is not None:
        if serial or workers:
            raise UsageError("give engine= alone: it executes the tasks, and nothing else does")
        kept["engine"] = engine
    if serial:
        handlers = handlers_of(worker_class)
        make_master(label, serial=True, handlers=handlers, **kept).start()
        return
    master = make_master(label, **kept)
    try:
        parts = engine_of(master)
        if (slots := parts.execution.slots) is not None:
            slots.handlers.update(handlers_of(worker_class))
        parts.program.store(main_program(parts.needs, worker_class, "run", heartbeat=heartbeat))
        if workers:
            master.launch_workers(workers, wait=True)
    except BaseException:
        master.shutdown()
        raise
    master.start()


def work_instead(label: str, worker_class: type[Any], start: str, **keywords: float | None) -> bool:
    """Be a worker of the script's job, if this process was started as one.

    Args:
        label: The label of the job that the script has come to. It may differ from the master's:
            scripts make labels of the time of day.
        worker_class: What is made, with the master's label and the keywords. The master's address
            is known without.
        start: Name of the method that makes it work.
        keywords: What to make it with.

    Returns:
        False: it was not, so it is the master. True: its work is done.

    Raises:
        UsageError: The process was started for another job of the same script.
    """
    context = this_process.context.ask_assignment()
    if context is None:
        return False
    if context.served:  # the script goes on to its next job, which has workers of its own
        return True
    name = name_of(worker_class)
    if context.worker_class not in {"", name}:
        raise UsageError(
            f"this process is a worker of {context.label!r}, whose workers are "
            f"{context.worker_class}, but the script starts the job {label!r} with {name} first: "
            "give each job a script of its own, or one class for both"
        )
    script.adopt_names()
    getattr(worker_class(context.label, **keywords), start)()
    this_process.context.has_served()
    return True


def name_of(worker_class: object) -> str:
    """Return the name by which a script's class is known on both sides, whatever its module."""
    return getattr(worker_class, "__qualname__", "")


def handlers_of(worker_class: type[Any]) -> dict[str, Callable[..., Any]]:
    """Return the handlers of a worker class, bound to an object that is no process."""
    return methods_of(object.__new__(worker_class))


def main_program(
    needs: Needs, worker_class: type[Any], start: str, **keywords: float | None
) -> program.Program:
    """Return this process's main program, or the worker class by value where it cannot be read.

    Args:
        needs: Of the master where it is to be stored.
        worker_class: What the main program's workers are.
        start: Name of the method that makes one of them work.
        keywords: What to make one of them with, besides the label.
    """
    main = program.of_main()
    if main is not None:
        return main._replace(worker_class=name_of(worker_class))
    try:
        payload, hold = needs.of_value((worker_class, start, keywords))
    except Exception as error:
        raise UnpicklableError(
            f"the main program has no file, and {worker_class.__name__} cannot be sent by value: "
            f"{error}"
        ) from error
    needs.keep(hold)
    return program.of_class(bytes_of(payload))
