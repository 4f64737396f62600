"""What newcomers write at first: each is one clear error, at the call."""

from __future__ import annotations

import datetime as dt
import socket
import threading
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from masterworker import Master, UsageError, Worker, run_job
from masterworker.errors import UnknownKeywordError, UnpicklableError
from Scientific.DistributedComputing.MasterSlave import runJob
from support import lasting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HANG = 30.0


@pytest.fixture(scope="module")
def master() -> Iterator[Master]:
    with Master(workers=1) as master:
        lasting.add(master.label)
        yield master


def takes_timeout(value: int, timeout: float = 0.0) -> float:
    return value + timeout


def takes_all(**values: float) -> int:
    return len(values)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"n_workers": 4}, "'workers'"),
        ({"max_workers": 4}, "'workers'"),
        ({"Workers": 4}, "'workers'"),
        ({"max_task": 3}, "'max_tasks'"),
        ({"maxtasksperchild": 3}, "'max_tasks'"),
        ({"initargs": (1,)}, r"functools\.partial"),
        ({"nonsense": 1}, "it has .*handlers, host"),
    ],
)
def test_a_master_knows_its_keywords(given: dict[str, Any], told: str) -> None:
    """One that does not exist is an error, with or without workers."""
    with pytest.raises(UnknownKeywordError, match=r"^Master\(\) has no keyword .*" + told):
        Master(**given)
    with pytest.raises(TypeError, match=told):
        Master(workers=1, **given)


def test_a_subclass_knows_them_as_well() -> None:
    """The name is that of the interface."""

    class Mine(Master):
        pass

    with pytest.raises(UsageError, match=r"^Master\(\) has no keyword 'worker'"):
        Mine("mine", worker=1)  # type: ignore[call-arg]


WRONG: list[tuple[Callable[[Master], Any], str]] = [
    (lambda m: m.launch_workers(n=2), r"^launch_workers\(\) .*did you mean 'number'"),
    (lambda m: m.launch_workers(workers=2), r"^launch_workers\(\) .*"),
    (lambda m: m.launch_workers(1, memory="1G"), r"did you mean 'memory_limit'"),
    (lambda m: m.options(retry=2), r"^options\(\) .*did you mean 'retries'"),
    (lambda m: m.options(time_out=2), "did you mean 'timeout'"),
    (lambda m: m.map(abs, [1], chunksize=5), r"^map\(\) .*found out by itself"),
    (lambda m: m.map(abs, [1], retries=5), r"master\.options\(retries=\.\.\.\)\.map"),
    (lambda m: m.map(abs, [1], timeout=-5), "timeout must be 0 or more seconds"),
    (lambda m: m.map(abs, [1], order=False), "did you mean 'ordered'"),
    (lambda m: m.options(retries=1).map(abs, [1], orderd=False), "did you mean 'ordered'"),
    (lambda m: m.submit(abs, 1, timeout=5), r"master\.options\(timeout=\.\.\.\)\.submit\(abs"),
    (lambda m: m.submit(len, "a", retries=5), r"options\(retries"),
    (lambda m: m.submit(lambda x: x, 1, priority=5), r"options\(priority"),
    (lambda _: run_job("a", Master, Worker, n_workers=2), r"^run_job\(\) .*did you mean 'workers'"),
    (lambda _: runJob("a", None, None, watchdog=2), r"^runJob\(\) .*mean 'watchdog_period'"),
    (lambda m: m.as_completed([1]), r"takes futures.*not 1 \(of type int\)"),
    (lambda m: m.as_completed(m.submit(abs, 1)), "as a list"),
    (lambda m: m.as_completed(5), "list of futures, not 5"),
    (lambda m: m.as_completed([m.submit(abs, 1)], timeout="5"), "number of seconds.*'5'"),
    (lambda m: m.submit(abs, 1).result(timeout="5"), "number of seconds.*'5'"),
    (lambda m: m.submit(abs, 1).exception(timeout=[5]), r"number of seconds.*\[5\]"),
    (lambda m: m.submit(abs, 1).result(dt.timedelta(seconds=3)), "total_seconds"),
    (lambda m: m.retrieve_result(timeout="1"), "number of seconds"),
    (lambda m: m.options(timeout="5"), "timeout must be a number of seconds above 0, not '5'"),
    (lambda m: m.options(timeout=True), "not True"),
    (lambda m: m.options(retries=1.5), "retries must be"),
    (lambda m: m.options(priority=np.float64(1)), "priority must be"),
    (lambda m: m.launch_workers("2"), "workers must be"),
    (lambda m: m.launch_workers(1, max_tasks="3"), "max_tasks: .*not '3'"),
    (lambda m: m.launch_workers(1, idle_timeout="3"), "more than 0 seconds, not '3'"),
    (lambda _: Master(ports=7800), r"ports=\[7800\]"),  # type: ignore[arg-type]
    (lambda _: Master(ports=["a"]), "a port must be a number"),  # type: ignore[list-item]
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_cannot_work_is_said_at_once(master: Master, number: int) -> None:
    """Each by its public name, with what may have been meant."""
    call, told = WRONG[number]
    with pytest.raises(UsageError, match=told):
        call(master)


class Guarded:
    def __init__(self) -> None:
        self.name, self.guard = "a", threading.Lock()

    def method(self, value: int) -> int:
        return value


def around() -> Callable[[int], int]:
    inner = threading.Lock()

    def function(value: int) -> int:
        with inner:
            return value

    return function


def _with_socket(master: Master) -> None:
    with socket.socket() as sock:
        master.submit(len, sock)


CANNOT_TRAVEL: list[tuple[Callable[[Master], Any], str]] = [
    (lambda m: m.submit(abs, m.submit(abs, 1)), r"a future is .*future\.result\(\)"),
    (lambda m: m.submit(len, [1, m.submit(abs, 1)]), r"item 1 \(a Future\): a future is of use"),
    (lambda m: m.submit(len, m), r"a master stays in its own process.*current_worker"),
    (lambda m: m.submit(dict, a=m.options(retries=1)), "a master stays"),
    (lambda m: m.map(len, [{"x": m}]), r"item 'x' \(a Master\): a master stays"),
    (lambda m: m.submit(Guarded().method, 1), r"attribute 'guard' \(a lock\).*inside the function"),
    (lambda m: m.submit(around(), 1), r"variable 'inner' of the function around it.*inside the"),
    (lambda m: m.submit(len, (1, {2: threading.RLock()})), r"item 1, item 2 \(a RLock\).*inside"),
    (lambda m: m.submit(len, (each for each in "ab")), r"parameter 1 \(a generator\).*make a list"),
    (_with_socket, r"\(a socket\).*open it inside"),
]


@pytest.mark.parametrize("number", range(len(CANNOT_TRAVEL)))
def test_what_cannot_travel_is_named_with_what_to_do(master: Master, number: int) -> None:
    """Which variable, attribute or item it is."""
    call, told = CANNOT_TRAVEL[number]
    with pytest.raises(UnpicklableError, match=told):
        call(master)


def test_what_looks_like_it_and_works(master: Master) -> None:
    """Functions may have keywords that the options of tasks have, too."""
    assert master.submit(takes_timeout, 1, timeout=2).result(HANG) == 3
    assert master.submit(takes_all, timeout=2, retries=3).result(HANG) == 2
    assert master.submit(dict, pure=1).result(HANG) == {"pure": 1}


def test_a_handle_of_another_master(master: Master) -> None:
    """Nobody would ever say that it is done."""
    with Master(serial=True) as other, pytest.raises(UsageError, match="of another master"):
        master.as_completed([other.submit(abs, -1)])


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int32])
def test_whole_numbers_of_numpy(kind: Callable[[int], Any]) -> None:
    """They are numbers, wherever a number is asked for."""
    with Master(workers=kind(1), max_tasks=kind(50), ports=[kind(0)]) as master:
        chosen = master.options(timeout=kind(20), retries=kind(1), delay=kind(1), priority=kind(2))
        assert chosen.submit(abs, -2).result(timeout=kind(30)) == 2
        assert list(chosen.map(abs, [-3])) == [3]
        future = master.submit(abs, kind(4))
        assert list(master.as_completed([future], timeout=kind(30))) == [future]
        with pytest.raises(TimeoutError):
            master.retrieve_result(timeout=kind(0))
        master.launch_workers(kind(1), idle_timeout=kind(20), lifetime=kind(50), wait=True)
        assert master.number_of_workers == 2


@pytest.mark.parametrize("kind", [np.float64, np.float32, Fraction])
def test_other_numbers(master: Master, kind: Callable[[float], Any]) -> None:
    """Seconds may be of any kind of number."""
    chosen = master.options(timeout=kind(20), delay=kind(0.5), retries=1)
    assert chosen.submit(abs, -2).result(kind(30.5)) == 2
    master.launch_workers(1, idle_timeout=kind(2.5), lifetime=kind(60), wait=True)


def test_what_is_chosen_can_be_read(master: Master) -> None:
    """As it was written, without what is usual."""
    chosen = master.options(timeout=5, retries=3, retry_on=(OSError, KeyError), priority=-1)
    told = "options(timeout=5.0, retries=3, retry_on=(OSError, KeyError), priority=-1)"
    assert told in repr(chosen)
    assert "retry_on=OSError)" in repr(master.options(retries=1, retry_on=OSError))
    assert "with options()" in repr(master.options())
    assert repr(master.label) in repr(chosen)
