"""What a worker has a copy of, though a program may well rely on there being one only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What is said, once, of a function and of the name to which it refers.
DRAWS: Final = (
    "%s draws random numbers from %r: each worker has a copy of it, and all copies give the same "
    "numbers. Make a generator in each task, from a seed that is an argument, or in each worker "
    "(initializer=)"
)
SHARES: Final = (
    "%s refers to %r, which is memory that processes can share (a mapped file, or from "
    "multiprocessing): each worker has a copy of it, so what a task writes there is not seen here. "
    "Return results, or open the map in each worker (initializer=)"
)
#: How many views of an array may be views of one another.
_DEEPEST: Final = 20


def look_at(bindings: Iterable[tuple[str, object]]) -> list[tuple[str, str]]:
    """Return which names mean something like that, and what is to be said of it."""
    found = [(name, relies_on_being_one(value)) for name, value in bindings]
    return [each for each in found if each[1]]


def relies_on_being_one(value: object) -> str:
    """Return what is to be said of a value whose copies do not do what it does; "": nothing.

    NumPy is not loaded for that.
    """
    kind = type(value)
    names = [(each.__module__.partition(".")[0], each.__name__) for each in kind.__mro__]
    if names[0] in {("numpy", "Generator"), ("numpy", "RandomState")}:
        return DRAWS
    if ("random", "Random") in names and ("random", "SystemRandom") not in names:
        return DRAWS
    if ("numpy", "ndarray") in names and _is_shared(value):
        return SHARES
    return ""


def _is_shared(array: Any) -> bool:
    """Return whether other processes may see what is written to an array.

    So it is with a mapped file, a block of `multiprocessing.shared_memory`, and the arrays of
    `multiprocessing.sharedctypes`.
    """
    if not array.flags.writeable or getattr(array, "mode", "") == "c":
        return False
    base: Any = array
    for _ in range(_DEEPEST):
        if type(base).__module__ == "mmap" or hasattr(base, "_wrapper"):  # of `multiprocessing`
            return True
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
        if base is None or getattr(base, "mode", "") == "c":
            return False
    return False
