"""The forms of values that do not tell pickle what they are, or tell it more than that."""

from __future__ import annotations

import enum
import functools
import pathlib
import sys
import types
from typing import TYPE_CHECKING, Any, Final

from masterworker.journal import tables

if TYPE_CHECKING:
    from masterworker.journal.forms import Forms, Maker

#: The main program has other names in its workers.
_MAIN: Final = frozenset(("__main__", "__mp_main__"))
#: Of a class, what says nothing about it.
_IGNORED: Final = frozenset(
    ("__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__", "__static_attributes__")
)
_WRAPPER: Final = type(functools.lru_cache(lambda: None))


def module_name(module: str) -> str:
    """Return the name of a module for keys: the same in the master and its workers."""
    if module in _MAIN:
        return "__main__"
    # NumPy 2 and Python 3.13 have given these new names.
    if module == "pathlib._local":
        return "pathlib"
    return module.replace("numpy._core", "numpy.core") if module.startswith("numpy.") else module


def named(value: Any) -> str | None:
    """Return the name under which a class or function is found; None: it is found under none."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or "<" in name:
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module_name(module)}:{name}" if found is value and found is not None else None


def is_found(value: Any) -> bool:
    """Return whether a function is found under its name: quick, and may be False all the same."""
    module = sys.modules.get(value.__module__)
    return module is not None and module.__dict__.get(value.__qualname__) is value


def _by_name(name: str) -> bytes:
    return b"N" + name.encode("utf-8", "surrogatepass")


def _function(to: Forms, function: types.FunctionType) -> bytes:
    name = named(function)
    if name is not None:
        return _by_name(name)
    cells = [_contents(cell) for cell in function.__closure__ or ()]
    parts = [
        *(_Code(function.__code__, function.__doc__), function.__defaults__),
        *(function.__kwdefaults__, cells, function.__dict__),
    ]
    return to.parts(b"F", parts)


def _contents(cell: types.CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # nothing is in it yet
        return ()


class _Code:
    """The code of a function, without what it is documented with."""

    def __init__(self, code: types.CodeType, doc: str | None = None) -> None:
        self.code, self.doc = code, doc


def _code(to: Forms, of: _Code) -> bytes:
    code = of.code
    constants = code.co_consts
    if of.doc is not None and constants[:1] == (of.doc,):
        constants = constants[1:]
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    numbers = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    return to.parts(b"c", (code.co_code, constants, names, numbers))


def _class(to: Forms, kind: type) -> bytes:
    name = named(kind)
    if name is not None:
        return _by_name(name)
    members = {each: value for each, value in vars(kind).items() if each not in _IGNORED}
    members = {n: v for n, v in members.items() if not isinstance(v, _DESCRIPTORS)}
    return to.parts(b"K", (kind.__qualname__, kind.__bases__, _Attributes(members)))


class _Attributes(dict[str, Any]):
    """Names with values in whichever order."""


#: Python makes these for a class.
_DESCRIPTORS = (types.GetSetDescriptorType, types.MemberDescriptorType)


def _method(to: Forms, method: types.MethodType) -> bytes:
    return to.parts(b"M", (method.__func__, method.__self__))


def _builtin(to: Forms, function: types.BuiltinFunctionType) -> bytes:
    owner = function.__self__
    if owner is None or isinstance(owner, types.ModuleType):
        return _by_name(f"{module_name(function.__module__ or '')}:{function.__qualname__}")
    return to.parts(b"B", (owner, function.__name__))


def _described(to: Forms, method: Any) -> bytes:
    return to.parts(b"D", (method.__objclass__, method.__name__))


def _partial(to: Forms, call: functools.partial[Any]) -> bytes:
    return to.parts(b"P", (call.func, call.args, _Attributes(call.keywords)))


def _module(_: Forms, module: types.ModuleType) -> bytes:
    return _by_name(module_name(module.__name__))


def _cached(to: Forms, function: Any) -> bytes:
    name = named(function)
    return _by_name(name) if name is not None else to.parts(b"W", (function.__wrapped__,))


def _property(to: Forms, value: property) -> bytes:
    return to.parts(b"p", (value.fget, value.fset, value.fdel))


def _wrapped(to: Forms, value: Any) -> bytes:
    return to.parts(b"w", (type(value), value.__func__))


KINDS: Final[dict[type, Maker]] = {
    tuple: lambda to, value: to.parts(b"(", value),
    list: lambda to, value: to.parts(b"[", value),
    dict: lambda to, value: to.parts(b"{", value.items()),
    set: lambda to, value: to.unordered(b"<", value),
    frozenset: lambda to, value: to.unordered(b">", value),
    bytearray: lambda to, value: to.parts(b"Y", (bytes(value),)),
    type: _class,
    types.FunctionType: _function,
    types.MethodType: _method,
    types.BuiltinFunctionType: _builtin,
    types.MethodDescriptorType: _described,
    types.WrapperDescriptorType: _described,
    types.ClassMethodDescriptorType: _described,
    types.ModuleType: _module,
    types.CodeType: lambda to, value: _code(to, _Code(value)),
    functools.partial: _partial,
    property: _property,
    classmethod: _wrapped,
    staticmethod: _wrapped,
    _WRAPPER: _cached,
    _Code: _code,
    _Attributes: lambda to, value: to.attributes(b"a", value),
}


def _path(to: Forms, value: pathlib.PurePath) -> bytes:
    return to.parts(b"/", (type(value), str(value)))


def _member(to: Forms, value: enum.Enum) -> bytes:
    return to.parts(b"E", (type(value), value.name, value.value))


def later_kind(kind: type) -> Maker | None:
    """Return what makes the forms of a class that is not in `KINDS`; None: it tells pickle."""
    if issubclass(kind, enum.Enum):
        return _member
    if issubclass(kind, pathlib.PurePath):
        return _path
    if issubclass(kind, type):
        return _class
    root = kind.__module__.partition(".")[0] if isinstance(kind.__module__, str) else ""
    if root in {"numpy", "pandas"} or _has_array(kind):
        return tables.kind_of(kind)
    return None


def _has_array(kind: type) -> bool:
    return any(base.__module__ == "numpy" for base in kind.__mro__ if base is not object)
