"""Any other batch system: three commands of the user's, and what their answers look like.

    submit: "mysub -o {output} -N {name} {script}"
    list:   "mystat -u {user}"          prints lines with an id and a word for the state
    cancel: "mydel {jobs}"

They are divided into words as a shell would, but no shell reads them.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from masterworker.errors import UsageError
from masterworker.pools.systems.system import Entry, State, first_group

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from masterworker.pools.pool import Commands, Pool


class Template:
    """A batch system that masterworker does not know.

    Args:
        commands: How it is spoken to.

    Raises:
        UsageError: There are none.
    """

    title = "the batch system"

    def __init__(self, commands: Commands | None) -> None:
        if commands is None:
            raise UsageError(
                "a pool of another batch system needs submit=, list=, cancel= and pattern="
            )
        self._commands = commands
        self.programs = tuple(
            shlex.split(each)[0] for each in (commands.submit, commands.list, commands.cancel)
        )

    def submit(self, pool: Pool, script: str, title: str, output: str) -> list[str]:
        """See `System.submit`."""
        words = _filled(self._commands.submit, script=script, name=title, output=output)
        return [words[0], *pool.options, *words[1:]]

    def job_of(self, answer: str) -> str:
        """See `System.job_of`."""
        return first_group(self._commands.pattern, answer, shlex.split(self._commands.submit)[0])

    def queue(self, user: str, jobs: Iterable[str]) -> list[str]:
        """See `System.queue`."""
        return _filled(self._commands.list, user=user, jobs=" ".join(jobs))

    def entries(self, answer: str) -> Mapping[str, Entry]:
        """See `System.entries`: the first word is the id, another one says how it stands."""
        found = {}
        for line in answer.splitlines():
            words = line.split()
            if len(words) > 1 and (state := self._state(words[1:])) is not None:
                found[words[0]] = Entry(state)
        return found

    def _state(self, words: Sequence[str]) -> State | None:
        if any(word in self._commands.pending for word in words):
            return State.PENDING
        if any(word in self._commands.running for word in words):
            return State.RUNNING
        return None

    def cancel(self, jobs: Iterable[str]) -> list[str]:
        """See `System.cancel`."""
        words = shlex.split(self._commands.cancel)
        return [part for word in words for part in (jobs if word == "{jobs}" else [word])]


def _filled(command: str, **values: str) -> list[str]:
    """Return the words of a command, with values in place of their names; no shell reads it."""
    words = []
    for word in shlex.split(command):
        for name, value in values.items():
            word = word.replace(f"{{{name}}}", value)  # noqa: PLW2901
        words.append(word)
    return words
