"""Getting a connection to a master, and being sure that it is one of ours.

Through the private socket of this machine the system says which user has the other end. Through a
network TLS proves it, both ways, before a single byte of a conversation is sent.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import threading
from typing import TYPE_CHECKING, Final

from masterworker.deadline import Deadline
from masterworker.errors import CredentialError, MasterNotFoundError, NotTrustedError
from masterworker.transport.sockets import tune, user_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from masterworker.security.credentials import Credential
    from masterworker.transport.address import Address

#: Seconds to get a connection.
CONNECT_TIMEOUT: Final = 5.0
#: A gate under a flood of strangers drops some that are honest. How often it is tried again, ...
TRIES: Final = 6
#: ... after this time, then twice as much, ... (seconds).
PAUSE: Final = 0.05


def dial(
    address: Address,
    timeout: float = CONNECT_TIMEOUT,
    credential: Callable[[], Credential] | None = None,
) -> socket.socket:
    """Connect to a master.

    Args:
        address: Where; its Unix-domain socket is used if it has one.
        timeout: Seconds to get a connection.
        credential: Gives what we prove ourselves with; None: this user's own, as a worker. Not
            used for a Unix-domain socket.

    Raises:
        MasterNotFoundError: No master answers there.
        NotTrustedError: What answers is not a master of this user, or it refuses us.
        CredentialError: Our own key or certificate cannot be used.
    """
    if address.socket:
        return _dial_private(address, timeout)
    deadline = Deadline(timeout)
    pause = PAUSE
    for _ in range(TRIES - 1):
        try:
            return _dial_gate(address, deadline, credential or _own)
        except _DroppedError:
            threading.Event().wait(deadline.left(pause))
            pause *= 2
    try:
        return _dial_gate(address, deadline, credential or _own)
    except _DroppedError as error:
        raise MasterNotFoundError(
            f"what listens at {address} closes the connection before either side is known "
            f"({error}): it is busy with strangers, or no master"
        ) from None


class _DroppedError(Exception):
    """The other side has closed the connection in the middle of the handshake."""


def _own() -> Credential:
    from masterworker.security.credentials import user_credential
    from masterworker.security.peer import Role

    return user_credential(Role.WORKER)


def _apart(sock: socket.socket) -> socket.socket:
    """Keep away from stdin, stdout and stderr: code that has closed these may still write there."""
    if sock.fileno() > 2:
        return sock
    timeout = sock.gettimeout()
    with sock:
        moved = socket.socket(fileno=fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, 3))
    moved.settimeout(timeout)
    return moved


def _dial_private(address: Address, timeout: float) -> socket.socket:
    sock = _apart(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    sock.settimeout(timeout)
    try:
        sock.connect(address.socket)
        owner = user_of(sock)
    except OSError as error:
        sock.close()
        raise _unanswered(address, error) from None
    if owner not in {None, os.getuid()}:
        sock.close()
        raise NotTrustedError(f"the socket {address} belongs to another user (id {owner})")
    return sock


def _dial_gate(
    address: Address, deadline: Deadline, credential: Callable[[], Credential]
) -> socket.socket:
    import ssl  # processes of one machine never need it

    from masterworker.security import tls

    context = tls.client_context(credential())
    try:
        plain = _apart(socket.create_connection((address.host, address.port), _left(deadline)))
    except ConnectionResetError as error:  # by a gate that drops us: there is one
        raise _DroppedError(str(error)) from None
    except (OSError, ValueError) as error:  # the latter: no host can have this name
        raise _unanswered(address, error) from None
    try:
        tune(plain)
        plain.settimeout(_left(deadline))
        plain.getpeername()  # Python's TLS does not clear up after one that has been reset
        sock = context.wrap_socket(plain, do_handshake_on_connect=False)
    except OSError as error:  # it was reset just now
        plain.close()
        raise _DroppedError(str(error)) from None
    try:
        sock.do_handshake()
        refusal = _greeting(sock)
    except (ssl.SSLEOFError, ConnectionError) as error:
        sock.close()
        raise _DroppedError(str(error)) from None
    except TimeoutError:
        sock.close()
        raise MasterNotFoundError(
            f"what listens at {address} does not answer: no master, or one that is stopped"
        ) from None
    except OSError as error:
        sock.close()
        if error.errno == errno.ENOTCONN:  # it was reset before TLS began
            raise _DroppedError(str(error)) from None
        raise NotTrustedError(f"no trust between us and {address}: {tls.why(error)}") from None
    except CredentialError:
        sock.close()
        raise
    if refusal:
        sock.close()
        raise NotTrustedError(f"the master at {address} refuses this process: {refusal}")
    return sock


def _greeting(sock: ssl.SSLSocket) -> str:
    """Read what the gate says first of all: "" for welcome, or why not."""
    text = b""
    length = None
    while length is None or len(text) < length:
        data = sock.recv(256)
        if not data:
            raise ConnectionResetError("closed")
        text += data
        if length is None:
            length, text = text[0], text[1:]
    return text[:length].decode(errors="replace")


def _left(deadline: Deadline) -> float:
    return max(0.01, deadline.left())  # 0.0 would be: do not wait


def _unanswered(address: Address, error: OSError | ValueError) -> MasterNotFoundError:
    reason = getattr(error, "strerror", None) or str(error)
    return MasterNotFoundError(f"no master answers at {address}: {reason}")
