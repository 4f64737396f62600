"""Random numbers of tasks in real workers: the same ones, whatever happens to the workers."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration.conftest import lasting_master
from masterworker import Executor, Master, current_worker, task_rng
from support import HANG, python_script, start_script, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

np = pytest.importorskip("numpy")

SEED = 20_240_131
MANY = 1 << 63

#: For programs that import this module.
PATH = {"PYTHONPATH": os.pathsep.join(sys.path)}


def draw(_: object = None) -> int:
    return int(task_rng().integers(MANY))


def serial(number: int, seed: int = SEED) -> list[int]:
    """What a program without workers draws."""
    return [
        int(np.random.default_rng(each).integers(MANY))
        for each in np.random.SeedSequence(seed).spawn(number)
    ]


def draw_and_die_once(marker: str) -> int:
    """Draw; the first execution of some ends its worker."""
    first = draw()
    if marker and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return first


def draw_and_fail_twice(folder: str) -> int:
    found = draw()
    tries = len(list(Path(folder).iterdir()))
    if tries < 2:
        (Path(folder) / str(tries)).touch()
        raise OSError
    return found


def draw_as_straggler(folder: str) -> tuple[int, int]:
    """Draw; the first execution goes on until another one has drawn."""
    found = draw()
    if folder:
        Path(folder, f"{os.getpid()}-{found}").touch()
        wait_until(lambda: len(list(Path(folder).iterdir())) > 1, 100)
    return found, os.getpid()


def ask_for_more() -> list[int]:
    task_rng().random(100)
    worker, found = current_worker(), []
    for _ in range(3):
        worker.request_task("draw")
    for _ in range(3):
        found.append(worker.retrieve_result("draw")[2])
    return sorted(found)


def interleaved(_: object) -> bool:
    """A task that waits goes on with its own generator, and not with that of one within it."""
    mine = task_rng()
    expected = mine.bit_generator.state
    worker = current_worker()
    worker.request_task("draw")
    worker.retrieve_result("draw")
    return task_rng() is mine and mine.bit_generator.state == expected


def states(folder: str | None, most: int) -> tuple[int, str, str]:
    """Tell which process this is, and the states of generators; wait for others."""
    if folder:
        Path(folder, str(os.getpid())).touch()
        with contextlib.suppress(AssertionError):
            wait_until(lambda: len(list(Path(folder).iterdir())) >= most, 2.0)
    state: Any = np.random.get_state()
    return os.getpid(), repr(random.getstate()), repr(state[1].tolist())


@pytest.fixture(scope="module")
def master() -> Iterator[Master]:
    with lasting_master(2) as made:
        yield made


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_the_number_of_workers_does_not_matter(workers: int) -> None:
    """Nor the order of the results, nor how tasks travel."""
    expected = serial(1000)
    with Master(workers=workers) as master:
        assert list(master.map(draw, range(1000), seed=SEED)) == expected
        assert sorted(master.map(draw, range(1000), ordered=False, seed=SEED)) == sorted(expected)
        with_options = master.options(retries=1, seed=SEED)
        assert list(with_options.map(draw, range(1000))) == expected


def test_the_order_of_execution_does_not_matter(master: Master) -> None:
    """Here the last one is executed first."""
    futures = [
        master.options(seed=SEED, priority=number).submit(draw) for number in range(1000)
    ]  # those of a higher priority come first
    assert [each.result() for each in futures] == serial(1000)


def test_workers_that_are_killed(tmp_path: Path) -> None:
    """Tasks that are executed again draw the same numbers."""
    markers = [str(tmp_path / str(n)) if n % 200 == 100 else "" for n in range(1000)]
    with Master(workers=2) as master:
        assert list(master.map(draw_and_die_once, markers, seed=SEED)) == serial(1000)
    assert len(list(tmp_path.iterdir())) == 5


def test_further_attempts(master: Master, tmp_path: Path) -> None:
    """In the same process or another one; without a seed as well."""
    again = master.options(retries=2, seed=7)
    assert again.submit(draw_and_fail_twice, str(tmp_path)).result() == serial(1, 7)[0]


def test_copies_of_stragglers(tmp_path: Path) -> None:
    """The copy draws what the first one has drawn."""
    folders = ["" for _ in range(200)]
    folders[100] = str(tmp_path)
    with Master(workers=2) as master:
        found = list(master.options(pure=True, seed=SEED).map(draw_as_straggler, folders))
        assert [each for each, _ in found] == serial(200)
    both = [path.name.partition("-") for path in tmp_path.iterdir()]
    assert len({pid for pid, _, _ in both}) == 2
    assert len({value for _, _, value in both}) == 1


def test_tasks_that_tasks_ask_for(tmp_path: Path) -> None:
    """Their keys begin with that of the task; and it goes on with its own generator."""

    def drawn(*key: int) -> int:
        sequence = np.random.SeedSequence(SEED, spawn_key=key)
        return int(np.random.default_rng(sequence).integers(MANY))

    with Master(label := unique_label()) as master:
        worker = start_script(
            python_script(
                tmp_path,
                "worker.py",
                """
                import sys
                from masterworker import Worker
                from integration.test_streams_of_workers import draw

                Worker(sys.argv[1], handlers={"draw": draw}).run()
                """,
            ),
            label,
            env=PATH,
        )
        asking = master.options(seed=SEED).submit(ask_for_more)
        assert asking.result() == sorted(drawn(0, n) for n in range(3))
        assert master.options(seed=SEED).submit(interleaved, 0).result()
        assert master.submit(interleaved, 0).result()
    assert worker.wait() == 0


def test_an_executor_with_a_seed(master: Master) -> None:
    """Of its own workers, or on those of a master."""
    with Executor(1, seed=SEED) as executor:
        assert executor.submit(draw).result() == serial(1)[0]
        assert list(executor.map(draw, range(9))) == serial(10)[1:]
        other = executor.options(seed=3)
        assert list(other.map(draw, range(9))) == serial(9, 3)
    with Executor(master=master, seed=4) as executor:
        assert list(executor.options(retries=1).map(draw, range(9))) == serial(9, 4)


def test_without_a_seed(master: Master) -> None:
    """Each task has numbers of its own, which the story of the task can repeat."""
    futures = [master.submit(draw) for _ in range(50)]
    found = [each.result() for each in futures]
    found += master.map(draw, range(50))
    assert len(set(found)) == 100
    told = master._Master__engine.manager.story(futures[7].number)  # type: ignore[attr-defined]
    seed = int(told[-1].partition("seed ")[2].partition(",")[0])
    key = futures[7].number - 1
    sequence = np.random.SeedSequence(seed, spawn_key=(key,))
    assert int(np.random.default_rng(sequence).integers(MANY)) == found[7]


def test_no_two_workers_start_with_one_state(tmp_path: Path) -> None:
    """Launched ones, their successors, those of a supervisor, and forks of one program."""
    found = {}
    random.seed(1)
    np.random.seed(1)
    script = python_script(
        tmp_path,
        "forks.py",
        """
        import multiprocessing, random, sys
        import numpy as np
        from masterworker import Worker

        def work(seed):
            if seed is not None:
                np.random.seed(seed)
            Worker(sys.argv[1]).run()

        random.seed(1)
        np.random.seed(1)
        context = multiprocessing.get_context("fork")
        started = [context.Process(target=work, args=(seed,)) for seed in (None, None, 7)]
        for process in started:
            process.start()
        for process in started:
            process.join()
        """,
    )
    with Master(label := unique_label(), workers=2, max_tasks=2) as master:
        others = [
            start_script(script, label, env=PATH).process,
            subprocess.Popen(
                [sys.executable, "-m", "masterworker.cli", "worker", label, "-n", "2"],
                env=os.environ | PATH,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ),
        ]
        wait_until(lambda: master.number_of_workers >= 7, 60)
        for name in "abc":
            (tmp_path / name).mkdir()
            met = master.map(states, [str(tmp_path / name)] * 7, [7] * 7)
            found |= {pid: both for pid, *both in met}
    for other in others:
        assert other.wait(HANG) == 0
    found[os.getpid()] = list(states(None, 0)[1:])
    assert len(found) >= 8
    chosen = repr(np.random.RandomState(7).get_state()[1].tolist())
    assert sum(state == chosen for _, state in found.values()) == 1
    for at in range(2):
        assert len({both[at] for both in found.values()}) == len(found)
