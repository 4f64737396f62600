"""Runs a command of a batch system: bounded in time, without a shell, its words as they are."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Final

from masterworker.data.record import printable
from masterworker.errors import MasterworkerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Longest time that a command may take (seconds).
BOUND: Final = 60.0
#: Most of an answer that is read (characters).
_MOST: Final = 20_000_000


#: What the user has set for commands that are typed: filters of lists, questions, other formats,
#: several jobs at once, waiting; and what an allocation in which we are says of itself.
_NOT_FOR_US: Final = re.compile(
    r"SQUEUE_|SCANCEL_|SBATCH_(ARRAY_INX|WAIT|CLUSTERS)$|SLURM_(TIME_FORMAT$|JOB|STEP|MEM|NTASKS"
    r"|NPROCS|TASK|CPU|NNODES|NODE|GPU|TRES|GTIDS|PROCID|LOCALID|EXPORT)"
)
#: Said of jobs that are over for long.
_FORGOTTEN: Final = re.compile(r"(?i)unknown job|not found|does not exist|invalid job id")


class CommandError(MasterworkerError):
    """A command of a batch system did not work; says what it said."""

    #: What it printed, where it only complains of jobs that it does not know.
    listed: str | None = None
    #: What it had printed when it was ended, since it took too long.
    printed: str = ""


def environment() -> dict[str, str]:
    """Return the environment of a command."""
    mine = {name: value for name, value in os.environ.items() if not _NOT_FOR_US.match(name)}
    if clusters := os.environ.get("SBATCH_CLUSTERS"):  # or squeue would look elsewhere
        mine["SLURM_CLUSTERS"] = clusters
    return mine | {"LC_ALL": "C.UTF-8"}


def run(command: Sequence[str], bound: float = BOUND) -> str:
    """Run a command. Returns what it prints.

    Args:
        command: Its words.
        bound: Seconds that it may take.

    Raises:
        CommandError: It failed, took too long, or is not there.
    """
    name = command[0]
    try:
        with subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            start_new_session=True,  # a Ctrl-C is not for it, and all of it can be ended
        ) as process:
            try:
                out, err = process.communicate(timeout=bound)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
    except subprocess.TimeoutExpired as expired:
        late = CommandError(f"{name} has not answered within {bound:.0f} s")
        late.printed = (expired.stdout or b"").decode("utf-8", "replace")
        raise late from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{name} cannot be started: {error}") from None
    answer = out.decode("utf-8", "replace")[:_MOST]
    if process.returncode != 0:
        complaint = err.decode("utf-8", "replace").strip()
        said = complaint or answer.strip()
        text = printable(" ".join(said.split())[:500]) or f"exit status {process.returncode}"
        failed = CommandError(f"{name} refused: {text}")
        failed.listed = answer if _FORGOTTEN.search(complaint) else None
        raise failed
    return answer


def require(programs: Iterable[str], title: str) -> None:
    """Check that what a batch system needs is there.

    Raises:
        UsageError: Something is missing.
    """
    lacks = [name for name in programs if shutil.which(name) is None]
    if lacks:
        raise UsageError(f"{', '.join(lacks)} cannot be found: is {title} on this machine?")


def listing(command: Sequence[str], bound: float) -> str:
    """Run a command that lists jobs. Returns what it prints: those that it does not know are over.

    Raises:
        CommandError: It failed for another reason.
    """
    try:
        return run(command, bound)
    except CommandError as error:
        if error.listed is None:
            raise
        return error.listed
