"""Objects that keep all that they hold in attributes, so that one can be given another's state."""

from __future__ import annotations

import copyreg
from enum import Enum
from types import MemberDescriptorType, ModuleType, SimpleNamespace
from typing import Any, Final

from masterworker.data.builtin import MISSING

#: A flag of classes that are written in Python, among others.
_HEAP: Final = 1 << 9


def is_stateful(value: object) -> bool:
    """Return whether an object is all in its attributes, as most of classes of Python are."""
    kind = type(value)  # a proxy may say that it is something else, or raise
    if kind is SimpleNamespace:
        return True
    return is_reduced_as_usual(kind) and kind not in copyreg.dispatch_table


def is_reduced_as_usual(kind: type[object]) -> bool:
    """Return whether a class is Python all the way, and says nothing of what pickles hold of it."""
    if not kind.__flags__ & _HEAP or issubclass(kind, (type, ModuleType, Enum)):
        return False
    is_usual = kind.__reduce_ex__ is object.__reduce_ex__ and kind.__reduce__ is object.__reduce__
    return is_usual and all(each is object or each.__flags__ & _HEAP for each in kind.__mro__)


def attributes_of(value: object) -> dict[str, Any] | None:
    """Return the attributes of an object, without those that have slots; None: there are none."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return found if type(found) is dict else None


def slots_of(kind: type) -> list[MemberDescriptorType]:
    """Return the slots of objects of a class."""
    return [
        each
        for cls in kind.__mro__
        for each in vars(cls).values()
        if type(each) is MemberDescriptorType and cls.__flags__ & _HEAP
    ]


def fill(now: Any, value: Any) -> None:
    """Give an object the state of another one of its class. Nothing of the class is called."""
    for slot in slots_of(type(now)):
        held = slot.__get__(value) if _is_set(slot, value) else MISSING
        if held is not MISSING:
            slot.__set__(now, held)
        elif _is_set(slot, now):
            slot.__delete__(now)
    mine, theirs = attributes_of(now), attributes_of(value)
    if mine is not None and theirs is not None:
        mine.clear()
        mine.update(theirs)


def _is_set(slot: MemberDescriptorType, value: Any) -> bool:
    try:
        slot.__get__(value)
    except AttributeError:
        return False
    return True


def sets_otherwise(value: object, name: str) -> bool:
    """Return whether to set an attribute of an object is to call code of its class."""
    kind = type(value)
    if kind.__setattr__ is not object.__setattr__:
        return True
    found = next((vars(cls)[name] for cls in kind.__mro__ if name in vars(cls)), None)
    return hasattr(type(found), "__set__") and type(found) is not MemberDescriptorType
