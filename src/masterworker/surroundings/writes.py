"""Which attributes of modules a program sets: `config.LEVEL = 2`, `requests.get = other`.

A task would find there what the module has when it is imported. Read from the code of the main
program and of the user's own modules, which says what may be set; what they are is looked at later.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from operator import is_
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakMethod

from masterworker.data import mainmodule, marks, places
from masterworker.data.places import MARK
from masterworker.data.settings_in_code import IMPORTED, ITEM, Found, found_in
from masterworker.data.views import owner_of
from masterworker.surroundings import calls, folders, reloads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
_NEW_LOCALS: Final = 2  # a flag of the code of functions


class Writes:
    """What a program sets in modules. It is looked for again when a module has been imported.

    Args:
        forget: Called then, in the thread that imports: what has been found counts no more. It is
            not kept.
    """

    def __init__(self, forget: Callable[[], None]) -> None:
        self._forget = WeakMethod(forget)
        self._found: places.Written | None = None
        #: Which modules there were then, and whether there may be others by now.
        self._modules: dict[str, Any] = {}
        self._is_in_doubt = False
        self._loading: list[ModuleType] = []
        self._shell = _shell()
        if self._shell is not None:
            self._shell.events.register("pre_run_cell", self.look_again)
        reloads.watch_searches(self.look_again)

    def look(self) -> places.Written:
        """Return what may have been set. Costs some 50 us for each function, the first time."""
        found = self._found
        in_doubt, self._is_in_doubt = self._is_in_doubt, False
        if (
            found is None
            or self.typed_in
            or not all(map(_is_loading, self._loading))
            or (in_doubt and not self._modules_are_the_same())
        ):
            self._modules = sys.modules.copy()
            found = look()
            main = mainmodule.namespace()
            calls.name_settings(_executed(main), main)
            self._found = found
            self._loading = [each for each in _own_modules() if _is_loading(each)]
        return found

    def _modules_are_the_same(self) -> bool:
        """Return whether what was searched for since was not found. Costs 20 ns for each module."""
        known, now = self._modules, sys.modules.copy()
        return len(known) == len(now) and all(map(is_, known.values(), now.values()))

    @property
    def typed_in(self) -> bool:
        """The main program comes line by line, and nothing tells when."""
        return hasattr(sys, "ps1") and self._shell is None

    def look_again(self, name: object = None) -> None:
        """Doubt what was found: a module is looked for, or a cell begins.

        Args:
            name: Of the module.
        """
        if isinstance(name, str) and name not in sys.modules:  # it may not be found
            self._is_in_doubt = True
        else:
            self._found = None
        if (forget := self._forget()) is not None:
            forget()
        elif self._shell is not None:
            self._shell.events.unregister("pre_run_cell", self.look_again)
            self._shell = None


def _shell() -> Any:
    python = sys.modules.get("IPython")
    return None if python is None else python.get_ipython()


def _is_loading(module: ModuleType) -> bool:
    return bool(getattr(module.__spec__, "_initializing", False))


def look() -> places.Written:
    """Return which attributes of modules may have been set."""
    main = mainmodule.namespace()
    homes = _Homes()
    named: dict[str, None] = {}
    early: set[str] = set()
    for code in _codes_of_main(main):
        found = found_in(code)
        named.update(dict.fromkeys(_resolved(found, main, homes)))
        early.update(_early(found, main, homes))
    own: list[tuple[str, ...]] = []
    for module in homes.modules:
        inside: dict[str, None] = {}
        for function in _functions(module):
            found = found_in(function.__code__)
            if found is not None:
                named.update(dict.fromkeys(_resolved(found, vars(module), homes)))
                inside.update(dict.fromkeys(_of_its_own(found, vars(module))))
        if inside:
            own.append(tuple(f"{module.__name__}{MARK}{each}" for each in sorted(inside)))
    apart = {*named, *(name for names in own for name in names)}
    names = {mainmodule.MAIN, *(each.__name__ for each in homes.modules)}
    for module in homes.modules:
        marks.note_in(module.__name__, vars(module).copy(), names, apart)
    if not named and not own:
        return places.NOTHING
    modules = [each.__name__ for each in homes.modules if not _is_loading(each)]
    found_all = (
        tuple(sorted(named)),
        tuple(sorted(own)),
        tuple(modules),
        tuple(sorted(early - {""})),
    )
    return places.Written(*found_all)


class _Homes:
    """In which of the user's own modules objects have a name. Each name is looked up once."""

    def __init__(self) -> None:
        self.modules = list(_own_modules())
        self._spaces = [
            (each.__name__, vars(each)) for each in self.modules if each.__name__ != mainmodule.MAIN
        ]
        #: By name and identity; with the object, so that its identity stays its own.
        self._known: dict[str, dict[int, tuple[str, Any]]] = {}
        #: All of their objects, by identity.
        self._all: dict[int, tuple[str, Any]] | None = None

    def has(self, place: str) -> bool:
        """Return whether a place is in one of them."""
        home = place.partition(MARK)[0]
        return any(home == name for name, _ in self._spaces)

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


def _codes_of_main(main: dict[str, Any]) -> Iterator[CodeType]:
    """Return the code of the main program: what is executed there now, or what is left of it."""
    executed = [code for code in _executed(main) if not code.co_flags & _NEW_LOCALS]
    yield from executed
    if not executed or "In" in main:
        for value in list(main.copy().values()):
            if type(value) is FunctionType and value.__globals__ is main:
                yield value.__code__
    for cell in main.get("In", ()) if "get_ipython" in main else ():
        try:
            yield compile(cell, "<cell>", "exec")
        except (SyntaxError, ValueError, TypeError):
            continue


def _executed(main: dict[str, Any]) -> Iterator[CodeType]:
    """Return the code of the main program, and of its functions, that is executed now."""
    for frame in list(sys._current_frames().values()):
        each: Any = frame
        while each is not None:
            if each.f_globals is main:
                yield each.f_code
            each = each.f_back


def _own_modules() -> Iterator[ModuleType]:
    for name, module in list(sys.modules.copy().items()):
        if name.partition(".")[0] in _APART or name.startswith("__"):
            continue
        if type(module) is ModuleType:  # others may do anything when they are asked
            file = vars(module).get("__file__")
            if (
                type(file) is str
                and not folders.is_standard(file)
                and not _is_installed(name, file)
            ):
                yield module


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


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    for value in list(vars(module).copy().values()):
        inner = list(vars(value).copy().values()) if _is_class_of(value, module) else (value,)
        for each in inner:
            function = each.__func__ if type(each) in (staticmethod, classmethod) else each
            if type(function) is FunctionType and function.__globals__ is vars(module):
                yield function


def _of_its_own(found: Found, namespace: dict[str, Any]) -> Iterator[str]:
    """Return the names of globals that a function sets, or changes in place."""
    yield from (name for name in found.globals if name in namespace)
    for name, path in found.changes:
        if not path and places.is_container(namespace.get(name)):
            yield name


def _is_class_of(value: object, module: ModuleType) -> bool:
    return issubclass(type(value), type) and value.__module__ == module.__name__


def _resolved(found: Found | None, namespace: dict[str, Any], homes: _Homes) -> Iterator[str]:
    """Return the places that code sets, as its names mean something now."""
    if found is None:
        return
    for base, path in found.sets:
        place = _place(base, path, namespace, homes)
        if place:
            yield place
    for base, path in found.wholes:
        place = _place(base, (*path, ""), namespace, homes).removesuffix(".").removesuffix(MARK)
        if module := sys.modules.get(place):
            for name, value in list(vars(module).copy().items()):
                if not name.startswith("__") and type(value) not in (ModuleType, FunctionType):
                    yield f"{place}{MARK}{name}"
    for base, path in found.changes:
        if place := _changed(base, path, namespace, homes):
            yield place


def _early(found: Found | None, namespace: dict[str, Any], homes: _Homes) -> Iterator[str]:
    """Return what is set before one of the user's own modules is imported."""
    own = {each.__name__ for each in homes.modules}
    for name, chains in found.early if found is not None else ():
        if name in own:
            for chain in chains:
                yield _changed(*chain, namespace, homes) or _place(*chain, namespace, homes)


def _changed(base: str, path: tuple[str, ...], namespace: dict[str, Any], homes: _Homes) -> str:
    """Return the place of what is changed: the first in a chain that holds items; "": no module's.

    The last name may be that of a view of an array, say. Whatever has items of which one is changed
    holds that.
    """
    *_, last = ("", *path)
    path = path[:-1] if (is_item := last == ITEM) else path
    for number in range(len(path) + 1):
        place = _place(base, path[:number], namespace, homes)
        if not place:
            continue
        found = places.find(place)
        if places.is_container(found) or (places.is_kin(found) and homes.has(place)):
            return place
    return place if is_item and place and type(found) is tuple else ""


def _place(base: str, path: tuple[str, ...], namespace: dict[str, Any], homes: _Homes) -> str:
    """Return `module:attribute` of what code means by a name and attributes; "": no module's."""
    if base.startswith(IMPORTED):
        name, inner = _module_of(base.removeprefix(IMPORTED))
        return _in_module(name, (*inner, *path))
    value: Any = namespace.get(base)
    kind = type(value)  # a proxy may say that it is something else, or raise
    if issubclass(kind, ModuleType):
        return _in_module(str(vars(value).get("__name__")), path)
    if value is None or not path:
        return _home_of(base, value, homes) if value is not None else ""
    if issubclass(kind, type):
        if value.__module__ in (mainmodule.MAIN, namespace.get("__name__")):
            return ""
        return _in_module(value.__module__, (*value.__qualname__.split("."), *path))
    home = _home_of(base, value, homes)
    return f"{home}.{'.'.join(path)}" if home else ""


def _module_of(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the name of a module that was imported, or from which, and what from there."""
    home, _, last = name.rpartition(".")
    module = sys.modules.get(home)
    if name in sys.modules or not issubclass(type(module), ModuleType):
        return name, ()
    found: Any = vars(module).get(last)  # others are asked nothing: that may load them
    return (found.__name__, ()) if issubclass(type(found), ModuleType) else (home, (last,))


def _home_of(name: str, value: Any, homes: _Homes) -> str:
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
