"""Real handshakes over a socket pair, one side in a thread."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from masterworker.security import certificates, pem, tls
from masterworker.security.credentials import Credential

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from masterworker.security.peer import Peer, Role

TIMEOUT = 10.0
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


class Side(NamedTuple):
    """How it went for one side: the peer that it saw, or the error that it got."""

    peer: Peer | None = None
    error: Exception | None = None

    @property
    def why(self) -> str:
        assert isinstance(self.error, OSError), self
        return tls.why(self.error)


def credential(authority: bytes, role: Role, job: str = "", *, at: dt.datetime = NOW) -> Credential:
    """Issue one for a day from `at` on (and a day before it)."""
    chain = certificates.issue(authority, role, job, DAY, at)
    return Credential(role, job, chain, pem.certificate_block(pem.certificate_of(authority)))


def shake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[Side, Side]:
    """Return how it went for the server and for the client."""
    return meet(lambda s: serve(s, server), lambda s: connect(s, client))


def meet(
    server: Callable[[socket.socket], Any], client: Callable[[socket.socket], Any]
) -> tuple[Any, Any]:
    """Let a server and a client talk over a socket pair."""
    left, right = socket.socketpair()
    seen: list[Any] = []
    with left, right:
        left.settimeout(TIMEOUT)
        right.settimeout(TIMEOUT)
        thread = threading.Thread(target=lambda: seen.append(server(left)))
        thread.start()
        try:
            answer = client(right)
        finally:
            thread.join()
    return seen[0], answer


def serve(plain: socket.socket, context: ssl.SSLContext) -> Side:
    return _judged(lambda: context.wrap_socket(plain, server_side=True), greets=True)


def connect(plain: socket.socket, context: ssl.SSLContext) -> Side:
    return _judged(lambda: context.wrap_socket(plain), greets=False)


def _judged(wrap: Callable[[], ssl.SSLSocket], *, greets: bool) -> Side:
    try:
        with wrap() as sock:
            peer = tls.peer_of(sock, "there")
            if greets:
                sock.sendall(b".")
                with contextlib.suppress(OSError):  # a client that gave up has left
                    sock.recv(1)
            elif sock.recv(1) != b".":  # refusals of our certificate come only now
                raise ConnectionResetError("closed")
            return Side(peer)
    except OSError as error:
        return Side(error=error)
