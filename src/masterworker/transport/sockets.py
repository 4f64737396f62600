"""Sockets: listening ones, and what can be set and asked of connected ones."""

from __future__ import annotations

import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from masterworker.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BACKLOG: Final = 1024


def listen_tcp(hosts: Sequence[str], ports: Iterable[int]) -> list[socket.socket]:
    """Listen at the first port that is free at all of these addresses.

    Args:
        hosts: Addresses or names of this machine. "0.0.0.0" is all of IPv4, "::" all of both.
        ports: The ports to try, in this order; 0 is any free one.

    Raises:
        TransportError: None of the ports is free, or a host is not one of this machine.
    """
    tried: list[int] = []
    problem = ""
    for port in ports:
        tried.append(port)
        try:
            return _listen_at(hosts, port)
        except OSError as error:
            problem = error.strerror or str(error)
    if not tried:
        problem = "no port was given"
    where = f"port {tried[0]}" if len(tried) == 1 else f"ports {tried[:1]} to {tried[-1:]}"
    raise TransportError(f"cannot listen at {' and '.join(hosts)}, {where}: {problem}")


def _listen_at(hosts: Sequence[str], port: int) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    try:
        for host in hosts:
            listeners.append(_listener(host, port))
            port = port or listeners[0].getsockname()[1]  # the same one at each address
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _listener(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def listen_unix(path: str) -> socket.socket:
    """Listen at a Unix-domain socket, in place of one that was left behind.

    Raises:
        TransportError: There is no such folder, or the path is too long for the system.
    """
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise TransportError(f"cannot listen at {path}: {error.strerror or error}") from None
    return listener


def user_of(sock: socket.socket) -> int | None:
    """Return the user id of the process at the other end of a Unix-domain socket.

    The system vouches for it: it is that of the process which connected, or listened.

    Returns:
        The id; None: this system does not tell (then the folder's permissions are what counts).
    """
    if sys.platform != "linux":
        return None
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    user: int = struct.unpack("3i", credentials)[1]
    return user


def tune(sock: socket.socket) -> None:
    """Set what is good for small messages, and let the kernel notice hosts that vanish."""
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
