"""Forks of a worker that a handler has made: they are not workers.

A handler that forks goes on twice. Where the child does not end by itself, it would come back from
the handler and speak through its parent's connection.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

#: This process is a fork of the one in which the worker runs.
is_fork = False


def _note() -> None:
    global is_fork
    is_fork = True


os.register_at_fork(after_in_child=_note)


def begin() -> None:
    """The worker of this process begins, whatever has been forked before."""
    global is_fork
    is_fork = False


def leave(error: BaseException | None = None) -> NoReturn:
    """End a fork as Python ends a process, but for what would concern its parent, too."""
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        status = 1
        with contextlib.suppress(BaseException):
            import traceback

            traceback.print_exception(error)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(status & 0xFF)
