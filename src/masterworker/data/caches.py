"""Clearing what functions of the main program remember, where what they refer to has changed."""

from __future__ import annotations

import contextlib
from functools import partial
from types import CellType, FunctionType, MappingProxyType, MethodType
from typing import TYPE_CHECKING, Final

from masterworker.data import mainmodule

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What is made of functions, and where these are in it.
_MADE: Final = staticmethod, classmethod, MethodType, property, partial, FunctionType
_HELD: Final = (
    *("__func__", "fget", "fset", "fdel", "func", "args", "keywords"),
    *("__closure__", "__defaults__", "__kwdefaults__", "__dict__"),
)


def clear(value: object) -> None:
    """Clear the caches of the functions that a value is, wraps, or has as its parts."""
    todo, seen = [value], dict[int, object]()
    while todo:
        each = todo.pop()
        if id(each) not in seen:
            seen[id(each)] = each  # which lives as long as its identity is used
            if isinstance(each, mainmodule.CACHED):
                each.cache_clear()
            todo += _parts(each)


def _parts(value: object) -> Iterator[object]:
    """Yield where a function with a cache may be."""
    if isinstance(value, (list, tuple, set, frozenset)):
        yield from value
    elif isinstance(value, (dict, MappingProxyType)):
        yield from value.values()
    elif isinstance(value, _MADE):
        yield from (getattr(value, name, None) for name in _HELD)
    elif not isinstance(value, type) or value.__module__ == mainmodule.MAIN:
        if isinstance(value, CellType):
            with contextlib.suppress(ValueError):  # it is empty
                yield value.cell_contents
        yield getattr(value, "__dict__", None)
