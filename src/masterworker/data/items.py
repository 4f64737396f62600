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


def one_by_one(payloads: Payloads) -> Sequence[Payload]:
    """Return the payload of each task."""
    if isinstance(payloads, Chunk):
        return [single(payloads, at) for at in range(payloads.number)]
    return payloads
