"""Which outcomes a journal has, by the keys of their tasks; and where they are in the file."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

from masterworker.core.task import LOST, RESULT
from masterworker.journal.records import KEY, Done, keys_in
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

#: A place is the number of a record times this, and the position in that.
_WIDTH: Final = 1 << 32
#: What is given again, and not tried again.
FINAL: Final = frozenset((RESULT, LOST))


class Place(NamedTuple):
    """Where an outcome is."""

    #: At which byte the group begins, ...
    offset: int
    #: ... which record of it that is, and which task of that.
    record: int
    position: int


class Index:
    """The outcomes that are kept. About 150 bytes for each.

    Args:
        failures: Those are given again, too.
    """

    def __init__(self, *, failures: bool) -> None:
        self._failures = failures
        self._places: dict[bytes, int] = {}
        self._offsets, self._records = array("q"), array("I")

    def __len__(self) -> int:
        return len(self._places)

    def counts(self, done: Done) -> bool:
        """Return whether an outcome is given again."""
        return self._failures or done.kind in FINAL

    def add(self, done: Done, offset: int, record: int) -> None:
        """An outcome is kept. Of two for one key the first one counts."""
        if not self.counts(done):
            return
        base = len(self._offsets) * _WIDTH
        self._offsets.append(offset)
        self._records.append(record)
        if len(done.keys) == KEY:
            self._places.setdefault(done.keys, base)
            return
        for place, key in enumerate(keys_in(done.keys), base):
            self._places.setdefault(key, place)

    def find(self, keys: Iterable[bytes]) -> list[Place | None]:
        """Return where the outcomes of tasks are; None: none is kept."""
        return [None if at is None else self._place(at) for at in map(self._places.get, keys)]

    def __contains__(self, key: bytes) -> bool:
        """Return whether an outcome is kept."""
        return key in self._places

    def has_any(self, keys: Iterable[bytes]) -> bool:
        """Return whether the outcome of any of them is kept."""
        return bool(self._places) and not self._places.keys().isdisjoint(keys)

    def forget(self, keys: Iterable[bytes]) -> int:
        """Outcomes cannot be had any more. Returns how many were there."""
        before = len(self._places)
        for key in keys:
            self._places.pop(key, None)
        return before - len(self._places)

    def _place(self, at: int) -> Place:
        number, position = divmod(at, _WIDTH)
        return Place(self._offsets[number], self._records[number], position)
