"""Ending a job whose master nobody refers to any more, as when a cell of a notebook is run again.

The collector of garbage may come at any point of any thread, also of one that holds a lock. So it
only puts the job into a queue, and a thread of its own ends it.
"""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.master.master import Master

logger = logging.getLogger("masterworker.master")

#: Seconds that workers have to finish what they are doing, which nobody will see.
GRACE = 2.0

_waiting: SimpleQueue[tuple[str, list[Callable[[], object]]]] = SimpleQueue()
_guard = threading.Lock()
_threads: list[threading.Thread] = []


def weakly(method: Callable[..., None]) -> Callable[..., None]:
    """Return a function that calls a method as long as its object lives, and does not keep it."""
    ref = weakref.WeakMethod(method)

    def call(*arguments: Any) -> None:
        if (living := ref()) is not None:
            living(*arguments)

    return call


def at_exit(method: Callable[[float], object], grace: float) -> Callable[[], None]:
    """Call a method with a number at the end of the program, if its object lives then.

    Returns:
        What takes that back.
    """
    ref = weakref.WeakMethod(method)

    def call() -> None:
        if (living := ref()) is not None:
            living(grace)

    atexit.register(call)
    return lambda: atexit.unregister(call)


def end_with(master: Master) -> Callable[[], object]:
    """End a job when its master is forgotten.

    Returns:
        What takes that back, since the job has ended.
    """
    manager, workers, server = master.manager, master.local_workers, master.server
    keeper, notice, changes = master._keeper, master._notice, master._changes
    steps: list[Callable[[], object]] = [
        manager.terminate,
        workers.expect_end,
        lambda: manager.wait_for(lambda _: not manager.remote_workers(), GRACE),
        *(part.close for part in (server, changes) if part is not None),
        lambda: workers.stop(GRACE),
        keeper.close,
        *(part.release for part in (notice,) if part is not None),
    ]
    with _guard:
        if not any(thread.is_alive() for thread in _threads):  # a fork has none
            thread = threading.Thread(target=_run, name="masterworker-forgotten", daemon=True)
            _threads[:] = [thread]
            thread.start()
    end = weakref.finalize(master, _waiting.put, (master.label, steps))
    end.atexit = False
    return end.detach


def _run() -> None:
    while True:
        label, steps = _waiting.get()
        logger.info("nobody refers to the master of %r any more: the job ends", label)
        for step in steps:
            try:
                step()
            except Exception:
                logger.exception("the end of the job %r stumbled; it goes on", label)
