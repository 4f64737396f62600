"""Objects that programs compare by identity: each is one in a worker, wherever it is referred to.

So it is with marks, such as `MISSING = object()`, and with other objects that a module of the
user's own has under a name. Each is known by the first of its names. In a worker it is what that
module has there, unless the program sets the name of a mark; else one is made. What it holds comes
with it.
"""

from __future__ import annotations

import contextlib
import copyreg
import weakref
from collections import Counter
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from masterworker.data import methods
from masterworker.data.builtin import MISSING
from masterworker.data.methods import OfModule
from masterworker.data.places import MARK, find, is_container
from masterworker.data.stateful import is_reduced_as_usual, slots_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

#: How many objects are remembered.
_KEPT: Final = 10_000
#: By identity: objects of this process, what each is known by, and whether its module has it.
_known: Final = dict[int, tuple["Callable[[], object]", str, bool]]()
#: By identity: containers, and the places that have them.
_places: Final = dict[int, tuple[object, str]]()
#: Places to which no other one refers, since they may be set later than that.
_late: Final = set[str]()
#: What a pickle spells that may hold one.
_names: Final = {b"builtins\x94\x8c\x06object": None}
#: How many objects have had a name.
_count: Final = Counter[str]()
#: What others know by a name is this here.
_here: Final = dict[str, "Callable[[], object]"]()


def note_in(module: str, namespace: Mapping[str, object], own: Collection[str], apart: Any) -> None:
    """Note what a module has under its names. Costs some 100 ns for each.

    Args:
        module: Its name.
        namespace: What it has.
        own: Which modules are the user's; of their classes all objects are noted.
        apart: Names that the program may set, with the module's.
    """
    for name, value in namespace.items():
        kind = type(value)
        if kind is object or (kind.__module__ in own and is_usual(kind)):
            place = f"{module}{MARK}{name}"
            note(place, value, is_set=kind is object and place in apart)


def note_marks(module: str, namespace: Mapping[str, object]) -> None:
    """Note all marks of a module that no other one finds. Costs some 30 ns for each name."""
    for name, value in namespace.items():
        if type(value) is object:
            note(f"{module}{MARK}{name}", value, is_set=True)


def note(place: str, value: object, *, is_set: bool) -> None:
    """Note what a name of a module means.

    Args:
        place: The name, with its module.
        value: What it means.
        is_set: The program may have set it.
    """
    if id(value) in _known:
        return
    _bound(_known)
    count = _count[place]
    _count[place] += 1
    name = f"{place} {count}" if count else place
    forget = partial(_forget, id(value))
    _known[id(value)] = _ref(value, forget), name, not is_set and not count
    _keep_here(name, value)
    if type(value) is not object:
        _names[type(value).__qualname__.encode()] = None


def _forget(identity: int, _: object) -> None:
    _known.pop(identity, None)


def _ref(value: object, forget: Callable[[Any], None] | None = None) -> Callable[[], object]:
    """Return what returns an object; it is not kept, if that is possible."""
    try:
        return weakref.ref(value, forget)
    except TypeError:
        return lambda: value


def _keep_here(name: str, value: object) -> None:
    _bound(_here)
    _here[name] = _ref(value)


def _bound(kept: dict[Any, Any]) -> None:
    if len(kept) >= _KEPT:
        kept.pop(next(iter(kept)))


def is_usual(kind: type[object]) -> bool:
    """Return whether objects of a class are all in their attributes, and pickled so."""
    own = ("__setstate__", "__getnewargs__", "__getnewargs_ex__")
    return (
        is_reduced_as_usual(kind)
        and kind.__getstate__ is object.__getstate__
        and not any(hasattr(kind, name) for name in own)
    )


def are_in(data: bytes, pickler: Any) -> bool:
    """Return whether a pickle that has just been made holds one of these objects."""
    if not any(name in data for name in _names):
        return False
    return not _known.keys().isdisjoint(pickler.memo.copy())


def reduce_known(value: object) -> tuple[Any, ...] | None:
    """Say how to pickle one of these objects; None: it is none."""
    known = _known.get(id(value))
    if known is None or known[0]() is not value:
        return None
    kind = type(value)
    if kind in copyreg.dispatch_table:  # the program knows better
        return None
    if kind is object:
        return one, (*known[1:], object)
    return one, (*known[1:], kind), _with_places(value.__getstate__()), None, None, give


def _with_places(state: Any) -> Any:
    """Let the attributes of an object refer to containers that places have."""
    if type(state) is not dict or _places.keys().isdisjoint(map(id, state.values())):
        return state
    return {name: by_place(value) for name, value in state.items()}


def one(name: str, of_module: bool, kind: type) -> object:
    """Return what is here for an object of the master's.

    Args:
        name: As which it is known.
        of_module: Its module has it under this name.
        kind: Its class.
    """
    known = _here.get(name)
    found = None if known is None else known()
    if found is None or type(found) is not kind:
        if of_module:
            with contextlib.suppress(Exception):  # it is not there, or raises
                import_module(name.partition(MARK)[0])
            found = find(name)
        found = found if type(found) is kind else object.__new__(kind)
        _keep_here(name, found)
    return found


def give(value: Any, state: Any) -> None:
    """Let an object have what the master's has. Nothing of its class is called."""
    attributes, slots = state if type(state) is tuple else (state, None)
    if hasattr(value, "__dict__"):
        mine = object.__getattribute__(value, "__dict__")
        mine.clear()
        mine.update(attributes or {})
    for name, held in (slots or {}).items():
        object.__setattr__(value, name, held)
    for slot in slots_of(type(value)):
        if slot.__name__ not in (slots or {}):
            with contextlib.suppress(AttributeError):  # it is empty
                slot.__delete__(value)


# -- what several places have ---------------------------------------------------------------


def note_places(names: Iterable[str]) -> None:
    """Note which containers modules have: others that have them refer to the first of these."""
    _places.clear()
    for name in names:
        is_apart = name in _late or "." in name.partition(MARK)[2]
        value = MISSING if is_apart else find(name)
        if is_container(value) and type(value).__module__ in ("builtins", "collections"):
            _places.setdefault(id(value), (value, name))


def leave_out(names: Iterable[str]) -> set[int]:
    """Let nothing refer to some places. Returns what they have, by identity."""
    known = {name: identity for identity, (_, name) in _places.items()}
    found = {known[name] for name in names if name in known}
    _late.update(_places.pop(identity)[1] for identity in found)
    return found


def by_place(value: object, but: str = "") -> object:
    """Return what is pickled for a container that a place has; else the value.

    Args:
        value: Anything.
        but: The place of which this is the value.
    """
    known = _places.get(id(value))
    if known is None or known[0] is not value or known[1] == but:
        return value
    module, _, path = known[1].partition(MARK)
    return OfModule(module, path)


def by_name(value: object) -> object:
    """Return what is pickled for the value of a global that a module has, too."""
    return methods.by_name(by_place(value))


def note_shared(objects: Iterable[tuple[str, Mapping[int, object]]]) -> set[str]:
    """Note objects that several places have. Returns the names of those with new ones.

    Args:
        objects: The name of each place, and of which objects its value consists, by identity.
    """
    first: dict[int, str] = {}
    new: set[int] = set()
    found: set[str] = set()
    for name, those in objects:
        for identity, value in those.items():
            before = first.setdefault(identity, name)
            if before != name and (identity in new or identity not in _known):
                new.add(identity)
                note(f"{before}[]", value, is_set=True)
                found |= {before, name}
    return found
