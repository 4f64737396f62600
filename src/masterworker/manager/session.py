"""The manager's side of one connection: what a remote process may ask for.

Turns plain values into calls of the manager and back, remembers which processes joined through
this connection (they are lost when it closes), and answers a repeated call with the same reply.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.core.task import Finished
from masterworker.errors import InternalError, MasterworkerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.manager import Manager

logger = logging.getLogger("masterworker.session")

#: The last replies of so many clients are kept for the case that they were lost on the way.
KEPT_REPLIES = 10_000

#: A client whose connection has ended may come for its last reply within so many seconds.
COMES_BACK_WITHIN = 30.0


class _Call:
    """The last numbered call of a client, under way or done."""

    __slots__ = ("done", "number", "reply")

    def __init__(self, number: int) -> None:
        self.number = number
        self.done = threading.Lock()
        self.done.acquire()
        self.reply: Any = None


class Replies:
    """The last reply to each client, for calls that must not be carried out twice.

    A client numbers these calls, and has one under way at a time. The next number says that the
    previous reply has arrived.

    Args:
        undelivered: Is given outcomes whose reply never reached a client that is gone.
    """

    def __init__(self, undelivered: Callable[[Sequence[Finished]], None]) -> None:
        self._undelivered = undelivered
        self._lock = threading.Lock()
        self._last: OrderedDict[str, _Call] = OrderedDict()

    def once(self, client: str, number: int, action: Callable[[], Any]) -> Any:
        """Carry out an action, or return the reply that it had (or is about to have)."""
        with self._lock:
            call = self._last.get(client)
            again = call is not None and call.number == number
            if call is None or not again:
                call = self._last[client] = _Call(number)
                self._last.move_to_end(client)
                while len(self._last) > KEPT_REPLIES:
                    self._last.popitem(last=False)
        if again:
            if call.done.acquire(timeout=2 * wire.LONGEST_WAIT):
                call.done.release()
            return call.reply
        try:
            call.reply = action()
        except BaseException:
            with self._lock:
                if self._last.get(client) is call:
                    del self._last[client]
            raise
        finally:
            call.done.release()
        return call.reply

    def acknowledge(self, client: str) -> None:
        """A client has got its last reply, and leaves."""
        with self._lock:
            self._last.pop(client, None)

    def abandon(self, client: str) -> None:
        """The connection of a client has ended. If it does not come back, its outcomes do."""
        with self._lock:
            call = self._last.get(client)
        if call is not None:
            timer = threading.Timer(COMES_BACK_WITHIN, self._give_up, (client, call))
            timer.daemon = True
            timer.start()

    def _give_up(self, client: str, call: _Call) -> None:
        with self._lock:
            if self._last.get(client) is not call:
                return
            del self._last[client]
        reply = call.reply
        if isinstance(reply, tuple) and len(reply) == 2 and reply[0]:
            self._undelivered(reply[0])


class Session:
    """One connection to the manager.

    Args:
        manager: The task manager.
        replies: Shared by all sessions of it.
    """

    def __init__(self, manager: Manager, replies: Replies) -> None:
        self._manager = manager
        self._replies = replies
        self._members: set[int] = set()
        self._clients: set[str] = set()

    def call(self, operation: str, args: list[Any]) -> Any:
        """Carry out one operation.

        Returns:
            [True, reply], or [False, name and text of an error].
        """
        action = getattr(self, f"_do_{operation}", None)
        if action is None:
            return [False, wire.encode_error(UsageError(f"unknown operation {operation!r}"))]
        try:
            return [True, action(*args)]
        except MasterworkerError as error:
            return [False, wire.encode_error(error)]
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            logger.warning("refused a malformed %r: %s", operation, error)
            return [False, wire.encode_error(UsageError(f"malformed {operation!r}: {error}"))]
        except Exception as error:
            logger.exception("operation %r failed", operation)
            return [False, wire.encode_error(InternalError(f"{operation}: {error!r}"))]

    def closed(self) -> None:
        """The connection has ended: who joined through it and did not sign off is lost."""
        members, self._members = self._members, set()
        for member_id in sorted(members):
            self._manager.lost(member_id, "its connection closed")
        clients, self._clients = self._clients, set()
        for client in clients:
            self._replies.abandon(client)

    # -- operations; each returns plain values ----------------------------------------------

    def _do_join(self, *hello: Any) -> wire.Welcome:
        welcome = self._manager.join(wire.Hello(*hello))
        self._members.add(welcome.member_id)
        return welcome

    def _do_leave(self, member_id: int) -> None:
        self._members.discard(member_id)
        self._manager.leave(member_id)
        clients, self._clients = self._clients, set()
        for client in clients:
            self._replies.acknowledge(client)

    def _do_ping(self, member_id: int) -> bool:
        return self._manager.ping(member_id)

    def _do_exchange(
        self,
        member_id: int,
        outcomes: list[Any],
        returned: list[int],
        started: int,
        want: int,
        wait: float,
        tag: str | None = None,
    ) -> Any:
        for task_id, attempt, kind, payload in outcomes:  # whatever does not fit raises here
            if not (task_id.__class__ is attempt.__class__ is kind.__class__ is int):
                raise TypeError("an outcome is: task id, attempt, kind, payload")
            if payload.__class__ is not bytes:
                raise TypeError("the payload of an outcome is bytes")
        return self._manager.exchange(member_id, outcomes, returned, started, want, wait, tag)

    def _do_request(self, client: str, number: int, tag: str, payloads: list[bytes]) -> Any:
        request = self._manager.request
        return self._once(client, number, lambda: request(tag, payloads))

    def _do_collect(self, client: str, number: int, *args: Any) -> Any:
        collect = self._manager.collect
        return self._once(client, number, lambda: collect(*args))

    def _do_undelivered(self, finished: list[Any]) -> None:
        self._manager.undelivered([Finished(*f) for f in finished])

    def _do_settle(self, task_id: int, kind: int, payload: bytes) -> bool:
        return self._manager.settle(task_id, kind, payload)

    def _do_give_back(self, task_id: int) -> None:
        self._manager.give_back(task_id)

    def _do_put(self, space: str, name: str, value: bytes) -> None:
        self._manager.put(space, name, value)

    def _do_get(self, space: str, name: str) -> bytes | None:
        return self._manager.get(space, name)

    def _do_drop(self, space: str, name: str) -> bool:
        return self._manager.drop(space, name)

    def _do_put_state(self, client: str, number: int, values: dict[str, bytes]) -> Any:
        return self._once(client, number, lambda: self._manager.put_state(values))

    def _do_drop_state(self, state_id: int) -> bool:
        return self._manager.drop_state(state_id)

    def _do_census(self) -> dict[str, Any]:
        found = self._manager.census()
        return {name: getattr(found, name) for name in found.__slots__}

    def _do_story(self, task_id: int) -> list[str]:
        return self._manager.story(task_id)

    def _do_terminate(self) -> None:
        self._manager.terminate()

    def _once(self, client: str, number: int, action: Callable[[], Any]) -> Any:
        self._clients.add(client)
        return self._replies.once(client, number, action)
