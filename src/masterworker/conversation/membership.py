"""Processes that come, come again, and go."""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from typing import TYPE_CHECKING, Final

from masterworker.conversation.effects import MEMBERS_CHANGED
from masterworker.core.departure import Blameless, Left, Vanished
from masterworker.errors import Terminated

if TYPE_CHECKING:
    from masterworker import wire
    from masterworker.conversation.whole import Whole

#: Keep at most this many processes whose loss has given a strike: they may come back.
KEPT: Final = 1000


class Standing(Enum):
    """How a process stands, as its client's name shows that it is the same one."""

    UNKNOWN = "has never been here, or nothing is known of it any more"
    HERE = "takes part"
    STRUCK = "is gone, and its loss has given a task a strike"


class Event(Enum):
    """What changes that."""

    JOINED = "it joins; a strike that its loss has given is void"
    STRUCK = "it is lost, and a task gets a strike for that"
    GONE = "it leaves, or is lost otherwise"
    CROWDED_OUT = "as many others have been lost since as are remembered"


#: What follows from what; a pair that is not here cannot happen.
TRANSITIONS: Final = {
    (Standing.UNKNOWN, Event.JOINED): Standing.HERE,
    (Standing.HERE, Event.STRUCK): Standing.STRUCK,
    (Standing.HERE, Event.GONE): Standing.UNKNOWN,
    (Standing.STRUCK, Event.JOINED): Standing.HERE,
    (Standing.STRUCK, Event.CROWDED_OUT): Standing.UNKNOWN,
}


class Process:
    """A process under the name of its client, whichever member it is by now."""

    __slots__ = ("client", "member_id", "standing", "waits")

    def __init__(self, client: str) -> None:
        self.client = client
        #: As what it has joined last; -1: not yet.
        self.member_id = -1
        self.standing = Standing.UNKNOWN
        #: It outlives its master.
        self.waits = False

    def __repr__(self) -> str:
        return f"<Process {self.client}, member {self.member_id}: {self.standing.value}>"

    def happens(self, event: Event) -> None:
        """Change how it stands, as the table says.

        Raises:
            KeyError: As it stands that cannot happen.
        """
        self.standing = TRANSITIONS[self.standing, event]


class Membership:
    """The part of a `Dispatcher` about joining and leaving.

    A process that joins again, as its client's name shows, takes the place of its old self.

    Args:
        whole: The machine that this is a part of.
    """

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._core = whole.core
        #: Those that are here, by the names of their clients, and as members.
        self._here: dict[str, Process] = {}
        self._members: dict[int, Process] = {}
        #: The latest whose loss has given a strike.
        self._struck: OrderedDict[str, Process] = OrderedDict()

    def join(self, hello: wire.Hello, now: float) -> int:
        """Register a process. Returns its id.

        Raises:
            Terminated: The job is over.
        """
        core, whole, client = self._core, self._whole, hello.client
        if core.terminated:  # for whatever reason: to a worker that is an end in good order
            raise Terminated("the job is over")
        if client in self._here:  # it came back before its old connection was missed
            before = self._here[client].member_id
            whole.apply(core.on_departed(before, Blameless("it joined again"), now), now)
        process = self._struck.pop(client, None) or Process(client)
        was = process.member_id if process.standing is Standing.STRUCK else None
        tags = None if hello.tags is None else frozenset(hello.tags)
        member_id = core.on_joined(hello.info, tags, hello.heartbeat, now, hello.supervisor, was)
        process.happens(Event.JOINED)
        process.member_id = member_id
        self._here[client] = self._members[member_id] = process
        whole.effects.append(MEMBERS_CHANGED)
        process.waits = hello.waits
        if hello.waits and whole.returning.note is not None:
            whole.returning.note(client, True)
        return member_id

    def client_of(self, member_id: int) -> str:
        """Return the name of a process's client; "" for one that is not here."""
        process = self._members.get(member_id)
        return "" if process is None else process.client

    def leave(self, member_id: int, now: float) -> None:
        """A process signs off. One that is not registered is no error."""
        self._whole.apply(self._core.on_departed(member_id, Left(), now), now)
        self.forget(member_id)

    def lost(self, member_id: int, reason: str, now: float, *, blame: bool) -> None:
        """A process is gone. One that is not registered is no error."""
        why = Vanished(reason) if blame else Blameless(reason)
        self._whole.apply(self._core.on_departed(member_id, why, now), now)

    def disconnected(self, member_id: int, now: float) -> None:
        """The connection of a process has closed, and it did not sign off."""
        self._whole.apply(self._core.on_closed(member_id, "its connection closed", now), now)

    def forget(self, member_id: int) -> None:
        """A process is gone: nothing that was for it is of use any more."""
        whole = self._whole
        whole.orders.forget(member_id)
        whole.collecting.forget(member_id)
        process = self._members.pop(member_id, None)
        if process is not None:
            del self._here[process.client]
            if process.waits and whole.returning.note is not None and not self._core.terminated:
                whole.returning.note(process.client, False)
            has_struck = self._core.has_struck(member_id)
            process.happens(Event.STRUCK if has_struck else Event.GONE)
            if has_struck:
                self._struck[process.client] = process
            if len(self._struck) > KEPT:
                self._struck.popitem(last=False)[1].happens(Event.CROWDED_OUT)
        whole.effects.append(MEMBERS_CHANGED)

    def order_workers(self, order: str, argument: int, now: float) -> None:
        """Let all workers have an order, before any task that is asked for after this.

        Those whose task waits for others come for it at once.
        """
        for member in self._core.members.values():
            if member.filter is not None:
                self._whole.orders.give(member.id, (order, argument))
                self._whole.collecting.interrupt(member.id, now)
