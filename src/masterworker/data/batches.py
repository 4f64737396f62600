"""Many attributes of modules at once: whether all of them are what they were.

A program with hundreds of modules has thousands of such attributes, and each call asks. One by one
they cost 300 ns, together some 70.
"""

from __future__ import annotations

import sys
from itertools import chain
from operator import getitem, is_
from typing import TYPE_CHECKING, Any, Final, Protocol

from masterworker.data.stateful import attributes_of
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from types import ModuleType

    from masterworker.data.snapshot import Snapshot


#: From this number on they are compared together.
_MANY: Final = 12


class Quick(NamedTuple):
    """An attribute of a module that can be compared quickly."""

    module: ModuleType
    #: What the module had there, and what that held, if it can change.
    name: str
    value: object
    holds: Snapshot | None


class Compared(Protocol):
    """An attribute, and how to see whether it is what it was."""

    quick: Quick | None
    is_true: Callable[[], bool]

    def is_same(self) -> bool:
        """Return whether it holds the same objects, where that is seen quickly."""
        ...


class Batch:
    """Attributes that are compared together.

    Args:
        looked: The attributes, each of which can be compared quickly.
    """

    def __init__(self, looked: Iterable[Compared]) -> None:
        self._looked = list(looked)
        #: What is another object, though it has the same content.
        self._others: list[Compared] = []
        self._fill()

    def _fill(self) -> None:
        quick = [each.quick for each in self._looked if each.quick is not None]
        modules = {each.module.__name__: each.module for each in quick}
        self._homes, self._modules = list(modules), list(modules.values())
        self._spaces = [vars(each.module) for each in quick]
        self._names = [each.name for each in quick]
        self._values = [each.value for each in quick]
        held = [each.holds for each in quick if each.holds is not None]
        pairs = [pair for each in held for pair in each.held]
        self._containers: list[Collection[Any]] = [container for container, _ in pairs]
        self._lengths = [len(items) for _, items in pairs]
        self._items = [item for _, items in pairs for item in items]
        spaces = [pair for each in held for pair in each.spaces]
        self._objects = [each for each, _ in spaces]
        self._attributes = [space for _, space in spaces]

    def is_true(self) -> bool:
        """Return whether all are what they were."""
        if self.is_true_quickly():
            return all(each.is_true() for each in self._others)
        if not all(each.is_true() for each in self._looked):
            return False
        # Equal content in other objects: these go by themselves from now on.
        self._others += [each for each in self._looked if not each.is_same()]
        self._looked = [each for each in self._looked if each not in self._others]
        self._fill()
        return all(each.is_true() for each in self._others)

    def is_true_quickly(self) -> bool:
        """Return whether all are the same objects, and hold the same ones."""
        try:
            return self._is_same()
        except (KeyError, RuntimeError):  # it is gone, or being changed by a thread
            return False

    def _is_same(self) -> bool:
        return (
            all(map(is_, map(sys.modules.get, self._homes), self._modules))
            and all(map(is_, map(getitem, self._spaces, self._names), self._values))
            and list(map(len, self._containers)) == self._lengths
            and all(map(is_, chain.from_iterable(self._containers), self._items))
            and all(map(is_, map(attributes_of, self._objects), self._attributes))
        )


def checks_of(looked: Sequence[Compared]) -> list[Callable[[], bool]]:
    """Return checks whether attributes are what they were."""
    quick = [each for each in looked if each.quick is not None]
    if len(quick) < _MANY:
        return [each.is_true for each in looked]
    return [Batch(quick).is_true, *(each.is_true for each in looked if each.quick is None)]
