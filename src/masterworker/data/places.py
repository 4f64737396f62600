"""Attributes of modules that the main program sets: they mean in workers what they do here.

Each is treated like a global of the main program, under a name such as `config:LEVEL`, or
`package.module:object.attribute`, which no global can have.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from masterworker.data.builtin import MISSING
from masterworker.imported import when_imported
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

logger = logging.getLogger("masterworker.worker")

#: What is changed in place: others may have it under names of their own.
_CONTAINERS: Final = (dict, list, set, Counter, OrderedDict, defaultdict, deque, bytearray)
#: From what their classes are derived, which keeps their items.
_BUILT_IN: Final = (OrderedDict, dict, list, set)
#: Between the name of a module and those of its attributes.
MARK: Final = ":"


class Written(NamedTuple):
    """Attributes of modules that the program may have set."""

    #: From outside.
    named: tuple[str, ...] = ()
    #: For each module of the user's own those that its own functions set.
    own: tuple[tuple[str, ...], ...] = ()


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
    if issubclass(kind, _BUILT_IN) and kind not in _CONTAINERS:
        return True
    if kind.__name__ in ("DataFrame", "Series"):
        return kind.__module__.partition(".")[0] == "pandas"
    return issubclass(kind, (UserDict, UserList))


def find(name: str) -> Any:
    """Return what an attribute is now; `MISSING` where there is none."""
    module, _, path = name.partition(MARK)
    found: Any = sys.modules.get(module, MISSING)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except Exception:  # a property may raise anything
            return MISSING
    return found


#: Functions and classes of modules that were replaced here, as the modules define them.
_originals: Final = dict[str, object]()

# -- in the worker --------------------------------------------------------------------------


def put(names: Iterable[str], load: Callable[[], Iterable[Any]]) -> None:
    """Set attributes: now, or as soon as their modules are loaded, which none is for that.

    Args:
        names: Of attributes.
        load: Returns their values, in this order. It is called for each module.
    """
    names = tuple(names)
    for module in dict.fromkeys(name.partition(MARK)[0] for name in names):
        when_imported(module, partial(_put_all, names, load), key=",".join(names))


def _put_all(names: tuple[str, ...], load: Callable[[], Iterable[Any]], module: ModuleType) -> None:
    for name in names:
        if name in _originals:  # which is found by its name
            _put(module, name.partition(MARK)[2], _originals[name])
    try:
        values = tuple(load())
    except Exception as error:
        logger.warning("what the main program has set (%s) cannot be set here: %r", names, error)
        return
    for name, value in zip(names, values, strict=True):
        home, _, path = name.partition(MARK)
        if home == module.__name__:
            if issubclass(type(before := find(name)), (FunctionType, type)):
                _originals.setdefault(name, before)
            try:
                _put(module, path, value)
            except Exception as error:
                logger.warning("%s cannot be set here: %r", name, error)


def _put(module: ModuleType, path: str, value: Any) -> None:
    *parts, last = path.split(".")
    at: Any = module
    for part in parts:
        at = getattr(at, part)
    now = getattr(at, last, MISSING)
    if now is value:
        return
    is_alike = type(now) is type(value) and (is_container(value) or is_kin(value))
    if not (is_alike and getattr(at, last) is now and _fill(now, value)):
        setattr(at, last, value)  # as where a property makes one for each who asks


def _fill(now: Any, value: Any) -> bool:
    """Let a container hold what another one holds; it is false if it cannot."""
    kind = type(now)
    if is_kin(now):
        _fill_kin(now, value)
    elif kind.__name__ == "ndarray":
        if now.shape != value.shape or now.dtype != value.dtype or not now.flags.writeable:
            return False
        now[...] = value
    elif kind in (list, bytearray) or kind.__name__ == "array":
        now[:] = value
    elif kind is deque:
        if now.maxlen != value.maxlen:
            return False
        now.clear()
        now.extend(value)
    else:
        if kind is defaultdict:
            now.default_factory = value.default_factory
        now.clear()
        now.update(value)
    return True


def _fill_kin(now: Any, value: Any) -> None:
    """Do the same for what has attributes, too, and perhaps methods of its own."""
    base: Any
    for base in _BUILT_IN:
        if issubclass(type(now), base):
            base.clear(now)
            held = base.items(value) if issubclass(base, dict) else base.__iter__(value)
            getattr(base, "extend" if base is list else "update")(now, held)
            break
    if hasattr(now, "__dict__"):
        attributes = vars(now)
        attributes.clear()
        attributes.update(vars(value))
