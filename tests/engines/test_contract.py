"""One contract for everything that executes tasks: workers of ours, and engines of others."""

from __future__ import annotations

import itertools
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines import work
from engines.contract_engines import ENGINES, HERE_ONLY, IN_MAIN_THREADS, nothing_left, to_run
from masterworker import (
    Master,
    StateValue,
    TaskCancelled,
    TaskError,
    TaskFailed,
    TaskLost,
    TaskTimeout,
    UnpicklableError,
    UsageError,
)
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Engines warn of their own affairs, and start slowly on a machine with other things to do.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]

#: The first random numbers of the first task of a `map` with seed 7.
NUMBERS = [0.877141, 0.654118, 0.507967]
#: Names of tasks that keep an engine busy, one for each slot; "ab" for the others.
SLOTS = {"serial": "", "mpi": "a"}
#: Nothing takes as long, unless it hangs (seconds).
LONG = 90.0


@pytest.fixture(scope="module", autouse=True)
def clean() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.fixture(autouse=True)
def no_process_left() -> None:
    """An engine starts processes when it likes; that all have ended is looked at last of all."""


@pytest.fixture(scope="module", params=to_run())
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def master(kind: str) -> Iterator[Master]:
    with ENGINES[kind]() as made:
        yield made


factor = 3


def by_global(x: int) -> int:
    return factor * x


class Point:
    def __init__(self, x: int) -> None:
        self.x = x

    def doubled(self) -> Point:
        return Point(2 * self.x)


def make_point(x: int) -> Point:
    return Point(x)


# -- results and order ----------------------------------------------------------------------


def test_a_call(master: Master) -> None:
    assert master.submit(work.square, 7).result(LONG) == 49


def test_keyword_arguments(master: Master) -> None:
    assert master.submit(work.add, 1, 2, start=10).result(LONG) == 13


def test_a_built_in_function(master: Master) -> None:
    assert master.submit(max, 3, 9).result(LONG) == 9


def test_a_lambda(master: Master) -> None:
    assert master.submit(lambda x: x + 1, 1).result(LONG) == 2


def test_a_closure(master: Master) -> None:
    number = 5

    def inner(x: int) -> int:
        return x + number

    assert master.submit(inner, 1).result(LONG) == 6


def test_a_bound_method(master: Master) -> None:
    assert master.submit(Point(4).doubled).result(LONG).x == 8


def test_an_object_of_a_class_of_this_module(master: Master) -> None:
    found = master.submit(make_point, 4).result(LONG)
    assert type(found) is Point
    assert found.x == 4


def test_a_global_has_the_value_that_it_had_at_the_call(master: Master) -> None:
    global factor
    before = master.submit(by_global, 2).result(LONG)
    factor += 1
    try:
        after = master.submit(by_global, 2).result(LONG)
    finally:
        factor -= 1
    assert (before, after) in {(6, 8), (6, 6)}  # a module that can be imported is imported


def test_a_result_of_none(master: Master) -> None:
    assert master.submit(work.note, os.devnull, 1).result(LONG) is None


def test_many_calls(master: Master) -> None:
    futures = [master.submit(work.square, i) for i in range(500)]
    assert [future.result(LONG) for future in futures] == [i * i for i in range(500)]


def test_a_map_is_in_order(master: Master) -> None:
    assert list(master.map(work.square, range(5000))) == [i * i for i in range(5000)]


def test_a_map_out_of_order(master: Master) -> None:
    found = sorted(master.map(work.square, range(500), ordered=False))
    assert found == [i * i for i in range(500)]


def test_a_map_of_several_iterables(master: Master) -> None:
    assert list(master.map(work.add, range(50), range(50))) == [2 * i for i in range(50)]


def test_an_empty_map(master: Master) -> None:
    assert list(master.map(work.square, [])) == []


def test_an_endless_map(master: Master) -> None:
    results = master.map(work.square, itertools.count())
    assert list(itertools.islice(results, 100)) == [i * i for i in range(100)]
    results.close()
    assert master.submit(work.square, 3).result(LONG) == 9


def test_as_completed(master: Master) -> None:
    futures = [master.submit(work.square, i) for i in range(20)]
    done = [future.result() for future in master.as_completed(futures, LONG)]
    assert sorted(done) == [i * i for i in range(20)]


def test_a_callback(master: Master) -> None:
    called = threading.Event()
    master.submit(work.square, 2).add_done_callback(lambda _: called.set())
    if master.submit(work.square, 1).result(LONG):
        wait_until(called.is_set, LONG)


def test_uneven_tasks(master: Master) -> None:
    """A long task holds none that come after it for longer than itself."""
    times = [0.2, *[0.001] * 50, 0.1, *[0.001] * 50]
    assert list(master.map(work.wait, times)) == times


def test_an_array_there_and_back(master: Master) -> None:
    array = np.arange(500_000.0)
    assert np.array_equal(master.submit(np.negative, array).result(LONG), -array)


def test_arrays_of_many_tasks(master: Master) -> None:
    arrays = [np.full(30_000, float(i)) for i in range(8)]
    assert [float(found) for found in master.map(np.max, arrays)] == [float(i) for i in range(8)]


def test_a_long_text(master: Master) -> None:
    text = "text " * 100_000
    assert master.submit(str.upper, text).result(LONG) == text.upper()


# -- errors ---------------------------------------------------------------------------------


def test_an_exception(master: Master) -> None:
    with pytest.raises(ValueError, match="this one"):
        master.submit(work.fail, "this one").result(LONG)


def test_its_traceback_in_the_task(master: Master) -> None:
    with pytest.raises(ValueError) as caught:
        master.submit(work.fail, "this one").result(LONG)
    notes = "".join(getattr(caught.value, "__notes__", []))
    assert "raise ValueError(text)" in notes
    assert "in fail" in notes


def test_its_cause(master: Master) -> None:
    with pytest.raises(OSError, match="second") as caught:
        master.submit(work.fail_with_cause).result(LONG)
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_exception_that_cannot_be_made_again(master: Master) -> None:
    with pytest.raises(work.Strange, match="1 and 2") as caught:
        master.submit(work.fail_strangely).result(LONG)
    assert caught.value.sum == 3


def test_sys_exit_is_a_failure(master: Master) -> None:
    with pytest.raises(TaskFailed) as caught:
        master.submit(work.leave, 3).result(LONG)
    assert isinstance(caught.value.__cause__, SystemExit)


def test_a_result_that_cannot_be_sent(master: Master) -> None:
    with pytest.raises((UnpicklableError, TaskFailed), match="cannot be pickled"):
        master.submit(work.unpicklable).result(LONG)


def test_an_argument_that_cannot_be_sent(master: Master) -> None:
    with pytest.raises(UnpicklableError):
        master.submit(work.square, threading.Lock())


def test_one_failure_among_many(master: Master) -> None:
    found = list(master.map(work.fail_for, range(200), [77] * 200, return_errors=True))
    assert [i for i, each in enumerate(found) if isinstance(each, Exception)] == [77]
    assert found[78:] == list(range(78, 200))


def test_a_map_ends_with_a_failure(master: Master) -> None:
    with pytest.raises(ValueError, match="not 5"):
        list(master.map(work.fail_for, range(20), [5] * 20))
    assert master.submit(work.square, 3).result(LONG) == 9


# -- options --------------------------------------------------------------------------------


def test_retries(master: Master, tmp_path: Path) -> None:
    careful = master.options(retries=3)
    assert careful.submit(work.fail_until, str(tmp_path / "tries"), 3).result(LONG) == 3


def test_retries_with_a_delay(master: Master, tmp_path: Path) -> None:
    careful = master.options(retries=2, delay=0.05)
    assert careful.submit(work.fail_until, str(tmp_path / "tries"), 2).result(LONG) == 2


def test_not_enough_retries(master: Master, tmp_path: Path) -> None:
    path = tmp_path / "tries"
    with pytest.raises(OSError, match="not yet"):
        master.options(retries=1).submit(work.fail_until, str(path), 5).result(LONG)
    assert path.stat().st_size == 2


def test_retries_of_other_exceptions_only(master: Master, tmp_path: Path) -> None:
    path = tmp_path / "tries"
    careful = master.options(retries=3, retry_on=KeyError)
    with pytest.raises(OSError, match="not yet"):
        careful.submit(work.fail_until, str(path), 2).result(LONG)
    assert path.stat().st_size == 1


def test_no_retries(master: Master, tmp_path: Path) -> None:
    path = tmp_path / "tries"
    with pytest.raises(OSError, match="not yet"):
        master.submit(work.fail_until, str(path), 2).result(LONG)
    assert path.stat().st_size == 1


def test_priorities(master: Master, kind: str, tmp_path: Path) -> None:
    """What is urgent is before most of what was asked for earlier."""
    path, gate = str(tmp_path / "order"), tmp_path / "gate"
    low = []
    if kind == "delayed":
        pytest.skip("there is a slot for each of them")
    for name in SLOTS.get(kind, "ab"):  # all are busy, one task each, until the gate is open
        low.append(master.submit(work.hold, str(tmp_path / name), str(gate)))
        wait_until((tmp_path / name).exists, LONG)
    try:
        low += [master.submit(work.note, path, "low") for _ in range(60)]
        high = [master.options(priority=5).submit(work.note, path, "high") for _ in range(3)]
    finally:
        gate.touch()
    for future in [*low, *high]:
        future.result(LONG)
    order = (tmp_path / "order").read_text().split()
    assert order.count("high") == 3
    assert order.index("high") < 55


def test_a_time_limit(master: Master, kind: str) -> None:
    if kind not in IN_MAIN_THREADS:
        pytest.skip("tasks are executed in threads, where a time limit does not hold")
    with pytest.raises(TaskTimeout):
        master.options(timeout=0.3).submit(work.wait, 20.0).result(LONG)
    assert master.submit(work.square, 3).result(LONG) == 9


def test_a_pure_task(master: Master) -> None:
    assert master.options(pure=True).submit(work.square, 4).result(LONG) == 16


def test_a_seed(master: Master) -> None:
    first = list(master.map(_random, range(5), seed=7))
    again = list(master.map(_random, range(5), seed=7))
    other = list(master.map(_random, range(5), seed=8))
    assert first == again != other
    assert len({tuple(each) for each in first}) == 5


def test_the_numbers_of_a_seed(master: Master) -> None:
    """The same on every engine."""
    first = next(iter(master.map(_random, range(1), seed=7)))
    assert [round(each, 6) for each in first] == NUMBERS


def _random(_: int) -> list[float]:
    return work.random_numbers()


def test_cancelling_what_waits(master: Master, kind: str) -> None:
    if kind == "serial":
        pytest.skip("nothing is executed before it is waited for")
    busy = [master.submit(work.wait, 0.3) for _ in range(8)]
    waiting = master.submit(work.wait, 30.0)
    assert waiting.cancel()
    with pytest.raises(TaskCancelled):
        waiting.result(LONG)
    for future in busy:
        future.result(LONG)


def test_cancelling_what_runs(master: Master, kind: str) -> None:
    """Its outcome is taken away; an engine goes on with it, since nothing interrupts it."""
    if kind == "serial":
        pytest.skip("what runs is executed by the caller itself")
    running = master.submit(work.wait, 5.0)
    wait_until(running.running, LONG)
    assert running.cancel()
    with pytest.raises(TaskCancelled):
        running.result(LONG)
    assert master.submit(work.square, 3).result(LONG) == 9


def test_a_wait_with_a_bound(master: Master, kind: str) -> None:
    if kind == "serial":
        pytest.skip("the caller executes what it waits for")
    slow = master.submit(work.wait, 0.5)
    with pytest.raises(TimeoutError):
        slow.result(0.01)
    assert slow.result(LONG) == 0.5


# -- stored values --------------------------------------------------------------------------


def test_a_shared_value(master: Master) -> None:
    with master.share(numbers=list(range(100))) as shared:
        found = list(master.map(work.total, [shared.numbers] * 5))
    assert found == [4950] * 5


def test_a_large_shared_value(master: Master) -> None:
    with master.share(array=np.ones(300_000)) as shared:
        found = [float(each) for each in master.map(work.total, [shared.array] * 4)]
    assert found == [300_000.0] * 4


def test_a_state(master: Master) -> None:
    state = master.store_state(numbers=[1, 2, 3])
    assert master.submit(work.total, StateValue(state, "numbers")).result(LONG) == 6
    master.delete_state(state)


def test_a_state_in_containers(master: Master) -> None:
    state = master.store_state(one=1, two=2)
    nested = [StateValue(state, "one"), StateValue(state, "two")]
    assert master.submit(work.total, nested).result(LONG) == 3
    master.delete_state(state)


def test_a_state_that_is_gone(master: Master) -> None:
    state = master.store_state(numbers=[1])
    assert master.submit(work.total, StateValue(state, "numbers")).result(LONG) == 1
    master.delete_state(state)
    with pytest.raises((UsageError, TaskError), match="never stored, or deleted"):
        master.submit(work.total, StateValue(state, "numbers")).result(LONG)


def test_states_one_after_the_other(master: Master) -> None:
    for number in range(5):
        state = master.store_state(value=[number])
        assert master.submit(work.total, StateValue(state, "value")).result(LONG) == number
        master.delete_state(state)


def test_a_function_with_much_in_its_closure(master: Master) -> None:
    table = np.arange(100_000.0)
    found = list(master.map(lambda i: float(table[i]), range(20)))
    assert found == [float(i) for i in range(20)]


# -- inside of tasks ------------------------------------------------------------------------


def test_calls_inside_of_calls(master: Master) -> None:
    assert master.submit(work.nested, 5).result(LONG) == 30


def test_more_of_them_than_slots(master: Master) -> None:
    """Each waits for others: nothing is left that would execute them but those that wait."""
    assert list(master.map(work.nested, [4] * 10)) == [14] * 10


def test_calls_inside_of_calls_inside_of_calls(master: Master) -> None:
    assert master.submit(work.twice_nested, 4).result(LONG) == 42


def test_a_map_inside_of_a_call(master: Master) -> None:
    assert master.submit(work.nested_map, 20).result(LONG) == sum(i * i for i in range(20))


def test_a_failure_inside_of_a_call(master: Master) -> None:
    assert master.submit(work.nested_failure).result(LONG) == "inside"


def test_a_task_with_a_thread(master: Master) -> None:
    assert master.submit(work.start_thread, 1).result(LONG) == 2


def test_where_tasks_are_executed(master: Master, kind: str) -> None:
    pids = {each["pid"] for each in master.map(_where, range(50))}
    assert (os.getpid() in pids) is (kind in HERE_ONLY)


def _where(_: int) -> dict[str, Any]:
    return work.environment()


# -- losses ---------------------------------------------------------------------------------


def test_a_task_that_ends_its_process(master: Master, kind: str) -> None:
    """It is tried three times, and nothing else is lost."""
    if kind in HERE_ONLY:
        pytest.skip("it would end this process")
    futures = [master.submit(work.end_process, i, 37) for i in range(100)]
    lost = [i for i, future in enumerate(futures) if future.exception(LONG) is not None]
    assert lost == [37]
    assert isinstance(futures[37].exception(), TaskLost)
    assert [future.result() for future in futures[38:]] == list(range(38, 100))


def test_everything_adds_up(master: Master) -> None:
    """The last test: nothing waits or runs any more, and all has an outcome."""
    assert master.submit(work.square, 2).result(LONG) == 4
    status = wait_until(lambda: (s := master.status()) and not s.running and s, LONG)
    assert not status.waiting
    settled = status.done + status.failed + status.cancelled
    assert settled == status.submitted
