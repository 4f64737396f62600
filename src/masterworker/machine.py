"""Small facts about this process and its machine."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Variables that hold the id of a batch job, and the systems that set them.
_JOBS: Final = (
    ("SLURM_JOB_ID", "Slurm"),
    ("PBS_JOBID", "PBS"),
    ("LSB_JOBID", "LSF"),
    ("FLUX_JOB_ID", "Flux"),
)
#: Grid Engine's names are common words: two of them together are a sign of it.
_GRID_ENGINE: Final = ("SGE_TASK_ID", "JOB_ID")
#: Longest id of a batch job that is shown.
_LONGEST_JOB: Final = 60


def raise_descriptor_limit() -> None:
    """Let this process have as many descriptors as the system allows it, not only the usual 1,024.

    What it starts inherits that. Programs that use `select` on numbers from 1,024 on must take
    `poll`: so they get such numbers only where that many are open.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS allows fewer than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def process_info(pid: int | None = None) -> str:
    """Return the process id (of this one), the host's name, the machine's type, the batch job."""
    number = os.getpid() if pid is None else pid
    here = os.uname()
    info = f"pid {number} on {here.nodename} ({here.machine})"
    return f"{info}, {job}" if (job := batch_job()) else info


def batch_job(environ: Mapping[str, str] = os.environ) -> str:
    """Return the batch job that this process is part of, as "Slurm job 12"; "": it is of none."""
    for variable, system in _JOBS:
        if name := environ.get(variable, ""):
            return job_title(system, name)
    if all(environ.get(name) for name in _GRID_ENGINE):
        return job_title("Grid Engine", environ[_GRID_ENGINE[1]])
    return ""


def job_title(system: str, job: str) -> str:
    """Return what a job of a batch system is called."""
    return f"{system} job {job[:_LONGEST_JOB]}"


def job_in(info: str) -> str:
    """Return what the batch job in a line of `process_info` is called; "": there is none."""
    _, comma, job = info.partition("), ")
    return job if comma and " job " in job else ""


def process_number(info: str) -> int | None:
    """Return the process id in a line of `process_info`, if it is of this machine."""
    words = info.split()
    if len(words) < 4 or words[0] != "pid" or words[3] != os.uname().nodename:
        return None
    return int(words[1]) if words[1].isdecimal() else None


def random_name() -> str:
    """Return 32 random hexadecimal digits, which cannot be guessed."""
    return os.urandom(16).hex()
