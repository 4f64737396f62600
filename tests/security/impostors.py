"""Servers that pretend to be a master, and keep all that they are told."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING, Self

from masterworker.security import certificates, tls
from masterworker.security.peer import Role
from security.attackers import HANDSHAKE, HOST, records
from security.handshakes import NOW, credential
from support import HANG

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.security.credentials import Credential

PAST = NOW - dt.timedelta(days=30)
SECRET = b"a parameter that nobody else may know"


class Impostor:
    """A server that pretends to be a master, and keeps everything that it is told.

    Args:
        answer: What to do with a connection; it gets the socket, and may note what it reads.
    """

    def __init__(self, answer: Callable[[Impostor, socket.socket], None] | None = None) -> None:
        self._answer = answer or Impostor.listen
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        #: The bytes of each connection; for TLS also what came decrypted.
        self.heard: list[bytearray] = []
        self.decrypted = bytearray()
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, name="test-impostor", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(HANG)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(sock)
            self.heard.append(bytearray())
            with contextlib.suppress(OSError, ValueError), sock:
                sock.settimeout(5.0)
                self._answer(self, sock)
            self._open.remove(sock)

    def listen(self, sock: socket.socket) -> None:
        """Say nothing, until the other side has said something and hangs up, or 1 s long."""
        sock.settimeout(1.0)
        while data := sock.recv(65536):
            self.heard[-1] += data

    def as_tls(self, context: ssl.SSLContext, greeting: bytes = b"\0") -> None:
        """From now on: speak TLS, welcome everybody, and note what comes in both forms."""

        def answer(_: Impostor, sock: socket.socket) -> None:
            _tapped_handshake(context, sock, greeting, self.heard[-1], self.decrypted)

        self._answer = answer


def _tapped_handshake(
    context: ssl.SSLContext,
    sock: socket.socket,
    greeting: bytes,
    raw: bytearray,
    decrypted: bytearray,
) -> None:
    """Be a TLS server, and keep what comes as it came and as it was meant."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    wrapped = context.wrap_bio(incoming, outgoing, server_side=True)
    done = False
    while True:
        try:
            if not done:
                wrapped.do_handshake()
                done = True
                wrapped.write(greeting)
            decrypted += wrapped.read(65536)
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            data = sock.recv(65536)
            if not data:
                return
            raw += data
            incoming.write(data)
        except ssl.SSLError:
            sock.sendall(outgoing.read())
            return


def resets(_: Impostor, sock: socket.socket) -> None:
    """An answer of an impostor: hang up, hard."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def other_authority() -> ssl.SSLContext:
    return tls.server_context(credential(certificates.make_authority(PAST), Role.MASTER))


def trusts_anybody(own: Credential) -> ssl.SSLContext:
    """A server that asks for certificates and believes them all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tls._as_file(own.chain) as path:
        context.load_cert_chain(path)
    return context


def learned_nothing(impostor: Impostor) -> None:
    """A hello, and perhaps an alert: no certificate of ours, no request, no name."""
    assert impostor.heard, "nobody has come"
    for heard in impostor.heard:
        kinds = records(bytes(heard))
        assert kinds[:1] in ([HANDSHAKE], []), kinds
        assert kinds.count(HANDSHAKE) <= 1, kinds
        # Alerts come encrypted, or in the clear: short ones, and nothing after them.
        assert len(heard) < 1000, "more than a hello"
        assert SECRET not in heard
    assert bytes(impostor.decrypted) == b""
