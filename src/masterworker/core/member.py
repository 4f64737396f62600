"""A process that takes part in the job: the master itself, a worker, or a client."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masterworker.core.blocks import Item
    from masterworker.core.lanes import View

#: A process is lost after so many heartbeats in a row have not come. Four, as the published
#: system had it: one lost packet or one slow moment must not cost a worker.
MISSED_HEARTBEATS = 4


class Member:
    """One registered process. Its id is never used again.

    Written out by hand, as the other records here: `dataclasses` loads half of the compiler's
    tools, and the start of a job would wait for that.

    Args:
        id: Its id.
        info: One line that says who it is: process id, host, machine type.
        view: The view of the waiting tasks that it can execute; None for one that executes nothing.
        heartbeat: Seconds between heartbeats; None: silence never means loss.
        heard: When something was last heard of it, in seconds on the caller's clock.
        supervisor: Name of the supervisor that watches its process; "" for none.
    """

    __slots__ = (
        "heard",
        "heartbeat",
        "id",
        "idle_since",
        "info",
        "is_trusted",
        "leases",
        "supervised",
        "supervisor",
        "view",
    )

    def __init__(
        self,
        id: int,  # noqa: A002  what it is
        info: str,
        view: View | None,
        heartbeat: float | None,
        heard: float,
        supervisor: str = "",
    ) -> None:
        self.id, self.info, self.view = id, info, view
        self.heartbeat, self.heard, self.supervisor = heartbeat, heard, supervisor
        #: What its supervisor says is to be believed.
        self.is_trusted = True
        #: Its supervisor is expected to explain its end: it has not said a word yet, or is here.
        self.supervised = bool(supervisor)
        #: Since when it has had nothing to do; None: it had a task since it was last seen idle.
        self.idle_since: float | None = None
        #: What is in its hands, by the last id of each item, in the order in which it executes it.
        self.leases: dict[int, Item] = {}

    @property
    def in_hand(self) -> int:
        """How many tasks are in its hands."""
        return sum(item.size for item in self.leases.values())

    def rank(self, now: float) -> float:
        """Tell how early it is to be served, if it waits for tasks from now on.

        The newest idle worker is the first: its caches are warm, and those that are not needed stay
        idle, so that they can leave. To ask once more makes nobody newer. Who waits for an outcome,
        with a task in hand, is the last: that task would have to wait for one more.
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
