"""The end of a job: by `shutdown`, with the program, or when nothing refers to it any more."""

from __future__ import annotations

import atexit
import logging
import os
from typing import TYPE_CHECKING

from masterworker import forks
from masterworker.deadline import Deadline
from masterworker.master.grace import GRACE_AT_EXIT, grace_after
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from masterworker.core.audit import Summary
    from masterworker.engine.pilots.crews import Crews
    from masterworker.engine.slots import Slots
    from masterworker.journal.journal import Journal
    from masterworker.launch.local import LocalWorkers
    from masterworker.manager import Manager
    from masterworker.master.callbacks import Callbacks
    from masterworker.master.changes import Changes
    from masterworker.master.dead_letters import DeadLetters
    from masterworker.master.endpoint import Endpoint
    from masterworker.master.record_keeper import RecordKeeper
    from masterworker.master.report_writer import ReportWriter

logger = logging.getLogger("masterworker.master")

#: The last callbacks of futures have this long before `shutdown` returns (seconds).
CALLBACKS = 1.0


#: What is done is written into the journal for this long (seconds), whatever else is over.
JOURNAL = 5.0


class Parts(NamedTuple):
    """What has to be ended; None: the job has none."""

    manager: Manager
    dead_letters: DeadLetters
    #: Signs off what executes tasks in this process.
    leave: Callable[[], object] | None
    local_workers: LocalWorkers | None
    changes: Changes | None
    endpoint: Endpoint | None
    callbacks: Callbacks
    #: Returns its workers in engines.
    crews: Callable[[], Crews | None] = lambda: None
    journal: Journal | None = None
    slots: Slots | None = None
    records: RecordKeeper | None = None
    report: ReportWriter | None = None


class JobEnd:
    """Ends a job, once. Thread-safe.

    It refers neither to what keeps a job alive (see `waiting.Waiting`) nor to the program's own
    functions, so the interpreter's list of things to do at its exit may refer to it.

    Args:
        label: The label of the job.
        parts: What is to be ended.
        wake: Lets threads that wait for outcomes look again.
        on_ended: Called when nothing more can come.
        by_label: Workers find the job by its label, so that some may come too late.
    """

    def __init__(
        self,
        label: str,
        parts: Parts,
        wake: Callable[[], None],
        on_ended: Callable[[], None],
        *,
        by_label: bool,
    ) -> None:
        self._label = label
        self._parts = parts
        self._wake = wake
        self._on_ended = on_ended
        self._by_label = by_label
        self._lock = forks.rlock()
        self._pid = os.getpid()
        self._kept: object = None
        self.is_over = False
        atexit.register(self.at_exit)

    def keep(self, owner: object) -> None:
        """Let the job last as long as the program, also where that does not refer to it.

        Args:
            owner: What keeps the job alive.
        """
        self._kept = owner

    def shutdown(self, grace: float) -> Summary:
        """End the job; see `Master.shutdown`."""
        manager = self._parts.manager
        if os.getpid() != self._pid:  # a fork has no say in its parent's job
            return manager.summary()
        with self._lock:
            if self.is_over:
                return manager.summary()
            deadline = Deadline(grace)
            try:
                self._announce()
                manager.wait_for(lambda _: not manager.remote_workers(), grace)
            finally:  # also when Ctrl-C ends the wait
                try:
                    self._close(max(0.2, deadline.left()))
                except BaseException:  # a second one: no worker is waited for any more
                    self._close(0.0)
                    raise
            summary = manager.summary()
            level = logging.WARNING if summary.not_run else logging.INFO
            logger.log(level, "job %r has ended: %s", self._label, summary)
            return summary

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown(grace_after(kind))

    def at_exit(self) -> None:
        """The program ends."""
        self.shutdown(GRACE_AT_EXIT)

    def _announce(self) -> None:
        """Let everything know that the job ends."""
        parts = self._parts
        parts.manager.terminate()
        if parts.local_workers is not None:
            parts.local_workers.expect_end()
        if (crews := parts.crews()) is not None:
            crews.finish()
        if parts.leave is not None:
            parts.leave()
        self._wake()

    def _close(self, seconds: float) -> None:
        """Free everything; each step can be done twice."""
        parts = self._parts
        if parts.endpoint is not None:
            if self._by_label:
                parts.endpoint.note_end()
            parts.endpoint.close()
        if parts.changes is not None:
            parts.changes.close()
        if parts.local_workers is not None:
            parts.local_workers.stop(seconds)
        if (crews := parts.crews()) is not None:
            crews.stop(seconds)
        if parts.slots is not None:
            parts.slots.close(seconds)
        if parts.journal is not None:
            parts.journal.close(max(seconds, JOURNAL))
        parts.dead_letters.close()
        if parts.records is not None:
            parts.records.close()
        if parts.report is not None:
            parts.report.close()
        if parts.endpoint is not None:
            parts.endpoint.release()
        self._on_ended()
        parts.callbacks.close(min(seconds, CALLBACKS))
        self.is_over, self._kept = True, None
        atexit.unregister(self.at_exit)
