"""The thread that writes a journal."""

from __future__ import annotations

import logging
import threading
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from masterworker import forks
from masterworker.journal.writing import SOON
from masterworker.signals import held

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.journal.writing import Entries, Writing

logger = logging.getLogger("masterworker.journal")

FORKED: Final = "this is a fork of the master"
#: So long (seconds) after something was written the thread looks by itself whether more has come.
ACTIVE: Final = 1.0
#: A caller writes itself where that took no longer than this the last time (seconds).
QUICK: Final = 5e-3
#: Steps that a caller does at most: others may ask for ever more.
AT_ONCE: Final = 8


class Writer:
    """Lets a journal be written. Thread-safe.

    Args:
        writing: What is to be done, and when.
    """

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._bell = threading.Event()
        self._closing = False
        #: Held by the thread that writes.
        self._turn = forks.lock()
        #: How long the last step took that has written; until when it looks by itself.
        self._took, self._active = inf, -inf
        #: Asks the calling thread to `write` itself, soon; True: it will, if no signal handler
        #: raises before. Called as `put`.
        self.lends: Callable[[], bool] = lambda: False
        #: It looks at what comes not before it is rung.
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
        if self.dozes or self._took > QUICK or not self.lends():
            self.ring()

    def write(self) -> None:
        """Write what has come in the calling thread, if no other one writes; and tell."""
        with held:
            if not self._turn.acquire(blocking=False):
                self.ring()  # it may have looked already
                return
            try:
                for _ in range(AT_ONCE):
                    if not self._writing.waiting or self._writing.failure:
                        break
                    if self._step(closing=False):
                        break
            finally:
                self._turn.release()
            if self._writing.failure or self._writing.waiting:
                self.ring()  # it ends, or goes on

    def ring(self) -> None:
        """Let the thread look."""
        if not self._bell.is_set():  # it looks after it has cleared that
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
        while not writing.failure:
            closing = self._closing  # looked at first: what came before it is written
            active = monotonic() < self._active
            self.dozes = not active  # before the look: who adds something looks here afterwards
            with self._turn:
                pause = self._step(closing=closing)
            if writing.failure or (pause == inf and closing):
                break
            if active:
                pause = min(pause, SOON)
            else:
                self.dozes = pause > SOON
            if pause:
                self._bell.wait(None if pause == inf else pause)
                self._bell.clear()

    def _step(self, *, closing: bool) -> float:
        """Do one thing that is due. Returns after how many seconds the next one is."""
        writing = self._writing
        try:
            now = monotonic()
            pause = writing.step(now, closing=closing)
            if not pause:
                then = monotonic()
                self._took, self._active = then - now, then + ACTIVE
        except Exception as error:  # a bug of ours must not look like a slow disk
            logger.exception("the journal's writer stumbled")
            writing.give_up(f"{type(error).__name__}: {error}")
            return inf
        return pause
