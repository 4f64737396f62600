"""`Pool`: what is its own, beside what programs for `multiprocessing.Pool` expect."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import pickle
import signal
import threading
import warnings
import weakref
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from masterworker import Master, Pool, UnpicklableError
from support import lasting, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """One for all tests that do not end it."""
    with Pool(2) as made:
        lasting.add(made._job.master.label)
        yield made


def double(x: int) -> int:
    return 2 * x


def die_once(path: str, x: int) -> int:
    """The first of all calls with a path ends its process."""
    try:
        Path(path).mkdir()
    except FileExistsError:
        return x
    os.kill(os.getpid(), signal.SIGKILL)
    return -1


def idle(seconds: float) -> None:
    threading.Event().wait(seconds)


def generator(x: int) -> Any:
    return (each for each in range(x))


def started(*args: Any) -> None:
    raise RuntimeError(f"cannot start with {args}")


def test_a_worker_that_dies_costs_nothing(pool: Pool, tmp_path: Path) -> None:
    arguments = [(str(tmp_path / "once"), x) for x in range(30)]
    assert pool.starmap(die_once, arguments) == list(range(30))


def test_it_is_called_as_map_is(pool: Pool) -> None:
    assert pool(double, range(5)) == [0, 2, 4, 6, 8]
    assert pool(pow, [2, 3], (3, 2)) == [8, 9]
    with pytest.raises(TypeError, match="as map is"):
        pool(double)


def test_what_it_tells(pool: Pool) -> None:
    assert (pool.size, pool._processes, pool.is_master()) == (2, 2, True)
    assert repr(pool) == "<masterworker.Pool state=RUN size=2>"
    assert "pending" in repr(pool.apply_async(idle, (0.05,)))


class Solver:
    """Carries its pool along, as those of libraries do."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def solve(self, x: int) -> tuple[int, bool, list[int]]:
        """Ask the pool for further calls."""
        pool = self.pool
        with pool:
            several = [
                *pool.map(double, [x, x]),
                *pool.starmap(pow, [(x, 2)]),
                *pool.imap(double, [x]),
                *pool(double, [x]),
                pool.apply(double, (x,)),
                pool.apply_async(double, (x,)).get(),
            ]
            failed = pool.map_async(divmod, [x])
            assert failed.ready()
            assert not failed.successful()
        return pool.size, pool.is_master(), several


def test_a_pool_that_is_pickled_executes_calls_at_once(pool: Pool) -> None:
    """In its own process it is itself."""
    expected = (1, False, [6, 6, 9, 6, 6, 6, 6])
    assert pool.map(Solver(pool).solve, [3, 3]) == [expected] * 2
    assert pickle.loads(pickle.dumps(pool)) is pool


def test_lambdas_travel_in_both_directions(pool: Pool) -> None:
    add = 3
    assert pool.map(lambda x: x + add, [1, 2]) == [4, 5]
    assert pool.apply(lambda: lambda x: -x)(4) == -4


def test_what_cannot_be_pickled_fails_its_own_result(pool: Pool) -> None:
    lock = threading.Lock()
    with pytest.raises(UnpicklableError, match="lock"):
        pool.apply_async(double, (lock,)).get(30)
    with pytest.raises(UnpicklableError, match="lock"):
        pool.map_async(double, [1, lock]).get(30)
    results = pool.imap(double, [1, lock])
    assert next(results) == 2
    with pytest.raises(UnpicklableError, match="lock"):
        next(results)
    told: list[BaseException] = []
    waiting = pool.map_async(generator, [1, 2], error_callback=told.append)
    with pytest.raises(UnpicklableError, match="generator"):
        waiting.get(30)
    assert isinstance(told[0], UnpicklableError)


def test_all_calls_are_executed_and_the_first_error_in_order_is_raised(
    pool: Pool, tmp_path: Path
) -> None:
    names = [str(tmp_path / str(x)) for x in range(40)]
    Path(names[7]).mkdir()
    Path(names[3]).mkdir()
    with pytest.raises(FileExistsError, match="/3'"):
        pool.map(os.mkdir, names)
    assert all(map(os.path.isdir, names))


def test_items_may_be_endless(pool: Pool) -> None:
    results = pool.imap(double, itertools.count())
    assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
    results.close()
    with pytest.raises(StopIteration):
        next(results)
    unordered = pool.imap_unordered(double, itertools.count(), buffersize=4)
    assert len({next(unordered) for _ in range(100)}) == 100
    unordered.close()


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("most", [1, 2, 7, 20])
def test_no_more_than_the_buffer_holds_are_drawn(pool: Pool, *, ordered: bool, most: int) -> None:
    """Whatever has been yielded, so many others at most have been drawn."""
    drawn, ahead = [0], []

    def items() -> Iterator[int]:
        for x in range(100):
            drawn[0] += 1
            yield x

    method = pool.imap if ordered else pool.imap_unordered
    for yielded, _ in enumerate(method(double, items(), buffersize=most), 1):
        ahead.append(drawn[0] - yielded)
    assert len(ahead) == 100
    assert max(ahead) <= most
    assert drawn == [100]


def test_an_iterable_that_raises_does_it_in_its_place(pool: Pool) -> None:
    def items(number: int) -> Iterator[int]:
        yield from range(number)
        raise LookupError("no more")

    for number in (0, 3):
        for method in (pool.imap, pool.imap_unordered):
            results = method(double, items(number))
            assert len([next(results) for _ in range(number)]) == number
            with pytest.raises(LookupError, match="no more"):
                next(results)
            assert list(results) == []
        with pytest.raises(LookupError, match="no more"):
            pool.map_async(double, items(number))


def test_a_callback_may_raise_and_may_ask(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    """What it raises is logged once, and the others are called."""
    told: list[int] = []
    pool.apply_async(double, (1,), callback=lambda _: 1 / 0).wait()
    pool.map_async(double, [2], callback=lambda _: told.extend(pool.map(double, [10]))).wait()
    pool.apply_async(double, (3,), callback=told.append).wait()
    assert told == [20, 6]
    assert [r.exc_info[0] for r in caplog.records if r.exc_info] == [ZeroDivisionError]


def test_what_was_terminated_says_so() -> None:
    pool, told = Pool(1), []
    waiting = [
        pool.apply_async(idle, (1000,), error_callback=told.append),
        pool.map_async(idle, [1000] * 3, error_callback=told.append),
    ]
    lazy = pool.imap(idle, [1000])
    pool.terminate()
    for each in waiting:
        with pytest.raises(BrokenExecutor, match="ended before"):
            each.get(30)
        assert each.ready()
        assert not each.successful()
    with pytest.raises(BrokenExecutor, match="ended before"):
        next(lazy)
    pool.join()
    assert [type(each) for each in told] == [BrokenExecutor] * 2


def test_an_initializer_that_raises_is_told() -> None:
    """The calls fail; `multiprocessing` starts processes again and again."""
    with Pool(1, started, (1, "two")) as pool:
        waiting = [pool.map_async(double, [1]), pool.apply_async(double, (1,))]
        for each in waiting:
            with pytest.raises(BrokenExecutor, match="no worker could start") as caught:
                each.get(60)
            assert "cannot start with (1, 'two')" in str(caught.value.__cause__)


def test_the_workers_of_a_master() -> None:
    """They live on; what is left of the pool's own calls is waited for, or cancelled."""
    with Master(workers=1) as master:
        pool = Pool(master=master)
        assert pool.size == 1
        asked, lazy = pool.map_async(double, range(500)), pool.imap(double, range(20_000))
        pool.close()
        pool.join()
        assert asked.ready()
        assert sum(lazy) == sum(map(double, range(20_000)))
        other = Pool(master=master)
        waiting = other.map_async(idle, [1000] * 5)
        with other:
            assert not waiting.ready()
        waiting.wait(60)
        assert not waiting.successful()
        assert master.submit(double, 4).result(60) == 8


def test_callbacks_have_run_when_it_was_joined() -> None:
    with Master(workers=1) as master:
        for kept in (None, master):
            pool, told = Pool(None if kept else 1, master=kept), []
            for x in range(300):
                pool.apply_async(double, (x,), callback=told.append)
            pool.close()
            pool.join()
            assert sorted(told) == [2 * x for x in range(300)]


def test_results_are_released(pool: Pool) -> None:
    """Nothing of the pool keeps them."""
    references = [weakref.ref(each) for each in pool.map(frozenset, [[1], [2]])]
    wait_until(lambda: not any(each() for each in references))


def test_a_pool_that_is_dropped_warns() -> None:
    made = Pool(1)
    with pytest.warns(ResourceWarning, match="unclosed running multiprocessing pool"):
        del made
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = Pool(1)
        made.terminate()
        del made


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ((0,), ValueError, "at least 1"),
        ((-1,), ValueError, "at least 1"),
        ((2.5,), TypeError, "must be an integer, not 2.5"),
        ((True,), TypeError, "must be an integer, not True"),
        (("4",), TypeError, "must be an integer, not '4'"),
        ((1, 5), TypeError, "initializer must be a callable"),
        ((1, None, (), 0), ValueError, "maxtasksperchild must be a positive int or None"),
        ((1, None, (), True), ValueError, "maxtasksperchild must be a positive int or None"),
        ((1, None, 5), TypeError, "iterable"),
    ],
)
def test_a_pool_that_cannot_be(
    arguments: tuple[Any, ...], error: type[Exception], told: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=told):
            Pool(*arguments)


BAD_CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    *(
        (name, (function, [1]), {}, TypeError, "func must be a callable")
        for name in ("map", "map_async", "starmap", "imap", "imap_unordered", "apply")
        for function in (None, "double")
    ),
    *(
        (name, (double, [1], number), {}, error, "(?i)chunksize")
        for name in ("map", "starmap_async", "imap", "imap_unordered")
        for number, error in ((0, ValueError), (-1, ValueError), ("3", TypeError), (1.5, TypeError))
    ),
    *(
        ("imap", (double, [1]), {"buffersize": number}, error, "buffersize")
        for number, error in ((0, ValueError), (-1, ValueError), ("3", TypeError))
    ),
    *(
        (name, (double, [1]), {which: 5}, TypeError, "a callback must be a callable")
        for name in ("map_async", "starmap_async", "apply_async")
        for which in ("callback", "error_callback")
    ),
    *((name, (double, 5), {}, TypeError, "iterable") for name in ("map", "imap", "starmap")),
    ("apply", (double, 5), {}, TypeError, "must be an iterable"),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "error", "told"), BAD_CALLS)
def test_bad_calls(
    pool: Pool,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    error: type[Exception],
    told: str,
) -> None:
    """One clear error, at the call."""
    with pytest.raises(error, match=told):
        getattr(pool, name)(*args, **kwargs)
    assert pool.apply(double, (1,)) == 2


@pytest.mark.parametrize("timeout", ["1", math.nan, [1]])
def test_bad_timeouts(pool: Pool, timeout: Any) -> None:
    for ask in (pool.apply_async(double, (1,)).get, pool.imap(double, [1]).next):
        with pytest.raises(ValueError, match="timeout must be a number of seconds"):
            ask(timeout)


def test_a_timeout_that_is_over(pool: Pool) -> None:
    results = pool.imap(idle, [0.2])
    for timeout in (0, -1, 0.001):
        with pytest.raises(multiprocessing.TimeoutError):
            results.next(timeout)
    assert results.next(60) is None


def test_an_iterable_that_raises_leaves_no_iterator_behind() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    with Pool(1) as pool:
        results = pool.imap(double, items())
        assert next(results) == 2
        with pytest.raises(LookupError):
            next(results)
        assert not pool._iterators


def test_a_proxy_in_a_lambda() -> None:
    """They travel with the key of their manager, in whatever they are."""
    with multiprocessing.Manager() as manager, Pool(1) as pool:
        counted = manager.list([0, 1, 2])
        table = manager.dict()
        pool.map(lambda key: table.update({key: [counted]}), "ab")
        assert sorted(table.keys()) == ["a", "b"]
        assert list(table["a"][0]) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["Lock", "Queue", "Event"])
def test_what_processes_inherit_cannot_be_sent(kind: str) -> None:
    """The error says what can."""
    value = getattr(multiprocessing, kind)()
    with Pool(1) as pool, pytest.raises(UnpicklableError, match=r"Manager\(\)\.Queue\(\)"):
        pool.apply(len, ([value],))
    with pytest.raises(UnpicklableError, match=r"argument 1.*Manager\(\)\.Queue\(\)"):
        Pool(1, print, (value,))
