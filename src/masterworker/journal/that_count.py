"""Which outcomes of a journal count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeGuard

from masterworker.core import task
from masterworker.journal.records import Done, Forgot, keys_in
from masterworker.journal.walk import Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker.journal.records import Entry


class Exceptions:
    """Which outcomes of a journal do not count: failures that were mended, what was forgotten.

    Args:
        records: All records of the journal, each with its position.
    """

    def __init__(self, records: Iterable[tuple[Position, Entry]]) -> None:
        #: Where the latest failure of each task is that has no result.
        self._failures: dict[bytes, Position] = {}
        #: Where outcomes were forgotten last.
        self._forgotten: dict[bytes, Position] = {}
        failures, forgotten = self._failures, self._forgotten
        for position, entry in records:
            if isinstance(entry, Done) and entry.kind != task.RESULT:
                failures.update(dict.fromkeys(keys_in(entry.keys), position))
            elif isinstance(entry, Forgot):
                forgotten.update(dict.fromkeys(keys_in(entry.keys), position))
            if failures and (isinstance(entry, Forgot) or is_result(entry)):
                for key in keys_in(entry.keys):
                    failures.pop(key, None)

    def that_count(self, position: Position, kind: int, keys: Sequence[bytes]) -> Sequence[int]:
        """Return which outcomes of a record count, by their positions in it."""
        if kind != task.RESULT:
            return [at for at, key in enumerate(keys) if self._failures.get(key) == position]
        forgotten = self._forgotten
        if not forgotten or forgotten.keys().isdisjoint(keys):
            return range(len(keys))
        return [at for at, key in enumerate(keys) if forgotten.get(key, _FIRST) < position]


#: Before all others.
_FIRST: Final = Position(-1, 0)


def is_result(entry: Entry) -> TypeGuard[Done]:
    """Return whether a record is of results."""
    return isinstance(entry, Done) and entry.kind == task.RESULT
