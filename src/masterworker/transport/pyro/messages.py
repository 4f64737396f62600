"""Messages in Pyro's frames, cut down to what is used here.

Of Pyro's protocol there is one kind of request, one kind of reply, and one serialiser: msgpack,
for plain values only. No batches, no streams, no compression, no one-way calls, no annotations, no
classes that a peer may name. Whatever else comes ends the connection before its body is read.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from Pyro5 import protocol

from masterworker.errors import TransportError, UsageError

if TYPE_CHECKING:
    from masterworker.transport.pyro.link import Link

REQUEST: Final = protocol.MSG_INVOKE
REPLY: Final = protocol.MSG_RESULT
#: The flag of a reply that says: this could not be carried out. Its body is a text.
REFUSAL: Final = protocol.FLAGS_EXCEPTION

#: No message has more bytes: what Pyro can frame.
LONGEST_MESSAGE: Final = 1 << 30
#: Pyro's number of msgpack.
_MSGPACK: Final = 4
#: The header: four letters, version of the protocol, kind, serialiser, flags, number, bytes of the
#: body, bytes of annotations, an id that nobody uses, a reserve, and a number that is always there.
#: Pyro's own classes make and read the same; they take as long as all else about a small message.
_header: Final = struct.Struct("!4sHBBHHII16sHH")
_HEADER: Final = _header.size
_BEGIN: Final = (b"PYRO", protocol.PROTOCOL_VERSION)
_END: Final = (bytes(16), 0, 0x4DC5)
#: A flag that changes nothing here: a program's own correlation id comes along.
_HARMLESS: Final = protocol.FLAGS_CORR_ID

_encoder = msgspec.msgpack.Encoder()
#: A request: name of the object, name of its method, arguments, named arguments. The arguments are
#: the name of an operation and what belongs to it. They are decoded by whoever knows the shape, and
#: never without one: a value of any shape could be a map with keys that are made to collide, which
#: takes minutes, or a small message could become gigabytes of empty maps.
_Request = tuple[str, str, tuple[msgspec.Raw, msgspec.Raw], dict[str, msgspec.Raw]]
_read_request = msgspec.msgpack.Decoder(_Request).decode
_read_name = msgspec.msgpack.Decoder(str).decode
_read_reply = msgspec.msgpack.Decoder().decode


class BadMessageError(TransportError):
    """What has come is not what processes of this system say to each other."""


def send(
    link: Link, kind: int, number: int, body: Any, flags: int = 0, *, at_once: bool = False
) -> None:
    """Send one message.

    Args:
        link: The connection.
        kind: `REQUEST` or `REPLY`.
        number: Of the request, as the reply repeats it; 0 to 65535.
        body: Plain values.
        flags: `REFUSAL` or nothing.
        at_once: Wait for nobody; another thread may be listening.

    Raises:
        UsageError: The values cannot travel, or are too large. Nothing has been sent.
        TransportError: The connection is broken.
    """
    try:
        data = _encoder.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UsageError(f"this cannot travel in a message: {error}") from None
    size = len(data)
    if size > LONGEST_MESSAGE:
        raise UsageError(
            f"this cannot travel in one message: {size:,} bytes, at most {LONGEST_MESSAGE:,}"
        )
    header = _header.pack(*_BEGIN, kind, _MSGPACK, flags, number, size, 0, *_END)
    (link.send_at_once if at_once else link.send)(header + data)


def receive(
    link: Link, kind: int, most: int = LONGEST_MESSAGE
) -> tuple[int, int, bytes | bytearray]:
    """Receive one message.

    Args:
        link: The connection.
        kind: What is expected.
        most: Its body may have so many bytes.

    Returns:
        Its flags, its number, and its body, not yet decoded.

    Raises:
        BadMessageError: It is something else.
        TransportError: The connection is broken.
    """
    head = _header.unpack(link.recv(_HEADER))
    tag, version, found, serializer, flags, number, size, annotations, _, _, magic = head
    if (tag, version) != _BEGIN or magic != _END[2]:
        raise BadMessageError("not a message: invalid message or protocol version")
    if (
        found != kind
        or serializer != _MSGPACK
        or flags & ~(_HARMLESS | (REFUSAL if kind == REPLY else 0))
        or annotations
    ):
        raise BadMessageError(
            f"a message of a kind that is not used here (type {found}, serializer "
            f"{serializer}, flags {flags:#x}, annotations of {annotations} bytes)"
        )
    if size > most:
        raise BadMessageError(f"a message of {size:,} bytes, at most {most:,} here")
    return flags, number, link.recv(size)


class Request(NamedTuple):
    """What somebody asks for."""

    #: Name of the object, and of its method.
    object: str
    method: str
    #: Name of the operation; None: it is no text.
    operation: str | None
    #: Its arguments, not yet decoded.
    args: msgspec.Raw
    #: Further arguments by name, which nobody uses.
    named: dict[str, msgspec.Raw]


def read_request(body: bytes | bytearray) -> Request:
    """Decode the body of a request.

    Raises:
        BadMessageError: It is none.
    """
    try:
        name, method, (operation, args), named = _read_request(body)
    except (ValueError, RecursionError) as error:
        raise BadMessageError(f"not a request: {error}") from None
    try:
        return Request(name, method, _read_name(operation), args, named)
    except (ValueError, RecursionError):
        return Request(name, method, None, args, named)


def read_reply(body: bytes | bytearray) -> Any:
    """Decode the body of a reply.

    Raises:
        BadMessageError: It is none.
    """
    try:
        return _read_reply(body)
    except (ValueError, RecursionError) as error:
        raise BadMessageError(f"not a reply: {error}") from None
