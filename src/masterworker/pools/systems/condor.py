"""HTCondor: condor_submit, condor_q, condor_rm. Not tried on a real system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker.pools.systems.system import AnswerError, Entry, State, first_group

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from masterworker.pools.pool import Pool

#: Numbers of JobStatus: idle, running, removed, completed, held, transferring, suspended.
_STATES: Final = {
    "1": State.PENDING,
    "2": State.RUNNING,
    "3": State.CANCELLED,
    "4": State.ENDED,
    "5": State.STUCK,
    "6": State.RUNNING,
    "7": State.RUNNING,
}


class Condor:
    """HTCondor. The user's options are lines of a submit description, as "request_cpus=8"."""

    title = "HTCondor"
    programs = ("condor_submit", "condor_q", "condor_rm")

    def submit(self, pool: Pool, script: str, title: str, output: str) -> list[str]:
        """See `System.submit`: the description is given by options, and has no file."""
        description = [
            f"executable={script}",
            f"output={output}",
            f"error={output}",
            f"batch_name={title}",
            "universe=vanilla",
            *pool.options,
        ]
        lines = [word for line in description for word in ("-append", line)]
        return ["condor_submit", "-terse", *lines, "-queue", "1", "/dev/null"]

    def job_of(self, answer: str) -> str:
        """See `System.job_of`: "12.0 - 12.0"."""
        return first_group(r"^(\d+)\.\d+", answer, "condor_submit")

    def queue(self, user: str, jobs: Iterable[str]) -> list[str]:
        """See `System.queue`."""
        del user
        return ["condor_q", *jobs, "-af:,", "ClusterId", "JobStatus", "HoldReason"]

    def entries(self, answer: str) -> Mapping[str, Entry]:
        """See `System.entries`."""
        found = {}
        for line in answer.splitlines():
            if not line.strip():
                continue
            fields = [field.strip() for field in line.split(",", 2)]
            if len(fields) < 2 or not fields[0].isdecimal():
                raise AnswerError(f"condor_q printed {line[:100]!r}")
            reason = fields[2] if len(fields) > 2 and fields[2] != "undefined" else ""
            found[fields[0]] = Entry(_STATES.get(fields[1], State.RUNNING), reason)
        return found

    def cancel(self, jobs: Iterable[str]) -> list[str]:
        """See `System.cancel`."""
        return ["condor_rm", *jobs]
