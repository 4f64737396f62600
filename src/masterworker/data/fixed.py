"""What can change though it is the same object, and how to see whether it has."""

from __future__ import annotations

import abc
import logging
import re
import sys
from abc import ABCMeta, get_cache_token
from collections import namedtuple
from enum import Enum, EnumType
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    EllipsisType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    ModuleType,
    NoneType,
    WrapperDescriptorType,
)
from typing import TYPE_CHECKING, Any, Final, cast

from masterworker.data import mainmodule
from masterworker.data.methods import by_name, is_bound

if TYPE_CHECKING:
    from collections.abc import Callable

#: Objects of these classes stay what they are, as long as they are the same ones.
_FIXED: Final = frozenset(
    (
        *(
            object,
            int,
            float,
            complex,
            bool,
            str,
            bytes,
            range,
            slice,
            NoneType,
            EllipsisType,
        ),
        *(re.Pattern, GetSetDescriptorType, MemberDescriptorType),
        *(WrapperDescriptorType, MethodDescriptorType, ClassMethodDescriptorType),
        type(vars(namedtuple("_", "field"))["field"]),  # noqa: PYI024
    )
)
#: The same, with their subclasses. (A logger is pickled by its name.)
_FIXED_KINDS: Final = PurePath, Enum, logging.Logger
#: Attributes of classes that hold something changeable, and are never changed.
_UNCHANGED: Final = frozenset(
    (
        *("__annotations__", "__dataclass_fields__", "__dataclass_params__", "__abstractmethods__"),
        *("_abc_impl", "__parameters__", "__orig_bases__", "__static_attributes__"),
        *("_field_defaults", "_member_names_", "_member_map_", "_value2member_map_"),
        *("_hashable_values_", "_unhashable_values_", "_unhashable_values_map_"),
    )
)
#: Methods that `dataclasses` makes, with an inner state that no other code can reach.
_OF_DATACLASSES: Final = frozenset(("__init__", "__repr__", "__eq__", "__hash__"))
#: Classes of these classes are looked at attribute by attribute; others are pickled again.
_USUAL_METACLASSES: Final = frozenset((type, ABCMeta, EnumType))

#: `pickle` notes something in a class when it has seen an object of it.
_OF_PICKLE: Final = "__slotnames__"


def is_fixed(value: Any) -> bool:
    """Return whether an object can never change.

    What it says of its class is not asked: a proxy says what its object is, or raises.
    """
    kind = type(value)
    if kind in _FIXED:
        return True
    if kind is BuiltinFunctionType:  # of a list, say: that may change, as it does itself
        return not is_bound(value) or by_name(value) is not value
    if issubclass(kind, ModuleType):  # those that no import finds travel with their content
        name = object.__getattribute__(value, "__dict__").get("__name__")
        return isinstance(name, str) and sys.modules.get(name) is value
    if kind is tuple or kind is frozenset:
        return all(map(is_fixed, value))
    if issubclass(kind, (type, FunctionType)):  # with no name it travels with what it holds
        return mainmodule.is_found(value) or is_importable(value)
    return issubclass(kind, _FIXED_KINDS)


def is_importable(value: type | FunctionType) -> bool:
    """Return whether a class or function is found in the module of which it says that it is.

    What a program makes may say so of a module that knows nothing of it: `functools.wraps` sees to
    it, and `__module__` can be set.
    """
    if value.__module__ == mainmodule.MAIN:
        return False
    found: Any = sys.modules.get(value.__module__)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def names_of_objects() -> dict[int, str]:
    """Return the names of globals for which it matters that others hold the same object.

    That is what can change, and marks, such as `MISSING = object()`. The keys are identities. Costs
    some 200 ns for each global.
    """
    return {
        id(value): name
        for name, value in mainmodule.namespace().items()
        if not issubclass(type(value), (type, *_FIXED_KINDS))
        and name not in mainmodule.OF_MODULES
        and (type(value) is object or not is_fixed(value))
    }


def check_of(value: object) -> Callable[[], bool] | None:
    """Return a quick check of a function or class; None: its parts can change."""
    if isinstance(value, mainmodule.CACHED):
        value = value.__wrapped__
    if isinstance(value, FunctionType):
        return _check_functions([value])
    if type(value) in _USUAL_METACLASSES:
        return _check_class(cast("type", value))
    return None


class _Function:
    """What a function is made of, and whether it still is.

    Args:
        function: The function.
    """

    __slots__ = (
        "_attributes",
        "_code",
        "_defaults",
        "_empty",
        "_full",
        "_function",
        "_held",
        "_kw",
    )

    def __init__(self, function: FunctionType) -> None:
        self._function = function
        self._code = function.__code__
        self._defaults, self._kw = function.__defaults__, function.__kwdefaults__
        self._attributes = function.__dict__
        #: The attributes, and defaults of keywords, with their names: dictionaries change in place.
        self._held = _pairs(self._attributes) + _pairs(self._kw)
        cells = function.__closure__ or ()
        self._full = [(cell, cell.cell_contents) for cell in cells if _is_full(cell)]
        self._empty = [cell for cell in cells if not _is_full(cell)]

    def parts(self) -> list[object]:
        """Return what it holds: defaults, attributes, what is in its variables."""
        parts = [*(self._defaults or ()), *(part for _, part in self._held)]
        return parts + [content for _, content in self._full]

    def is_same(self) -> bool:
        """Return whether it holds the same objects as at the beginning."""
        function = self._function
        if (
            function.__code__ is not self._code
            or function.__defaults__ is not self._defaults
            or function.__kwdefaults__ is not self._kw
            or function.__dict__ is not self._attributes
        ):
            return False
        if (self._attributes or self._kw or self._held) and not self._holds_the_same():
            return False
        if self._full:
            for cell, content in self._full:
                if not _is_full(cell) or cell.cell_contents is not content:
                    return False
        return not self._empty or not any(map(_is_full, self._empty))

    def _holds_the_same(self) -> bool:
        now = _pairs(self._attributes) + _pairs(self._kw)
        return len(now) == len(self._held) and all(
            name == known and value is content
            for (name, value), (known, content) in zip(now, self._held, strict=True)
        )


def _pairs(values: dict[str, Any] | None) -> list[tuple[str, Any]]:
    return list(values.items()) if values else []


def _check_functions(functions: list[FunctionType]) -> Callable[[], bool] | None:
    """Return a check of functions, and of those in their variables, as decorators leave them."""
    known: dict[int, _Function] = {}
    todo = list(functions)
    while todo:
        function = todo.pop()
        if id(function) in known:
            continue
        known[id(function)] = found = _Function(function)
        for part in found.parts():
            if id(part) in known or is_fixed(part):
                continue
            if not isinstance(part, FunctionType):
                return None
            todo.append(part)
    if len(known) == 1:
        return found.is_same
    checks = [each.is_same for each in known.values()]

    def check() -> bool:
        for each in checks:  # noqa: SIM110  a third of the time of `all`
            if not each():
                return False
        return True

    return check


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _check_class(cls: type) -> Callable[[], bool] | None:
    attributes = dict(vars(cls))
    attributes.pop(_OF_PICKLE, None)
    unchanged = _UNCHANGED
    if "__dataclass_fields__" in attributes:
        unchanged |= _OF_DATACLASSES
    functions: list[FunctionType] = []
    for name, value in attributes.items():
        if name not in unchanged and not _is_fixed_attribute(value, functions):
            return None
    of_functions = _check_functions(functions) if functions else None
    of_members = _check_members(cls) if issubclass(cls, Enum) else None
    if (functions and of_functions is None) or (issubclass(cls, Enum) and of_members is None):
        return None
    bases, known = cls.__bases__, list(attributes.items())
    more = [each for each in (of_functions, of_members, _check_registry(cls)) if each is not None]

    def check() -> bool:
        now = vars(cls)
        return (
            len(now) - (_OF_PICKLE in now) == len(known)
            and cls.__bases__ is bases
            and all(now.get(name) is value for name, value in known)
            and all(each() for each in more)
        )

    return check


def _is_fixed_attribute(value: object, functions: list[FunctionType]) -> bool:
    """Return whether an attribute is fixed, but for what its functions hold, which are noted."""
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, property):
        parts = value.fget, value.fset, value.fdel
        return all(_is_fixed_attribute(each, functions) for each in parts)
    if isinstance(value, FunctionType) and not is_importable(value):
        functions.append(value)
        return True
    return is_fixed(value)


def _check_members(cls: type[Enum]) -> Callable[[], bool] | None:
    """Return a check of what members of an enumeration have been given as attributes."""
    known = [(vars(each), _pairs(vars(each))) for each in cls.__members__.values()]
    own = [value for _, pairs in known for name, value in pairs if name != "_value_"]
    if not all(map(is_fixed, own)):
        return None

    def check() -> bool:
        for attributes, pairs in known:
            if len(attributes) != len(pairs):
                return False
            if any(attributes.get(name) is not value for name, value in pairs):
                return False
        return True

    return check


def _check_registry(cls: type) -> Callable[[], bool] | None:
    """Return a check of which classes have been registered with an abstract one."""
    if not isinstance(cls, ABCMeta):
        return None
    token, known = get_cache_token(), _registered(cls)

    def check() -> bool:
        nonlocal token
        if (now := get_cache_token()) == token:  # it counts all registrations of this process
            return True
        if _registered(cls) != known:
            return False
        token = now
        return True

    return check


def _registered(cls: ABCMeta) -> set[Any]:
    return set(abc._get_dump(cls)[0])  # type: ignore[attr-defined]
