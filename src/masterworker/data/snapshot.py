"""What containers and objects hold, so that it is seen quickly whether they hold something else."""

from __future__ import annotations

from collections import Counter, deque
from operator import is_
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from masterworker.data.fixed import is_fixed
from masterworker.data.stateful import attributes_of, is_stateful, slots_of
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

#: Larger ones are pickled and compared, which then costs the same (objects in all).
MOST: Final = 300
_CONTAINERS: Final = (list, dict, set, Counter, deque)


class Snapshot(NamedTuple):
    """What containers and objects held."""

    held: list[tuple[Collection[Any], tuple[Any, ...]]]
    #: The objects, with their attributes.
    spaces: list[tuple[object, dict[str, Any]]]

    def is_same(self) -> bool:
        """Return whether they hold the same objects."""
        for container, items in self.held:
            if len(container) != len(items) or not all(map(is_, container, items)):
                return False
        return all(attributes_of(each) is space for each, space in self.spaces)


def check_of(value: object) -> Callable[[], bool] | None:
    """Return a check whether a value still holds the same objects; None: that says too little."""
    found = snapshot_of(value)
    return None if found is None else found.is_same


def snapshot_of(value: object) -> Snapshot | None:
    """Return what a value holds; None: that says too little of whether it has changed.

    To compare it costs some 300 ns, and 25 ns for each object. Containers in it, and objects that
    are all in their attributes, are looked into as well; all others must be such as cannot change.
    """
    if not _is_looked_into(value):
        return None
    held: list[tuple[Collection[Any], tuple[Any, ...]]] = []
    spaces: list[tuple[object, dict[str, Any]]] = []
    todo, seen, left = [value], {id(value)}, MOST
    while todo:
        container: Any = todo.pop()
        items = _held_by(container)
        if type(container) not in _CONTAINERS:
            spaces.append((container, cast("dict[str, Any]", attributes_of(container))))
        held += items
        for each in (each for _, those in items for each in those):
            left -= 1
            is_fine = _is_looked_into(each) or is_fixed(each)
            if left < 0 or not is_fine:
                return None
            if id(each) not in seen and _is_looked_into(each):
                seen.add(id(each))
                todo.append(each)

    return Snapshot(held, spaces)


def _is_looked_into(value: object) -> bool:
    kind = type(value)
    if kind in _CONTAINERS:
        return True
    if not is_stateful(value) or kind is SimpleNamespace or slots_of(kind):
        return False
    is_usual = kind.__getstate__ is object.__getstate__ and not hasattr(kind, "__getnewargs_ex__")
    return is_usual and attributes_of(value) is not None


def shallow(value: object) -> Callable[[], bool]:
    """Return a check whether a container holds the same objects, whatever these are.

    Of a large one it looks at their number only; of an object, at its attributes.
    """
    is_looked_into = type(value) in _CONTAINERS or is_stateful(value)
    held = _held_by(value) if is_looked_into else []

    def check() -> bool:
        return all(
            len(those) == len(items) and (len(items) > MOST or all(map(is_, those, items)))
            for those, items in held
        )

    return check


def _held_by(container: Any) -> list[tuple[Collection[Any], tuple[Any, ...]]]:
    if type(container) not in _CONTAINERS:
        space = attributes_of(container)
        container = {} if space is None else space
    if isinstance(container, dict):
        values = container.values()
        return [(container, tuple(container)), (values, tuple(values))]
    return [(container, tuple(container))]
