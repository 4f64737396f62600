"""Where the parts of the scheduler put what an event leads to."""

from __future__ import annotations

from masterworker.core.effects import Effects, Tally
from masterworker.recorder.recorder import Recorder


class Outbox:
    """What follows from the event that is being dealt with, and what has been counted so far.

    Each part adds to it; the scheduler takes the effects out at the end of the event.

    Args:
        recorder: Keeps what has been counted, by tag and over time.
    """

    __slots__ = ("alarmed", "effects", "recorder", "tally")

    def __init__(self, recorder: Recorder | None = None) -> None:
        self.recorder = recorder or Recorder()
        self.effects = Effects()
        self.tally = Tally()
        #: Something has happened that may have brought the next deadline nearer.
        self.alarmed = False

    def take(self) -> Effects:
        """Return the effects of this event, and begin with the next."""
        effects = self.effects
        self.effects = Effects()
        return effects
