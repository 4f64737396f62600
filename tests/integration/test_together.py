"""Small values travel together. Nobody may notice: each task has its own, as it was at its time."""

from __future__ import annotations

import itertools
import math
import operator
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from integration import work
from masterworker import Master, failed_limits
from masterworker.core.chunks import MOST, Chunk
from masterworker.core.task import Finished
from masterworker.data.chunks import put_together
from masterworker.data.pickling import loads
from masterworker.errors import TaskCancelled, TaskLost
from masterworker.master import engine_of
from masterworker.master.batch import TAKEN
from masterworker.master.batching import Batcher
from masterworker.master.map_call import AT_FIRST, MapCall
from masterworker.master.needs import Travelling
from masterworker.master.requests import Requests
from masterworker.taskid import task_name
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from masterworker.master.batch import Batch

MANY = 3000


@pytest.fixture
def chunks(warm: Master, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tasks there are in each chunk of results that comes."""
    found: list[int] = []
    settle = engine_of(warm).manager.core.settlement.settle_first

    def noted(*args: Any) -> None:
        settle(*args)
        run = engine_of(warm).manager.core.out.effects.direct[-1]
        assert isinstance(run, Finished)
        if isinstance(run.payloads, Chunk):
            found.append(len(run.payloads))

    monkeypatch.setattr(engine_of(warm).manager.core.settlement, "settle_first", noted)
    return found


def same_object() -> Iterator[dict[str, int]]:
    """Yields one object again and again, which it changes in between, as a trajectory does."""
    frame = {"step": -1}
    for step in range(MANY):
        frame["step"] = step
        yield frame


@pytest.mark.parametrize("ordered", [True, False])
def test_each_item_is_fixed_when_it_is_drawn(warm: Master, ordered: bool) -> None:
    """What an iterator does to an item afterwards does not matter."""
    found = warm.map(operator.itemgetter("step"), same_object(), ordered=ordered)
    assert sorted(found) == list(range(MANY))


def test_each_item_is_fixed_among_others_that_cannot_change(warm: Master) -> None:
    """Numbers and objects in turn, in one iterable and in two."""
    frame = [0]

    def items() -> Iterator[Any]:
        for step in range(MANY):
            frame[0] = step
            yield frame if step % 3 else step

    assert list(warm.map(work.unwrapped, items())) == list(range(MANY))
    seconds = map(operator.itemgetter(0), itertools.repeat(frame))
    pairs = warm.map(work.unwrapped_pair, items(), seconds)
    assert list(pairs) == [(step, step) for step in range(MANY)]


def test_values_travel_together(warm: Master, chunks: list[int]) -> None:
    """They come as they were, of the same classes."""
    values = [None, True, 1, -(2**62), 2.5, math.inf, 1j, "text", b"bytes", (1, "a"), ()] * 200
    found = list(warm.map(work.same, values))
    assert found == values
    assert list(map(type, found)) == list(map(type, values))
    assert sum(chunks) > len(values) // 2


def test_what_is_larger_or_can_change_travels_by_itself(warm: Master, chunks: list[int]) -> None:
    """Nothing of it is lost, and no two tasks share anything."""
    values = [2**100, "x" * 1000, [1], {"a": [2]}, np.float64(1.5), (1, [2]), "y" * 65] * 100
    found = list(warm.map(work.same, values))
    assert found == values
    assert list(map(type, found)) == list(map(type, values))
    assert len({id(one) for one in found if isinstance(one, list)}) == 100
    assert not chunks


def test_a_result_is_fixed_when_its_task_ends(warm: Master) -> None:
    """A handler may go on to change what it has returned."""
    assert [found[0] % 2 for found in warm.map(work.counted_list, [1, -1] * 500)] == [1, 0] * 500


def test_a_handler_may_change_its_argument(warm: Master) -> None:
    """It is its own."""
    shared = [1, 2]
    assert list(warm.map(work.popped, [shared] * MANY)) == [2] * MANY
    assert shared == [1, 2]


def test_several_iterables_and_keywords_of_the_function(warm: Master) -> None:
    """The shortest one ends it."""
    found = warm.map(operator.add, range(MANY), range(0, 2 * MANY, 2))
    assert list(found) == [3 * n for n in range(MANY)]
    assert list(warm.map(pow, [2] * MANY, itertools.count(), [7] * 1500)) == [
        pow(2, n, 7) for n in range(1500)
    ]


def test_each_task_fails_by_itself_and_can_be_replayed(
    warm: Master, chunks: list[int], tmp_path: Path
) -> None:
    """Its parameters are its own in what is kept of it, which plain pickles are."""
    found = []
    numbers = [-n if n % 500 == 7 else n for n in range(MANY)]
    calls: list[Any] = []
    engine_of(warm).manager._sinks.on_failed, before = (
        calls.extend,
        engine_of(warm).manager._sinks.on_failed,
    )
    try:
        for number in numbers:
            found.append(warm.map(math.sqrt, [number] * 1)) if number < 0 else None
        results = warm.map(math.sqrt, numbers, ordered=False, return_errors=True)
        assert sum(isinstance(each, ValueError) for each in results) == len(found)
        wait_until(lambda: len(calls) == 2 * len(found))
    finally:
        engine_of(warm).manager._sinks.on_failed = before
    kept = [loads(parameters)[1:] for _, _, parameters, *_ in calls]
    assert sorted(kept)[::2] == [((n,), {}) for n in sorted(numbers) if n < 0]
    assert max(len(call[2]) for call in calls) < failed_limits.LARGEST
    engine_of(warm).manager.check()


def test_only_the_task_that_ends_its_process_is_lost(warm: Master, chunks: list[int]) -> None:
    """The others of its chunk are executed elsewhere."""
    found: dict[int, float] = {}
    failed_before = engine_of(warm).manager.summary().failed
    results = warm.map(work.root_or_exit, [*range(1, 1500), 0, *range(1500, MANY)])
    for n in range(1, 1500):
        found[n] = next(results)
    with pytest.raises(TaskLost):
        next(results)
    assert found == {n: math.sqrt(n) for n in range(1, 1500)}
    wait_until(
        lambda: (
            engine_of(warm).manager.census().waiting
            == {}
            == engine_of(warm).manager.census().running
        )
    )
    assert engine_of(warm).manager.summary().failed == failed_before + 1
    assert max(chunks) > 1  # how many travel together is a matter of time
    engine_of(warm).manager.check()


def test_what_is_done_is_delivered_while_a_task_takes_long(warm: Master, tmp_path: Path) -> None:
    """And what comes after it in its chunk is executed elsewhere."""
    go = tmp_path / "go"
    names = [str(go) if n == 700 else n for n in range(1400)]
    results = warm.map(work.wait_if_file, names, ordered=False)
    found = [next(results) for _ in range(1399)]
    assert sorted(found) == [n for n in range(1400) if n != 700]
    go.touch()
    assert list(results) == [True]
    engine_of(warm).manager.check()


def test_the_task_that_is_executed_is_cancelled_by_itself(warm: Master, tmp_path: Path) -> None:
    """The worker goes on with what comes after it."""
    engine_of(warm).manager.census()  # nothing is on its way to the scheduler
    number = engine_of(warm).manager.core.table.next_id + 700
    started = tmp_path / "started"
    names = [str(started) if n == 700 else n for n in range(1400)]
    results = warm.map(work.started_and_waits, names, ordered=False)
    found = [next(results) for _ in range(1399)]
    assert sorted(found) == [n for n in range(1400) if n != 700]
    wait_until(started.exists)
    assert warm.cancel(task_name("@started_and_waits", number))
    with pytest.raises(TaskCancelled):
        next(results)
    assert list(warm.map(work.same, range(MANY))) == list(range(MANY))
    engine_of(warm).manager.check()


def test_results_of_handles_travel_together(warm: Master, chunks: list[int]) -> None:
    """Each future has its own, in whatever order they are asked."""
    futures = [warm.submit(work.same, n) for n in range(MANY)]
    assert [h.result(HANG) for h in reversed(futures)] == list(range(MANY))[::-1]
    assert sum(chunks) > MANY // 2


def test_results_that_cannot_be_opened_fail_one_by_one(
    warm: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a worker has sent in their place."""
    settle = engine_of(warm).manager.core.settlement.settle_first

    def spoilt(block: Any, results: Any, *rest: Any) -> None:
        if isinstance(results, Chunk):
            results = Chunk(b"\x80\x05]\x94.", results.at, results.number)
        settle(block, results, *rest)

    monkeypatch.setattr(engine_of(warm).manager.core.settlement, "settle_first", spoilt)
    futures = [warm.submit(work.same, n) for n in range(MANY)]
    errors = [future.exception(HANG) for future in futures]
    assert any("cannot be rebuilt" in str(error) for error in errors)
    for ordered in (True, False):
        with pytest.raises(Exception, match="cannot be rebuilt"):
            list(warm.map(work.same, range(MANY), ordered=ordered))


def test_texts_of_all_lengths(warm: Master, chunks: list[int]) -> None:
    """Long ones go one by one, as many at a time as ever; short ones together again after them."""
    texts = [str(i) * 5 for i in range(500)] + [str(i) * 5000 for i in range(300)]
    texts += [str(i) for i in range(MANY)]
    assert list(warm.map(len, texts)) == list(map(len, texts))
    assert list(warm.map(len, (text for text in texts))) == list(map(len, texts))
    assert len(chunks) < 300


def test_an_endless_iterator_of_small_values(warm: Master) -> None:
    """Drawn as needed, and asked for as needed."""
    drawn = itertools.count()
    results = warm.map(work.same, drawn)
    assert [next(results) for _ in range(30_000)] == list(range(30_000))
    assert next(drawn) < 30_000 + 40_000 + 2 * MOST
    unordered = warm.map(work.same, (n for n in itertools.count()), ordered=False)
    assert len({next(unordered) for _ in range(30_000)}) == 30_000


class Meanwhile(list[Any]):
    """Outcomes that come while somebody is on the way through their places."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch.outcomes)
        self.batch = batch

    def __getitem__(self, index: Any) -> Any:
        if index == 2 and self.batch.left:
            first = self.batch.first
            self.batch.write(first, put_together(list(range(first, first + 5))), "somebody")
        return super().__getitem__(index)


def test_results_that_come_on_the_way_are_yielded_once() -> None:
    """Those whose places were passed already are not left out, and none comes twice."""
    master = Master()
    try:
        drawing = Batcher(
            engine_of(master).needs, Travelling("a", b"", None), (range(10),), together=True
        )
        engine = engine_of(master)
        mapping = MapCall(Requests(engine.manager, engine.router, None, drawing))
        drawing.draw, draw = (lambda _: draw(5)), drawing.draw  # type: ignore[method-assign]
        results = mapping.begin(ordered=False)
        batches = list(mapping._ready)
        engine_of(master).manager.census()  # they know their tasks when these are known
        for batch in batches:
            batch.outcomes = Meanwhile(batch)
        assert list(results) == list(range(1, 11))
        assert [batch.outcomes for batch in batches] == [[TAKEN] * 5] * 2
    finally:
        master.shutdown()


def test_process_id_of_each_is_its_own(warm: Master) -> None:
    """Both workers take part, sooner or later: one may have done all before the other is awake."""
    seen: set[int] = set()
    wait_until(lambda: seen.update(warm.map(work.pid_of, range(20_000))) or len(seen) == 2)
    assert os.getpid() not in set(warm.map(work.pid_of, range(10)))


def test_a_map_begins_as_quickly_as_the_one_before(
    warm: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How large batches may be is known of a function that was mapped before."""
    router, ask, asked = engine_of(warm).router, Requests.ask, list[int]()

    def noted(self: Requests, most: int = MOST) -> Batch | None:
        asked.append(most)
        return ask(self, most)

    monkeypatch.setattr(Requests, "ask", noted)
    assert list(warm.map(divmod, range(10), [3] * 10))
    assert asked[0] == AT_FIRST
    router.paces = {engine_of(warm).needs.of_function(divmod).tag: 500}
    asked.clear()
    assert list(warm.map(divmod, range(10), [3] * 10))
    assert asked[0] == 500
