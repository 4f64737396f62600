"""Chunks: the parameters or results of many tasks as one object, made and opened at once.

Nobody in between looks into one. A part of it is the whole of it, and which of its items are meant,
so taking it apart needs no look either. What belongs to one task alone is bytes like any others:
a pickle that says "this item of these bytes", which is put together here by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, overload

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence, Sized

#: No chunk has more items, ...
MOST: Final = 1024
#: ... nor more bytes: each item that leaves it takes all of them along, so this bounds what
#: somebody can make of one message.
MOST_BYTES: Final = 64 << 10

#: What surrounds bytes and position in the pickle of a call of `masterworker.data.chunks.item`.
_HEAD: Final = b"\x80\x05cmasterworker.data.chunks\nitem\nB"
_TAIL: Final = b"\x86R."


class Chunk(msgspec.Struct):
    """Some items in a row of those that were put together: a sequence of payloads.

    Never changed, so that many can refer to one. A record of the library that checks messages: it
    travels in them, and is checked as it is made.

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

    def __iter__(self) -> Iterator[bytes]:
        return (self[index] for index in range(self.number))

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Chunk: ...

    def __getitem__(self, index: int | slice) -> bytes | Chunk:
        if isinstance(index, slice):
            begin, end, _ = index.indices(self.number)
            return Chunk(self.data, self.at + begin, end - begin)
        if not 0 <= index < self.number:
            raise IndexError(index)
        size, at = len(self.data).to_bytes(4, "little"), (self.at + index).to_bytes(4, "little")
        return b"".join((_HEAD, size, self.data, b"J", at, _TAIL))


#: The parameters or results of tasks in a row.
Payloads = list[bytes] | Chunk

#: The classes of those.
ROWS: Final[frozenset[type]] = frozenset((list, Chunk))


def number_of(payload: object) -> int:
    """Return of how many tasks this is what belongs to one, or the payloads of several."""
    return len(payload) if isinstance(payload, (list, Chunk)) else 1


def weight(payloads: Sequence[Sized] | Chunk) -> int:
    """Return how many bytes have to be carried."""
    return len(payloads.data) if isinstance(payloads, Chunk) else sum(map(len, payloads))
