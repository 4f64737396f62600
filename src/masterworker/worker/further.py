"""Further calls that a task asks for and waits for, in the thread that executes the task.

Outcomes are told apart by tags: each process has one for each depth of calls inside of calls.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from masterworker.core.filters import CALL_MARK
from masterworker.data.outcome import value_or_error
from masterworker.data.pickling import dumps, dumps_call
from masterworker.launch.process_context import this_process
from masterworker.machine import random_name
from masterworker.worker.worker import Worker, engine_of

if TYPE_CHECKING:
    from collections.abc import Callable


class _Here:
    """What is true of this process."""

    depth = 0
    #: Part of the tags, and the process that it was made in.
    name = ""
    pid = 0


_here: Final = _Here()


class FurtherCalls:
    """Calls that a task asks for. For the thread that executes the task.

    Args:
        worker: Which executes it.
        what: What they are called in status displays.
    """

    def __init__(self, worker: Worker, what: str) -> None:
        self._engine = engine_of(worker)
        if _here.pid != os.getpid():
            _here.name, _here.pid = random_name(), os.getpid()
        _here.depth += 1
        self._tag = f"{CALL_MARK}{what} {_here.name}.{_here.depth}"
        self._under_way: set[int] = set()

    @staticmethod
    def worker() -> Worker | None:
        """Return the worker whose task this thread executes; None: it executes none."""
        worker = this_process.worker
        if isinstance(worker, Worker) and engine_of(worker).talk.is_mine:
            return worker
        return None

    def submit(self, function: Callable[..., Any], *args: Any) -> int:
        """Ask for a call. Returns its number.

        Raises:
            UnpicklableError: An argument cannot be sent.
            Terminated: The job is over.
        """
        payload = dumps_call("a further call", (dumps(function), args, {}))
        number = self._engine.talk.request(self._tag, payload)
        self._under_way.add(number)
        return number

    def wait(self, timeout: float | None = None) -> tuple[int, Any, BaseException | None]:
        """Wait for some call; meanwhile execute tasks that wait. Returns its number and outcome.

        Raises:
            TimeoutError: None was done in time.
            Terminated: The job is over.
        """
        finished = self._engine.collect(self._tag, timeout)
        self._under_way.discard(finished.task_id)
        return finished.task_id, *value_or_error(finished)

    def drain(self) -> None:
        """Wait for what is under way, whose outcomes are not wanted."""
        while self._under_way:
            self.wait()

    def end(self) -> None:
        """No more calls come: the tag is free again."""
        self.drain()
        _here.depth -= 1
