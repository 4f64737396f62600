"""Ending a job to which nothing refers any more, as when a cell of a notebook is run again.

The collector of garbage may come at any point of any thread, also of one that holds a lock. So it
only puts the job into a queue, and a thread of its own ends it.
"""

from __future__ import annotations

import logging
import threading
import weakref
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, cast

from masterworker import forks

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import MethodType

    from masterworker.master.shutdown import JobEnd

logger = logging.getLogger("masterworker.master")

#: Seconds that workers have to finish what they are doing, which no program will see.
GRACE = 2.0

_waiting: SimpleQueue[tuple[str, JobEnd]] = SimpleQueue()
_guard = forks.lock()
_threads: list[threading.Thread] = []


class WeakCallback:
    """Calls a method as long as its object lives, and does not keep the object alive.

    What is called back can so be made before the object that it calls.
    """

    def __init__(self) -> None:
        self._find: Callable[[], object] = lambda: None
        self._function: Callable[..., object] = lambda *_: None

    def bind(self, method: Callable[..., object]) -> None:
        """Say which method."""
        bound = cast("MethodType", method)
        self._find, self._function = weakref.ref(bound.__self__), bound.__func__

    def __call__(self, *arguments: Any) -> None:
        """Call it."""
        if (found := self._find()) is not None:
            self._function(found, *arguments)


def weakly(method: Callable[[], str], otherwise: str) -> Callable[[], str]:
    """Return what calls a method as long as its object lives, and does not keep that alive."""
    find = weakref.WeakMethod(method)
    return lambda: otherwise if (known := find()) is None else known()


def end_with(waiting: object, label: str, end: JobEnd) -> None:
    """End a job when nothing refers to it any more.

    Args:
        waiting: What everything refers to through which the job is used.
        label: The label of the job.
        end: Ends it.
    """
    with _guard:
        if not any(thread.is_alive() for thread in _threads):  # a fork has none
            thread = threading.Thread(target=_run, name="masterworker-forgotten", daemon=True)
            _threads[:] = [thread]
            thread.start()
    finalizer = weakref.finalize(waiting, _is_forgotten, label, end)
    finalizer.atexit = False


def _is_forgotten(label: str, end: JobEnd) -> None:
    """Called by the collector of garbage, in any thread, whatever that has in hand."""
    if not end.is_over:  # else no thread is to be woken: the program may have ended, too
        _waiting.put((label, end))


def _run() -> None:
    while True:
        _end(*_waiting.get())


def _end(label: str, end: JobEnd) -> None:
    if end.is_over:
        return
    logger.info("nothing refers to the master of %r any more: the job ends", label)
    try:
        end.shutdown(GRACE)
    except Exception:
        logger.exception("the end of the job %r stumbled", label)
