"""What small containers hold, so that it can be seen quickly whether they hold something else."""

from __future__ import annotations

from collections import Counter, deque
from operator import is_
from typing import TYPE_CHECKING, Any, Final

from masterworker.data.fixed import is_fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

#: Larger ones are pickled and compared, which then costs the same (objects in all).
MOST: Final = 300
_CONTAINERS: Final = (list, dict, set, Counter, deque)


def check_of(value: object) -> Callable[[], bool] | None:
    """Return a check whether a container still holds the same objects; None: that says too little.

    It costs some 300 ns, and 25 ns for each object. Containers in it are looked into as well; all
    other objects must be such as cannot change.
    """
    if type(value) not in _CONTAINERS:
        return None
    held: list[tuple[Collection[Any], tuple[Any, ...]]] = []
    todo, seen, left = [value], {id(value)}, MOST
    while todo:
        container: Any = todo.pop()
        items = _held_by(container)
        held += items
        for _, those in items:
            if (left := left - len(those)) < 0:
                return None
            for each in those:
                if type(each) in _CONTAINERS:
                    if id(each) not in seen:
                        seen.add(id(each))
                        todo.append(each)
                elif not is_fixed(each):
                    return None

    def check() -> bool:
        for container, items in held:
            if len(container) != len(items) or not all(map(is_, container, items)):
                return False
        return True

    return check


def shallow(value: object) -> Callable[[], bool]:
    """Return a check whether a container holds the same objects, whatever these are.

    Of a large one it looks at their number only; of anything else, at nothing.
    """
    held = _held_by(value) if type(value) in _CONTAINERS else []

    def check() -> bool:
        return all(
            len(those) == len(items) and (len(items) > MOST or all(map(is_, those, items)))
            for those, items in held
        )

    return check


def _held_by(container: Any) -> list[tuple[Collection[Any], tuple[Any, ...]]]:
    if isinstance(container, dict):
        values = container.values()
        return [(container, tuple(container)), (values, tuple(values))]
    return [(container, tuple(container))]
