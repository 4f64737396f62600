"""Threads that wait until something holds of the processes that are here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from masterworker import wire
from masterworker.manager.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.scheduler import Scheduler
    from masterworker.manager.guard import Guard


class Observers:
    """Threads that look again whenever processes come and go. Thread-safe."""

    def __init__(self) -> None:
        self._boxes: dict[Mailbox, None] = {}

    def boxes(self) -> tuple[Mailbox, ...]:
        """Return where they wait."""
        return tuple(self._boxes)

    def ring(self) -> None:
        """Let all of them look again."""
        for box in self.boxes():
            box.ring()

    def wait_for(self, holds: Callable[[Scheduler], bool], seconds: float, guard: Guard) -> bool:
        """Wait until something holds; it is asked, within the guard, as processes come and go."""
        end = time.monotonic() + seconds
        box = Mailbox()
        try:
            self._boxes[box] = None
            while True:
                with guard as machine:
                    if holds(machine.core):
                        return True
                left = end - time.monotonic()
                if left <= 0:
                    return False
                box.wait(min(left, wire.LONGEST_WAIT))
        finally:
            self._boxes.pop(box, None)
