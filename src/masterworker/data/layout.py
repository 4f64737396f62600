"""How a value with large buffers lies in one piece of memory: its pickle, and the buffers after it.

Pickle protocol 5 leaves large buffers (the elements of an array) out of the pickle. They follow it
here, each at an aligned place, so that a process that maps the memory has the arrays
without copying anything.

    mark | number of buffers | length of the pickle | lengths of the buffers | pickle | buffers ...

All numbers are 64 bits wide, in the order of the machine: the memory never leaves it in this form
except to a machine of the same kind, which runs the same version of Python on the same data types.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from masterworker.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What the memory begins with; no pickle and no plain value does.
MARK: Final = b"\xb5mwdata\x01"
#: Buffers begin at multiples of this: a line of the cache, and of the widest vector registers.
ALIGNMENT: Final = 64
#: No value has more buffers than this; it protects from nonsense.
MOST_BUFFERS: Final = 1 << 24

_HEAD: Final = struct.Struct("<8sQ")


def pack(pickled: bytes, buffers: Sequence[memoryview]) -> list[bytes | memoryview]:
    """Return the parts that make up the memory, one after the other."""
    lengths = [len(pickled), *map(len, buffers)]
    head = _HEAD.pack(MARK, len(buffers)) + struct.pack(f"<{len(lengths)}Q", *lengths) + pickled
    parts: list[bytes | memoryview] = [head + _padding(len(head))]
    for buffer in buffers:
        parts.append(buffer)
        if pad := _padding(len(buffer)):
            parts.append(pad)
    return parts


def unpack(memory: memoryview) -> tuple[memoryview, list[memoryview]]:
    """Find the pickle and the buffers again.

    Raises:
        MalformedError: The memory does not hold what `pack` has made.
    """
    try:
        mark, number = _HEAD.unpack_from(memory)
        if mark != MARK or number > MOST_BUFFERS:
            raise MalformedError("memory that does not hold a value")
        length, *lengths = struct.unpack_from(f"<{number + 1}Q", memory, _HEAD.size)
    except struct.error as error:
        raise MalformedError(f"memory that does not hold a value: {error}") from None
    at = _HEAD.size + 8 * (number + 1)
    pickled = memory[at : at + length]
    at += length
    buffers = []
    for size in lengths:
        at += -at % ALIGNMENT
        buffers.append(memory[at : at + size])
        at += size
    if at > len(memory):
        raise MalformedError("memory that holds a part of a value only")
    return pickled, buffers


def _padding(size: int) -> bytes:
    return bytes(-size % ALIGNMENT)
