"""Objects that programs compare by identity: each is one in a worker, wherever it is referred to.

So it is with marks, such as `MISSING = object()`, and with other objects that a module of the
user's own has under a name. Each is known by the first of its names. In a worker it is what that
module has there, unless the program sets the name of a mark; else one is made. What it holds comes
with it.
"""

from __future__ import annotations

import contextlib
import copyreg
from collections import Counter
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from masterworker.data.places import MARK, find

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: How many objects are remembered.
_KEPT: Final = 10_000
#: A flag of classes that are written in Python.
_HEAP: Final = 1 << 9
#: By identity: objects of this process, what each is known by, and whether its module has it.
_known: Final = dict[int, tuple[object, str, bool]]()
#: What a pickle spells that may hold one.
_names: Final = {b"builtins\x94\x8c\x06object": None}
#: How many objects have had a name.
_count: Final = Counter[str]()
#: What others know by a name is this here.
_here: Final = dict[str, object]()


def note_in(module: str, namespace: Mapping[str, object], own: Collection[str], apart: Any) -> None:
    """Note what a module has under its names. Costs some 100 ns for each.

    Args:
        module: Its name.
        namespace: What it has.
        own: Which modules are the user's; of their classes all objects are noted.
        apart: Names that the program may set, with the module's.
    """
    for name, value in namespace.items():
        kind = type(value)
        if kind is object or (kind.__module__ in own and _is_usual(kind)):
            place = f"{module}{MARK}{name}"
            note(place, value, is_set=kind is object and place in apart)


def note_marks(module: str, namespace: Mapping[str, object]) -> None:
    """Note all marks of a module that no other one finds. Costs some 30 ns for each name."""
    for name, value in namespace.items():
        if type(value) is object:
            note(f"{module}{MARK}{name}", value, is_set=True)


def note(place: str, value: object, *, is_set: bool) -> None:
    """Note what a name of a module means.

    Args:
        place: The name, with its module.
        value: What it means.
        is_set: The program may have set it.
    """
    known = _known.get(id(value))
    if known is not None:
        return
    if len(_known) >= _KEPT:
        _, name, _ = _known.pop(next(iter(_known)))
        _here.pop(name, None)
    count = _count[place]
    _count[place] += 1
    name = f"{place} {count}" if count else place
    _known[id(value)] = value, name, not is_set and not count
    _here[name] = value
    if type(value) is not object:
        _names[type(value).__qualname__.encode()] = None


def _is_usual(kind: type) -> bool:
    """Return whether objects of a class are all in their attributes, and pickled so."""
    if not kind.__flags__ & _HEAP or issubclass(kind, (type, ModuleType, Enum)):
        return False
    usual = ("__reduce_ex__", "__reduce__", "__getstate__")
    own = ("__setstate__", "__getnewargs__", "__getnewargs_ex__")
    return (
        all(getattr(kind, name) is getattr(object, name) for name in usual)
        and not any(hasattr(kind, name) for name in own)
        and all(each is object or each.__flags__ & _HEAP for each in kind.__mro__)
    )


def are_in(data: bytes, pickler: Any) -> bool:
    """Return whether a pickle that has just been made holds one of these objects."""
    if not any(name in data for name in _names):
        return False
    return not _known.keys().isdisjoint(pickler.memo.copy())


def reduce_known(value: object) -> tuple[Any, ...] | None:
    """Say how to pickle one of these objects; None: it is none."""
    known = _known.get(id(value))
    if known is None:
        return None
    kind = type(value)
    if kind in copyreg.dispatch_table:  # the program knows better
        return None
    if kind is object:
        return one, (*known[1:], object)
    return one, (*known[1:], kind), value.__getstate__(), None, None, give


def one(name: str, of_module: bool, kind: type) -> object:
    """Return what is here for an object of the master's.

    Args:
        name: As which it is known.
        of_module: Its module has it under this name.
        kind: Its class.
    """
    found = _here.get(name)
    if found is None or type(found) is not kind:
        if of_module:
            with contextlib.suppress(Exception):  # it is not there, or raises
                import_module(name.partition(MARK)[0])
            found = find(name)
        _here[name] = found = found if type(found) is kind else object.__new__(kind)
    return found


def give(value: Any, state: Any) -> None:
    """Let an object have what the master's has. Nothing of its class is called."""
    attributes, slots = state if type(state) is tuple else (state, None)
    if hasattr(value, "__dict__"):
        mine = object.__getattribute__(value, "__dict__")
        mine.clear()
        mine.update(attributes or {})
    for name, held in (slots or {}).items():
        object.__setattr__(value, name, held)
