"""What a worker does with some calls of joblib, and how it gets arguments that many of them have.

Nothing of the master is imported here.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from masterworker.thread_limits import limit_threads

if TYPE_CHECKING:
    from collections.abc import Callable


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
    for part in parts(found):
        part.flags.writeable = False
    return found


def parts(value: Any) -> list[Any]:
    """Return the arrays of a sparse matrix."""
    names = ("data", "indices", "indptr", "row", "col")
    found = (getattr(value, name, None) for name in names)  # a table may have such columns
    return [each for each in found if hasattr(each, "strides") and hasattr(each, "flags")]


def changeable(value: Any) -> Any:
    """Return a copy that one call may change."""
    return copy.deepcopy(value)
