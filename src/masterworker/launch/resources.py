"""What this process may use: processors, memory, and whether the system has run out of it.

Pure reading of what Linux and batch systems say; elsewhere the number of processors is all that is
known. A job in a container or under a batch system sees a part of its machine only.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT: Final = Path("/")
#: Where batch systems say how many processors a job, or a part of it, was allotted.
ALLOTTED: Final = (
    *("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"),
    *("NSLOTS", "PBS_NP", "LSB_DJOB_NUMPROC"),
)
#: A limit of memory from here on is none: version 1 says so with the largest number it has.
_ENDLESS: Final = 1 << 60
#: Longest time from the kernel's count of a kill for memory to the process's end (seconds).
OOM_LOOK: Final = 5.0


def usable_cpus(root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> int:
    """Return how many processors this process may keep busy, at least 1.

    The least of what it may run on, of what its control groups allow, rounded up, and of what a
    batch system has allotted.

    Args:
        root: Where `/proc` and `/sys` are found; for tests.
        environ: Where batch systems say so; for tests.
    """
    try:
        number = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        number = os.cpu_count() or 1
    for share in _cpu_shares(root):
        number = min(number, math.ceil(share))
    for name in ALLOTTED:
        value = environ.get(name, "").strip()
        if value.isdecimal() and len(value) < 10 and int(value):
            number = min(number, int(value))
    return max(1, number)


def memory_limit(root: Path = ROOT) -> int | None:
    """Return how much memory the control groups of this process allow, in bytes; None: any."""
    limits = [_number(group / "memory.max") for group in _groups("", root)]
    limits += [_number(group / "memory.limit_in_bytes") for group in _groups("memory", root)]
    known = [limit for limit in limits if limit is not None and limit < _ENDLESS]
    return min(known, default=None)


def oom_kills(root: Path = ROOT) -> int:
    """Count the processes that were killed because memory ran out, here or on the machine.

    Only a change of this number says something.
    """
    found = [_field(group / "memory.events", "oom_kill") for group in _groups("", root)]
    found += [_field(group / "memory.oom_control", "oom_kill") for group in _groups("memory", root)]
    found.append(_field(root / "proc/vmstat", "oom_kill"))
    return sum(count for count in found if count is not None)


class OomWatch:
    """Knows whether the system has lately killed a process because memory ran out.

    Args:
        count: How to count such cases.
    """

    def __init__(self, count: Callable[[], int] = oom_kills) -> None:
        self._count = count
        self._counts = [count()] * 2
        self._next = 0.0

    def look(self, now: float) -> None:
        """Count anew, now and then."""
        if now >= self._next:
            self._counts = [self._counts[1], self._count()]
            self._next = now + OOM_LOOK

    def has_struck(self) -> bool:
        """Return whether it has, within the last `OOM_LOOK` to twice that."""
        return self._count() > self._counts[0]


def _cpu_shares(root: Path) -> Iterator[float]:
    for group in _groups("", root):
        quota, _, period = _text(group / "cpu.max").partition(" ")
        if quota.isdecimal() and period.strip().isdecimal():
            yield int(quota) / int(period)
    for group in _groups("cpu", root):
        share = _number(group / "cpu.cfs_quota_us")
        span = _number(group / "cpu.cfs_period_us")
        if share is not None and share > 0 and span:
            yield share / span


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Yield the folders of this process's control group and of all above it.

    Args:
        controller: "cpu" or "memory" of version 1; "" for version 2.
        root: Where `/proc` and `/sys` are found.
    """
    path = _own_group(controller, root)
    if path is None:
        return
    for mount, top in _mounts(controller, root):
        inside = os.path.relpath(path, top) if _is_below(path, top) else "."
        folder = mount / inside
        while True:
            yield folder
            if folder == mount or mount not in folder.parents:
                break
            folder = folder.parent


def _own_group(controller: str, root: Path) -> str | None:
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if (controller in names.split(",")) if controller else (number == "0" and not names):
            return path
    return None


def _mounts(controller: str, root: Path) -> Iterator[tuple[Path, str]]:
    """Yield where a hierarchy is mounted, and which group is the top of what is seen there."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        wanted = kind[0] == "cgroup2" if not controller else kind[0] == "cgroup"
        if wanted and (not controller or controller in kind[2].split(",")):
            yield root / fields[4].lstrip("/"), fields[3]


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.lstrip("-").isdecimal() else None


def _field(path: Path, name: str) -> int | None:
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdecimal():
            return int(value)
    return None
