"""Strikes: which task gets one, when it is void, and when a task has too many."""

from __future__ import annotations

import pytest

from masterworker.core.crashes import COMES_BACK_WITHIN, CrashPolicy
from masterworker.core.departure import Ended, Unexplained
from masterworker.core.member import Member
from masterworker.core.task import State, Task


@pytest.fixture
def one() -> Task:
    return Task(1, "a", b"", direct=True, state=State.LEASED)


@pytest.fixture
def crashes(one: Task) -> CrashPolicy:
    return CrashPolicy({1: one}, 2)


def member(number: int, supervisor: str = "") -> Member:
    return Member(number, f"w{number}", None, None, 0.0, supervisor)


def test_the_task_that_was_begun_last_is_guilty(crashes: CrashPolicy) -> None:
    held = [Task(i, "a", b"", direct=True, state=State.STARTED) for i in (1, 2)]
    assert crashes.suspect([*held, Task(3, "a", b"", direct=True)]) == [held[1]]
    assert [task.suspect for task in held] == [False, True]


def test_the_only_task_in_hand_is_guilty(crashes: CrashPolicy, one: Task) -> None:
    assert crashes.suspect([one]) == [one]


def test_of_several_that_were_not_begun_all_are_suspects(crashes: CrashPolicy, one: Task) -> None:
    other = Task(2, "a", b"", direct=True, state=State.LEASED)
    assert crashes.suspect([one, other]) == []
    assert one.suspect
    assert other.suspect


def test_a_task_has_too_many_strikes_at_the_bound(crashes: CrashPolicy, one: Task) -> None:
    assert not crashes.strike(one, member(1), Ended("signal 11"), 0.0)
    assert crashes.strike(one, member(2), Ended("signal 9"), 0.0)
    assert one.losses == ["w1: signal 11", "w2: signal 9"]
    assert list(crashes.check()) == [("losses", 1)]
    one.state = State.SETTLED
    assert not list(crashes.check())


def test_a_process_that_comes_back_takes_its_strike_along(crashes: CrashPolicy, one: Task) -> None:
    crashes.strike(one, member(1), Unexplained("closed"), 0.0)
    assert crashes.has_struck(1)
    assert crashes.absolve(1, 1.0) is None  # it does not pause
    assert one.losses is None
    assert not crashes.has_struck(1)


def test_a_task_that_pauses_for_a_void_strike_is_told(crashes: CrashPolicy, one: Task) -> None:
    crashes.strike(one, member(1), Unexplained("closed"), 0.0)
    one.state = State.PAUSED
    assert crashes.absolve(1, 1.0) is one


def test_a_doubt_lasts_as_long_as_a_process_may_come_back(crashes: CrashPolicy, one: Task) -> None:
    crashes.doubt([one], 5.0)
    assert crashes.may_be_void(one, 5.0) == 5.0 + COMES_BACK_WITHIN
    assert crashes.may_be_void(one, 5.0 + COMES_BACK_WITHIN) is None
    crashes.settled(one)
    assert crashes.may_be_void(one, 5.0) is None


def test_only_the_supervisor_of_a_process_confirms_its_end(crashes: CrashPolicy, one: Task) -> None:
    for number in (1, 2):
        crashes.strike(one, member(number, "s"), Unexplained("closed"), 0.0)
    crashes.doubt([one], 0.0)
    one.state = State.PAUSED
    assert crashes.confirm(1, "another") is None
    assert crashes.confirm(1, "s") is None  # the other one is still in doubt
    assert crashes.confirm(2, "s") is one
    assert crashes.may_be_void(one, 0.0) is None
