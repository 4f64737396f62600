"""What chains in code stand for now: attributes of modules, by their places.

A chain is a name and attributes, as `data/reading.py` finds them.
"""

from __future__ import annotations

import itertools
import os
import sys
from functools import lru_cache
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from masterworker.data import mainmodule, places, stateful
from masterworker.data.places import MARK
from masterworker.data.reading import IMPORTED, ITEM, PARAMETER, RESULT, THIS, VARIABLE
from masterworker.data.settings_in_code import found_in
from masterworker.data.views import owner_of
from masterworker.surroundings import folders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.data.reading import Chain, Found

#: Modules that are set up in other ways, or for one process only.
_APART: Final = frozenset({"masterworker", "Scientific", "builtins", "logging", "IPython", "gc"})
#: Attributes of `sys` that belong to a process.
_OF_SYS: Final = frozenset(
    (
        *("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__", "argv", "path"),
        *("modules", "meta_path", "path_hooks", "path_importer_cache", "executable", "prefix"),
        *("excepthook", "displayhook", "breakpointhook", "unraisablehook", "ps1", "ps2"),
        *("last_type", "last_value", "last_traceback", "warnoptions", "flags"),
    )
)
_CLASS: Final = "__class__"
#: Classes of libraries with methods that change an object.
_CHANGEABLE: Final = frozenset(
    (
        *(("configparser", "ConfigParser"), ("configparser", "RawConfigParser")),
        *(("random", "Random"), ("numpy.random._generator", "Generator")),
        *(("_weakrefset", "WeakSet"), ("weakref", "WeakKeyDictionary")),
        ("weakref", "WeakValueDictionary"),
        *(("numpy.random.mtrand", "RandomState"), ("types", "SimpleNamespace")),
        ("argparse", "Namespace"),
    )
)
#: How far functions that give to functions what they are given are followed.
_DEEPEST: Final = 3


class Homes:
    """In which of the user's own modules objects have a name. Each name is looked up once."""

    def __init__(self) -> None:
        self.modules = list(own_modules())
        self._spaces = [
            (each.__name__, vars(each)) for each in self.modules if each.__name__ != mainmodule.MAIN
        ]
        self._names = frozenset(name for name, _ in self._spaces)
        #: By name and identity; with the object, so that its identity stays its own.
        self._known: dict[str, dict[int, tuple[str, Any]]] = {}
        #: All of their objects, by identity.
        self._all: dict[int, tuple[str, Any]] | None = None

    def has(self, place: str) -> bool:
        """Return whether a place is in one of them, or a module one of them."""
        return place.partition(MARK)[0] in self._names

    def of(self, name: str, value: Any) -> str:
        """Return `module:name` of the first module that has an object; "": none has.

        Args:
            name: It is looked for under this one first.
            value: The object.
        """
        found = self._known.get(name)
        if found is None:
            self._known[name] = found = {}
            for home, space in self._spaces:
                if (each := space.get(name)) is not None:
                    found.setdefault(id(each), (f"{home}{MARK}{name}", each))
        if known := found.get(id(value)):
            return known[0]
        if self._all is None:
            self._all = {
                id(each): (f"{home}{MARK}{other}", each)
                for home, space in reversed(self._spaces)
                for other, each in reversed(space.copy().items())
                if not other.startswith("__")
            }
        return self._all.get(id(value), ("", None))[0]


def own_modules() -> Iterator[ModuleType]:
    """Return the modules of this process that are the user's own."""
    for name, module in list(sys.modules.copy().items()):
        if name.partition(".")[0] in _APART or name.startswith("__"):
            continue
        if type(module) is ModuleType:  # others may do anything when they are asked
            file = vars(module).get("__file__")
            if type(file) is str and not is_of_library(name, file):
                yield module


def is_of_library(name: str, file: str) -> bool:
    """Return whether a module is not of the user's own."""
    return folders.is_standard(file) or _is_installed(name, file)


def _is_installed(name: str, file: str) -> bool:
    """Return whether a module has been installed in a folder of the user's, as by `--target`."""
    folder = os.path.dirname(file)
    for _ in range(name.count(".") + os.path.basename(file).startswith("__init__.")):
        folder = os.path.dirname(folder)
    return _has_installed(folder)


@lru_cache(256)
def _has_installed(folder: str) -> bool:
    try:
        return any(name.endswith(".dist-info") for name in os.listdir(folder))
    except OSError:
        return False


def resolved(
    found: Found | None, namespace: dict[str, Any], homes: Homes, depth: int = 0
) -> Iterator[str]:
    """Return the places that code sets, as its names mean something now."""
    if found is None:
        return
    for base, path in (*found.sets, *found.deletes):
        if place := place_of(base, path, namespace, homes):
            yield place
    for base, path in found.wholes:
        place = place_of(base, (*path, ""), namespace, homes).removesuffix(".").removesuffix(MARK)
        if module := sys.modules.get(place):
            yield from (f"{place}{MARK}{name}" for name in data_of(module))
        elif homes.has(place) and has_state(places.find(place)):
            yield place
    for base, path in found.changes:
        if place := _changed(base, path, namespace, homes):
            yield place
    for callee, at, given in found.passes if depth < _DEEPEST else ():
        if (inner := _given(callee, at, given, namespace)) is not None:
            yield from resolved(inner, namespace, homes, depth + 1)


def deleted(found: Found | None, namespace: dict[str, Any], homes: Homes) -> Iterator[str]:
    """Return the places that code takes away."""
    for base, path in found.deletes if found is not None else ():
        if place := place_of(base, path, namespace, homes):
            yield place


def early(found: Found | None, namespace: dict[str, Any], homes: Homes) -> Iterator[str]:
    """Return what is set before one of the user's own modules is imported."""
    for name, chains in found.early if found is not None else ():
        if homes.has(_absolute(name, namespace)):
            for chain in chains:
                yield _changed(*chain, namespace, homes) or place_of(*chain, namespace, homes)


def data_of(module: ModuleType) -> list[str]:
    """Return the names of what a module has, but for modules, functions and what Python sets."""
    return [
        name
        for name, value in list(vars(module).copy().items())
        if not name.startswith("__") and type(value) not in (ModuleType, FunctionType)
    ]


def has_setter(place: str, homes: Homes) -> bool:
    """Return whether code of a class is what sets an attribute, which would be executed twice.

    What that code has made of the object is its state, which can be sent.
    """
    home, _, last = place.rpartition(".")
    if not places.is_place(home) or not homes.has(home):
        return False
    value = places.find(home)
    return stateful.is_stateful(value) and stateful.sets_otherwise(value, last)


def _given(callee: Chain, at: int | str, given: Chain, namespace: dict[str, Any]) -> Found | None:
    """Return what a function does to what it is given, with the name that this has here."""
    function = _object(callee, namespace)
    if type(function) is MethodType:
        function, at = function.__func__, at if isinstance(at, str) else at + 1
    if type(function) is not FunctionType or not is_own(function.__globals__):
        return None
    if isinstance(at, str):
        names = function.__code__.co_varnames
        at = names.index(at) if at in names else -1
    inner, parameter = found_in(function.__code__, is_main=True), f"{PARAMETER}{at}"
    if inner is None:
        return None

    def named(chains: list[Chain]) -> list[Chain]:
        found = [path for base, path in chains if base == parameter]
        return [(given[0], (*given[1], *path)) for path in found]

    passes = [
        (*each[:2], (given[0], (*given[1], *each[2][1])))
        for each in inner.passes
        if each[2][0] == parameter and function.__globals__ is namespace
    ]
    return inner._replace(
        sets=named(inner.sets),
        wholes=named(inner.wholes),
        changes=named(inner.changes),
        deletes=named(inner.deletes),
        passes=passes,
    )


def is_own(namespace: dict[str, Any]) -> bool:
    """Return whether globals are those of the main program or of one of the user's own modules."""
    name, file = namespace.get("__name__"), namespace.get("__file__")
    if namespace is mainmodule.namespace():
        return True
    return type(name) is str and type(file) is str and not is_of_library(name, file)


def _object(chain: Chain, namespace: dict[str, Any]) -> Any:
    """Return what a chain stands for; None: that is not known."""
    base, path = chain
    if base.startswith(IMPORTED):
        home, inner = _module_of(base.removeprefix(IMPORTED), namespace)
        value: Any = sys.modules.get(home)
        path = (*inner, *path)
    else:
        value = namespace.get(base)
    for part in path:
        if part in (ITEM, RESULT):
            return None
        try:
            value = getattr(value, part)
        except Exception:  # a proxy, or a property
            return None
    return value


def _changed(base: str, path: tuple[str, ...], namespace: dict[str, Any], homes: Homes) -> str:
    """Return the place of what is changed: the first in a chain that holds items; "": no module's.

    The last name may be that of a view of an array, say. Whatever has items of which one is changed
    holds that.
    """
    *_, last = ("", *path)
    path = path[:-1] if (is_item := last == ITEM) else path
    place = ""
    for number in range(len(path) + 1):
        place = place_of(base, path[:number], namespace, homes)
        if not place:
            continue
        found = places.find(place)
        if places.is_container(found) or (holds_items(found) and homes.has(place)):
            return place
    if is_item and place and type(places.find(place)) is tuple:
        return place
    return place if homes.has(place) and has_state(places.find(place)) else ""


def has_state(value: object) -> bool:
    """Return whether an object can be sent, and given to the one that a worker has."""
    return stateful.is_stateful(value) or holds_items(value)


def holds_items(value: object) -> bool:
    """Return whether methods of an object of a library change it, as those of containers do."""
    kind = type(value)
    if places.is_kin(value) or kind in (itertools.count, itertools.cycle):
        return True
    return (kind.__module__, kind.__name__) in _CHANGEABLE


def place_of(base: str, path: tuple[str, ...], namespace: dict[str, Any], homes: Homes) -> str:
    """Return `module:attribute` of what code means by a name and attributes; "": no module's."""
    if RESULT in path:
        return _place_of_result(base, path, namespace, homes)
    if _CLASS in path:
        at = path.index(_CLASS)
        return _in_class(_object((base, path[:at]), namespace), path[at + 1 :])
    if (known := _module_by(base, namespace)) is not None:
        return _in_module(known[0], (*known[1], *path))
    value: Any = namespace.get(base)
    kind = type(value)  # a proxy may say that it is something else, or raise
    if path and issubclass(kind, type):
        if value.__module__ in (mainmodule.MAIN, namespace.get("__name__")):
            return ""
        return _in_module(value.__module__, (*value.__qualname__.split("."), *path))
    home = "" if value is None else _home_of(base, value, homes)
    return ".".join((home, *path)) if home else ""


def _place_of_result(
    base: str, path: tuple[str, ...], namespace: dict[str, Any], homes: Homes
) -> str:
    """Return the place of something in what a function returns, if it says so."""
    at = path.index(RESULT)
    function = _object((base, path[:at]), namespace)
    of: tuple[str, ...] = ()
    if type(function) is MethodType:
        function, of = function.__func__, path[: at - 1]
    if type(function) is not FunctionType or not is_own(function.__globals__):
        return ""
    found = found_in(function.__code__, is_main=True)
    for inner, rest in found.returns if found is not None else ():
        if inner == f"{PARAMETER}0" and of:
            return place_of(base, (*of, *rest, *path[at + 1 :]), namespace, homes)
        if not inner.startswith((PARAMETER, VARIABLE)) and RESULT not in rest:
            return place_of(inner, (*rest, *path[at + 1 :]), function.__globals__, homes)
    return ""


def _module_by(base: str, namespace: dict[str, Any]) -> tuple[str, tuple[str, ...]] | None:
    """Return the name of the module for which the first name of a chain stands, and what in it."""
    if base == THIS:
        return str(namespace.get("__name__")), ()
    if base.startswith(IMPORTED):
        return _module_of(base.removeprefix(IMPORTED), namespace)
    value = namespace.get(base)
    if issubclass(type(value), ModuleType):  # a proxy may say that it is something else, or raise
        return str(vars(value).get("__name__")), ()
    return None


def _in_class(value: object, path: tuple[str, ...]) -> str:
    """Return the place of something in the class of an object."""
    cls = type(value)
    if value is None or cls.__module__ == mainmodule.MAIN or "<locals>" in cls.__qualname__:
        return ""
    return _in_module(cls.__module__, (*cls.__qualname__.split("."), *path))


def _absolute(name: str, namespace: dict[str, Any]) -> str:
    """Return the whole name of a module that code imports from beside it, or from above."""
    plain = name.lstrip(".")
    if not (level := len(name) - len(plain)):
        return name
    package = str(namespace.get("__package__")).split(".")
    return ".".join((*package[: len(package) + 1 - level], plain))


def _module_of(name: str, namespace: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return the name of a module that was imported, or from which, and what from there."""
    name = _absolute(name, namespace)
    home, _, last = name.rpartition(".")
    module = sys.modules.get(home)
    if name in sys.modules or not issubclass(type(module), ModuleType):
        return name, ()
    found: Any = vars(module).get(last)  # others are asked nothing: that may load them
    return (found.__name__, ()) if issubclass(type(found), ModuleType) else (home, (last,))


def _home_of(name: str, value: Any, homes: Homes) -> str:
    """Return where an object is from that has been imported by its name; "": it is not known."""
    kind = type(value)
    if value is None or kind in (int, float, str, bool, bytes, tuple, FunctionType, type):
        return ""
    of_class = sys.modules.get(str(kind.__module__))
    home = of_class.__name__ if type(of_class) is ModuleType else mainmodule.MAIN
    if home == mainmodule.MAIN or vars(of_class).get(name) is not value:
        home = ""
    if home.partition(".")[0] in _APART or not home:
        owner = owner_of(value)  # of an array that may be a view of it
        return homes.of(name, value) or ("" if owner is None else homes.of(name, owner))
    return f"{home}{MARK}{name}"


def _in_module(name: str, path: tuple[str, ...]) -> str:
    module: Any = sys.modules.get(name)
    while path and type(module) is ModuleType:
        part = vars(module).get(path[0])
        if not issubclass(type(part), ModuleType):
            break
        module, path = part, path[1:]
        name = str(vars(part).get("__name__"))
    if not path or name.partition(".")[0] in _APART or name == mainmodule.MAIN:
        return ""
    if (name == "sys" and path[0] in _OF_SYS) or (name, path[0]) == ("os", "environ"):
        return ""
    return f"{name}{MARK}{'.'.join(path)}"
