"""Typed calls to the manager over any connection, with a new connection when one breaks.

Used by workers, by the command line, and by programs with a connected task manager object. The
in-process master speaks to its manager directly.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from msgspec.structs import astuple

from masterworker import forks, wire
from masterworker.errors import NotRegisteredError, TransportError
from masterworker.machine import random_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.core.census import Census
    from masterworker.core.options import Options
    from masterworker.core.task import Finished, Lease, Payload
    from masterworker.transport.base import Connection


class Client:
    """Calls to a manager.

    Args:
        connect: Makes a connection; called again when one has broken.
        around: Surrounds the time in which a call is under way.
        whole: Surrounds what must not be broken off between a call and what follows from it.

    Thread-safe: calls wait for each other.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
        whole: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._connect = connect
        self._around = around
        self._whole = whole
        self._lock = forks.rlock()
        self._connection: Connection | None = None
        self._aside: Connection | None = None
        self._number = 0
        #: A numbered call that was given up without an answer, to be reported to the manager
        #: first of all; 0: none.
        self._unanswered = 0
        #: Which run of the manager this process has joined; "" for none.
        self._instance = ""
        self._checked = False
        #: Random name of this client, by which the manager recognises repeated calls.
        self.name = random_name()
        forks.register(self)

    def after_fork(self) -> None:
        """Be another client, with a connection of its own once there is something to say."""
        self._connection = self._aside = None
        self._number = self._unanswered = 0
        self.name = random_name()

    @property
    def is_private(self) -> bool:
        """Whether the manager is on this machine for certain, reached by a private socket."""
        return getattr(self._connection, "is_private", False)

    def connect(self) -> None:
        """Connect now, if there is no connection.

        Raises:
            TransportError: There is no answer.
        """
        with self._lock:
            if self._connection is None:
                self._connection = self._connect()
                self._checked = False

    def call(self, operation: str, *args: Any) -> Any:
        """Carry out one operation.

        Raises:
            TransportError: The connection broke; the next call makes a new one.
            MasterworkerError: What the manager refused, and why.
        """
        with self._whole(), self._lock:
            if self._connection is None:
                self.connect()
            if operation == "join":
                self._instance = ""  # whichever run of the manager it is
            assert self._connection is not None  # noqa: S101  for the type checker
            try:
                if self._instance and not self._checked:
                    self._check_instance(self._connection)
                if self._unanswered:
                    with self._around():
                        self._connection.call("forgo", self.name, self._unanswered)
                    self._unanswered = 0
                with self._around():
                    good, reply = self._connection.call(operation, *args)
            except Exception:
                self.disconnect()
                raise
            except BaseException:
                # A Ctrl-C in the middle of a call. This connection cannot be used any more, but
                # closing it now would make this process a lost one, before it can sign off.
                self._aside, self._connection = self._connection, None
                raise
        if not good:
            raise wire.decode_error(*reply)
        return reply

    def call_once(self, operation: str, *args: Any) -> Any:
        """Carry out an operation that must not be carried out twice, also over a lost reply."""
        with self._whole(), self._lock:
            self._number += 1
            number = self._number
            try:
                try:
                    return self.call(operation, self.name, number, *args)
                except TransportError:
                    return self.call(operation, self.name, number, *args)
            except BaseException:
                self._unanswered = number
                raise

    def _acknowledge(self) -> None:
        """Confirm that the last reply has arrived, so that the manager need not keep it."""
        for _ in range(2):
            with suppress(TransportError):
                self.call("acknowledge", self.name, self._number)
                return

    def disconnect(self) -> None:
        """Drop the connection; the next call makes a new one."""
        for connection in (self._connection, self._aside):
            if connection is not None:
                connection.close()
        self._connection = self._aside = None

    def release(self) -> Connection | None:
        """Return the connection, if there is one, which is the caller's from now on."""
        with self._lock:
            released, self._connection = self._connection, None
        return released

    def _check_instance(self, connection: Connection) -> None:
        """Make sure that a new connection leads to the manager where this process has joined.

        Task and process ids mean nothing to another run of it, or worse: something else.
        """
        good, instance = connection.call("instance", self.name)
        if not good:
            raise wire.decode_error(*instance)
        if instance != self._instance:
            raise NotRegisteredError("the master is another one by now")
        self._checked = True

    # -- operations -------------------------------------------------------------------------

    def join(self, hello: wire.Hello) -> wire.Welcome:
        """Register this process."""
        welcome: wire.Welcome = self.call("join", *astuple(hello))
        self._instance, self._checked = welcome.instance, True
        return welcome

    def leave(self, member_id: int) -> None:
        """Sign off."""
        self.call("leave", member_id)

    def ping(self, member_id: int) -> bool:
        """Give a sign of life. False: this process is not registered (any more)."""
        return bool(self.call("ping", member_id))

    def exchange(self, asked: wire.Exchange) -> wire.Reply:
        """See `Manager.exchange`."""
        reply: wire.Reply = self.call("exchange", *astuple(asked))
        return reply

    def request(self, tag: str, payloads: Sequence[Payload], options: Options | None = None) -> int:
        """Ask for tasks of one tag. Returns the id of the first."""
        first: int = self.call_once("request", tag, payloads, options)
        return first

    def cancel(self, task_ids: Sequence[int]) -> list[int]:
        """Cancel tasks. Returns the ids of those that had no outcome yet."""
        cancelled: list[int] = self.call("cancel", task_ids)
        return cancelled

    def attend(
        self, name: str, alive: Sequence[int], endings: Sequence[wire.Ending], wait: float
    ) -> list[wire.SupervisorOrder]:
        """See `Manager.attend`."""
        orders: list[wire.SupervisorOrder] = self.call("attend", name, alive, endings, wait)
        return orders

    def collect(
        self,
        member_id: int,
        tag: str | None = None,
        want: int = 1,
        wait: float = 0.0,
        lend: int = 0,
        wanted: Callable[[], bool] = lambda: True,
    ) -> tuple[list[Finished], list[Lease]]:
        """See `Manager.collect`. Outcomes that are not `wanted` any more go to others."""
        with self._lock:
            finished, leases = self.call_once("collect", member_id, tag, want, wait, lend)
            if finished and not wanted():
                self.call("forgo", self.name, self._number)
                finished = []
            elif finished:
                self._acknowledge()
        return finished, leases

    def settle(self, task_id: int, kind: int, payload: Payload) -> bool:
        """Deliver an outcome by task id alone."""
        return bool(self.call("settle", task_id, kind, payload))

    def give_back(self, task_id: int) -> None:
        """Give a task back by its id alone."""
        self.call("give_back", task_id)

    def put(self, space: str, name: str, value: Payload) -> None:
        """Store a value."""
        self.call("put", space, name, value)

    def get(self, space: str, name: str) -> Payload | None:
        """Return a stored value; None where there is none."""
        value: Payload | None = self.call("get", space, name)
        return value

    def drop(self, space: str, name: str) -> bool:
        """Forget a stored value. False: there was none."""
        return bool(self.call("drop", space, name))

    def put_state(self, values: dict[str, Payload]) -> int:
        """Store a state. Returns its id."""
        state_id: int = self.call_once("put_state", values)
        return state_id

    def drop_state(self, state_id: int) -> bool:
        """Forget a state. False: there was none of this id."""
        return bool(self.call("drop_state", state_id))

    def census(self) -> Census:
        """Count everything at one instant."""
        counts: Census = self.call("census")
        return counts

    def story(self, task_id: int) -> list[str]:
        """Return what happened to a task."""
        lines: list[str] = self.call("story", task_id)
        return lines

    def terminate(self) -> None:
        """End the job."""
        self.call("terminate")
