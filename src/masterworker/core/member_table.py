"""The processes that are here, and those whose end has yet to be explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.core.liveness import Liveness
from masterworker.core.member import Member
from masterworker.core.presence import Event, Presence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from masterworker.core.filters import TagFilter

#: When the connection of a supervised process has closed, its supervisor's word is waited for
#: this long (seconds): it knows what the process was doing.
REPORT_WITHIN = 2.0


class MemberTable:
    """All registered processes, their supervisors, and their signs of life."""

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        #: How many of them execute tasks.
        self.workers = 0
        #: Supervisors that are here.
        self.supervisors: set[str] = set()
        #: Processes whose connection has closed, which their supervisor has to explain: until
        #: when, and what is known.
        self.closed: dict[int, tuple[float, str]] = {}
        self._liveness = Liveness(self.members)
        self._next_id = 0

    def join(
        self,
        info: str,
        wanted: TagFilter | None,
        heartbeat: float | None,
        now: float,
        supervisor: str,
    ) -> Member:
        """Register a process."""
        line = " ".join(info.split())
        member = Member(self._next_id, line, wanted, heartbeat, now, supervisor)
        self._next_id += 1
        self.workers += wanted is not None
        self.members[member.id] = member
        self._liveness.watch(member, now)
        return member

    def remove(self, member: Member) -> None:
        """A process is gone."""
        if member.presence is not Presence.GONE:
            member.happens(Event.DEPARTED)
        del self.members[member.id]
        self.closed.pop(member.id, None)
        self.workers -= member.filter is not None

    def heard(self, member_id: int, now: float) -> bool:
        """Something came from a process. False: it is not registered (any more)."""
        member = self.members.get(member_id)
        if member is None:
            return False
        member.heard = now
        return True

    # -- supervisors ------------------------------------------------------------------------

    def attended(self, name: str, alive: Iterable[int], now: float) -> None:
        """A supervisor is here, and the processes of these members are well."""
        self.supervisors.add(name)
        for member_id in alive:
            member = self.members.get(member_id)
            if member is not None and member.supervisor == name:
                member.heard = now
                member.happens(Event.VOUCHED)

    def unattended(self, name: str) -> list[tuple[int, str]]:
        """A supervisor is gone.

        Returns:
            The processes whose end it should have explained, with what is known of it.
        """
        self.supervisors.discard(name)
        concerned = [member for member in self.members.values() if member.supervisor == name]
        return [
            (member.id, self.closed[member.id][1])
            for member in concerned
            if member.happens(Event.UNATTENDED) is Presence.GONE
        ]

    def close(self, member: Member, reason: str, now: float) -> bool:
        """The connection of a process has closed.

        Returns:
            False: no supervisor will explain that, or there is nothing to explain.
        """
        closed = Event.CLOSED_BUSY if member.leases else Event.CLOSED_IDLE
        if member.happens(closed) is Presence.GONE:
            return False
        self.closed.setdefault(member.id, (now + REPORT_WITHIN, reason))
        return True

    # -- time -------------------------------------------------------------------------------

    def unexplained(self, now: float) -> list[tuple[int, str]]:
        """Return the processes whose supervisor has not said in time how they ended."""
        closed = self.closed.items()
        return [(member_id, reason) for member_id, (until, reason) in closed if until <= now]

    def silent(self, now: float) -> list[Member]:
        """Return those that have been silent for too long, each once."""
        return self._liveness.expired(now)

    def next_deadline(self) -> float | None:
        """Say when to look again; None: not before something happens."""
        due = [until for until, _ in self.closed.values()]
        watched = self._liveness.next_deadline()
        return min(due if watched is None else [*due, watched], default=None)

    def check(self) -> Iterator[tuple[str, int]]:
        """Yield each invariant that does not hold, and the task for which it does not."""
        if self.workers != sum(member.filter is not None for member in self.members.values()):
            yield "number of workers", 0
        for member_id in self.closed.keys() - self.members.keys():
            yield f"closed, but gone: {member_id}", 0
        for member in self.members.values():
            if (member.presence is Presence.UNEXPLAINED) is not (member.id in self.closed):
                yield f"{member.presence.value}: {member.id}", 0
        for member in self.members.values():
            for item in member.leases.values():
                if item.holder != member.id:
                    yield "leased to another", item.id
