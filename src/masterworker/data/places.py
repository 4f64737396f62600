"""Attributes of modules that the main program sets: they mean in workers what they do here.

Each is treated like a global of the main program, under a name such as `config:LEVEL`, or
`package.module:object.attribute`, which no global can have.
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from typing import Any, Final

from masterworker.data import registers
from masterworker.data.builtin import MISSING
from masterworker.named import NamedTuple

#: What is changed in place: others may have it under names of their own.
_CONTAINERS: Final = (dict, list, set, Counter, OrderedDict, defaultdict, deque, bytearray)
#: From what their classes are derived, which keeps their items.
BUILT_IN: Final = (OrderedDict, dict, list, set)
#: Stands for the value that a context variable has at the moment, behind its name.
IN_CONTEXT: Final = "get()"
#: Between the name of a module and those of its attributes.
MARK: Final = ":"


class Written(NamedTuple):
    """Attributes of modules that the program may have set."""

    #: From outside.
    named: tuple[str, ...] = ()
    #: For each module of the user's own those that its own functions set.
    own: tuple[tuple[str, ...], ...] = ()
    #: Which modules of the user's own are loaded.
    modules: tuple[str, ...] = ()
    #: Those of `named` that are set before the program has imported all of these.
    early: tuple[str, ...] = ()
    #: Those of all of these that it may have deleted.
    deleted: tuple[str, ...] = ()
    #: Those of `named` that are set by code of a class.
    setters: tuple[str, ...] = ()


class Gone:
    """Stands for the value of an attribute that the program has deleted; never made."""


NOTHING: Final = Written()


def is_place(name: str) -> bool:
    """Return whether a name is that of an attribute."""
    return MARK in name


def is_container(value: object) -> bool:
    """Return whether the items of an object are its content, and can be set: arrays as well."""
    kind = type(value)
    if kind in _CONTAINERS:
        return True
    return kind.__name__ in ("array", "ndarray") and kind.__module__ in ("array", "numpy")


def is_kin(value: object) -> bool:
    """Return whether this is an object of a class that is derived from one of a container.

    Or one of those that keep all that they hold in their attributes: of `UserDict`, of pandas.
    """
    kind = type(value)
    if issubclass(kind, BUILT_IN) and kind not in _CONTAINERS:
        return True
    if kind.__name__ in ("DataFrame", "Series"):
        return kind.__module__.partition(".")[0] == "pandas"
    return issubclass(kind, (UserDict, UserList))


def find(name: str) -> Any:
    """Return what an attribute is now; `MISSING` where there is none."""
    module, _, path = name.partition(MARK)
    if registers.is_register(name):
        return registers.read(name)
    found: Any = sys.modules.get(module, MISSING)
    for part in path.split("."):
        try:
            found = step(found, part)
        except Exception:  # a property may raise anything
            return MISSING
    return found


def find_home(name: str) -> Any:
    """Return that in which an attribute is, or would be; `MISSING` where that is not there."""
    home, _, path = name.partition(MARK)
    outer, _, _ = path.rpartition(".")
    return find(f"{home}{MARK}{outer}") if outer else sys.modules.get(home, MISSING)


def step(value: Any, part: str) -> Any:
    """Return an attribute of something, or what is at a position of a tuple.

    Raises:
        Exception: It is not there.
    """
    if part == IN_CONTEXT:
        return sys.modules["_contextvars"].copy_context()[value]  # not loaded for that
    return value[int(part)] if part.isdecimal() else getattr(value, part)
