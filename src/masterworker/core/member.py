"""A process that takes part in the job: the master itself, a worker, or a client."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import msgspec

from masterworker.core.presence import TRANSITIONS, Presence

if TYPE_CHECKING:
    from masterworker.core.blocks import Item
    from masterworker.core.filters import TagFilter
    from masterworker.core.presence import Event

#: Heartbeats in a row that are missed until a process is lost. Four, as the published
#: system had it: one lost packet or one slow moment must not cost a worker.
MISSED_HEARTBEATS = 4


class Member(msgspec.Struct, eq=False):
    """One registered process. Its id is never used again."""

    id: int
    #: One line that says which it is: process id, host, machine type.
    info: str
    #: What it can execute; None: nothing.
    filter: TagFilter | None
    #: Seconds between heartbeats; None: silence never means loss.
    heartbeat: float | None
    #: When something was last heard of it, in seconds on the caller's clock.
    heard: float
    #: Name of the supervisor that watches its process; "" for none.
    supervisor: str = ""
    #: What its supervisor says is to be believed.
    is_trusted: bool = True
    #: How it stands. Its supervisor counts as here until it is known to be gone.
    presence: Presence = Presence.ALONE
    #: Since when it has had nothing to do; None: it had a task since it was last seen idle.
    idle_since: float | None = None
    #: What is in its hands, by the last id of each item, in the order in which it executes it.
    leases: dict[int, Item] = {}

    def __post_init__(self) -> None:
        if self.supervisor:
            self.presence = Presence.ATTENDED

    def __repr__(self) -> str:
        return f"<Member {self.id} ({self.info}), {self.in_hand} tasks in hand>"

    def happens(self, event: Event) -> Presence:
        """Change how it stands, as the table says.

        Raises:
            KeyError: As it stands that cannot happen.
        """
        self.presence = TRANSITIONS[self.presence, event]
        return self.presence

    @property
    def supervised(self) -> bool:
        """Whether its supervisor will say how it ends."""
        return self.presence in {Presence.ATTENDED, Presence.UNEXPLAINED}

    @property
    def in_hand(self) -> int:
        """How many tasks are in its hands."""
        return sum(item.size for item in self.leases.values())

    def rank(self, now: float) -> float:
        """Return how early it is to be served, if it waits for tasks from now on.

        The newest idle worker is the first: its caches are warm, and those that are not needed stay
        idle, so that they can leave. To ask once more makes none newer. A worker that waits for an
        outcome, with a task in hand, is the last: that task would have to wait for one more.
        """
        if self.leases:
            return -inf
        if self.idle_since is None:
            self.idle_since = now
        return self.idle_since

    @property
    def deadline(self) -> float | None:
        """When it is lost if nothing more is heard of it."""
        if self.heartbeat is None:
            return None
        return self.heard + MISSED_HEARTBEATS * self.heartbeat
