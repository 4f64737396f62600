"""Streams of random numbers: how they are numbered, told, and which seeds there can be."""

from __future__ import annotations

import gc
import pickle
import random
from typing import Any

import pytest

import masterworker
from masterworker import Executor, Master, UsageError, current_worker, task_rng
from masterworker.core.streams import LAST, REMEMBERED, Stream, StreamTable, stream_of_run
from masterworker.streams import seeds

np = pytest.importorskip("numpy")

MANY = 1 << 63


def draw(_item: object = None) -> int:
    return int(task_rng().integers(MANY))


def draw_standard(_item: object = None) -> float:
    return task_rng("random").random()


def serial(seed: int, number: int) -> list[int]:
    """What a program without workers draws."""
    return [
        int(np.random.default_rng(each).integers(MANY))
        for each in np.random.SeedSequence(seed).spawn(number)
    ]


def drawn(seed: int, *key: int) -> int:
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    return int(np.random.default_rng(sequence).integers(MANY))


#: What was drawn in this process.
seen: list[int] = []


def fail() -> None:
    seen.append(draw())
    raise OSError


# -- numbering ------------------------------------------------------------------------------


def test_a_map_with_a_seed_begins_with_the_first_stream() -> None:
    """Each time, whatever its items are, and also where their number is not known."""
    with Master(serial=True) as master:
        for items in (range(50), list("x" * 50), (None for _ in range(50)), np.zeros((50, 2))):
            assert list(master.map(draw, items, seed=3)) == serial(3, 50)
        assert list(master.map(lambda *_: draw(), range(9), range(5), seed=3)) == serial(3, 5)
        assert list(master.map(draw, range(9), seed=np.int64(3))) == serial(3, 9)
        assert list(master.map(draw, [], seed=3)) == []


def test_calls_that_share_a_seed_are_numbered_one_after_the_other() -> None:
    """As the children of a SeedSequence."""
    expected = serial(5, 17)
    with Master(serial=True, seed=5) as master:
        assert list(master.map(draw, range(10))) == expected[:10]
        assert master.submit(draw).result() == expected[10]
        assert list(master.map(draw, "abc")) == expected[11:14]
        assert master.options(retries=1).submit(draw).result() == expected[14]
        assert master.options(seed=6).submit(draw).result() == drawn(6, 0)
        assert list(master.options(seed=6).map(draw, range(2))) == [drawn(6, 1), drawn(6, 2)]
        endless = master.map(draw, iter(range(2)))
        assert list(endless) == expected[15:17]
        assert master.submit(draw).result() == drawn(5, LAST, 0)


def test_maps_of_unknown_length_one_after_the_other() -> None:
    """Each of them takes what is left of a row of streams; the next one begins another row."""
    with Master(serial=True, seed=5) as master:
        assert list(master.map(draw, np.arange(2))) == serial(5, 2)
        assert list(master.map(draw, iter("abc"))) == [drawn(5, LAST, n) for n in range(3)]
        assert list(master.map(draw, np.arange(1))) == [drawn(5, LAST, LAST, 0)]


def test_tasks_by_tag_have_streams_too() -> None:
    """And what they are given is as ever."""

    def do(*given: object) -> tuple[int, tuple[object, ...]]:
        return draw(), given

    with Master(serial=True, seed=5, handlers={"do": do}) as master:
        master.request_task("do", 1, 2)
        assert master.retrieve_result("do")[2] == (drawn(5, 0), (1, 2))
        found = list(master.map("do", "ab", seed=3))
        assert found == [(drawn(3, 0), ("a",)), (drawn(3, 1), ("b",))]


def test_tasks_that_a_task_asks_for() -> None:
    """Their own numbers are added to its key; and then it goes on with its own generator."""

    def ask() -> list[int]:
        rng = task_rng()
        worker, found = current_worker(), []
        for _ in range(2):
            worker.request_task("do")
            found.append(worker.retrieve_result("do")[2])
        assert task_rng() is rng
        return found

    with Master(serial=True, handlers={"do": draw}) as master:
        found = master.options(seed=8).submit(ask)
        assert found.result() == [drawn(8, 0, 0), drawn(8, 0, 1)]


def test_without_a_seed_each_run_has_one_of_its_own() -> None:
    """Which repeats it, in a program that asks for one call after the other."""
    with Master(serial=True) as master:
        first = [*master.map(draw, range(5)), master.submit(draw).result()]
        number = master.submit(draw).number
        told = master._Master__engine.manager.story(number)[-1]  # type: ignore[attr-defined]
    seed = int(told.partition("seed ")[2].partition(",")[0])
    with Master(serial=True, seed=seed) as master:
        assert [*master.map(draw, range(5)), master.submit(draw).result()] == first
    with Master(serial=True) as master:
        second = [*master.map(draw, range(5)), master.submit(draw).result()]
    assert len({*first, *second}) == 12


def test_another_attempt_draws_the_same_numbers() -> None:
    """In the same process, with a seed or without one."""
    for seed in (None, 4):
        seen.clear()
        with Master(serial=True, seed=seed) as master:
            assert isinstance(master.options(retries=2).submit(fail).exception(), OSError)
        assert len(seen) == 3
        assert len(set(seen)) == 1


# -- generators -----------------------------------------------------------------------------


def test_all_calls_in_a_task_return_one_generator() -> None:
    """Of each kind; the two do not disturb one another."""

    def kinds() -> bool:
        task_rng().random()
        return task_rng() is task_rng("numpy") and task_rng("random") is task_rng("random")

    with Master(serial=True, seed=1) as master:
        assert master.submit(kinds).result()
        found = list(master.map(draw_standard, range(100), seed=2))
        assert found == list(master.map(draw_standard, range(100), seed=2))
        assert len(set(found)) == 100
        assert isinstance(master.submit(lambda: task_rng("random")).result(), random.Random)


@pytest.mark.parametrize(
    "seed",
    [-1, True, 1.0, "5", b"5", [1], (1, 2), np.array(3), np.arange(3), np.random.default_rng(1),
     np.random.SeedSequence(1), random.Random(1), object(), float("nan"), 1 << 5000],
    ids=lambda seed: type(seed).__name__,
)  # fmt: skip
def test_what_is_no_seed(seed: Any) -> None:
    """One error, wherever it is given, which says what to pass."""
    with Master(serial=True) as master:
        for use in (
            lambda: master.map(draw, [1], seed=seed),
            lambda: master.options(seed=seed),
            lambda: Master(serial=True, seed=seed),
            lambda: Executor(master=master, seed=seed),
        ):
            with pytest.raises(UsageError, match="seed must be an integer, 0 or more, as seed=42"):
                use()


def test_a_seed_of_a_function_is_its_own() -> None:
    """And one of a task is said with options."""

    def with_seed(seed: int) -> int:
        return seed

    with Master(serial=True) as master:
        assert master.submit(with_seed, seed=7).result() == 7
        assert master.submit(lambda **given: given, seed=7).result() == {"seed": 7}
        with pytest.raises(masterworker.UnknownKeywordError, match=r"options\(seed="):
            master.submit(draw, seed=7)  # type: ignore[call-arg]


def test_outside_of_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors say what to do."""
    with pytest.raises(UsageError, match="inside a task only"):
        task_rng()
    with pytest.raises(UsageError, match="'torch'"):
        task_rng("torch")  # type: ignore[call-overload]
    with Master(serial=True) as master:
        monkeypatch.setitem(__import__("sys").modules, "numpy.random", None)
        with pytest.raises(UsageError, match="pip install numpy"):
            master.submit(draw).result()
        assert master.submit(draw_standard).result() < 1


# -- the table of streams -------------------------------------------------------------------


def test_streams_are_found_by_task() -> None:
    """One entry for tasks in a row; later ones may be noted earlier."""
    table, parent = StreamTable(), Stream(7, ())
    table.note(1, 10, parent, 0)
    table.note(11, 5, parent, 10)
    table.note(20, 2, Stream(8, (4,)), 3)
    table.note(17, 1, parent, 15)
    assert len(table._ranges) == 3
    assert table.find(1) == (7, (0,))
    assert table.find(15) == (7, (14,))
    assert table.find(16) is None
    assert table.find(17) == (7, (15,))
    assert table.find(21) == (8, (4, 4))
    assert table.find(22) is table.find(0) is None


def test_tasks_of_seeds_in_turn_are_not_piled_up() -> None:
    """Of the latest it is known which stream they have; of the others that it is not known."""
    table, parents = StreamTable(), (Stream(7, ()), Stream(8, ()))
    for task in range(1, 5 * REMEMBERED):
        table.note(task, 1, parents[task % 2], task // 2)
    assert len(table._ranges) <= 2 * REMEMBERED
    assert REMEMBERED < task - table.known_from < 2 * REMEMBERED
    for known in (table.known_from, task):
        assert table.find(known) == (7 + known % 2, (known // 2,))
    assert table.find(table.known_from - 1) is None


def test_many_seeds_leave_numbers_only() -> None:
    """And calls with the first one go on where they were, also one that was kept meanwhile."""
    with Master(serial=True) as master:
        kept = master.options(seed=1)
        found = [kept.submit(draw).result(), master.options(seed=1).submit(draw).result()]
        for seed in range(2, 2 + 3 * seeds.RECENT):
            master.options(seed=seed).submit(draw)
        found += [master.options(seed=1).submit(draw).result(), kept.submit(draw).result()]
        found += list(master.options(seed=1).map(draw, range(2)))
        assert found == serial(1, 6)
        gc.collect()
        book = master._Master__engine.submission.seeds  # type: ignore[attr-defined]
        objects = [each for each in gc.get_objects() if isinstance(each, seeds.Streams)]
        assert len([each for each in objects if each._taken is book._taken]) <= seeds.RECENT + 2
        assert len(book._taken) == 3 * seeds.RECENT + 1


def test_the_story_of_a_task_does_not_guess_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that had a seed once is not said to have had none."""
    monkeypatch.setattr("masterworker.core.streams.REMEMBERED", 1)
    with Master(serial=True) as master:
        manager = master._Master__engine.manager  # type: ignore[attr-defined]
        futures = [master.options(seed=seed).submit(draw) for seed in (1, 2, 1, 2)]
        assert manager.story(futures[0].number)[-1] == "its random numbers: that was too long ago"
        assert manager.story(futures[3].number)[-1] == "its random numbers: seed 2, key (1,)"


def test_the_story_of_a_task_tells_its_stream() -> None:
    """With a seed or without one; and the latter's repeats it."""
    with Master(serial=True) as master:
        manager = master._Master__engine.manager  # type: ignore[attr-defined]
        list(master.map(draw, range(3), seed=9))
        future = master.options(seed=9).submit(draw)
        alone = master.submit(draw)
        assert manager.story(2)[-1] == "its random numbers: seed 9, key (1,)"
        assert manager.story(future.number)[-1] == "its random numbers: seed 9, key (0,)"
        stream = stream_of_run(manager.instance, alone.number)
        told = f"its random numbers: seed {stream.seed}, key (4,)"
        assert manager.story(alone.number)[-1] == told
        assert alone.result() == drawn(stream.seed, 4)
        assert len(manager.story(1000)) == 1


def test_streams_side_by_side() -> None:
    """1,000 of them, of which each gives 1,000 numbers: all alike, none has to do with another."""
    with Master(serial=True) as master:
        rows = np.array(
            list(master.map(lambda _: task_rng().random(1000), range(1000), seed=12345))
        )
    assert len(np.unique(rows)) == rows.size
    for table in (rows, rows.T):
        means, spread = table.mean(axis=1), np.sqrt(1 / 12 / 1000)
        assert abs(means - 0.5).max() < 5 * spread
        assert abs(means.std() / spread - 1) < 0.15
    correlations = np.corrcoef(rows)[np.triu_indices(1000, 1)]
    assert abs(correlations).max() < 6.5 / np.sqrt(1000)
    assert abs(correlations.mean()) < 6 / np.sqrt(1000 * len(correlations))
    counts = np.histogram(rows[:, 0], 20, (0, 1))[0]  # the first of each
    assert ((counts - 50) ** 2 / 50).sum() < 55  # 19 degrees of freedom: once in 30,000


def test_a_stream_travels_as_it_is() -> None:
    """A named tuple, which is known by its class."""
    again = pickle.loads(pickle.dumps(Stream(1, (2, 3))))
    assert again.__class__ is Stream
    assert again == (1, (2, 3))
