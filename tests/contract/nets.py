"""One manager, and connections to it over each transport, with faults on demand."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from contract.relay import Relay
from masterworker import wire
from masterworker.client import Client
from masterworker.core.task import RESULT, Outcome
from masterworker.errors import TransportError
from masterworker.manager import Manager, Service
from masterworker.security.peer import OWNER
from masterworker.testing import Faults, connection
from masterworker.transport.address import Address
from masterworker.transport.pyro.connection import connect
from masterworker.transport.pyro.server import Server
from support import HANG, unique_label

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Finished, Lease
    from masterworker.transport.base import Connection

KINDS = ("memory", "tcp", "unix")


class Peer(NamedTuple):
    """A process that has joined."""

    client: Client
    id: int

    def fetch(self, want: int = 1, wait: float = 0.0, tag: str | None = None) -> list[Lease]:
        return self.client.exchange(wire.Exchange(self.id, want=want, wait=wait, tag=tag)).leases

    def ids(self, want: int = 1, wait: float = 0.0) -> list[int]:
        return [lease.task_id for lease in self.fetch(want, wait)]

    def report(self, lease: Any, payload: bytes = b"done", kind: int = RESULT) -> wire.Reply:
        return self.client.exchange(
            wire.Exchange(self.id, [Outcome(lease.task_id, lease.attempt, kind, [payload])])
        )

    def collect(self, want: int = 1, wait: float = 0.0, tag: str | None = None) -> list[Finished]:
        return self.client.collect(self.id, tag, want, wait)[0]


class Net:
    """A manager, and whoever is connected to it."""

    kind = ""

    def __init__(self) -> None:
        self.manager = Manager()
        self.label = unique_label("contract")
        self._clients: list[Client] = []
        self._connections: list[Connection] = []

    def connect(self) -> Connection:
        made = self._dial()
        self._connections.append(made)
        return made

    def client(self) -> Client:
        return self._keep(Client(self._dial))

    def join(
        self, tags: list[str] | None = None, *, heartbeat: float | None = None, client: Any = None
    ) -> Peer:
        client = client or self.client()
        return Peer(client, client.join(self.hello(tags, heartbeat, client)).member_id)

    def hello(
        self, tags: list[str] | None = None, heartbeat: float | None = None, client: Any = None
    ) -> wire.Hello:
        name = client.name if client else unique_label()
        return wire.introduce("somebody", tags, heartbeat, name)

    def faulty(self) -> tuple[Client, Callable[[str], None], Callable[[], None]]:
        """A client; what loses its next reply to an operation; and what cuts its line."""
        raise NotImplementedError

    def close(self) -> None:
        for client in self._clients:
            client.disconnect()
        for made in self._connections:
            made.close()
        self.manager.terminate()

    def _keep(self, client: Client) -> Client:
        self._clients.append(client)
        return client

    def _dial(self) -> Connection:
        raise NotImplementedError


class MemoryNet(Net):
    kind = "memory"

    def _dial(self) -> Connection:
        return connection(self.manager)

    def faulty(self) -> tuple[Client, Callable[[str], None], Callable[[], None]]:
        faults = Faults()
        made: list[Connection] = []

        def dial() -> Connection:
            made.append(connection(self.manager, faults))
            return made[-1]

        def lose(operation: str) -> None:
            faults.lose_reply[operation] = 1

        return self._keep(Client(dial)), lose, lambda: made[-1].close() if made else None


class PyroNet(Net):
    """A real server; `kind` says which of its two doors is used."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._folder = tempfile.TemporaryDirectory(prefix="mwc")
        self._relays: list[Relay] = []
        self.server = Server(
            lambda _: Service(self.manager, OWNER),
            self.label,
            socket_path=str(Path(self._folder.name, "s")) if kind == "unix" else "",
        )
        self.address = (
            Address(socket=self.server.address.socket) if kind == "unix" else self.server.address
        )

    def _dial(self) -> Connection:
        return connect(self.address, self.label)

    def faulty(self) -> tuple[Client, Callable[[str], None], Callable[[], None]]:
        path = f"{self._folder.name}/r{len(self._relays)}" if self.kind == "unix" else ""
        relay = Relay(self.address, path)
        self._relays.append(relay)
        client = self._keep(Client(lambda: connect(relay.address, self.label)))
        return client, lambda _: relay.lose_reply(), lambda: relay.cut() and None

    def close(self) -> None:
        super().close()
        for relay in self._relays:
            relay.close()
        self.server.close()
        self._folder.cleanup()


def make_net(kind: str) -> Net:
    return MemoryNet() if kind == "memory" else PyroNet(kind)


class Background:
    """A call in a thread of its own."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self.value: Any = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="test-call", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.value = self._work()
        except BaseException as error:
            self.error = error

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout: float = HANG) -> None:
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"still waiting after {timeout} s"

    def result(self, timeout: float = HANG) -> Any:
        self.join(timeout)
        if self.error is not None:
            raise self.error
        return self.value

    def ended_quietly(self, timeout: float = HANG) -> None:
        """Wait for the end; a broken connection is an end like any other."""
        with contextlib.suppress(TransportError):
            self.result(timeout)
