"""Whether the interpreter is still whole: a handler may leave it so that every later task fails.

Asked when a task has failed, so it costs those nothing that do not.
"""

from __future__ import annotations

import builtins
import sys
from typing import Final

#: Nothing works without these. Others are left out: programs that execute what they do not trust
#: take away `exit` or `input`, and mean it.
_ESSENTIAL: Final = (
    *("__build_class__", "__import__", "callable", "getattr", "hasattr", "hash", "id", "iter"),
    *("isinstance", "issubclass", "len", "max", "min", "next", "range", "repr", "setattr"),
    *("bool", "bytearray", "bytes", "classmethod", "dict", "float", "frozenset", "int", "list"),
    *("memoryview", "object", "property", "set", "staticmethod", "str", "super", "tuple", "type"),
    *("all", "any", "enumerate", "filter", "map", "reversed", "sorted", "sum", "zip"),
    *("BaseException", "Exception", "AttributeError", "ImportError", "IndexError", "KeyError"),
    *("KeyboardInterrupt", "OSError", "RuntimeError", "StopIteration", "TypeError", "ValueError"),
)
#: With less nothing of ours can be called.
_LEAST_DEPTH: Final = 100

# Looked up without the builtins, which may be gone.
_there = builtins.__dict__
_modules = sys.modules
_depth = sys.getrecursionlimit


class Damaged(BaseException):
    """A handler has broken this process: what it executes now says nothing."""


def check() -> None:
    """See whether the interpreter is whole.

    Raises:
        Damaged: It is not.
    """
    for name in _ESSENTIAL:
        if _there.get(name) is None:
            raise Damaged(name)
    if __name__ not in _modules or _depth() < _LEAST_DEPTH:
        raise Damaged("sys")


def has_half_imported() -> bool:
    """Return whether there are modules of a package whose own import was broken off.

    Python forgets the package then, and keeps the modules that it had imported. At the next import
    they are not set in the package, which may need that, and some extensions refuse to be loaded
    twice: nothing but a new process helps.
    """
    for name, module in list(_modules.items()):
        package = name.rpartition(".")[0]
        if package and package not in _modules:
            spec = getattr(module, "__spec__", None)
            if getattr(spec, "name", None) == name:  # it was not put there by hand
                return True
    return False
