"""What workers are doing right now, for those who ask: loaded with the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker import wire
from masterworker.conversation.stacks import Stacks
from masterworker.data.record import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.manager.calls import Event
    from masterworker.manager.manager import Manager
    from masterworker.transport.base import Later

#: A stack has at most this many lines of this many characters.
LINES: Final = 200
WIDTH: Final = 400


def ask(manager: Manager, task_id: int) -> list[str]:
    """Return the stack of a task, or why there is none, in lines; none: no answer so far.

    Waits for the worker, `wire.LONGEST_WAIT` at most, without the lock.
    """
    return manager._calls.call(_asking(manager), task_id, wait=wire.LONGEST_WAIT)


def ask_later(manager: Manager, later: Later, task_id: int) -> list[str] | None:
    """Do the same, and do not wait; None: the reply comes later."""
    return manager._calls.defer(_asking(manager), task_id, later=later, wait=wire.LONGEST_WAIT)


def told(manager: Manager, member_id: int, task_id: int, lines: Sequence[str]) -> None:
    """A worker has said what it is doing."""
    tidy = [printable(line[:WIDTH])[:WIDTH] for line in lines[:LINES]]
    with manager.guard as machine:
        if machine.stacks is not None:
            machine.stacks.told(member_id, task_id, tidy, manager._clock())


def _asking(manager: Manager) -> Event[list[str]]:
    with manager.guard as machine:
        if machine.stacks is None:
            machine.stacks = Stacks(machine)
        return machine.stacks.ask
