"""Arrays in globals that share memory: they share it in a worker, too.

Each is pickled as a view of the array that owns the memory, which is pickled once. NumPy is not
imported here: where there are arrays, it is loaded.
"""

from __future__ import annotations

from typing import Any

#: How often an array may be a view of a view.
_DEEPEST = 20


def owner_of(value: Any) -> Any:
    """Return the array whose memory an array sees; None: it is none, or that cannot be told."""
    if not _is_array(value):
        return None
    for _ in range(_DEEPEST):
        if value.base is None or not _is_array(value.base):
            break
        value = value.base
    flags = value.flags
    return value if flags.c_contiguous or flags.f_contiguous else None


def joined(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Replace arrays that share memory by what is pickled as views of its owner.

    It is done where two of them overlap, and the owner is not much larger than they are together.
    """
    owners = [owner_of(value) for value in values]
    found = list(values)
    for owner in {id(each): each for each in owners if each is not None}.values():
        those = [at for at, each in enumerate(owners) if each is owner]
        size = sum(values[at].nbytes for at in those)
        if owner.nbytes <= 2 * size and _overlap([values[at] for at in those]):
            for at in those:
                if values[at] is not owner:
                    found[at] = _View(values[at], owner)
    return tuple(found)


def make(
    owner: Any,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: Any,
    writeable: bool,
) -> Any:
    """Make a view of an array's memory.

    Args:
        owner: The array, in one piece.
        offset: Where the view begins (bytes).
        shape: Of the view.
        strides: Of the view (bytes).
        dtype: Of its elements.
        writeable: It can be written to.
    """
    flat = owner.reshape(-1, order="A").view("u1")
    view = type(owner)(shape, dtype, flat, offset, strides)
    if not writeable:
        view.flags.writeable = False
    return view


class _View:
    def __init__(self, view: Any, owner: Any) -> None:
        self._view, self._owner = view, owner

    def __reduce__(self) -> tuple[Any, ...]:
        view = self._view
        offset = _address(view) - _address(self._owner)
        about = self._owner, offset, view.shape, view.strides, view.dtype
        return make, (*about, bool(view.flags.writeable))


def _is_array(value: Any) -> bool:
    kind = type(value)
    if (kind.__module__, kind.__name__) != ("numpy", "ndarray"):
        return False
    return value.nbytes > 0 and not value.dtype.hasobject


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def _bounds(array: Any) -> tuple[int, int]:
    """Return where an array's memory begins and ends."""
    first = last = _address(array)
    for length, stride in zip(array.shape, array.strides, strict=True):
        reach = (length - 1) * stride
        first, last = first + min(reach, 0), last + max(reach, 0)
    return first, last + array.itemsize


def _overlap(arrays: list[Any]) -> bool:
    bounds = sorted(map(_bounds, arrays))
    furthest = 0
    for first, last in bounds:
        if first < furthest:
            return True
        furthest = max(furthest, last)
    return False
