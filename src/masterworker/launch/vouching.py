"""What a supervisor sees of its processes and tells the manager: of one run of that at a time.

Workers that come back to the next run of their master join it one after the other. Their numbers in
the run before are numbers of others there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.launch import health
from masterworker.launch.scoreboard import RUN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker import wire
    from masterworker.launch.process import WorkerProcess
    from masterworker.launch.slot import Slot


class Vouching:
    """Finds what is to be said of the processes of a supervisor. For one thread."""

    def __init__(self) -> None:
        self._usage = health.UsageWatch()
        #: The runs of the manager that processes have joined, as `wire.number_of_run`.
        self._runs: list[int] = []

    def look(
        self, slots: Iterable[Slot], well: Sequence[WorkerProcess], now: float
    ) -> tuple[list[int], Sequence[wire.Usage], Sequence[wire.Still], int]:
        """Return what `Reporter.vouch` takes, of the latest run that a process has joined.

        Args:
            slots: All slots.
            well: The processes that are well, and have joined.
            now: The time.
        """
        for process in well:
            if process.board[RUN] not in self._runs:
                self._runs.append(process.board[RUN])
        run = self._runs[-1] if self._runs else 0
        theirs = [s for s in slots if s.process is not None and s.process.board[RUN] == run]
        members = [process.member_id for process in well if process.board[RUN] == run]
        return members, self._usage.look(theirs, now), health.still(theirs, now), run
