"""Worker processes that have not joined: what they do, since when, and what is said of it."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from masterworker.launch import scoreboard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masterworker.launch.slot import Slot

logger = logging.getLogger("masterworker.launch")

#: A worker that has not joined is named in the log after this time (seconds).
NAMED_AFTER: Final = 5.0
#: Name at most this many process ids.
_MOST_NAMED: Final = 5


def describe(slots: Iterable[Slot], now: float) -> str:
    """Say how many workers are starting, since when, and what they do; "": none are.

    Args:
        slots: Of the supervisor; in any thread.
        now: Seconds of the monotonic clock.
    """
    begins, steps = [], Counter[str]()
    for slot in tuple(slots):
        process = slot.process
        if process is not None and process.member_id < 0:
            begins.append(process.began)
            steps[scoreboard.read_step(process.board)] += 1
        elif process is None and not slot.is_done:
            failed = f"to be tried again after {slot.failures} that failed"
            steps[failed if slot.failures else "about to begin"] += 1
    if not steps:
        return ""
    number = steps.total()
    many = "1 worker has" if number == 1 else f"{number} workers have"
    since = f" for {now - min(begins):.0f} s" if begins else ""
    what = ", ".join(f"{n} {text}" if len(steps) > 1 else text for text, n in steps.items())
    return f"{many} been starting{since} ({what})"


class SlowStarts:
    """Names workers that take long to start, each once, and several in one line.

    For the supervisor's thread.
    """

    def __init__(self) -> None:
        self._named: set[int] = set()

    def look(self, slots: Iterable[Slot], now: float) -> None:
        """Name in the log those that have become slow."""
        slow = [
            process
            for slot in slots
            if (process := slot.process) is not None
            and process.member_id < 0
            and not process.asked
            and now - process.began >= NAMED_AFTER
        ]
        new = [process for process in slow if process.pid not in self._named]
        self._named = {process.pid for process in slow}
        if not new:
            return
        steps = Counter(scoreboard.read_step(process.board) for process in new)
        what = ", ".join(f"{n} {text}" if len(steps) > 1 else text for text, n in steps.items())
        pids = ", ".join(str(process.pid) for process in new[:_MOST_NAMED])
        more = f" and {len(new) - _MOST_NAMED} more" if len(new) > _MOST_NAMED else ""
        logger.warning(
            "%s of %r: not ready after %.0f s, %s (process %s%s)",
            "1 worker" if len(new) == 1 else f"{len(new)} workers",
            new[0].spec.label,
            now - min(process.began for process in new),
            what,
            pids,
            more,
        )
