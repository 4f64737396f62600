"""Typed calls to the manager over any connection, with a new connection when one breaks.

Used by workers, by the command line, and by programs with a connected task manager object. The
in-process master speaks to its manager directly.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from msgspec.structs import astuple

from masterworker import forks, wire
from masterworker.conversation.caller import Caller
from masterworker.conversation.steps import carry_out
from masterworker.machine import random_name

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import TypeVar

    from masterworker.conversation.caller import Message
    from masterworker.core.census import Census
    from masterworker.core.options import Options
    from masterworker.core.task import Finished, Lease, Payload
    from masterworker.recorder.shapes import Looked, Snapshot
    from masterworker.recorder.spanned import Table
    from masterworker.transport.base import Connection

    T = TypeVar("T")


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
        self._caller = Caller(random_name())
        forks.register(self)

    def after_fork(self) -> None:
        """Be another client, with a connection of its own once there is something to say."""
        self._connection = self._aside = None
        self._caller.become(random_name())

    @property
    def name(self) -> str:
        """Random name of this client, by which the manager recognises repeated calls."""
        return self._caller.name

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
                self._caller.checked = False

    def call(self, operation: str, *args: Any) -> Any:
        """Carry out one operation.

        Raises:
            TransportError: The connection broke; the next call makes a new one.
            MasterworkerError: What the manager refused, and why.
        """
        caller = self._caller
        with self._whole(), self._lock:
            if self._connection is None:
                self.connect()
            connection = self._connection
            assert connection is not None  # noqa: S101  for the type checker
            try:
                while (first := caller.before(operation)) is not None:
                    caller.said(first, self._say_first(connection, first))
                with self._around():
                    good, reply = connection.call(operation, *args)
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

    def _say_first(self, connection: Connection, first: Message) -> Any:
        with self._around():
            good, reply = connection.call(*first)
        if not good and first[0] == "instance":
            raise wire.decode_error(*reply)
        return reply

    def call_once(self, operation: str, *args: Any) -> Any:
        """Carry out an operation that must not be carried out twice, also over a lost reply."""
        return self._perform(self._caller.once(operation, args))

    def _perform(self, steps: Generator[Message, Any, T]) -> T:
        """Carry out several calls, one after the other, with none of another thread in between."""
        with self._whole(), self._lock:
            return carry_out(steps, self._carry, BaseException)

    def _carry(self, message: Message) -> Any:
        return self.call(*message)

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

    # -- operations -------------------------------------------------------------------------

    def join(self, hello: wire.Hello) -> wire.Welcome:
        """Register this process."""
        welcome: wire.Welcome = self.call("join", *astuple(hello))
        self._caller.joined(welcome.instance)
        return welcome

    def job(self) -> str:
        """Return the random name of the job; "": its master does not come back as another run."""
        job: str = self.call("job")
        return job

    def leave(self, member_id: int) -> None:
        """Sign off."""
        self.call("leave", member_id)

    def ping(self, member_id: int) -> bool:
        """Give a sign of life. False: this process is not registered (any more)."""
        return bool(self.call("ping", member_id))

    def exchange(self, asked: wire.Exchange) -> wire.Reply:
        """See `Manager.exchange`."""
        reply: wire.Reply = self.call("exchange", *astuple(asked))
        connection = self._connection
        if connection is not None:
            connection.may_look = reply.may_look
        return reply

    def request(
        self,
        tag: str,
        payloads: Sequence[Payload],
        options: Options | None = None,
        task_id: int = 0,
    ) -> int:
        """Ask for tasks of one tag. Returns the id of the first.

        Args:
            tag: Their tag.
            payloads: Their parameters.
            options: How they are to be treated.
            task_id: The task that this process executes, for which their outcomes are kept.
        """
        first: int = self.call_once("request", tag, payloads, options, task_id)
        return first

    def cancel(self, task_ids: Sequence[int]) -> list[int]:
        """Cancel tasks. Returns the ids of those that had no outcome yet."""
        cancelled: list[int] = self.call("cancel", task_ids)
        return cancelled

    def attend(
        self,
        name: str,
        alive: Sequence[int],
        endings: Sequence[wire.Ending],
        wait: float,
        usage: Sequence[wire.Usage] = (),
        still: Sequence[wire.Still] = (),
        ways: str = "",
        run: int = 0,
    ) -> list[wire.SupervisorOrder]:
        """See `Manager.attend`."""
        said = (name, alive, endings, wait, usage, still, ways, run)
        orders: list[wire.SupervisorOrder] = self.call("attend", *said)
        return orders

    def collect(
        self,
        member_id: int,
        tag: str | None = None,
        want: int = 1,
        wait: float = 0.0,
        lend: int = 0,
        wanted: Callable[[], bool] = lambda: True,
        task_id: int = 0,
    ) -> tuple[list[Finished], list[Lease]]:
        """See `Manager.collect`. Outcomes that are not `wanted` any more go to others."""
        asked = (member_id, tag, want, wait, lend, task_id)
        return self._perform(self._caller.collect(asked, wanted))

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

    def look(self, seen: Looked) -> Snapshot:
        """Return a snapshot of the job, or what is new in it.

        Args:
            seen: What the caller has already.

        Raises:
            MalformedError: It is of another version.
        """
        from masterworker.recorder import shapes  # for those who look on

        return shapes.decode(self.call("look", *astuple(seen)))

    def spans(self, worker: int = -1) -> Table:
        """Return the latest spans of a worker, or all spans of the job.

        Args:
            worker: Its id; -1: all of them, up to 3 MB.

        Raises:
            MalformedError: They are of another version.
        """
        from masterworker.recorder import spanned  # for those who look on

        return spanned.decode(self.call("spans", worker))

    def story(self, task_id: int) -> list[str]:
        """Return what happened to a task."""
        lines: list[str] = self.call("story", task_id)
        return lines

    def stack(self, task_id: int) -> list[str]:
        """Return what the worker that has a task is doing; nothing: no answer so far."""
        lines: list[str] = self.call("stack", task_id)
        return lines

    def tell_stack(self, member_id: int, task_id: int, lines: list[str]) -> None:
        """Say what this process is doing, which was asked for."""
        self.call("tell_stack", member_id, task_id, lines)

    def terminate(self) -> None:
        """End the job."""
        self.call("terminate")
