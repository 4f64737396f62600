"""What a receiver has itself under the same name is used in place of what travelled by value.

Pickles by value (`byvalue`) name these functions, so a receiver imports this module when it opens
one.
"""

from __future__ import annotations

import functools
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

from masterworker.data import mainmodule

if TYPE_CHECKING:
    from collections.abc import Callable


def own(qualname: str) -> Any:
    """Find a class or function of this process's main program by name; None: it has none."""
    found: Any = sys.modules.get(mainmodule.MAIN)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found if isinstance(found, (type, FunctionType, mainmodule.CACHED)) else None


def own_or_make(qualname: str, make: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Begin to rebuild what travelled by value: this process's own object of that name, if any."""
    mine = own(qualname)
    return make(*args) if mine is None else mine


def own_or_cached(
    qualname: str, parameters: dict[str, Any], function: Callable[..., Any]
) -> Callable[..., Any]:
    """Rebuild what `functools.lru_cache` made: each process has a cache of its own."""
    mine: Callable[..., Any] | None = own(qualname) if qualname else None
    return functools.lru_cache(**parameters)(function) if mine is None else mine


def fill(obj: Any, rest: tuple[Callable[..., Any] | None, Any]) -> None:
    """Finish what `own_or_make` has begun: its own object stays as it is."""
    setter, state = rest
    if own(getattr(obj, "__qualname__", "")) is obj:
        return
    if setter is not None:
        setter(obj, state)
    elif state is not None:
        obj.__setstate__(state)
