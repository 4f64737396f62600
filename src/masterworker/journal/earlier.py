"""Which tasks earlier runs of a master had asked for, and lacked when they were killed.

Workers that live on bring the outcomes of some of them, under the ids of that run: the keys say
which tasks of this run these are. An id alone means nothing in another run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker.core.task import FAILURE
from masterworker.journal.records import (
    KEY,
    Asked,
    Began,
    Ended,
    Forgot,
    Listens,
    Waits,
    keys_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from masterworker.core.task import Finished
    from masterworker.journal.records import Entry

#: Of this many runs workers may still bring something.
MOST_RUNS: Final = 8


class Earlier:
    """Finds tasks of this run by their ids in earlier ones.

    Used with the manager's lock held, but for what says so.

    Args:
        failures: Those count as well as results.
        is_kept: Returns whether the outcome of a key is kept.
        open_keys: Gets the keys of what no caller has asked for, under negative ids.
    """

    def __init__(
        self, *, failures: bool, is_kept: Callable[[bytes], bool], open_keys: dict[int, bytes]
    ) -> None:
        self._failures, self._is_kept, self._open_keys = failures, is_kept, open_keys
        #: What was asked for, by run; the latest one last.
        self._runs: dict[str, list[Asked]] = {}
        self._reading: list[Asked] = []
        #: The how-manieth run it is, by its name; and how many had begun when the outcome of a key
        #: was forgotten: what those have computed does not come back.
        self._places: dict[str, int] = {}
        self._begun = 0
        self._forgotten: dict[bytes, int] = {}
        #: The keys of all that, without those whose outcomes are kept; and their ids in this run.
        self._wanted: set[bytes] = set()
        self._ids: dict[bytes, int] = {}
        #: What was brought before any caller has asked for it; and what of it is kept by now.
        self._placed: set[bytes] = set()
        self._brought: dict[bytes, Finished] = {}
        self.told: dict[bytes, Finished] = {}
        self._next = 0
        #: At which port the last master listened; 0: at none.
        self.port = 0
        #: Workers that were there when it was killed, by the names of their clients.
        self.workers: set[str] = set()
        #: Called when a task is asked for that was brought before: with its id, and its outcome.
        self.settle: Callable[[int, Finished], object] = lambda _id, _done: None

    # -- what the file says, from its begin on ------------------------------------------------

    def take_in(self, record: Entry) -> None:
        """Take in a record, of whichever kind."""
        if isinstance(record, Asked):
            self._reading.append(record)
        elif isinstance(record, Listens):
            self.port = record.port
        elif isinstance(record, Waits):
            (self.workers.add if record.here else self.workers.discard)(record.client)
        elif isinstance(record, Began):
            self.workers.clear()
            self._reading = self._runs[record.run] = []
            self._begun += 1
            self._places[record.run] = self._begun
            if len(self._runs) > MOST_RUNS:
                del self._runs[next(iter(self._runs))]
        elif isinstance(record, Ended):  # and so have its workers
            self._runs.clear()
            self._forgotten.clear()
            self.workers.clear()
        elif isinstance(record, Forgot) and self._runs:
            self._forgotten.update(dict.fromkeys(keys_in(record.keys), self._begun))

    def complete(self) -> None:
        """All has been read."""
        for records in self._runs.values():
            for record in records:
                self._wanted.update(keys_in(record.keys))
        self._wanted = {key for key in self._wanted if not self._is_kept(key)}
        self._forgotten = {k: n for k, n in self._forgotten.items() if k in self._wanted}

    # -- this run ---------------------------------------------------------------------------

    def __bool__(self) -> bool:
        """Whether anything may be brought; read without the lock."""
        return bool(self._wanted)

    def expect(self, keys: Sequence[bytes], first: int) -> None:
        """Tasks in a row are asked for."""
        wanted = self._wanted
        if not wanted or wanted.isdisjoint(keys):
            return
        for task_id, key in enumerate(keys, first):
            if key in wanted:
                self._ids[key] = task_id
                if (done := self._brought.get(key)) is not None:
                    self.settle(task_id, done)

    def place(self, run: str, task_id: int, kind: int) -> tuple[int, str]:
        """Return which task of this run an outcome is of; see `conversation.returning`."""
        if kind == FAILURE and not self._failures:
            return 0, ""  # it is tried again
        key, tag = self._find(run, task_id)
        if key not in self._wanted or key in self._placed:
            return 0, ""
        if self._places[run] <= self._forgotten.get(key, 0):
            return 0, ""
        if (place := self._ids.get(key)) is not None:
            return place, tag
        self._placed.add(key)
        self._next -= 1
        self._open_keys[self._next] = key
        return self._next, tag

    def brought(self, finished: Iterable[Finished]) -> None:
        """Outcomes are about to be kept; also such as no caller has asked for."""
        if self._wanted:
            for done in finished:
                if done.task_id < 0:
                    self._brought[self._open_keys[done.task_id]] = done

    def kept(self, key: bytes) -> None:
        """It is kept; by the thread that writes."""
        self.told[key] = self._brought[key]

    def _find(self, run: str, task_id: int) -> tuple[bytes, str]:
        for record in reversed(self._runs.get(run, ())):
            at = (task_id - record.first) * KEY
            if 0 <= at < len(record.keys):
                return record.keys[at : at + KEY], record.tag
        return b"", ""
