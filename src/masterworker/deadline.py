"""When a wait ends."""

from __future__ import annotations

from math import inf
from time import monotonic


class Deadline:
    """A moment of the monotonic clock, made from the seconds until then.

    For what waits. The core has no clock: times are passed in there.

    Args:
        seconds: From now; None: it never comes.
    """

    __slots__ = ("_at",)

    def __init__(self, seconds: float | None) -> None:
        self._at = inf if seconds is None else monotonic() + seconds

    def left(self, most: float = inf) -> float:
        """Return how many seconds are left: `most` at most, and 0.0 when it has passed."""
        return min(most, max(0.0, self._at - monotonic()))

    @property
    def has_passed(self) -> bool:
        """Whether the time is up."""
        return monotonic() >= self._at

    def __repr__(self) -> str:
        return f"<Deadline in {self.left():.3f} s>"
