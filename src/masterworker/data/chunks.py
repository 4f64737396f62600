"""What is in a chunk: small values that cannot change, of many tasks, as one.

A value is fixed when it is drawn or returned, and what one task does to it must not be seen by
another. Values in one pickle are pickled later, and opened before they are used; so only those are
put together for which this makes no difference: numbers, short texts and bytes, and tuples of
these. Of exactly these classes: a subclass may have state. Those that MessagePack has as well are
written so, which is read in half the time; the others are in one pickle.
"""

from __future__ import annotations

import pickle
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final

import msgspec

from masterworker.core.chunks import APART, MOST, MOST_BYTES, PICKLED, PLAIN, Chunk
from masterworker.data.pickling import loads
from masterworker.data.protocol import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: Fewer results are not worth being put together.
FEW: Final = 4
#: At most this many bytes for the parameters in a chunk, beside the function.
MOST_VALUES: Final = 16 << 10
#: Longer texts and bytes are not put together, nor larger integers, nor longer tuples.
LONGEST: Final = 64
LARGEST: Final = 1 << 63
WIDEST: Final = 8

#: What the pickle of a function names whose last parameter is the number of a stream (`seed=`).
HAS_STREAM: Final = b"masterworker.worker.seeded"

#: The chunk of the latest item is kept open: where tasks are executed one by one, the next one is
#: of the same chunk.
_latest: Final[list[tuple[bytes, Any]]] = [(b"", None)]

#: Of these, MessagePack gives back what it got: 64 bits of a number, and no two of them as one.
PLAIN_KINDS: Final = frozenset((float, int, bool, type(None), str, bytes))

_FIXED = frozenset((float, bool, type(None), complex))
_SIZED = frozenset((str, bytes))
_SMALL = _FIXED | _SIZED | {int}

#: What a pickle begins with, and neither a list nor a call as plain data.
_PICKLED: Final = b"\x80"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def is_small(value: Any) -> bool:
    """Return whether a value may be put into a chunk."""
    kind = type(value)
    if kind in _FIXED:
        return True
    if kind is int:
        return bool(-LARGEST < value < LARGEST)
    if kind is tuple:
        return len(value) <= WIDEST and all(map(_is_small_atom, value))
    return kind in _SIZED and len(value) <= LONGEST


def _is_small_atom(value: Any) -> bool:
    return type(value) is not tuple and is_small(value)


def coding_of(values: Collection[Any]) -> int:
    """Return how values may be put into a chunk, if they do not have too many bytes."""
    kinds = set(map(type, values))
    if kinds <= PLAIN_KINDS:
        return PLAIN
    if kinds == {tuple}:
        kinds = set(map(type, chain.from_iterable(values)))
    return PICKLED if kinds <= _SMALL else APART


def _encoded(value: Any, coding: int) -> bytes:
    if coding == PLAIN:
        try:
            return _encode(value)
        except (ValueError, OverflowError):  # a larger number, or a text that is no Unicode
            pass
    return pickle.dumps(value, PROTOCOL)


def _decoded(data: bytes) -> Any:
    return loads(data) if data[:1] == _PICKLED else _decode(data)


# -- parameters -----------------------------------------------------------------------------


def calls_together(
    function: bytes, columns: Sequence[Sequence[Any]], coding: int = PICKLED
) -> Chunk | None:
    """Put the parameters of calls together.

    Args:
        function: Its pickle; nothing, where the tag says what is to be done.
        columns: For each parameter its values, of one call after the other. They are small.
        coding: How all of them may be put together.

    Returns:
        None: they have too many bytes.
    """
    data = _encoded({function: columns}, coding)
    if len(data) - len(function) > MOST_VALUES or len(data) > MOST_BYTES:
        return None
    return Chunk(data, 0, len(columns[0]))


def open_calls(chunk: Chunk) -> tuple[bytes, list[Sequence[Any]]]:
    """Return the pickle of the function, and for each parameter its values.

    Raises:
        Exception: They cannot be rebuilt, or are not as many.
    """
    ((function, columns),) = _decoded(chunk.data).items()
    begin, end = chunk.at, chunk.at + chunk.number
    if any(len(column) < end for column in columns):
        raise ValueError("the number of parameters is not that of the tasks")
    return function, [column[begin:end] for column in columns]


def columns_alone(chunk: Chunk) -> bytes:
    """Return the parameters of calls as they were given: without the function, and no others.

    `open_columns` opens them.
    """
    opened = _opened(chunk.data)
    ((function, columns),) = opened.items()
    part = [column[chunk.at : chunk.at + chunk.number] for column in columns]
    if HAS_STREAM in function:
        part.pop()
    return _encoded(part, min(map(coding_of, part), default=PICKLED))


def open_columns(data: bytes) -> list[tuple[Any, ...]]:
    """Return the parameters of each call, from what `columns_alone` has made."""
    return list(zip(*_decoded(data), strict=True))


# -- results --------------------------------------------------------------------------------


def put_together(values: list[Any], coding: int = PICKLED) -> Chunk | list[bytes]:
    """Make payloads of small values that are results: of all at once, or of each by itself.

    Args:
        values: At most `MOST`.
        coding: How they may be put together.
    """
    if coding and FEW <= len(values) <= MOST:
        data = _encoded(values, coding)
        if len(data) <= MOST_BYTES:
            return Chunk(data, 0, len(values))
    return list(map(pickle.dumps, values, repeat(PROTOCOL)))


class Values:
    """Results that came as one, opened when the first of them is wanted. Thread-safe.

    Args:
        chunk: All of them.
        begin: The position of the first one in the list of a reader that has this in place of each.
    """

    __slots__ = ("_values", "begin", "chunk")

    def __init__(self, chunk: Chunk, begin: int = 0) -> None:
        self.chunk = chunk
        self.begin = begin
        self._values: list[Any] | None = None

    def open(self) -> list[Any]:
        """Return all of them.

        Raises:
            Exception: They cannot be rebuilt, or are not as many.
        """
        values = self._values
        if values is None:
            begin, end = self.chunk.at, self.chunk.at + self.chunk.number
            values = _decoded(self.chunk.data)
            if type(values) is not list or len(values) < end:
                raise ValueError("the number of results is not that of the tasks")
            self._values = values = values[begin:end]
        return values


# -- one of them ----------------------------------------------------------------------------


def item(data: bytes, at: int) -> Any:
    """Return the parameters of one task, or the result of one.

    Called by the pickle that `items.single` makes.
    """
    opened = _opened(data)
    if type(opened) is list:
        return opened[at]
    ((function, columns),) = opened.items()
    args = tuple(column[at] for column in columns)
    return (function, args, {}) if function else args


def _opened(data: bytes) -> Any:
    known, opened = _latest[0]
    if known is not data and known != data:
        opened = _decoded(data)
        _latest[0] = data, opened
    return opened
