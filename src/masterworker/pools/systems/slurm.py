"""Slurm: sbatch, squeue, scancel. Tried with 22.05."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from masterworker.pools.systems.system import AnswerError, Entry, State, first_group, unless_said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from masterworker.pools.pool import Pool

#: Seconds before the end of a job's time at which Slurm says so.
NOTICE: Final = 60
_FORMAT: Final = "%i|%T|%r|%S|%e"
_UNKNOWN: Final = frozenset({"N/A", "NONE", "Unknown", "None"})
_STATES: Final = {
    **dict.fromkeys(
        ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"),
        State.PENDING,
    ),
    **dict.fromkeys(
        ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT"),
        State.RUNNING,
    ),
    **dict.fromkeys(("COMPLETED", "TIMEOUT", "PREEMPTED", "DEADLINE", "NODE_FAIL"), State.ENDED),
    **dict.fromkeys(("FAILED", "BOOT_FAIL", "OUT_OF_MEMORY", "LAUNCH_FAILED"), State.FAILED),
    **dict.fromkeys(("CANCELLED", "REVOKED"), State.CANCELLED),
}


#: Slurm may give notice a minute early, so jobs that are shorter than this go without (seconds).
_SHORT: Final = 300


class Slurm:
    """Slurm."""

    title = "Slurm"
    programs = ("sbatch", "squeue", "scancel")

    def submit(self, pool: Pool, script: str, title: str, output: str) -> list[str]:
        """See `System.submit`: the user's options stand first, and are not repeated."""
        said = pool.options
        file = output.replace("%", "%%")  # else %j is the id
        more = unless_said(said, ["-J", "--job-name"], f"--job-name={title}")
        more += unless_said(said, ["-o", "--output"], f"--output={file}")
        more += unless_said(said, ["--requeue", "--no-requeue"], "--no-requeue")
        if not _is_short(said):
            script_alone = "" if pool.nodes > 1 else "B:"
            more += unless_said(said, ["--signal"], f"--signal={script_alone}TERM@{NOTICE}")
        if pool.nodes > 1:
            nodes = (f"--nodes={pool.nodes}", "--ntasks-per-node=1", "--no-kill")
            more += unless_said(said, ["-N", "--nodes"], *nodes)
        return ["sbatch", "--parsable", *said, *more, script]

    def job_of(self, answer: str) -> str:
        """See `System.job_of`: "123", or "123;cluster"."""
        return first_group(r"^(\d+)(?:;\S*)?\s*$", answer, "sbatch")

    def queue(self, user: str, jobs: Iterable[str]) -> list[str]:
        """See `System.queue`: of all that are this user's; ids it has forgotten are no error."""
        del jobs
        return ["squeue", "--noheader", "--states=all", f"--user={user}", f"--format={_FORMAT}"]

    def entries(self, answer: str) -> Mapping[str, Entry]:
        """See `System.entries`."""
        found = {}
        for line in answer.splitlines():
            if not line.strip() or line.startswith("CLUSTER:"):
                continue
            fields = [field.strip() for field in line.split("|")]
            if len(fields) != _FORMAT.count("|") + 1:
                raise AnswerError(f"squeue printed {line[:100]!r}")
            job, word, reason, start, end = fields
            state = _STATES.get(word.split()[0] if word else "", State.RUNNING)
            if state is not State.PENDING and state is not State.RUNNING:
                reason = word
            known = ["" if each in _UNKNOWN else each for each in (reason, start, end)]
            found[job] = Entry(state, *known)
        return found

    def cancel(self, jobs: Iterable[str]) -> list[str]:
        """See `System.cancel`: one that has begun meanwhile is left alone."""
        return ["scancel", "--state=PENDING", *jobs]


def _is_short(options: Sequence[str]) -> bool:
    """Return whether the user's time limit is so short that a notice would be its end.

    Workers know when their job ends, and leave by themselves.
    """
    for at, word in enumerate(options):
        if word in {"-t", "--time"} and at + 1 < len(options):
            return _seconds(options[at + 1]) <= _SHORT
        if word.startswith("--time="):
            return _seconds(word.partition("=")[2]) <= _SHORT
        if word.startswith("-t") and not word.startswith("--"):
            return _seconds(word[2:]) <= _SHORT
    return False


def _seconds(limit: str) -> float:
    """Read a time limit as Slurm does: minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S."""
    days, dash, rest = limit.rpartition("-")
    fields = rest.split(":")
    try:
        numbers = [int(field) for field in fields]
        if dash:
            hours, minutes, seconds = [*numbers, 0, 0][:3]
            return ((int(days) * 24 + hours) * 60 + minutes) * 60 + seconds
        if len(numbers) == 1:
            return numbers[0] * 60
        if len(numbers) == 2:
            return numbers[0] * 60 + numbers[1]
        hours, minutes, seconds = numbers
        return (hours * 60 + minutes) * 60 + seconds
    except ValueError:  # Slurm will say what is wrong, or it has no limit
        return math.inf
