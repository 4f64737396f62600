"""Grid Engine and its descendants: qsub, qstat, qdel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker.pools.systems import scripts
from masterworker.pools.systems.system import AnswerError, Entry, State, first_group, unless_said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from masterworker.pools.pool import Pool

#: Fields of a line of qstat: id, priority, name, user, state, date, time, ...
_FIELDS: Final = 7


class GridEngine:
    """Grid Engine."""

    title = "Grid Engine"
    programs = ("qsub", "qstat", "qdel")

    def submit(self, pool: Pool, script: str, title: str, output: str) -> list[str]:
        """See `System.submit`."""
        said = pool.options
        more = unless_said(said, ["-N"], "-N", title)
        more += unless_said(said, ["-o"], "-o", output, "-j", "y")
        more += unless_said(said, ["-r"], "-r", "n")
        more += unless_said(said, ["-S"], "-S", scripts.shell(pool)[0])
        return ["qsub", "-terse", *said, *more, script]

    def job_of(self, answer: str) -> str:
        """See `System.job_of`."""
        return first_group(r"^(\d+)(?:\.\S*)?\s*$", answer, "qsub")

    def queue(self, user: str, jobs: Iterable[str]) -> list[str]:
        """See `System.queue`."""
        del jobs
        return ["qstat", "-u", user]

    def entries(self, answer: str) -> Mapping[str, Entry]:
        """See `System.entries`: a job that is over is not listed any more."""
        found = {}
        for line in answer.splitlines():
            fields = line.split()
            if not fields or fields[0] == "job-ID" or set(line.strip()) == {"-"}:
                continue
            if len(fields) < _FIELDS or not fields[0].isdecimal():
                raise AnswerError(f"qstat printed {line[:100]!r}")
            found[fields[0]] = Entry(_state(fields[4]), fields[4])
        return found

    def cancel(self, jobs: Iterable[str]) -> list[str]:
        """See `System.cancel`."""
        return ["qdel", *jobs]


def _state(letters: str) -> State:
    if "E" in letters:  # it will never begin by itself
        return State.STUCK
    if "q" in letters or letters == "h":
        return State.PENDING
    return State.RUNNING
