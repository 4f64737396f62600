"""Looks at a job in a thread of its own, also when its master is gone and comes back."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from masterworker.errors import (
    JobEndedError,
    MasterNotFoundError,
    MasterworkerError,
    NotTrustedError,
    UsageError,
)
from masterworker.views.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.client import Client
    from masterworker.job_record import Record
    from masterworker.recorder.shapes import Snapshot
    from masterworker.recorder.spanned import Span

#: Seconds between two looks: with viewers, without, and where there is no master.
PAUSE: Final = 1.0
ALONE: Final = 5.0
GONE: Final = 2.0
#: Seconds between two times that spans are asked for, by all viewers together.
SPANS: Final = 0.5
#: A viewer that has not asked for so long is gone (seconds).
VIEWER: Final = 15.0
#: Seconds until it is said that a master does not answer: more than there are between two looks.
NAMED_AFTER: Final = 8.0


class Seen(Struct, frozen=True):
    """How a job is seen."""

    snapshot: Snapshot
    #: "live", "silent", "ended", "gone" or "refused".
    state: str
    #: What is to be said of that; "": nothing.
    said: str
    #: Of when the snapshot is (seconds since 1970).
    at: float

    @property
    def is_over(self) -> bool:
        """Whether nothing new is to be expected soon."""
        return self.state in {"ended", "gone", "refused"}


class Watcher:
    """Looks at one job. Thread-safe.

    Args:
        label: Its label.
        client: Speaks to its master.
        record: How it stood last, where there is no master now.
        kept: Finds the record of a job that is gone; None where another job may be meant.
        pause: Seconds between two looks.

    Raises:
        MasterworkerError: There is no answer.
    """

    def __init__(
        self,
        label: str,
        client: Client,
        record: Record | None = None,
        *,
        kept: Callable[[str], Record | None] | None = None,
        pause: float = PAUSE,
    ) -> None:
        self.label = label
        self._kept, self._pause = kept, pause
        self._asked = time.monotonic()
        self._answered = time.monotonic()
        self._error = ""
        self._closing = threading.Event()
        self._wanted = threading.Event()
        self._picture = Picture(client.look)
        self._spans, self._last_spans = client.spans, -math.inf
        self._seen = _live(self._picture.update()) if record is None else _of_record(record)
        threading.Thread(target=self._run, name="masterworker-viewer", daemon=True).start()

    def seen(self, *, viewer: bool = True) -> Seen:
        """Return at once how the job stands, as far as is known.

        Args:
            viewer: A viewer asks, for whom the job is looked at each second.
        """
        if viewer:
            self._asked = time.monotonic()
            self._wanted.set()
        seen = self._seen
        silent = time.monotonic() - self._answered
        if seen.state == "live" and silent > NAMED_AFTER:
            said = f"the master does not answer{f': {self._error}' if self._error else ''}"
            return Seen(seen.snapshot, "silent", said, seen.at)
        return seen

    def spans(self, worker: int) -> list[Span] | None:
        """Return the latest spans of a worker; None: ask again, in a second.

        Args:
            worker: Its id.

        Raises:
            MasterworkerError: There is no answer.
        """
        now = time.monotonic()
        if now - self._last_spans < SPANS:
            return None
        self._last_spans = now
        return list(self._spans(worker))

    @property
    def unused(self) -> float:
        """For how long no viewer has asked about a job that is over (seconds); 0: it goes on."""
        return time.monotonic() - self._asked if self._seen.is_over else 0.0

    def close(self) -> None:
        """Look no more."""
        self._closing.set()
        self._wanted.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wait()
            try:
                self._seen = _live(self._picture.update())
            except JobEndedError as error:
                self._over("ended", str(error))
            except MasterNotFoundError as error:
                self._over("gone", str(error))
            except NotTrustedError as error:
                self._over("refused", str(error))
            except MasterworkerError as error:
                self._error = str(error)
                continue
            except Exception as error:  # the view must not stand still without a word
                self._error = repr(error)
                continue
            self._answered, self._error = time.monotonic(), ""

    def _wait(self) -> None:
        """Wait for the time of the next look: sooner when a viewer asks after a pause."""
        self._closing.wait(self._pause if not self._seen.is_over else max(self._pause, GONE))
        if time.monotonic() - self._asked > VIEWER:
            self._wanted.clear()
            self._wanted.wait(ALONE)

    def _over(self, state: str, said: str) -> None:
        """There is no master: show what has been seen last, or what its record says."""
        seen = self._seen
        if seen.state == state:
            return
        snapshot, at = seen.snapshot, seen.at
        if self._kept is not None:
            try:
                record = self._kept(self.label)
            except UsageError:
                record = None
            if record is not None and _is_later(record.snapshot, snapshot):
                snapshot, at = record.snapshot, record.saved
        self._seen = Seen(snapshot, "ended" if snapshot.ended else state, said, at)


def _live(snapshot: Snapshot) -> Seen:
    return Seen(snapshot, "ended" if snapshot.ended else "live", "", time.time())


def _of_record(record: Record) -> Seen:
    said = f"this is the record of a job that is gone ({record.master})"
    state = "ended" if record.snapshot.ended else "gone"
    return Seen(record.snapshot, state, said, record.saved)


def _is_later(kept: Snapshot, seen: Snapshot) -> bool:
    return kept.instance == seen.instance and kept.age >= seen.age
