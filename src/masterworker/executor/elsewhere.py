"""Pickles of what belongs to one process: it is itself there, and another object elsewhere."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: What has been pickled in this process, by the name under which it was.
_pickled: Final[weakref.WeakValueDictionary[str, Any]] = weakref.WeakValueDictionary()


def reduced(value: object, pid: int, elsewhere: Callable[[], Any]) -> tuple[Any, ...]:
    """Return what the pickle of an object calls.

    Args:
        value: The object.
        pid: The process that it belongs to.
        elsewhere: Makes what it is in others.
    """
    name = f"{pid} {id(value)}"
    _pickled[name] = value
    return _find, (name, elsewhere)


def _find(name: str, elsewhere: Callable[[], Any]) -> Any:
    known = _pickled.get(name) if name.startswith(f"{os.getpid()} ") else None
    return elsewhere() if known is None else known
