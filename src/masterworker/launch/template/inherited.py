"""What a process has from the one that starts it, and a fork of an older process may have not."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from masterworker.thread_limits import THREADS

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Lines of `/proc/self/status` that a child has in common with the thread that starts it.
_LINES: Final = frozenset(
    (
        *(b"Umask", b"Uid", b"Gid", b"Groups", b"SigBlk", b"SigIgn", b"NoNewPrivs", b"Seccomp"),
        *(b"Seccomp_filters", b"Cpus_allowed", b"Mems_allowed"),
        *(b"CapInh", b"CapPrm", b"CapEff", b"CapBnd", b"CapAmb"),
    )
)
_FILES: Final = ("limits", "cgroup", "oom_score_adj")
_OWN: Final = "/proc/thread-self"
#: More than any of these files has (bytes).
_MOST: Final = 1 << 16
#: Variables that a process reads before its first line of Python, or at its libraries' start.
_EARLY: Final = (
    *("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_", "GCONV_", "TZ", "HOME"),
    "PYRO_",  # read when Pyro is imported, which tasks may use as well
)
#: Modules of the user's or the installation's that each interpreter executes as it begins.
_CUSTOM: Final = frozenset({"sitecustomize", "usercustomize"})


def inherited() -> tuple[object, ...]:
    """Describe what a process that this thread starts now has from it. Costs 0.1 ms."""
    lines = [line for line in _read("status").splitlines() if line.partition(b":")[0] in _LINES]
    files = map(_read, _FILES)
    names = ["root", *(f"ns/{name}" for name in sorted(os.listdir(f"{_OWN}/ns")))]  # noqa: PTH208
    links = [os.readlink(f"{_OWN}/{name}") for name in names]  # noqa: PTH115  four times as fast
    numbers = os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), os.getsid(0)
    return *lines, *files, *links, *numbers


def _read(name: str) -> bytes:
    fd = os.open(f"{_OWN}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _MOST)
    finally:
        os.close(fd)


def early(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the variables that matter before a process could be told others."""
    if not _CUSTOM & sys.modules.keys():
        return tuple(sorted(each for each in environment.items() if each[0].startswith(_EARLY)))
    # These may read any; those that we set for each launch, libraries read when they are loaded.
    return tuple(sorted(each for each in environment.items() if each[0] not in THREADS))
