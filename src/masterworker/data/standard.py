"""Pickling what the standard library makes of functions, and cannot pickle itself."""

from __future__ import annotations

import functools
from types import FunctionType
from typing import Any

from masterworker.data import rebuilding


def reduce_standard(obj: Any) -> tuple[Any, ...] | None:
    """Say how to pickle a cached property, or a function with one implementation for each class.

    The former has a lock (up to Python 3.11), the latter a cache of weak references. Both are made
    anew by whoever opens the pickle.

    Returns:
        As `pickle.Pickler.reducer_override`; None: it is neither.
    """
    if type(obj) is functools.cached_property:
        return rebuilding.make_cached_property, (obj.func, obj.attrname, obj.__doc__)
    if isinstance(obj, FunctionType) and obj.__globals__ is vars(functools):
        registry, first = getattr(obj, "registry", None), getattr(obj, "__wrapped__", None)
        if registry is not None and first is not None:
            others = [each for each in registry.items() if each[0] is not object]
            return (
                *(rebuilding.make_dispatching, (first,), others, None, None),
                rebuilding.register_all,
            )
    return None
