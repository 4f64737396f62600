"""Messages in Pyro's frames, cut down to what is used here.

Of Pyro's protocol there is one kind of request, one kind of reply, and one serialiser: msgpack,
for plain values only. No batches, no streams, no compression, no one-way calls, no annotations, no
classes that a peer may name. Whatever else comes ends the connection before its body is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import Pyro5
from Pyro5 import errors as pyro_errors
from Pyro5 import protocol

from masterworker.errors import TransportError, UsageError

if TYPE_CHECKING:
    from masterworker.transport.pyro.link import Link

# What a user's own programs set for Pyro must not change what is understood here.
Pyro5.config.COMPRESSION = False

REQUEST: Final = protocol.MSG_INVOKE
REPLY: Final = protocol.MSG_RESULT
#: The flag of a reply that says: this could not be carried out. Its body is a text.
REFUSAL: Final = protocol.FLAGS_EXCEPTION

#: Pyro's number of msgpack.
_MSGPACK: Final = 4
_HEADER: Final = 40
#: A flag that changes nothing here: a program's own correlation id comes along.
_HARMLESS: Final = protocol.FLAGS_CORR_ID

_encoder = msgspec.msgpack.Encoder()
#: A request: name of the object, name of its method, arguments, named arguments. The arguments are
#: the name of an operation and what belongs to it, which whoever knows the operation decodes.
Request = tuple[str, str, tuple[Any, msgspec.Raw], dict[str, Any]]
_read_request = msgspec.msgpack.Decoder(Request).decode
_read_reply = msgspec.msgpack.Decoder().decode


class BadMessageError(TransportError):
    """What has come is not what processes of this system say to each other."""


def send(link: Link, kind: int, number: int, body: Any, flags: int = 0) -> None:
    """Send one message.

    Args:
        link: The connection.
        kind: `REQUEST` or `REPLY`.
        number: Of the request, as the reply repeats it; 0 to 65535.
        body: Plain values.
        flags: `REFUSAL` or nothing.

    Raises:
        UsageError: The values cannot travel, or are too large. Nothing has been sent.
        TransportError: The connection is broken.
    """
    try:
        data = _encoder.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UsageError(f"this cannot travel in a message: {error}") from None
    try:
        message = protocol.SendingMessage(kind, flags, number, _MSGPACK, data)
    except pyro_errors.ProtocolError as error:
        raise UsageError(f"this cannot travel in one message: {error}") from None
    link.send(message.data)


def receive(link: Link, kind: int) -> tuple[int, int, bytes | bytearray]:
    """Receive one message.

    Args:
        link: The connection.
        kind: What is expected.

    Returns:
        Its flags, its number, and its body, not yet decoded.

    Raises:
        BadMessageError: It is something else.
        TransportError: The connection is broken.
    """
    try:
        message = protocol.ReceivingMessage(bytes(link.recv(_HEADER)))
    except pyro_errors.ProtocolError as error:
        raise BadMessageError(f"not a message: {error}") from None
    if (
        message.type != kind
        or message.serializer_id != _MSGPACK
        or message.flags & ~(_HARMLESS | (REFUSAL if kind == REPLY else 0))
        or message.annotations_size
    ):
        raise BadMessageError(
            f"a message of a kind that is not used here (type {message.type}, serializer "
            f"{message.serializer_id}, flags {message.flags:#x}, annotations of "
            f"{message.annotations_size} bytes)"
        )
    return message.flags, message.seq, link.recv(message.data_size)


def read_request(body: bytes | bytearray) -> Request:
    """Decode the body of a request.

    Raises:
        BadMessageError: It is none.
    """
    try:
        request: Request = _read_request(body)
    except (ValueError, RecursionError) as error:
        raise BadMessageError(f"not a request: {error}") from None
    return request


def read_reply(body: bytes | bytearray) -> Any:
    """Decode the body of a reply.

    Raises:
        BadMessageError: It is none.
    """
    try:
        return _read_reply(body)
    except (ValueError, RecursionError) as error:
        raise BadMessageError(f"not a reply: {error}") from None
