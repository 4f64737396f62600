"""Pyro's messages over plain TCP, for talking to a name server, which is not believed.

A header is looked at before any of what it announces is read, lengths are bounded, and a single
moment bounds every wait of an exchange, however slowly bytes drip. (`messages` and `link` are for
connections whose other end has proved its identity.)

They are JSON, which every Pyro 5 understands. Its own choice, serpent, is read by evaluating Python
literals, and msgpack is there only where it has been installed.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from masterworker.errors import TransportError
from masterworker.transport.pyro import header
from masterworker.transport.pyro.header import HARMLESS

if TYPE_CHECKING:
    from masterworker.deadline import Deadline
    from masterworker.transport.address import Address
    from masterworker.transport.pyro.header import Head

#: What a Pyro name server calls itself.
NAME_SERVER: Final = "Pyro.NameServer"
#: Pyro's number of the serialiser.
JSON: Final = 3

#: Bytes to ask the system for at once, so that a header alone takes no memory.
_PIECE: Final = 1 << 16

_encode = msgspec.json.Encoder().encode


class NonsenseError(TransportError):
    """What has come is no message, or none that is used here."""


class Line:
    """A TCP connection on which every wait ends at a given moment.

    Args:
        sock: The connected socket; from now on it is ours.
        deadline: When the last wait ends.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self.sock = sock
        self.deadline = deadline

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, kind: int, number: int, body: Any) -> None:
        """Send plain values.

        Raises:
            OSError: The connection broke, or the time is up.
        """
        data = _encode(body)
        head = header.pack(kind, number, len(data), serializer=JSON)
        self.sock.settimeout(_left(self.deadline))
        self.sock.sendall(head + data)  # its time limit holds for all of it

    def receive_head(self, largest: int) -> Head:
        """Receive the header of a message.

        Args:
            largest: How many bytes may follow it.

        Raises:
            NonsenseError: It is none, or announces more.
            OSError: The connection broke, or the time is up.
        """
        head = header.unpack(self._receive(header.SIZE))
        if head is None:
            raise NonsenseError("not a message")
        if head.size + head.extra > largest:
            raise NonsenseError(f"a message of {head.size + head.extra} bytes")
        return head

    def receive_body(self, head: Head) -> bytearray:
        """Receive what follows a header; annotations are passed over. Errors as of `send`."""
        return self._receive(head.extra + head.size)[head.extra :]

    def _receive(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            self.sock.settimeout(_left(self.deadline))
            piece = self.sock.recv(min(_PIECE, size - len(data)))
            if not piece:
                raise ConnectionResetError("the other side has closed")
            data += piece
        return data


def is_plain(head: Head) -> bool:
    """Return whether the body is JSON, and nothing else has to be known to read it."""
    return head.serializer == JSON and not head.flags & ~HARMLESS


def connect(address: Address, deadline: Deadline) -> Line:
    """Connect to a host and port, whichever of its addresses answers.

    Args:
        address: Where. (The system bounds the time that it takes to find out what a name means.)
        deadline: As for `Line`.

    Raises:
        OSError: No answer comes in time.
        ValueError: No host can have such a name.
    """
    problem: OSError = ConnectionRefusedError("it has no address")
    for family, kind, _, _, place in socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind)
        try:
            sock.settimeout(_left(deadline))
            sock.connect(place)
        except OSError as error:
            sock.close()
            problem = error
        except BaseException:  # such as Ctrl-C
            sock.close()
            raise
        else:
            return Line(sock, deadline)
    raise problem


def _left(deadline: Deadline) -> float:
    left = deadline.left()
    if not left:
        raise TimeoutError("the time is up")
    return left
