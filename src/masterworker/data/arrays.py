"""NumPy's arrays and scalars as plain values. Imported where there is one, and not before."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from masterworker.data.refusal import refusal
from masterworker.errors import MalformedError

#: What an element can be: numbers, texts and bytes of fixed size, times. No objects ("O").
_FORMAT = re.compile(r"[<>|=]?(?:[biufc?]\d*|[SUV]\d+|[mM]8(?:\[\w+\])?)")


def is_array(value: object) -> bool:
    """Return whether this is an array, not a scalar."""
    return isinstance(value, np.ndarray)


def describe(value: Any) -> list[Any]:
    """Return the type of the elements, the shape, and the bytes in the order of C.

    Raises:
        NotPlainError: It holds objects, or is of a class of its own.
    """
    scalar = isinstance(value, np.generic) and type(value).__module__ == "numpy"
    if type(value) is not np.ndarray and not scalar:
        raise refusal(value)
    array = np.asarray(value)
    dtype = array.dtype
    spec = dtype.str if dtype.fields is None and dtype.subdtype is None else dtype.descr
    try:
        same = not dtype.hasobject and dtype.itemsize > 0 and _dtype(spec) == dtype
    except (MalformedError, ValueError, TypeError):
        same = False
    if not same:
        raise refusal(value, f" with elements {dtype}")
    return [spec, array.shape, array.tobytes()]


def rebuild(spec: Any, shape: Any, data: Any) -> Any:
    """Make the array that `describe` was given.

    Raises:
        MalformedError: The parts do not fit each other.
    """
    dtype = _dtype(spec)
    good = isinstance(data, bytes) and isinstance(shape, tuple) and dtype.itemsize > 0
    if not good or not all(type(length) is int and length >= 0 for length in shape):
        raise MalformedError("an array with a shape that it cannot have")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise MalformedError("an array with more or fewer elements than its shape says")
    array = np.empty(shape, dtype)
    if data:
        array.reshape(-1).view(np.uint8)[:] = np.frombuffer(data, np.uint8)
    return array


def _dtype(spec: Any) -> np.dtype[Any]:
    """Make the type of the elements from what says it: a text, or a list of fields."""
    _check(spec)
    dtype: np.dtype[Any] = np.dtype(spec)
    if dtype.hasobject:
        raise MalformedError("an array of objects")
    return dtype


def _check(spec: Any) -> None:
    if isinstance(spec, str):
        if not _FORMAT.fullmatch(spec):
            raise MalformedError(f"an array of {spec[:50]!r}")
    elif isinstance(spec, list):
        for field in spec:
            _check_field(field)
    else:
        raise MalformedError("an array of something unknown")


def _check_field(field: Any) -> None:
    names = field[0] if isinstance(field, tuple) and len(field) in {2, 3} else None
    names = names if isinstance(names, tuple) else (names,)  # a title and a name, or the latter
    if len(names) > 2 or not all(isinstance(name, str) for name in names):
        raise MalformedError("an array with fields of something unknown")
    _check(field[1])
    if len(field) == 3 and not all(type(length) is int and length > 0 for length in field[2]):
        raise MalformedError("an array with fields of a shape that they cannot have")
