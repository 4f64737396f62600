"""Which attributes of modules a program sets: `config.LEVEL = 2`, `requests.get = other`.

A task would find there what the module has when it is imported. Read from the code of the main
program and of the user's own modules, which says what may be set; what they are is looked at later.
"""

from __future__ import annotations

import sys
from operator import is_
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakMethod

from masterworker.data import mainmodule, marks, places, registers
from masterworker.data.settings_in_code import found_in
from masterworker.surroundings import calls, owned, reloads
from masterworker.surroundings.given import given_away
from masterworker.surroundings.meaning import (
    Homes,
    deleted,
    early,
    has_setter,
    own_modules,
    resolved,
)
from masterworker.surroundings.toplevel import set_by_imports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
            self._loading = [each for each in own_modules() if _is_loading(each)]
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
            name: Of the module. One of ours, which are loaded when they are needed, says nothing.
        """
        if isinstance(name, str) and name.startswith("masterworker."):
            return
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
    homes = Homes()
    named: dict[str, None] = {}
    gone: dict[str, None] = {}
    soon: set[str] = set()
    given: set[str] = set()
    codes = list(_codes_of_main(main))
    for code in codes:
        found = found_in(code, is_main=True)
        named.update(dict.fromkeys(resolved(found, main, homes)))
        gone.update(dict.fromkeys(deleted(found, main, homes)))
        soon.update(early(found, main, homes))
        given.update(given_away(found, main, homes))
    functions = [(module, list(owned.functions_of(module))) for module in homes.modules]
    for module, those in functions:
        for each in those:
            if (found := found_in(each.function.__code__)) is not None:
                named.update(dict.fromkeys(resolved(found, vars(module), homes)))
                gone.update(dict.fromkeys(deleted(found, vars(module), homes)))
    named.update(dict.fromkeys(set_by_imports(homes)))
    groups = [*owned.Kept(functions).groups, *((each,) for each in given)]
    own = {group for group in groups if not named.keys() >= set(group)}
    apart = {*named, *(name for names in own for name in names)}
    spaces = {mainmodule.MAIN: main, **{each.__name__: vars(each) for each in homes.modules}}
    named.update(dict.fromkeys(registers.used(codes, spaces)))
    names = set(spaces)
    for module in homes.modules:
        marks.note_in(module.__name__, vars(module).copy(), names, apart)
    if not named and not own:
        return places.NOTHING
    return places.Written(
        named=tuple(sorted(named)),
        own=tuple(sorted(own)),
        modules=tuple(each.__name__ for each in homes.modules if not _is_loading(each)),
        early=tuple(sorted(soon - {""})),
        deleted=tuple(sorted(gone)),
        setters=tuple(each for each in named if has_setter(each, homes)),
    )


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
