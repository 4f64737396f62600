"""B27: what a handler leaves behind is no burden for the next task, nor for the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.driver import is_gone
from masterworker.master import engine_of
from support import HANG, wait_until

if TYPE_CHECKING:
    from faults.trial import Trial


@pytest.mark.parametrize(
    "deed",
    [
        "fork_and_exit",
        "fork_and_return",
        "use_pool",
        "leave_threads",
        "leave_thread_that_stays",
        "change_folder",
        "change_signals",
        "leave_atexit",
        "change_environment",
        "close_output",
    ],
)
def test_b27_next_task_is_not_affected(trial: Trial, deed: str) -> None:
    """The same process does it; and it ends with its job, nobody stays behind."""
    trial.command("-n", "1")
    [worker] = trial.workers_here(1)
    [key] = trial.driver.submit(deed)
    trial.driver.submit("pause", 0.002, number=50)
    verdict = trial.sound()
    assert (verdict.delivered, verdict.recovered) == (51, [])
    assert trial.driver.begun(key) == worker
    assert trial.driver.executed_by() == {worker}
    assert trial.driver.workers() == {worker}
    assert engine_of(trial.master).manager.core.tally.lost_members == 0
    trial.master.shutdown()
    trial.all_gone(15.0)


@pytest.mark.parametrize("ending", ["shutdown", "kill"])
def test_b27_child_of_a_handler_does_not_outlive_its_worker(trial: Trial, ending: str) -> None:
    """Whether the worker ends in good order or is killed; nor does it keep the connection open."""
    trial.command("-n", "1")
    [worker] = trial.workers_here(1)
    path = trial.folder / "child"
    trial.driver.submit("fork_and_leave_child", str(path))
    trial.driver.submit("pause", 0.002, number=20)
    assert trial.sound().delivered == 21
    child = int(path.read_text(encoding="ascii"))
    assert not is_gone(child)
    if ending == "kill":
        trial.kill(worker)
        wait_until(lambda: trial.workers_here(1) != {worker}, HANG, "another one is here")
        trial.driver.submit("pause", 0.002, number=20)
        assert trial.sound().delivered == 41
    else:
        trial.master.shutdown()
    wait_until(lambda: is_gone(child), HANG, "the child ends")
