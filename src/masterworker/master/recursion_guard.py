"""Where no master can be made: a program that multiplies must end with its second process.

A module whose top level makes a `Master` with workers would make one in each worker that imports
it, whose workers import it again. An application that is started in the place of Python would
begin from its start again, with a master of its own.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

from masterworker.errors import UsageError
from masterworker.launch import exits
from masterworker.launch.command import order_in
from masterworker.launch.process_context import this_process
from masterworker.surroundings import python

if TYPE_CHECKING:
    from types import FrameType

#: The file of the frames in which a module is imported.
_IMPORT: Final = "<frozen importlib._bootstrap>"
#: The modules in which a worker calls handlers, and in which it executes a stored script.
_WORK: Final = frozenset({"masterworker.worker.execution", "masterworker.worker.rows"})
_SCRIPT: Final = "masterworker.worker.script"


def require_a_place() -> None:
    """Refuse to make a master where that would happen again and again.

    Raises:
        UsageError: This is a worker, which imports a module just now.
    """
    if python.STARTING in os.environ:
        _end_second_start()
    module = _executed_module(sys._getframe(1))
    if module is not None:
        raise UsageError(
            f"a Master was made while a worker imported {module}: its workers would import it as "
            f"well, and so on. In {module}, make the Master inside a function, or after "
            'if __name__ == "__main__":'
        )


def _is_beginning() -> bool:
    """Return whether this process belongs to a pool of `multiprocessing`, and is not ready yet."""
    pools = sys.modules.get("multiprocessing.process")
    return pools is not None and getattr(pools.current_process(), "_inheriting", False)


def _executed_module(frame: FrameType | None) -> str | None:
    """Return whose top level a worker executes; None: it is no worker, or executes a task."""
    beginning = _is_beginning()
    if not beginning and not this_process.is_worker:
        return None
    module = None
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if name in _WORK:
            return None
        if module is None and frame.f_code.co_name == "<module>":
            module = frame.f_globals.get("__file__") or name
        if name == _SCRIPT or frame.f_code.co_filename == _IMPORT:
            return module
        frame = frame.f_back
    return module if beginning else None


def _end_second_start() -> None:
    """End this process, which was to become a worker, and has begun to be the program again."""
    status = min(exits.HOPELESS)
    reason = (
        f"{sys.argv[0]} was started as a worker, and is no Python interpreter: it has begun from "
        f"its start again. Set {python.VARIABLE} to a Python that has masterworker, or "
        "sys.executable"
    )
    context = this_process.context
    order = order_in(sys.argv[1:])
    if order is not None:
        with contextlib.suppress(OSError, ValueError):  # the program has closed it
            context.supervised_by(order.slot_fd)
    if not context.conclude(status, reason):
        sys.stderr.write(f"{exits.PROGRAM}{reason}\n")
        sys.stderr.flush()
    os._exit(status)
