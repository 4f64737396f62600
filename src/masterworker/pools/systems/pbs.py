"""PBS (OpenPBS, PBS Pro, Torque): qsub, qstat, qdel. Not tried on a real system."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from masterworker.pools.systems.system import AnswerError, Entry, State, first_group, unless_said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from masterworker.pools.pool import Pool

_STATES: Final = {
    **dict.fromkeys("QHWTMSU", State.PENDING),
    **dict.fromkeys("RBE", State.RUNNING),
    **dict.fromkeys("CFX", State.ENDED),
}
_JOB: Final = re.compile(r"^Job Id:\s*(\S+)", re.MULTILINE)
_STATE: Final = re.compile(r"^\s*job_state = (\S+)", re.MULTILINE)
_STATUS: Final = re.compile(r"^\s*[Ee]xit_status = (-?\d+)", re.MULTILINE)
_COMMENT: Final = re.compile(r"^\s*comment = (.*)", re.MULTILINE)


class Pbs:
    """PBS."""

    title = "PBS"
    programs = ("qsub", "qstat", "qdel")

    def submit(self, pool: Pool, script: str, title: str, output: str) -> list[str]:
        """See `System.submit`."""
        said = pool.options
        more = unless_said(said, ["-N"], "-N", title[:15])  # Torque takes no longer one
        more += unless_said(said, ["-o"], "-o", output, "-j", "oe")
        more += unless_said(said, ["-r"], "-r", "n")
        return ["qsub", *said, *more, script]

    def job_of(self, answer: str) -> str:
        """See `System.job_of`."""
        return first_group(r"^(\d+\S*)\s*$", answer, "qsub")

    def queue(self, user: str, jobs: Iterable[str]) -> list[str]:
        """See `System.queue`: exits with an error where one of them is forgotten, but lists all."""
        del user
        return ["qstat", "-f", *jobs]

    def entries(self, answer: str) -> Mapping[str, Entry]:
        """See `System.entries`."""
        found = {}
        starts = [match.start() for match in _JOB.finditer(answer)]
        for begin, end in pairwise([*starts, len(answer)]):
            part = answer[begin:end]
            job, state = _JOB.search(part), _STATE.search(part)
            if job is None or state is None:
                raise AnswerError(f"qstat printed {part[:100]!r}")
            known, status = _STATES.get(state[1], State.RUNNING), _STATUS.search(part)
            if known is State.ENDED and status is not None and int(status[1]) != 0:
                known = State.FAILED
            comment = _COMMENT.search(part)
            found[job[1]] = Entry(known, comment[1].strip() if comment else state[1])
        return found

    def cancel(self, jobs: Iterable[str]) -> list[str]:
        """See `System.cancel`."""
        return ["qdel", *jobs]
