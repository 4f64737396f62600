"""`task_manager explain LABEL TASK --stack`, of real workers."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import masterworker
from integration import work
from masterworker.machine import random_name
from masterworker.manager import stacks
from masterworker.master.master import engine_of
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "masterworker.cli"]
#: A value that no view may show.
SECRET = "not to be " + "shown"


def waits(path: str, secret: str) -> None:
    """What it needs is imported by then."""
    Path(f"{path} begun").touch()
    work.wait_for_file(path, 600.0)


def waits_deep(path: str, depth: int) -> None:
    if depth:
        waits_deep(path, depth - 1)
    else:
        waits(path, SECRET)


def asks_for_another(path: str) -> None:
    masterworker.current_worker().submit(work.wait_for_file, path, 600.0).result()


def holds_the_lock(path: str) -> None:
    """As code that was compiled does, until it is there or a minute has passed."""
    sleep = ctypes.PyDLL(None).usleep
    Path(f"{path} begun").touch()
    end = time.monotonic() + 60.0
    while time.monotonic() < end and not Path(path).exists():
        sleep(20_000_000)


def row_item(number: int) -> int:
    if number == 3:
        work.wait_for_file(os.environ["GATE"], 600.0)
    return number


@pytest.fixture
def job() -> Iterator[masterworker.Master]:
    with masterworker.Master(f"doing-{random_name()[:8]}", workers=1) as master:
        yield master


def explain(label: str, task: str, status: int = 0) -> list[str]:
    done = subprocess.run(
        [*COMMAND, "explain", label, task, "--stack"],
        capture_output=True,
        text=True,
        timeout=2 * HANG,
        check=False,
    )
    assert done.returncode == status, done
    return done.stdout.splitlines()


def at_this_moment(label: str, task: str) -> list[str]:
    lines = explain(label, task)
    return [line.strip() for line in lines[lines.index("  at this moment:") + 1 :]]


def when_it_waits(label: str, task: str) -> list[str]:
    """The same, once it waits for its file."""

    def found() -> list[str]:
        lines = at_this_moment(label, task)
        return lines if any(", in wait_for_file" in line for line in lines) else []

    return wait_until(found, 2 * HANG)  # type: ignore[no-any-return]


def test_where_it_is(job: masterworker.Master, tmp_path: Path) -> None:
    """The calls of the task, and nothing of ours before them, nor any value."""
    future = job.submit(waits, str(tmp_path / "go"), SECRET)
    wait_until((tmp_path / "go begun").exists, HANG)
    found = when_it_waits(job.label, future.task_id)
    assert found[0].startswith(f"{__file__}:")
    assert found[0].endswith(", in waits")
    assert found[1] == "work.wait_for_file(path, 600.0)"
    assert ", in wait_for_file" in found[2]
    assert SECRET not in "\n".join(found)
    assert not [line for line in found if "/masterworker/worker/" in line]
    (tmp_path / "go").touch()
    assert future.result(HANG) is None
    assert at_this_moment(job.label, future.task_id) == ["no worker has it in hand"]


def test_what_is_deep_is_cut(job: masterworker.Master, tmp_path: Path) -> None:
    future = job.submit(waits_deep, str(tmp_path / "go"), 800)
    wait_until((tmp_path / "go begun").exists, HANG)
    found = when_it_waits(job.label, future.task_id)
    assert len(found) < 200
    assert [line for line in found if line.endswith(" calls are left out")], found
    assert any(", in wait_for_file" in line for line in found[-6:]), found
    (tmp_path / "go").touch()


def test_a_task_that_waits_for_another(job: masterworker.Master, tmp_path: Path) -> None:
    """Its worker executes that one meanwhile; both are in its stack."""
    future = job.submit(asks_for_another, str(tmp_path / "go"))
    inner = f"@wait_for_file_{future.number}"

    def found() -> list[str]:
        lines = stacks.ask(engine_of(job).manager, future.number)
        return lines if any("in wait_for_file" in line for line in lines) else []

    lines = wait_until(found, 2 * HANG, inner)
    assert ", in asks_for_another" in lines[0]
    (tmp_path / "go").touch()
    assert future.result(HANG) is None


def test_one_of_many_tiny_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where tasks go in a row."""
    monkeypatch.setenv("GATE", str(tmp_path / "go"))
    with masterworker.Master(workers=1) as master:
        results = master.map(row_item, range(50))
        manager = engine_of(master).manager

        def found() -> list[str]:
            lines = stacks.ask(manager, 4)
            return lines if any("in row_item" in line for line in lines) else []

        lines = wait_until(found, 2 * HANG)
        assert ", in row_item" in lines[0]
        (tmp_path / "go").touch()
        assert list(results) == list(range(50))


def test_where_the_interpreter_is_locked(job: masterworker.Master, tmp_path: Path) -> None:
    """No thread of the worker can say anything: its supervisor does."""
    gate = tmp_path / "go"
    future = job.submit(holds_the_lock, str(gate))
    wait_until(Path(f"{gate} begun").exists, HANG)
    (line,) = at_this_moment(job.label, future.task_id)
    assert "own threads have not run for" in line
    assert "the task holds the interpreter's lock" in line
    gate.touch()
    future.cancel()


def test_a_function_that_is_not_python(job: masterworker.Master) -> None:
    """There is no call of Python in it."""
    future = job.submit(signal.pause)
    wait_until(future.running, HANG)
    (line,) = at_this_moment(job.label, future.task_id)
    assert line == "in the function that was called, which is not written in Python"
    future.cancel()


def test_workers_elsewhere(tmp_path: Path) -> None:
    """Of `task_manager worker`, which also says why its workers are no forks."""
    with masterworker.Master(f"doing-{random_name()[:8]}") as master:
        env = os.environ | {"MASTERWORKER_TEMPLATE": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [*COMMAND, "worker", master.label]
        with subprocess.Popen(command, env=env) as worker:
            try:
                future = master.submit(waits, str(tmp_path / "go"), SECRET)
                wait_until((tmp_path / "go begun").exists, 2 * HANG)
                manager = engine_of(master).manager
                why = f"on {os.uname().nodename} each worker is started as a program of its own: "
                # With the next word of its supervisor.
                wait_until(lambda: why in "".join(manager.story(future.number)), HANG)
                found = explain(master.label, future.task_id)
                assert any(line.endswith(", in waits") for line in found), found
                assert [line for line in found if line.strip().startswith(why)], found
                (tmp_path / "go").touch()
                assert future.result(HANG) is None
            finally:
                (tmp_path / "go").touch()
                master.shutdown()
                worker.wait(HANG)


def test_nonsense_is_refused(job: masterworker.Master) -> None:
    """An option of `explain` only; a task that never was."""
    done = subprocess.run(
        [*COMMAND, "show", job.label, "--stack"],
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert (done.returncode, done.stderr.count("is an option of explain only")) == (2, 1)
    assert explain(job.label, "99", status=3) == []
