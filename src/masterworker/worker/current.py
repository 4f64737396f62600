"""Which worker runs here, and which slave program this process was started with."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from masterworker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from masterworker.worker import Worker
    from masterworker.worker.serial import SerialWorker


class _Here(threading.local):
    worker: Worker | SerialWorker | None = None


_here = _Here()
_of_process: Worker | SerialWorker | None = None


class SlaveContext(NamedTuple):
    """What a process knows that was started as a slave from the label alone."""

    label: str
    #: Digest of the slave program that came from the master.
    digest: str
    #: Name of the class that the master's script gives for its workers; "" where there is none.
    worker_class: str = ""
    #: Is given the worker and its handlers by tag, instead of letting it execute tasks.
    instead: Callable[[Worker, Mapping[str, Callable[..., Any]]], None] | None = None
    #: Its job is over, as far as this process is concerned.
    served: bool = False


_context: SlaveContext | None = None
_context_used = False
_interrupted = False
_recycled = False


def current_worker() -> Worker | SerialWorker:
    """Return the worker that executes the handler which calls this.

    Raises:
        UsageError: This is not inside a handler.
    """
    worker = _here.worker or _of_process
    if worker is None:
        raise UsageError("current_worker() can be called inside a handler only")
    return worker


def has_worker() -> bool:
    """Tell whether a worker executes tasks in this process."""
    return (_here.worker or _of_process) is not None


@contextlib.contextmanager
def working_as(worker: Worker | SerialWorker) -> Iterator[None]:
    """Within this, `worker` is the current one of this thread.

    If it is the process's main thread, it is the current one of all threads that have none.
    """
    global _of_process
    before, before_all = _here.worker, _of_process
    main = threading.current_thread() is threading.main_thread()
    _here.worker = worker
    if main:
        _of_process = worker
    try:
        yield
    finally:
        _here.worker = before
        if main:
            _of_process = before_all


def program_digest() -> str:
    """Return the digest of the slave program that came from the master; "" for none."""
    return "" if _context is None else _context.digest


def be_slave(context: SlaveContext) -> None:
    """From now on this process executes a slave program."""
    global _context, _context_used
    _context, _context_used = context, False


def slave_context() -> SlaveContext | None:
    """Return what this slave was started with; None: this process is no such slave."""
    global _context_used
    _context_used = True
    return _context


def note_served() -> None:
    """Take note that this slave has done its work: its script may go on to something else."""
    global _context
    if _context is not None:
        _context = _context._replace(served=True)


def use_instead(worker: Worker, handlers: Mapping[str, Callable[..., Any]]) -> bool:
    """Hand a worker and its handlers to whoever wants them instead of a worker that works.

    Returns:
        False: nobody does, so it is to work.
    """
    if _context is None or _context.instead is None:
        return False
    _context.instead(worker, handlers)
    return True


def slave_context_used() -> bool:
    """Tell whether the slave program has asked for it, that is, started a slave."""
    return _context_used


def note_interrupt() -> None:
    """Take note that the worker of this process was ended by Ctrl-C."""
    global _interrupted
    _interrupted = True


def was_interrupted() -> bool:
    """Tell whether the worker of this process was ended by Ctrl-C."""
    return _interrupted


def note_recycled() -> None:
    """Take note that the worker of this process has executed as many tasks as it should."""
    global _recycled
    _recycled = True


def was_recycled() -> bool:
    """Tell whether the worker of this process leaves in order to be replaced by a new one."""
    return _recycled
