"""B19: tasks that take their process with them are given up after three, and harm nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.trial import Trial
from masterworker.errors import TaskLost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A deed, and what its history must say.
POISON = {
    "segfault": "SIGSEGV",
    "abort": "SIGABRT",
    "leave": "exit status 0",
    "stack_overflow": "SIGSEGV",
    "kill_myself": "SIGKILL",
}


@pytest.fixture
def crew(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Trial]:
    """A master with workers of its own, which are replaced when they die."""
    made = Trial(tmp_path, workers=request.param)
    try:
        made.workers_here(request.param)
        yield made
    finally:
        made.close()


def assert_given_up(trial: Trial, key: str, told: str) -> None:
    """It was tried three times, and each entry of its history says how that ended."""
    error = trial.driver.errors[key]
    assert isinstance(error, TaskLost)
    assert len(error.history) == 3
    for entry in error.history:
        assert told in str(entry), error.history
    assert trial.driver.runs(key) == 3


@pytest.mark.parametrize("crew", [2], indirect=True)
@pytest.mark.parametrize("deed", POISON)
def test_b19_poison_is_given_up_after_three(crew: Trial, deed: str) -> None:
    """With the signal or exit status named; all other tasks are done, once each."""
    crew.driver.submit("pause", 0.005, number=20)
    [key] = crew.driver.submit(deed)
    good = crew.driver.submit("pause", 0.005, number=40)
    verdict = crew.sound(failed={key})
    assert_given_up(crew, key, POISON[deed])
    assert verdict.delivered == 60
    assert not set(good) & set(verdict.failed)
    assert len(crew.workers_here(2)) == 2  # as many as there were


@pytest.mark.parametrize("crew", [2], indirect=True)
def test_b19_ten_poison_tasks_among_a_hundred_good_ones(crew: Trial) -> None:
    """With two workers: thirty deaths, and every good task is done."""
    bad = []
    for _ in range(10):
        crew.driver.submit("pause", 0.005, number=10)
        bad += crew.driver.submit("kill_myself")
    verdict = crew.sound(failed=set(bad))
    assert verdict.delivered == 100
    for key in bad:
        assert_given_up(crew, key, "SIGKILL")


@pytest.mark.parametrize("crew", [4], indirect=True)
def test_b19_one_abort_among_a_hundred(crew: Trial) -> None:
    """With four workers."""
    crew.driver.submit("pause", 0.01, number=50)
    [key] = crew.driver.submit("abort")
    crew.driver.submit("pause", 0.01, number=50)
    assert crew.sound(failed={key}).delivered == 100
    assert_given_up(crew, key, "SIGABRT")


def test_b19_poison_under_a_supervisor(trial: Trial) -> None:
    """The same where workers were started with `task_manager worker LABEL -n 2`."""
    supervisor = trial.command("-n", "2")
    trial.workers_here(2)
    [key] = trial.driver.submit("segfault")
    trial.driver.submit("pause", 0.005, number=40)
    assert trial.sound(failed={key}).delivered == 40
    assert_given_up(trial, key, "SIGSEGV")
    trial.workers_here(2)
    trial.master.shutdown()
    assert supervisor.status() == 0
    trial.all_gone()
