"""Which worker runs here, and which slave program this process was started with."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, NamedTuple

from masterworker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.worker import Worker


class _Here(threading.local):
    worker: Worker | None = None


_here = _Here()
_last: Worker | None = None


class SlaveContext(NamedTuple):
    """What a process knows that was started as a slave from the label alone."""

    label: str
    #: "host" or "host:port"; None: look the label up.
    master: str | None
    #: Digest of the slave program that came from the master.
    digest: str


_context: SlaveContext | None = None
_context_used = False
_interrupted = False


def current_worker() -> Worker:
    """Return the worker that executes the handler which calls this.

    Raises:
        UsageError: This is not inside a handler.
    """
    worker = _here.worker or _last
    if worker is None:
        raise UsageError("current_worker() can be called inside a handler only")
    return worker


@contextlib.contextmanager
def working_as(worker: Worker) -> Iterator[None]:
    """Within this, `worker` is the current one of this thread (and of threads it starts)."""
    global _last
    before, before_last = _here.worker, _last
    _here.worker = _last = worker
    try:
        yield
    finally:
        _here.worker, _last = before, before_last


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
