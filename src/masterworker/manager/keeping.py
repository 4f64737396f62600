"""What a journal tells the manager: outcomes are kept, or cannot be, for now or for good."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.manager.guard import Guard

logger = logging.getLogger("masterworker.manager")

NO_ROOM: Final = (
    "there is no room on the disk for the journal: no more tasks are handed out until there is"
)


class Keeping:
    """Tells the machine. Thread-safe.

    Args:
        guard: Is held around each step of the machine.
        clock: The manager's clock.
        stop: Ends the timekeeper.
    """

    def __init__(self, guard: Guard, clock: Callable[[], float], stop: Callable[[], None]) -> None:
        self._guard, self._clock, self._stop = guard, clock, stop

    def kept(self, number: int) -> None:
        """Outcomes are kept: this number of those that `keep` was given, in their order."""
        with self._guard as machine:
            machine.kept(number, self._clock())

    def stall(self, stalled: bool) -> None:
        """There is no room on the disk for what is to be kept; or there is again."""
        with self._guard as machine:
            now = self._clock()
            machine.pressure.stalled = stalled
            if stalled:
                machine.troubles.note("journal", NO_ROOM, now)
            machine.weigh(now)

    def give_up(self, reason: str) -> None:
        """Nothing can be kept any more: the job is over, and calls that wait fail with this."""
        with self._guard as machine:
            if not machine.core.terminated:
                logger.error("%s: the job ends; what is kept by now is good", reason)
                machine.failure = reason
            machine.terminate(self._clock())
        self._stop()
