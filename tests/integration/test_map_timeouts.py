"""`map(timeout=)`: seconds from the call in which each result must have come."""

from __future__ import annotations

import math
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from masterworker import Executor, Master, UsageError
from support import lasting

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor(2) as made:
        lasting.add(made._job.master.label)
        assert set(made.map(double, [1] * 10)) == {2}  # the workers are here
        yield made


@pytest.fixture(scope="module")
def master(executor: Executor) -> Master:
    return executor._job.master


def double(x: int) -> int:
    return 2 * x


def wait_for(path: str) -> str:
    while not Path(path).exists():
        threading.Event().wait(0.01)
    return path


def leave(path: str, mark: str) -> None:
    """Leave a mark, and wait for another."""
    Path(mark).touch()
    wait_for(path)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_result_that_does_not_come(master: Master, tmp_path: Path, *, ordered: bool) -> None:
    """Results before it are yielded, the iterator has ended, and what had not begun never does."""
    awaited, marks = str(tmp_path / "awaited"), [str(tmp_path / str(x)) for x in range(100)]
    names = [str(tmp_path), *[awaited] * 50]
    results = master.map(wait_for, names, ordered=ordered, timeout=5)
    assert next(results) == str(tmp_path)
    with pytest.raises(TimeoutError, match="not come in time"):
        next(results)
    assert list(results) == []
    left = master.map(leave, [awaited] * 100, marks, ordered=ordered, timeout=0.5)
    with pytest.raises(TimeoutError):
        next(left)
    assert master.submit(double, 4).result(60) == 8
    Path(awaited).touch()
    assert list(master.map(double, range(100))) == [2 * x for x in range(100)]
    assert not all(Path(mark).exists() for mark in marks)


def test_it_counts_from_the_call(master: Master) -> None:
    """And not from the time when a result is asked for; what is here by then is yielded."""
    results = master.map(wait_for, ["/never"], timeout=0)
    with pytest.raises(TimeoutError):
        next(results)
    in_time = master.map(double, range(10), timeout=60)
    assert list(in_time) == [2 * x for x in range(10)]
    assert list(master.map(double, range(10), timeout=math.inf)) == [2 * x for x in range(10)]
    assert list(master.map(double, range(10), timeout=None)) == [2 * x for x in range(10)]


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, "3", b"3", [1], True, timedelta(1)])
def test_what_is_no_timeout(master: Master, executor: Executor, timeout: Any) -> None:
    """One clear error, at the call; no item is drawn."""
    items = iter(range(3))
    for call in (master.map, executor.map):
        with pytest.raises(UsageError, match="timeout must be"):
            call(double, items, timeout=timeout)
    assert list(items) == [0, 1, 2]


@pytest.mark.parametrize("function", [None, "double", 5])
def test_an_executor_calls_functions(executor: Executor, function: Any) -> None:
    with pytest.raises(TypeError, match="a function is to be called, not"):
        executor.map(function, [1])
    with pytest.raises(UsageError, match="function"):
        executor.submit(function, 1)


@pytest.mark.parametrize("most", [1, 2, 7, 20])
def test_no_more_than_the_buffer_holds_are_drawn(executor: Executor, most: int) -> None:
    drawn, ahead = [0], []

    def items() -> Iterator[int]:
        for x in range(100):
            drawn[0] += 1
            yield x

    for yielded, _ in enumerate(executor.map(double, items(), buffersize=most), 1):
        ahead.append(drawn[0] - yielded)
    assert len(ahead) == 100
    assert max(ahead) <= most
