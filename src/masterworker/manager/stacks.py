"""What workers are doing right now, for those who ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker import wire
from masterworker.data.record import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.manager.calls import Calls, Event
    from masterworker.manager.guard import Guard
    from masterworker.transport.base import Later

#: A stack has at most this many lines of this many characters.
LINES: Final = 200
WIDTH: Final = 400


class Stacks:
    """Asks workers, and takes their answers. Thread-safe.

    Args:
        guard: Is held around each step.
        calls: Wait for workers to answer.
        ask: What the machine does to ask.
        ways: Why workers of each supervisor elsewhere are no forks of a template.
        clock: The manager's clock.
    """

    def __init__(
        self,
        guard: Guard,
        calls: Calls,
        ask: Event[list[str]],
        ways: dict[str, str],
        clock: Callable[[], float],
    ) -> None:
        self._guard, self._calls, self._clock = guard, calls, clock
        self._ask, self._ways = ask, ways

    def ask(self, task_id: int) -> list[str]:
        """Return the stack of a task, or why there is none, in lines; none: no answer so far.

        Waits for the worker, `wire.LONGEST_WAIT` at most, without the lock.
        """
        return self._calls.call(self._ask, task_id, wait=wire.LONGEST_WAIT)

    def ask_later(self, later: Later, task_id: int) -> list[str] | None:
        """Do the same, and do not wait."""
        return self._calls.defer(self._ask, task_id, later=later, wait=wire.LONGEST_WAIT)

    def told(self, member_id: int, task_id: int, lines: Sequence[str]) -> None:
        """A worker has said what it is doing."""
        tidy = [printable(line[:WIDTH]) for line in lines[:LINES]]
        with self._guard as machine:
            machine.stacks.told(member_id, task_id, tidy, self._clock())

    def still(self, seen: Sequence[wire.Still]) -> None:
        """A supervisor has said which workers do nothing but execute."""
        if seen:
            with self._guard as machine:
                machine.stacks.still(seen, self._clock())

    def ways(self, name: str, why: str) -> None:
        """A supervisor has said why its workers are no forks of a template; "": they are."""
        if why != self._ways.get(name, ""):
            with self._guard:
                self._ways[name] = printable(why[:WIDTH])
