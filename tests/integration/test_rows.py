"""Many small tasks, which go to workers together: each is a task of its own all the same."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import pytest

from integration import work
from masterworker.errors import TaskCancelled, TaskLost
from masterworker.master import engine_of
from support import HANG

if TYPE_CHECKING:
    from pathlib import Path

    from masterworker import Future, Master

MANY = 3000


def outcome(future: Future) -> Any:
    error = future.exception(HANG)
    return future.result() if error is None else type(error)


def test_each_task_fails_by_itself(warm: Master) -> None:
    """Its neighbours have their results, and it has its own exception and traceback."""
    numbers = [-n if n % 7 == 3 else n for n in range(MANY)]
    futures = [warm.submit(math.sqrt, n) for n in numbers]
    assert [outcome(future) for future in futures] == [
        ValueError if n < 0 else math.sqrt(n) for n in numbers
    ]
    assert "math domain error" in "".join(futures[3].exception().__notes__)
    assert engine_of(warm).manager.summary().failed == len([n for n in numbers if n < 0])
    engine_of(warm).manager.check()


def test_map_raises_for_the_item_that_failed(warm: Master) -> None:
    """What came before it has been yielded, in its order."""
    found = warm.map(math.sqrt, [*range(1000), -1, *range(1000)])
    for n in range(1000):
        assert next(found) == math.sqrt(n)
    with pytest.raises(ValueError, match="math domain error"):
        next(found)


def test_only_the_task_that_ends_its_process_is_lost(warm: Master) -> None:
    """Those that were in the same hands are executed elsewhere, and once counted."""
    futures: list[Future] = []
    for n in range(MANY):
        futures.append(warm.submit(os._exit, 3) if n == 1234 else warm.submit(math.sqrt, n))
    found = [outcome(future) for future in futures]
    assert found.pop(1234) is TaskLost
    assert found == [math.sqrt(n) for n in range(MANY) if n != 1234]
    assert "os._exit" not in engine_of(warm).manager.story(futures[1233].number)
    engine_of(warm).manager.check()


def test_what_waits_behind_a_long_task_is_executed_elsewhere(warm: Master, tmp_path: Path) -> None:
    """The courier gives back what follows it."""
    go = tmp_path / "go"
    futures: list[Future] = []
    for n in range(MANY):
        call = (work.wait_for_file, str(go)) if n == 500 else (math.sqrt, n)
        futures.append(warm.submit(*call))
    long = futures.pop(500)
    assert [future.result(HANG) for future in futures] == [
        math.sqrt(n) for n in range(MANY) if n != 500
    ]
    assert not long.done()
    go.touch()
    assert long.result(HANG) is True
    engine_of(warm).manager.check()


def test_each_task_is_cancelled_by_itself(warm: Master, tmp_path: Path) -> None:
    """Some of many that wait are taken out; the others stay."""
    go = tmp_path / "go"
    before = engine_of(warm).manager.summary().cancelled
    busy = [warm.submit(work.wait_for_file, str(go)) for _ in range(2)]
    futures = [warm.submit(work.square, n) for n in range(MANY)]
    cancelled = {n for n in range(0, MANY, 3) if futures[n].cancel()}
    go.touch()
    assert len(cancelled) > MANY // 6
    assert [outcome(future) for future in futures] == [
        TaskCancelled if n in cancelled else n * n for n in range(MANY)
    ]
    assert [future.result(HANG) for future in busy] == [True, True]
    assert engine_of(warm).manager.summary().cancelled - before == len(cancelled)
    engine_of(warm).manager.check()


def test_handles_and_batches_side_by_side(warm: Master) -> None:
    """Tasks of one function that were asked for in different ways may travel together."""
    squares = warm.map(work.square, range(700))
    futures = [warm.submit(work.square, n) for n in range(700)]
    late = warm.map(work.square, range(700), ordered=False)
    expected = [n * n for n in range(700)]
    assert [future.result(HANG) for future in futures] == expected
    assert sorted(late) == expected
    assert list(squares) == expected
    assert not engine_of(warm).router.futures
    assert not engine_of(warm).router.batches
    assert len({future.task_id for future in futures}) == 700
