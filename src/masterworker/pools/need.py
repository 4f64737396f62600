"""How many workers a job could use, from a snapshot of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from masterworker.recorder.shapes import Snapshot

#: A worker that is started is worth it for this much work (seconds).
SPAN: Final = 60.0


def workers_needed(snapshot: Snapshot) -> int:
    """Return how many workers the job could use: those that are busy, and more for what waits.

    Tasks of a tag of which none has been executed yet count one worker each; of other tags, the
    work that waits is divided among workers so that it takes a minute.
    """
    more = 0
    for tag in snapshot.tags:
        if not tag.waiting:
            continue
        each = tag.median if tag.executed else SPAN
        if not (math.isfinite(each) and each >= 0.0):
            each = SPAN
        more += min(tag.waiting, max(1, math.ceil(tag.waiting * each / SPAN)))
    return snapshot.busy_workers + more
