"""What a process has from the one that starts it, and a fork of an older process may have not."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from masterworker.thread_limits import THREADS

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Lines of `/proc/self/status` that a child has in common with the thread that starts it.
_LINES: Final = (
    *("Umask", "Uid", "Gid", "Groups", "SigBlk", "SigIgn", "NoNewPrivs", "Seccomp"),
    "Seccomp_filters",
    *("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "Cpus_allowed", "Mems_allowed"),
)
_FILES: Final = ("limits", "cgroup", "oom_score_adj")
#: Variables that a process reads before its first line of Python, or at its libraries' start.
_EARLY: Final = (
    *("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_", "GCONV_", "TZ", "HOME"),
    "PYRO_",  # read when Pyro is imported, which tasks may use as well
)
#: Modules of the user's or the installation's that each interpreter executes as it begins.
_CUSTOM: Final = frozenset({"sitecustomize", "usercustomize"})


def inherited(proc: Path = Path("/proc")) -> str:
    """Describe what a process that this thread starts now has from it."""
    own = proc / "thread-self"
    status = (own / "status").read_text(encoding="ascii", errors="replace")
    lines = [line for line in status.splitlines() if line.partition(":")[0] in _LINES]
    lines += [(own / name).read_text(encoding="utf-8", errors="replace") for name in _FILES]
    links = [own / "root", *sorted((own / "ns").iterdir())]
    lines += [str(link.readlink()) for link in links]
    numbers = os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), os.getsid(0)
    return "\n".join([*lines, str(numbers)])


def early(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the variables that matter before a process could be told others."""
    if not _CUSTOM & sys.modules.keys():
        return tuple(sorted(each for each in environment.items() if each[0].startswith(_EARLY)))
    # These may read any; those that we set for each launch, libraries read when they are loaded.
    return tuple(sorted(each for each in environment.items() if each[0] not in THREADS))
