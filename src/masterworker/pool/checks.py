"""Checking what a pool is given, with the errors of `multiprocessing`."""

from __future__ import annotations

from operator import index
from typing import Any

from masterworker.executor.checks import usual_number


def processes(value: Any) -> int:
    """Return how many workers to start.

    Raises:
        TypeError: It is no number.
        ValueError: It is less than 1.
    """
    if value is None:
        return usual_number()
    number = _whole(value)
    if number is None:
        raise TypeError(f"the number of processes must be an integer, not {value!r}")
    if number < 1:
        raise ValueError("Number of processes must be at least 1")
    return number


def max_tasks(value: Any) -> int | None:
    """Return after how many calls a worker is replaced.

    Raises:
        ValueError: It is no number of at least 1.
    """
    number = None if value is None else _whole(value)
    if value is not None and (number is None or number < 1):
        raise ValueError(f"maxtasksperchild must be a positive int or None, not {value!r}")
    return number


def chunk_size(value: Any) -> None:
    """Check the size of chunks, which is not used.

    Raises:
        TypeError: It is no number.
        ValueError: It is less than 1.
    """
    if value is None:
        return
    number = _whole(value)
    if number is None:
        raise TypeError(f"chunksize must be an integer or None, not {value!r}")
    if number < 1:
        raise ValueError(f"Chunksize must be 1+, not {number}")


def function(value: Any, what: str = "func") -> None:
    """Check what is to be called.

    Raises:
        TypeError: It cannot be called.
    """
    if not callable(value):
        raise TypeError(f"{what} must be a callable, not {value!r}")


def callbacks(*values: Any) -> None:
    """Check functions that are called with outcomes.

    Raises:
        TypeError: One of them cannot be called.
    """
    for value in values:
        if value is not None:
            function(value, "a callback")


def _whole(value: Any) -> int | None:
    """Return a whole number; None: it is none."""
    if isinstance(value, bool):
        return None
    try:
        return index(value)
    except TypeError:
        return None
