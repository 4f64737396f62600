"""A worker says in shared memory how it ends: nothing that a handler prints is taken for that."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from masterworker import Master, TaskLost, WorkerStartError
from masterworker.launch import exits
from support import HANG, python_script, run_script

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What the command line says about an error, which was once how a worker's end was told.
LINE = b"task_manager: the master is gone: nobody answers\n"
MEGABYTES = 6


def shout(megabytes: int) -> int:
    """Say it again and again."""
    for _ in range(megabytes * 1_000_000 // len(LINE)):
        os.write(2, LINE)
    return os.getpid()


def shout_and_end(megabytes: int, status: int, path: str) -> None:
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    shout(megabytes)
    os.write(2, LINE)
    os._exit(status)


@pytest.fixture
def master() -> Iterator[Master]:
    with Master() as found:
        yield found


@pytest.mark.parametrize("megabytes", [0, MEGABYTES])
@pytest.mark.parametrize("status", [2, 3, exits.MASTER_GONE, exits.RECYCLED])
def test_a_task_that_says_it_and_ends_its_worker(
    master: Master, tmp_path: Path, status: int, megabytes: int
) -> None:
    """It has killed its worker, as any other: three are replaced, and the next task works."""
    master.launch_workers(1)
    path = tmp_path / "pids"
    with pytest.raises(TaskLost, match=f"exit status {status}"):
        master.submit(shout_and_end, megabytes, status, str(path)).result(HANG)
    pids = path.read_text().split()
    assert len(set(pids)) == 3
    assert master.submit(shout, 0).result(HANG) not in map(int, pids)


def test_a_task_that_says_it_and_goes_on(master: Master) -> None:
    """Its worker stays, and its words are passed on as any others."""
    master.launch_workers(1)
    assert len({master.submit(shout, size).result(HANG) for size in (0, MEGABYTES, 0)}) == 1


def test_a_start_that_says_it_and_fails(
    master: Master, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, as one that says nothing, and the cause has a bound."""
    monkeypatch.setattr("masterworker.launch.slot.TRIES", 2)
    path = str(tmp_path / "pids")
    master.launch_workers(1, initializer=lambda: shout_and_end(MEGABYTES, 2, path))
    with pytest.raises(WorkerStartError, match="exit status 2") as raised:
        master.submit(shout, 0).result(HANG)
    assert len(Path(path).read_text().split()) == 2
    assert len(str(raised.value)) < 10_000


PROGRAM = """
    import os, sys
    from masterworker import Master, Worker, run_job

    class Pids(Worker):
        def do_pid(self, number):
            return os.getpid()

    class Job(Master):
        def run(self):
            self.launch_workers(1, max_tasks=2)
            for number in range(6):
                self.request_task("pid", number)
            print(len({result for _, _, result in (self.retrieve_result() for _ in range(6))}))

    def main():
        run_job("LABEL", Job, Pids)

    sys.exit(main())
"""


def test_a_script_that_ends_with_sys_exit(tmp_path: Path) -> None:
    """Its workers are replaced after their share, though the script says that all is well."""
    text = PROGRAM.replace("LABEL", f"exit{os.getpid()}")
    assert run_script(python_script(tmp_path, "job.py", text)).out == "3\n"
