"""Counts and snapshots of a job for those who look at it; the latter once a second at most."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from masterworker import forks
from masterworker.core import audit
from masterworker.data.record import printable, sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.core.census import Census, JournalCount
    from masterworker.manager.guard import Guard
    from masterworker.recorder.shapes import Looked, Snapshot
    from masterworker.recorder.snapshot import Changed
    from masterworker.wire import Still, Usage

#: Seconds for which a snapshot is not made anew.
FRESH: Final = 1.0
#: What a supervisor says of how it starts workers is cut (characters).
LONGEST_WAYS: Final = 400
#: Differences that are kept as they travel.
ENCODED: Final = 8
#: Values that are told as they are, and how many of a list.
_PLAIN: Final = (str, int, float, bool, type(None))
_SOME: Final = 20


class Looking:
    """Counts, and makes snapshots. Thread-safe. What these take is loaded with the first of them.

    Args:
        guard: Is held for the first, short step.
        clock: The manager's clock.
        instance: The random name of this run of the manager.
        journal: Returns what is kept, if there is a journal.
        ways: What supervisors have said of how they start workers.
    """

    def __init__(
        self,
        guard: Guard,
        clock: Callable[[], float],
        instance: str,
        journal: Callable[[], JournalCount | None],
        ways: dict[str, str],
    ) -> None:
        self._ways = ways
        self._guard, self._clock, self._instance = guard, clock, instance
        self._journal = journal
        #: Of the master, as texts; see `about`.
        self._settings: dict[str, str] = {}
        self._lock = forks.lock()
        #: Held while spans are copied: by one caller at a time.
        self._copying = forks.lock()
        self._latest: Snapshot | None = None
        self._changed: Changed | None = None
        self._made = 0.0
        #: Viewers that look once a second have the same, so they are given the same.
        self._encoded: dict[tuple[float, ...], bytes] = {}
        with guard as machine:
            machine.core.recorder.at(clock())

    def census(self) -> Census:
        """Count everything at one instant."""
        with self._guard as machine:
            machine.flush(self._clock())
            return audit.census(machine.core, machine.troubles.lines(), self._journal())

    def note(self, text: str) -> None:
        """Let all views show a line of the program's own; "" for none."""
        with self._guard as machine:
            machine.core.recorder.note = sendable(text)

    def set(self, **settings: Any) -> None:
        """Take note of arguments of a master: of what is no plain value only what it is called."""
        told = {
            name: sendable(
                str(value)
                if type(value) in _PLAIN
                else ", ".join(map(str, value[:_SOME]))
                if type(value) in {list, tuple}
                else str(getattr(value, "__qualname__", type(value).__qualname__))
            )
            for name, value in settings.items()
        }
        self._settings = self._settings | told

    def seen(
        self, name: str, usage: Iterable[Usage], still: Iterable[Still] = (), ways: str = ""
    ) -> None:
        """Take note of what a supervisor sees of its processes.

        Args:
            name: Its name.
            usage: What they use.
            still: Those that do nothing but execute.
            ways: Why they are no forks of a template; "": they are.
        """
        if not usage and not still and ways == self._ways.get(name, ""):
            return
        with self._guard as machine:
            for each in usage:
                machine.core.recorder.used(*each)
            machine.supervision.note_still(still, self._clock())
            if ways != self._ways.get(name, ""):
                self._ways[name] = printable(ways[:LONGEST_WAYS])

    def look(self, seen: Looked) -> Snapshot:
        """Return a snapshot that is a second old at most, or what is new in it.

        Args:
            seen: What the caller has.
        """
        from masterworker.recorder.snapshot import since

        with self._lock:
            now = self._clock()
            if self._latest is None or now - self._made >= FRESH:
                self._latest = self._make(now)
                self._made = now
            latest, changed = self._latest, self._changed
        return latest if changed is None else since(latest, changed, seen)

    def afresh(self) -> Snapshot:
        """Return a whole snapshot of this moment."""
        with self._lock:
            self._made = self._clock()
            self._latest = self._make(self._made, everything=True)
            return self._latest

    def encoded(self, seen: tuple[int, int, float, int], *, texts: bool = True) -> bytes:
        """Do the same, as msgpack.

        Args:
            seen: The fields of `Looked`.
            texts: With what failures say.
        """
        from masterworker.recorder import shapes

        found = self.look(shapes.Looked(*seen))
        with self._lock:
            made = self._encoded.get((found.number, *seen, texts))
        if made is None:
            made = shapes.encode(found if texts else shapes.without_texts(found))
            with self._lock:
                if len(self._encoded) >= ENCODED:
                    self._encoded.clear()
                self._encoded[found.number, *seen, texts] = made
        return made

    def spans(self, worker: int) -> bytes:
        """Return the latest spans of a worker, or all of the job, as `recorder.spanned` does.

        Costs some milliseconds, and a copy of 3 MB at most while the lock is held.

        Args:
            worker: Its id; -1: all of them.
        """
        from masterworker.recorder import spanned

        with self._copying:
            with self._guard as machine:
                copied = spanned.Copied(machine.core.recorder)
            return spanned.encode(copied.table(worker))

    def _make(self, now: float, *, everything: bool = False) -> Snapshot:
        from masterworker.core.standing import stand
        from masterworker.manager.about import about
        from masterworker.recorder import snapshot

        with self._guard as machine:
            machine.flush(now)
            troubles = machine.troubles.lines()
            stood = stand(machine.core, troubles)
            taken = snapshot.take(machine.core.recorder, stood, now, everything=everything)
        began = time.time() - (now - taken.begin)
        whole = snapshot.whole(taken, self._instance, began, about(self._settings))
        self._changed = snapshot.changed(taken)
        return whole
