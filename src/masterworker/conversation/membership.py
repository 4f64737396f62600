"""Processes that come, come again, and go."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from masterworker.conversation.effects import MEMBERS_CHANGED
from masterworker.core.departure import Blameless, Left, Vanished

if TYPE_CHECKING:
    from masterworker import wire
    from masterworker.conversation.whole import Whole

#: Keep at most this many processes whose loss has given a strike: they may come back.
KEPT: Final = 1000


class Membership:
    """The part of a `Dispatcher` about joining and leaving.

    A process that joins again, as its client's name shows, takes the place of its old self.

    Args:
        whole: The machine that this is a part of.
    """

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._core = whole.core
        #: As what each client has joined last, and the other way round.
        self._members: dict[str, int] = {}
        self._names: dict[int, str] = {}
        #: As what the latest clients were lost whose loss has given a strike.
        self._struck: OrderedDict[str, int] = OrderedDict()

    def join(self, hello: wire.Hello, now: float) -> int:
        """Register a process. Returns its id.

        Raises:
            Terminated: The job is over.
        """
        core, whole, client = self._core, self._whole, hello.client
        whole.require_open()
        before = self._members.pop(client, None)
        if before is not None:  # it came back before its old connection was missed
            whole.apply(core.on_departed(before, Blameless("it joined again"), now), now)
        was = self._struck.pop(client, None)
        tags = None if hello.tags is None else frozenset(hello.tags)
        member_id = core.on_joined(hello.info, tags, hello.heartbeat, now, hello.supervisor, was)
        self._members[client] = member_id
        self._names[member_id] = client
        whole.effects.append(MEMBERS_CHANGED)
        return member_id

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
        client = self._names.pop(member_id, "")
        if self._members.get(client) == member_id:
            del self._members[client]
            if self._core.has_struck(member_id):
                self._struck[client] = member_id
                if len(self._struck) > KEPT:
                    self._struck.popitem(last=False)
        whole.effects.append(MEMBERS_CHANGED)

    def order_workers(self, order: str, argument: int, now: float) -> None:
        """Let all workers have an order, before any task that is asked for after this.

        Those whose task waits for others come for it at once.
        """
        for member in self._core.members.values():
            if member.filter is not None:
                self._whole.orders.give(member.id, (order, argument))
                self._whole.collecting.interrupt(member.id, now)
