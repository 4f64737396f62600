"""Sockets: listening ones, and what can be set and asked of connected ones."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, Final

from masterworker.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BACKLOG: Final = 1024
#: Where nothing comes, the other side's system is asked whether it is there after this time, and
#: again after the same time (seconds), ...
PROBE = 5
#: ... this many times. Its connection is given up then.
PROBES: Final = 3
#: It is also given up when what was sent has not been acknowledged for this time (seconds): without
#: this, the system writes to a host that has vanished for 15 minutes.
UNANSWERED = 20.0


def listen_tcp(hosts: Sequence[str], ports: Iterable[int]) -> list[socket.socket]:
    """Listen at the first port that is free at all of these addresses.

    Args:
        hosts: Addresses or names of this machine; a name stands for all of its addresses that are
            of this machine. "0.0.0.0" is all of IPv4, "::" all of both.
        ports: The ports to try, in this order; 0 is any free one.

    Raises:
        TransportError: None of the ports is free, or a host is not one of this machine.
    """
    tried: list[int] = []
    problem = "none was given"
    for port in ports:
        tried.append(port)
        try:
            return _listen_at(hosts, port)
        except OSError as error:
            problem = error.strerror or str(error)
    where = "no port"
    if tried:
        where = f"ports {tried[0]} to {tried[-1]}" if len(tried) > 1 else f"port {tried[0]}"
    raise TransportError(f"cannot listen at {' and '.join(hosts)}, {where}: {problem}")


def _listen_at(hosts: Sequence[str], port: int) -> list[socket.socket]:
    listeners: dict[str, socket.socket] = {}
    try:
        for host in hosts:
            port = _listen_for(host, port, listeners)  # the same one at each address
    except OSError:
        for listener in listeners.values():
            listener.close()
        raise
    return list(listeners.values())


def _listen_for(host: str, port: int, listeners: dict[str, socket.socket]) -> int:
    """Listen at the addresses that a host stands for, of which one at least must be of here.

    Args:
        host: Its name or number.
        port: The port; 0 is any free one.
        listeners: The sockets that listen, by address; new ones are added.

    Returns:
        The port.
    """
    # As bytes: for a text Python loads tables of international names, which takes 2 ms.
    name = host.encode() if host.isascii() else host
    known = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    problem: OSError | None = None
    listens = False
    for family, _, _, _, place in known:
        address = str(place[0])
        if address not in listeners:
            try:
                listeners[address] = _listener(family, (address, port, *place[2:]))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise
                problem = error
                continue
        port = port or listeners[address].getsockname()[1]
        listens = True
    if problem is not None and not listens:
        raise problem
    return port


def _listener(family: int, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
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
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108  `pathlib` is slow to load, and clients come here, too
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
        The id; None: this system does not say it (then the folder's permissions are what counts).
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
    bounds = {"TCP_KEEPIDLE": PROBE, "TCP_KEEPINTVL": PROBE, "TCP_KEEPCNT": PROBES}
    bounds["TCP_USER_TIMEOUT"] = int(UNANSWERED * 1000)
    for name, value in bounds.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
