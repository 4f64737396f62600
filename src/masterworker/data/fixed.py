"""What can change though it is the same object, and how to see whether it has."""

from __future__ import annotations

import logging
import re
import sys
from abc import ABCMeta
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


def is_fixed(value: object) -> bool:  # noqa: PLR0911  one case after the other
    """Return whether an object can never change."""
    kind = type(value)
    if kind in _FIXED:
        return True
    if kind is BuiltinFunctionType:  # of a list, say: that may change, as it does itself
        return not is_bound(value) or by_name(value) is not value
    if isinstance(value, ModuleType):  # those that no import finds travel with their content
        return sys.modules.get(value.__name__) is value
    if kind is tuple or kind is frozenset:
        return all(map(is_fixed, value))  # type: ignore[call-overload]
    if isinstance(value, type):
        return value.__module__ != mainmodule.MAIN or mainmodule.is_found(value)
    if isinstance(value, FunctionType):
        return value.__module__ != mainmodule.MAIN or mainmodule.is_found(value)
    return isinstance(value, _FIXED_KINDS)


def names_of_objects() -> dict[int, str]:
    """Return the names of globals for which it matters that others hold the same object.

    That is what can change, and marks, such as `MISSING = object()`. The keys are identities. Costs
    some 200 ns for each global.
    """
    return {
        id(value): name
        for name, value in mainmodule.namespace().items()
        if not isinstance(value, (type, *_FIXED_KINDS))
        and name not in mainmodule.OF_MODULES
        and (type(value) is object or not is_fixed(value))
    }


def check_of(value: object) -> Callable[[], bool] | None:
    """Return a quick check of a function or class; None: its parts can change."""
    if isinstance(value, FunctionType):
        return _check_function(value)
    if isinstance(value, mainmodule.CACHED):
        return _check_function(value.__wrapped__)
    if type(value) in _USUAL_METACLASSES:
        return _check_class(cast("type", value))
    return None


def _check_function(function: Any, seen: tuple[object, ...] = ()) -> Callable[[], bool] | None:
    """Return a check of a function, and of the functions in its variables, as decorators leave."""
    if not isinstance(function, FunctionType):
        return None
    seen = *seen, function
    unknown = [each for each in _parts(function) if not any(each is known for known in seen)]
    others = [each for each in unknown if not is_fixed(each)]
    inner = [_check_function(each, seen) for each in others if isinstance(each, FunctionType)]
    if None in inner or len(inner) < len(others):
        return None
    checks = list(filter(None, inner))
    code, defaults, keywords = function.__code__, function.__defaults__, function.__kwdefaults__
    cells = [(cell, cell.cell_contents) for cell in function.__closure__ or () if _is_full(cell)]
    empty = [cell for cell in function.__closure__ or () if not _is_full(cell)]
    attributes = tuple(function.__dict__.items())
    keyword_values = tuple((keywords or {}).items())

    def check() -> bool:
        return (
            function.__code__ is code
            and function.__defaults__ is defaults
            and function.__kwdefaults__ is keywords
            and (keywords is None or tuple(keywords.items()) == keyword_values)
            and all(cell.cell_contents is content for cell, content in cells)
            and not any(map(_is_full, empty))
            and tuple(function.__dict__.items()) == attributes
            and all(each() for each in checks)
        )

    return check


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _has_fixed_parts(function: FunctionType) -> bool:
    return all(map(is_fixed, _parts(function)))


def _parts(function: FunctionType) -> list[object]:
    """Return what a function holds: defaults, attributes, what is in its variables."""
    parts: list[object] = [*(function.__defaults__ or ()), *function.__dict__.values()]
    parts += (function.__kwdefaults__ or {}).values()
    parts += [cell.cell_contents for cell in function.__closure__ or () if _is_full(cell)]
    return parts


def _check_class(cls: type) -> Callable[[], bool] | None:
    attributes = dict(vars(cls))
    attributes.pop(_OF_PICKLE, None)
    unchanged = _UNCHANGED
    if "__dataclass_fields__" in attributes:
        unchanged |= _OF_DATACLASSES
    for name, value in attributes.items():
        if name not in unchanged and not _is_fixed_attribute(value):
            return None
    bases, known = cls.__bases__, list(attributes.items())

    def check() -> bool:
        now = vars(cls)
        return (
            len(now) - (_OF_PICKLE in now) == len(known)
            and cls.__bases__ is bases
            and all(now.get(name) is value for name, value in known)
        )

    return check


def _is_fixed_attribute(value: object) -> bool:
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, property):
        return all(map(_is_fixed_attribute, (value.fget, value.fset, value.fdel)))
    if isinstance(value, FunctionType):
        return _has_fixed_parts(value)
    return is_fixed(value)
