"""LSF: bsub, bjobs, bkill. Not tried on a real system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker.pools.systems.system import AnswerError, Entry, State, first_group, unless_said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from masterworker.pools.pool import Pool

_FORMAT: Final = "jobid stat pend_reason estimated_start_time delimiter='|'"
_STATES: Final = {
    **dict.fromkeys(("PEND", "PSUSP", "WAIT"), State.PENDING),
    **dict.fromkeys(("RUN", "USUSP", "SSUSP", "PROV"), State.RUNNING),
    "DONE": State.ENDED,
    "EXIT": State.FAILED,
}


class Lsf:
    """LSF."""

    title = "LSF"
    programs = ("bsub", "bjobs", "bkill")

    def submit(self, pool: Pool, script: str, title: str, output: str) -> list[str]:
        """See `System.submit`: the script is a command of its own."""
        said = pool.options
        more = unless_said(said, ["-J"], "-J", title)
        more += unless_said(said, ["-o", "-oo"], "-o", output)
        return ["bsub", *said, *more, script]

    def job_of(self, answer: str) -> str:
        """See `System.job_of`: Job <123> is submitted to queue <normal>."""
        return first_group(r"Job <(\d+)> is submitted", answer, "bsub")

    def queue(self, user: str, jobs: Iterable[str]) -> list[str]:
        """See `System.queue`."""
        return ["bjobs", "-noheader", "-a", "-u", user, "-o", _FORMAT, *jobs]

    def entries(self, answer: str) -> Mapping[str, Entry]:
        """See `System.entries`."""
        found = {}
        for line in answer.splitlines():
            if not line.strip() or "is not found" in line or line.startswith("No "):
                continue
            fields = [field.strip() for field in line.split("|")]
            if len(fields) < 4 or not fields[0].isdecimal():
                raise AnswerError(f"bjobs printed {line[:100]!r}")
            job, word, reason, start = fields[:4]
            known = ["" if each == "-" else each for each in (reason, start)]
            found[job] = Entry(_STATES.get(word, State.RUNNING), *known)
        return found

    def cancel(self, jobs: Iterable[str]) -> list[str]:
        """See `System.cancel`."""
        return ["bkill", *jobs]
