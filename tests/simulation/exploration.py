"""Going through all states of a small system, nearest first.

A state is rebuilt by going its way again, so nothing has to be copied.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from simulation.oracle import Violation
from simulation.small import System

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from simulation.small import Event


class Exploration:
    """A walk through all states, nearest first.

    Args:
        bounds: How much may go wrong: arguments of the system.
        make: Makes the system.
    """

    def __init__(self, bounds: dict[str, int], make: type[System] = System) -> None:
        self._make: Callable[[], System] = partial(make, **bounds)
        self._numbers: dict[Hashable, int] = {}
        self._ways: list[tuple[int, Event | None]] = []
        self._back: list[list[int]] = []
        self._done: list[int] = []
        self.steps = 0

    @property
    def states(self) -> int:
        """How many there are."""
        return len(self._ways)

    def run(self) -> None:
        """Go everywhere.

        Raises:
            Violation: An invariant does not hold in some state, or there is no way out of it.
        """
        self._visit(self._make(), 0, None)
        at = 0
        while at < len(self._ways):
            way = self._way_to(at)
            system = self._go(way)
            events = system.events()
            for event in events:
                if event is not events[-1]:
                    following = self._go([*way, event])
                else:
                    following = self._step(system, event, way)
                self._visit(following, at, event)
                self.steps += 1
            at += 1
        self._all_can_end()

    def _visit(self, system: System, parent: int, event: Event | None) -> None:
        key = system.key()
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers.get(system.key((1, 0)))
        if number is None:
            number = self._numbers[key] = len(self._ways)
            self._ways.append((parent, event))
            self._back.append([])
            if system.done:
                self._done.append(number)
            try:
                system.check()
            except Exception as error:
                raise Violation(f"{error!r} after {self._way_to(number)}") from error
        self._back[number].append(parent)

    def _way_to(self, number: int) -> list[Event]:
        way: list[Event] = []
        while True:
            number, event = self._ways[number]
            if event is None:
                return way[::-1]
            way.append(event)

    def _go(self, way: Sequence[Event]) -> System:
        system = self._make()
        for event in way:
            self._step(system, event, way)
        return system

    @staticmethod
    def _step(system: System, event: Event, way: Sequence[Event]) -> System:
        try:
            system.do(event)
        except Exception as error:
            raise Violation(f"{error!r} at {event} of {way}") from error
        return system

    def _all_can_end(self) -> None:
        """From every state there is a way to one in which all is done."""
        good = set(self._done)
        edge = list(self._done)
        while edge:
            for number in self._back[edge.pop()]:
                if number not in good:
                    good.add(number)
                    edge.append(number)
        for number in range(len(self._ways)):
            if number not in good:
                raise Violation(f"no way out after {self._way_to(number)}")
