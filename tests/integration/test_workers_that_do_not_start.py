"""No worker can start: whoever waits is told why, unless others may come."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import math
import os
import signal
import subprocess
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration.hanging import hang, hang_in_an_import, hang_in_the_second, take_a_moment
from masterworker import Executor, Master, Pool, TaskLost, UsageError, WorkerStartError
from masterworker.launch import starting
from masterworker.master import engine_of, waiting
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


def raise_error() -> None:
    raise RuntimeError("no licence")


def leave() -> None:
    raise SystemExit(0)


def interrupt() -> None:
    raise KeyboardInterrupt


def end_well() -> None:
    os._exit(0)


def end_as_if_recycled() -> None:
    os._exit(8)


def crash() -> None:
    ctypes.string_at(0)


def use_what_is_missing() -> None:
    import there_is_no_such_module  # noqa: F401


@pytest.fixture(autouse=True)
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two failed starts are enough here."""
    monkeypatch.setattr("masterworker.launch.slot.TRIES", 2)


KINDS = {
    raise_error: "RuntimeError: no licence",
    leave: "the initializer has raised SystemExit",
    interrupt: "the initializer has raised KeyboardInterrupt",
    end_well: "exit status 0",
    end_as_if_recycled: "exit status 8",
    crash: "SIGSEGV",
    use_what_is_missing: "there_is_no_such_module",
}


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_waits_is_told(kind: Callable[[], None]) -> None:
    """After some tries: with the cause, and wherever one can wait; the end of the job is quick."""
    with Master(workers=2, initializer=kind) as master:
        future = master.submit(abs, -1)
        with pytest.raises(WorkerStartError, match=KINDS[kind]):
            future.result(HANG)
        with pytest.raises(WorkerStartError):
            list(master.map(abs, range(3)))
        with pytest.raises(WorkerStartError):
            list(master.as_completed([future]))
        master.request_task("a")
        with pytest.raises(WorkerStartError):
            master.retrieve_result(timeout=HANG)
        with pytest.raises(WorkerStartError):
            list(master.results())


def test_processes_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more processes, or no file descriptors."""

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(24, "Too many open files")

    with Master() as master:
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", fail)
            master.launch_workers(1)
            with pytest.raises(WorkerStartError, match="Too many open files"):
                master.submit(abs, -1).result(HANG)
        master.launch_workers(1)
        assert master.submit(abs, -2).result(HANG) == 2


def test_with_a_label_others_may_come(caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and the job waits for them."""
    label = unique_label()
    with Master(label, workers=1, initializer=raise_error) as master:
        future = master.submit(abs, -1)
        wait_until(lambda: "the job waits for others" in caplog.text, HANG)
        assert f"task_manager worker '{label}'" in caplog.text
        assert not future.done()
        master.launch_workers(1)
        assert future.result(HANG) == 1
        told = [r for r in caplog.records if "waits for others" in r.getMessage()]
        assert len(told) == 1
        assert told[0].levelno == logging.WARNING


def test_with_a_ticket_others_may_come(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody has it."""
    with Master(workers=1, initializer=raise_error) as master:
        master.ticket()
        future = master.submit(abs, -1)
        wait_until(lambda: "the job waits for others" in caplog.text, HANG)
        assert not future.done()


def once_in_three(path: str) -> None:
    """All but the first fail."""
    with contextlib.suppress(FileExistsError):
        Path(path).touch(exist_ok=False)
        return
    raise RuntimeError("no licence left")


def test_the_job_goes_on_as_long_as_one_works(tmp_path: Path) -> None:
    """Two of three cannot start."""
    path = str(tmp_path / "first")
    with Master(workers=3, initializer=lambda: once_in_three(path)) as master:
        for number in range(20):
            assert master.submit(abs, -number).result(HANG) == number
        supervisor = engine_of(master).execution.launcher.local_workers._supervisor
        assert supervisor is not None
        places = supervisor.slots
        wait_until(lambda: sum(place.gave_up for place in places) == 2, HANG)
        assert list(master.map(abs, range(-100, 0))) == list(range(100, 0, -1))


def test_an_initializer_that_takes_long_is_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be at work: it is said once what it does, and to a caller that waits what for."""
    monkeypatch.setattr(waiting, "NOTICE_AFTER", 1.0)
    monkeypatch.setattr(starting, "NAMED_AFTER", 0.5)
    with Master(workers=2, initializer=hang) as master:
        future = master.submit(abs, -1)
        with pytest.raises(TimeoutError):
            future.result(3)
        assert "have been starting for" in caplog.text
        assert "no workers" not in caplog.text
        told = "(executing the initializer)"
        wait_until(lambda: any(told in each for each in master.status().troubles), HANG)
        (trouble,) = master.status().troubles
        assert trouble.startswith("1 task waits; 2 workers have been starting for ")
    named = [r for r in caplog.records if "not ready after" in r.getMessage()]
    assert 1 <= len(named) <= 2  # one line for both, or one for each


def test_a_start_that_takes_too_long_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    """With `start_timeout`: with where it was, and it is not tried again and again."""
    with Master(workers=2, initializer=hang, start_timeout=5.0) as master:
        with pytest.raises(WorkerStartError, match="not ready after 5 s, executing the init") as e:
            master.submit(abs, -1).result(HANG)
        assert " in hang\n" in str(e.value)
        ended = [r for r in caplog.records if "no worker takes its place" in r.getMessage()]
        assert len(ended) == 2


def test_an_import_that_hangs(tmp_path: Path) -> None:
    """The line of the import is named."""
    (tmp_path / "never_ready.py").write_text("import time\ntime.sleep(1000)\n")
    start = functools.partial(hang_in_an_import, str(tmp_path))
    with (
        Executor(1, initializer=start, start_timeout=5.0) as executor,
        pytest.raises(BrokenExecutor, match=r"never_ready.py\", line 2") as raised,
    ):
        executor.submit(abs, -1).result(HANG)
    assert isinstance(raised.value.__cause__, WorkerStartError)


def test_a_start_that_hangs_before_anything_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python itself does not come to its main program: there is no stack, and it is ended."""
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep(1000)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        Pool(1, start_timeout=1.0) as pool,
        pytest.raises(BrokenExecutor, match="not ready after 1 s, loading Python"),
    ):
        pool.apply_async(abs, (-1,)).get(HANG)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_replacement_that_hangs_is_replaced(tmp_path: Path) -> None:
    """Where a worker has worked, a start that takes too long is one that failed: tried again."""
    start = functools.partial(hang_in_the_second, str(tmp_path))
    with Executor(1, initializer=start, start_timeout=5.0) as executor:
        assert executor.submit(abs, -1).result(HANG) == 1
        with pytest.raises(TaskLost):
            executor.options(retries=0).submit(die).result(HANG)
        assert executor.submit(abs, -2).result(HANG) == 2
    assert (tmp_path / "second").exists()


def test_a_start_in_time_is_none_of_that() -> None:
    """The bound is a bound, and nothing else."""
    with Executor(2, initializer=take_a_moment, start_timeout=HANG) as executor:
        assert list(executor.map(abs, range(-9, 0))) == list(range(9, 0, -1))


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "3", True])
def test_a_bound_that_makes_no_sense(value: Any) -> None:
    """At once, in each place that takes it."""
    for make in (Executor, Pool):
        with pytest.raises(UsageError):
            make(1, start_timeout=value)
    with pytest.raises(UsageError):
        Master(workers=1, start_timeout=value)
    with Master() as master, pytest.raises(UsageError):
        Executor(master=master, start_timeout=5.0)
