"""One script for both roles: run plainly it is the master, started as a slave it is a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker import program
from masterworker.data.pickling import dumps
from masterworker.errors import UnpicklableError
from masterworker.worker import HEARTBEAT, current

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.master import Master
    from masterworker.worker import Worker


def run_job(
    label: str,
    make_master: Callable[..., Master],
    worker_class: type[Worker],
    *,
    workers: int = 0,
    heartbeat: float | None = HEARTBEAT,
    serial: bool = False,
) -> None:
    """Be the master of a job, or one of its workers, whichever this process was started as.

    The script that calls this is stored with the task manager, so that
    `task_manager worker LABEL` can start workers anywhere from the label alone.

    Args:
        label: The label of the job.
        make_master: A subclass of `Master` whose `run` does the master's work.
        worker_class: A subclass of `Worker` with methods `do_<tag>`.
        workers: Start so many workers on this machine.
        heartbeat: Longest time between signs of life of a worker (seconds).
        serial: Execute the tasks in this process; no workers.

    Raises:
        UsageError: The label cannot be used, or is taken.
        TransportError: The master cannot be reached.
    """
    context = current.slave_context()
    if context is not None:
        program.adopt_names()
        worker_class(context.label, context.master, heartbeat=heartbeat).run()
        return
    if serial:
        handlers = handlers_of(worker_class)
        make_master(label, serial=True, handlers=handlers).start()
        return
    master = make_master(label)
    store_main(master, worker_class, "run", heartbeat=heartbeat)
    try:
        if workers:
            master.launch_workers(workers, wait=True)
    except BaseException:
        master.shutdown()
        raise
    master.start()


def handlers_of(worker_class: type[Any]) -> dict[str, Callable[..., Any]]:
    """Return the handlers of a worker class, bound to an object that is no process."""
    return methods_of(object.__new__(worker_class))


def methods_of(worker: object) -> dict[str, Callable[..., Any]]:
    """Return the handlers that a worker has as methods, by tag."""
    return {name[3:]: getattr(worker, name) for name in dir(worker) if name.startswith("do_")}


def store_main(
    master: Master, worker_class: type[Any], start: str, **keywords: float | None
) -> None:
    """Store this process's main program, or the worker class by value where it cannot be read.

    Args:
        master: Where to store it.
        worker_class: What the main program's workers are.
        start: Name of the method that makes one of them work.
        keywords: What to make one of them with, besides label and master.
    """
    main = program.of_main()
    if main is not None:
        master.store_program(main)
        return
    try:
        master.store_program(program.of_class(dumps((worker_class, start, keywords))))
    except Exception as error:
        raise UnpicklableError(
            f"the main program has no file, and {worker_class.__name__} cannot be sent by value: "
            f"{error}"
        ) from error
