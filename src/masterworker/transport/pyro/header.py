"""The header of Pyro's frames: 40 bytes, which annotations follow, and then the body.

The layout and the numbers are those of Pyro 5 (`Pyro5.protocol`), with which a test compares them.
Pyro's own classes join what they send, and split what they receive, in copies; and a master and its
workers begin sooner without them.
"""

from __future__ import annotations

import struct
from typing import Final

from masterworker.named import NamedTuple

#: Bytes of a header, and of what precedes the content of an annotation.
SIZE: Final = 40
ANNOTATION_HEAD: Final = 8
#: Pyro's number of the only serialiser that is understood.
MSGPACK: Final = 4
#: Flags that change nothing here: a program's own correlation id comes along.
HARMLESS: Final = 64
#: The kinds of messages that are used.
REQUEST: Final = 4
REPLY: Final = 5
#: The flag of a reply that says: this could not be carried out.
REFUSAL: Final = 1

#: Tag, version, kind, serialiser, flags, number, size, size of annotations, id, reserved, magic.
LAYOUT: Final = struct.Struct("!4sHBBHHII16sHH")
_ANNOTATION: Final = struct.Struct("!4sI")
#: The fields before the kind, and those after the sizes.
BEGIN: Final = (b"PYRO", 502)
END: Final = (bytes(16), 0, 0x4DC5)
#: How a header begins, up to its serialiser, by kind; what is between that and the size of
#: annotations; and what is left where there are none. To put these together takes less time.
HEADS: Final = {kind: struct.pack("!4sHBB", *BEGIN, kind, MSGPACK) for kind in (REQUEST, REPLY)}
MIDDLE: Final = struct.Struct("!HHI")
TAIL: Final = struct.pack("!I16sHH", 0, *END)


class Head(NamedTuple):
    """What a header says of the message behind it.

    Attributes:
        kind: Type of message.
        serializer: Number of the serialiser of its body.
        flags: See `Pyro5.protocol`.
        number: Of the request; its reply has the same.
        size: Bytes of the body.
        extra: Bytes of annotations in front of the body.
    """

    kind: int
    serializer: int
    flags: int
    number: int
    size: int
    extra: int

    @property
    def is_plain(self) -> bool:
        """Whether the body is msgpack and nothing else has to be known to read it."""
        return self.serializer == MSGPACK and not self.flags & ~HARMLESS


def pack(
    kind: int, number: int, size: int, *, extra: int = 0, flags: int = 0, serializer: int = MSGPACK
) -> bytes:
    """Return the header of a message."""
    return LAYOUT.pack(*BEGIN, kind, serializer, flags, number, size, extra, *END)


def unpack(data: bytes | bytearray) -> Head | None:
    """Take a header apart; None: it is none, or of another version of the protocol."""
    tag, version, kind, serializer, flags, number, size, extra, _, _, magic = LAYOUT.unpack(data)
    if (tag, version) != BEGIN or magic != END[2]:
        return None
    return Head(kind, serializer, flags, number, size, extra)


def annotation(key: bytes, size: int) -> bytes:
    """Return what precedes the content of an annotation."""
    return _ANNOTATION.pack(key, size)
