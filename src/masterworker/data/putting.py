"""Giving attributes of modules the master's values in a worker, and what imports find meanwhile.

In the master, modules of the user's own have mostly been imported before the program sets anything,
and what they have done to one another then is in the values that the master sends. So while a
worker imports one that the master has, attributes are as imports alone leave them: *bare*. In the
end they have the master's values, without what this import has added once more. What modules add
that only the worker imports is kept, also beyond a later value.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from functools import partial
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from masterworker.data import containers, places, registers, stateful
from masterworker.data.builtin import MISSING
from masterworker.data.containers import Content
from masterworker.data.places import MARK, find
from masterworker.imported import watch_imports, when_imported
from masterworker.signals import held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextvars import ContextVar, Token

logger = logging.getLogger("masterworker.worker")

#: Functions and classes of modules that were replaced here, as the modules define them.
_originals: Final = dict[str, object]()
#: How context variables are again what they were before they were set here.
_tokens: Final = dict["ContextVar[Any]", "Token[Any]"]()


class _State:
    """What an attribute is at one time, and what that holds.

    Args:
        module: In which it is.
        path: Of the attribute there.
    """

    __slots__ = ("_at", "_content", "_last", "_value", "module", "path")

    def __init__(self, module: ModuleType, path: str) -> None:
        self.module, self.path = module, path
        self._at, self._last = _owner(module, path)
        self._value = vars(self._at).get(self._last, MISSING)
        self._content = Content(self._value)

    def again(self) -> _State:
        """Return what it is now."""
        return _State(self.module, self.path)

    def added(self) -> Content | None:
        """Return what it holds besides by now; None: nothing, or it is another object."""
        is_same = vars(self._at).get(self._last, MISSING) is self._value
        return self._content.added() if is_same else None

    def put_back(self) -> None:
        """Let it be this again."""
        if vars(self._at).get(self._last, MISSING) is not self._value:
            if self._value is MISSING:
                delattr(self._at, self._last)
            else:
                setattr(self._at, self._last, self._value)
        if not self._content.is_held():
            self._content.put_back()


def _owner(module: ModuleType, path: str) -> tuple[Any, str]:
    *parts, last = path.split(".")
    at: Any = module
    for part in parts:
        at = places.step(at, part)
    return at, last


class _Here:
    """The attributes that have been set here."""

    def __init__(self) -> None:
        #: Which of the user's own modules the master has, and what it has set before it had all.
        self.modules: frozenset[str] = frozenset()
        self.early: frozenset[str] = frozenset()
        #: What imports alone make of the attributes.
        self.bare: dict[str, _State] = {}
        #: What modules have added that only this process has: their names, and of which attribute.
        self.added: list[tuple[str, str, Content]] = []
        #: Modules that are being imported: those that the master has, and others.
        self.importing: list[str] = []
        self.others: list[str] = []
        #: What the attributes were when it was last looked what such a module has added.
        self.last: dict[str, _State] = {}
        #: What has been imported: a module that is loaded again is not what the master has.
        self.known: set[str] = set()
        #: What the attributes were before an import, and what is to be done after it.
        self.values: dict[str, _State] = {}
        self.after: list[Callable[[], None]] = []


_here: Final = _Here()


def master_has(modules: Iterable[str], early: Iterable[str]) -> None:
    """Say what the master has imported of the user's own modules.

    Args:
        modules: Their names.
        early: Attributes that the program has set before it has imported all of them.
    """
    _here.modules, _here.early = frozenset(modules), frozenset(early)
    # What the master has imported since is in its values.
    _here.added = [each for each in _here.added if each[0] not in _here.modules]
    watch_imports(_watch)


def put(names: Iterable[str], load: Callable[[], Iterable[Any]]) -> None:
    """Set attributes: now, or as soon as their modules are loaded, which none is for that.

    Args:
        names: Of attributes.
        load: Returns their values, in this order. It is called for each module.
    """
    names = tuple(names)
    for module in dict.fromkeys(name.partition(MARK)[0] for name in names):
        when_imported(module, partial(_put_in_time, names, load), key=",".join(names))


def _put_in_time(
    names: tuple[str, ...], load: Callable[[], Iterable[Any]], module: ModuleType
) -> None:
    """Set attributes when the import is over to which that of their module belongs."""
    now = partial(_put_all, names, load, module)
    if _here.importing and _here.early.isdisjoint(names):
        _here.after.append(now)
    else:
        now()


def _put_all(names: tuple[str, ...], load: Callable[[], Iterable[Any]], module: ModuleType) -> None:
    for name in names:
        if name in _originals:  # which is found by its name
            _put(module, name.partition(MARK)[2], _originals[name])
    for name in names:  # to open it may be to fill what is there
        home, _, path = name.partition(MARK)
        if home == module.__name__ and not registers.is_register(name):
            with contextlib.suppress(Exception):
                _note_bare(name, module, path)
    try:
        values = tuple(load())
    except Exception as error:
        logger.warning("what the main program has set (%s) cannot be set here: %r", names, error)
        return
    for name, value in zip(names, values, strict=True):
        home, _, path = name.partition(MARK)
        if home == module.__name__:
            if issubclass(type(before := find(name)), (FunctionType, type)):
                _originals.setdefault(name, before)
            try:
                if registers.is_register(name):
                    registers.enter(name, value)
                    continue
                _put(module, path, value)
                _add_again(name)
                if _here.others and name in _here.bare:
                    _here.last[name] = _here.bare[name].again()
            except Exception as error:
                logger.warning("%s cannot be set here: %r", name, error)


def _put(module: ModuleType, path: str, value: Any) -> None:
    at, last = _owner(module, path)
    now = find(f"{module.__name__}{MARK}{path}")
    if now is value:
        return
    if last == places.IN_CONTEXT:
        _set_in_context(at, value)
    elif value is places.Gone:
        if now is not MISSING:
            delattr(at, last)
    elif now is MISSING or places.step(at, last) is not now or not _fill(now, value):
        setattr(at, last, value)  # as where a property makes one for each who asks


def _fill(now: Any, value: Any) -> bool:
    """Let an object be what another one is, for all that have it; it is false if it cannot."""
    if type(now) is not type(value):
        return False
    if places.is_container(now) or places.is_kin(now):
        return containers.fill(now, value)
    if stateful.is_stateful(now):
        stateful.fill(now, value)
        return True
    return False


def _set_in_context(variable: ContextVar[Any], value: Any) -> None:
    if value is not places.Gone:
        _tokens.setdefault(variable, variable.set(value))
    elif (token := _tokens.pop(variable, None)) is not None:
        variable.reset(token)


def _note_bare(name: str, module: ModuleType, path: str) -> None:
    """Note what imports have made of an attribute, if it is one that simply keeps its value."""
    known = _here.bare.get(name)
    if (known is not None and known.module is module) or name in _here.early:
        return
    at, last = _owner(module, path)
    value, attributes = getattr(at, last, MISSING), getattr(at, "__dict__", None)
    if attributes is None or last == places.IN_CONTEXT:
        return
    if value is attributes.get(last, MISSING) and type(at).__setattr__ in _USUAL:
        _here.bare[name] = _State(module, path)


#: How attributes are set where nothing else happens then.
_USUAL: Final[tuple[Any, ...]] = (object.__setattr__, type.__setattr__, ModuleType.__setattr__)


def _add_again(name: str) -> None:
    for _, place, content in _here.added:
        if place == name:
            content.add_to(find(name))


# -- around imports -------------------------------------------------------------------------


def _watch(name: str) -> Callable[[Callable[[], None]], None] | None:
    """Return what executes a module that is imported for the first time; None: nothing special."""
    if name in _here.known or name in sys.modules:
        return None
    if name in _here.modules:
        return partial(_import_bare, name)
    if not _here.modules or (_here.others and _is_part(name, _here.others[-1])):
        return None
    return partial(_import_other, name)


def _is_part(name: str, of: str) -> bool:
    """Return whether a module is a part of one that imports it, or of the standard library."""
    package = name.partition(".")[0]
    return package in sys.stdlib_module_names or package == of.partition(".")[0]


def _import_bare(name: str, execute: Callable[[], None]) -> None:
    """Import a module that the master has.

    One that cannot be imported so may need what the program has set before it was imported.
    """
    is_outermost = not _here.importing
    try:
        _here.importing.append(name)
        if is_outermost:
            _go_bare()
        execute()
    except Exception:
        is_changed = is_outermost and (_here.values or _here.after)
        _end(name)
        if not is_changed:
            raise
        execute()
    except BaseException:
        _end(name)
        raise
    else:
        _end(name)
    _here.known.add(name)


def _go_bare() -> None:
    """Let attributes be what imports alone make of them.

    One may be a part of another one, so all are looked at before the first is set. What has been
    noted last may have been changed with what was set before.
    """
    with held:
        bare = {
            name: each
            for name, each in reversed(_here.bare.items())
            if sys.modules.get(each.module.__name__) is each.module and name not in _here.early
        }
        _here.values = {name: each.again() for name, each in bare.items()}
        for each in bare.values():
            each.put_back()


def _end(module: str) -> None:
    """Give attributes the master's values again, and those whose modules are loaded by now."""
    with held:
        if module in _here.importing:
            _here.importing.remove(module)
        if _here.importing:
            return
        values, _here.values = _here.values, {}
        _here.bare.update({name: each.again() for name, each in values.items()})
        for each in values.values():
            each.put_back()
    while _here.after and not _here.importing:
        _here.after.pop(0)()


def _import_other(name: str, execute: Callable[[], None]) -> None:
    """Import a module that the master has not, and note what that adds."""
    _note_added()
    _here.others.append(name)
    try:
        execute()
    finally:
        _note_added()
        _here.others.remove(name)
    _here.known.add(name)


def _note_added() -> None:
    """Note what has been added since it was last looked, by the innermost of other modules."""
    if _here.others:
        found = {name: state.added() for name, state in _here.last.items()}
        added = {name: content for name, content in found.items() if content is not None}
        if added:
            _here.added += [(_here.others[-1], *each) for each in added.items()]
            if _here.importing:  # where it would be taken back
                _here.after += [partial(_add_again, name) for name in added]
    _here.last = {name: state.again() for name, state in _here.bare.items()}
