"""Methods that a module has under their own names, as `random.random` is: they travel by these.

To pickle such a method is to copy its object. A copy of the hidden generator of `random` draws the
same numbers in each worker.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import BuiltinFunctionType, MethodType, ModuleType, NoneType
from typing import Any, Final

from masterworker.data import mainmodule

#: How a pickle spells what makes a method of an object: "getattr", by its length and the text.
MARK: Final = b"\x8c\x07getattr"
#: Pickles with fewer bytes hold no copy of a generator, whose state is large.
SMALLEST: Final = 1 << 10


def is_bound(value: Any) -> bool:
    """Return whether this is a method with an object, which may change."""
    kind = type(value)  # a proxy may say that it is something else, or raise
    if kind is not BuiltinFunctionType:
        return kind is MethodType
    own_kind = type(value.__self__)
    return own_kind is not NoneType and not issubclass(own_kind, (ModuleType, type))


class OfModule:
    """Pickled as what a module has under a name.

    Args:
        module: Its name.
        name: What it has.
    """

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def __reduce__(self) -> tuple[Any, ...]:
        return find, self._place


def find(module: str, name: str) -> Any:
    """Return what a module has under a name; imports it."""
    return getattr(import_module(module), name)


def by_name(value: Any) -> Any:
    """Return what is pickled for a method that the module of its class has; else the value."""
    if not is_bound(value):
        return value
    module = sys.modules.get(type(value.__self__).__module__)
    name = getattr(value, "__name__", "")
    if module is None or module.__name__ == mainmodule.MAIN or vars(module).get(name) is not value:
        return value
    return OfModule(module.__name__, name)
