"""A job as some lines of plain text, now and again: for logs, pipes and simple terminals."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from masterworker.data.record import printable
from masterworker.views import sections, wording

if TYPE_CHECKING:
    from masterworker.recorder.shapes import Snapshot

#: Places in a line, and rows of a section.
WIDTH: Final = 100
ROWS: Final = 5


def lines(label: str, snapshot: Snapshot, at: float | None = None) -> list[str]:
    """Return how a job stands, with the time of the day in front.

    Args:
        label: Its label.
        snapshot: How it stands.
        at: When that was (seconds since 1970); None: now.
    """
    then = dt.datetime.now(dt.UTC) if at is None else dt.datetime.fromtimestamp(at, dt.UTC)
    now = then.astimezone().strftime("%H:%M:%S")
    found = [f"{now} {printable(wording.headline(label, snapshot))}"]
    found += [f"  {printable(snapshot.note)}"] if snapshot.note else []
    found += [f"  ! {printable(trouble)}" for trouble in snapshot.troubles]
    if len(snapshot.tags) > 1:
        found += _some(sections.tags(snapshot, whole=False).lines(WIDTH))
    found += _some(sections.failures(snapshot, whole=False).lines(WIDTH))
    found += [
        f"  slow: {printable(name)}, {wording.time(mean)} for each task"
        for name, mean in list(wording.slow_hosts(snapshot).items())[:ROWS]
    ]
    silent = [w for w in wording.slowest(snapshot) if wording.is_silent(w, snapshot)]
    found += [
        f"  silent for {wording.time(snapshot.age - worker.heard)}: {printable(worker.info)}"
        for worker in silent[:ROWS]
    ]
    return found


def _some(rows: list[str]) -> list[str]:
    more = [f"  and {len(rows) - 1 - ROWS} more"] if len(rows) > ROWS + 1 else []
    return [f"  {row}" for row in rows[: ROWS + 1]] + more
