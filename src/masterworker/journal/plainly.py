"""Any value as JSON knows it: what is plain as it is, and all else as a text."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable


#: A longer text is cut (characters).
LONGEST: Final = 10_000
#: A value with more parts, or nested deeper, is a text as a whole.
MOST, DEEPEST = 1000, 20
#: A larger whole number is a text, in hexadecimal digits (bits).
LARGEST: Final = 1024
_LISTS: Final = frozenset((list, tuple, set, frozenset))


class _TooMuchError(Exception):
    """A value has too many parts."""


def plainly(value: Any) -> Any:
    """Return a value as JSON knows it. Never raises, but for Ctrl-C and what ends a process.

    Texts, numbers, lists, dictionaries and NumPy's arrays of these are what they are, if they have
    1,000 parts at most; all else is what `repr` says of it, cut after 10,000 characters.
    """
    try:
        return _Plainly().of(value, 0)
    except (_TooMuchError, RecursionError):
        return _shown(value)


class _Plainly:
    """Counts parts."""

    def __init__(self) -> None:
        self._left = MOST

    def of(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            raise _TooMuchError
        kind = type(value)
        if kind in _ATOMS:
            return _ATOMS[kind](value)
        if kind in _LISTS:
            return [self.of(each, depth + 1) for each in value]
        if kind is dict and all(type(name) is str for name in value):
            return {_cut(name): self.of(each, depth + 1) for name, each in value.items()}
        if kind.__module__ == "numpy" and hasattr(value, "tolist"):
            if getattr(value, "size", 1) > self._left:
                raise _TooMuchError
            return self.of(value.tolist(), depth + 1) if _is_simple(value) else _shown(value)
        return _shown(value)


def _is_simple(value: Any) -> bool:
    """Return whether NumPy makes values of Python's of it: of numbers, booleans or texts."""
    return getattr(getattr(value, "dtype", None), "kind", "") in "biufUO"


def _shown(value: Any) -> str:
    try:
        return _cut(repr(value))
    except Exception as error:  # a class of the user's
        return f"(a {type(value).__name__}, which cannot be shown: {type(error).__name__})"


def _cut(text: str) -> str:
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}... ({len(text):,} characters)"
    return text.encode("utf-8", "replace").decode()


_ATOMS: Final[dict[type, Callable[[Any], Any]]] = {
    type(None): lambda value: value,
    bool: lambda value: value,
    # In digits they would need time that grows with their square, and Python refuses; most readers
    # of JSON take them for infinite.
    int: lambda value: value if value.bit_length() <= LARGEST else _cut(hex(value)),
    float: lambda value: value if math.isfinite(value) else str(value),
    str: _cut,
    date: date.isoformat,
    datetime: datetime.isoformat,
}
