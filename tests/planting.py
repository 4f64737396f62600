"""Putting a bug into a scheduler: the part that it is a bug of gets its class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.core.scheduler import Scheduler

if TYPE_CHECKING:
    from masterworker.core.chunks import Single
    from masterworker.core.task_queues import TaskQueues


def planted(bug: type, single: Single) -> Scheduler:
    """Make a scheduler with a bug: a subclass of the scheduler's class, or of a part's."""
    if issubclass(bug, Scheduler):
        return bug(single=single)
    core = Scheduler(single=single)
    parts = [core.out, core.table, core.processes, core.processes._liveness, core.retries]
    parts += [core.crashes, core.dispatch, core.settlement, core.reports]
    parts += [core.requests, core.departures, core.time_limits, core.further]
    for part in parts:
        if issubclass(bug, type(part)):
            part.__class__ = bug
            core.find, core.on_further = core.table.find, core.further.asked
            return core
    plant(core.waiting, bug)
    return core


def plant(queues: TaskQueues, bug: type) -> None:
    """Put a bug into one of the two queues, or into what they hold."""
    for part in (queues, queues.claims, queues.filters):
        if issubclass(bug, type(part)):
            part.__class__ = bug
            return
    raise TypeError(f"{bug} is no bug of a part")
