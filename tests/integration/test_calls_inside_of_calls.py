"""Calls that ask for further calls: with one worker as with several, by whatever they ask."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from masterworker import Executor, Master, Pool, current_worker
from masterworker.worker.worker import engine_of
from support import HANG, wait_until

PROGRAM = Path(__file__).parent / "programs" / "calls_inside_of_calls.py"
EXPECTED = """\
21
[1, 2, 4, 8, 16]
([0, 1, 2], 'not 3')
[0, 1, 4, 9, 16]
Point(x=3, y=0)
(64, 21)
[16, 16, 16]
30
UnpicklableError
(285, 25)
(285, [8, 9], [0, 1, 4], 8955050, [4])
"""


@pytest.mark.parametrize("workers", ["1", "2", "3"])
def test_a_program(workers: str) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, workers],
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert (done.stdout, done.stderr) == (EXPECTED, "")


def boom(depth: int) -> int:
    if depth == 0:
        raise ValueError("deep")
    return current_worker().submit(boom, depth - 1).result()


def test_each_traceback_is_told_once() -> None:
    with Master(workers=1) as master, pytest.raises(ValueError, match="deep") as caught:
        master.submit(boom, 6).result()
    text = "\n".join(caught.value.__notes__)
    assert text.count('raise ValueError("deep")') == 1
    assert text.count("\nin task ") == 6


def wait_for(path: str) -> None:
    wait_until(Path(path).exists, 100)


def ask(path: str) -> None:
    calls = [current_worker().submit(wait_for, path) for _ in range(2)]
    calls.append(current_worker().submit(abs, -1))
    for _ in current_worker().map(wait_for, [path] * 3):
        pass
    for each in calls:
        each.result()


def test_further_calls_are_called_by_their_names(tmp_path: Path) -> None:
    """In status displays, and in the ids of tasks, with no sign of who has asked for them."""
    label = f"named-{os.getpid()}"
    with Master(label, workers=1) as master:
        future = master.submit(ask, str(tmp_path / "go"))
        state = wait_until(lambda: shown(label, "@wait_for: 4, 1, 0"), what="calls are asked for")
        assert "@ask: 0, 1, 0" in state
        assert "@abs: 1, 0, 0" in state
        assert "~" not in state
        (tmp_path / "go").touch()
        future.result(HANG)
    with Master(workers=1) as master, pytest.raises(ValueError, match="deep") as caught:
        master.submit(boom, 1).result()
    assert "in task @boom_1, " in "\n".join(caught.value.__notes__)


def shown(label: str, line: str) -> str:
    """What `task_manager show` says, if that has a line."""
    command = [sys.executable, "-m", "masterworker.cli", "-v", "show", label]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=True)
    return done.stdout if line in done.stdout else ""


def total(numbers: list[int]) -> int:
    return sum(current_worker().map(abs, numbers))


def test_in_one_process() -> None:
    with Master(serial=True) as master:
        assert master.submit(total, [-1, 2]).result() == 3
        with pytest.raises(ValueError, match="deep"):
            master.submit(boom, 2).result()


def drawn(count: int) -> list[float]:
    from masterworker import task_rng

    worker = current_worker()
    return [worker.submit(one).result() for _ in range(count)] + [task_rng("random").random()]


def one() -> float:
    from masterworker import task_rng

    return task_rng("random").random()


@pytest.mark.parametrize("workers", [1, 2])
def test_streams_of_further_calls_are_those_of_the_seed(workers: int) -> None:
    with Master(workers=1) as alone, Master(workers=workers) as master:
        once = list(alone.map(drawn, [2, 3], seed=5))
        again = list(master.map(drawn, [2, 3], seed=5))
    assert once == again
    assert len({number for numbers in once for number in numbers}) == 7


def sizes() -> tuple[int, int]:
    with Executor() as executor, Pool() as pool:
        return executor._max_workers, pool._processes


def test_an_executor_of_its_own_gets_a_workers_share() -> None:
    with Master(workers=1) as master:
        assert master.submit(sizes).result(timeout=HANG) == (1, 1)


def drops_many() -> tuple[int, int]:
    worker = current_worker()
    for number in range(2_000):
        worker.submit(abs, number)
    (calls,) = engine_of(worker).nested._calls.values()
    return calls._calls.under_way, worker.submit(abs, -7).result()


def test_outcomes_that_are_dropped_do_not_pile_up() -> None:
    with Master(workers=1) as master:
        under_way, result = master.submit(drops_many).result(timeout=2 * HANG)
    assert under_way < 1_000
    assert result == 7


def lost(path: str) -> int:
    return sum(current_worker().map(dies_once, [path, "", ""]))


def dies_once(path: str) -> int:
    if path and not Path(path).exists():
        Path(path).touch()
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
    return 1


def test_a_worker_that_dies_in_a_further_call(tmp_path: Path) -> None:
    with Master(workers=2) as master:
        assert master.submit(lost, str(tmp_path / "died")).result(timeout=HANG) == 3
