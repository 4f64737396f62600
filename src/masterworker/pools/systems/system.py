"""What a batch system is for a pool: commands to be started elsewhere, and what answers mean."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from masterworker.errors import MasterworkerError
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from masterworker.pools.pool import Pool


class AnswerError(MasterworkerError):
    """What a command of a batch system printed is not what it prints."""


class State(Enum):
    """How a job of a batch system stands."""

    PENDING = "pending"
    RUNNING = "running"
    #: It is over, for a reason that is no fault of ours: done, out of time, preempted.
    ENDED = "ended"
    #: It is over, and did not do what it was to do.
    FAILED = "failed"
    #: The same, and it stays in the queue until it is taken out.
    STUCK = "stuck"
    #: It was taken back.
    CANCELLED = "cancelled"


class Entry(NamedTuple):
    """What the queue says of one job."""

    state: State
    #: Why it waits, or how it ended, in the system's word.
    reason: str = ""
    #: When it is expected to start, or ends, as the system writes it; "": not known.
    start: str = ""
    end: str = ""


class System(Protocol):
    """A batch system. Nothing here starts a process or reads a file."""

    @property
    def title(self) -> str:
        """Its name, for messages."""
        ...

    @property
    def programs(self) -> Sequence[str]:
        """What has to be installed where the master is."""
        ...

    def submit(self, pool: Pool, script: str, title: str, output: str) -> list[str]:
        """Return the command that submits a script.

        Args:
            pool: What is asked for; its options stay as they are.
            script: The file with it.
            title: Name of the job, unless the user has said one. Likewise the next.
            output: File for what it prints.
        """
        ...

    def job_of(self, answer: str) -> str:
        """Return the id of a new job from what that command prints.

        Raises:
            AnswerError: There is none.
        """
        ...

    def queue(self, user: str, jobs: Iterable[str]) -> list[str]:
        """Return the command that says how jobs stand: all of these, with one call."""
        ...

    def entries(self, answer: str) -> Mapping[str, Entry]:
        """Return how jobs stand, by id; may name others', too.

        Raises:
            AnswerError: It cannot be read.
        """
        ...

    def cancel(self, jobs: Iterable[str]) -> list[str]:
        """Return the command that takes jobs back."""
        ...


def is_said(options: Sequence[str], *names: str) -> bool:
    """Return whether one of these options is among those of the user.

    Args:
        options: Words of a command line.
        names: Such as "-J" and "--job-name"; also found as "-Jname" and "--job-name=name".
    """
    for name in names:
        long = name.startswith("--")
        for word in options:
            if word == name or word.startswith(f"{name}=" if long else name):
                if not long and word.startswith("--"):
                    continue
                return True
    return False


def unless_said(options: Sequence[str], names: Sequence[str], *words: str) -> list[str]:
    """Return words of a command line, unless the user has given one of these options."""
    return [] if is_said(options, *names) else list(words)


def first_group(pattern: str, answer: str, what: str) -> str:
    """Return what a pattern finds in an answer.

    Raises:
        AnswerError: Nothing.
    """
    found = re.search(pattern, answer, re.MULTILINE)
    if found is None or not (job := found[1] if found.re.groups else found[0]):
        said = " ".join(answer.split())[:200] or "nothing"
        raise AnswerError(f"{what} printed no id of a job: {said}")
    return job
