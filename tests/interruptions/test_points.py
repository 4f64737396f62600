"""Each public call of the master, interrupted at each of its points: nothing is lost or broken."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from integration.conftest import lasting_master
from integration.crew import Hired
from interruptions.points import Interruption
from masterworker import Master, Worker
from masterworker.master import engine_of
from masterworker.signals import signals
from masterworker.testing import connection
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Every so manieth point is tried, beginning with another one for each call; 1: all of them.
STRIDE = int(os.environ.get("MASTERWORKER_POINTS", "5"))


@pytest.fixture(scope="module")
def master() -> Iterator[Master]:
    """One worker process for functions, and a thread for tasks by tag."""
    with lasting_master(1) as master:
        assert master.submit(abs, -1).result(HANG) == 1
        connect = partial(
            connection, engine_of(master).manager
        )  # it has no sidecar, which sends signals
        hired = Hired(Worker(master.label, handlers={"anything": abs}, connect=connect))
        yield master
    hired.join()


def submit(master: Master, got: list[Any]) -> None:
    got.append((3, master.submit(abs, -3)))


def submit_many(master: Master, got: list[Any]) -> None:
    for number in range(4):
        got.append((number, master.submit(abs, -number)))


def submit_and_wait(master: Master, got: list[Any]) -> None:
    future = master.submit(abs, -3)
    got.append((3, future))
    future.result(HANG)


def poll(master: Master, got: list[Any]) -> None:
    future = master.submit(abs, -3)
    got.append((3, future))
    wait_until(future.done, HANG)


def mapped(master: Master, got: list[Any]) -> None:
    assert list(master.map(abs, range(-40, 0))) == list(range(40, 0, -1))


def as_they_come(master: Master, got: list[Any]) -> None:
    assert sorted(master.map(abs, range(-40, 0), ordered=False)) == list(range(1, 41))


def completed(master: Master, got: list[Any]) -> None:
    futures = [master.submit(abs, -number) for number in range(3)]
    got.extend(enumerate(futures))
    for future in master.as_completed(futures, HANG):
        assert future.done()


def collect(master: Master, got: list[Any]) -> None:
    """None that was asked for is missing, and there is none that was not, whatever comes when."""
    asked: set[str] = set()
    found: set[str] = set()
    try:
        for number in range(3):
            asked.add(master.request_task("anything", number))
        for _ in range(2):
            found.add(master.retrieve_result("anything", HANG)[0])
        for name, _, _ in master.results("anything"):
            found.add(name)
    except KeyboardInterrupt:
        found.update(name for name, _, _ in master.results("anything"))
        assert found == asked
        raise


def wait_in_vain(master: Master, got: list[Any]) -> None:
    with pytest.raises(TimeoutError):
        master.retrieve_result("nothing", 0.0)
    with contextlib.suppress(TimeoutError):
        master.submit(abs, -3).result(0.0)


NOBODY = "nobody executes this"
#: Tasks of that tag.
asked_of_nobody: list[str] = []


def cancel(master: Master, got: list[Any]) -> None:
    master.submit(abs, -3).cancel()
    asked_of_nobody.append(master.request_task(NOBODY, 1))
    master.cancel(asked_of_nobody[0])


def status(master: Master, got: list[Any]) -> None:
    got.append((3, master.submit(abs, -3)))
    assert master.status().done >= 0


def share(master: Master, got: list[Any]) -> None:
    with master.share(x=1) as shared:
        assert master.submit(max, 3, shared.x).result(HANG) == 3


CALLS = [
    submit,
    submit_many,
    submit_and_wait,
    poll,
    mapped,
    as_they_come,
    completed,
    collect,
    wait_in_vain,
    cancel,
    status,
    share,
]


def run_interrupted(
    master: Master, call: Callable[[Master, list[Any]], None], at: int, *, anyway: bool = False
) -> Interruption:
    """Make a call, interrupted at one point, and look whether all is well. Returns how it went."""
    got: list[Any] = []
    interruption = Interruption(at, anyway=anyway)
    with contextlib.suppress(KeyboardInterrupt):
        interruption.run(lambda: call(master, got))
    if interruption.came or asked_of_nobody:
        look(master, got, interruption.where)
    return interruption


def look(master: Master, got: list[Any], where: str) -> None:
    """Look whether all is well."""
    try:
        for expected, future in got:
            assert future.result(5.0) == expected
        engine_of(master).manager.check()
        assert master.submit(abs, -7).result(5.0) == 7
        for name in asked_of_nobody:
            master.cancel(name)
        outcomes = [outcome[0] for outcome in master.results(NOBODY, return_errors=True)]
        assert outcomes == asked_of_nobody
        asked_of_nobody.clear()
        assert not signals._depth
        assert not engine_of(master).router.sleepers
        wait_until(lambda: not engine_of(master).router.futures, 5.0, "no future is left behind")
        wait_until(lambda: not engine_of(master).manager.core.tasks, 5.0, "no task is left behind")
        assert not engine_of(master).manager.core.open_tags
    except BaseException as error:
        error.add_note(f"interrupted at {where}")
        raise


@pytest.mark.parametrize("call", CALLS)
def test_interrupted_at_each_point(
    master: Master, call: Callable[[Master, list[Any]], None]
) -> None:
    at = CALLS.index(call) % STRIDE
    while run_interrupted(master, call, at).came:
        at += STRIDE
    assert at >= STRIDE  # it has been interrupted at all
