"""Calls of functions in real worker processes: submit, map, as_completed."""

from __future__ import annotations

import functools
import itertools
import math
import operator
import os
from typing import TYPE_CHECKING, Any

import pytest

from integration import work
from masterworker import Future, UsageError
from masterworker.errors import UnpicklableError
from support import HANG, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from masterworker import Master


def test_submit(two_workers: Master) -> None:
    """A call is executed elsewhere; its future tells when it is done, and the result."""
    future = two_workers.submit(work.pid)

    assert future.result(HANG) != os.getpid()
    assert future.done()
    assert future.result() == future.result(0)
    assert future.exception() is None
    assert future.task_id in repr(future)


def test_arguments_of_all_kinds(two_workers: Master) -> None:
    """Positional and keyword arguments; built-in and imported functions, partials, methods."""
    submit = two_workers.submit
    futures = [
        submit(work.add, 1, 2, 3, scale=10),
        submit(math.hypot, 3, 4),
        submit(len, "abc"),
        submit(functools.partial(work.add, 1, scale=2), 5),
        submit("a-b".split, "-"),
        submit(dict, a=1, function=2, self=3),
        submit(complex, 1, 2),
        submit(operator.itemgetter(1), "xyz"),
    ]

    assert [future.result(HANG) for future in futures] == [
        60, 5.0, 3, 12, ["a", "b"], {"a": 1, "function": 2, "self": 3}, 1 + 2j, "y",
    ]  # fmt: skip


def test_lambdas_and_local_functions(two_workers: Master) -> None:
    """They travel with the call, with all that they refer to at that moment."""
    factor = 3

    def scaled(x: int) -> int:
        return factor * x

    class Local:
        def __init__(self, x: int) -> None:
            self.x = x

    first = two_workers.submit(scaled, 5)
    factor = 4
    second = two_workers.submit(scaled, 5)

    assert [first.result(HANG), second.result(HANG)] == [15, 20]
    assert two_workers.submit(lambda x: x + 1, 1).result(HANG) == 2
    assert two_workers.submit(Local, 7).result(HANG).x == 7


def test_arguments_are_fixed_when_they_are_given(two_workers: Master, tmp_path: Path) -> None:
    """A later change does not matter."""
    gate = str(tmp_path / "go")
    blocks = [two_workers.submit(work.wait_for_file, gate) for _ in range(2)]
    values = [1, 2]
    future = two_workers.submit(sum, values)
    values.append(100)
    (tmp_path / "go").touch()

    assert future.result(HANG) == 3
    assert all(block.result(HANG) for block in blocks)


def test_map_in_order_and_as_they_come(two_workers: Master) -> None:
    """Ordered unless it is said otherwise."""
    numbers = list(range(50))
    squares = [n * n for n in numbers]

    assert list(two_workers.map(work.square, numbers)) == squares
    assert sorted(two_workers.map(work.square, numbers, ordered=False)) == squares
    assert list(two_workers.map(work.square, numbers, progress=True)) == squares
    assert list(two_workers.map(work.square, [])) == []
    assert list(two_workers.map(work.square, (n for n in numbers))) == squares


def test_map_over_several_iterables_ends_with_the_shortest(two_workers: Master) -> None:
    """As the built-in does."""
    found = two_workers.map(math.pow, [1, 2, 3], itertools.repeat(2))
    assert list(found) == [1.0, 4.0, 9.0]
    assert list(two_workers.map(work.add, [1, 2], [10, 20, 30], [100, 200])) == [111, 222]


def test_map_over_many(two_workers: Master) -> None:
    """More than are under way at a time: nothing lost, nothing twice, all in order."""
    number = 25_000
    assert list(two_workers.map(work.square, range(number))) == [n * n for n in range(number)]


@pytest.mark.parametrize("ordered", [True, False])
def test_map_draws_an_endless_iterator_as_needed(two_workers: Master, ordered: bool) -> None:
    """Not more than a bounded number of items are drawn ahead."""
    drawn = itertools.count()
    found = two_workers.map(work.square, drawn, ordered=ordered)

    first = list(itertools.islice(found, 50))

    assert len(first) == 50
    if ordered:
        assert first == [n * n for n in range(50)]
    assert next(drawn) < 20_000
    del found


def test_map_raises_what_a_call_raised(two_workers: Master) -> None:
    """At the place of that call; the others go on."""
    found = two_workers.map(math.sqrt, [4, -1, 9])

    assert next(found) == 2.0
    with pytest.raises(ValueError, match="math domain error"):
        next(found)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_failing_iterator_is_the_callers_error(two_workers: Master, ordered: bool) -> None:
    """It surfaces in the loop, and the master is good for more."""

    def items() -> Any:
        yield 1
        raise LookupError("my own iterator")

    with pytest.raises(LookupError, match="my own iterator"):
        list(two_workers.map(work.square, items(), ordered=ordered))
    assert two_workers.submit(work.square, 3).result(HANG) == 9


def test_as_completed(two_workers: Master, tmp_path: Path) -> None:
    """Futures come as they are done, each once; the slow one last."""
    gate = tmp_path / "go"
    slow = two_workers.submit(work.wait_for_file, str(gate))
    fast = [two_workers.submit(work.square, n) for n in range(20)]

    seen: list[Future] = []
    for future in two_workers.as_completed([slow, *fast, slow], timeout=HANG):
        assert future.done()
        seen.append(future)
        if len(seen) == 20:
            gate.touch()

    assert seen[-1] is slow
    assert set(seen) == {slow, *fast}
    assert len(seen) == 21
    assert set(two_workers.as_completed(fast, timeout=HANG)) == set(fast)
    assert list(two_workers.as_completed([])) == []


def test_timeouts(two_workers: Master, tmp_path: Path) -> None:
    """A wait with a bound ends there, and the task goes on."""
    gate = tmp_path / "go"
    future = two_workers.submit(work.wait_for_file, str(gate))

    assert not future.done()
    for timeout in (0, 0.05, -1):
        with pytest.raises(TimeoutError, match="not done"):
            future.result(timeout)
    with pytest.raises(TimeoutError):
        future.exception(0.01)
    with pytest.raises(TimeoutError, match="1 task"):
        next(two_workers.as_completed([future], timeout=0.05))
    gate.touch()
    assert future.result(HANG) is True


def test_what_cannot_be_called_is_refused_at_once(two_workers: Master) -> None:
    """Errors of the call surface at the call, and name what is wrong."""
    import threading

    lock = threading.Lock()
    with pytest.raises(UsageError, match="not a function"):
        two_workers.submit(5)  # type: ignore[arg-type]
    with pytest.raises(UnpicklableError, match=r"parameter 2 \(a lock\)"):
        two_workers.submit(work.add, 1, lock)
    with pytest.raises(UnpicklableError, match="lock"):
        two_workers.submit(work.add, 1, scale=lock)
    with pytest.raises(UnpicklableError, match="lock"):
        two_workers.submit(lambda: lock)
    with pytest.raises(UnpicklableError, match=r"parameter 1 \(a list\)"):
        list(two_workers.map(work.square, [[lock]]))
    with pytest.raises(UsageError, match="tag"):
        two_workers.map("", [1])
    with pytest.raises(UsageError, match="tag"):
        two_workers.request_task("@square", 1)
    with pytest.raises(UnpicklableError, match=r"'square'.*parameter 1"):
        two_workers.request_task("square", lock)


def test_all_workers_take_part(two_workers: Master) -> None:
    """Both processes execute tasks, and the status names them."""
    wait_until(lambda: len(two_workers.status().processes) == 3, what="both workers are there")
    pids = set(two_workers.map(work.pid, range(400)))
    wait_until(lambda: len(pids | set(two_workers.map(work.pid, range(400)))) == 2)

    told = " ".join(info for _, info, _ in two_workers.status().processes)
    for number in pids:
        assert f"pid {number} on" in told


def test_iterators_say_how_they_stand(two_workers: Master) -> None:
    """What they are of, and how much is left."""
    results = two_workers.map(abs, range(-5, 0))
    assert repr(results) == "<results of map(abs): 5 asked for and not yielded yet>"
    assert next(results) == 5
    assert list(results) == [4, 3, 2, 1]
    assert "0 asked for" in repr(results)
    futures = [two_workers.submit(abs, -n) for n in range(3)]
    completed = two_workers.as_completed(futures)
    assert repr(completed) == "<as_completed: 3 futures not yielded yet>"
    assert next(completed) in futures
    assert len(list(completed)) == 2
    assert (
        repr(two_workers.results("sqrt")) == "<outcomes of tag 'sqrt' as they come: loop over them>"
    )
