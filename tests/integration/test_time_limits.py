"""Time limits: what may be tried again, and what the error tells."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration.conftest import lasting_master
from masterworker import Master, TaskFailed, TaskTimeout
from support import HANG

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    handle = again.submit(raise_network_errors, str(tmp_path / "attempts"))
    assert handle.result(HANG) == 3


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
