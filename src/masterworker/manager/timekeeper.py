"""A thread that calls a method when time is due, for as long as its object lives."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING

from masterworker import forks

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("masterworker.manager")

#: Pause after an unexpected error (seconds).
STUMBLE = 1.0


class Timekeeper:
    """Calls a method again and again, when it wants to be called.

    It does not keep the method's object: when nothing else refers to that, the thread ends.

    Args:
        tick: Does what is due, and returns the seconds until it is due again; None: not before
            `look_again`.
    """

    def __init__(self, tick: Callable[[], float | None]) -> None:
        self._tick = weakref.WeakMethod(tick, self._forget)
        self._bell = threading.Lock()
        self._bell.acquire()
        #: As `look_again`, in one step; the thread must be there. A `RuntimeError`: it was
        #: poked already.
        self.poke = self._bell.release
        self._lock = forks.lock()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def look_again(self) -> None:
        """Something has changed: ask when it is due. Starts the thread the first time."""
        with self._lock:
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(
                    target=self._run, name="masterworker-timekeeper", daemon=True
                )
                self._thread.start()
        self._ring()

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._ring()

    def _forget(self, _: object) -> None:
        """The object is gone. May be called in the middle of anything, so it takes no lock."""
        self.stop()

    def _ring(self) -> None:
        # Not by contextlib, which may be gone when an object dies with the interpreter.
        try:  # noqa: SIM105
            self.poke()
        except RuntimeError:
            pass

    def _run(self) -> None:
        while not self._stopped:
            tick = self._tick()
            if tick is None:
                return
            try:
                pause = tick()
            except Exception:  # without this thread no silent worker is missed any more
                logger.exception("the timekeeper stumbled; it goes on")
                pause = STUMBLE
            del tick
            self._bell.acquire(timeout=-1 if pause is None else pause)
