"""Checking what an executor is given, with the errors of `concurrent.futures`."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

from masterworker.launch.checks import number_of_workers as usable_processors
from masterworker.launch.process_context import this_process

if TYPE_CHECKING:
    from collections.abc import Callable


def number_of_workers(value: Any) -> int:
    """Return how many workers to start.

    Raises:
        TypeError: It is no number.
        ValueError: It is less than 1.
    """
    if value is None:
        return usual_number()
    return _positive(value, "max_workers must be greater than 0", "max_workers must be an integer")


def usual_number() -> int:
    """Return how many workers to start where no number is given: one for each usable processor.

    Inside a task it is 1, since each processor has a worker of the job already.
    """
    return 1 if this_process.worker is not None else usable_processors("auto")


def positive_or_none(value: Any, name: str) -> int | None:
    """Return a number of at least 1, or None.

    Raises:
        TypeError: It is no number.
        ValueError: It is less than 1.
    """
    if value is None:
        return None
    return _positive(value, f"{name} must be >= 1", f"{name} must be an integer")


def chunk_size(value: Any) -> None:
    """Check the size of chunks, which is not used.

    Raises:
        TypeError: It is no number.
        ValueError: It is less than 1.
    """
    _positive(value, "chunksize must be >= 1.", "chunksize must be an integer")


def buffer_size(value: Any) -> int | None:
    """Return how many results may be under way or not taken.

    Raises:
        TypeError: It is no number.
        ValueError: It is less than 1.
    """
    if value is None:
        return None
    message = "buffersize must be an integer or None"
    return _positive(value, "buffersize must be None or > 0", message)


def callable_or_none(value: Callable[..., object] | None, name: str) -> None:
    """Check a function.

    Raises:
        TypeError: It cannot be called.
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be a callable")


def function(value: Any) -> None:
    """Check what is to be called.

    Raises:
        TypeError: It cannot be called.
    """
    if not callable(value):
        raise TypeError(f"a function is to be called, not {value!r}")


def _positive(value: Any, too_small: str, no_number: str) -> int:
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{no_number}, not {value!r}") from None
    if isinstance(value, bool):
        raise TypeError(f"{no_number}, not {value!r}")
    if number < 1:
        raise ValueError(too_small)
    return number
