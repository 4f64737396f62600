"""Functions that are called when a future is done, in one thread, with no lock held."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from integration import work
from integration.conftest import lasting_master
from masterworker import Future, Master, TaskCancelled, Terminated, UsageError
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "masterworker-callbacks"


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


@pytest.fixture
def master() -> Iterator[Master]:
    with lasting_master(1) as made:
        yield made


def test_they_are_called_once_with_the_future_in_one_thread(master: Master) -> None:
    """In the order of their futures' ends, whether they are added before the outcome or after."""
    assert not threads()
    seen: list[tuple[Any, str]] = []
    futures = [master.submit(abs, -number) for number in range(100)]
    for future in futures:
        for _ in range(2):
            future.add_done_callback(
                lambda f: seen.append((f.result(0.0), threading.current_thread().name))
            )
    wait_until(lambda: len(seen) == 200)
    futures[0].add_done_callback(lambda f: seen.append((f.result(0.0), "late")))
    wait_until(lambda: len(seen) == 201)
    assert sorted(seen[:200]) == sorted((n, NAME) for n in range(100) for _ in range(2))
    assert seen[200] == (0, "late")
    assert len(threads()) == 1


def test_they_may_do_anything(master: Master, caplog: pytest.LogCaptureFixture) -> None:
    """Submit, wait, cancel, look at the status, raise: no lock is held, and others are called."""
    found: list[Any] = []
    future = master.submit(abs, -1)

    def ask(done: Future[int]) -> None:
        further = master.submit(abs, done.result() - 3)
        found.append(further.result(HANG))
        assert not further.cancel()
        found.append(master.status().waiting)

    def fail(done: Future[int]) -> None:
        raise KeyboardInterrupt("whatever")

    future.add_done_callback(fail)
    future.add_done_callback(ask)
    future.add_done_callback(found.append)
    wait_until(lambda: len(found) == 3)
    assert found == [2, {}, future]
    assert caplog.text.count("a callback of") == 1


def test_one_that_blocks_holds_up_no_task(master: Master) -> None:
    """Only other callbacks wait for it."""
    gate, seen = threading.Event(), []
    master.submit(abs, -1).add_done_callback(lambda _: gate.wait(HANG))
    master.submit(abs, -2).add_done_callback(seen.append)
    assert list(master.map(abs, range(-5, 0))) == [5, 4, 3, 2, 1]
    assert not seen
    gate.set()
    wait_until(lambda: seen)


def test_what_is_cancelled_or_fails_is_done(master: Master, tmp_path: Path) -> None:
    """Each ends in its own way, once."""
    seen: list[Future[Any]] = []
    gate = tmp_path / "gate"
    holding = master.submit(work.wait_for_file, str(gate))
    cancelled, failed = master.submit(abs, -1), master.submit(abs, "text")
    for future in (holding, cancelled, failed):
        future.add_done_callback(seen.append)
    wait_until(holding.running)
    assert cancelled.cancel()
    wait_until(lambda: seen == [cancelled])
    assert cancelled.done()
    assert cancelled.cancelled()
    assert not cancelled.running()
    with pytest.raises(TaskCancelled):
        cancelled.result()
    gate.touch()
    wait_until(lambda: len(seen) == 3)
    assert isinstance(failed.exception(), TypeError)
    assert not failed.cancelled()
    assert [repr(f).partition(": ")[2] for f in seen] == [
        "cancelled>",
        "done>",
        "raised TypeError>",
    ]
    assert holding.result() is True
    assert repr(holding).endswith("returned bool>")


def test_the_end_of_the_job_is_the_end_of_its_futures(tmp_path: Path) -> None:
    """What has no outcome by then is done, and says why; the thread ends."""
    seen: list[tuple[Future[Any], BaseException | None, bool]] = []
    with Master() as master:
        futures = [master.submit(abs, -number) for number in range(5)]
        for future in futures:
            future.add_done_callback(lambda f: seen.append((f, f.exception(0.0), f.done())))
        assert "pending" in repr(futures[0])
        assert not futures[0].running()
    assert {f for f, _, _ in seen} == set(futures)
    assert len(seen) == len(futures)
    assert {(type(error), done) for _, error, done in seen} == {(Terminated, True)}
    for future in futures:
        assert future.done()
        assert not future.cancelled()
        with pytest.raises(Terminated):
            future.result()
    assert not threads()
    late: list[Any] = []
    futures[0].add_done_callback(late.append)
    assert late == [futures[0]]
    with pytest.raises(Terminated):
        next(master.as_completed(futures))


def test_a_callback_may_end_the_job() -> None:
    """It runs in the thread that would be waited for."""
    master = Master(workers=1)
    master.submit(abs, -1).add_done_callback(lambda _: master.shutdown())
    wait_until(lambda: "is over" in ended(master))
    wait_until(lambda: not threads())


def ended(master: Master) -> str:
    try:
        master.submit(abs, 1)
    except Terminated as error:
        return str(error)
    return ""


class Token:
    """Something that one callback refers to."""


def test_nothing_is_kept_of_what_has_been_called(master: Master) -> None:
    """Neither by the thread, while it waits for the next one, nor by the future."""
    called, token = threading.Event(), Token()
    future = master.submit(abs, -1)
    future.add_done_callback(lambda _, kept=token: called.set())
    assert called.wait(HANG)
    alive = weakref.ref(token)
    del token
    wait_until(lambda: alive() is None)
    assert future.result() == 1


def test_only_functions(master: Master) -> None:
    """Anything else is refused at the call."""
    with pytest.raises(UsageError, match="takes a function, not 5"):
        master.submit(os.getpid).add_done_callback(5)  # type: ignore[arg-type]


def test_added_and_ended_in_many_threads(master: Master) -> None:
    """Whatever comes first, each callback is called exactly once."""
    counts: list[int] = []
    futures = [master.submit(abs, -number) for number in range(300)]

    def add(step: int) -> None:
        for future in futures[::step]:
            future.add_done_callback(lambda f: counts.append(f.number))

    adding = [threading.Thread(target=add, args=(step,)) for step in (1, -1, 1, -1)]
    for thread in adding:
        thread.start()
    for thread in adding:
        thread.join(HANG)
    wait_until(lambda: len(counts) == 4 * len(futures))
    assert sorted(counts) == sorted([f.number for f in futures] * 4)
