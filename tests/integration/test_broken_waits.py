"""Tasks that are broken off while they wait for others; signals that handlers send themselves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integration.conftest import lasting_master
from masterworker import Master, Terminated, current_worker
from masterworker.errors import TaskCancelled, TaskFailed, TaskTimeout
from masterworker.launch.process_context import this_process
from masterworker.launch.scoreboard import TICK
from masterworker.master import engine_of
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def master() -> Iterator[Master]:
    """One worker process, which has imported this module: time limits are for what it does."""
    with lasting_master(1) as master:
        assert master.submit(quick, 0).result(HANG) == 0
        yield master


def wait_for(tag: str, started: str) -> object:
    """Waits for an outcome that does not come."""
    Path(started).touch()
    return current_worker().retrieve_result(tag)


def ask_and_wait(number: int, tag: str) -> object:
    """Waits, and meanwhile its worker executes others."""
    return current_worker().retrieve_result(tag, timeout=number)


def until_told(started: str) -> str:
    Path(started).touch()
    wait_until(Path(started).with_name("go").exists)
    return "told"


def wait_and_interrupt(number: int) -> object:
    """Waits for ever, but for a Ctrl-C that comes after some time."""
    timer = threading.Timer(0.02 * number, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        return current_worker().retrieve_result("nothing")
    finally:
        timer.join()


def hold_the_conversation() -> int:
    """Is in the middle of a call, as it were, until the courier has looked 20 times."""
    board = this_process.context.board
    with current_worker()._Worker__engine.talk._lock:  # type: ignore[union-attr]
        first = board[TICK]
        wait_until(lambda: board[TICK] >= first + 20, HANG)
    return 20


def quick(x: int) -> int:
    return x


def slow(seconds: float) -> float:
    threading.Event().wait(seconds)
    return seconds


def signal_itself(number: int) -> str:
    signal.raise_signal(number)
    return "survived"


@pytest.mark.parametrize("way", ["time limit", "cancel"])
def test_nothing_goes_to_a_wait_that_was_broken_off(
    master: Master, tmp_path: Path, way: str
) -> None:
    """Neither the next task, nor the outcome that it had waited for."""
    started = tmp_path / "started"
    limit = 0.5 if way == "time limit" else None
    outer = master.options(timeout=limit).submit(wait_for, f"never {way}", str(started))
    wait_until(started.exists)
    if way == "cancel":
        assert outer.cancel()
    with pytest.raises((TaskTimeout, TaskCancelled)):
        outer.result(HANG)
    assert master.submit(quick, 7).result(HANG) == 7
    assert engine_of(master).manager.core.tally.lost_members == 0
    name = master.request_task(f"never {way}")
    assert master.cancel(name)
    with pytest.raises(TaskCancelled):
        master.retrieve_result(f"never {way}", timeout=HANG)


def test_wait_is_cancelled_as_it_begins(master: Master, tmp_path: Path) -> None:
    """The next task, which may be lent to it in that instant, is executed all the same."""
    before = engine_of(master).manager.core.tally.lost_members
    for number in range(40):
        started = tmp_path / str(number)
        outer = master.submit(wait_for, "nothing", str(started))
        while not started.exists():
            pass
        assert outer.cancel()
        assert master.submit(quick, number).result(HANG) == number
    assert engine_of(master).manager.core.tally.lost_members == before


def test_what_waits_is_cancelled_while_another_one_is_executed_inside(
    master: Master, tmp_path: Path
) -> None:
    """That one is done in peace, and then the wait ends."""
    started, inside = tmp_path / "outer", tmp_path / "inner"
    outer = master.submit(wait_for, "nothing", str(started))
    wait_until(started.exists)
    inner = master.submit(until_told, str(inside))
    wait_until(inside.exists)
    assert outer.cancel()
    (tmp_path / "go").touch()
    assert inner.result(HANG) == "told"
    idle = lambda: not any(m.in_hand for m in engine_of(master).manager.core.members.values())  # noqa: E731
    wait_until(idle, HANG, "the worker is done with both")
    assert master.submit(quick, 3).result(HANG) == 3


def test_task_that_waits_is_interrupted_by_itself(master: Master) -> None:
    """A Ctrl-C that a thread of it sends is the task's own failure; the worker goes on."""
    for number in range(5):
        with pytest.raises(TaskFailed, match="KeyboardInterrupt"):
            master.submit(wait_and_interrupt, number).result(HANG)
        assert master.submit(quick, number).result(HANG) == number


def test_the_clock_is_looked_at_while_a_call_is_under_way(master: Master) -> None:
    """So the courier does not wait for the call in which a task waits for another one."""
    assert master.submit(hold_the_conversation).result(2 * HANG) == 20


def test_time_limit_of_the_waiting_task_does_not_end_those_inside_it(master: Master) -> None:
    """They are others' tasks; it ends itself when they are done."""
    outer = master.options(timeout=0.3).submit(ask_and_wait, 60, "none")
    inside = [master.submit(slow, 0.4) for _ in range(3)]
    assert [future.result(HANG) for future in inside] == [0.4] * 3
    with pytest.raises(TaskTimeout):
        outer.result(HANG)


def test_wait_is_broken_off_again_and_again(master: Master, tmp_path: Path) -> None:
    """The worker stays the same one."""
    before = engine_of(master).manager.core.tally.lost_members
    for number in range(3):
        started = str(tmp_path / f"started {number}")
        with pytest.raises(TaskTimeout):
            master.options(timeout=0.2).submit(wait_for, "nothing", started).result(HANG)
    assert master.submit(quick, 1).result(HANG) == 1
    assert engine_of(master).manager.core.tally.lost_members == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_that_a_handler_sends_itself_concerns_its_task_only(number: int) -> None:
    """Not again and again, and no worker is missing afterwards."""
    with Master(workers=2) as master:
        futures = [master.submit(signal_itself, number) for _ in range(4)]
        for future in futures:
            if number == signal.SIGINT:
                with pytest.raises(TaskFailed, match="raised KeyboardInterrupt"):
                    future.result(HANG)
            else:
                assert future.result(HANG) == "survived"
        assert master.submit(quick, 1).result(HANG) == 1
        assert engine_of(master).manager.core.tally.submitted == 5
        wait_until(lambda: master.number_of_workers == 2, what="both are there")


def test_fork_of_a_master_is_refused() -> None:
    """Instead of waiting for ever."""
    with Master() as master:
        master.request_task("a")
        child = os.fork()
        if not child:
            status = 1
            with contextlib.suppress(Terminated):
                master.retrieve_result(timeout=5)
                status = 2
            os._exit(0 if status == 1 else 2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_no_workers_are_launched_for_a_job_that_is_over() -> None:
    """It says so, and nothing is left of the attempt."""
    master = Master()
    master.shutdown()
    with pytest.raises(Terminated, match="no more workers"):
        master.launch_workers(1)


def test_serial_job_waits_for_what_pauses() -> None:
    """And not for longer than that."""
    calls: list[int] = []

    def flaky() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("not yet")
        return len(calls)

    with Master(serial=True) as master:
        assert master.options(retries=5, delay=0.05).submit(flaky).result(HANG) == 3


#: A slave to which a signal comes at the moment in which it has joined.
NEWCOMER = """
import signal, sys
from masterworker import Worker
from masterworker.worker.session_shell import SessionShell

join = SessionShell.join_first

def join_and_signal(self):
    joined = join(self)
    signal.raise_signal(int(sys.argv[2]))
    return joined

SessionShell.join_first = join_and_signal
Worker(sys.argv[1], handlers={"a": abs}).run()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_to_a_worker_that_has_just_joined_loses_nothing(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It signs off, as it does later: its master does not call it lost."""
    with Master(unique_label("newcomer")) as master:
        command = [sys.executable, "-c", NEWCOMER, master.label, str(int(number))]
        slave = subprocess.Popen(command)
        assert slave.wait(HANG) == 0
        wait_until(lambda: master.number_of_workers == 0, what="it has left")
        assert engine_of(master).manager.core.tally.lost_members == 0
    assert "lost" not in caplog.text
