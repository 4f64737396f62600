"""What all processes that speak to the master share: a connection around the product's `Caller`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from masterworker.conversation.caller import Caller
from masterworker.errors import (
    MasterworkerError,
    NotRegisteredError,
    Terminated,
    TransportError,
    UsageError,
)
from simulation.kernel import Mutex, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from masterworker.core.task import Finished
    from simulation.kernel import Run
    from simulation.network import Link
    from simulation.oracle import Oracle
    from simulation.world import World


class Peer(Process):
    """A process with a connection to the master."""

    caller_class = Caller

    def __init__(self, world: World, name: str, serial: int) -> None:
        super().__init__(world.kernel, name)
        self.world = world
        #: By which the master recognises repeated calls; never used by another process.
        self.client = f"{name}/{serial}"
        self.link: Link | None = None
        self.caller = self.caller_class(self.client)
        self._calls = Mutex()

    @property
    def instance(self) -> str:
        """Which run of the master this process has joined; "" for none."""
        return self.caller.instance

    def call(self, me: object, operation: str, *args: Any) -> Run:
        """Carry out one operation, with a new connection if need be."""
        caller = self.caller
        yield from self._calls.acquire(me)
        try:
            if self.link is None:
                self.link = yield from self.world.net.connect(self)
                # Where there is one master only, this message is left out.
                caller.checked = not self.world.swarm.restart
            yield from self._say_first(self.link, operation)
            return (yield from self.link.call(operation, args))
        except TransportError as error:
            if not isinstance(error, NotRegisteredError):
                self.disconnect()
            raise
        finally:
            self._calls.release()

    def _say_first(self, link: Link, operation: str) -> Run:
        """Say what has to be said before an operation."""
        while (first := self.caller.before(operation)) is not None:
            name, *rest = first
            reply = yield from link.call(name, () if name == "instance" else tuple(rest))
            try:
                self.caller.said(first, reply)
            except NotRegisteredError:
                self.disconnect()
                raise

    def call_once(self, me: object, operation: str, *args: Any) -> Run:
        """Carry out an operation that must not be carried out twice."""
        return (yield from self._call_in_turn(me, self.caller.once(operation, args)))

    def _call_in_turn(self, me: object, steps: Generator[Any, Any, Any]) -> Run:
        """Carry out several calls, one after the other, with none of another thread in between."""
        reply: Any = None
        error: MasterworkerError | None = None
        arrived: list[tuple[Oracle, Finished]] = []
        yield from self._calls.acquire(me)
        try:
            while True:
                message = steps.send(reply) if error is None else steps.throw(error)
                reply = error = None
                if message[0] == "acknowledge":
                    for oracle, outcome in arrived:
                        oracle.received(outcome, self)
                    arrived = []
                try:
                    reply = yield from self.call(me, *message)
                except MasterworkerError as failure:
                    error = failure
                else:
                    if message[0] == "collect":
                        assert self.link is not None
                        arrived = [(self.link.desk.oracle, outcome) for outcome in reply[0]]
        except StopIteration as end:
            return end.value
        finally:
            self._calls.release()

    def disconnect(self) -> None:
        """Drop the connection; the next call makes a new one."""
        if self.link is not None:
            self.link.close()
            self.link = None

    def join(
        self, me: object, tags: frozenset[str] | None, heartbeat: float | None, supervisor: str
    ) -> Run:
        """Register. Returns the member id."""
        arguments = ("join", self.client, tags, heartbeat, supervisor)
        member, instance = yield from self.call(me, *arguments)
        self.caller.joined(instance)
        return member

    def collect(
        self,
        me: object,
        member: int,
        tag: str | None,
        want: int,
        wait: float,
        lend: int,
        task_id: int = 0,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Run:
        """Ask for outcomes, and say when some have arrived, or are not wanted any more."""
        steps = self.caller.collect((member, tag, want, wait, lend, task_id), wanted)
        return (yield from self._call_in_turn(me, steps))


class SimClient(Peer):
    """Asks for tasks, and collects outcomes, whosever they are.

    Args:
        world: Where it lives.
        who: Whose place it takes.
        serial: How many clients there have been before.
        batches: What is left to be asked for, and when; None: nothing, that is known.
    """

    def __init__(self, world: World, who: int, serial: int, batches: list[Any] | None) -> None:
        super().__init__(world, f"client{who}", serial)
        self.who = who
        self.batches = batches
        self._member: int | None = None
        self.spawn(self._until_the_end(self._request()))
        self.spawn(self._until_the_end(self._collect()))

    def _until_the_end(self, run: Run) -> Run:
        with contextlib.suppress(Terminated):
            yield from run

    def _again(self, me: object, action: Callable[[], Run]) -> Run:
        """Do something until it is done; whoever is not known any more joins again."""
        while True:
            try:
                if self._member is None:
                    self._member = yield from self.join(me, frozenset(), None, "")
                return (yield from action())
            except NotRegisteredError:
                self._member = None
            except UsageError:  # it has come for its reply too late
                pass
            except TransportError:
                self._member = None
                yield 0.1

    def _request(self) -> Run:
        me = "requests"
        while self.batches:
            when, batch = self.batches[0]
            yield max(0.0, when - self.kernel.now)

            def request(batch: tuple[Any, ...] = batch) -> Run:
                try:
                    return (yield from self.call_once(me, "request", *batch))
                except (TransportError, UsageError):
                    self.world.oracle.unsure(batch[1])
                    raise

            yield from self._again(me, request)
            del self.batches[0]
        if self.batches is not None:
            self.batches = None
            self.world.requested()

    def _collect(self) -> Run:
        me, random = "collects", self.kernel.random
        while not self.world.finished:
            tag = random.choice(self.world.tags)
            want, wait = random.choice((1, 1, 5)), random.choice((0.0, 1.0, 5.0))

            def collect() -> Run:
                assert self._member is not None
                return self.collect(me, self._member, tag, want, wait, 0)  # noqa: B023

            found: tuple[list[Finished], list[Any]] = yield from self._again(me, collect)
            if not found[0]:
                yield 0.3 * random.random()
