"""Which tasks take so long that a copy is worth while."""

from __future__ import annotations

from masterworker.core.stragglers import ENOUGH, OUTLIER, Stragglers
from masterworker.core.task import Task


def task(number: int, holder: int | None = 1) -> Task:
    made = Task(number, "a", b"", direct=True)
    made.holder = holder
    return made


def knowing(seconds: float, tasks: int = ENOUGH) -> Stragglers:
    """Some tasks have taken so long."""
    stragglers = Stragglers()
    for number in range(100, 100 + tasks):
        stragglers.handed_out(task(number), 0.0)
        stragglers.settled(task(number), seconds)
    return stragglers


def test_a_task_is_an_outlier_after_a_multiple_of_the_median() -> None:
    stragglers, slow = knowing(1.0), task(1)
    stragglers.handed_out(slow, 0.0)
    assert stragglers.outliers({1: slow}, OUTLIER * 1.0) == []
    assert stragglers.outliers({1: slow}, OUTLIER * 1.0 + 0.1) == [slow]


def test_of_too_few_nothing_is_known() -> None:
    stragglers, slow = knowing(1.0, ENOUGH - 1), task(1)
    stragglers.handed_out(slow, 0.0)
    assert stragglers.outliers({1: slow}, 1000.0) == []


def test_short_tasks_are_no_outliers_at_once() -> None:
    stragglers, slow = knowing(0.0001), task(1)
    stragglers.handed_out(slow, 0.0)
    assert stragglers.outliers({1: slow}, 0.01) == []


def test_a_task_has_one_copy_and_its_end_names_who_else_has_it() -> None:
    stragglers, slow = knowing(1.0), task(1)
    stragglers.handed_out(slow, 0.0)
    stragglers.copied(slow, 7)
    assert stragglers.outliers({1: slow}, 100.0) == []
    assert list(stragglers.settled(slow, 100.0)) == [7]
    assert list(stragglers.settled(slow, 100.0)) == []


def test_what_comes_back_is_not_watched() -> None:
    stragglers, slow = knowing(1.0), task(1)
    stragglers.handed_out(slow, 0.0)
    assert stragglers
    stragglers.put_down(slow)
    assert not stragglers


def test_a_task_that_no_worker_has_is_found() -> None:
    stragglers, lost = Stragglers(), task(1, None)
    stragglers.handed_out(lost, 0.0)
    assert [number for _, number in stragglers.check({1: lost})] == [1]
    lost.holder = 0
    assert not list(stragglers.check({1: lost}))
