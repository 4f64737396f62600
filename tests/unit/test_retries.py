"""Further attempts and pauses, without a scheduler."""

from __future__ import annotations

import pytest

from masterworker.core.options import Options
from masterworker.core.outbox import Outbox
from masterworker.core.retries import LONGEST_PAUSE, Retries
from masterworker.core.task import State, Task


def task(number: int, options: Options | None = None) -> Task:
    return Task(number, "a", b"", direct=True, options=options)


def of(*tasks: Task) -> tuple[Retries, Outbox]:
    out = Outbox()
    return Retries({each.id: each for each in tasks}, out), out


def test_a_task_without_options_has_one_attempt() -> None:
    one = task(1)
    retries, _ = of(one)
    assert retries.decide(one) is None
    assert retries.settled(one) == 1


def test_attempts_are_counted_and_pauses_double() -> None:
    one = task(1, Options(retries=3, delay=2.0))
    retries, _ = of(one)
    decisions = [retries.decide(one) for _ in range(4)]
    assert [each and each.pause for each in decisions] == [2.0, 4.0, 8.0, None]
    assert retries.settled(one) == 4
    assert retries.decide(one) is not None  # it counts anew: nothing of it is left


def test_a_pause_has_a_bound() -> None:
    one = task(1, Options(retries=5000, delay=1.0))
    retries, _ = of(one)
    decisions = [retries.decide(one) for _ in range(2000)]
    assert decisions[-1] is not None
    assert decisions[-1].pause == LONGEST_PAUSE


def test_pauses_end_in_the_order_of_their_times() -> None:
    tasks = [task(1), task(2), task(3)]
    retries, out = of(*tasks)
    for each, until in zip(tasks, (3.0, 1.0, 2.0), strict=True):
        retries.pause(each, until)
    assert out.alarmed
    assert retries.next_deadline() == 1.0
    assert retries.due(0.5) == []
    assert [each.id for each in retries.due(2.0)] == [2, 3]
    assert [each.id for each in retries.paused()] == [1]
    tasks[1].state = tasks[2].state = State.WAITING
    assert not list(retries.check())


def test_a_pause_that_begins_anew_ends_once() -> None:
    one = task(1)
    retries, _ = of(one)
    retries.pause(one, 5.0)
    retries.pause(one, 1.0)
    assert retries.due(1.0) == [one]
    one.state = State.WAITING
    assert retries.due(9.0) == []
    assert retries.next_deadline() is None


def test_a_task_that_is_settled_meanwhile_is_not_due() -> None:
    one = task(1)
    retries, _ = of(one)
    retries.pause(one, 1.0)
    one.state = State.SETTLED
    assert retries.due(1.0) == []


@pytest.mark.parametrize("state", [State.PAUSED, State.WAITING])
def test_a_pause_that_nothing_ends_is_found(state: State) -> None:
    one = task(1)
    retries, _ = of(one)
    if state is State.WAITING:
        retries.pause(one, 1.0)
    one.state = state
    assert [i for _, i in retries.check()] == ([1] if state is State.PAUSED else [])
