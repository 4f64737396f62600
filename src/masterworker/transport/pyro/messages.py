"""Messages in Pyro's frames, cut down to what is used here.

Of Pyro's protocol there is one kind of request, one kind of reply, and one serialiser: msgpack,
for plain values only. No batches, no streams, no compression, no one-way calls, no annotations but
those of large payloads (`attachments`), no classes that a peer may name. Whatever else comes ends
the connection before its body is read.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from masterworker import wire
from masterworker.errors import UsageError
from masterworker.transport.pyro import attachments, header
from masterworker.transport.pyro.attachments import LONGEST_ANNOUNCEMENT, BadMessageError, Outgoing
from masterworker.transport.pyro.header import (
    BEGIN,
    END,
    HARMLESS,
    HEADS,
    LAYOUT,
    MIDDLE,
    MSGPACK,
    REFUSAL,
    REPLY,
    REQUEST,
    TAIL,
)

if TYPE_CHECKING:
    from masterworker.transport.pyro.link import Link

#: No message has more bytes, beside its large payloads: what Pyro can frame.
LONGEST_MESSAGE: Final = 1 << 30

_TAIL_AT: Final = header.SIZE - len(header.TAIL)
_encoder = msgspec.msgpack.Encoder()
#: A request: name of the object, name of its method, arguments, named arguments. The arguments are
#: the name of an operation and what belongs to it. They are decoded where the shape is known, and
#: never without one: a value of any shape could be a map with keys that are made to collide, which
#: takes minutes, or a small message could become gigabytes of empty maps.
_Request = tuple[str, str, tuple[msgspec.Raw, msgspec.Raw], dict[str, msgspec.Raw]]
_read_request = msgspec.msgpack.Decoder(_Request).decode
_read_exchange = msgspec.msgpack.Decoder(
    tuple[str, str, tuple[str, wire.Exchange], dict[str, msgspec.Raw]]
).decode
_read_text = msgspec.msgpack.Decoder(str).decode


class Message(msgspec.Struct, frozen=True):
    """What has come."""

    flags: int
    number: int
    #: Its body, not yet decoded.
    body: bytes | bytearray
    #: Large payloads that have come with it.
    enclosed: wire.Enclosures | None = None


def send(
    link: Link, kind: int, number: int, body: Any, flags: int = 0, *, at_once: bool = False
) -> None:
    """Send one message.

    Args:
        link: The connection.
        kind: `REQUEST` or `REPLY`.
        number: Of the request, as the reply repeats it; 0 to 65535.
        body: Plain values, and large payloads.
        flags: `REFUSAL` or nothing.
        at_once: Do not wait; another thread may be listening.

    Raises:
        UsageError: The values cannot travel, or are too large. Nothing has been sent.
        TransportError: The connection is broken.
    """
    enclosed = None
    try:
        try:
            data = _encoder.encode(body)
        except TypeError:  # perhaps since there are large payloads, which is rare
            enclosed = wire.Enclosures(os.urandom(attachments.MARK_SIZE), [])
            data = msgspec.msgpack.Encoder(enc_hook=enclosed.stand_in).encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UsageError(f"this cannot travel in a message: {error}") from None
    size = len(data)
    if size > LONGEST_MESSAGE:
        raise UsageError(
            f"this cannot travel in one message: {size:,} bytes, at most {LONGEST_MESSAGE:,}"
        )
    if enclosed is None:
        whole = HEADS[kind] + MIDDLE.pack(flags, number, size) + TAIL + data
        (link.send_at_once if at_once else link.send)(whole)
    elif at_once:
        link.send_aside(partial(_send_with, link, kind, number, data, flags, enclosed))
    else:
        _send_with(link, kind, number, data, flags, enclosed)


def _send_with(
    link: Link, kind: int, number: int, data: bytes, flags: int, enclosed: wire.Enclosures
) -> None:
    """Send a message that has large payloads."""
    outgoing = Outgoing(enclosed, link)
    extra = outgoing.announcement
    head = header.pack(kind, number, len(data), extra=len(extra), flags=flags)
    link.send(head + extra + data, outgoing.descriptors)
    outgoing.send_pieces(kind, number)


def as_request(data: bytes, most: int) -> tuple[int, bytes] | None:
    """Return the number and the body of a request.

    Args:
        data: What has come.
        most: The longest body (bytes).

    Returns:
        None: It is not one, or not whole, or more than one, or has something beside it. What it is
        `receive` finds out.
    """
    size = len(data) - header.SIZE
    if not 0 <= size <= most or not data.startswith(HEADS[REQUEST]):
        return None
    flags, number, said = MIDDLE.unpack_from(data, len(HEADS[REQUEST]))
    if said != size or flags or data[_TAIL_AT : header.SIZE] != TAIL:
        return None
    return number, data[header.SIZE :]


def receive(link: Link, kind: int, most: int = LONGEST_MESSAGE) -> Message:
    """Receive one message.

    Args:
        link: The connection.
        kind: What is expected.
        most: The longest body (bytes). If that is less than others may have, no large
            payloads may come with it.

    Raises:
        BadMessageError: It is something else.
        TransportError: The connection is broken.
    """
    data = link.recv(header.SIZE)
    if data.startswith(HEADS[kind]) and data[_TAIL_AT:] == TAIL:  # as nearly all do
        flags, number, size = MIDDLE.unpack_from(data, len(HEADS[kind]))
        if not flags and size <= most:
            return Message(flags, number, link.recv(size))
    head = LAYOUT.unpack(data)
    tag, version, found, serializer, flags, number, size, extra, _, _, magic = head
    if (tag, version) != BEGIN or magic != END[2]:
        raise BadMessageError("not a message: no header, or of another version of the protocol")
    if (
        found != kind
        or serializer != MSGPACK
        or flags & ~(HARMLESS | (REFUSAL if kind == REPLY else 0))
        or extra > (LONGEST_ANNOUNCEMENT if most == LONGEST_MESSAGE else 0)
    ):
        raise BadMessageError(
            f"a message of a kind that is not used here (type {found}, serializer {serializer}, "
            f"flags {flags:#x}, annotations of {extra} bytes)"
        )
    if size > most:
        raise BadMessageError(f"a message of {size:,} bytes, at most {most:,} here")
    if not extra:
        return Message(flags, number, link.recv(size))
    announced = link.recv(extra)
    body = link.recv(size)
    return Message(flags, number, body, attachments.receive(link, announced, kind, number))


class Request(msgspec.Struct, frozen=True):
    """What a client asks for."""

    #: Name of the object, and of its method.
    object: str
    method: str
    #: Name of the operation; None: it is no text.
    operation: str | None
    #: Its arguments, not yet decoded but for the operation that there is for each task.
    args: msgspec.Raw | wire.Exchange
    #: Further arguments by name, which are not used.
    named: dict[str, msgspec.Raw]


def begin_of(name: str, method: str, operation: str) -> bytes:
    """Return how the bodies of most requests for an operation begin."""
    encode = _encoder.encode
    return b"\x94%b%b\x92%b" % (encode(name), encode(method), encode(operation))


def read_request(body: bytes | bytearray, frequent: bytes | None = None) -> Request:
    """Decode the body of a request.

    Args:
        body: What has come.
        frequent: How a request begins that asks for an `exchange`: such ones are decoded at once.

    Raises:
        BadMessageError: It is none.
    """
    if frequent is not None and body.startswith(frequent):
        try:
            name, method, (operation, exchange), named = _read_exchange(body)
            return Request(name, method, operation, exchange, named)
        except (ValueError, RecursionError):
            pass  # what is wrong is said below, or where the shape is known
    try:
        name, method, (packed, args), named = _read_request(body)
    except (ValueError, RecursionError) as error:
        raise BadMessageError(f"not a request: {error}") from None
    try:
        known: str | None = _read_text(packed)
    except (ValueError, RecursionError):
        known = None
    return Request(name, method, known, args, named)


def read_reply(
    operation: str, body: bytes | bytearray, enclosed: wire.Enclosures | None = None
) -> list[Any]:
    """Decode the body of the reply to an operation; see `wire.read_reply`.

    Raises:
        BadMessageError: It is none.
    """
    try:
        good, reply = wire.read_reply(operation, body)
        return [good, reply if enclosed is None else enclosed.attach(reply)]
    except (ValueError, RecursionError, UsageError) as error:
        raise BadMessageError(f"not a reply: {error}") from None


def read_refusal(body: bytes | bytearray) -> str:
    """Decode why a request could not be carried out.

    Raises:
        BadMessageError: It is no text.
    """
    try:
        return _read_text(body)
    except (ValueError, RecursionError) as error:
        raise BadMessageError(f"not a refusal: {error}") from None
