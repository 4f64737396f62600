"""What type checkers must accept. Read by them, and not executed; see test_typing.py."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any, assert_type

import numpy as np

from masterworker import Executor, Future, Master, StateValue, Worker, current_worker, task_rng
from masterworker.awaits.iterators import Results

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def simulate(temperature: float, seed: int = 0, *, steps: int = 10) -> list[float]:
    """Something with arguments of several kinds."""
    return [temperature] * (steps + seed)


def calls(master: Master) -> None:
    """Futures know what they bring."""
    future = master.submit(simulate, 300.0, seed=1)
    assert_type(future, Future[list[float]])
    assert_type(future.result(timeout=5), list[float])
    assert_type(future.exception(), BaseException | None)
    future.add_done_callback(lambda done: sum(done.result()))
    assert_type(master.submit(lambda: "text"), Future[str])
    assert_type(
        master.options(retries=2, retry_on=OSError).submit(simulate, 1.0), Future[list[float]]
    )
    for done in master.as_completed([future]):
        assert_type(done, Future[list[float]])


def maps(master: Master) -> None:
    """Iterators know what they yield."""
    assert_type(master.map(math.sqrt, [1.0, 2.0]), Results[float])
    assert_type(master.map(simulate, [1.0], range(5)), Results[list[float]])
    assert_type(master.map(divmod, [1], [2], ordered=False), Results[tuple[int, int]])
    assert_type(master.map(max, [1], [2], [3], progress=True), Results[Any])
    assert_type(
        master.map(simulate, [1.0], return_errors=True), Results[list[float] | BaseException]
    )
    assert_type(master.map("sqrt", [1.0]), Results[Any])


def streams(master: Master) -> None:
    """A generator is of the kind that was asked for."""
    assert_type(task_rng(), np.random.Generator)
    assert_type(task_rng("numpy"), np.random.Generator)
    assert_type(task_rng("random"), random.Random)
    assert_type(master.map(math.sqrt, [1.0], seed=5), Results[float])
    assert_type(master.options(seed=5).submit(math.sqrt, 1.0), Future[float])
    Master(seed=5)
    Executor(2, seed=5)


async def coroutines() -> None:
    """What is awaited is what `result` returns."""
    async with Master(workers=2) as master:
        future = master.submit(simulate, 300.0)
        assert_type(await future, list[float])
        async for done in master.as_completed([future]):
            assert_type(done, Future[list[float]])
        async for root in master.map(math.sqrt, [1.0]):
            assert_type(root, float)
    async with Executor(2) as executor:
        executor.submit(abs, -1)


def both_kinds_of_loops(master: Master) -> None:
    """Programs may call it by either name."""
    one: Iterator[float] = master.map(math.sqrt, [1.0])
    other: AsyncIterator[float] = master.map(math.sqrt, [1.0])
    del one, other


def by_tag(master: Master) -> None:
    """Results of tasks by tag can be anything."""
    assert_type(master.request_task("sqrt", 2.0), str)
    task_id, tag, value = master.retrieve_result("sqrt", timeout=1.0)
    assert_type((task_id, tag), tuple[str, str])
    value.anything()
    for found in master.results():
        assert_type(found, tuple[str, str, Any])


def values(master: Master) -> None:
    """What is shared may take the place of anything."""
    with master.share(temperature=300.0) as shared:
        assert_type(master.submit(simulate, shared.temperature), Future[list[float]])
    state_id = master.store_state(x=1)
    assert_type(StateValue(state_id, "x"), StateValue)
    master.delete_state(state_id)


class Analyst(Worker):
    """A subclass with attributes of any name and type."""

    states: int = 5
    hand: str = "left"

    def do_sqrt(self, x: float) -> float:
        """A handler."""
        current_worker().request_task("sqrt", x - 1)
        return math.sqrt(x)


class Job(Master):
    """The same for a master."""

    manager: str = "somebody"

    def run(self) -> None:
        """What it does."""
        self.launch_workers("auto", memory_limit="2G")
        assert_type(self.status().waiting, dict[str, int])
