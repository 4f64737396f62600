"""B20, B28, B29: memory, file descriptors, and programs that crash at their start."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faults.checker import check
from faults.trial import telling
from masterworker import program
from masterworker.errors import TaskLost
from masterworker.launch.slot import TRIES
from masterworker.master import engine_of
from support import HANG, python_script, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.trial import Processes, Trial

# -- B20: memory --------------------------------------------------------------------------------

MEGABYTE = 1 << 20
CGROUP_V1, CGROUP_V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@pytest.fixture
def small_house() -> Iterator[tuple[str, ...]]:
    """What comes before a command that shall live in 200 MB together with its children."""
    v1 = (CGROUP_V1 / "cgroup.procs").exists()
    made = (CGROUP_V1 if v1 else CGROUP_V2) / f"mw{uuid.uuid4().hex[:8]}"
    limit = made / ("memory.limit_in_bytes" if v1 else "memory.max")
    try:
        made.mkdir()
    except OSError as error:
        pytest.skip(f"this machine makes no memory cgroup: {error}")
    try:
        try:
            limit.write_text(str(200 * MEGABYTE), encoding="ascii")
            for name in ("memory.memsw.limit_in_bytes", "memory.swap.max"):  # where there is swap
                with contextlib.suppress(OSError):
                    (made / name).write_text(str(200 * MEGABYTE if v1 else 0), encoding="ascii")
        except OSError as error:
            pytest.skip(f"this machine limits no memory: {error}")
        yield ("sh", "-c", f'echo $$ > {made}/cgroup.procs && exec "$@"', "sh")
    finally:
        wait_until(lambda: not (made / "cgroup.procs").read_text(encoding="ascii"), HANG)
        made.rmdir()


def assert_memory_is_named(trial: Trial, key: str) -> None:
    error = trial.driver.errors[key]
    assert isinstance(error, TaskLost)
    assert len(error.history) == 3
    for entry in error.history:
        assert "memory" in str(entry), error.history
        assert "MB" in str(entry), error.history


def test_b20_task_that_the_system_kills_for_its_memory(
    trial: Trial, small_house: tuple[str, ...]
) -> None:
    """It is told by signal and memory; the supervisor and the other tasks go on."""
    try:
        supervisor = trial.command("-n", "1", prefix=small_house)
        trial.workers_here(1)
        [key] = trial.driver.submit("eat_memory", 400 * MEGABYTE)
        trial.driver.submit("pause", 0.005, number=20)
        assert trial.sound(failed={key}).delivered == 20
        assert_memory_is_named(trial, key)
        assert "SIGKILL" in str(trial.driver.errors[key])
        assert supervisor.process.poll() is None
    finally:
        trial.master.shutdown(grace=2.0)
        trial.clear()


def test_b20_worker_with_a_limit_of_its_own(trial: Trial) -> None:
    """`--memory-limit` ends the worker before the machine suffers."""
    trial.command("-n", "1", "--memory-limit", "200M")
    trial.workers_here(1)
    [key] = trial.driver.submit("eat_memory_slowly", 2000 * MEGABYTE)
    trial.driver.submit("pause", 0.005, number=20)
    assert trial.sound(failed={key}).delivered == 20
    assert_memory_is_named(trial, key)
    trial.workers_here(1)


# -- B28: file descriptors ----------------------------------------------------------------------

FILES = 40


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))


def test_b28_master_without_file_descriptors(processes: Processes) -> None:
    """Newcomers have to wait; those who are here are served, at no great cost; then it is over."""
    label = unique_label("files")
    boss = processes.run(
        *("-m", "faults.boss", str(processes.folder), label, "--wait"),
        *("--tasks", "600", "--seconds", "0.01"),
        preexec_fn=limit_files,
    )
    boss.says("port")
    port = int(boss.first_line().split()[1])
    hand = processes.run("-m", "faults.hand", label)
    wait_until(lambda: ended(processes) > 10, HANG, "it works")
    with contextlib.ExitStack() as crowd:
        for _ in range(2 * FILES):
            crowd.enter_context(socket.create_connection(("127.0.0.1", port), HANG))
        here = ended(processes)
        wait_until(lambda: ended(processes) > here + 100, HANG, "its worker goes on")
        threading.Event().wait(1.0)
        late = processes.run("-m", "faults.hand", label)
        refusals = boss.err.count("could not be accepted")
        assert 0 < refusals < 300, "it does not refuse, or is busy with nothing else"
    wait_until(lambda: worked(processes, late.pid), HANG, "the newcomer is served in the end")
    (processes.folder / "collect").touch()
    boss.good()
    hand.good()
    late.good()
    verdict = check(processes.folder)
    assert verdict.sound
    assert verdict.delivered == 600


def ended(processes: Processes) -> int:
    """How many executions have ended."""
    return sum(path.read_bytes().count(b'["end"') for path in processes.folder.glob("worker-*.log"))


def worked(processes: Processes, pid: int) -> bool:
    return (processes.folder / f"worker-{pid}.log").exists()


# -- B29: programs that crash at their start ----------------------------------------------------

CRASHING = """
import os
fd = os.open({path!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(fd, b"x")
{crash}
"""


@pytest.mark.parametrize(
    ("crash", "launched"),
    telling(
        2,
        {
            "exception": ("1 / 0", False),
            "status 0": ("os._exit(0)", True),
            "signal": ("os.abort()", False),
        },
    ),
)
def test_b29_program_that_crashes_at_its_start(trial: Trial, crash: str, *, launched: bool) -> None:
    """It is not started again and again at full speed; who works, works on."""
    trial.hands(1)
    starts = trial.folder / "starts"
    source = CRASHING.format(path=str(starts), crash=crash)
    engine_of(trial.master).program.store(
        program.of_file(python_script(trial.folder, "bad.py", source))
    )
    if launched:
        trial.master.launch_workers(4)
        wait_until(lambda: starts.exists() and starts.stat().st_size >= 4, HANG, "all have tried")
        threading.Event().wait(2.0)
    else:
        supervisor = trial.command("-n", "4")
        assert supervisor.status() != 0, supervisor.err
    assert starts.stat().st_size <= 4 * TRIES
    trial.driver.submit("pause", 0.002, number=100)
    assert trial.sound().delivered == 100
