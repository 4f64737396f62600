"""Plain values as bytes and back; and whatever else comes instead of such bytes."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import pickle
import struct
import subprocess
import sys
import zoneinfo
from typing import Any, NamedTuple

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from masterworker.data import plain
from masterworker.data.pickling import dumps
from masterworker.errors import MalformedError, NotPlainError

ZONES = st.builds(dt.timezone, st.timedeltas(dt.timedelta(hours=-20), dt.timedelta(hours=20)))
KEYS = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.binary()),
        *(st.complex_numbers(allow_nan=False), st.text(st.characters()), st.dates()),
        *(st.timedeltas(), st.datetimes(), st.datetimes(timezones=ZONES)),
    ),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=4),
    max_leaves=4,
)
VALUES = st.recursive(
    KEYS | st.builds(bytearray, st.binary()) | st.sets(KEYS, max_size=4),
    lambda inner: st.one_of(
        *(st.lists(inner, max_size=5), st.tuples(inner, inner)),
        st.dictionaries(KEYS, inner, max_size=4),
    ),
    max_leaves=20,
)


def told(value: Any) -> Any:
    """A value with the types of everything in it."""
    if isinstance(value, dict):
        return dict, [(told(k), told(v)) for k, v in value.items()]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted((told(v) for v in value), key=repr)
    if isinstance(value, (list, tuple)):
        return type(value), [told(v) for v in value]
    if isinstance(value, dt.datetime):
        return type(value), value, value.utcoffset(), value.fold
    return type(value), repr(value) if isinstance(value, float) else value


@given(VALUES)
def test_every_plain_value_comes_back(value: Any) -> None:
    """Of the same types, whatever is nested in what; and no pickle begins like that."""
    encoded = plain.encode(value)
    assert plain.is_plain(encoded)
    assert told(plain.decode(encoded)) == told(value)


@pytest.mark.parametrize(
    "value",
    [
        *(0, -1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, -(1 << 63), -(1 << 63) - 1),
        *(10**900, -(10**900), [1 << 64, -1], {1 << 70: 1 << 71}),
        *(float("inf"), -0.0, complex(float("-inf"), -0.0), "\ud800", "nul \x00", b"\x00\xff"),
        *([], (), {}, set(), frozenset(), bytearray(), [[]], ((),), [None] * 3),
        *(dt.datetime.max, dt.date.min, dt.timedelta.max, dt.timedelta.min),  # noqa: DTZ901
        dt.datetime(2026, 10, 25, 2, 30, fold=1),  # noqa: DTZ001
        dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30))),
    ],
)
def test_edges(value: Any) -> None:
    assert told(plain.decode(plain.encode(value))) == told(value)


def test_nan_is_not_a_number_afterwards() -> None:
    back = plain.decode(plain.encode([float("nan")]))[0]
    assert back != back  # noqa: PLR0124  that is how it is known


SIMPLE = npst.scalar_dtypes().filter(lambda d: d.itemsize)
DTYPES = SIMPLE | npst.nested_dtypes(SIMPLE, max_leaves=4, max_itemsize=500)


@given(npst.arrays(DTYPES, npst.array_shapes(min_dims=0, min_side=0)))
def test_every_array_comes_back(array: Any) -> None:
    """Its type, shape and bytes; and it can be written to, as one that was pickled."""
    back = plain.decode(plain.encode(array))
    assert type(back) is type(array)
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert back.flags.writeable or back.ndim == 0


@pytest.mark.parametrize(
    "array",
    [
        *(np.arange(24)[::3], np.asfortranarray(np.ones((2, 3))), np.ones(3, ">f4")),
        *(np.array(["a", "bcd"]), np.array([b"x"]), np.array([], "f4"), np.zeros((0, 5))),
        *(
            np.array([1], "M8[25s]"),
            np.array(["NaT"], "m8[s]"),
            np.zeros(1, "m8"),
            np.zeros((2, 2), "V5"),
        ),
        np.zeros(2, [("x", "f8"), ("y", "i4", (2, 2)), ("z", [("q", "u1")])]),
        *(np.float64(3), np.int8(-3), np.bool_(True), np.str_("é"), np.bytes_(b"x")),
        *(np.datetime64("2026-01-01"), np.timedelta64(3, "D"), np.complex64(2j)),
        *(np.zeros(1, [("x", "f8")])[0], np.longdouble(1) / 3, np.array(5.0)),
    ],
)
def test_kinds_of_arrays_and_scalars(array: Any) -> None:
    back = plain.decode(plain.encode({"in": [array]}))["in"][0]
    assert type(back) is type(array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    if array.dtype == np.longdouble:  # of its 16 bytes some are no part of the number
        assert back == array
    else:
        assert back.tobytes() == array.tobytes()


class Number(enum.IntEnum):
    ONE = 1


class Point(NamedTuple):
    x: int


class Text(str):  # noqa: SLOT000
    pass


class Array(np.ndarray):
    pass


@pytest.mark.parametrize(
    ("value", "name"),
    [
        *((object(), "object"), (Number.ONE, "Number"), (Point(1), "Point"), (Text("x"), "Text")),
        *((collections.OrderedDict(), "OrderedDict"), (collections.Counter(), "Counter")),
        *((range(3), "range"), (len, "builtin_function"), (KeyError("x"), "KeyError")),
        *((memoryview(b"x"), "memoryview"), (dt.time(1), "time"), (int, "type")),
        (dt.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), "ZoneInfo"),
        *((np.array([None]), "object"), (np.zeros(2, [("a", object)]), "'O'")),
        *((np.ma.zeros(3), "MaskedArray"), (np.zeros(3).view(Array), "Array")),
        *((np.dtype("f8"), "Float64DType"), (np.random.default_rng(), "Generator")),
        (np.zeros(2, np.dtype({"names": ["a"], "formats": ["f8"], "itemsize": 16})), "itemsize"),
    ],
)
def test_anything_else_is_refused_by_name(value: Any, name: str) -> None:
    """Also deep inside; the text says what is plain."""
    for nested in (value, [1, value], {"a": (value,)}):
        with pytest.raises(NotPlainError, match=rf"{name}.*plain are None, bool, int"):
            plain.encode(nested)


def test_depth_is_bounded_on_both_sides() -> None:
    deepest: Any = 0
    for _ in range(plain.MAX_DEPTH):
        deepest = [deepest]
    assert plain.decode(plain.encode(deepest)) == deepest
    for deeper in ([deepest], {1: deepest}, cycle := []):
        cycle[:] = [cycle]
        with pytest.raises(NotPlainError, match="nested deeper than 100"):
            plain.encode(deeper)
    forged = b"\x01"
    for _ in range(plain.MAX_DEPTH + 1):
        forged = msgpack.packb(msgpack.ExtType(plain.LIST, b"\x91" + forged))
    with pytest.raises(MalformedError, match="nested deeper than 100"):
        plain.decode(plain.MARK + forged)


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a small value becomes large, because what is shared is copied."""
    monkeypatch.setattr("masterworker.data.plain.MOST_BYTES", 10_000)
    shared: Any = ["x"]
    for _ in range(50):
        shared = [shared, shared]
    for large in (b"x" * 10_001, ["x"] * 10_001, np.zeros(2000), shared):
        with pytest.raises(NotPlainError, match="too large"):
            plain.encode(large)


def extension(kind: int, content: bytes) -> bytes:
    return plain.MARK + bytes(msgpack.packb(msgpack.ExtType(kind, content)))


def array(*content: Any) -> bytes:
    """An array as somebody would forge it."""
    tree = [plain._tree(part, 9) for part in content]
    return extension(plain.ARRAY, msgpack.packb(tree))


MALFORMED = {
    "nothing": b"",
    "mark alone": plain.MARK,
    "pickle": dumps([1]),
    "old pickle": b"I1\n.",
    "something behind": plain.MARK + b"\x01\x01",
    "cut": plain.encode([1, 2, "three"])[:-1],
    "bare list": plain.MARK + b"\x91\x01",
    "bare map": plain.MARK + b"\x81\x01\x01",
    "huge bare lists": plain.MARK + b"\xdd\xff\xff\xff\xff" * 1000,
    "bare list inside": extension(plain.LIST, b"\x91\x91\x01"),
    "huge list": extension(plain.LIST, b"\xdd\xff\xff\xff\xff\x01"),
    "no list": extension(plain.LIST, b"\x01"),
    "empty content": extension(plain.LIST, b""),
    "list with more behind": extension(plain.LIST, b"\x91\x01\x01"),
    "unknown kind": extension(99, b""),
    "reserved": plain.MARK + b"\xc1",
    "odd dictionary": extension(plain.DICT, b"\x91\x01"),
    "key without hash": extension(plain.DICT, b"\x92" + plain.encode([])[1:] + b"\x01"),
    "element without hash": extension(plain.SET, b"\x91" + plain.encode({})[1:]),
    "complex of three": extension(plain.COMPLEX, struct.pack("<3d", 1, 2, 3)),
    "no date": extension(plain.DATE, b"2026-02-30"),
    "no datetime": extension(plain.DATETIME, b"9" + b"2026-01-01"),
    "too long a time": extension(plain.TIMEDELTA, struct.pack("<3q", 1 << 62, 0, 0)),
    "array of objects": array("|O", (1,), b"x" * 8),
    "array of fields that are objects": array([("x", "O")], (1,), b"x" * 8),
    "array of something": array("os.system", (1,), b"x"),
    "array of many formats": array("f8,f8", (1,), b"x" * 16),
    "array of nothing": array("V0", (1 << 60,), b""),
    "array with a negative length": array("f8", (-1,), b"x" * 8),
    "array with too few bytes": array("f8", (2,), b"x" * 8),
    "array of too large a shape": array("f8", (0, 1 << 62, 1 << 62), b""),
    "array of too many dimensions": array("f8", (1,) * 100, b"x" * 8),
    "array with a list as shape": array("f8", [1], b"x" * 8),
    "array of two parts": array("f8", (1,)),
    "array with texts as bytes": array("f8", (1,), "x" * 8),
    "array with odd fields": array([("x",)], (1,), b"x" * 8),
    "array with a field of a bad shape": array([("x", "u1", (-1,))], (1,), b"x"),
    "array with a field of no shape": array([("x", "u1", 5)], (1,), b"x"),
    "array with a huge field": array([("x", "u1", (1 << 40,))], (1,), b"x"),
    "array with two fields of a name": array([("x", "u1"), ("x", "u1")], (1,), b"xx"),
}


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_bytes_raise_one_error(payload: bytes) -> None:
    with pytest.raises(MalformedError):
        plain.decode(payload)


@given(st.binary(max_size=200))
def test_noise_is_read_or_refused(noise: bytes) -> None:
    decode_or_refuse(plain.MARK + noise)


@given(VALUES, st.data())
def test_bytes_with_errors_are_read_or_refused(value: Any, data: st.DataObject) -> None:
    """Changed, cut, doubled: what comes out is plain, or it is an error of one class."""
    payload = bytearray(plain.encode(value))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(1, max(1, len(payload) - 1)))
        payload[position : position + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3)
        )
    decode_or_refuse(bytes(plain.MARK + payload[1:]))


@given(DTYPES, st.data())
def test_arrays_with_errors_are_read_or_refused(dtype: Any, data: st.DataObject) -> None:
    payload = bytearray(plain.encode(np.zeros((2, 3), dtype)))
    position = data.draw(st.integers(1, len(payload) - 1))
    payload[position] = data.draw(st.integers(0, 255))
    decode_or_refuse(bytes(payload))


def decode_or_refuse(payload: bytes) -> None:
    try:
        value = plain.decode(payload)
    except MalformedError:
        return
    plain.encode(value)


def test_the_mark_begins_no_pickle() -> None:
    """It is no instruction of any protocol."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert not plain.is_plain(pickle.dumps([1], protocol))
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(plain.MARK + dumps(1))


def test_numpy_is_imported_only_where_there_is_an_array() -> None:
    """And where it is missing, that is said."""
    payload = plain.encode(np.ones(2))
    run(
        "plain.decode(plain.encode([1, {'x': (2.0, b'')}]))\n"
        "assert 'numpy' not in sys.modules\n"
        f"assert plain.decode({payload!r}).sum() == 2"
    )
    run(
        "sys.modules['numpy'] = None\n"
        "try:\n"
        f"    plain.decode({payload!r})\n"
        "except plain.MalformedError as error:\n"
        "    assert 'numpy' in str(error), error\n"
        "else:\n"
        "    raise SystemExit(1)"
    )


def run(program: str) -> None:
    begin = "import sys\nfrom masterworker.data import plain\n"
    subprocess.run([sys.executable, "-c", begin + program], check=True, timeout=60)
