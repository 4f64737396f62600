"""Tiny tasks are executed in a tight loop: whatever one of them does is its own affair."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from integration import tiny
from integration.conftest import lasting_master
from masterworker.core.crashes import CrashPolicy
from masterworker.errors import TaskCancelled, TaskFailed, TaskLost
from masterworker.master import engine_of
from masterworker.taskid import task_name
from support import HANG, wait_until, workers_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from masterworker import Master

MANY = 3000
#: Among them, where what is odd comes first, in the middle, and last.
PLACES = (0, 1, MANY // 2, MANY - 1)


@pytest.fixture(scope="module")
def marks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file that the workers of this module know of."""
    path = tmp_path_factory.mktemp("tiny") / "marks"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(tiny.MARKS, str(path))
        yield path


@pytest.fixture(scope="module")
def lasting(marks: Path) -> Iterator[Master]:
    """Two workers that know the file."""
    with lasting_master(2) as master:
        yield master


@pytest.fixture
def warm(lasting: Master, marks: Path) -> Master:
    """Workers that have seen that tasks are tiny, so they take many at a time; there is no file."""
    marks.unlink(missing_ok=True)
    numbers = range(2 * MANY)
    assert list(lasting.map(tiny.deed, numbers)) == [2 * n for n in numbers]
    return lasting


def outcomes(master: Master, items: list[Any], function: Any = tiny.deed) -> list[Any]:
    return list(master.map(function, items, return_errors=True, timeout=4 * HANG))


def with_odd(odd: str, at: int) -> list[Any]:
    items: list[Any] = list(range(MANY))
    items[at] = odd
    return items


def check_others(found: list[Any], at: int) -> None:
    """All but one have the results that they always have."""
    assert len(found) == MANY
    assert [found[n] for n in range(MANY) if n != at] == [2 * n for n in range(MANY) if n != at]


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("kind", [ValueError, IndexError])
def test_what_one_raises_is_its_own(warm: Master, kind: type, at: int) -> None:
    """With its traceback, which shows nothing of ours."""
    found = outcomes(warm, with_odd(kind.__name__, at))
    check_others(found, at)
    assert type(found[at]) is kind
    told = "".join(found[at].__notes__)
    assert "in _throw" in told
    assert "rows.py" not in told
    engine_of(warm).manager.check()


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize(
    "name", ["StopIteration", "GeneratorExit", "KeyboardInterrupt", "SystemExit", "interrupt"]
)
def test_what_would_end_a_loop_or_the_worker_fails_one_task(
    warm: Master, name: str, at: int
) -> None:
    """Also a `StopIteration`, which would end an iterator without a word."""
    workers = {each.pid for each in workers_of(os.getpid())}
    found = outcomes(warm, with_odd(name, at))
    check_others(found, at)
    assert type(found[at]) is TaskFailed
    expected = "KeyboardInterrupt" if name == "interrupt" else name
    assert type(found[at].exception).__name__ == expected
    assert {each.pid for each in workers_of(os.getpid())} == workers


@pytest.mark.parametrize("at", PLACES)
def test_one_that_cannot_be_sent_fails(warm: Master, at: int) -> None:
    found = outcomes(warm, with_odd("lock", at))
    check_others(found, at)
    assert "cannot be pickled" in str(found[at])


@pytest.mark.parametrize("at", PLACES)
def test_a_fork_that_comes_back_executes_nothing_more(warm: Master, marks: Path, at: int) -> None:
    """It ends; each of the other tasks has been executed once."""
    found = outcomes(warm, with_odd("fork", at), tiny.marking)
    check_others(found, at)
    assert str(found[at]).startswith("status ")
    marked = Counter(map(int, marks.read_text().split()))
    assert marked == Counter(n for n in range(MANY) if n != at)


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("name", ["exit", "kill"])
def test_the_one_that_ends_its_process_is_named(
    warm: Master, monkeypatch: pytest.MonkeyPatch, name: str, at: int
) -> None:
    """It alone gets strikes: whichever task was being executed stands on the scoreboard."""
    blamed: list[int] = []
    strike = CrashPolicy.strike

    def noted(self: CrashPolicy, task: Any, *args: Any) -> bool:
        blamed.append(task.id)
        return strike(self, task, *args)

    monkeypatch.setattr(CrashPolicy, "strike", noted)
    found = outcomes(warm, with_odd(name, at))
    check_others(found, at)
    assert type(found[at]) is TaskLost
    assert len(found[at].history) == 3
    assert len(blamed) == 3
    assert {task_name("@deed", number) for number in blamed} == {found[at].task_id}
    engine_of(warm).manager.check()


@pytest.mark.parametrize("at", PLACES)
def test_one_that_never_ends_is_broken_off_alone(warm: Master, marks: Path, at: int) -> None:
    """What is behind it in its row is executed elsewhere, and it is cancelled by itself."""
    results = warm.map(tiny.deed, with_odd("loop", at), ordered=False, return_errors=True)
    found = [next(results) for _ in range(MANY - 1)]
    assert sorted(found) == [2 * n for n in range(MANY) if n != at]
    wait_until(marks.exists)
    manager = engine_of(warm).manager
    (running,) = engine_of(warm).router.batches._pages.values()
    assert manager.cancel([running[0].open_ids()[0]])
    assert [type(each) for each in results] == [TaskCancelled]
    assert outcomes(warm, list(range(MANY))) == [2 * n for n in range(MANY)]


@pytest.mark.parametrize("at", [1, MANY // 2, MANY - 1])
def test_one_behind_is_cancelled_by_itself(warm: Master, marks: Path, at: int) -> None:
    """While the tasks before it wait, or are executed."""
    items: list[Any] = ["wait", "wait", *range(2, MANY)]
    items[at] = at if at > 1 else "wait"
    results = warm.map(tiny.deed, items, return_errors=True)
    page = min(engine_of(warm).router.batches._pages.values(), key=lambda page: page[0].first)
    first = page[0].first
    assert engine_of(warm).manager.cancel([first + at])
    marks.touch()
    found = list(results)
    assert type(found[at]) is TaskCancelled
    assert [found[n] for n in range(2, MANY) if n != at] == [
        2 * n for n in range(2, MANY) if n != at
    ]


def test_results_of_changing_kinds(warm: Master) -> None:
    """Each comes as it was, of its class."""
    found = outcomes(warm, list(range(MANY)), tiny.changing)
    expected = [tiny.KINDS[n % len(tiny.KINDS)] for n in range(MANY)]
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))


@pytest.mark.parametrize("function", [tiny.growing, tiny.at_last_growing])
def test_no_result_is_changed_by_a_later_task(warm: Master, function: Any) -> None:
    """A list is fixed when its task ends, also where those before it returned numbers."""
    found = outcomes(warm, list(range(500)), function)
    for n, each in enumerate(found):
        assert (each if isinstance(each, int) else each[-1]) == n


@pytest.mark.parametrize("function", [abs, float, str, bool, (5.0).__add__, int.bit_length])
def test_functions_that_are_not_of_python(warm: Master, function: Any) -> None:
    """Builtins, classes and methods."""
    found = outcomes(warm, list(range(MANY)), function)
    assert found == [function(n) for n in range(MANY)]


def test_a_worker_that_is_told_to_stop_in_a_row_loses_nothing(warm: Master) -> None:
    """It ends what it executes; the rest goes elsewhere, and another process takes its place."""
    told: set[int] = set()
    over = threading.Event()

    def tell() -> None:
        while not over.wait(0.05):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just left
                for each in workers_of(os.getpid()):
                    if each.pid not in told and len(told) < 6:
                        told.add(each.pid)
                        each.send_signal(signal.SIGTERM)

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        while len(told) < 6:
            found = outcomes(warm, list(range(20 * MANY)))
            assert found == [2 * n for n in range(20 * MANY)]
    finally:
        over.set()
        thread.join()
    engine_of(warm).manager.check()
