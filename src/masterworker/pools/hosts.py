"""The ssh command that starts workers on another machine, and what ssh says of its tunnel."""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from masterworker.pools.pool import Pool

#: Seconds to connect, between two signs of life, and how many of these may be missing.
CONNECT: Final = 30
ALIVE: Final = 15
MISSING: Final = 3
#: Never a question to a terminal; the connection is the workers' lifeline, so it is ours alone.
_OPTIONS: Final = (
    *("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT}"),
    *("-o", f"ServerAliveInterval={ALIVE}", "-o", f"ServerAliveCountMax={MISSING}"),
    *("-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ExitOnForwardFailure=yes", "-T"),
    *("-o", "LogLevel=INFO"),  # it names the port of the way back, whatever ~/.ssh/config says
)
_ALLOCATED: Final = re.compile(r"Allocated port (\d+) for remote forward to (\S+)")
#: What ssh says of each connection once the master is gone.
_GONE: Final = re.compile(r"connect_to \S+ port \d+: failed\.?$")


def command(
    pool: Pool, host: str, number: int, place: tuple[str, int] | None, grace: float
) -> list[str]:
    """Return the command that starts workers on a machine; its input is the ticket.

    Args:
        pool: What is asked for.
        host: The machine, as ssh knows it.
        number: How many workers; 0: one for each processor.
        place: Where the master is reached from here, for the way back; None: none is made.
        grace: Seconds that workers have to finish what they are doing.
    """
    way_back = ["-R", f"127.0.0.1:0:{_text(place)}"] if place else []
    worker = [pool.python or sys.executable, "-m", "masterworker.cli", "worker", "--ticket", "-"]
    worker.append("--lifeline")
    worker += ["-n", str(number or "auto"), "--grace", f"{grace:g}"]
    there = "; ".join([*pool.setup, f"exec {shlex.join(worker)}"])
    if pool.setup:
        there = f"exec bash -lc {shlex.quote(there)}"
    return ["ssh", *pool.options, *_OPTIONS, *way_back, "--", host, there]


def allocated_port(line: str, place: tuple[str, int]) -> int:
    """Return the port of the way back that ssh names in a line of its log; 0: it does not.

    Args:
        line: Of the log; the user's configuration may ask for ways back of its own.
        place: Where the master is reached from here.
    """
    found = _ALLOCATED.search(line)
    return int(found[1]) if found and found[2] == f"{place[0]}:{place[1]}" else 0


def _text(place: tuple[str, int]) -> str:
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_noise(line: str) -> bool:
    """Return whether a line of ssh's log is about a master that is gone, which workers say."""
    return _GONE.match(line) is not None
