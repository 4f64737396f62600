"""What the system says of a process that runs: whether it is stopped, and its memory.

Reads Linux's `/proc`. Elsewhere nothing is known, and all is assumed to be well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

PROC: Final = Path("/proc")
#: Stopped, traced, a zombie, or dead: it does nothing.
_STANDS: Final = frozenset("TtZXx")
_STOPPED: Final = "T"


class Look(NamedTuple):
    """How a process looks at one instant."""

    #: It can run.
    runs: bool
    #: It was stopped (SIGSTOP), and not by a debugger.
    is_stopped: bool
    #: Memory in use, and the most that ever was, in bytes; 0 if unknown.
    memory: int
    peak: int


def look(pid: int, proc: Path = PROC) -> Look:
    """Look at a process."""
    try:
        text = (proc / str(pid) / "status").read_text(encoding="ascii", errors="replace")
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


def can_measure(proc: Path = PROC) -> bool:
    """Tell whether the memory of processes can be seen on this system."""
    return (proc / "self" / "status").exists()


def _bytes(value: str) -> int:
    number = value.split(maxsplit=1)[0]
    return int(number) * 1024 if number.isdecimal() else 0
