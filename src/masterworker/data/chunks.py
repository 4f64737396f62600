"""What is in a chunk: small values that cannot change, of many tasks, in one pickle.

A value is fixed when it is drawn or returned, and what one task does to it must not be seen by
another. Values in one pickle are pickled later, and opened before they are used; so only those are
put together for which this makes no difference: numbers, short texts and bytes, and tuples of
these. Of exactly these classes: a subclass may have state.
"""

from __future__ import annotations

import pickle
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final

from masterworker.core.chunks import MOST, MOST_BYTES, Chunk
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

#: The chunk of the latest item is kept open: where tasks are executed one by one, the next one is
#: of the same chunk.
_latest: Final[list[tuple[bytes, Any]]] = [(b"", None)]

_FIXED = frozenset((float, bool, type(None), complex))
_SIZED = frozenset((str, bytes))
_SMALL = _FIXED | _SIZED | {int}


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


def are_small(values: Collection[Any]) -> bool:
    """Return whether all may be put into a chunk, if they do not have too many bytes."""
    kinds = set(map(type, values))
    if kinds == {tuple}:
        kinds = set(map(type, chain.from_iterable(values)))
    return kinds <= _SMALL


# -- parameters -----------------------------------------------------------------------------


def calls_together(function: bytes, columns: Sequence[Sequence[Any]]) -> Chunk | None:
    """Put the parameters of calls together.

    Args:
        function: Its pickle; nothing, where the tag says what is to be done.
        columns: For each parameter its values, of one call after the other. They are small.

    Returns:
        None: they have too many bytes.
    """
    data = pickle.dumps((function, columns), PROTOCOL)
    if len(data) - len(function) > MOST_VALUES or len(data) > MOST_BYTES:
        return None
    return Chunk(data, 0, len(columns[0]))


def open_calls(chunk: Chunk) -> tuple[bytes, list[Sequence[Any]]]:
    """Return the pickle of the function, and for each parameter its values.

    Raises:
        Exception: They cannot be rebuilt, or are not as many.
    """
    function, columns = loads(chunk.data)
    begin, end = chunk.at, chunk.at + chunk.number
    if any(len(column) < end for column in columns):
        raise ValueError("the number of parameters is not that of the tasks")
    return function, [column[begin:end] for column in columns]


# -- results --------------------------------------------------------------------------------


def put_together(values: list[Any], together: bool = True) -> Chunk | list[bytes]:
    """Pickle small values that are results: all at once, or each by itself.

    Args:
        values: At most `MOST`.
        together: They may be all at once.
    """
    if together and FEW <= len(values) <= MOST:
        data = pickle.dumps(values, PROTOCOL)
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
            values = loads(self.chunk.data)
            if type(values) is not list or len(values) < end:
                raise ValueError("the number of results is not that of the tasks")
            self._values = values = values[begin:end]
        return values


# -- one of them ----------------------------------------------------------------------------


def item(data: bytes, at: int) -> Any:
    """Return the parameters of one task, or the result of one.

    Called by the pickle that `items.single` makes.
    """
    known, opened = _latest[0]
    if known != data:
        opened = loads(data)
        _latest[0] = data, opened
    if type(opened) is list:
        return opened[at]
    function, columns = opened
    args = tuple(column[at] for column in columns)
    return (function, args, {}) if function else args
