"""Checking what executors and pools are given, with the errors of the standard library."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

from masterworker.launch.checks import number_of_workers as usable_processors
from masterworker.launch.process_context import this_process

if TYPE_CHECKING:
    from collections.abc import Callable


def number_of_workers(value: Any, name: str, too_small: str) -> int:
    """Return how many workers to start.

    Where no number is given, it is one for each usable processor; inside a task it is 1, since each
    processor has a worker of the job already.

    Args:
        value: What was given.
        name: Its name.
        too_small: What is said of a number below 1.

    Raises:
        TypeError: It is no number.
        ValueError: It is less than 1.
    """
    if value is None:
        return 1 if this_process.worker is not None else usable_processors("auto")
    return _positive(value, too_small, f"{name} must be an integer")


def number_of_tasks(value: Any, name: str) -> int | None:
    """Return after how many calls a worker is replaced, or None.

    Raises:
        TypeError: It is no number.
        ValueError: It is less than 1.
    """
    if value is None:
        return None
    return _positive(value, f"{name} must be >= 1", f"{name} must be an integer")


def chunk_size(value: Any, too_small: str = "chunksize must be >= 1.") -> None:
    """Check the size of chunks, which is not used.

    Raises:
        TypeError: It is no number.
        ValueError: It is less than 1.
    """
    _positive(value, too_small, "chunksize must be an integer")


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


def function(value: Any, what: str = "a function is to be called") -> None:
    """Check what is to be called.

    Args:
        value: What was given.
        what: It must be.

    Raises:
        TypeError: It cannot be called.
    """
    if not callable(value):
        raise TypeError(f"{what}, not {value!r}")


def functions_or_none(name: str, *values: Callable[..., object] | None) -> None:
    """Check what is to be called, if it is given.

    Raises:
        TypeError: One of them cannot be called.
    """
    for value in values:
        if value is not None:
            function(value, f"{name} must be a callable")


def mapped(func: Any, chunksize: Any) -> None:
    """Check what a map of a pool is given.

    Raises:
        TypeError: `func` cannot be called, or `chunksize` is neither a number nor None.
        ValueError: `chunksize` is less than 1.
    """
    function(func, "func must be a callable")
    if chunksize is not None:
        chunk_size(chunksize, f"Chunksize must be 1+, not {chunksize}")


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
