"""Time limits, further attempts, priorities and cancelling, with real worker processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from integration import deeds
from integration.conftest import lasting_master
from masterworker import Master, UsageError
from masterworker.errors import TaskCancelled, TaskFailed, TaskTimeout
from masterworker.master import engine_of
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HANGS = (deeds.hang, deeds.hang_deaf, deeds.hang_stubborn)


@pytest.fixture(scope="module")
def one_worker() -> Any:
    """A master with one real worker process."""
    with lasting_master(1) as master:
        master.submit(deeds.double, 1).result(HANG)
        yield master


@pytest.mark.parametrize("function", HANGS)
def test_time_limit_ends_what_hangs(
    one_worker: Master, tmp_path: Path, function: Callable[..., Any]
) -> None:
    """Whether it can be interrupted or not; it alone fails, and the next task works."""
    future = one_worker.options(timeout=0.3).submit(function, str(tmp_path / "started"))
    with pytest.raises(TaskTimeout, match="time limit"):
        future.result(HANG)
    assert one_worker.submit(deeds.double, 4).result(HANG) == 8


def test_task_within_its_limit_is_left_alone(one_worker: Master) -> None:
    """Also many of them, one after the other, in one batch."""
    quick = one_worker.options(timeout=5.0)
    assert list(quick.map(deeds.double, range(500))) == [2 * i for i in range(500)]


def test_time_limit_is_of_each_execution(one_worker: Master) -> None:
    """The time of waiting in the queue does not count."""
    before = one_worker.submit(deeds.idle, 0.6)
    assert one_worker.options(timeout=0.4).submit(deeds.double, 1).result(HANG) == 2
    assert before.result(HANG) is False


def test_timed_out_task_may_be_tried_again(one_worker: Master, tmp_path: Path) -> None:
    """A time-out is a failure like others, also where the process had to be ended.

    The second attempt need not get as far as its call: its worker has yet to import this module.
    """
    path, before = tmp_path / "calls", engine_of(one_worker).manager.core.tally.retried
    again = one_worker.options(timeout=2.0, retries=1, retry_on=TaskTimeout)
    one_worker.submit(in_this_module).result(HANG)  # so that the first attempt need not import it
    future = again.submit(mark_and_hang, str(path))
    with pytest.raises(TaskTimeout):
        future.result(HANG)
    assert engine_of(one_worker).manager.core.tally.retried == before + 1
    assert len(path.read_text().splitlines()) in {1, 2}


def in_this_module() -> None:
    pass


def mark_and_hang(path: str) -> None:
    deeds.mark(path)
    deeds.hang_deaf(path + ".started")


def test_retries_until_it_works(one_worker: Master, tmp_path: Path) -> None:
    """Within the number that was asked for."""
    patient = one_worker.options(retries=3)
    assert patient.submit(deeds.fail_until, str(tmp_path / "a"), 3).result(HANG) == 4
    with pytest.raises(ValueError, match="attempt 2"):
        one_worker.options(retries=1).submit(deeds.fail_until, str(tmp_path / "b"), 5).result(HANG)


def test_retries_on_chosen_exceptions_only(one_worker: Master, tmp_path: Path) -> None:
    """Their subclasses included; anything else is final at once."""
    picky = one_worker.options(retries=5, retry_on=(OSError, KeyError))
    path = tmp_path / "a"
    assert picky.submit(deeds.fail_until, str(path), 1, ConnectionError).result(HANG) == 2
    other = tmp_path / "b"
    with pytest.raises(ValueError, match="attempt 1"):
        picky.submit(deeds.fail_until, str(other), 3).result(HANG)
    assert len(other.read_text().splitlines()) == 1


def test_retries_wait_for_their_delay(one_worker: Master, tmp_path: Path) -> None:
    """Other tasks go on meanwhile, and `status` tells of the pause."""
    path = tmp_path / "a"
    future = one_worker.options(retries=1, delay=0.5).submit(deeds.fail_until, str(path), 1)
    wait_until(lambda: one_worker.status().paused == 1, what="it pauses")
    assert one_worker.submit(deeds.double, 2).result(HANG) == 4
    assert future.result(HANG) == 2


def test_priorities(one_worker: Master, tmp_path: Path) -> None:
    """Among what waits, the most urgent is executed first."""
    blocker = one_worker.submit(deeds.hang, str(tmp_path / "started"))
    wait_until((tmp_path / "started").exists)
    path = str(tmp_path / "order")
    low = one_worker.options(priority=-1).submit(deeds.mark, path)
    usual = one_worker.submit(deeds.mark, path)
    high = one_worker.options(priority=10).submit(deeds.mark, path)
    blocker.cancel()
    assert [h.result(HANG) for h in (high, usual, low)] == [1, 2, 3]


@pytest.mark.parametrize("function", HANGS)
def test_cancel_of_a_running_task(
    one_worker: Master, tmp_path: Path, function: Callable[..., Any]
) -> None:
    """It is interrupted, or its process ended; the next task works."""
    started = tmp_path / "started"
    future = one_worker.submit(function, str(started))
    wait_until(started.exists)
    assert future.cancel()
    assert future.cancelled()
    with pytest.raises(TaskCancelled):
        future.result(HANG)
    assert not future.cancel()
    assert one_worker.submit(deeds.double, 4).result(HANG) == 8


def test_cancel_of_a_waiting_task(one_worker: Master, tmp_path: Path) -> None:
    """It never runs."""
    blocker = one_worker.submit(deeds.hang, str(tmp_path / "started"))
    path = tmp_path / "never"
    waiting = [one_worker.submit(deeds.mark, str(path)) for _ in range(10)]
    assert all(future.cancel() for future in waiting)
    assert blocker.cancel()
    assert one_worker.submit(deeds.double, 1).result(HANG) == 2
    assert not path.exists()


def test_cancel_by_id(tmp_path: Path) -> None:
    """What was asked for by tag; its outcome comes as every other one does."""
    with Master() as master:
        first, second = master.request_task("a"), master.request_task("a")
        assert master.cancel(first)
        assert not master.cancel(first)
        with pytest.raises(TaskCancelled, match=first):
            master.retrieve_result(timeout=HANG)
        assert master.status().cancelled == 1
        with pytest.raises(UsageError, match="not the id"):
            master.cancel("nonsense")
        summary = master.shutdown()
        assert (summary.done, summary.cancelled, summary.not_run) == (0, 1, 1)
        assert "0 done, 0 failed, 1 cancelled, 1 not run" in str(summary)
        assert second


def test_exceptions_of_the_main_program_can_be_chosen(one_worker: Master, tmp_path: Path) -> None:
    """Classes that the workers cannot import travel by value."""

    class Odd(Exception):
        pass

    def odd(path: str) -> int:
        if deeds.mark(path) < 3:
            raise Odd("not yet")
        return deeds.mark(path)

    stubborn = one_worker.options(retries=5, retry_on=Odd)
    assert stubborn.submit(odd, str(tmp_path / "a")).result(HANG) == 4


def test_options_of_a_serial_job(tmp_path: Path) -> None:
    """Attempts and cancelling hold there too."""
    with Master(serial=True) as master:
        future = master.options(retries=2).submit(deeds.fail_until, str(tmp_path / "a"), 2)
        assert future.result(HANG) == 3
        with pytest.raises(ValueError, match="attempt 1"):
            master.submit(deeds.fail_until, str(tmp_path / "b"), 2).result(HANG)
        assert master.submit(deeds.double, 1).cancel()


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"timeout": -1.0},
        {"timeout": "1"},
        {"timeout": float("nan")},
        {"retries": -1},
        {"retries": 1.5},
        {"retries": 1, "delay": -1},
        {"retries": 1, "retry_on": ValueError("no class")},
        {"retries": 1, "retry_on": (int,)},
        {"retry_on": ValueError},
        {"priority": 1.5},
        {"priority": 10**9},
    ],
)
def test_nonsensical_options_are_refused(wrong: dict[str, Any]) -> None:
    """In one sentence that names the option."""
    with Master() as master, pytest.raises(UsageError, match=next(reversed(wrong))):
        master.options(**wrong)


def test_failed_and_lost_tasks_are_told_apart(one_worker: Master, tmp_path: Path) -> None:
    """`submit` raises the original; by tag all are `TaskFailed`."""
    error = one_worker.submit(deeds.fail_until, str(tmp_path / "a"), 1).exception(HANG)
    assert isinstance(error, ValueError)
    assert not isinstance(error, TaskFailed)
