"""How a worker stands with its master, and what changes that: the table that the machine obeys."""

from __future__ import annotations

from enum import Enum
from typing import Final


class State(Enum):
    """How a worker stands with its master."""

    OUTSIDE = "has not joined"
    MEMBER = "takes tasks"
    CUT_OFF = "looks for the master"
    STOPPING = "takes no more tasks"
    STRANDED = "takes no more, cut off"
    LEFT = "has left"


class Event(Enum):
    """What changes that."""

    WELCOMED = "the manager lets it in"
    BROKEN = "the connection breaks"
    UNKNOWN = "order: join again"
    STOPPED = "order: stop; or the job is over; or the master stays away"
    RESIGNED = "it signs off, to join as another one"
    SIGNED_OFF = "it signs off"


#: What follows from what; a pair that is not here cannot happen.
TRANSITIONS: Final = {
    (State.OUTSIDE, Event.WELCOMED): State.MEMBER,
    (State.OUTSIDE, Event.BROKEN): State.OUTSIDE,
    (State.OUTSIDE, Event.STOPPED): State.LEFT,
    (State.OUTSIDE, Event.SIGNED_OFF): State.LEFT,
    (State.MEMBER, Event.BROKEN): State.CUT_OFF,
    (State.MEMBER, Event.UNKNOWN): State.CUT_OFF,
    (State.MEMBER, Event.STOPPED): State.STOPPING,
    (State.MEMBER, Event.RESIGNED): State.OUTSIDE,
    (State.MEMBER, Event.SIGNED_OFF): State.LEFT,
    (State.CUT_OFF, Event.WELCOMED): State.MEMBER,
    (State.CUT_OFF, Event.BROKEN): State.CUT_OFF,
    (State.CUT_OFF, Event.UNKNOWN): State.CUT_OFF,
    (State.CUT_OFF, Event.STOPPED): State.STRANDED,
    (State.CUT_OFF, Event.RESIGNED): State.OUTSIDE,
    (State.CUT_OFF, Event.SIGNED_OFF): State.LEFT,
    (State.STOPPING, Event.BROKEN): State.STRANDED,
    (State.STOPPING, Event.UNKNOWN): State.STRANDED,
    (State.STOPPING, Event.STOPPED): State.STOPPING,
    (State.STOPPING, Event.RESIGNED): State.LEFT,
    (State.STOPPING, Event.SIGNED_OFF): State.LEFT,
    (State.STRANDED, Event.WELCOMED): State.STOPPING,
    (State.STRANDED, Event.BROKEN): State.STRANDED,
    (State.STRANDED, Event.UNKNOWN): State.STRANDED,
    (State.STRANDED, Event.STOPPED): State.STRANDED,
    (State.STRANDED, Event.RESIGNED): State.LEFT,
    (State.STRANDED, Event.SIGNED_OFF): State.LEFT,
}

#: In these a worker asks for no more tasks.
STOPS: Final = (State.STOPPING, State.STRANDED, State.LEFT)
