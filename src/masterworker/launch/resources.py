"""What this process may use: processors, memory, and whether the system has run out of it.

Pure reading of what Linux and batch systems say; elsewhere the number of processors is all that is
known. A job in a container or under a batch system sees a part of its machine only.
"""

from __future__ import annotations

import math
import os
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    Root: TypeAlias = str | os.PathLike[str]

ROOT: Final = "/"
#: Where batch systems say how many processors a job, or a part of it, was allotted.
ALLOTTED: Final = (
    *("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"),
    *("NSLOTS", "PBS_NP", "LSB_DJOB_NUMPROC"),
)
#: A limit of memory from here on is none: version 1 says so with the largest number it has.
_ENDLESS: Final = 1 << 60
#: Longest time from the kernel's count of a kill for memory to the process's end (seconds).
OOM_LOOK: Final = 5.0
#: What the groups allow is looked at again after this time (seconds): a start of workers asks half
#: a dozen times, and each look reads as many files.
SEEN_SECONDS: Final = 1.0
_seen: Final[dict[Root, tuple[int, float]]] = {}


def usable_cpus(root: Root = ROOT, environ: Mapping[str, str] = os.environ) -> int:
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
    number = min(number, _most_by_groups(root))
    for name in ALLOTTED:
        value = environ.get(name, "").strip()
        if value.isdecimal() and len(value) < 10 and int(value):
            number = min(number, int(value))
    return max(1, number)


def memory_limit(root: Root = ROOT) -> int | None:
    """Return how much memory the control groups of this process allow, in bytes; None: any."""
    limits = [_number(f"{group}/memory.max") for group in _groups("", root)]
    limits += [_number(f"{group}/memory.limit_in_bytes") for group in _groups("memory", root)]
    known = [limit for limit in limits if limit is not None and limit < _ENDLESS]
    return min(known, default=None)


def oom_kills(root: Root = ROOT) -> int:
    """Count the processes that were killed because memory ran out, here or on the machine.

    Only a change of this number says something.
    """
    found = [_field(f"{group}/memory.events", "oom_kill") for group in _groups("", root)]
    older = _groups("memory", root)
    found += [_field(f"{group}/memory.oom_control", "oom_kill") for group in older]
    found.append(_field(f"{root}/proc/vmstat", "oom_kill"))
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


def _most_by_groups(root: Root) -> int:
    """Return how many processors the control groups allow at most."""
    now, (known, until) = time.monotonic(), _seen.get(root, (0, 0.0))
    if now >= until:
        known = min(map(math.ceil, _cpu_shares(root)), default=sys.maxsize)
        if root == ROOT:
            _seen[root] = known, now + SEEN_SECONDS
    return known


def _cpu_shares(root: Root) -> Iterator[float]:
    for group in _groups("", root):
        quota, _, period = _text(f"{group}/cpu.max").partition(" ")
        if quota.isdecimal() and period.strip().isdecimal():
            yield int(quota) / int(period)
    for group in _groups("cpu", root):
        share = _number(f"{group}/cpu.cfs_quota_us")
        span = _number(f"{group}/cpu.cfs_period_us")
        if share is not None and share > 0 and span:
            yield share / span


def _groups(controller: str, root: Root) -> Iterator[str]:
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
        folder = os.path.normpath(f"{mount}/{inside}")
        while True:
            yield folder
            if folder == mount or not _is_below(folder, mount):
                break
            folder = os.path.dirname(folder)


def _own_group(controller: str, root: Root) -> str | None:
    for line in _text(f"{root}/proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if (controller in names.split(",")) if controller else (number == "0" and not names):
            return path
    return None


def _mounts(controller: str, root: Root) -> Iterator[tuple[str, str]]:
    """Yield where a hierarchy is mounted, and which group is the top of what is seen there."""
    for line in _text(f"{root}/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        wanted = kind[0] == "cgroup2" if not controller else kind[0] == "cgroup"
        if wanted and (not controller or controller in kind[2].split(",")):
            yield os.path.normpath(f"{root}/{fields[4]}"), fields[3]


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _number(path: str) -> int | None:
    text = _text(path).strip()
    return int(text) if text.lstrip("-").isdecimal() else None


def _field(path: str, name: str) -> int | None:
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdecimal():
            return int(value)
    return None
