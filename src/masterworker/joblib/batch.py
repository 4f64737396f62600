"""What a worker does with some calls of joblib, and how it gets arguments that many of them have.

Nothing of the master is imported here.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from masterworker.thread_limits import limit_threads

if TYPE_CHECKING:
    from collections.abc import Callable


#: Arrays of a sparse matrix.
PARTS: Final = ("data", "indices", "indptr", "row", "col")


def run_batch(batch: Callable[[], list[Any]], threads: int | None) -> list[Any]:
    """Make some calls of joblib in a worker.

    Args:
        batch: The calls.
        threads: Which numerical libraries may use; None: as the worker was started.
    """
    limit_threads(threads)
    return batch()


class Stand:
    """Stands for an argument: a worker that opens it makes the argument.

    Args:
        make: Is called in the worker.
        args: With these.
    """

    def __init__(self, make: Callable[..., object], *args: object) -> None:
        self._made_by = make, args

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._made_by


def own(value: Any) -> Any:
    """Return an object of one call alone, around memory that all calls read, and none changes."""
    if hasattr(value, "view") and hasattr(value, "strides"):
        found = value.view()
        found.flags.writeable = (
            False  # an array that is not mapped is this worker's, not the call's
        )
        return found
    found = copy.copy(value)
    for name in PARTS:
        flags = getattr(getattr(found, name, None), "flags", None)
        if getattr(flags, "writeable", False):
            flags.writeable = False  # type: ignore[union-attr]  # it has some
    return found


def changeable(value: Any) -> Any:
    """Return a copy that one call may change."""
    return copy.deepcopy(value)
