"""Prints the keys of values of many kinds. A program: each process is to print the same."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import functools
import operator
import pathlib
import re
import sys
import uuid
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from masterworker.journal.calls import CallDigests


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Flags(enum.Flag):
    A = 1
    B = 2


@dataclass
class Point:
    x: float
    y: float
    names: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Slotted:
    x: int


class Slots:
    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.a, self.b = 1, {"x", "y", "z"}


class Plain:
    def __init__(self, *names: str) -> None:
        for name in names:
            setattr(self, name, name)

    def method(self) -> int:
        return 1


class Pair(NamedTuple):
    left: int
    right: int


def named(x: int) -> int:
    return x


def made(number: int):
    def inner(x: int) -> int:
        return x + number

    return inner


words = {"one", "two", "three", "four", "five", "six", "seven"}
grid = np.arange(12.0).reshape(3, 4)
VALUES = {
    "none": None,
    "numbers": (1, -1, 2**70, 1.5, float("inf"), 1j, True),
    "texts": ("", "a", "ä\u20ac", "\ud800", b"\0"),
    "nested": [1, (2, [3, {"a": (4,)}])],
    "set": words,
    "frozen set of tuples": frozenset((w, len(w)) for w in words),
    "dict of sets": {"a": words, "b": {1, 2}},
    "bytearray": bytearray(b"abc"),
    "range": range(3, 10, 2),
    "slice": slice(1, None, 2),
    "array": grid,
    "array of floats of 32 bits": grid.astype("f4"),
    "array of another shape": grid.reshape(4, 3),
    "array of integers": np.arange(5),
    "array of texts": np.array(["a", "bcd"]),
    "array of objects": np.array([{"x", "y"}, None, 3], dtype=object),
    "array of records": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "array of times": np.array(["2020-01-01"], dtype="datetime64[D]"),
    "array without items": np.zeros((0, 3)),
    "masked array": np.ma.array([1, 2, 3], mask=[0, 1, 0]),
    "scalar": np.float64(1.5),
    "scalar of 32 bits": np.float32(1.5),
    "data type": np.dtype("f8"),
    "generator": np.random.default_rng(7),
    "old generator": np.random.RandomState(7),
    "ufunc": np.sin,
    "enum": Color.RED,
    "flags": Flags.A | Flags.B,
    "dataclass": Point(1.0, 2.0, {"a", "b", "c"}),
    "dataclass with slots": Slotted(1),
    "slots": Slots(),
    "plain object": Plain("a", "b", "c"),
    "bound method": Plain("a").method,
    "named tuple": Pair(1, 2),
    "function": named,
    "closure": made(2),
    "another closure": made(3),
    "lambda": lambda x: x + 1,
    "partial": functools.partial(named, 1),
    "partial with keywords": functools.partial(named, x=1),
    "builtin": len,
    "bound builtin": [1, 2].append,
    "operator": operator.itemgetter(1),
    "class": Point,
    "exception": ValueError("bad", 3),
    "path": pathlib.PurePosixPath("/a/b"),
    "date": dt.date(2020, 1, 2),
    "time": dt.datetime(2020, 1, 2, 3, 4, tzinfo=dt.UTC),
    "span": dt.timedelta(1, 2, 3),
    "decimal": decimal.Decimal("1.50"),
    "fraction": fractions.Fraction(1, 3),
    "uuid": uuid.UUID(int=5),
    "pattern": re.compile("a+", re.IGNORECASE),
    "ordered dict": collections.OrderedDict(a=1, b=2),
    "default dict": collections.defaultdict(list, a=[1]),
    "counter": collections.Counter("abca"),
    "deque": collections.deque([1, 2], maxlen=5),
}

try:
    import pandas as pd
except ImportError:  # or the one that is there does not go with this NumPy
    pass
else:
    table = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, None, 1.5]}, index=["x", "y", "z"])
    times = pd.date_range("2020-01-01", periods=3, unit="ns")
    VALUES |= {
        "pandas: table": table,
        "pandas: table of another order": table[["b", "a"]],
        "pandas: table of times": pd.DataFrame({"t": times}),
        "pandas: column": table["a"],
        "pandas: named column": table["a"].rename("c"),
        "pandas: column of categories": pd.Series(["a", "b", "a"], dtype="category"),
        "pandas: column of integers or nothing": pd.Series([1, None], dtype="Int64"),
        "pandas: column of times": pd.Series(times),
        "pandas: index of numbers": pd.RangeIndex(3),
        "pandas: index of texts": pd.Index(["a", "b"], dtype=object),
        "pandas: time": pd.Timestamp(2020, 1, 2, 3, 4),
        "pandas: span": pd.Timedelta(3, "D"),
        "pandas: groups": table.groupby("a").size(),
    }

if __name__ == "__main__":
    digests = CallDigests(lambda _: None)
    for name, value in VALUES.items():
        sys.stdout.write(f"{name} = {digests.of('tag', [(value,)])[0].hex()}\n")
    fortran = digests.of("tag", [(np.asfortranarray(grid),), (grid[:, ::-1][:, ::-1],), (grid,)])
    assert len(set(fortran)) == 1
