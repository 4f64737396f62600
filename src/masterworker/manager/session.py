"""The manager's side of one connection: what a remote process may ask for.

Turns plain values into calls of the manager and back, and remembers which processes joined through
this connection: they are lost when it closes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.manager.onlooker import Onlooker
from masterworker.transport.base import LATER

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Payload
    from masterworker.manager.manager import Manager
    from masterworker.manager.replies import Replies


class Session(Onlooker):
    """One connection to the manager, of a process that has the user's full trust.

    Args:
        manager: The task manager.
        replies: Shared by all sessions of it.
    """

    def __init__(self, manager: Manager, replies: Replies) -> None:
        super().__init__(manager)
        self._replies = replies
        self._members: set[int] = set()
        self._clients: set[str] = set()
        self._supervisors: set[str] = set()

    def closed(self) -> None:
        """The connection has ended: who joined through it and did not sign off is lost."""
        members, self._members = self._members, set()
        for member_id in sorted(members):
            self._manager.disconnected(member_id)
            self._manager.remote.discard(member_id)
        supervisors, self._supervisors = self._supervisors, set()
        for name in supervisors:
            self._manager.detach(name)
        clients, self._clients = self._clients, set()
        for client in clients:
            self._replies.abandon(client)

    # -- operations; each returns plain values ----------------------------------------------

    def _do_join(self, *hello: Any) -> wire.Welcome:
        welcome = self._manager.join(wire.Hello(*hello))
        self._members.add(welcome.member_id)
        self._manager.remote.add(welcome.member_id)
        return welcome

    def _do_leave(self, member_id: int) -> None:
        self._members.discard(member_id)
        self._manager.remote.discard(member_id)
        self._manager.leave(member_id)
        clients, self._clients = self._clients, set()
        for client in clients:
            self._replies.forgo(client)

    def _do_ping(self, member_id: int) -> bool:
        return self._manager.ping(member_id)

    def _do_exchange(self, *asked: Any) -> Any:
        if self._later is None:
            return self._manager.exchange(*asked)
        reply = self._manager.exchange_later(self._later, asked)
        return LATER if reply is None else reply

    def _do_request(self, client: str, number: int, *args: Any) -> Any:
        request = self._manager.request
        return self._once(client, number, lambda: request(*args))

    def _do_cancel(self, task_ids: list[int]) -> list[int]:
        return self._manager.cancel(task_ids)

    def _do_attend(self, name: str, *args: Any) -> Any:
        if name not in self._supervisors:
            self._supervisors.add(name)
            self._manager.attach(name)
        return self._manager.attend(name, *args)

    def _do_collect(self, client: str, number: int, member_id: int, *args: Any) -> Any:
        manager = self._manager
        return self._once(
            client,
            number,
            lambda: manager.collect(member_id, *args),
            lambda reply: manager.take_back(member_id, *reply),
        )

    def _do_settle(self, task_id: int, kind: int, payload: Payload) -> bool:
        return self._manager.settle(task_id, kind, payload)

    def _do_give_back(self, task_id: int) -> None:
        self._manager.give_back(task_id)

    def _do_put(self, space: str, name: str, value: Payload) -> None:
        self._manager.put(space, name, value)

    def _do_get(self, space: str, name: str) -> Payload | None:
        return self._manager.get(space, name)

    def _do_drop(self, space: str, name: str) -> bool:
        return self._manager.drop(space, name)

    def _do_acknowledge(self, client: str, number: int) -> None:
        self._replies.acknowledge(client, number)

    def _do_forgo(self, client: str, number: int) -> None:
        self._replies.forgo(client, number)

    def _do_put_state(self, client: str, number: int, values: dict[str, Payload]) -> Any:
        return self._once(client, number, lambda: self._manager.put_state(values))

    def _do_drop_state(self, state_id: int) -> bool:
        return self._manager.drop_state(state_id)

    def _do_terminate(self) -> None:
        self._manager.terminate()

    def _once(
        self,
        client: str,
        number: int,
        action: Callable[[], Any],
        take_back: Callable[[Any], None] = lambda _: None,
    ) -> Any:
        self._clients.add(client)
        try:
            return self._replies.once(client, number, action, take_back)
        finally:
            # If the connection has ended meanwhile, whoever clears up after it looks here again.
            self._clients.add(client)
