"""B21, B22: handlers that hang, ignore signals, or let no other thread run; and a slow worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.trial import telling
from masterworker import errors
from masterworker.master import engine_of

if TYPE_CHECKING:
    from faults.trial import Trial


@pytest.mark.parametrize(
    "deed",
    telling(1, {"lock": "hold_lock_for_ever", "signals": "hang_and_ignore", "plain": "hang"}),
)
def test_b21_handler_that_hangs_is_ended_by_its_timeout(trial: Trial, deed: str) -> None:
    """The task fails, all others are done, and the worker or its successor goes on."""
    limited = trial.master.options(timeout=0.5)
    trial.command("-n", "2")
    trial.workers_here(2)
    [key] = trial.driver.submit(deed, through=limited)
    trial.driver.submit("pause", 0.005, number=100, through=limited)
    assert trial.sound(failed={key}).delivered == 100
    assert isinstance(trial.driver.errors[key], errors.TaskTimeout)
    assert trial.driver.runs(key) == 1
    trial.workers_here(2)
    trial.driver.submit("pause", 0.005, number=20)
    assert trial.sound(failed={key}).delivered == 120


def test_b21_hanging_handler_under_the_master_itself(trial: Trial) -> None:
    """The same with workers that the master launched."""
    trial.master.launch_workers(2)
    trial.workers_here(2)
    [key] = trial.driver.submit("hang_and_ignore", through=trial.master.options(timeout=0.5))
    trial.driver.submit("pause", 0.005, number=100)
    assert trial.sound(failed={key}).delivered == 100
    assert isinstance(trial.driver.errors[key], errors.TaskTimeout)
    trial.workers_here(2)


def test_b21_task_that_hangs_can_be_cancelled(trial: Trial) -> None:
    """Its worker is free for others, or replaced."""
    trial.command("-n", "1")
    trial.workers_here(1)
    [key] = trial.driver.submit("hang")
    trial.driver.begun(key)
    trial.driver.submit("pause", 0.005, number=10)
    assert trial.driver.futures[key].cancel()
    assert trial.driver.futures[key].cancelled()
    assert trial.sound(failed={key}).delivered == 10
    assert isinstance(trial.driver.errors[key], errors.TaskCancelled)


@pytest.mark.parametrize("launched", telling(1, {"supervisor": False, "master": True}))
def test_b22_handler_that_holds_the_interpreter_lock(trial: Trial, *, launched: bool) -> None:
    """For several times the silence bound: its worker is not lost, and it is executed once."""
    trial.beat(0.5)  # lost after two seconds
    if launched:
        trial.master.launch_workers(1)
    else:
        trial.command("-n", "1")
    trial.workers_here(1)
    [key] = trial.driver.submit("hold_lock", 5.0)
    trial.driver.submit("pause", 0.005, number=20)
    assert trial.sound().recovered == []
    assert engine_of(trial.master).manager.core.tally.lost_members == 0
    assert trial.driver.runs(key) == 1


def test_a_worker_that_is_slowed_twenty_times(trial: Trial) -> None:
    """One of four; with `pure`, its tasks are done by others as well, and each counts once."""
    slow = trial.folder / "slow"
    hands = trial.hands(4)
    slow.write_text(str(hands[0].pid), encoding="ascii")
    trial.driver.submit(
        "slow_where", str(slow), 0.1, 20.0, number=80, through=trial.master.options(pure=True)
    )
    verdict = trial.sound()
    assert verdict.delivered == 80
    assert verdict.recovered, "no second copy was ever made"
