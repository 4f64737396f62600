"""Outcomes of tasks that were asked for by tag: waiting for one, and looping over all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.checking import time_limit
from masterworker.data.outcome import open_finished
from masterworker.deadline import Deadline
from masterworker.errors import TaskError
from masterworker.master import waiting as rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Finished
    from masterworker.manager import Manager
    from masterworker.master.waiting import Waiting

#: Seconds after which a loop over results looks whether anything is outstanding still.
LOOK = 1.0


class OutcomeQueue:
    """Where outcomes of tasks by tag wait to be picked up. Thread-safe.

    Args:
        manager: The task manager of the job.
        member_id: The number under which it knows the master.
        waiting: How to wait.
    """

    def __init__(self, manager: Manager, member_id: int, waiting: Waiting) -> None:
        self._manager = manager
        self._member_id = member_id
        self._waiting = waiting

    def retrieve(self, tag: str | None, timeout: float | None) -> tuple[str, str, Any]:
        """Wait for one outcome, and open it; see `Master.retrieve_result`."""
        return self.open(self.collect(tag, timeout))

    def open(self, finished: Finished) -> tuple[str, str, Any]:
        """Open an outcome. What breaks that off leaves the outcome for the next call."""
        try:
            return open_finished(finished)
        except TaskError:
            raise
        except BaseException:  # of a signal handler, say
            self._manager.repairs.append((self._manager.to_undelivered, [finished]))
            raise

    def collect(self, tag: str | None, timeout: float | None) -> Finished:
        """Wait for one outcome, unopened; see `Master.retrieve_result`."""
        timeout = time_limit(timeout)
        finished = self._wait(tag, Deadline(timeout), wire.LONGEST_WAIT, lambda: True)
        if finished is None:
            situation = self._waiting.situation(tag)
            raise TimeoutError(f"no outcome in {timeout} seconds: {situation}")
        return finished

    def following(self, tag: str | None) -> Finished | None:
        """Wait for one outcome as long as any is outstanding. None: none is.

        Another caller may take the last one meanwhile, so this looks again every `LOOK` seconds.
        """
        return self._wait(tag, Deadline(None), LOOK, lambda: self._manager.outstanding(tag) > 0)

    def _wait(
        self, tag: str | None, deadline: Deadline, look: float, worth: Callable[[], bool]
    ) -> Finished | None:
        waiting = self._waiting
        waiting.require_own_process()
        notice = Deadline(rules.NOTICE_AFTER)
        while worth():
            wait = 0.0 if waiting.execute_one() else deadline.left(look)
            finished, _ = self._manager.collect(self._member_id, tag, 1, wait)
            if finished:
                return finished[0]
            waiting.require_workers()
            if deadline.has_passed:
                return None
            if notice.has_passed:
                notice = Deadline(None)
                waiting.explain(tag)
        return None


class ResultIterator:
    """An iterator over outcomes as they come, which goes on after it has raised one.

    Args:
        queue: Where they come from.
        tag: Only outcomes of tasks of this tag.
        return_errors: Give exceptions in place of results.
    """

    def __init__(self, queue: OutcomeQueue, tag: str | None, *, return_errors: bool) -> None:
        self._queue = queue
        self._tag = tag
        self._return_errors = return_errors

    def __iter__(self) -> ResultIterator:
        return self

    def __repr__(self) -> str:
        kind = "" if self._tag is None else f" of tag {self._tag!r}"
        return f"<outcomes{kind} as they come: loop over them>"

    def __next__(self) -> tuple[str, str, Any]:
        finished = self._queue.following(self._tag)
        if finished is None:
            raise StopIteration
        try:
            return self._queue.open(finished)
        except TaskError as error:
            if not self._return_errors:
                raise
            return error.task_id, error.tag, error
