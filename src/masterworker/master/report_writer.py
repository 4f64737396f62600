"""Writes the report of a job when it has ended: `Master(report=)` and `MASTERWORKER_REPORT`.

By a thread of its own, which begins with the job: a disk that stands still holds up its end for a
bounded time, and where an interpreter ends no thread begins any more.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from masterworker.errors import UsageError
from masterworker.machine import process_info
from masterworker.recorder import spanned
from masterworker.views import report
from masterworker.views.known import Known

if TYPE_CHECKING:
    from masterworker.manager.looking import Looking

logger = logging.getLogger("masterworker.master")

#: The end of a job waits for its report for this long (seconds).
BOUND = 30.0


def path_for(given: str | os.PathLike[str] | None, label: str) -> str:
    """Return where a report is to be written.

    Args:
        given: Its path, as the program says; None: in the folder MASTERWORKER_REPORT.
        label: The job's.

    Raises:
        UsageError: The program's path cannot be used.
    """
    if given is not None:
        path = os.fspath(given)
        if not isinstance(path, str):
            raise UsageError(f"report must be a path as text, not {path!r}")
        report.check(path)
        if not Path(path).absolute().parent.is_dir():
            raise UsageError(f"{path} cannot be written: there is no such folder")
        return str(Path(path).absolute())  # a program may go to another folder
    folder = os.environ.get("MASTERWORKER_REPORT", "")
    name = re.sub(r"[^A-Za-z0-9_-]", "_", label)[:60]
    now = time.strftime("%Y%m%d-%H%M%S")
    return str(Path(folder).absolute() / f"{name}-{now}-{os.getpid()}.html")


class ReportWriter:
    """Writes one report. Thread-safe.

    Args:
        label: The label of the job.
        looking: Tells how the job stands.
        path: Where to.
    """

    def __init__(self, label: str, looking: Looking, path: str) -> None:
        self._label, self._looking, self._path = label, looking, path
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        thread = threading.Thread(target=self._run, name="masterworker-report", daemon=True)
        with contextlib.suppress(RuntimeError):  # no more threads: it is written without
            thread.start()
            self._thread = thread

    def close(self, seconds: float = BOUND) -> None:
        """The job is over: write the report, in this time. Safe to call twice."""
        if self._thread is None and not self._closing.is_set():
            self._closing.set()
            self._run()
            return
        self._closing.set()
        if self._thread is not None:
            self._thread.join(seconds)
            if self._thread.is_alive():
                logger.warning("the report %s is not written yet after %.0f s", self._path, seconds)

    def _run(self) -> None:
        self._closing.wait()
        try:
            stood, spans = self._looking.afresh(), spanned.decode(self._looking.spans(spanned.ALL))
            found = Known(self._label, stood, spans, time.time(), process_info())
            report.save(found, self._path)
            logger.info("the report of %r is %s", self._label, self._path)
        except Exception as error:  # the job has ended, and that is what counts
            logger.warning("there is no report of %r: %s", self._label, error)
