"""What a step of the machine asks the shell around it to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from masterworker.core.effects import Failed
    from masterworker.core.task import Finished, Payloads


class Reply(msgspec.Struct, frozen=True):
    """A caller gets its reply."""

    #: What the shell gave the machine with the call; opaque here.
    channel: Any
    #: The reply; an exception: the call has failed with it.
    value: Any


class Settled(msgspec.Struct, frozen=True):
    """Tasks that were requested as direct have outcomes."""

    outcomes: list[Finished]


class Unkept(msgspec.Struct, frozen=True):
    """Outcomes are to be kept; then `Dispatcher.kept` is due."""

    outcomes: list[Finished]
    #: What the parameters of each were.
    parameters: list[Payloads]


class Struck(msgspec.Struct, frozen=True):
    """Strikes of tasks have changed: what they are now is to be kept."""

    strikes: list[tuple[int, list[str]]]


class CallsFailed(msgspec.Struct, frozen=True):
    """Calls have failed, and are to be kept for `replay`."""

    calls: list[Failed]


class Warned(msgspec.Struct, frozen=True):
    """A line for the log."""

    text: str
    #: False: of interest for debugging only.
    loud: bool = True


class MembersChanged(msgspec.Struct, frozen=True):
    """Processes have come or gone, or the job has ended."""


Effect = Reply | Settled | Unkept | Struck | CallsFailed | Warned | MembersChanged

MEMBERS_CHANGED = MembersChanged()
