"""What stands for one item of a chunk: a pickle, which the manager makes without opening any.

So nothing here may import what unpickles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker.core.chunks import Chunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.core.task import Payload, Payloads

#: What surrounds bytes and position in the pickle of a call of `masterworker.data.chunks.item`.
_HEAD: Final = b"\x80\x05cmasterworker.data.chunks\nitem\nB"
_TAIL: Final = b"\x86R."


def single(chunk: Chunk, at: int) -> bytes:
    """Make the payload of one task: a pickle that says "this item of these bytes".

    Raises:
        IndexError: The chunk has no such item.
    """
    if not 0 <= at < chunk.number:
        raise IndexError(at)
    size, place = len(chunk.data).to_bytes(4, "little"), (chunk.at + at).to_bytes(4, "little")
    return b"".join((_HEAD, size, chunk.data, b"J", place, _TAIL))


def is_single(payload: bytes) -> bool:
    """Return whether `single` has made a payload."""
    return payload.startswith(_HEAD)


def part_of(payload: bytes) -> Chunk:
    """Return the one item of a chunk that a payload which `single` has made stands for."""
    begin = len(_HEAD) + 4
    end = begin + int.from_bytes(payload[len(_HEAD) : begin], "little")
    at = int.from_bytes(payload[end + 1 : end + 5], "little")
    return Chunk(payload[begin:end], at, 1)


def one_by_one(payloads: Payloads) -> Sequence[Payload]:
    """Return the payload of each task."""
    if isinstance(payloads, Chunk):
        return [single(payloads, at) for at in range(payloads.number)]
    return payloads
