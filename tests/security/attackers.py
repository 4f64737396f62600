"""What attackers have: bytes, frames, certificates; and a master to be attacked."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import logging
import os
import pickle
import socket
import ssl
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

from masterworker import wire
from masterworker.client import Client
from masterworker.core.task import Outcome
from masterworker.manager import Manager, Service
from masterworker.security import certificates, tls
from masterworker.security.credentials import authority, user_credential
from masterworker.security.peer import Role
from masterworker.transport.pyro import messages
from masterworker.transport.pyro.connection import connect
from masterworker.transport.pyro.server import Server
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    import pytest

    from masterworker.security.credentials import Credential
    from masterworker.security.peer import Peer
    from masterworker.transport import base, gate
    from masterworker.transport.pyro.connection import PyroConnection

HOST = "127.0.0.1"
#: TLS records, by their first byte.
ALERT, HANDSHAKE, APPLICATION_DATA = 0x15, 0x16, 0x17
#: Pyro's message types and serializers, as a stock client has them.
CONNECT, INVOKE, RESULT, PING = 1, 4, 5, 6
SERPENT, MARSHAL, JSON, MSGPACK = 1, 2, 3, 4


class Target:
    """A manager behind a server, with counters of what strangers must not reach.

    Args:
        socket_path: Listen at a Unix-domain socket, too.
    """

    def __init__(self, socket_path: str = "") -> None:
        self.manager = Manager()
        self.label = unique_label("target")
        #: Who was given a service.
        self.opened: list[Peer] = []
        #: The operations that a service was asked for.
        self.calls: list[Any] = []
        self.server = Server(
            self._open, self.label, socket_path=socket_path, job=self.manager.instance
        )
        self.port = self.server.port
        self.address = self.server.address
        self._clients: list[Client] = []

    def _open(self, peer: Peer) -> base.Service:
        self.opened.append(peer)
        return _Watched(Service(self.manager, peer), self.calls)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.manager.check()
        finally:
            self.close()

    def close(self) -> None:
        for client in self._clients:
            client.disconnect()
        self.manager.terminate()
        self.server.close()

    @property
    def gate(self) -> gate.Gate:
        """The gate; it comes with the first connection."""
        found: gate.Gate = wait_until(lambda: self.server.gate, what="the gate")
        return found

    @property
    def counts(self) -> dict[str, int]:
        return dict(self.gate.counts)

    def strangers(self) -> int:
        return len(self.gate._strangers)

    def dial(self, credential: Credential | None = None, timeout: float = 10.0) -> PyroConnection:
        """Connect as somebody honest does, over TCP; None: as this user's worker."""
        given = (lambda: credential) if credential is not None else None
        return connect(self.address, self.label, timeout, given)

    def client(self, credential: Credential | None = None) -> Client:
        made = Client(lambda: self.dial(credential))
        self._clients.append(made)
        return made

    def state(self) -> str:
        """All that the manager knows, as text, to be compared.

        But for the number of outcomes that nobody wanted: to count them is all that it does.
        """
        self.manager.check()
        core = self.manager.core
        found = self.manager.census()
        return repr(
            (
                {
                    name: getattr(found, name)
                    for name in found.__struct_fields__
                    if name != "duplicates"
                },
                sorted(core.members),
                core.terminated,
                self.manager.summary(),
            )
        )

    def still_works(self) -> None:
        """A worker that comes now over TLS executes a task."""
        client = self.client()
        member = client.join(_hello(client)).member_id
        first = client.request("work", [b"parameters"])
        lease = client.exchange(wire.Exchange(member, want=1, tag="work")).leases[0]
        assert lease.task_id == first
        client.exchange(wire.Exchange(member, [Outcome(first, lease.attempt, 0, [b"result"])]))
        finished, _ = client.collect(member, "work", wait=5.0)
        assert finished[0].payload == b"result"
        client.leave(member)
        client.disconnect()


class _Watched:
    """A service that notes what it is asked for."""

    def __init__(self, service: base.Service, calls: list[Any]) -> None:
        self._service, self._calls = service, calls
        self.prompt = service.prompt

    def call(self, operation: str, args: list[Any], *more: Any) -> Any:
        self._calls.append(operation)
        return self._service.call(operation, args, *more)

    def closed(self) -> None:
        self._service.closed()


def _hello(client: Client) -> Any:
    from masterworker import wire

    return wire.introduce("honest", None, None, client.name)


class Parsed:
    """Counts the messages that anybody begins to read: where Pyro's code begins."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self._receive = messages.receive
        monkeypatch.setattr(messages, "receive", self._count)
        self._as_request = messages.as_request
        monkeypatch.setattr(messages, "as_request", self._count_whole)

    def _count(self, link: Any, kind: int, *most: int) -> Any:
        self.number += kind == messages.REQUEST  # those of a server
        return self._receive(link, kind, *most)

    def _count_whole(self, data: bytes, most: int) -> Any:
        self.number += 1
        return self._as_request(data, most)


# -- connections -------------------------------------------------------------------------------


def plain(port: int, source: str = "", timeout: float = HANG) -> socket.socket:
    """Connect, and nothing else."""
    return socket.create_connection((HOST, port), timeout, (source, 0) if source else None)


def said(sock: socket.socket, most: int = 1 << 20) -> bytes:
    """Everything that the other side says until it hangs up."""
    heard = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while len(heard) < most and (data := sock.recv(65536)):
            heard += data
    return heard


def hung_up(sock: socket.socket) -> bool:
    """Whether the other side has hung up; reads what has come. From now on it does not block."""
    sock.setblocking(False)
    try:
        return not sock.recv(65536)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


def records(data: bytes) -> list[int]:
    """The types of the TLS records in what was sent; what is none counts as its first byte."""
    found = []
    while data:
        found.append(data[0])
        data = data[5 + int.from_bytes(data[3:5], "big") :] if len(data) >= 5 else b""
    return found


def anybody(credential: Credential | None = None, **settings: Any) -> ssl.SSLContext:
    """A client that believes everybody, with a certificate or without."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if credential is not None:
        with tls._as_file(credential.chain) as path:
            context.load_cert_chain(path)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def of_time(role: Role, moment: dt.datetime) -> Credential:
    """Of this user, issued at another time for a day: as if our authority had been there then."""
    real, certificates._require_valid = certificates._require_valid, lambda *_: None
    try:
        chain = certificates.issue(authority(), role, "", dt.timedelta(days=1), moment)
    finally:
        certificates._require_valid = real
    return dataclasses.replace(user_credential(role), chain=chain)


def hello(context: ssl.SSLContext | None = None) -> bytes:
    """The first thing that a TLS client says."""
    outgoing = ssl.MemoryBIO()
    wrapped = (context or anybody()).wrap_bio(ssl.MemoryBIO(), outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        wrapped.do_handshake()
    return outgoing.read()


def inside(target: Target, credential: Credential | None = None) -> ssl.SSLSocket:
    """A connection that has been let in, on which anything can be sent."""
    own = credential or user_credential(Role.WORKER)
    context = tls.client_context(own)
    sock = context.wrap_socket(plain(target.port))
    assert sock.recv(256) == b"\0"
    return sock


# -- messages ----------------------------------------------------------------------------------


def frame(
    body: bytes = b"",
    *,
    kind: int = INVOKE,
    serializer: int = MSGPACK,
    flags: int = 0,
    annotations: bytes = b"",
    size: int | None = None,
    annotations_size: int | None = None,
    tag: bytes = b"PYRO",
    version: int = 502,
    magic: int = 0x4DC5,
) -> bytes:
    """A Pyro message whose header may lie about it."""
    size = len(body) if size is None else size
    extra = len(annotations) if annotations_size is None else annotations_size
    head = struct.pack(
        "!4sHBBHHII16sHH",
        tag, version, kind, serializer, flags, 1, size, extra, b"\0" * 16, 0, magic,
    )  # fmt: skip
    return head + annotations + body


#: A request that is one; its object is unknown.
GOOD = frame(b"\x94\xadTaskManager.x\xa4call\x91\xa6census\x80")


def annotation(name: bytes = b"XXXX", content: bytes = b"") -> bytes:
    return name + struct.pack("!I", len(content)) + content


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)

    @property
    def went_off(self) -> bool:
        return self.path.exists()

    def pickled(self, protocol: int = 2) -> bytes:
        return pickle.dumps(self, protocol)


# -- what must stay as it is -------------------------------------------------------------------


class Records(logging.Handler):
    """Counts and keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger("masterworker").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("masterworker").removeHandler(self)


def memory() -> int:
    """Resident bytes of this process."""
    return int(psutil.Process().memory_info().rss)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def threads(name: str = "masterworker") -> list[str]:
    return sorted(t.name for t in threading.enumerate() if t.name.startswith(name))


def nothing_happened(target: Target, parsed: Parsed) -> None:
    """Nobody was let in: no service was made, and Pyro's code has seen nothing."""
    assert target.opened == []
    assert target.calls == []
    assert parsed.number == 0
    assert not threads("masterworker-connection")
