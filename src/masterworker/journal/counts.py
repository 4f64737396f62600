"""Counts what a journal has, for the line in the log and for `show`."""

from __future__ import annotations

from masterworker.core.census import JournalCount


class Counts:
    """What a journal has. Counters of a thread each, or too small by a few."""

    def __init__(self) -> None:
        self.runs = 0
        #: The last run has ended in good order.
        self.ended = True
        #: Outcomes: of earlier runs, those of them that were given again, and of this run.
        self.earlier = self.recalled = self.written = 0

    def began(self) -> None:
        """An earlier run has begun."""
        self.runs, self.ended = self.runs + 1, False

    def line(self, size: int) -> str:
        """Return what there is at the start of a run.

        Args:
            size: Of the file (bytes).
        """
        state = "it ended in good order" if self.ended else "the last one did not end"
        return f"{self.earlier} outcomes of {self.runs} runs ({size / 1e6:.1f} MB; {state})"

    def shown(self, name: str, size: int, trouble: str) -> JournalCount:
        """Return what there is now."""
        return JournalCount(
            *(name, self.earlier, self.recalled, self.written, 0),
            *(size, self.ended, trouble),
        )
