"""A `map` that is left early: what nobody wants any more is taken back, and holds nothing up."""

from __future__ import annotations

import contextlib
import gc
import itertools
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from masterworker import Master, TaskFailed, UnpicklableError
from masterworker.master import engine_of
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def first_only(number: int) -> int:
    """The first is done at once; all others would go on for longer than any test."""
    if number:
        threading.Event().wait(10 * HANG)
    return number


def first_fails(number: int) -> int:
    if not number:
        raise ValueError("the first")
    return first_only(number)


def odd_fail(number: int) -> int:
    if number % 2:
        raise ValueError(number)
    return number


def raises(error: BaseException) -> None:
    raise error


@pytest.fixture
def master() -> Iterator[Master]:
    with Master(workers=2) as found:
        yield found
        engine_of(found).manager.check()
        assert not engine_of(found).manager.repairs


# -- ways to leave ---------------------------------------------------------------------------


def leave_by_break(results: Iterator[int]) -> None:
    for _ in results:
        break


def leave_by_exception(results: Iterator[int]) -> None:
    def loop() -> None:
        for _ in results:
            raise LookupError

    with pytest.raises(LookupError):
        loop()


def leave_by_close(results: Iterator[int]) -> None:
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert not list(results)


def leave_by_closing(results: Iterator[int]) -> None:
    with contextlib.closing(results) as closing:  # type: ignore[type-var]
        assert next(closing) == 0


def leave_by_slice(results: Iterator[int]) -> None:
    assert list(itertools.islice(results, 1)) == [0]


def leave_by_zip(results: Iterator[int]) -> None:
    assert list(zip([5], results, strict=False)) == [(5, 0)]


def leave_by_any(results: Iterator[int]) -> None:
    assert any(n == 0 for n in results)


def leave_untouched(results: Iterator[int]) -> None:
    """Not even begun."""


def leave_in_a_cycle(results: Iterator[int]) -> None:
    """Only the collector of garbage finds it."""
    assert next(results) == 0
    cycle: list[Any] = [results]
    cycle.append(cycle)


def leave_in_another_thread(results: Iterator[int]) -> None:
    thread = threading.Thread(target=leave_by_break, args=(results,))
    thread.start()
    thread.join()


WAYS = [
    leave_by_break,
    leave_by_exception,
    leave_by_close,
    leave_by_closing,
    leave_by_slice,
    leave_by_zip,
    leave_by_any,
    leave_untouched,
    leave_in_a_cycle,
    leave_in_another_thread,
]


def nothing_is_left(master: Master) -> bool:
    seen = master.status()
    return not (seen.waiting or seen.running)


def assert_nothing_is_left(master: Master) -> None:
    """Neither in the queue nor in a worker, and the next one need not wait."""
    assert nothing_is_left(master)
    assert list(master.map(abs, range(-3, 0))) == [3, 2, 1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("more", [{}, {"ordered": False}, {"progress": True}])
def test_what_is_left_early_is_taken_back(
    master: Master, way: Callable[[Iterator[int]], None], more: dict[str, Any]
) -> None:
    """Whichever way it is left, also an endless one."""
    way(master.map(first_only, itertools.count(), **more))
    gc.collect()
    assert_nothing_is_left(master)
    assert engine_of(master).manager.summary().not_run == 0


@pytest.mark.parametrize("more", [{}, {"timeout": 600}, {"priority": 3, "retries": 2}])
def test_what_has_failed_takes_back_the_rest(master: Master, more: dict[str, Any]) -> None:
    """Also tasks with options; the iterator has ended."""
    asking = master.options(**more) if more else master
    if "retries" in more:
        asking = master.options(**more, retry_on=KeyError)
    results = asking.map(first_fails, range(40))
    with pytest.raises(ValueError, match="the first"):
        list(results)
    assert_nothing_is_left(master)
    assert not list(results)


def test_an_interrupted_loop_takes_back_the_rest(master: Master) -> None:
    """A Ctrl-C, in the loop or while it waits, is an exception like others."""

    def loop() -> None:
        for _ in master.map(first_only, range(40)):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert_nothing_is_left(master)


def test_two_maps_at_once(master: Master) -> None:
    """One is left, and the other one goes on."""
    other = master.map(abs, range(5000))
    leave_by_break(master.map(first_only, range(100)))
    assert list(other) == list(range(5000))


def test_zipped_maps(master: Master) -> None:
    """The longer one is left when the shorter one ends."""
    pairs = zip(master.map(abs, range(3)), master.map(abs, itertools.count()), strict=False)
    assert list(pairs) == [(0, 0), (1, 1), (2, 2)]
    del pairs
    assert_nothing_is_left(master)


def test_submitted_tasks_go_on_without_their_handles(master: Master) -> None:
    """Who submits a task and forgets the future wants it executed, as with concurrent.futures."""
    for number in range(100):
        master.submit(abs, number)
    for future in master.as_completed([master.submit(abs, n) for n in range(100)]):
        assert future.result() >= 0
        break
    wait_until(lambda: nothing_is_left(master), HANG)
    assert engine_of(master).manager.summary().done == 200


def test_it_is_said_if_nobody_has_taken_anything(
    master: Master, caplog: pytest.LogCaptureFixture
) -> None:
    """With other pools, all calls are executed then."""
    master.map(first_only, range(50))
    assert nothing_is_left(master)
    # Of slow starts the log may speak, too.
    [told] = [text for r in caplog.records if "no result" in (text := r.getMessage())]
    assert "no result has been taken of map(first_only)" in told
    assert "for _ in master.map(...)" in told
    caplog.clear()
    leave_by_break(master.map(first_only, range(50)))
    master.map(abs, [])
    assert nothing_is_left(master)
    assert "no result" not in caplog.text


def test_a_serial_master_takes_back_as_well() -> None:
    """Nothing is executed that nobody waits for."""
    done: list[int] = []
    with Master(serial=True) as master:
        leave_by_break(master.map(odd_fail, itertools.count(0, 2)))
        assert nothing_is_left(master)
        assert master.submit(abs, -1).result(HANG) == 1
        assert not done


def test_garbage_may_be_collected_anywhere(master: Master) -> None:
    """In the middle of whatever the master does, with whatever locks are held."""
    before = gc.get_threshold()
    gc.set_threshold(20, 2, 2)
    try:
        for number in range(300):
            leave_in_a_cycle(master.map(abs, range(5)))
            assert master.submit(abs, -number).result(HANG) == number
            if number % 10 == 0:
                master.status()
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert_nothing_is_left(master)


# -- failures in their places -----------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("number", [5, 3000])
def test_failures_in_their_places(master: Master, ordered: bool, number: int) -> None:
    """Each call has its result or its exception, and the loop goes on."""
    found = list(master.map(odd_fail, range(number), ordered=ordered, return_errors=True))
    assert len(found) == number
    results = [value for value in found if isinstance(value, int)]
    errors = [value for value in found if isinstance(value, ValueError)]
    assert sorted(results) == list(range(0, number, 2))
    assert sorted(error.args[0] for error in errors) == list(range(1, number, 2))
    if ordered:
        assert [isinstance(value, int) for value in found] == [n % 2 == 0 for n in range(number)]


def test_failures_of_every_kind(master: Master) -> None:
    """What cannot be sent back, what a time limit has ended, what ends programs."""
    kinds = [ValueError("one"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), KeyError(5)]
    found = list(master.map(raises, kinds, return_errors=True))
    assert [type(error) for error in found] == [
        ValueError, TaskFailed, TaskFailed, TaskFailed, KeyError,
    ]  # fmt: skip
    limited = master.options(timeout=0.2).map(first_only, range(3), return_errors=True)
    assert [isinstance(value, TimeoutError) for value in limited] == [False, True, True]
    lambdas = list(master.map(make_lambda, range(2), return_errors=True))
    assert lambdas[0] == 0
    assert isinstance(lambdas[1], UnpicklableError)


def make_lambda(number: int) -> Any:
    return threading.Lock() if number else number


# -- iterables that fail ----------------------------------------------------------------------


def count_until(kind: type[Exception], results: Iterator[Any]) -> int:
    """How many results there are before this is raised."""
    seen = 0
    try:
        for _ in results:
            seen += 1
    except kind:
        return seen
    pytest.fail(f"no {kind}")


def failing_after(number: int) -> Iterator[int]:
    yield from range(number)
    raise LookupError("no more items")


@pytest.mark.parametrize("ordered", [True, False])
def test_an_iterable_that_fails_late(master: Master, ordered: bool) -> None:
    """All results of what came before it are yielded first."""
    results = master.map(abs, failing_after(30_000), ordered=ordered)
    assert count_until(LookupError, results) == 30_000
    assert_nothing_is_left(master)


def test_an_iterable_that_fails_at_once(master: Master) -> None:
    """The call fails, and has left nothing behind."""
    with pytest.raises(LookupError):
        master.map(first_only, failing_after(3))
    assert_nothing_is_left(master)


def test_an_item_that_cannot_be_sent(master: Master) -> None:
    """The same; late ones come in their place."""
    with pytest.raises(UnpicklableError):
        master.map(first_only, [0, 1, threading.Lock()])
    assert_nothing_is_left(master)
    items = itertools.chain(range(20_000), [threading.Lock()], range(5))
    assert count_until(UnpicklableError, master.map(type, items)) == 20_000


# -- just before the end ----------------------------------------------------------------------


def clean_up(number: int, begun: str, cleaned: str) -> int:
    """All but the first go on until they are broken off."""
    if number:
        Path(begun).touch()
        try:
            threading.Event().wait(10 * HANG)
        finally:
            Path(cleaned).touch()
    return number


def test_what_runs_is_broken_off_also_at_the_end_of_the_job(tmp_path: Path) -> None:
    """A loop that is left at the end of a `with` block: nobody waits for what is not wanted."""
    begun, cleaned = tmp_path / "begun", tmp_path / "cleaned"
    with Master(workers=2) as master:
        more = itertools.repeat(str(begun)), itertools.repeat(str(cleaned))
        for _ in master.map(clean_up, range(2), *more):
            wait_until(begun.exists, HANG)
            break
        del _
    assert cleaned.exists()
    assert not engine_of(master).manager.core.tally.lost_members


@pytest.mark.parametrize("serial", [False, True])
@pytest.mark.parametrize("ordered", [True, False])
def test_items_that_come_slowly(ordered: bool, serial: bool) -> None:
    """A result that is here does not wait until thousands of further items have come."""
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        pause = threading.Event()
        for drawn in itertools.count():
            assert drawn < 1000, "all of them are drawn first"
            pause.wait(0.03)
            yield drawn

    with Master(serial=True) if serial else Master(workers=1) as master:
        results = master.map(abs, items(), ordered=ordered)
        assert [next(results) for _ in range(10)] == [*range(10)]
        results.close()
