"""The forms of arrays and tables: by what they hold, and not by how it lies in memory."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.journal.forms import Forms, Maker


def kind_of(kind: type) -> Maker | None:
    """Return what makes the forms of a class of NumPy's or pandas', or of one made from these."""
    for name, tables in (("numpy", _of_numpy), ("pandas", _of_pandas)):
        module = sys.modules.get(name)
        if module is not None:
            for base, make in tables(module):
                if kind is base or (make not in _EXACTLY and issubclass(kind, base)):
                    return make
    return None


def _of_numpy(numpy: Any) -> Iterator[tuple[type, Maker]]:
    yield numpy.ndarray, _array
    if (masked := sys.modules.get("numpy.ma")) is not None:
        yield masked.MaskedArray, _masked
    yield numpy.generic, _scalar
    yield numpy.dtype, _dtype
    yield numpy.ufunc, lambda _, value: b"U" + value.__name__.encode()
    yield numpy.random.BitGenerator, lambda to, value: to.parts(b"g", (value.state,))
    yield numpy.random.Generator, lambda to, value: to.parts(b"G", (value.bit_generator,))
    yield (
        numpy.random.RandomState,
        lambda to, value: to.parts(b"G", (value.get_state(legacy=False),)),
    )
    yield numpy.random.SeedSequence, lambda to, value: to.parts(b"Q", (value.state,))


def _of_pandas(pandas: Any) -> Iterator[tuple[type, Maker]]:
    yield pandas.DataFrame, _frame
    yield pandas.Series, _series
    yield pandas.Index, _index
    yield pandas.api.extensions.ExtensionArray, _extension


def _array(to: Forms, array: Any) -> bytes:
    numpy = sys.modules["numpy"]
    about = to.parts(b"A", (array.dtype, tuple(array.shape)))
    if array.dtype.hasobject or array.dtype.kind == "T":
        return about + to.parts(b"o", array.ravel(order="C").tolist())
    data = numpy.ascontiguousarray(array)
    return about + hashlib.blake2b(_bytes_of(data), digest_size=32).digest()


def _masked(to: Forms, array: Any) -> bytes:
    # Not as it is pickled: what fills it is made when it is first asked for, as by printing.
    return to.parts(b"m", (array.data, array.mask, array.fill_value, array.hardmask))


#: Arrays that are more than these tell pickle what they are.
_EXACTLY: Final = frozenset((_array, _masked))


def _bytes_of(data: Any) -> Any:
    """Return the bytes of an array without a copy, if they can be had so."""
    try:
        return data.reshape(-1).view("u1").data
    except (TypeError, ValueError):
        return data.tobytes()


def _scalar(to: Forms, value: Any) -> bytes:
    if value.dtype.hasobject:
        return to.parts(b"n", (value.dtype, value.tolist()))
    return to.parts(b"n", (value.dtype, value.tobytes()))


def _dtype(to: Forms, value: Any) -> bytes:
    if value.fields is None and value.subdtype is None:
        return b"y" + str(value.str if value.kind != "T" else value).encode()
    if value.subdtype is not None:
        return to.parts(b"y", value.subdtype)
    fields = [(name, *value.fields[name]) for name in value.names]
    return to.parts(b"y", (fields, value.itemsize))


def _series(to: Forms, series: Any) -> bytes:
    about = type(series), series.name, series.index, _column(series), series.attrs
    return to.parts(b"V", about)


def _frame(to: Forms, frame: Any) -> bytes:
    columns = [_column(frame.iloc[:, at]) for at in range(frame.shape[1])]
    return to.parts(b"f", (type(frame), frame.columns, frame.index, columns, frame.attrs))


def _index(to: Forms, index: Any) -> bytes:
    if type(index) is sys.modules["pandas"].Index:
        return to.parts(b"i", (_column(index), index.name))
    return to.as_pickled(index)


def _extension(to: Forms, array: Any) -> bytes:
    pandas = sys.modules["pandas"]
    if isinstance(array.dtype, pandas.StringDtype):
        # Not as it is pickled: how texts are kept depends on which libraries are installed.
        missing = array.isna().tolist()
        texts = [None if none else text for text, none in zip(array, missing, strict=True)]
        return to.parts(b"x", (repr(array.dtype.na_value), texts))
    return to.as_pickled(array)


def _column(series: Any) -> Any:
    """Return what a column holds: an array of NumPy's, or one of pandas' own."""
    numpy = sys.modules["numpy"]
    if isinstance(series.dtype, numpy.dtype):
        return series.to_numpy()
    return series.array
