"""What the workers of one launch have in common."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from masterworker.launch.output import MARKED
from masterworker.launch.preload import Preload
from masterworker.launch.worker_limits import WorkerLimits
from masterworker.named import NamedTuple
from masterworker.surroundings.python import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.security.ticket import Ticket


class Spec(NamedTuple):
    """What each of them is started with."""

    label: str
    #: "host" or "host:port" of the master; None: look it up by the label.
    master: str | None
    #: The environment of their processes.
    environment: dict[str, str]
    limits: WorkerLimits = WorkerLimits()
    #: More memory than this ends a worker (bytes); None: any.
    memory_limit: int | None = None
    #: A process that has not joined after this time is ended (seconds); None: it may take any time.
    start_timeout: float | None = None
    #: Workers log more.
    verbose: bool = False
    #: By which they join; None: they are this user's own.
    ticket: Ticket | None = None
    #: Path of the master's private socket, where that is known; else "".
    socket: str = ""
    interpreter: Interpreter = Interpreter()
    #: How what they write is shown: MARKED, PLAIN or NONE.
    output: str = MARKED
    #: Returns what the master has stored for them; None: they have to ask for it.
    program: Callable[[], bytes] | None = None
    #: What their template imports.
    preload: Preload = Preload()


def deadline_after(seconds: float | None) -> float | None:
    """Return when that is, by the monotonic clock."""
    return None if seconds is None else time.monotonic() + seconds
