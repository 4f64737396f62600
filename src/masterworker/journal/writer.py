"""The thread that writes a journal: whatever has come since it last looked is one group."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from masterworker import forks
from masterworker.journal.file import write_all
from masterworker.journal.format import MOST, write_group
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from masterworker.journal.format import Keyed
    from masterworker.journal.noted import Noted
    from masterworker.journal.records import Entry

logger = logging.getLogger("masterworker.journal")
T = TypeVar("T")

#: "disk": told of when it is on the disk; "relaxed": when the system has it, which survives the
#: end of the program, and not that of the system.
Mode = Literal["disk", "relaxed"]
#: With "relaxed" the disk is at most this far behind (seconds).
BEHIND: Final = 1.0
#: What goes along with other records is written within this time (seconds), and not flushed.
SOON: Final = 0.05
#: Where there is no room, the next try is after this time (seconds).
NO_ROOM: Final = 1.0
FORKED: Final = "this is a fork of the master"
_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT))


class Place(NamedTuple):
    """Where the next group goes."""

    fd: int
    path: Path
    end: int
    number: int


class Entries(NamedTuple):
    """What is to be written, and what then."""

    #: Makes the records; in the writer's thread, since it may write files of its own.
    make: Callable[[], list[Entry]]
    #: Is called when they are kept.
    kept: Callable[[], object] | None = None
    #: Bytes, about.
    weight: int = 0


class Writer:
    """Writes groups, and says when they are kept. Thread-safe.

    Args:
        place: Where to begin.
        keyed: Makes the checks.
        mode: See `Mode`.
        along: Has what goes along with other records, and is not waited for.
        stalled: Called with True when there is no room, and with False when there is again.
        failed: Called with the reason when nothing can be written any more.
    """

    def __init__(
        self,
        place: Place,
        keyed: Keyed,
        mode: Mode,
        along: Noted,
        stalled: Callable[[bool], object],
        failed: Callable[[str], object],
    ) -> None:
        self._place, self._keyed, self._mode, self._along = place, keyed, mode, along
        self._stalled, self._failed = stalled, failed
        self._waiting: deque[Entries] = deque()
        self._bell = threading.Event()
        #: Written and not flushed; and when it is to be (monotonic seconds).
        self._behind, self._due = False, 0.0
        #: It looks at `along` not before it is rung.
        self.dozes = False
        self._closing = False
        #: Why nothing is written any more; "" as long as something is.
        self.failure = ""
        #: There is no room on the disk.
        self.is_stalled = False
        self._thread = threading.Thread(target=self._run, name="masterworker-journal", daemon=True)
        forks.register(self)
        self._thread.start()

    def after_fork(self) -> None:
        """A fork writes nothing: the thread is not there, and what comes is dropped."""
        self.failure = FORKED

    @property
    def size(self) -> int:
        """How many bytes the file has."""
        return self._place.end

    def put(self, entries: Entries) -> None:
        """Have something written. Costs a list entry; may be called with any lock held."""
        self._waiting.append(entries)
        self._bell.set()

    def ring(self) -> None:
        """Let it look at `along`, if it `dozes`."""
        self._bell.set()

    def close(self, seconds: float) -> bool:
        """Write what has come, and end. False: that is not done within this time."""
        if self.failure == FORKED:
            return False
        self._closing = True
        self._bell.set()
        self._thread.join(seconds)
        return not self._thread.is_alive() and not self.failure

    @property
    def has_ended(self) -> bool:
        """Nothing is written any more."""
        return not self._thread.is_alive()

    # -- inside -----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self.failure:
                was_rung = self._bell.wait(self._patience())
                self._bell.clear()
                self.dozes = False
                if not was_rung and self._along and not self._waiting:
                    self._add(self._along.take(), waited_for=False)
                while self._waiting and not self.failure:
                    self._write()
                if self._behind and time.monotonic() >= self._due:
                    self._flush()
                if self._closing and not self._waiting:
                    if self._behind:
                        self._flush()
                    break
        except Exception as error:  # a bug of ours must not look like a slow disk
            logger.exception("the journal's writer stumbled")
            self._fail(f"{type(error).__name__}: {error}")

    def _patience(self) -> float | None:
        """Return how long nothing has to be done if nothing comes (seconds)."""
        self.dozes = True  # before the look: who adds something looks here afterwards
        if self._along:
            self.dozes = False
            return SOON
        return max(0.0, self._due - time.monotonic()) if self._behind else None

    def _write(self) -> None:
        """Write a group of what waits, and tell."""
        taken, weight = [self._waiting.popleft()], 0
        while self._waiting and weight < MOST:
            weight += taken[-1].weight
            taken.append(self._waiting.popleft())
        made = self._until_there_is_room(lambda: [each.make() for each in taken])
        if made is None:
            return
        records = [record for some in made for record in some]
        if self._along:
            records += self._along.take()
        if records and not self._add(records):
            return
        for each in taken:
            if each.kept is not None:
                each.kept()

    def _add(self, records: Sequence[Entry], *, waited_for: bool = True) -> bool:
        """Add a group. False: it could not be written, ever."""
        if not records:
            return True
        place = self._place
        parts = write_group(records, place.number, self._keyed)

        def write() -> int:
            try:
                return write_all(place.fd, parts, place.end)
            except OSError:
                os.ftruncate(place.fd, place.end)  # half a group is none
                raise

        end = self._until_there_is_room(write)
        if end is None:
            return False
        self._place = place._replace(end=end, number=place.number + 1)
        if self._mode == "disk":
            return self._flush() if waited_for else True
        if not self._behind:
            self._behind, self._due = True, time.monotonic() + BEHIND
        return True

    def _until_there_is_room(self, action: Callable[[], T]) -> T | None:
        """Do something that may need room on the disk. None: it failed for another reason."""
        while True:
            try:
                result = action()
            except OSError as error:
                if error.errno not in _FULL:
                    self._fail(f"it cannot be written: {error.strerror}")
                    return None
                if not self.is_stalled:
                    self.is_stalled = True
                    self._stalled(True)
                if self._closing:
                    self._fail("there is no room on the disk")
                    return None
                self._bell.wait(NO_ROOM)
                self._bell.clear()
                continue
            if self.is_stalled:
                self.is_stalled = False
                self._stalled(False)
            return result

    def _flush(self) -> bool:
        """Let everything be on the disk. Not tried again: after a failure no call says what is."""
        self._behind = False
        try:
            os.fdatasync(self._place.fd)
        except OSError as error:
            self._fail(f"the disk did not take it: {error.strerror}")
            return False
        return True

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self._failed(reason)
