"""What the user's own modules keep: in globals, in classes, in their objects, and in functions.

Their own code changes it, which may be called by any code, in any way. So it is watched wherever
such code has been found, and not only where the main program names it.
"""

from __future__ import annotations

from functools import cached_property, partial, partialmethod
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, NoneType
from typing import TYPE_CHECKING, Any, Final

from masterworker.data import mainmodule, places, stateful
from masterworker.data.places import MARK
from masterworker.data.reading import PARAMETER, THIS, VARIABLE
from masterworker.data.settings_in_code import found_in
from masterworker.surroundings.meaning import data_of, has_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from masterworker.data.reading import Found

#: Methods that make an object: what they set in it is no change.
_MAKING: Final = frozenset(("__init__", "__new__", "__post_init__", "__setstate__", "__copy__"))
#: Methods whose first parameter is a class.
_OF_CLASS: Final = frozenset(("__new__", "__init_subclass__", "__class_getitem__"))
#: What holds no functions, most often.
_PLAIN: Final = frozenset((NoneType, bool, int, float, str, list, dict, tuple, BuiltinFunctionType))
_SELF: Final = f"{PARAMETER}0"
_CLASS: Final = "__class__"
#: Larger containers are not searched for objects.
_MOST: Final = 300


class Function:
    """A function of a module, and where it is.

    Args:
        path: Its names, from the module on.
        function: The function.
        owner: The class whose method it is; None: none.
        of_class: Its first parameter is the class, not an object of it.
    """

    __slots__ = ("function", "of_class", "owner", "path")

    def __init__(
        self, path: str, function: FunctionType, owner: type | None, *, of_class: bool
    ) -> None:
        self.path, self.function = path, function
        self.owner, self.of_class = owner, of_class


def functions_of(module: ModuleType) -> Iterator[Function]:
    """Return the functions of a module, and those of its classes."""
    space = vars(module)
    for name, value in list(space.copy().items()):
        kind = type(value)
        if kind in _PLAIN or issubclass(kind, ModuleType):
            continue
        if not issubclass(kind, type) or not _is_class_of(value, module):
            for each in _unwrapped(value, space):
                yield Function(name, each, None, of_class=False)
            continue
        for inner, attribute in list(vars(value).copy().items()):
            of_class = inner in _OF_CLASS or type(attribute) is classmethod
            owner = None if type(attribute) is staticmethod and not of_class else value
            for each in _unwrapped(attribute, space):
                yield Function(f"{name}.{inner}", each, owner, of_class=of_class)


def _unwrapped(value: Any, space: dict[str, Any]) -> Iterator[FunctionType]:
    """Return functions of a module behind what decorators have made of them."""
    todo = [value]
    while todo:
        each = todo.pop()
        kind = type(each)
        if kind in (staticmethod, classmethod):
            todo.append(each.__func__)
        elif kind is property:
            todo += [each.fget, each.fset, each.fdel]
        elif kind in (cached_property, partialmethod):
            todo.append(each.func)
        elif kind is FunctionType and each.__globals__ is space:
            yield each
        elif kind is FunctionType or kind is mainmodule.CACHED:
            todo.append(vars(each).get("__wrapped__"))


def _is_class_of(value: type, module: ModuleType) -> bool:
    return bool(vars(value).get("__module__") == module.__name__)


class Kept:
    """What modules keep, found by their own code.

    Args:
        modules: The modules, each with its functions.
    """

    def __init__(self, modules: Iterable[tuple[ModuleType, list[Function]]]) -> None:
        self._modules = list(modules)
        #: What belongs together, and what is sent by itself, or not at all.
        self.groups: list[tuple[str, ...]] = []
        self.alone: dict[str, None] = {}
        #: Classes whose objects are changed by their methods.
        self._changing: set[type] = set()
        #: The classes that have been seen, with their names.
        self._classes: list[tuple[str, type]] = []
        for module, functions in self._modules:
            self._look(module, functions)
        self._look_for_objects()
        known = {name for group in self.groups for name in group}
        self.groups += [(name,) for name in self.alone if name not in known]

    def _look(self, module: ModuleType, functions: list[Function]) -> None:
        space, inside = vars(module), dict[str, None]()
        of_classes = dict[type, dict[str, None]]()
        for value in list(space.copy().values()):
            is_class = issubclass(type(value), type) and _is_class_of(value, module)
            if is_class and "<locals>" not in value.__qualname__:
                self._classes.append((f"{module.__name__}{MARK}{value.__qualname__}", value))
        for each in functions:
            found = found_in(each.function.__code__)
            if found is None:
                continue
            inside.update(dict.fromkeys(_of_its_own(found, space)))
            self.alone.update(dict.fromkeys(self._of_function(each, found, module)))
            if each.owner is not None:
                names = of_classes.setdefault(each.owner, {})
                names.update(dict.fromkeys(self._of_method(each, found)))
        for group in (inside, *of_classes.values()):
            if group:
                found_all = [f"{module.__name__}{MARK}{name}" for name in sorted(group)]
                self.groups.append(tuple(found_all))

    def _of_function(self, each: Function, found: Found, module: ModuleType) -> Iterator[str]:
        """Return what a function keeps in itself, in other functions and classes, or everywhere."""
        space, home = vars(module), module.__name__
        wholes = [each for each in found.changes if space.get(each[0]) is space]
        for base, path in (*found.wholes, *((THIS, ()) for _ in wholes[:1])):
            if (base == THIS or space.get(base) is module) and not path:
                yield from (f"{home}{MARK}{name}" for name in data_of(module))
        for base, path in (*found.sets, *found.deletes, *found.changes):
            value: Any = space.get(base)
            if path and issubclass(type(value), (FunctionType, type)):
                owner = getattr(value, "__module__", None)
                if owner == home and value.__qualname__ == base:
                    yield f"{home}{MARK}{base}.{path[0]}"
        names = each.function.__code__.co_freevars
        for base, path in (*found.sets, *found.changes):
            name = base.removeprefix(VARIABLE)
            if name != base and name in names and not (path and path[0] == _CLASS):
                cell = f"{home}{MARK}{each.path}.__closure__.{names.index(name)}.cell_contents"
                is_function = type(places.find(cell)) is FunctionType
                yield f"{cell}.{path[0]}" if path and is_function else cell
        yield from self._of_defaults(each, found, home)

    def _of_defaults(self, each: Function, found: Found, home: str) -> Iterator[str]:
        """Return the defaults of a function that it changes in place."""
        defaults = each.function.__defaults__ or ()
        first = each.function.__code__.co_argcount - len(defaults)
        for base, _ in found.changes:
            number = base.removeprefix(PARAMETER)
            at = int(number) - first if number != base else -1
            if 0 <= at < len(defaults) and places.is_container(defaults[at]):
                yield f"{home}{MARK}{each.path}.__defaults__.{at}"

    def _of_method(self, each: Function, found: Found) -> Iterator[str]:
        """Return what a method changes in its class, and note whether it changes its object."""
        owner: Any = each.owner
        is_making = each.function.__name__ in _MAKING
        chains = [(chain, False) for chain in (*found.sets, *found.deletes, *found.wholes)]
        for (base, path), is_change in chains + [(chain, True) for chain in found.changes]:
            if base != _SELF:
                continue
            of_class = each.of_class or path[:1] == (_CLASS,)
            _, name, *_ = ("", *path, "") if path[:1] != (_CLASS,) else (*path, "")
            if of_class:
                for cls in (owner, *owner.__subclasses__()):
                    if name in vars(cls) and cls.__module__ == owner.__module__:
                        yield f"{cls.__qualname__}.{name}"
            elif (holder := _holder(owner, name)) is not None and is_change:
                if holder.__module__ == owner.__module__:
                    yield f"{holder.__qualname__}.{name}"
            elif not is_making:
                self._changing.add(owner)

    def _look_for_objects(self) -> None:
        """Look for objects that their methods change, and for containers of such without a name."""
        places_of = list[tuple[str, Any]]()
        places_of += [(f"{each.__name__}{MARK}", vars(each)) for each, _ in self._modules]
        places_of += [(f"{place}.", vars(cls)) for place, cls in self._classes]
        held: list[tuple[str, Any]] = []
        known: dict[int, Any] = {}
        names: dict[int, str] = {}
        for home, space in places_of:
            for name, value in list(space.copy().items()):
                if name.startswith("__"):
                    continue
                if places.is_container(value):
                    names.setdefault(id(value), home + name)
                if type(value) in (list, tuple, dict) and 0 < len(value) <= _MOST:
                    held.append((home + name, value))
                elif self._is_changing(value):
                    self.alone[home + name] = None
                    known[id(value)] = value
                else:
                    inner = self._inside(value)
                    self.alone.update({f"{home}{name}.{each}": None for each in inner})
        for value in known.values():  # which may change what has a name as well
            for each in (stateful.attributes_of(value) or {}).values():
                if id(each) in names:
                    self.alone[names[id(each)]] = None
        for place, value in held:
            items = list(value.values() if type(value) is dict else value)
            if any(self._is_changing(each) and id(each) not in known for each in items):
                self.alone[place] = None

    def _inside(self, value: Any) -> list[str]:
        """Return what of a value is changed when it is called, or set for a context."""
        kind = type(value)
        if kind in (MethodType, BuiltinFunctionType):
            of = value.__self__
            return ["__self__"] if places.is_container(of) or self._is_changing(of) else []
        if kind is partial:
            return [f"args.{at}" for at in _changed_by(value)]
        return [places.IN_CONTEXT] if kind.__module__ == "_contextvars" else []

    def _is_changing(self, value: Any) -> bool:
        kind = type(value)
        if self._changing.isdisjoint(kind.__mro__):
            return False
        return has_state(value)


def _holder(owner: type, name: str) -> type | None:
    """Return the class that has a container under a name, which objects share."""
    holder = next((cls for cls in owner.__mro__ if name in vars(cls)), None)
    if holder is None or not places.is_container(vars(holder)[name]):
        return None
    return holder


def _changed_by(function: Any) -> Iterator[int]:
    """Return which arguments a partial function holds that are changed by it."""
    inner = function.func
    found = found_in(inner.__code__) if type(inner) is FunctionType else None
    for base, _ in (*found.sets, *found.changes) if found is not None else ():
        number = base.removeprefix(PARAMETER)
        if number != base and int(number) < len(function.args):
            yield int(number)


def _of_its_own(found: Found, namespace: dict[str, Any]) -> Iterator[str]:
    """Return the names of globals that a function sets, or changes in place."""
    yield from (name for name in found.globals if name in namespace)
    for base, path in (*found.sets, *found.deletes):
        if base == THIS and path:
            yield path[0]
    for name, path in found.changes:
        value = namespace.get(name)
        if not path and places.is_container(value) and value is not namespace:
            yield name
