"""Flux: flux batch, flux jobs, flux cancel. Not tried on a real system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker.pools.systems.system import AnswerError, Entry, State, first_group, unless_said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from masterworker.pools.pool import Pool

_FORMAT: Final = "{id.f58plain}|{state}|{result}"
_STATES: Final = {
    **dict.fromkeys(("DEPEND", "PRIORITY", "SCHED"), State.PENDING),
    **dict.fromkeys(("RUN", "CLEANUP"), State.RUNNING),
}
_RESULTS: Final = {
    "COMPLETED": State.ENDED,
    "TIMEOUT": State.ENDED,
    "FAILED": State.FAILED,
    "CANCELED": State.CANCELLED,
}


class Flux:
    """Flux."""

    title = "Flux"
    programs = ("flux",)

    def submit(self, pool: Pool, script: str, title: str, output: str) -> list[str]:
        """See `System.submit`."""
        said = pool.options
        more = unless_said(said, ["--job-name"], f"--job-name={title}")
        more += unless_said(said, ["--output"], f"--output={output}")
        more += unless_said(said, ["-n", "--nslots", "-N", "--nodes"], "--nslots=1")
        return ["flux", "batch", *said, *more, script]

    def job_of(self, answer: str) -> str:
        """See `System.job_of`: an id begins with f, or with a letter of its own."""
        return first_group(r"^\u0192?(f?[0-9A-Za-z]+)\s*$", answer, "flux batch")

    def queue(self, user: str, jobs: Iterable[str]) -> list[str]:
        """See `System.queue`."""
        return ["flux", "jobs", "-a", "-n", f"--user={user}", f"--format={_FORMAT}", *jobs]

    def entries(self, answer: str) -> Mapping[str, Entry]:
        """See `System.entries`."""
        found = {}
        for line in answer.splitlines():
            if not line.strip():
                continue
            fields = [field.strip() for field in line.split("|")]
            if len(fields) != 3:
                raise AnswerError(f"flux jobs printed {line[:100]!r}")
            job, word, result = fields
            state = _STATES.get(word) or _RESULTS.get(result, State.ENDED)
            found[job] = Entry(state, word)
        return found

    def cancel(self, jobs: Iterable[str]) -> list[str]:
        """See `System.cancel`."""
        return ["flux", "cancel", *jobs]
