"""What type checkers must refuse: each line with a mark. Not executed; see test_typing.py."""

from __future__ import annotations

import math

from masterworker import Future, Master, task_rng


def simulate(temperature: float, seed: int = 0) -> list[float]:
    """Something with arguments."""
    return [temperature] * seed


def mistakes(master: Master, future: Future[int]) -> None:
    """Each of these is one."""
    master.submit(simulate)  # wrong
    master.submit(simulate, "hot")  # wrong
    master.submit(simulate, 300.0, sed=1)  # wrong
    master.submit(simulate, 300.0).result().upper()  # wrong
    master.options(retry=3)  # wrong
    master.options(retries="3")  # wrong
    master.map(math.sqrt, ["a"])  # wrong
    master.map(simulate, [300.0], ["a"])  # wrong
    master.map(math.sqrt, [1.0], chunksize=5)  # wrong
    for root in master.map(math.sqrt, [1.0]):
        root.upper()  # wrong
    future.add_done_callback(5)  # wrong
    future.add_done_callback(lambda done: done.result().upper())  # wrong
    master.as_completed(future)  # wrong
    Master(results="data")  # wrong
    Master(workers=2, memory=5)  # wrong
    Master(seed="5")  # wrong
    master.map(math.sqrt, [1.0], seed=0.5)  # wrong
    master.options(seed=[1])  # wrong
    task_rng("torch")  # wrong


async def mistakes_in_coroutines(master: Master, future: Future[int]) -> None:
    """Each of these is one."""
    (await future).upper()  # wrong
    async for done in master.as_completed([future]):
        done.upper()  # wrong
    async for root in master.map(math.sqrt, [1.0]):
        root.upper()  # wrong
