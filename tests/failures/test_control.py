"""F36 and F37: tasks that are to end, and handlers that let nothing else run."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from pathlib import Path

import pytest

from failures.jobs import all_here, plain_workers, real_master
from masterworker.errors import TaskCancelled, TaskTimeout
from masterworker.master import engine_of
from support import HANG, wait_until


def count(path: str) -> int:
    """Adds a line, and tells how many there are."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len(Path(path).read_text().splitlines())


def fail_twice(path: str) -> int:
    if count(path) < 3:
        raise OSError("not yet")
    return count(path)


def hang(path: str) -> None:
    """Cannot be interrupted: it swallows everything."""
    count(path)
    while True:
        with contextlib.suppress(BaseException):
            threading.Event().wait()


def hold(path: str, seconds: float) -> int:
    """Holds the interpreter's lock."""
    count(path)
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    return os.getpid()


HOLD = """
import ctypes

class Hand(Hand):
    def do_hold(self, seconds):
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))
        return os.getpid()

"""


def test_f36_task_is_tried_again_as_often_as_was_asked_for(tmp_path: Path) -> None:
    """There was no way to try a task again after a failure that may pass."""
    with real_master(workers=1) as master:
        path = str(tmp_path / "calls")
        assert (
            master.options(retries=2, retry_on=OSError).submit(fail_twice, path).result(HANG) == 4
        )
        with pytest.raises(OSError, match="not yet"):
            master.options(retries=1).submit(fail_twice, str(tmp_path / "less")).result(HANG)


def test_f36_task_ends_at_its_time_limit(tmp_path: Path) -> None:
    """A task that hung occupied its slave for ever."""
    with real_master(workers=1) as master:
        with pytest.raises(TaskTimeout):
            master.options(timeout=0.2).submit(hang, str(tmp_path / "calls")).result(HANG)
        assert master.submit(abs, -1).result(HANG) == 1


def test_f36_task_can_be_cancelled_waiting_and_running(tmp_path: Path) -> None:
    """What had been asked for was executed, wanted or not."""
    with real_master(workers=1) as master:
        running = master.submit(hang, str(tmp_path / "calls"))
        waiting = master.submit(count, str(tmp_path / "never"))
        wait_until((tmp_path / "calls").exists)
        assert waiting.cancel()
        assert running.cancel()
        for future in (running, waiting):
            with pytest.raises(TaskCancelled):
                future.result(HANG)
        assert master.submit(abs, -1).result(HANG) == 1
        assert not (tmp_path / "never").exists()


def test_f37_launched_worker_that_holds_the_interpreter_is_not_lost(tmp_path: Path) -> None:
    """A C routine that lets no other thread run silenced a healthy slave.

    The default silence bound is 20 s, so this takes a little longer than that.
    """
    with real_master(workers=1) as master:
        master.submit(abs, -1).result(HANG)
        path = tmp_path / "calls"
        assert master.submit(hold, str(path), 22.0).result(HANG + 22) > 0
        assert engine_of(master).manager.core.tally.lost_members == 0
        assert len(path.read_text().splitlines()) == 1


def test_f37_plain_slave_that_holds_the_interpreter_is_not_lost(tmp_path: Path) -> None:
    """For three times its silence bound."""
    with (
        real_master() as master,
        plain_workers(tmp_path, master.label, heartbeat=1.0, extra=HOLD) as workers,
    ):
        all_here(master, workers)
        wait_until(
            lambda: engine_of(master).manager.core.processes.supervisors, what="its sidecar is here"
        )
        master.request_task("hold", 12.0)
        assert master.retrieve_result(timeout=HANG)[2] == workers[0].pid
        assert engine_of(master).manager.core.tally.lost_members == 0
