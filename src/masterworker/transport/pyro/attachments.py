"""Large payloads beside a message: as file descriptors, or in pieces after it.

The message itself says what comes with it in an annotation of its frame: the mark of what stands
for the payloads in it, and for each of them, in their order, whether it comes as a descriptor, and
how many bytes it has. Descriptors come with the first byte of the message (through a Unix-domain
socket only). All other payloads follow in frames of their own, a piece in each, as an annotation:
no serialiser sees them, nothing is joined, and there is no limit to their size.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from masterworker.data.segment import Segment
from masterworker.errors import TransportError
from masterworker.transport.pyro import header
from masterworker.transport.pyro.link import descriptors_arrive
from masterworker.wire import Enclosures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.core.task import Large
    from masterworker.transport.pyro.link import Link

#: Keys of the annotations: what comes with a message, and a piece.
_ANNOUNCEMENT: Final = b"LARG"
_PIECE: Final = b"PART"
#: Bytes of one piece. Larger ones are not faster.
PIECE_SIZE: Final = 1 << 20
#: The kernel passes on no more descriptors than 253 at once, ...
MOST_DESCRIPTORS: Final = 250
#: ... and with one message go at most one in this many of those that a process may have: the
#: receiver likely may have as many as we.
SHARE_OF_ONE_MESSAGE: Final = 16
#: Bytes of a mark; see `wire.Enclosures`.
MARK_SIZE: Final = 16
#: No announcement is longer (bytes).
LONGEST_ANNOUNCEMENT: Final = 1 << 18

_encode = msgspec.msgpack.Encoder().encode
_Size = Annotated[int, msgspec.Meta(ge=0)]
_Mark = Annotated[bytes, msgspec.Meta(min_length=MARK_SIZE, max_length=MARK_SIZE)]
_decode = msgspec.msgpack.Decoder(tuple[_Mark, list[tuple[bool, _Size]]]).decode


class BadMessageError(TransportError):
    """What has come is not what processes of this system say to each other."""


class Outgoing:
    """The large payloads of a message that is to be sent.

    Args:
        enclosed: All of them.
        link: Where it goes.
    """

    def __init__(self, enclosed: Enclosures, link: Link) -> None:
        self._link = link
        self._in_pieces: list[Large] = []
        #: Their descriptors, which stay open as long as the payloads are there.
        self.descriptors: list[int] = []
        passes = link.passes_descriptors and descriptors_arrive()
        most = _most_descriptors() if passes else 0
        sizes = []
        for payload in enclosed.payloads:
            by_fd = payload.fd is not None and len(self.descriptors) < most
            if by_fd and payload.fd is not None:
                self.descriptors.append(payload.fd)
            else:
                self._in_pieces.append(payload)
            sizes.append((by_fd, len(payload)))
        content = _encode((enclosed.mark, sizes))
        #: The annotation of the message.
        self.announcement = header.annotation(_ANNOUNCEMENT, len(content)) + content

    def send_pieces(self, kind: int, number: int) -> None:
        """Send what has no descriptor, after the message.

        Raises:
            TransportError: The connection is broken.
        """
        for payload in self._in_pieces:
            whole = payload.open(writable=False)
            for at in range(0, len(whole), PIECE_SIZE):
                piece = whole[at : at + PIECE_SIZE]
                extra = header.ANNOTATION_HEAD + len(piece)
                head = header.pack(kind, number, 0, extra=extra)
                self._link.send(head + header.annotation(_PIECE, len(piece)))
                self._link.send(piece)


def _most_descriptors() -> int:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return MOST_DESCRIPTORS
    return min(MOST_DESCRIPTORS, allowed // SHARE_OF_ONE_MESSAGE)


def receive(link: Link, announced: bytes | bytearray, kind: int, number: int) -> Enclosures:
    """Receive the large payloads of a message.

    Args:
        link: Where it has come.
        announced: The annotations of the message.
        kind: Of the message.
        number: Of the message.

    Raises:
        BadMessageError: It does not come as announced.
        TransportError: The connection is broken, or there is no memory for them.
    """
    key = header.annotation(_ANNOUNCEMENT, max(0, len(announced) - header.ANNOTATION_HEAD))
    try:
        if announced[: header.ANNOTATION_HEAD] != key:
            raise BadMessageError("a message with annotations that are not used here")
        mark, sizes = _decode(announced[header.ANNOTATION_HEAD :])
        passed = [Segment.received(fd) for fd in link.take(sum(by_fd for by_fd, _ in sizes))]
        passed.reverse()
        payloads: list[Large] = [
            passed.pop() if by_fd else Segment.of(_pieces(link, size, kind, number))
            for by_fd, size in sizes
        ]
        return Enclosures(mark, payloads)
    except (ValueError, RecursionError) as error:
        raise BadMessageError(f"not what comes with a message: {error}") from None
    except OSError as error:
        raise TransportError(f"receiving: no room for a large payload: {error}") from None


def _pieces(link: Link, size: int, kind: int, number: int) -> Iterator[bytes | bytearray]:
    while size > 0:
        expected = min(size, PIECE_SIZE)
        extra = header.ANNOTATION_HEAD + expected
        head = header.pack(kind, number, 0, extra=extra) + header.annotation(_PIECE, expected)
        if link.recv(len(head)) != head:
            raise BadMessageError("something else than a piece of a large payload")
        yield link.recv(expected)
        size -= expected
