"""When a worker leaves by itself: asked for where it is launched, and kept by the worker."""

from __future__ import annotations

from typing import Final, NamedTuple

#: Begins the name of an initializer that the master has stored.
STORED: Final = "stored:"


class WorkerLimits(NamedTuple):
    """When a worker leaves by itself, and what it does first."""

    #: After so many tasks (then a new one takes its place); None: never.
    max_tasks: int | None = None
    #: After so many seconds without a task; None: never.
    idle_timeout: float | None = None
    #: At this time of the monotonic clock, in seconds; None: never.
    deadline: float | None = None
    #: What each process calls before it works: "module:function", or `STORED` and the name under
    #: which the master has stored it; "" for nothing.
    initializer: str = ""


#: Those of most processes.
UNLIMITED: Final = WorkerLimits()
