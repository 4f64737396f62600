"""What programs enter in registers of the standard library: only these items travel.

A register holds what libraries have entered as well, which workers have from these libraries. What
is the program's is seen from where its classes and functions are defined. Registers are attributes
of modules (`places`) with a way of their own to be read, and to be filled.
"""

from __future__ import annotations

import codecs
import sys
from operator import is_
from types import CodeType, FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from masterworker.data import mainmodule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    _Items = tuple[Any, ...]

#: Dictionaries of the standard library, and the functions that fill them.
_DICTIONARIES: Final = {
    "copyreg:dispatch_table": ("pickle",),
    "multiprocessing.reduction:ForkingPickler._extra_reducers": ("register",),
    "sqlite3:adapters": ("register_adapter",),
    "sqlite3:converters": ("register_converter",),
    "shutil:_ARCHIVE_FORMATS": ("register_archive_format",),
    "shutil:_UNPACK_FORMATS": ("register_unpack_format",),
}
_NAMESPACES: Final = "xml.etree.ElementTree:_namespace_map"
_DIALECTS: Final = "csv:list_dialects"
_ERRORS: Final = "codecs:lookup_error"
_CALLS: Final = {
    **_DICTIONARIES,
    _NAMESPACES: ("register_namespace",),
    _DIALECTS: ("register_dialect",),
    _ERRORS: ("register_error",),
}
#: Namespaces, and dialects, that are there from the beginning.
_USUAL: Final = frozenset(
    (
        *("http://www.w3.org/XML/1998/namespace", "http://www.w3.org/1999/xhtml"),
        *("http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://schemas.xmlsoap.org/wsdl/"),
        *("http://www.w3.org/2001/XMLSchema", "http://www.w3.org/2001/XMLSchema-instance"),
        *("http://purl.org/dc/elements/1.1/", "excel", "excel-tab", "unix"),
    )
)
#: Of a dialect.
_FORMAT: Final = (
    *("delimiter", "doublequote", "escapechar", "lineterminator"),
    *("quotechar", "quoting", "skipinitialspace", "strict"),
)
#: The end of the name of what a function with one implementation for each class knows.
_GENERIC: Final = ".(registered)"


class _Here:
    """What this process knows of the program."""

    def __init__(self) -> None:
        #: The main program, and modules of the user's own.
        self.own: frozenset[str] = frozenset()
        #: Texts that may be names of error handlers.
        self.texts: frozenset[str] = frozenset()
        #: What has been entered here, by the name of the register.
        self.entered: dict[str, tuple[object, ...]] = {}
        #: What a register held when it was read last, by its name: the set `own` of that time, all
        #: keys, all values, and the program's items.
        self.read: dict[str, tuple[object, _Items, _Items, dict[Any, Any]]] = {}


_here: Final = _Here()


def is_register(name: str) -> bool:
    """Return whether a place is a register."""
    return name in _CALLS or name.endswith(_GENERIC)


# -- in the master --------------------------------------------------------------------------


def used(codes: Iterable[CodeType], spaces: dict[str, dict[str, Any]]) -> list[str]:
    """Return in which registers the program has entered something, or may do so.

    Args:
        codes: Code of the main program, with that of its functions inside.
        spaces: Names of the main program, and of each of the user's own modules.
    """
    _here.own = frozenset(spaces)
    main = spaces[mainmodule.MAIN]
    todo, names, texts = list(codes), set[str](), set[str]()
    while todo:
        code = todo.pop()
        names.update(code.co_names)
        todo += [each for each in code.co_consts if type(each) is CodeType]
        if "register_error" in code.co_names:
            texts.update(each for each in code.co_consts if type(each) is str)
    _here.texts = frozenset(texts)
    generic = [
        f"{home}:{name}{_GENERIC}"
        for home, space in spaces.items()
        for name, value in space.copy().items()
        if home != mainmodule.MAIN and _is_generic(value) and value.__module__ == home
    ]
    return [name for name in generic if read(name)] + [
        name
        for name, calls in _CALLS.items()
        if name.partition(":")[0] in sys.modules
        and (_are_called(names, name.partition(":")[0], calls, main) or read(name))
    ]


def _is_generic(value: object) -> bool:
    if type(value) is not FunctionType or value.__module__ == mainmodule.MAIN:
        return False
    return type(getattr(value, "registry", None)) is MappingProxyType


def _are_called(names: set[str], home: str, calls: Iterable[str], main: dict[str, Any]) -> bool:
    """Return whether code with such names may call functions of a module."""
    found = [name for name in calls if name in names]
    return bool(found) and (
        home.rpartition(".")[2] in names
        or any(getattr(main.get(name), "__module__", None) == home for name in found)
    )


def read(name: str) -> dict[Any, Any]:
    """Return the program's items of a register."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    if found is None:
        return {}
    if name == _ERRORS:
        return dict(_handlers())
    if name == _DIALECTS:
        names = set(found.list_dialects()) - _USUAL
        kept = ((each, found.get_dialect(each)) for each in sorted(names))
        return {each: {name: getattr(it, name) for name in _FORMAT} for each, it in kept}
    for part in path.replace(_GENERIC, ".registry").split("."):
        found = getattr(found, part, None)
    items = dict(found or {})
    if name == _NAMESPACES:
        return {key: value for key, value in items.items() if key not in _USUAL}
    return _own_of(name, items)


def _own_of(name: str, items: dict[Any, Any]) -> dict[Any, Any]:
    """Return which items of a register are the program's.

    Each call asks, and libraries enter hundreds of items: as long as all of them are the same
    objects, none is looked at by itself.
    """
    own = _here.own
    known = _here.read.get(name)
    if known is not None and known[0] is own and len(known[1]) == len(items):
        _, keys, values, found = known
        if all(map(is_, items, keys)) and all(map(is_, items.values(), values)):
            return found.copy()
    found = {key: value for key, value in items.items() if _is_own(key) or _is_own(value)}
    _here.read[name] = own, tuple(items), tuple(items.values()), found
    return found.copy()


def _handlers() -> Iterator[tuple[str, Callable[..., Any]]]:
    for text in sorted(_here.texts):
        try:
            handler = codecs.lookup_error(text)
        except (LookupError, ValueError):
            continue
        if _is_own(handler):
            yield text, handler


def _is_own(value: Any) -> bool:
    """Return whether a class or function, or one in a tuple, is the program's."""
    if type(value) is tuple:
        return any(map(_is_own, value))
    if not isinstance(value, (type, FunctionType)):
        return False
    return value.__module__ in _here.own


# -- in the worker --------------------------------------------------------------------------


def enter(name: str, items: dict[Any, Any]) -> None:
    """Enter the program's items in a register, and take out those that are there no more."""
    module, _, path = name.partition(":")
    found: Any = sys.modules[module]
    gone = [key for key in _here.entered.get(name, ()) if key not in items]
    _here.entered[name] = tuple(items)
    if name == _ERRORS:
        for key, handler in items.items():
            codecs.register_error(key, handler)
    elif name == _DIALECTS:
        for key, form in items.items():
            found.register_dialect(key, **form)
        for key in gone:
            found.unregister_dialect(key)
    else:
        for part in path.removesuffix(_GENERIC).split("."):
            found = getattr(found, part)
        if name.endswith(_GENERIC):
            for cls, function in items.items():
                found.register(cls, function)
            return
        found.update(items)
        for key in gone:
            found.pop(key, None)
