"""Which members are silent for too long. Times are seconds on the caller's monotonic clock."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masterworker.core.member import Member

#: Longest time between two ticks while any member is watched (seconds), and ...
TICK = 1.0
#: ... a gap of this many seconds between ticks means that this process itself stood still.
STOOD_STILL = 1.5


class Liveness:
    """Watches processes that have promised signs of life.

    A sign of life only changes the member's `heard`; its place in the heap is put right when it
    comes up, so a heartbeat costs O(1).

    Args:
        members: All registered processes by id. The caller keeps it up to date.
    """

    def __init__(self, members: dict[int, Member]) -> None:
        self._members = members
        self._deadlines: list[tuple[float, int]] = []
        self._last_tick: float | None = None

    def watch(self, member: Member, now: float) -> None:
        """Watch a process from now on, if it has promised heartbeats."""
        if member.deadline is not None:
            heappush(self._deadlines, (member.deadline, member.id))
            if self._last_tick is None:
                self._last_tick = now

    def expired(self, now: float) -> list[Member]:
        """Return those that have been silent for too long, each once.

        When this process itself stood still (suspended, stopped), the signs of life that came
        meanwhile have not been read yet, so that time does not count as silence. Half a heartbeat
        of it does: where a busy program delays this look again and again, the dead are
        found out all the same.
        """
        gap = 0.0 if self._last_tick is None else now - self._last_tick
        if gap > STOOD_STILL:
            for watched in self._members.values():
                if watched.heartbeat is not None:
                    excused = max(0.0, gap - watched.heartbeat / 2)
                    watched.heard = min(now, watched.heard + excused)
        self._last_tick = now
        silent = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, member_id = heappop(self._deadlines)
            member = self._members.get(member_id)
            if member is None or member.deadline is None:
                continue
            if member.deadline > now:
                heappush(self._deadlines, (member.deadline, member_id))
            else:
                silent.append(member)
        if not self._deadlines:
            self._last_tick = None
        return silent

    def next_deadline(self) -> float | None:
        """Return when to look again; None: not before a member is watched."""
        if not self._deadlines or self._last_tick is None:
            return None
        return min(self._deadlines[0][0], self._last_tick + TICK)
