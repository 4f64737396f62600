"""No worker can start: whoever waits is told why, unless others may come."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from masterworker import Master, WorkerStartError
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
        supervisor = engine_of(master).launcher.local_workers._supervisor
        assert supervisor is not None
        places = supervisor.slots
        wait_until(lambda: sum(place.gave_up for place in places) == 2, HANG)
        assert list(master.map(abs, range(-100, 0))) == list(range(100, 0, -1))


def hang() -> None:
    threading.Event().wait(10 * HANG)


def test_an_initializer_that_takes_long_is_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be at work; whoever waits is told what for."""
    monkeypatch.setattr(waiting, "NOTICE_AFTER", 1.0)
    with Master(workers=2, initializer=hang) as master:
        with pytest.raises(TimeoutError):
            master.submit(abs, -1).result(3)
        assert "have been starting for" in caplog.text
        assert "in the initializer" in caplog.text
