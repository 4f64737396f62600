"""Asks for tasks through the public interface, and keeps a log of its own of all it asked and got.

It trusts nobody: what it gets is judged by `checker` from the lines of the files alone.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil

from faults import records
from faults.checker import check
from faults.records import DELIVER, FAIL, FAULT, SUBMIT, note
from faults.work import recorded
from masterworker.errors import TaskError
from masterworker.master import engine_of
from support import HANG, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from faults.checker import Verdict
    from masterworker import Master
    from masterworker.master.future import Future

#: How tasks can be asked for.
CALL, BY_TAG = "call", "by tag"
TAG = "recorded"


class Driver:
    """Submissions and deliveries of one master. For one thread for each way of asking.

    Args:
        folder: Where the log is written.
        master: Whom to ask.
        keep: Keep futures, values and errors; without, memory does not grow with the tasks.
    """

    def __init__(self, folder: Path, master: Master, *, keep: bool = True) -> None:
        self.folder = folder
        self._keep = keep
        self.master = master
        self.errors: dict[str, BaseException] = {}
        self.values: dict[str, Any] = {}
        self.futures: dict[str, Future] = {}
        self._keys = itertools.count()
        self._key_of: dict[str, str] = {}
        self.waiting: list[Future] = []
        self.tagged = 0
        self._lock = threading.Lock()

    # -- asking -----------------------------------------------------------------------------

    def submit(
        self,
        action: str = "nothing",
        *args: Any,
        number: int = 1,
        way: str = CALL,
        through: Any = None,
    ) -> list[str]:
        """Ask for tasks; `through` is what the master's `options` returned. Returns their keys."""
        asked = through or self.master
        keys = [f"{action}-{next(self._keys)}" for _ in range(number)]
        for key in keys:
            note(self.folder, "driver", SUBMIT, key)
            if way == CALL:
                future = asked.submit(recorded, str(self.folder), key, action, *args)
                with self._lock:
                    self._key_of[future.task_id] = key
                    self.waiting.append(future)
                    if self._keep:
                        self.futures[key] = future
            else:
                task_id = asked.request_task(TAG, str(self.folder), key, action, *args)
                with self._lock:
                    self._key_of[task_id] = key
                    self.tagged += 1
        return keys

    # -- getting ----------------------------------------------------------------------------

    def collect(self, timeout: float = HANG) -> None:
        """Get everything that was asked for and has not come; what does not come is lost."""
        end = time.monotonic() + timeout
        self.waiting = self.collect_calls(end)
        while self.tagged and self.collect_one_by_tag(end):
            pass

    def collect_calls(self, end: float, futures: list[Future] | None = None) -> list[Future]:
        """Get the outcomes of calls, until a moment of the monotonic clock.

        Args:
            end: That moment.
            futures: Of these calls; None: of all that have not come.

        Returns:
            The futures of those that did not come.
        """
        left = set(self.waiting if futures is None else futures)
        try:
            for future in self.master.as_completed(list(left), max(0.0, end - time.monotonic())):
                error = future.exception(0.0)
                self._take(future.task_id, error or future.result(0.0))
                left.remove(future)
        except TimeoutError:
            pass
        return list(left)

    def collect_one_by_tag(self, end: float) -> bool:
        """Get one outcome of a task that was requested by tag. False: none came in time."""
        try:
            task_id, _, value = self.master.retrieve_result(
                TAG, timeout=max(0.0, end - time.monotonic())
            )
        except TaskError as error:
            self._take(error.task_id, error)
        except TimeoutError:
            return False
        else:
            self._take(task_id, value)
        with self._lock:
            self.tagged -= 1
        return True

    def _take(self, task_id: str, what: Any) -> None:
        key = self._key_of.get(task_id, f"never asked for: {task_id}")
        if not self._keep:
            self._key_of.pop(task_id, None)
        if isinstance(what, BaseException):
            self.errors[key] = what
            note(self.folder, "driver", FAIL, key, type(what).__name__, str(what)[:500])
        else:
            value, found = what if isinstance(what, tuple) else (what, None)
            if self._keep:
                self.values[key] = found
            note(self.folder, "driver", DELIVER, key, value)

    # -- looking ----------------------------------------------------------------------------

    def begun(self, key: str, times: int = 1) -> int:
        """Wait until a task is being executed, for so many times; return the last one's process."""

        def pids() -> list[int]:
            return [
                line[3]
                for line in records.lines(self.folder)
                if line[0] == records.START and line[2] == key
            ]

        wait_until(lambda: len(pids()) >= times, HANG, f"{key} is executed {times} times")
        return pids()[-1]

    def runs(self, key: str) -> int:
        """How many times it was executed."""
        lines = records.lines(self.folder)
        return sum(line[0] == records.START and line[2] == key for line in lines)

    def executed_by(self) -> set[int]:
        """Process ids of all that have executed anything."""
        return {line[3] for line in records.lines(self.folder) if line[0] == records.START}

    def workers(self) -> set[int]:
        """Process ids of the workers that have joined."""
        found = set()
        for number, info, _ in self.master.status().processes:
            if number != engine_of(self.master).process_id:
                found.add(int(info.split()[1]))
        return found

    def verdict(self) -> Verdict:
        """Judge the trial. Whatever is left in the master counts as delivered once more."""
        while self.collect_left_over():
            pass
        return check(self.folder)

    def collect_left_over(self) -> bool:
        """Get an outcome that nobody should have. False: there is none."""
        try:
            finished = engine_of(self.master).outcomes.collect(None, 0.0)
        except Exception:
            return False
        self._take(f"left over: {finished[0]}", "left over")
        return True


def hit(folder: Path, kind: str, number: int, *pids: int) -> None:
    """Send a signal to processes that the caller started, and write that down."""
    note(folder, "test", FAULT, kind, list(pids))
    for pid in pids:
        os.kill(pid, number)


def kill(folder: Path, *pids: int) -> None:
    """End processes at once."""
    hit(folder, "kill", signal.SIGKILL, *pids)


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended; a corpse counts as ended."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
