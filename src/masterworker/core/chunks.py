"""Chunks: the parameters or results of many tasks as one object, made and opened at once.

Nothing in between looks into one. A part of a chunk is all of its bytes, a position and a number,
so taking one apart needs no look either. The payload of a single item is made by a function that
the scheduler is given (`Single`): only the caller knows what the bytes mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from masterworker.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Sequence, Sized

#: How values may be put together: not at all; in one pickle; as plain data, which is quicker.
APART, PICKLED, PLAIN = range(3)
#: No chunk has more items, ...
MOST: Final = 1024
#: ... nor more bytes: each item that leaves it takes all of them along, so this bounds what
#: a peer can make of one message.
MOST_BYTES: Final = 64 << 10


class Chunk(msgspec.Struct):
    """Some items in a row of those that were put together.

    Never changed, so that many objects can refer to one. Its bounds are checked as it is made,
    and so as a message is decoded.

    Raises:
        ValueError: There can be no such items.
    """

    #: All of them, as they were put together. Opaque.
    data: bytes
    #: Which is the first one that is meant, and how many are.
    at: int
    number: int

    def __post_init__(self) -> None:
        if not 0 <= self.at < self.at + self.number <= MOST:
            raise ValueError(f"a chunk has 1 to {MOST} items")
        if len(self.data) > MOST_BYTES:
            raise ValueError(f"a chunk has at most {MOST_BYTES} bytes")

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, part: slice) -> Chunk:
        begin, end, _ = part.indices(self.number)
        return Chunk(self.data, self.at + begin, end - begin)


#: Makes the payload of one task: that of the item at this position of a chunk.
Single = Callable[[Chunk, int], bytes]


def no_single(chunk: Chunk, at: int) -> bytes:
    """Stand in for a `Single` where there are no chunks.

    Raises:
        InternalError: There are.
    """
    raise InternalError(f"item {at} of a chunk of {len(chunk)}, and no way to make its payload")


def weight(payloads: Sequence[Sized] | Chunk) -> int:
    """Return how many bytes have to be carried."""
    return len(payloads.data) if isinstance(payloads, Chunk) else sum(map(len, payloads))
