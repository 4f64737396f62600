"""The requests of a process through one connection, as calls of the manager.

Arguments and replies are plain values of the shapes that `wire` declares. Nothing is judged here:
`access` says which role may call what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker.transport.base import LATER

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker import wire
    from masterworker.core.census import Census
    from masterworker.core.task import Payload
    from masterworker.manager.manager import Manager
    from masterworker.manager.replies import Replies
    from masterworker.transport.base import Later


class Operations:
    """The operations of one connection: each has a method of its name.

    Remembers which processes have joined through the connection: they are lost when it closes.

    Args:
        manager: The task manager.
        replies: To numbered calls; shared by all connections of equal trust.
    """

    def __init__(self, manager: Manager, replies: Replies) -> None:
        #: Takes the reply to the call that is under way, if it may come later.
        self.later: Later | None = None
        self._manager = manager
        self._replies = replies
        self._members: set[int] = set()
        self._clients: set[str] = set()
        self._supervisors: set[str] = set()

    def closed(self) -> None:
        """The connection has ended: a process that joined and did not sign off is lost."""
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

    # -- looking on -------------------------------------------------------------------------

    def instance(self, asker: wire.Asker) -> str:  # noqa: ARG002  guests identify themselves
        """Return the random name of this run of the manager."""
        return self._manager.instance

    def job(self) -> str:
        """Return the random name of the job, if its master may come back."""
        return self._manager.job

    def census(self) -> Census:
        """See `Manager.census`."""
        return self._manager.census()

    def look(self, number: int, slots: int, width: float, event: int) -> bytes:
        """See `Looking`: a snapshot, or what is new since an earlier one, as msgpack."""
        return self._manager.looking.encoded((number, slots, width, event))

    def spans(self, worker: int) -> bytes:
        """See `Looking`: what a worker has executed of late, or all of them ever, as msgpack."""
        return self._manager.looking.spans(worker)

    def story(self, task_id: int) -> list[str]:
        """See `Manager.story`."""
        return self._manager.story(task_id)

    def stack(self, task_id: int) -> Any:
        """See `stacks.ask`. Or `LATER`."""
        from masterworker.manager import stacks  # most jobs are not asked

        if self.later is None:
            return stacks.ask(self._manager, task_id)
        lines = stacks.ask_later(self._manager, self.later, task_id)
        return LATER if lines is None else lines

    def tell_stack(self, member_id: int, task_id: int, lines: list[str]) -> None:
        """See `stacks.told`."""
        from masterworker.manager import stacks  # it was asked

        stacks.told(self._manager, member_id, task_id, lines)

    # -- processes --------------------------------------------------------------------------

    def join(self, hello: wire.Hello) -> wire.Welcome:
        """Register the process."""
        welcome = self._manager.join(hello)
        self._members.add(welcome.member_id)
        self._manager.remote.add(welcome.member_id)
        return welcome

    def leave(self, member_id: int) -> None:
        """Sign the process off; replies that it did not fetch are given up."""
        self._members.discard(member_id)
        self._manager.remote.discard(member_id)
        self._manager.leave(member_id)
        clients, self._clients = self._clients, set()
        for client in clients:
            self._replies.forgo(client)

    def ping(self, member_id: int) -> bool:
        """See `Manager.ping`."""
        return self._manager.ping(member_id)

    def attend(self, asked: wire.Attendance) -> Any:
        """See `Manager.attend`; the supervisor is gone with its last connection. Or `LATER`."""
        name, asked = asked.name, asked.of_run(self._manager.machine.supervision.run)
        self._manager.looking.seen(name, asked.usage, asked.still, asked.ways)
        if name not in self._supervisors:
            self._supervisors.add(name)
            self._manager.attach(name)
        if self.later is None:
            return self._manager.attend(name, asked.alive, asked.endings, asked.wait)
        orders = self._manager.attend_later(self.later, asked)
        return LATER if orders is None else orders

    # -- tasks ------------------------------------------------------------------------------

    def exchange(self, asked: wire.Exchange) -> Any:
        """See `Manager.exchange`. `LATER`: the reply comes later."""
        if self.later is None:
            return self._manager.exchange(asked)
        reply = self._manager.exchange_later(self.later, asked)
        return LATER if reply is None else reply

    def request(self, asked: wire.Submission) -> Any:
        """See `Manager.request`."""
        request, expect = self._manager.request, self._manager.expect(asked)
        return self._once(
            asked.client,
            asked.number,
            lambda: request(asked.tag, asked.payloads, asked.options, expect=expect),
        )

    def cancel(self, task_ids: list[int]) -> list[int]:
        """See `Manager.cancel`."""
        return self._manager.cancel(task_ids)

    def collect(self, asked: wire.Collect) -> Any:
        """See `Manager.collect`. Or `LATER`."""
        manager, member_id = self._manager, asked.member_id
        what = (member_id, asked.tag, asked.want, asked.wait, asked.lend)
        if self.later is not None:
            self._clients.add(asked.client)
            reply = manager.collect_later(self.later, asked, self._replies.calls)
            return LATER if reply is None else reply
        return self._once(
            asked.client,
            asked.number,
            lambda: manager.collect(*what, asked.task_id, asked.client),
            lambda reply: manager.take_back(member_id, *reply),
        )

    def settle(self, task_id: int, kind: int, payload: Payload) -> bool:
        """See `Manager.settle`."""
        return self._manager.settle(task_id, kind, payload)

    def give_back(self, task_id: int) -> None:
        """See `Manager.give_back`."""
        self._manager.give_back(task_id)

    # -- stored data ------------------------------------------------------------------------

    def put(self, space: str, name: str, value: Payload) -> None:
        """Store a value."""
        self._manager.put(space, name, value)

    def get(self, space: str, name: str) -> Payload | None:
        """Return a stored value; None where there is none."""
        return self._manager.get(space, name)

    def drop(self, space: str, name: str) -> bool:
        """Forget a stored value. False: there was none."""
        return self._manager.drop(space, name)

    def put_state(self, client: str, number: int, values: dict[str, Payload]) -> Any:
        """Store a state. Returns its id."""
        return self._once(client, number, lambda: self._manager.put_state(values))

    def drop_state(self, state_id: int) -> bool:
        """Forget a state. False: there was none of this id."""
        return self._manager.drop_state(state_id)

    # -- replies to numbered calls, and the end -----------------------------------------------

    def acknowledge(self, client: str, number: int) -> None:
        """The reply to a numbered call has arrived."""
        self._replies.acknowledge(client, number)

    def forgo(self, client: str, number: int) -> None:
        """The reply to a numbered call is not wanted any more."""
        self._replies.forgo(client, number)

    def terminate(self) -> None:
        """End the job."""
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
            # If the connection has ended meanwhile, the thread that clears up looks here again.
            self._clients.add(client)
