"""What services did when one process of their pool died; here a death costs them nothing.

Each test replays what was reported of a `ProcessPoolExecutor` that was broken for good.
"""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from masterworker import Executor, TaskLost
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future


@pytest.fixture
def executor() -> Iterator[Executor]:
    with Executor(2) as made:
        yield made


class Unsendable(Exception):
    """Refuses to be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("no pickling")


def process_id() -> int:
    return os.getpid()


def work_until(folder: str, name: str) -> str:
    """Say which process does it, and wait until it may end."""
    Path(folder, f"{name}-{os.getpid()}").touch()
    wait_until(Path(folder, "end").exists, 100)
    return name


def end_abruptly(status: int) -> None:
    os._exit(status)


def raise_unsendable() -> None:
    raise Unsendable("whatever")


def processes(folder: Path, name: str) -> list[int]:
    """Which processes have begun with it."""
    return [int(path.name.rpartition("-")[2]) for path in folder.glob(f"{name}-*")]


def kill_the_one_with(folder: Path, name: str) -> int:
    """Kill the process that has begun with it, when it has."""
    (victim,) = wait_until(lambda: processes(folder, name), what=f"{name} has begun")
    os.kill(victim, signal.SIGKILL)
    return int(victim)


def test_a_server_with_background_work(executor: Executor, tmp_path: Path) -> None:
    """skypilot#6256: a process was killed for memory, and neither requests nor daemons went on."""
    daemon = executor.submit(work_until, str(tmp_path), "daemon")
    kill_the_one_with(tmp_path, "daemon")
    requests = [executor.submit(pow, n, 2) for n in range(20)]
    wait_until(lambda: len(processes(tmp_path, "daemon")) == 2, what="the daemon is there again")
    (tmp_path / "end").touch()
    assert [each.result(60) for each in requests] == [n**2 for n in range(20)]
    assert daemon.result(60) == "daemon"


def test_a_signal_to_a_process_with_nothing_to_do(executor: Executor) -> None:
    """skypilot#9742: a cancelling came late, and its SIGTERM met an idle process."""
    victim = executor.submit(process_id).result(60)
    os.kill(victim, signal.SIGTERM)
    assert list(executor.map(abs, [-1, -2])) == [1, 2]


def test_a_worker_of_a_queue(executor: Executor, tmp_path: Path) -> None:
    """faktory_worker_python#42: the broken pool drained the queue into the dead letters."""
    queue = [f"job{n}" for n in range(10)]
    pending: list[Future[str]] = []
    acknowledged: list[str] = []
    failed: list[BaseException] = []

    def tick() -> bool:
        while queue and len(pending) < 3:
            pending.append(executor.submit(work_until, str(tmp_path), queue.pop(0)))
        for future in [each for each in pending if each.done()]:
            pending.remove(future)
            error = future.exception()
            failed.extend([error] if error else [])
            acknowledged.extend([] if error else [future.result()])
        return not queue and not pending

    tick()
    kill_the_one_with(tmp_path, "job0")
    (tmp_path / "end").touch()
    wait_until(tick, 60, "all jobs are done")
    assert not failed
    assert sorted(acknowledged) == sorted(f"job{n}" for n in range(10))


def test_a_job_that_always_ends_its_process(executor: Executor) -> None:
    """chancy#95: `submit` raised ever after, which ended the worker and all its queues."""
    completed: list[BaseException | None] = []
    bad = [executor.submit(end_abruptly, 1), executor.submit(raise_unsendable)]
    for each in bad:
        each.add_done_callback(lambda future: completed.append(future.exception()))
    good = [executor.submit(pow, n, 2) for n in range(20)]
    assert [each.result(60) for each in good] == [n**2 for n in range(20)]
    assert not wait(bad, 60).not_done
    assert isinstance(bad[0].exception(), TaskLost)
    assert "whatever" in str(bad[1].exception())
    wait_until(lambda: len(completed) == 2, what="both callbacks")
    assert executor.submit(pow, 2, 3).result(60) == 8


def test_a_scheduler_between_two_jobs(executor: Executor) -> None:
    """apscheduler#362: a process was terminated while nothing ran; no job was executed again."""
    victim = executor.submit(process_id).result(60)
    os.kill(victim, signal.SIGKILL)
    events = [executor.submit(process_id) for _ in range(10)]
    assert victim not in [each.result(60) for each in events]


def test_activities_of_asyncio(executor: Executor, tmp_path: Path) -> None:
    """temporalio/sdk-python#245: one process was killed, and each later activity failed."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        names = ["first", "second", "third"]
        calls = [loop.run_in_executor(executor, work_until, str(tmp_path), name) for name in names]
        await loop.run_in_executor(None, kill_the_one_with, tmp_path, "first")
        (tmp_path / "end").touch()
        return await asyncio.gather(*calls)

    assert asyncio.run(main()) == ["first", "second", "third"]
