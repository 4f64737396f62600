"""How long the batch job of this process may still run: `--until auto`."""

from __future__ import annotations

import datetime as dt
import os
import time
from typing import Final

from masterworker.errors import MasterworkerError
from masterworker.pools import commands

#: Workers are gone this long before the end (seconds), or this part of what is left, if less.
MARGIN: Final = 30.0
PART: Final = 0.05
#: Longest time to ask for it (seconds).
_BOUND: Final = 20.0


def seconds_left() -> list[float]:
    """Return the seconds after which workers are to leave; nothing: there is no such time."""
    if (end := _end()) is None:
        return []
    left = end - time.time()
    return [max(0.1, left - min(MARGIN, PART * left))]


def _end() -> float | None:
    """Return when the job ends (seconds since 1970); None: never, or it is not known."""
    said = os.environ.get("SLURM_JOB_END_TIME", "")
    if said.isdecimal() and len(said) < 15:
        return float(said)
    if job := os.environ.get("SLURM_JOB_ID"):
        try:
            answer = commands.run(["squeue", "-h", "-j", job, "-o", "%e"], _BOUND)
            return dt.datetime.fromisoformat(answer.strip()).timestamp()
        except (MasterworkerError, ValueError):  # "NONE": it has no limit
            return None
    return None
