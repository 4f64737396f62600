"""Bugs of the journal that are put in on purpose: the simulation with a disk has to find each."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

from masterworker.core.scheduler import Scheduler
from masterworker.journal import file as layer
from masterworker.journal.aside import LargeFiles
from masterworker.journal.format import read_header, unchecked_group
from masterworker.journal.journal import Journal
from masterworker.journal.opening import _go_on
from masterworker.journal.records import Aside
from masterworker.journal.writing import Writing

if TYPE_CHECKING:
    from masterworker.core.effects import Effects


class ToldBeforeKept(Scheduler):
    """An outcome leaves the scheduler at once, and is written at the same time."""

    def _done(self) -> Effects:
        effects = super()._done()
        effects.direct += effects.unkept
        return effects

    def on_kept(self, number: int) -> Effects:
        effects = super().on_kept(number)
        effects.direct.clear()
        return effects


class ToldBeforeFlushed(Writing):
    """What is written counts as kept, whether it is on the disk or not."""

    def _flush(self) -> bool:
        return True


class FlushedAgain(Writing):
    """A flush that has failed is repeated."""

    def _flush(self) -> bool:
        with contextlib.suppress(OSError):
            layer.os.fdatasync(self._place.fd)
        return super()._flush()


class NeverFlushedInTime(Writing):
    """As long as something comes, the disk stays behind."""

    given: ClassVar = {"mode": "relaxed"}

    def step(self, now: float, *, closing: bool = False) -> float:
        if self._due <= now and self._place.number % 4:
            self._due = now + 1.0
        return super().step(now, closing=closing)


class LeavesHalfAGroup(Writing):
    """Where there was no room, the next group comes after what was written."""

    def _add(self, records: list[Any]) -> None:
        try:
            super()._add(records)
        except OSError:
            self._place = self._place._replace(end=self._place.end + 10)
            raise


class NamedBeforeFlushed(LargeFiles):
    """A large file is flushed when the system likes."""

    def write(self, payload: Any) -> Aside:
        self._flushes = False
        aside = super().write(payload)
        self._behind = []
        return aside


class WhatIsThereIsWhole(LargeFiles):
    """A large file that is there is not written again, whatever is in it."""

    given: ClassVar = {"mode": "relaxed"}

    def write(self, payload: Any) -> Aside:
        with payload.open(writable=False) as view:
            aside = Aside(self._digest(view), len(view))
        return aside if self._size(self._path(aside)) >= 0 else super().write(payload)


class FoldersAreNotFlushed(LargeFiles):
    """The folder of a large file is there, and its name is not on the disk."""

    def _flush_folders(self, folder: Any) -> None:
        pass


class ForgetsForItself(Journal):
    """That the file with a result is gone is not written down: each run finds it out again."""

    given: ClassVar = {"mode": "relaxed", "full": []}
    strengths: ClassVar = {"bulk": 3000, "bound": 1 << 30}

    def _read_or_forget(self, place: Any, keys: Any) -> Any:
        kept = self._read(self._record_at(place), place.position, len(keys))
        if kept is None:
            self._index.forget(keys)
        return kept


def the_cache_is_believed(*given: Any) -> Any:
    """What a master that was killed had written is told of before it is on the disk."""
    system: Any = layer.os
    system.fsync = lambda _: None
    try:
        return _go_on(*given)
    finally:
        del system.fsync


def torn_group_replayed(data: memoryview, at: int, _keyed: Any) -> Any:
    """A group counts whatever its check says."""
    return unchecked_group(data, at)


def any_key_will_do(data: memoryview, _key: Any) -> Any:
    """The file of another key looks as if all of it was torn."""
    return read_header(data, None)


def half_a_header_is_refused(data: memoryview) -> bool:
    """A master that was killed as it began leaves a file that no other one takes."""
    return not len(data)


def what_is_ahead_is_damage(_later: Any, _number: int) -> bool:
    """Groups that the disk has taken before those in front of them make a journal useless."""
    return False
