"""The error for a value that is not plain: what it is, and what would be."""

from __future__ import annotations

from typing import Final

from masterworker.errors import NotPlainError

ALLOWED: Final = (
    "None, bool, int, float, complex, str, bytes, bytearray, list, tuple, set, frozenset, dict, "
    "date, datetime, timedelta, and NumPy arrays and scalars without objects"
)


def refusal(value: object, why: str = "") -> NotPlainError:
    """Make the error.

    Args:
        value: What is not plain; its type is named.
        why: What of it is not, to follow "is not plain data".
    """
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return NotPlainError(f"{name} is not plain data{why}; plain are {ALLOWED}")
