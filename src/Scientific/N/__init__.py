"""NumPy under the names, and with the defaults, that it had in ScientificPython.

Programs of that time say `from Scientific import N`, and mean the array package before NumPy: its
types have names such as `N.Float`, new arrays are of whole numbers, and functions that go along an
axis take the first one by default. Whatever is not defined here is NumPy's own.

New programs use NumPy itself.
"""

from __future__ import annotations

from typing import Any

try:
    import numpy as _numpy  # noqa: ICN001  the usual name is for what follows
except ImportError as error:
    raise ImportError(
        "Scientific.N is NumPy under its old names, and NumPy is not installed: pip install numpy"
    ) from error

np: Any = _numpy  # functions take anything here
package = "NumPy"

# -- types, as the letters that stand for them --------------------------------------------------

Character = "c"
UnsignedInt8 = UInt8 = "B"
UnsignedInt16 = UInt16 = "H"
UnsignedInt32 = UInt32 = "I"
UnsignedInt64 = UInt64 = "Q"
UnsignedInteger = UInt = "L"
Int0 = Int8 = "b"
Int16 = "h"
Int32 = "i"
Int64 = "q"
Int = "l"
Float0 = Float8 = Float16 = Float32 = "f"
Float = Float64 = "d"
Complex0 = Complex8 = Complex16 = Complex32 = "F"
Complex = Complex64 = "D"
PyObject = "O"

ArrayType = array_type = np.ndarray
UfuncType = np.ufunc
NewAxis = None

# -- new arrays ---------------------------------------------------------------------------------


def array(
    sequence: Any,
    typecode: Any = None,
    copy: bool = True,
    savespace: bool = False,  # noqa: ARG001  nothing was ever saved by it
    dtype: Any = None,
) -> Any:
    """Make an array."""
    kind = _kind(typecode, dtype, None)
    return np.array(sequence, kind) if copy else np.asarray(sequence, kind)


def asarray(sequence: Any, typecode: Any = None, savespace: bool = False, dtype: Any = None) -> Any:  # noqa: ARG001
    """Make an array, unless it is one."""
    return np.asarray(sequence, _kind(typecode, dtype, None))


def zeros(shape: Any, typecode: Any = None, savespace: bool = False, dtype: Any = None) -> Any:  # noqa: ARG001
    """Make an array of zeros: whole numbers, unless another type is given."""
    return np.zeros(shape, _kind(typecode, dtype, Int))


def ones(shape: Any, typecode: Any = None, savespace: bool = False, dtype: Any = None) -> Any:  # noqa: ARG001
    """Make an array of ones: whole numbers, unless another type is given."""
    return np.ones(shape, _kind(typecode, dtype, Int))


def empty(shape: Any, typecode: Any = None, dtype: Any = None) -> Any:
    """Make an array of anything: whole numbers, unless another type is given."""
    return np.empty(shape, _kind(typecode, dtype, Int))


def identity(n: int, typecode: Any = None, dtype: Any = None) -> Any:
    """Make a unit matrix: whole numbers, unless another type is given."""
    return np.identity(n, _kind(typecode, dtype, Int))


def arange(
    start: Any, stop: Any = None, step: Any = 1, typecode: Any = None, dtype: Any = None
) -> Any:
    """Make an array of numbers in a row."""
    bounds = (0, start) if stop is None else (start, stop)
    return np.arange(*bounds, step, dtype=_kind(typecode, dtype, None))


arrayrange = arange


def zeros_st(shape: Any, other: Any) -> Any:
    """Make an array of zeros, of the type that another array has."""
    return np.zeros(shape, other.dtype)


def fromfunction(function: Any, dimensions: Any) -> Any:
    """Make an array of a function's values; it is given whole numbers."""
    return np.fromfunction(function, dimensions, dtype=int)


def _kind(typecode: Any, dtype: Any, default: Any) -> Any:
    given = typecode if typecode is not None else dtype
    return default if given is None else given


# -- along an axis: the first one, where NumPy takes all or asks ---------------------------------


def sum(x: Any, axis: Any = 0) -> Any:  # noqa: A001  its name
    """Add up along an axis."""
    return np.sum(x, axis)


def product(x: Any, axis: Any = 0) -> Any:
    """Multiply along an axis."""
    return np.prod(x, axis)


def cumsum(x: Any, axis: Any = 0) -> Any:
    """Add up along an axis, and keep what there is on the way."""
    return np.cumsum(x, axis)


def cumproduct(x: Any, axis: Any = 0) -> Any:
    """Multiply along an axis, and keep what there is on the way."""
    return np.cumprod(x, axis)


def sometrue(x: Any, axis: Any = 0) -> Any:
    """Return whether any is true along an axis."""
    return np.any(x, axis)


def alltrue(x: Any, axis: Any = 0) -> Any:
    """Return whether all are true along an axis."""
    return np.all(x, axis)


def take(a: Any, indices: Any, axis: Any = 0) -> Any:
    """Take what is at indices along an axis."""
    return np.take(a, indices, axis)


def repeat(a: Any, repeats: Any, axis: Any = 0) -> Any:
    """Repeat what there is along an axis."""
    return np.repeat(a, repeats, axis)


def average(a: Any, axis: Any = 0, weights: Any = None, returned: bool = False) -> Any:
    """Average along an axis."""
    return np.average(a, axis, weights, returned)


def compress(condition: Any, m: Any, axis: Any = -1) -> Any:
    """Take those for which a condition holds, along the last axis."""
    return np.compress(condition, m, axis)


def argmax(x: Any, axis: Any = -1) -> Any:
    """Return where the largest is along the last axis."""
    return np.argmax(x, axis)


def argmin(x: Any, axis: Any = -1) -> Any:
    """Return where the smallest is along the last axis."""
    return np.argmin(x, axis)


def int_sum(a: Any, axis: Any = 0) -> Any:
    """Add up whole numbers, or truth values, along an axis."""
    return np.add.reduce(a, axis)


def nonzero(a: Any) -> Any:
    """Return the places of what is not zero, of an array with one axis."""
    (places,) = np.nonzero(a)
    return places


matrixmultiply = np.dot
innerproduct = np.inner
outerproduct = np.outer
crosscorrelate = np.correlate
rank = np.ndim
absolute = np.absolute

_OURS = {name for name in globals() if name[0] != "_"} - {"np", "annotations", "Any"}
__all__ = [*sorted(_OURS | {name for name in np.__all__ if name[0] != "_"})]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    try:
        return getattr(np, name)
    except AttributeError:
        raise AttributeError(f"neither NumPy nor {__name__!r} has {name!r}") from None
