"""The thread that writes a journal."""

from __future__ import annotations

import logging
import threading
import time
from math import inf
from typing import TYPE_CHECKING, Final

from masterworker import forks
from masterworker.journal.writing import SOON

if TYPE_CHECKING:
    from masterworker.journal.writing import Entries, Writing

logger = logging.getLogger("masterworker.journal")

FORKED: Final = "this is a fork of the master"


class Writer:
    """Lets a journal be written. Thread-safe.

    Args:
        writing: What is to be done, and when.
    """

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._bell = threading.Event()
        self._closing = False
        #: It looks at what goes along not before it is rung.
        self.dozes = False
        self._thread = threading.Thread(target=self._run, name="masterworker-journal", daemon=True)
        forks.register(self)
        self._thread.start()

    def after_fork(self) -> None:
        """A fork writes nothing: the thread is not there, and what comes is dropped."""
        self._writing.failure = FORKED

    def put(self, entries: Entries) -> None:
        """Have something written. Costs a list entry; may be called with any lock held."""
        self._writing.waiting.append(entries)
        self._bell.set()

    def ring(self) -> None:
        """Let it look at what goes along, if it `dozes`."""
        self._bell.set()

    def close(self, seconds: float) -> bool:
        """Write what has come, and end. False: that is not done within this time."""
        if self._writing.failure == FORKED:
            return False
        self._closing = True
        self._bell.set()
        self._thread.join(seconds)
        return not self._thread.is_alive() and not self._writing.failure

    @property
    def has_ended(self) -> bool:
        """Nothing is written any more."""
        return not self._thread.is_alive()

    # -- inside -----------------------------------------------------------------------------

    def _run(self) -> None:
        writing = self._writing
        try:
            while not writing.failure:
                closing = self._closing  # looked at first: what came before it is written
                self.dozes = True  # before the look: who adds something looks here afterwards
                pause = writing.step(time.monotonic(), closing=closing)
                if pause == inf and closing:
                    break
                self.dozes = pause > SOON
                if pause:
                    self._bell.wait(None if pause == inf else pause)
                    self._bell.clear()
        except Exception as error:  # a bug of ours must not look like a slow disk
            logger.exception("the journal's writer stumbled")
            writing.give_up(f"{type(error).__name__}: {error}")
