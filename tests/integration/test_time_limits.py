"""Time limits: what is tried again, what the error tells, and the time to clean up."""

from __future__ import annotations

import select
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration.conftest import lasting_master
from masterworker import Master, TaskFailed, TaskTimeout
from masterworker.launch.health import KILL_GRACE_SECONDS
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Seconds that tasks of these tests may take.
LIMIT = 0.5


@pytest.fixture(scope="module")
def one_worker() -> Iterator[Master]:
    with lasting_master(1) as found:
        found.submit(nothing).result(HANG)  # so that none of the limits is spent on imports
        yield found


def nothing() -> None: ...


def count(path: str) -> int:
    with Path(path).open("a") as file:
        file.write("x")
    return Path(path).stat().st_size


def hang() -> None:
    threading.Event().wait(10 * HANG)


def raise_network_errors(path: str) -> int:
    """Twice, and then it works."""
    number = count(path)
    if number == 1:
        raise ConnectionResetError("by peer")
    if number == 2:
        raise socket.timeout("the server's, not ours")  # noqa: UP041  as old programs do
    return number


def fail(path: str, kind: type[Exception]) -> None:
    raise kind(count(path))


# -- further attempts ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retry_on", "attempts"),
    [
        (OSError, 1),
        ((OSError, KeyError), 1),
        (EnvironmentError, 1),
        (ConnectionError, 1),
        (TimeoutError, 2),
        ((OSError, TimeoutError), 2),
        (TaskTimeout, 2),
        (Exception, 2),
        ((), 2),
    ],
    ids=str,
)
def test_what_a_time_limit_is_tried_again_for(
    one_worker: Master, retry_on: Any, attempts: int
) -> None:
    """For what means it; not for what it is by descent alone. The error tells how often."""
    limited = one_worker.options(timeout=LIMIT, retries=1, retry_on=retry_on)
    with pytest.raises(TaskTimeout, match=f"its time limit of {LIMIT} s") as caught:
        limited.submit(hang).result(HANG)
    assert ("the last of 2 attempts" in str(caught.value)) is (attempts == 2)


@pytest.mark.parametrize("retry_on", [OSError, (), TimeoutError, Exception], ids=str)
def test_errors_of_the_system_are_tried_again_as_ever(
    one_worker: Master, tmp_path: Path, retry_on: Any
) -> None:
    """A time-out that the task itself has met, too."""
    again = one_worker.options(
        timeout=600, retries=2, retry_on=(retry_on, ConnectionError) if retry_on else ()
    )
    future = again.submit(raise_network_errors, str(tmp_path / "attempts"))
    assert future.result(HANG) == 3


@pytest.mark.parametrize("by", ["submit", "map", "tag"])
def test_every_error_tells_its_attempts(tmp_path: Path, by: str) -> None:
    """In its note, or in the failure that holds it; also where it was killed in the end."""
    with Master(serial=True, handlers={"fail": fail}) as master:
        again = master.options(retries=2)
        path = str(tmp_path / "attempts")
        if by == "tag":
            again.request_task("fail", path, KeyError)
            with pytest.raises(TaskFailed, match="the last of 3 attempts") as caught:
                master.retrieve_result(timeout=HANG)
            assert caught.value.attempts == 3
            return
        if by == "submit":
            error = again.submit(fail, path, KeyError).exception(HANG)
        else:
            [error] = again.map(fail, [path], [KeyError], return_errors=True)
        assert isinstance(error, KeyError)
        assert error.args == (3,)
        assert "the last of 3 attempts" in error.__notes__[-1]
        failed = again.submit(fail, path, StopIteration).exception(HANG)
        assert isinstance(failed, TaskFailed)
        assert failed.attempts == 3
        assert "the last of 3 attempts" in str(failed)
        once = master.options(retries=2, retry_on=KeyError).submit(fail, path, ValueError)
        assert "attempts" not in (once.exception(HANG) or KeyError()).__notes__[-1]


# -- cleaning up ---------------------------------------------------------------------------------


def clean_in_finally(path: str) -> None:
    try:
        threading.Event().wait(10 * HANG)
    finally:
        clean(path)


def clean_in_except(path: str) -> None:
    try:
        while True:
            pass
    except BaseException:
        clean(path)
        raise


class Cleaning:
    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing has to be done first."""

    def __exit__(self, *_: object) -> None:
        clean(self._path)


def clean_in_exit(path: str) -> None:
    with Cleaning(path):
        select.select([], [], [], 10 * HANG)


def clean(path: str) -> None:
    """Take half of the grace for it, in short steps, each of which could be broken off."""
    end = time.monotonic() + KILL_GRACE_SECONDS / 2
    while time.monotonic() < end:
        threading.Event().wait(0.01)
    Path(path).write_text("clean")


def return_all_the_same(path: str) -> str:
    try:
        clean_in_finally(path)
    except BaseException:
        return "late"
    return "never"


@pytest.mark.parametrize("how", [clean_in_finally, clean_in_except, clean_in_exit])
@pytest.mark.parametrize("end", ["limit", "cancel", "both"])
def test_a_task_that_is_broken_off_has_time_to_clean_up(
    one_worker: Master, tmp_path: Path, how: Callable[[str], None], end: str
) -> None:
    """It is interrupted once, and then left alone; its worker goes on."""
    path = tmp_path / "end"
    pid = one_worker.submit(abs, -1).result(HANG)
    asking = one_worker if end == "cancel" else one_worker.options(timeout=LIMIT)
    future = asking.submit(how, str(path))
    if end == "limit":
        assert isinstance(future.exception(HANG), TaskTimeout)
    else:
        threading.Event().wait(LIMIT * (0.5 if end == "cancel" else 2))
        future.cancel()
    wait_until(path.exists, HANG, "it has cleaned up")
    assert one_worker.submit(abs, -1).result(HANG) == pid


def test_a_task_may_return_within_the_grace(one_worker: Master, tmp_path: Path) -> None:
    """Then that is its result."""
    limited = one_worker.options(timeout=LIMIT)
    assert limited.submit(return_all_the_same, str(tmp_path / "end")).result(HANG) == "late"


def go_on(path: str) -> None:
    """Catch whatever comes."""
    while True:
        try:
            count(path)
            threading.Event().wait(10 * HANG)
        except BaseException:  # noqa: S110  by intent
            pass


def test_a_task_that_goes_on_is_killed_after_the_grace(tmp_path: Path) -> None:
    """It was interrupted once; the next task has a new worker."""
    path = tmp_path / "interruptions"
    with Master(workers=1) as master:
        master.submit(nothing).result(HANG)
        error = master.options(timeout=LIMIT).submit(go_on, str(path)).exception(HANG)
        assert isinstance(error, TaskTimeout)
        assert "did not stop when it was asked to" in str(error)
        assert len(path.read_text()) == 2
        assert master.submit(abs, -1).result(HANG) == 1


def test_an_attempt_that_was_killed_is_told_as_well(tmp_path: Path) -> None:
    """After the same limit, twice."""
    with Master(workers=1) as master:
        again = master.options(timeout=LIMIT, retries=1)
        error = again.submit(go_on, str(tmp_path / "interruptions")).exception(HANG)
        assert isinstance(error, TaskTimeout)
        assert "the last of 2 attempts" in str(error)
