"""A process that takes part in the job: the master itself, a worker, or a client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masterworker.core.blocks import Item
    from masterworker.core.lanes import View

#: A process is lost after so many heartbeats in a row have not come. Four, as the published
#: system had it: one lost packet or one slow moment must not cost a worker.
MISSED_HEARTBEATS = 4


@dataclass(slots=True, eq=False)
class Member:
    """One registered process. Its id is never used again."""

    id: int
    #: One line that says who it is: process id, host, machine type.
    info: str
    #: The view of the waiting tasks that it can execute; None for one that executes nothing.
    view: View | None
    #: Seconds between heartbeats; None: silence never means loss.
    heartbeat: float | None
    #: When something was last heard of it, in seconds on the caller's clock.
    heard: float
    #: Name of the supervisor that watches its process; "" for none.
    supervisor: str = ""
    #: Its supervisor is expected to explain its end: it has not said a word yet, or is here.
    supervised: bool = False
    #: What is in its hands, by the last id of each item, in the order in which it executes it.
    leases: dict[int, Item] = field(default_factory=dict)

    @property
    def in_hand(self) -> int:
        """How many tasks are in its hands."""
        return sum(item.size for item in self.leases.values())

    @property
    def deadline(self) -> float | None:
        """When it is lost if nothing more is heard of it."""
        if self.heartbeat is None:
            return None
        return self.heard + MISSED_HEARTBEATS * self.heartbeat
