"""How a worker process is doing, judged from outside: seen by the system, and on its scoreboard.

    /proc --look--> Look --+
                           +--> Health --> vouched for? stopped? to be ended, and why?
    scoreboard ------------+

Only Linux's `/proc` is read. Elsewhere a process is assumed to run, and its memory is not known.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from masterworker.launch import exits, scoreboard
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    class _Process(Protocol):
        @property
        def pid(self) -> int: ...
        @property
        def member_id(self) -> int: ...
        @property
        def health(self) -> Health: ...

    class _Place(Protocol):
        @property
        def process(self) -> _Process | None: ...


#: Path of what the system shows of processes.
PROC: Final = "/proc"
#: More than its file has (bytes).
_MOST: Final = 1 << 16
#: Stopped, traced, a zombie, or dead: it does nothing.
_STANDS: Final = frozenset("TtZXx")
_STOPPED: Final = "T"

#: Time for a worker to interrupt a task before the worker is killed.
KILL_GRACE_SECONDS: Final = 2.0
#: An idle worker whose own threads have not run for this time is not vouched for.
WEDGED_SECONDS: Final = 10.0
#: A worker that is stopped for this time (SIGSTOP, a debugger) is reported: others do its work
#: until it is continued and joins again.
STOPPED_SECONDS: Final = 3.0
#: A worker that is stopped for this time, and not by a debugger, makes room for another one.
STAYS_STOPPED_SECONDS: Final = 10.0
#: So does an idle worker whose own threads have not run for this time.
STAYS_WEDGED_SECONDS: Final = 30.0
#: Time between two reports of what workers use (seconds).
USAGE_SECONDS: Final = 5.0
#: After a longer pause between two looks the supervisor has been stopped itself, perhaps with all
#: of its workers.
LATE_SECONDS: Final = 1.5
#: A courier looks every 2.5 s at least, so one that has not ticked for longer than this cannot run,
#: also where the machine is busy (seconds).
STILL_SECONDS: Final = 6.0


class Look(NamedTuple):
    """How a process looks at one instant."""

    #: It can run.
    runs: bool
    #: It was stopped (SIGSTOP), and not by a debugger.
    is_stopped: bool
    #: Memory in use, and the most that ever was, in bytes; 0 if unknown.
    memory: int
    peak: int


def look(pid: int, proc: str = PROC) -> Look:
    """Look at a process. Costs 50 us: a read of one small file."""
    try:
        fd = os.open(f"{proc}/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(fd, _MOST).decode("ascii", "replace")
        finally:
            os.close(fd)
    except OSError:
        return Look(runs=True, is_stopped=False, memory=0, peak=0)
    state, memory, peak = "", 0, 0
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "State":
            state = value.strip()[:1]
        elif name == "VmRSS":
            memory = _bytes(value)
        elif name == "VmHWM":
            peak = _bytes(value)
        elif name == "Threads":
            break
    return Look(state not in _STANDS, state == _STOPPED, memory, peak)


def processor_time(pid: int, proc: str = PROC) -> float:
    """Return how much processor time a process has used (seconds); 0.0: that is not known."""
    try:
        fd = os.open(f"{proc}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fields = os.read(fd, _MOST).rpartition(b")")[2].split()  # its name may be anything
        finally:
            os.close(fd)
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


class UsageWatch:
    """Knows when to measure what workers use."""

    def __init__(self) -> None:
        self._next = 0.0

    def look(self, slots: Iterable[_Place], now: float) -> list[tuple[int, int, float]]:
        """Measure, now and then. Returns members, bytes of memory, seconds of processor time."""
        if now < self._next:
            return []
        self._next = now + USAGE_SECONDS
        here = [slot.process for slot in slots if slot.process is not None]
        return [
            (process.member_id, look(process.pid).memory, processor_time(process.pid))
            for process in here
            if process.member_id >= 0
        ]


def still(slots: Iterable[_Place], now: float) -> list[tuple[int, float]]:
    """Return the members that do nothing but execute, and for how long (seconds)."""
    here = [slot.process for slot in slots if slot.process is not None]
    seen = [(process.member_id, process.health.still_for(now)) for process in here]
    return [(member_id, seconds) for member_id, seconds in seen if member_id >= 0 and seconds]


def can_measure(proc: str = PROC) -> bool:
    """Return whether the memory of processes can be seen on this system."""
    return os.access(f"{proc}/self/status", os.F_OK)


def excess_of_memory(seen: Look, limit: int | None) -> str:
    """Return why a worker with this limit (bytes; None: none) is to be ended; "": it is not."""
    if limit is None or seen.memory <= limit:
        return ""
    return (
        f"it had {exits.megabytes(seen.memory)} of memory, and its limit is "
        f"{exits.megabytes(limit)}"
    )


class Health:
    """How one worker process is doing. Times are seconds of the monotonic clock.

    Args:
        board: The scoreboard that it shares.
        now: The time.
    """

    def __init__(self, board: memoryview, now: float) -> None:
        self._board = board
        self._tick, self._ticked = 0, now
        self._looked = self._stands_since = self._stopped_since = self._still_since = now
        self._reported = False
        self._runs = True

    def look(self, seen: Look, now: float) -> None:
        """Take note of how it looks."""
        tick = self._board[scoreboard.TICK]
        if tick != self._tick:
            self._tick, self._ticked = tick, now
            self._still_since = now
        late = now - self._looked > LATE_SECONDS
        if seen.runs or late:
            self._stands_since = now
        if late or not seen.is_stopped:
            self._stopped_since = now
        if late or not seen.runs or self._board[scoreboard.TASK] or not tick:
            self._still_since = now
        if seen.runs:
            self._reported = False
        self._runs, self._looked = seen.runs, now

    @property
    def is_well(self) -> bool:
        """Whether it can run, and executes a task or at least ticks.

        A handler may hold the interpreter's lock, so that nothing ticks, for as long as it wants.
        """
        ticks = self._looked - self._ticked < WEDGED_SECONDS
        return self._runs and (self._board[scoreboard.TASK] != 0 or ticks)

    def still_for(self, now: float) -> float:
        """Return for how long its own threads have not run while it executes; 0.0: they do."""
        seconds = now - self._ticked
        executes = self._runs and self._tick and self._board[scoreboard.TASK]
        return seconds if executes and seconds >= STILL_SECONDS else 0.0

    def has_stopped(self) -> bool:
        """Return, once each time, whether it has been stopped for too long."""
        stands = self._looked - self._stands_since
        if self._reported or self._runs or stands < STOPPED_SECONDS:
            return False
        self._reported = True
        return True

    def standstill(self) -> str:
        """Return why it is to be ended, so that another one takes its place; "": it is not."""
        if self._looked - self._stopped_since >= STAYS_STOPPED_SECONDS:
            return "it was stopped, and never continued"
        wedged = self._looked - self._still_since >= STAYS_WEDGED_SECONDS
        if wedged and not self._board[scoreboard.LEFT]:
            return "its own threads did not run any more"
        return ""

    def overdue_task(self, now: float) -> int:
        """Return the task that goes on after its worker was asked to interrupt it; 0: none does.

        The worker itself interrupts the handler when the time is up. That does not help where the
        handler catches everything, or does not come back to Python's interpreter.
        """
        task, deadline = self._board[scoreboard.TASK], self._board[scoreboard.DEADLINE]
        if not task or not deadline or now - deadline / 1e9 < KILL_GRACE_SECONDS:
            return 0
        return task if self._board[scoreboard.TASK] == task else 0


def _bytes(value: str) -> int:
    number = value.split(maxsplit=1)[0]
    return int(number) * 1024 if number.isdecimal() else 0
