"""What pickles of functions and classes call when they are opened; see `defining`.

It is loaded by each worker, so it needs little.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import linecache
import marshal
import weakref
from types import CellType, CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

from masterworker.data import mainmodule

if TYPE_CHECKING:
    from collections.abc import Callable

_SUBCLASSED: Final = "__init_subclass__"

#: What has been made of definitions, by name, while their pickles are being opened.
begun: dict[str, Any] = {}

#: Which attributes classes have got last.
_filled: Final = weakref.WeakKeyDictionary[type, frozenset[str]]()


def load_code(data: bytes) -> CodeType:
    """Rebuild code."""
    found = marshal.loads(data)  # noqa: S302  a part of a pickle, which is as trusted
    assert isinstance(found, CodeType)  # noqa: S101  for the type checker
    return found


def show_source(filename: str, text: str) -> None:
    """Let tracebacks, debuggers and `inspect` of this process find the text of a source."""
    lines = text.splitlines(keepends=True)
    linecache.cache[filename] = len(text), None, lines, filename


def make_cell() -> CellType:
    """Make a variable of a closure, which several functions may share."""
    return CellType()


def make_function(code: CodeType, closure: tuple[CellType, ...] | None = None) -> FunctionType:
    """Begin to rebuild a function, whose globals are those of the main program."""
    return FunctionType(code, mainmodule.namespace(), None, None, closure)


def fill_function(function: FunctionType, parts: tuple[Any, ...]) -> None:
    """Finish what `make_function` has begun."""
    attributes, state, contents, modules = parts
    function.__dict__.update(attributes)
    function.__module__ = mainmodule.MAIN
    for name, value in state.items():
        setattr(function, name, value)
    for cell, content in zip(function.__closure__ or (), contents or (), strict=True):
        if content:
            (cell.cell_contents,) = content
    for name in modules:
        importlib.import_module(name)


def make_class(make: Callable[..., type], args: tuple[Any, ...], bases: tuple[type, ...]) -> type:
    """Begin to rebuild a class.

    What its bases do when they get a subclass they have done already in the main program, and it
    is in what travels; so those of the main program do not do it again.
    """
    base_with_hook = next(
        (base for each in bases for base in each.__mro__ if _SUBCLASSED in vars(base)), None
    )
    if base_with_hook is None or base_with_hook.__module__ != mainmodule.MAIN:
        return _based_on(bases, make(*args))
    usual = vars(base_with_hook)[_SUBCLASSED]
    setattr(base_with_hook, _SUBCLASSED, classmethod(lambda cls, **keywords: None))  # noqa: ARG005
    try:
        return _based_on(bases, make(*args))
    finally:
        setattr(base_with_hook, _SUBCLASSED, usual)


def _based_on(bases: tuple[type, ...], made: type) -> type:
    """Return a class, which may be one that has come before, with the bases that it has now."""
    if made.__bases__ != bases:
        made.__bases__ = bases
    return made


def fill_class(
    fill: Callable[[type, Any], object], cls: type, state: tuple[dict[str, Any], Any]
) -> None:
    """Finish what `make_class` has begun: a class that has come before loses what it lost there."""
    now = frozenset(state[0])
    for name in _filled.get(cls, now) - now:
        with contextlib.suppress(AttributeError):  # a task has deleted it
            type.__delattr__(cls, name)
    fill(cls, state)
    _filled[cls] = now


def new_class(
    maker: type, kind: type, name: str, bases: tuple[type, ...], namespace: dict[str, Any]
) -> type:
    """Make a class without what its metaclass does besides.

    That has been done in the main program, and is in what travels.

    Args:
        maker: The class from which the metaclass has what makes classes.
        kind: The metaclass.
        name: Of the class.
        bases: Its bases.
        namespace: What it has from the beginning.
    """
    made: type = maker.__new__(kind, name, bases, namespace)
    return made


def make_cached(parameters: dict[str, Any], function: Callable[..., Any]) -> Any:
    """Rebuild what `functools.lru_cache` has made: each process has a cache of its own."""
    return functools.lru_cache(**parameters)(function)


def make_cached_property(
    function: Callable[[Any], Any], name: str | None, doc: str | None
) -> functools.cached_property[Any]:
    """Rebuild a cached property."""
    made = functools.cached_property(function)
    made.attrname = name
    made.__doc__ = doc
    return made


def make_dispatching(first: Callable[..., Any]) -> Any:
    """Begin to rebuild what `functools.singledispatch` has made."""
    return functools.singledispatch(first)


def load_library(
    kind: Callable[[str | None], Any], name: str | None, functions: list[tuple[str, Any, Any]]
) -> Any:
    """Load a shared library, and say again which types its functions have."""
    library = kind(name)
    for function, result, arguments in functions:
        found = getattr(library, function)
        found.restype, found.argtypes = result, arguments
    return library


def fill_array(array: Any, state: tuple[Any, dict[str, Any]]) -> None:
    """Give an array of a subclass its elements, and its attributes."""
    elements, attributes = state
    array.__setstate__(elements)
    array.__dict__.update(attributes)


def register_all(function: Any, others: list[tuple[type, Callable[..., Any]]]) -> None:
    """Finish what `make_dispatching` has begun."""
    for cls, implementation in others:
        function.register(cls, implementation)


def begin(name: str, make: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Begin to rebuild a definition, which may refer to itself by its name."""
    if name not in begun:
        begun[name] = make(*args)
    mainmodule.namespace()[name] = begun[name]
    return begun[name]
