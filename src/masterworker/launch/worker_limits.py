"""When a worker leaves by itself: asked for where it is launched, and kept by the worker."""

from __future__ import annotations

from typing import Final

from masterworker.named import NamedTuple

#: Begins the name of an initializer that the master has stored.
STORED: Final = "stored:"


class WorkerLimits(NamedTuple):
    """When a worker leaves by itself, and what it does first."""

    #: Tasks after which the worker leaves (then a new one takes its place); None: no limit.
    max_tasks: int | None = None
    #: Seconds without a task after which the worker leaves; None: no limit.
    idle_timeout: float | None = None
    #: At this time of the monotonic clock, in seconds; None: never.
    deadline: float | None = None
    #: What each process calls before it works: "module:function", or `STORED` and the name under
    #: which the master has stored it; "" for nothing.
    initializer: str = ""


#: Those of most processes.
UNLIMITED: Final = WorkerLimits()
