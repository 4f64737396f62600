"""Slaves that are plain scripts: nobody launched them, and they are looked after all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from masterworker import Master
from masterworker.errors import TaskLost
from masterworker.master import engine_of
from support import HANG, Script, python_script, start_script, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLAVE = """
    import ctypes
    import os
    import sys
    import threading

    from masterworker import Worker


    class Slave(Worker):
        def do_pid(self):
            return os.getpid()

        def do_hold(self, seconds):
            ctypes.PyDLL(None).usleep(int(seconds * 1e6))
            return os.getpid()

        def do_die(self):
            os.abort()

        def do_children(self):
            try:
                os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return "none"
            return "some"

        def do_wait(self):
            threading.Event().wait()


    Slave(sys.argv[1], heartbeat=1.0).run()
"""


@pytest.fixture
def master() -> Iterator[Master]:
    with Master() as master:
        yield master


@pytest.fixture
def slave(tmp_path: Path, master: Master) -> Iterator[Script]:
    """One that has its sidecar."""
    script = watched(master, tmp_path)
    yield script
    if script.process.poll() is None:
        script.process.terminate()
    script.wait()


def watched(master: Master, tmp_path: Path) -> Script:
    script = start_script(python_script(tmp_path, "slave.py", SLAVE), master.label)
    wait_until(lambda: sidecars(master), what="its sidecar is here")
    return script


def sidecars(master: Master) -> set[str]:
    return engine_of(master).manager.core.processes.supervisors


def test_handler_that_holds_the_interpreter_is_not_taken_for_dead(
    master: Master, slave: Script
) -> None:
    """For much longer than four heartbeats: no loss, no second execution."""
    master.request_task("hold", 7.0)
    assert master.retrieve_result(timeout=HANG)[2] == slave.pid
    assert engine_of(master).manager.core.tally.lost_members == 0
    assert master.status().duplicates == 0


def test_stopped_slave_is_noticed_although_its_watcher_lives(
    master: Master, slave: Script, tmp_path: Path
) -> None:
    """Its task goes to another one; when it is continued it comes back."""
    master.request_task("pid")
    master.retrieve_result(timeout=HANG)
    stopped = psutil.Process(slave.pid)
    stopped.suspend()
    try:
        wait_until(
            lambda: engine_of(master).manager.core.tally.lost_members == 1, what="it is missed"
        )
    finally:
        stopped.resume()
    master.request_task("pid")
    assert master.retrieve_result(timeout=HANG)[2] == slave.pid


def test_guilty_task_is_known(master: Master, tmp_path: Path) -> None:
    """Only the one that was executing gets a strike, and the third ends it at once."""
    master.request_task("die")
    others = [master.request_task("pid") for _ in range(20)]
    scripts = []
    for _ in range(3):
        before = engine_of(master).manager.core.tally.lost_members
        scripts.append(start_script(python_script(tmp_path, "slave.py", SLAVE), master.label))
        wait_until(lambda n=before: engine_of(master).manager.core.tally.lost_members > n)
    scripts.append(start_script(python_script(tmp_path, "slave.py", SLAVE), master.label))
    told = list(master.results(return_errors=True))
    assert sum(isinstance(error, TaskLost) for _, _, error in told) == 1
    assert len(told) == len(others) + 1
    for script in scripts[:3]:
        script.wait()
    master.shutdown()
    scripts[3].wait()


def test_watcher_is_no_child_and_no_process_of_the_job(master: Master, slave: Script) -> None:
    """A handler that waits for its children does not find it; `show` does not count it."""
    master.request_task("children")
    assert master.retrieve_result(timeout=HANG)[2] == "none"
    assert len(master.status().processes) == 2


def test_watcher_ends_with_its_slave(master: Master, slave: Script) -> None:
    """However that ends."""
    slave.kill()
    wait_until(lambda: not sidecars(master), what="the sidecar has signed off")


def test_watcher_ends_when_the_slave_leaves_though_its_process_goes_on(
    master: Master, tmp_path: Path
) -> None:
    """A program may do something else afterwards, or be a slave once more."""
    source = SLAVE + "    sys.stdout.write('left')\n    sys.stdout.flush()\n    sys.stdin.read()\n"
    path = python_script(tmp_path, "slave.py", source)
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, str(path), master.label], stdin=read, stdout=subprocess.PIPE
    )
    try:
        wait_until(lambda: sidecars(master), what="its sidecar is here")
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.read(4) == b"left"
        wait_until(lambda: not sidecars(master), what="the sidecar has signed off")
        assert process.poll() is None
    finally:
        os.close(write)
        os.close(read)
        process.communicate(timeout=HANG)


def test_cancel_reaches_a_busy_slave_at_once(master: Master, slave: Script) -> None:
    """Its sidecar is told, since it is not listening itself."""
    task = master.request_task("wait")
    wait_until(lambda: master.status().running, what="it executes")
    assert master.cancel(task)
    master.request_task("pid")
    with pytest.raises(Exception, match="cancelled"):
        master.retrieve_result(timeout=HANG)
    assert master.retrieve_result(timeout=HANG)[2] == slave.pid
