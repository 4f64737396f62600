"""What containers hold: to fill one with what another one holds, or with what it held before."""

from __future__ import annotations

from collections import OrderedDict, UserDict, UserList, defaultdict, deque
from operator import is_
from typing import Any, Final

from masterworker.data import stateful
from masterworker.data.places import BUILT_IN, is_kin

#: Classes whose objects keep their items themselves; the first that is true counts.
_BASES: Final[tuple[Any, ...]] = (OrderedDict, dict, list, set, deque, bytearray)


def fill(now: Any, value: Any) -> bool:
    """Let a container hold what another one holds; it is false if it cannot."""
    kind = type(now)
    if is_kin(now):
        _fill_kin(now, value)
    elif kind.__name__ == "ndarray":
        if now.shape != value.shape or now.dtype != value.dtype or not now.flags.writeable:
            return False
        now[...] = value
    elif kind in (list, bytearray) or kind.__name__ == "array":
        now[:] = value
    elif kind is deque:
        if now.maxlen != value.maxlen:
            return False
        now.clear()
        now.extend(value)
    else:
        if kind is defaultdict:
            now.default_factory = value.default_factory
        now.clear()
        now.update(value)
    return True


def _fill_kin(now: Any, value: Any) -> None:
    """Do the same for what has attributes, too, and perhaps methods of its own."""
    base: Any
    for base in BUILT_IN:
        if issubclass(type(now), base):
            base.clear(now)
            held = base.items(value) if issubclass(base, dict) else base.__iter__(value)
            getattr(base, "extend" if base is list else "update")(now, held)
            break
    if hasattr(now, "__dict__"):
        attributes = vars(now)
        attributes.clear()
        attributes.update(vars(value))


class Content:
    """What a container or object holds at one time. Arrays and tables are not looked into.

    Args:
        container: Or anything else, which holds nothing.
        depth: How far objects in its attributes are looked into.
    """

    __slots__ = ("_attributes", "_base", "_container", "_inner", "items", "keys")

    def __init__(self, container: Any, depth: int = 3) -> None:
        kind = type(container)
        self._container = container
        self._base: Any = next((each for each in _BASES if issubclass(kind, each)), None)
        self.keys: list[Any] = []
        self.items: list[Any] = []
        self._attributes: dict[str, Any] | None = None
        if self._base is not None:
            self.keys = list(self._base.__iter__(container))
            if issubclass(kind, dict):
                self.items = list(self._base.values(container))
        if issubclass(kind, (*_BASES, UserDict, UserList)) and hasattr(container, "__dict__"):
            self._attributes = vars(container).copy()
        elif stateful.is_stateful(container):
            self._attributes = (stateful.attributes_of(container) or {}).copy()
        #: What its attributes hold, where it is an object of a class of the program's.
        self._inner: dict[str, Content] = {}
        if self._base is None and depth and self._attributes:
            for name, value in self._attributes.items():
                if issubclass(type(value), _BASES) or stateful.is_stateful(value):
                    self._inner[name] = Content(value, depth - 1)

    def is_held(self) -> bool:
        """Return whether the container holds the same objects now."""
        now = Content(self._container)
        pairs = (
            (now.keys, self.keys),
            (now.items, self.items),
            ([*(now._attributes or ())], [*(self._attributes or ())]),
            ([*(now._attributes or {}).values()], [*(self._attributes or {}).values()]),
        )
        is_same = all(len(a) == len(b) and all(map(is_, a, b)) for a, b in pairs)
        return is_same and all(each.is_held() for each in self._inner.values())

    def put_back(self) -> None:
        """Let the container hold this again."""
        if self._base is not None:
            self._base.clear(self._container)
            self._add(self._container, self.keys, self.items)
        if self._attributes is not None:
            attributes = vars(self._container)
            attributes.clear()
            attributes.update(self._attributes)
        for each in self._inner.values():
            each.put_back()

    def added(self) -> Content | None:
        """Return what the container holds besides by now; None: nothing."""
        now, count = Content(self._container), len(self.keys)
        if self._inner:
            found = {name: each.added() for name, each in self._inner.items()}
            now._inner = {name: each for name, each in found.items() if each is not None}
            return now if now._inner else None
        if self._base in (list, deque):
            is_longer = all(map(is_, now.keys, self.keys)) and len(now.keys) > count
            now.keys = now.keys[count:] if is_longer else []
        elif self._base is not None and self._base is not bytearray:
            held = set(self.keys)
            new = [at for at, each in enumerate(now.keys) if each not in held]
            now.keys = [now.keys[at] for at in new]
            now.items = [now.items[at] for at in new if now.items]
        else:
            return None
        return now if now.keys else None

    def add_to(self, container: Any) -> None:
        """Add this to a container of the same class, as far as that does not hold it."""
        other = Content(container)
        if other._base is not self._base:
            return
        for name, each in self._inner.items():
            if name in other._inner:
                each.add_to(other._inner[name]._container)
        if self._base is None:
            return
        new = [at for at, each in enumerate(self.keys) if each not in other.keys]
        self._add(
            container,
            [self.keys[at] for at in new],
            [self.items[at] for at in new if self.items],
        )

    def _add(self, container: Any, keys: list[Any], items: list[Any]) -> None:
        base = self._base
        if issubclass(base, dict):
            for key, value in zip(keys, items, strict=True):
                base.__setitem__(container, key, value)
        elif base is set:
            base.update(container, keys)
        else:
            base.extend(container, keys)
