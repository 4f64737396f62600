"""What all processes that speak to the master share: a client with numbered calls.

Follows `masterworker.client.Client`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from masterworker.errors import NotRegisteredError, Terminated, TransportError, UsageError
from simulation.kernel import Mutex, Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Finished
    from simulation.kernel import Run
    from simulation.network import Link
    from simulation.world import World


class Peer(Process):
    """A process with a connection to the master."""

    def __init__(self, world: World, name: str, serial: int) -> None:
        super().__init__(world.kernel, name)
        self.world = world
        #: By which the master recognises repeated calls; never used by another process.
        self.client = f"{name}/{serial}"
        self.link: Link | None = None
        #: Which run of the master this process has joined; "" for none.
        self.instance = ""
        self._checked = False
        self._number = 0
        #: A numbered call that was given up without an answer; 0: none.
        self._unanswered = 0
        self._calls = Mutex()

    def call(self, me: object, operation: str, *args: Any) -> Run:
        """Carry out one operation, with a new connection if need be."""
        yield from self._calls.acquire(me)
        try:
            if self.link is None:
                self.link = yield from self.world.net.connect(self)
                # Where there is one master only, this message is left out.
                self._checked = not self.world.swarm.restart
            if operation == "join":
                self.instance = ""
            try:
                if self.instance and not self._checked:
                    yield from self._check_instance(self.link)
                return (yield from self.link.call(operation, args))
            except TransportError as error:
                if not isinstance(error, NotRegisteredError):
                    self.disconnect()
                raise
        finally:
            self._calls.release()

    def _check_instance(self, link: Link) -> Run:
        """Make sure that a new connection leads to the master where this process has joined."""
        if (yield from link.call("instance", ())) != self.instance:
            self.disconnect()
            raise NotRegisteredError("the master is another one by now")
        self._checked = True

    def call_once(self, me: object, operation: str, *args: Any) -> Run:
        """Carry out an operation that must not be carried out twice."""
        yield from self._calls.acquire(me)
        try:
            yield from self.forgo(me)
            self._number += 1
            number = self._unanswered = self._number
            try:
                reply = yield from self.call(me, operation, self.client, number, *args)
            except TransportError:
                reply = yield from self.call(me, operation, self.client, number, *args)
            self._unanswered = 0
            return reply
        finally:
            self._calls.release()

    def forgo(self, me: object) -> Run:
        """Say that nobody will come for the reply of a call that was given up."""
        if self._unanswered:
            yield from self.call(me, "forgo", self.client, self._unanswered)
            self._unanswered = 0

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
        member, self.instance = yield from self.call(me, *arguments)
        self._checked = True
        return member

    def collect(
        self,
        me: object,
        member: int,
        tag: str | None,
        want: int,
        wait: float,
        lend: int,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Run:
        """Ask for outcomes, and say when some have arrived, or are not wanted any more."""
        arguments = ("collect", member, tag, want, wait, lend)
        finished, leases = yield from self.call_once(me, *arguments)
        number = self._number
        if finished and not wanted():
            self._unanswered = number
            yield from self.forgo(me)
            finished = []
        if finished:
            assert self.link is not None
            for outcome in finished:
                self.link.desk.oracle.received(outcome, self)
            for _ in range(2):
                try:
                    yield from self.call(me, "acknowledge", self.client, number)
                    break
                except TransportError:
                    pass
        return finished, leases


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
