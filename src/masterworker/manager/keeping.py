"""What a journal tells the manager: outcomes are kept, or cannot be, for now or for good."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Finished
    from masterworker.manager.guard import Guard


class Earlier(Protocol):
    """Knows tasks of earlier runs; see `masterworker.journal.earlier`."""

    settle: Callable[[int, Finished], object]
    workers: set[str]

    def place(self, run: str, task_id: int, kind: int) -> tuple[int, str]:
        """Return which task of this run an outcome is of."""


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
        #: Returns the digest of a text, which only the job can make; None: there is no other run.
        self.sign: Callable[[str], bytes] | None = None

    def come_back(
        self,
        earlier: Earlier,
        note: Callable[[str, bool], object],
        sign: Callable[[str], bytes],
    ) -> None:
        """Let workers bring what they have finished of earlier runs.

        Args:
            earlier: Knows those.
            note: Is told of workers that would wait for another run; see `Returning`.
            sign: Returns the digest of a text, which only the job can make.
        """
        with self._guard as machine:
            self.sign = sign
            returning, repairs, clock = machine.returning, machine.repairs, self._clock

            def settle(task_id: int, done: Finished) -> None:
                # The task is not known yet: it is about to be asked for, in this step.
                repairs.append((lambda: returning.settle(task_id, done, clock()),))

            returning.place, returning.note = earlier.place, note
            returning.expect(earlier.workers, clock())
            earlier.settle = settle

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
