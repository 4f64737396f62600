"""Workers that the master starts on its own machine: started, watched, and never left behind."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from masterworker.launch.command import worker_command

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("masterworker.launch")

#: So many of the last lines of a worker's stderr are kept for reports.
KEPT_LINES = 40
#: After being asked to end, a worker has so long before it is killed (seconds).
KILL_AFTER = 1.0
#: When a worker has ended, what it wrote to stderr is read for so long still (seconds).
LAST_WORDS = 0.5


class LocalWorker:
    """One worker process.

    Args:
        command: What to execute.
        on_exit: Called with the worker when it has ended, from a thread of its own.
    """

    def __init__(self, command: list[str], on_exit: Callable[[LocalWorker], None]) -> None:
        self._on_exit = on_exit
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.stopping = False
        self._mute = False
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,  # a Ctrl-C at the terminal is for the master, who tells its workers
        )
        self._pump = threading.Thread(
            target=self._forward, name="masterworker-worker-output", daemon=True
        )
        self._pump.start()
        self._waiter = threading.Thread(
            target=self._wait, name="masterworker-worker-end", daemon=True
        )
        self._waiter.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    @property
    def ended(self) -> bool:
        """Tell whether the process has ended and been waited for."""
        return self.process.returncode is not None

    def how_it_ended(self, seconds: float = 0.0) -> str:
        """Tell its exit status or signal; "" if it has not ended within so many seconds."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return ""
        if status >= 0:
            return f"its process ended with exit status {status}"
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = "unknown"
        return f"its process was ended by signal {-status} ({name})"

    def report(self) -> str:
        """Tell how it ended, and the last that it wrote to stderr."""
        tail = "".join(self._lines).rstrip()
        return f"worker {self.pid}: {self.how_it_ended()}" + (f":\n{tail}" if tail else "")

    def join(self, seconds: float) -> bool:
        """Wait for the end. False: it has not ended in time."""
        self._waiter.join(max(0.0, seconds))
        return self.ended

    def drop(self) -> None:
        """End it before it has begun to work; what it says about that interests nobody."""
        self._mute = self.stopping = True
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def _forward(self) -> None:
        """Pass on what the worker writes to stderr, and keep the end of it."""
        stream = self.process.stderr
        assert stream is not None  # noqa: S101  for the type checker
        with stream:
            while line := stream.readline(65536):
                text = line.decode("utf-8", "replace")
                self._lines.append(text)
                if self._mute:
                    continue
                with contextlib.suppress(OSError, ValueError, AttributeError):
                    sys.stderr.write(text)

    def _wait(self) -> None:
        self.process.wait()
        self._pump.join(LAST_WORDS)  # a process that it has forked may keep stderr open
        self._on_exit(self)


class LocalWorkers:
    """All workers that one master has started here.

    Args:
        label: The label of the job.
        on_exit: Called when one has ended.
    """

    def __init__(self, label: str, on_exit: Callable[[LocalWorker], None]) -> None:
        self._label = label
        self._on_exit = on_exit
        self._workers: list[LocalWorker] = []

    def launch(self, number: int) -> list[LocalWorker]:
        """Start workers."""
        command = worker_command(sys.executable, self._label, os.getpid())
        self._workers = [worker for worker in self._workers if not worker.ended]
        started = []
        for _ in range(number):
            started.append(LocalWorker(command, self._on_exit))
            self._workers.append(started[-1])
        return started

    def find(self, pid: int | None) -> LocalWorker | None:
        """Return the worker of a process id; None: it was not started here."""
        return next((worker for worker in self._workers if worker.pid == pid), None)

    def expect_end(self, here: set[int]) -> None:
        """The job ends: that a worker ends is nothing to report from now on.

        Args:
            here: Process ids of those that have joined; the others are ended at once.
        """
        for worker in self._workers:
            worker.stopping = True
            if worker.pid not in here and not worker.ended:
                worker.drop()

    def stop(self, seconds: float) -> None:
        """Wait for all to end by themselves, for so long; then end them."""
        end = time.monotonic() + seconds
        for worker in self._workers:
            if not worker.join(end - time.monotonic()):
                with contextlib.suppress(ProcessLookupError):
                    worker.process.terminate()
        end = time.monotonic() + KILL_AFTER
        for worker in self._workers:
            if not worker.join(end - time.monotonic()):
                logger.warning("worker process %d does not end: killed", worker.pid)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(worker.pid, 9)
                worker.join(KILL_AFTER)
        self._workers.clear()
