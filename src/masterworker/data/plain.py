"""Plain values as bytes and back, without pickle: no trust in the sender is needed.

Plain are None, bool, int, float, complex, str, bytes, bytearray, list, tuple, set, frozenset, dict,
date, datetime, timedelta, and NumPy's arrays and scalars without objects, nested as deep as
`MAX_DEPTH`. Of exactly these classes: a subclass may mean more than its value. What is shared comes
as copies.

    mark, then msgpack: an atom, or extension(kind, content)

The content of a container is a msgpack list of atoms and extensions. There is no other list and no
map in it, so each level announces what it holds itself, and no header can claim more elements than
it has bytes.
"""

from __future__ import annotations

import struct
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast

import msgpack

from masterworker.data.refusal import refusal
from masterworker.data.segment import head_of
from masterworker.errors import MalformedError, NotPlainError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from masterworker.core.task import Payload

#: Begins what is made here. No pickle begins with it: it is no instruction of any of its protocols.
MARK: Final = b"\x00"
#: Containers are not nested deeper.
MAX_DEPTH: Final = 100
#: No value is longer (bytes).
MOST_BYTES: Final = 1_000_000_000
#: At most this many keys of a set or dictionary may have the same hash.
MOST_ALIKE: Final = 1000
LIST, TUPLE, SET, FROZENSET, DICT = 1, 2, 3, 4, 5
INTEGER, COMPLEX, BYTEARRAY, DATE, DATETIME, TIMEDELTA = 10, 11, 12, 13, 14, 15
ARRAY, SCALAR = 20, 21

#: What msgpack holds as it is; integers of up to 64 bits only.
_ATOMS = frozenset((type(None), bool, int, float, str, bytes))
_CONTAINERS: dict[type, int] = {list: LIST, tuple: TUPLE, set: SET, frozenset: FROZENSET}
_MICROSECOND = timedelta(microseconds=1)
_LEAST, _MOST = -(1 << 63), 1 << 64


def is_plain(payload: Payload) -> bool:
    """Return whether the mark says that this was made here; it may still be malformed."""
    return head_of(payload, 1) == MARK


def encode(value: object) -> bytes:
    """Make bytes of a plain value.

    Raises:
        NotPlainError: Names the type that is not plain, and what is.
    """
    try:
        return MARK + _pack(_tree(value, MAX_DEPTH))
    except RecursionError:
        raise NotPlainError("the value is nested too deep") from None


def decode(payload: bytes) -> Any:
    """Rebuild a value. Nothing of the sender's is executed.

    Args:
        payload: What `encode` has made, or anything else.

    Raises:
        MalformedError: It was not made here, or holds an array and there is no NumPy.
    """
    if not is_plain(payload):
        raise MalformedError("these bytes are not plain data")
    try:
        return _unpack(memoryview(payload)[1:], 1, MAX_DEPTH)[0]
    except MalformedError:
        raise
    except Exception as error:
        text = f"plain data that cannot be read: {type(error).__name__}: {error}"
        raise MalformedError(text) from None


# -- encoding -------------------------------------------------------------------------------


def _pack(tree: object) -> bytes:
    try:
        packed = cast("bytes", msgpack.packb(tree, unicode_errors="surrogatepass"))
    except ValueError as error:  # longer than 4 GB
        raise NotPlainError(f"the value is too large to be sent: {error}") from None
    if len(packed) > MOST_BYTES:
        raise NotPlainError(
            f"the value is too large to be sent: {len(packed):,} bytes and perhaps more, at most "
            f"{MOST_BYTES:,}; write it to a file and return its name"
        )
    return packed


def _tree(value: Any, depth: int) -> Any:
    """Return what msgpack holds as it is: an atom, or an extension."""
    kind = type(value)
    if kind in _ATOMS:
        if kind is int and not _LEAST <= value < _MOST:
            size = value.bit_length() // 8 + 1
            return msgpack.ExtType(INTEGER, value.to_bytes(size, "little", signed=True))
        return value
    if kind in _CONTAINERS:
        return msgpack.ExtType(_CONTAINERS[kind], _content(value, depth))
    if kind is dict:
        flat = list(chain.from_iterable(value.items()))
        return msgpack.ExtType(DICT, _content(flat, depth))
    if kind in _WRITERS:
        number, write = _WRITERS[kind]
        return msgpack.ExtType(number, write(value))
    if any(base.__module__ == "numpy" for base in kind.__mro__):  # without importing it
        from masterworker.data import arrays

        content = arrays.describe(value)
        number = ARRAY if arrays.is_array(value) else SCALAR
        return msgpack.ExtType(number, _content(content, depth))
    raise refusal(value)


def _content(items: Collection[Any], depth: int) -> bytes:
    if depth <= 0:
        raise NotPlainError(f"the value is nested deeper than {MAX_DEPTH}, or contains itself")
    if set(map(type, items)) <= _ATOMS:
        try:
            return _pack(list(items))
        except OverflowError:  # an integer of more than 64 bits
            pass
    return _pack([_tree(item, depth - 1) for item in items])


def _write_datetime(value: datetime) -> bytes:
    if value.tzinfo is not None and type(value.tzinfo) is not timezone:
        raise refusal(value.tzinfo, " as a time zone, where only a fixed offset is")
    offset = value.utcoffset()
    text = f"{value.fold}{value.replace(tzinfo=None).isoformat()}"
    # Python 3.11 takes an offset of less than a second in ISO's notation for none.
    return (text if offset is None else f"{text}|{offset // _MICROSECOND}").encode()


def _read_datetime(data: bytes) -> datetime:
    text, with_zone, offset = data.decode().partition("|")
    zone = timezone(int(offset) * _MICROSECOND) if with_zone else None
    return datetime.fromisoformat(text[1:]).replace(tzinfo=zone, fold=int(text[:1]))


_WRITERS: dict[type, tuple[int, Callable[[Any], bytes]]] = {
    complex: (COMPLEX, lambda value: struct.pack("<2d", value.real, value.imag)),
    bytearray: (BYTEARRAY, bytes),
    date: (DATE, lambda value: value.isoformat().encode()),
    datetime: (DATETIME, _write_datetime),
    timedelta: (TIMEDELTA, lambda t: struct.pack("<3q", t.days, t.seconds, t.microseconds)),
}


# -- decoding -------------------------------------------------------------------------------


def _unpack(data: memoryview, count: int | None, depth: int) -> list[Any]:
    """Read `count` values (None: a list with its own length), and nothing after them."""
    if depth < 0:
        raise MalformedError(f"plain data is nested deeper than {MAX_DEPTH}")
    unpacker = msgpack.Unpacker(
        ext_hook=partial(_extension, depth),
        unicode_errors="surrogatepass",
        max_buffer_size=0,
        max_array_len=0,  # a list or map here is none of ours
        max_map_len=0,
        timestamp=1,
    )
    unpacker.feed(data)
    if count is None:
        count = unpacker.read_array_header()
        if count > len(data):
            raise MalformedError("plain data that is cut short")
    values = [unpacker.unpack() for _ in range(count)]
    if unpacker.tell() != len(data):
        raise MalformedError("plain data with something behind it")
    return values


def _extension(depth: int, kind: int, data: bytes) -> Any:
    reader = _READERS.get(kind)
    if reader is not None:
        return reader(data)
    build = _BUILDERS.get(kind)
    if build is None:
        raise MalformedError(f"plain data of unknown kind {kind}")
    return build(_unpack(memoryview(data), None, depth - 1))


def _pairs(flat: list[Any]) -> dict[Any, Any]:
    if len(flat) % 2:
        raise MalformedError("a dictionary with a key without a value")
    return dict(zip(_spread(flat[::2]), flat[1::2], strict=True))


def _spread(keys: list[Any]) -> list[Any]:
    """Refuse keys that have been chosen to have one hash: they would take the square of the time.

    Hashes of numbers, and of tuples of them, are the same everywhere, so an attacker can find
    such keys. While they are put in, no other thread of the interpreter goes on.
    """
    if len(keys) > MOST_ALIKE and max(Counter(map(hash, keys)).values()) > MOST_ALIKE:
        raise MalformedError("plain data with keys that are made to collide")
    return keys


def _array(content: list[Any]) -> Any:
    from masterworker.data import arrays

    return arrays.rebuild(*content)


_BUILDERS: dict[int, Callable[[list[Any]], Any]] = {
    LIST: list,
    TUPLE: tuple,
    SET: lambda content: set(_spread(content)),
    FROZENSET: lambda content: frozenset(_spread(content)),
    DICT: _pairs,
    ARRAY: _array,
    SCALAR: lambda content: _array(content)[()],
}
_READERS: dict[int, Callable[[bytes], Any]] = {
    INTEGER: lambda data: int.from_bytes(data, "little", signed=True),
    COMPLEX: lambda data: complex(*struct.unpack("<2d", data)),
    BYTEARRAY: bytearray,
    DATE: lambda data: date.fromisoformat(data.decode()),
    DATETIME: _read_datetime,
    TIMEDELTA: lambda data: timedelta(*struct.unpack("<3q", data)),
}
