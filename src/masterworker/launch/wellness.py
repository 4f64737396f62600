"""Whether a worker process can be vouched for: judged from outside, look by look."""

from __future__ import annotations

from typing import Final

from masterworker.launch import scoreboard

#: An idle worker whose own threads have not run for so long is not vouched for (seconds).
WEDGED: Final = 10.0
#: One that stands still for so long (SIGSTOP, a debugger) is reported: others do its work until it
#: is continued and joins again (seconds).
STOPPED: Final = 3.0
#: One that is stopped for so long, and not by a debugger, makes room for another (seconds).
STAYS_STOPPED: Final = 10.0
#: So does an idle one whose own threads have not run for so long (seconds).
STAYS_WEDGED: Final = 30.0
#: Whoever looks after so long only (seconds) has been stopped himself, perhaps with all workers.
LATE: Final = 1.5


class Wellness:
    """How one worker process is doing. Times are seconds of the monotonic clock.

    Args:
        numbers: The scoreboard that it shares.
        now: The time.
    """

    def __init__(self, numbers: memoryview, now: float) -> None:
        self._board = numbers
        self._tick, self._ticked = 0, now
        self._looked = self._stands_since = self._stopped_since = self._still_since = now
        self._told = False
        self._runs = True

    def look(self, *, runs: bool, is_stopped: bool, now: float) -> None:
        """Take note of how it looks: whether it can run, and if not, whether it was stopped."""
        if self._board[scoreboard.TICK] != self._tick:
            self._tick, self._ticked = self._board[scoreboard.TICK], now
            self._still_since = now
        late = now - self._looked > LATE
        if runs or late:
            self._stands_since = now
        if late or not is_stopped:
            self._stopped_since = now
        if late or not runs or self._board[scoreboard.TASK] or not self._tick:
            self._still_since = now
        if runs:
            self._told = False
        self._runs, self._looked = runs, now

    @property
    def is_well(self) -> bool:
        """Tell whether it can run, and executes a task or at least ticks.

        A handler may hold the interpreter's lock, so that nothing ticks, for as long as it wants.
        """
        ticks = self._looked - self._ticked < WEDGED
        return self._runs and (self._board[scoreboard.TASK] != 0 or ticks)

    def has_stopped(self) -> bool:
        """Tell, once each time, that it has been stopped for too long."""
        if self._told or self._runs or self._looked - self._stands_since < STOPPED:
            return False
        self._told = True
        return True

    @property
    def stays_stopped(self) -> bool:
        """Tell whether somebody has stopped it, and nobody has continued it for too long."""
        return self._looked - self._stopped_since >= STAYS_STOPPED

    @property
    def stays_wedged(self) -> bool:
        """Tell whether it has work to ask for, and does nothing at all for too long."""
        return not self._board[scoreboard.LEFT] and self._looked - self._still_since >= STAYS_WEDGED
