"""How a process stands with the scheduler, and what changes that: a table."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Presence(Enum):
    """How a registered process stands."""

    ALONE = "no supervisor speaks for it"
    ATTENDED = "its supervisor will say how it ended"
    UNEXPLAINED = "its connection has closed, and its supervisor has not said why"
    GONE = "is not registered any more"


class Event(Enum):
    """What changes that."""

    VOUCHED = "its supervisor says that it is well"
    UNATTENDED = "its supervisor is gone"
    CLOSED_BUSY = "its connection closes, with tasks in its hands"
    CLOSED_IDLE = "its connection closes, with nothing in its hands"
    DEPARTED = "it signs off, is silent, or has ended"


#: What follows from what; a pair that is not here cannot happen.
TRANSITIONS: Final = {
    (Presence.ALONE, Event.VOUCHED): Presence.ATTENDED,
    (Presence.ALONE, Event.UNATTENDED): Presence.ALONE,
    (Presence.ALONE, Event.CLOSED_BUSY): Presence.GONE,
    (Presence.ALONE, Event.CLOSED_IDLE): Presence.GONE,
    (Presence.ALONE, Event.DEPARTED): Presence.GONE,
    (Presence.ATTENDED, Event.VOUCHED): Presence.ATTENDED,
    (Presence.ATTENDED, Event.UNATTENDED): Presence.ALONE,
    (Presence.ATTENDED, Event.CLOSED_BUSY): Presence.UNEXPLAINED,
    (Presence.ATTENDED, Event.CLOSED_IDLE): Presence.GONE,
    (Presence.ATTENDED, Event.DEPARTED): Presence.GONE,
    (Presence.UNEXPLAINED, Event.VOUCHED): Presence.UNEXPLAINED,
    (Presence.UNEXPLAINED, Event.UNATTENDED): Presence.GONE,
    (Presence.UNEXPLAINED, Event.CLOSED_BUSY): Presence.UNEXPLAINED,
    (Presence.UNEXPLAINED, Event.CLOSED_IDLE): Presence.UNEXPLAINED,
    (Presence.UNEXPLAINED, Event.DEPARTED): Presence.GONE,
}
