"""The process that scales the workers of a job: a look at it once a second, until it is over."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from masterworker.errors import JobEndedError, MasterworkerError, TransportError, UsageError
from masterworker.pools.need import workers_needed
from masterworker.views.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.pools.driving import Driving
    from masterworker.pools.job import ScaledJob
    from masterworker.pools.keeping import KeptPool, Place
    from masterworker.recorder.shapes import Snapshot

logger = logging.getLogger("masterworker.pools")

#: Between two looks at the job (seconds).
TURN: Final = 1.0
#: A master that does not answer is gone after this time; with a journal it may come back (s).
GONE: Final = 30.0
COMES_BACK: Final = 600.0
#: Jobs that wait are taken back within this time at the end (seconds).
LAST_STEPS: Final = 30.0


class Scaling:
    """Looks at the job once a second, and lets each pool do what is to be done.

    Args:
        job: The job.
        drivers: Of its pools.
        place: Where it is noted how they stand.
        has_lifeline: A program has started this process, and holds its standard input open.
    """

    def __init__(
        self,
        job: ScaledJob,
        drivers: Sequence[Driving],
        place: Place,
        *,
        has_lifeline: bool,
    ) -> None:
        self._job, self._drivers, self._place = job, drivers, place
        self._picture = Picture(job.client.look)
        self._over, self._pause = threading.Event(), threading.Event()
        self._answered = time.monotonic()
        for driver in drivers:
            driver.note = self._save
        self._kept: list[KeptPool] = []
        self._said = False
        self._has_lifeline, self._parent = has_lifeline, os.getppid()
        self._is_closed, self._has_heir = False, False
        if has_lifeline:
            threading.Thread(target=self._hold, name="masterworker-lifeline", daemon=True).start()

    def run(self) -> None:
        """Go on until the job is over."""
        try:
            while not self._over.is_set():
                self._turn()
                self._save()
                self._over.wait(TURN)
        finally:  # whatever went wrong, no job is left in a queue
            if not self._has_heir:
                self._finish()

    def _hold(self) -> None:
        """Wait until the program that has started this process is gone."""
        while os.read(0, 1024):  # not by sys.stdin, whose lock this thread would keep at the end
            pass
        self._is_closed = True

    def _is_orphan(self) -> bool:
        """Return whether the program is gone; a fork of it may keep the pipe open."""
        is_gone = self._is_closed or os.getppid() != self._parent
        return self._has_lifeline and is_gone

    def stop(self) -> None:
        """Let `run` end soon, as it does with the job. May be called by a signal handler."""
        self._over.set()

    def _turn(self) -> None:
        if self._is_orphan() and self._place.is_to_succeed():
            self._has_heir = True
            self._over.set()
            return
        try:
            snapshot = self._picture.update()
        except JobEndedError:
            self._over.set()
            return
        except MasterworkerError as error:
            if not isinstance(error, TransportError):
                logger.warning("the job cannot be looked at: %s", error)
            self._without_answer()
            return
        self._answered = time.monotonic()
        if snapshot.ended:
            self._over.set()
            return
        is_other = snapshot.instance != self._job.run
        if is_other and self._has_lifeline and not self._is_orphan():
            self._over.set()  # the next job of this program, which has what scales its own workers
            return
        try:
            is_new_run = is_other and self._job.again()
        except MasterworkerError:  # it is gone in this moment
            return
        if is_new_run:
            for driver in self._drivers:
                with contextlib.suppress(OSError, MasterworkerError):  # tried again in its turn
                    driver.renew()
        if self._place.is_to_resume():
            for driver in self._drivers:
                driver.resume()
        self._scale(snapshot)

    def _without_answer(self) -> None:
        """The master does not answer: it is busy, gone, or to come back."""
        is_orphan = self._is_orphan()
        bound = COMES_BACK if self._job.comes_back else 0.0 if is_orphan else GONE
        if self._has_lifeline and not is_orphan:
            return
        if time.monotonic() - self._answered > bound:
            self._over.set()

    def _scale(self, snapshot: Snapshot) -> None:
        """Divide what is needed among the pools, in their order."""
        ours = sum(driver.here() for driver in self._drivers)
        left = workers_needed(snapshot) - max(0, snapshot.workers - ours)
        for driver in self._drivers:
            driver.turn(snapshot, max(0, left))
            left -= driver.most()

    def _save(self) -> None:
        kept = [driver.kept() for driver in self._drivers]
        if kept != self._kept:
            try:
                self._place.save(kept)
                self._kept = kept
            except (OSError, UsageError) as error:
                if not self._said:
                    logger.warning("what runs cannot be noted: %s", error)
                self._said = True

    def _finish(self) -> None:
        end = time.monotonic() + LAST_STEPS
        while True:
            for driver in self._drivers:
                driver.finish()
            self._save()
            if not any(driver.waiting() for driver in self._drivers) or time.monotonic() > end:
                break
            self._pause.wait(TURN)
        for driver in self._drivers:
            driver.close()
