"""One member of the job that stands for a place in an engine, and has one bundle at a time."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from masterworker.core.task import ids_of

if TYPE_CHECKING:
    from masterworker.core.task import Lease
    from masterworker.engine.parcel import Known


class Stage(Enum):
    """What a lane does."""

    #: It has not joined, or has left.
    AWAY = "away"
    #: It asks for nothing: others are enough.
    IDLE = "idle"
    #: It waits for leases.
    ASKING = "asking"
    #: It has leases, which wait to be sent.
    READY = "ready"
    #: A bundle of it is with the engine.
    SENT = "sent"


class Lane:
    """A place in an engine.

    Args:
        number: Its number.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.stage = Stage.AWAY
        self.member_id = -1
        self.leases: list[Lease] = []
        self.future: Any = None
        #: Values that the last process has lacked.
        self.missing: list[Known] = []
        #: Counts up with each thing that an answer is waited for, so that late ones are known.
        self.turn = 0
        #: Its tasks share their fate with no others.
        self.alone = False
        #: The manager knows that its only task has begun.
        self.has_told = False

    def __repr__(self) -> str:
        return f"<Lane {self.number}: {self.stage.value}, {len(self.leases)} leases>"

    @property
    def task_ids(self) -> list[int]:
        """The tasks that it has."""
        return [number for lease in self.leases for number in ids_of(lease)]

    def put_down(self) -> None:
        """Have nothing any more."""
        self.leases, self.missing, self.future = [], [], None
        self.alone = self.has_told = False

    def next_turn(self, stage: Stage) -> int:
        """Begin to wait for something else. Returns its number."""
        self.stage = stage
        self.turn += 1
        return self.turn
