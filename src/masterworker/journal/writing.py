"""What is written into a journal and when: one step after the other, without threads or a clock.

Whatever has come since the last step is one group. It is told of when it is on the disk ("disk"),
or when the system has it ("relaxed").
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from itertools import chain
from math import inf
from typing import TYPE_CHECKING, Final, Literal

from masterworker.journal.file import write_all
from masterworker.journal.format import MOST, write_group
from masterworker.journal.records import Behind
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from masterworker.journal.format import Keyed
    from masterworker.journal.noted import Noted
    from masterworker.journal.records import Entry

#: "disk": told of when it is on the disk; "relaxed": when the system has it, which survives the
#: end of the program, and not that of the system.
Mode = Literal["disk", "relaxed"]
#: With "relaxed" the disk is at most this far behind (seconds).
BEHIND: Final = 1.0
#: What goes along with other records is written within this time (seconds), and not flushed.
SOON: Final = 0.05
#: Where there is no room, the next try is after this time (seconds).
NO_ROOM: Final = 1.0
_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT))


class Place(NamedTuple):
    """Where the next group goes."""

    fd: int
    path: Path
    end: int
    number: int


class Entries(NamedTuple):
    """What is to be written, and what then."""

    #: Makes the records; where the file is written, since it may write files of its own.
    make: Callable[[], list[Entry]]
    #: Is called when they are kept.
    kept: Callable[[], object] | None = None
    #: Bytes, about.
    weight: int = 0


class Told(NamedTuple):
    """Who is told what."""

    #: Called with True when there is no room, and with False when there is again.
    stalled: Callable[[bool], object]
    #: Called with the reason when nothing can be written any more.
    failed: Callable[[str], object]


class Writing:
    """Writes groups, and says when they are kept. For one thread at a time, but for `waiting`.

    Args:
        place: Where to begin. All before it is on the disk.
        keyed: Makes the checks.
        mode: See `Mode`.
        told: Who is told what.
        along: Has what goes along with other records, and is not waited for.
        flush_others: Lets what groups refer to be on the disk, before they are.
    """

    def __init__(
        self,
        place: Place,
        keyed: Keyed,
        mode: Mode,
        told: Told,
        along: Noted,
        flush_others: Callable[[], object],
    ) -> None:
        self._place, self._keyed, self._mode, self._told = place, keyed, mode, told
        self._along, self._flush_others = along, flush_others
        #: What comes; any thread may add to it.
        self.waiting: deque[Entries] = deque()
        #: What is being written: still here after a try for which there was no room.
        self._taken: list[Entries] = []
        self._is_waited_for = False
        #: When the next try is, the next flush of what was written, and when what only goes along
        #: is written (by the caller's clock).
        self._again, self._due, self._soon = -inf, inf, inf
        #: What follows is perhaps not on the disk.
        self._flushed = place
        #: Why nothing is written any more; "" as long as something is.
        self.failure = ""
        #: There is no room on the disk.
        self.is_stalled = False

    @property
    def size(self) -> int:
        """How many bytes the file has."""
        return self._place.end

    def step(self, now: float, *, closing: bool = False) -> float:
        """Do one thing that is due.

        Args:
            now: The time, by any clock that is monotonic.
            closing: There is no later step in which it could be done.

        Returns:
            After how many seconds the next thing is due; `inf`: not before something comes.
        """
        if self.failure:
            return inf
        if not self._along:
            self._soon = inf
        elif self._soon == inf:
            self._soon = now + SOON
        has_more = bool(self.waiting or self._taken or now >= self._soon)
        if now >= self._due or (closing and not has_more and self._due < inf):
            self._flush()
        elif not has_more:
            return min(self._due, self._soon) - now
        elif now < self._again and not closing:
            return min(self._again, self._due) - now
        else:
            self._write(now, closing=closing)
        return 0.0

    def give_up(self, reason: str) -> None:
        """Write nothing any more."""
        self.failure = reason
        self._told.failed(reason)

    # -- inside -----------------------------------------------------------------------------

    def _write(self, now: float, *, closing: bool) -> None:
        """Write a group of what waits, and tell."""
        if not self._taken:
            self._take()
        try:
            records = list(chain.from_iterable([each.make() for each in self._taken]))
            if records:
                self._add(records)
        except OSError as error:
            self._was_hindered(error, now, closing=closing)
            return
        self._again = -inf
        self._stall(stalled=False)
        if records and self._mode == "relaxed":
            self._due = min(self._due, now + BEHIND)
        elif records and self._is_waited_for and not self._flush():
            return
        taken, self._taken = self._taken, []
        for each in taken:
            if each.kept is not None:
                each.kept()

    def _take(self) -> None:
        weight = 0
        while self.waiting and weight < MOST:
            self._taken.append(self.waiting.popleft())
            weight += self._taken[-1].weight
        self._is_waited_for = bool(self._taken)
        self._soon = inf
        if along := self._along.take():
            self._taken.append(Entries(lambda: along))

    def _add(self, records: list[Entry]) -> None:
        place = self._place
        if self._flushed.number < place.number:
            records.insert(0, Behind(self._flushed.number))
        parts = write_group(records, place.number, self._keyed)
        try:
            end = write_all(place.fd, parts, place.end)
        except OSError:
            os.ftruncate(place.fd, place.end)  # half a group is none
            raise
        self._place = place._replace(end=end, number=place.number + 1)

    def _was_hindered(self, error: OSError, now: float, *, closing: bool) -> None:
        if error.errno not in _FULL:
            self.give_up(f"it cannot be written: {error.strerror}")
        elif closing:
            self.give_up("there is no room on the disk")
        else:
            self._again = now + NO_ROOM
            self._stall(stalled=True)

    def _stall(self, *, stalled: bool) -> None:
        if stalled is not self.is_stalled:
            self.is_stalled = stalled
            self._told.stalled(stalled)

    def _flush(self) -> bool:
        """Let everything be on the disk. Not tried again: after a failure no call says what is."""
        self._due = inf
        try:
            self._flush_others()
            os.fdatasync(self._place.fd)
        except OSError as error:
            self._take_back()
            self.give_up(f"the disk did not take it: {error.strerror}")
            return False
        self._flushed = self._place
        return True

    def _take_back(self) -> None:
        """Let no later master find in the cache of the system what the disk has not taken."""
        if self._mode == "disk":  # otherwise it was told, and the cache may be all that has it
            with contextlib.suppress(OSError):
                os.ftruncate(self._place.fd, self._flushed.end)
