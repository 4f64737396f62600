"""What the worker's machine asks its shell for, one at a time, and what it is answered.

A `wire.Exchange` is one of them as it is; its answer is the manager's `wire.Reply`. Calls that fail
are answered with their exception.
"""

from __future__ import annotations

from typing import Any

import msgspec

from masterworker import wire


class Join(msgspec.Struct, frozen=True):
    """Introduce this process. Answer: the manager's `wire.Welcome`."""


class Joined(msgspec.Struct, frozen=True):
    """This process is registered: values that were fetched before may be old.

    Answer: whether it has old versions of modules, so that another process is to take its place.
    """

    member_id: int
    #: It is another run of the manager, to which numbers of tasks mean something else.
    another_run: bool


class Leave(msgspec.Struct, frozen=True):
    """Sign off."""

    member_id: int


class Collect(msgspec.Struct, frozen=True):
    """Ask for an outcome. Answer: the outcomes, and the leases to execute meanwhile."""

    member_id: int
    tag: str | None
    #: Seconds.
    wait: float
    #: One of `wire.NOTHING`, `wire.ANY`, `wire.AWAITED`.
    lend: int
    #: It is for the task that is being executed, not for another thread.
    mine: bool
    #: The task that is being executed; 0: none.
    task_id: int


class CutOff(msgspec.Struct, frozen=True):
    """The connection broke. Fails where it is of no use to look for the master."""

    error: Exception
    #: Seconds until the end of a process shows, whose connections close an instant before.
    pause: float


class Pause(msgspec.Struct, frozen=True):
    """Wait before the next attempt. Answer: whether to go on."""

    seconds: float
    #: For how many seconds the master has been looked for.
    sought: float
    #: How many more seconds the master is looked for.
    left: float


class GaveUp(msgspec.Struct, frozen=True):
    """The master stays away, so what this process executes is of no use to any other."""

    reason: str


class MayGoOn(msgspec.Struct, frozen=True):
    """Fails where the task that is being executed is to be broken off."""


class IsPending(msgspec.Struct, frozen=True):
    """Answer: whether the task that is being executed is to be broken off."""


class BreakOff(msgspec.Struct, frozen=True):
    """Break off a task that is being executed, as soon as that may be."""

    task_id: int


class Forget(msgspec.Struct, frozen=True):
    """A state is of no use any more."""

    state_id: int


class Renew(msgspec.Struct, frozen=True):
    """The master has loaded a module again. Answer: whether this process has the old one for good.

    Then it takes no more tasks.
    """

    number: int


class TellStack(msgspec.Struct, frozen=True):
    """Say where a task is that is being executed."""

    member_id: int
    task_id: int


class TicketOver(msgspec.Struct, frozen=True):
    """The job goes on without this worker."""

    #: Since when its ticket is not valid any more (seconds since 1970).
    until: int


Effect = (
    wire.Exchange
    | Join
    | Joined
    | Leave
    | Collect
    | CutOff
    | Pause
    | GaveUp
    | MayGoOn
    | IsPending
    | BreakOff
    | Forget
    | Renew
    | TellStack
    | TicketOver
)

#: What the shell gives for it.
Answer = Any
