"""Saves how a job stands in the user's state folder, now and again and at its end.

By a thread of its own: a disk that stands still holds up neither the job nor its end.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

from masterworker.failed_limits import records_are_wanted
from masterworker.machine import process_info

if TYPE_CHECKING:
    from masterworker.manager.looking import Looking

logger = logging.getLogger("masterworker.master")

#: Seconds until the first time: a job that is killed early is known, too.
FIRST = 5.0
#: Seconds between two times of saving, at least, ...
EVERY = 60.0
#: ... or the time that saving took, times this, where that is longer.
EVERY_SHARE = 100.0
#: It has been said in this process that nothing can be saved.
_said = threading.Event()


class RecordKeeper:
    """Saves the record of one job. Thread-safe.

    Args:
        label: The label of the job.
        looking: Makes the snapshots.
    """

    def __init__(self, label: str, looking: Looking) -> None:
        self._label, self._looking = label, looking
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        if records_are_wanted():
            # Begun now: where an interpreter ends, no thread begins any more.
            thread = threading.Thread(target=self._run, name="masterworker-record", daemon=True)
            with contextlib.suppress(RuntimeError):  # no more threads: there is no record
                thread.start()
                self._thread = thread

    def close(self, seconds: float = 1.0) -> None:
        """Save how the job has ended, this many seconds at most. Safe to call twice."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        pause = min(FIRST, EVERY)
        while not self._closing.wait(pause):
            began = time.monotonic()
            self._save()
            pause = max(EVERY, EVERY_SHARE * (time.monotonic() - began))
        self._save()

    def _save(self) -> None:
        try:
            from masterworker import job_record  # what it takes is loaded when it is needed

            stood, spans = self._looking.afresh(), self._looking.spans(-1)
            job_record.save(self._label, process_info(), stood, spans)
        except Exception as error:  # whatever is wrong with the disk, the job goes on
            if not _said.is_set():
                _said.set()
                logger.warning(
                    "how jobs stand cannot be kept for later (MASTERWORKER_RECORDS=0: it need "
                    "not): %s",
                    error,
                )
