"""Brisk tasks that are kept for a worker which is expected back at once.

To wake an idle process costs as much as such a task takes. So a little of such work is kept for
one that is at it already, where each of a hundred idle workers would get a tiny task.
"""

from __future__ import annotations

from masterworker.core.grain import BACK, KEPT


class Reservation:
    """Knows which workers are expected back, and whether tasks are kept for them."""

    def __init__(self) -> None:
        #: Until when members are expected back that have only brisk tasks in hand; the latest last.
        self._back: dict[int, float] = {}
        #: Until when tasks are kept; None: there are none. Ends in `end` alone.
        self.until: float | None = None
        #: Of which tag they are: no thread has to look at more of it. Read without the lock.
        self.tag: str | None = None
        #: What was kept has not been offered to others yet.
        self.has_ended = False

    def expect(self, member_id: int, now: float) -> None:
        """A worker has got brisk tasks: it will be back."""
        self._back[member_id] = now + BACK

    def is_back(self, member_id: int) -> None:
        """A worker is back, or gone."""
        self._back.pop(member_id, None)

    def is_expected(self, now: float) -> bool:
        """Return whether any worker is expected back."""
        return next(reversed(self._back.values()), 0.0) > now

    def begin(self, tag: str, now: float) -> bool:
        """Keep tasks of a tag. True: none were kept before."""
        if self.until is not None:
            return False
        self.until, self.tag = now + KEPT, tag
        return True

    def end(self, now: float) -> None:
        """Release the tasks, if it is time."""
        if self.until is not None and self.until <= now:
            self.until = self.tag = None
            self.has_ended = True
