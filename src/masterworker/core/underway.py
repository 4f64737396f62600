"""What is in workers' hands, by lane, and since when: long tasks are known before they end.

Of tasks that differ, the short ones are done first, so what has been reported looks shorter than it
is. What is still being executed, and has taken longer than its kind is reckoned at, counts as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from masterworker.core.filters import tag_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from masterworker.core.filters import Key

#: Most portions of a lane that are looked at: those that have been in hand for the longest time.
LOOKED_AT = 64


class Portion(msgspec.Struct, frozen=True, gc=False):
    """What was handed to a worker in one go, and is still in its hands."""

    #: When, in seconds on the scheduler's clock.
    since: float
    #: How many tasks of it have not been reported.
    tasks: int
    #: How long those took that have been (seconds).
    spent: float


class UnderWay:
    """The latest portion of each worker."""

    def __init__(self) -> None:
        #: By lane and worker; the latest last.
        self._lanes: dict[Key, dict[int, Portion]] = {}
        #: The lane of each worker's portion.
        self._keys: dict[int, Key] = {}

    def by_tag(self) -> Iterator[tuple[str, int]]:
        """Yield the tag of each lane, and how many workers are at its tasks."""
        for key, portions in self._lanes.items():
            yield tag_of(key), len(portions)

    def in_hand(self) -> list[tuple[str, dict[int, Portion]]]:
        """Return the tag of each lane, and the portion that each worker has of it."""
        return [(tag_of(key), portions.copy()) for key, portions in self._lanes.items()]

    @property
    def workers(self) -> Collection[int]:
        """The members that have something in hand."""
        return self._keys.keys()

    def handed_out(self, member_id: int, key: Key, tasks: int, now: float) -> None:
        """A worker has got tasks, and has nothing else left to do."""
        if self._keys.get(member_id) == key:
            portions = self._lanes[key]
            del portions[member_id]
        else:
            self.put_down(member_id)
            self._keys[member_id] = key
            portions = self._lanes.setdefault(key, {})
        portions[member_id] = Portion(now, tasks, 0.0)

    def put_down(self, member_id: int) -> None:
        """A worker has nothing in hand, or is gone."""
        key = self._keys.pop(member_id, None)
        if key is not None:
            portions = self._lanes[key]
            del portions[member_id]
            if not portions:
                del self._lanes[key]

    def reduced(self, member_id: int, tasks: int, seconds: float = 0.0) -> None:
        """Some tasks of a portion have been done, in this many seconds, or given back."""
        key = self._keys.get(member_id)
        if key is not None:
            portion = self._lanes[key][member_id]
            left = max(1, portion.tasks - tasks)
            self._lanes[key][member_id] = Portion(portion.since, left, portion.spent + seconds)

    def overdue(self, key: Key, each: float, now: float) -> Iterator[float]:
        """Yield how long tasks of a lane have taken so far, if they are reckoned at less."""
        for looked, portion in enumerate(self._lanes.get(key, {}).values()):
            if now - portion.since <= each or looked >= LOOKED_AT:
                return
            age = now - portion.since - portion.spent - (portion.tasks - 1) * each
            if age > each:
                yield age
