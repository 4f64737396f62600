"""Results that nobody picks up hold back what would make more of them; nobody waits in vain."""

from __future__ import annotations

import logging
import os
import threading
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from masterworker import Future, Master, Worker, current_worker
from masterworker.core.hand import MAX_BUDGET
from masterworker.master import engine_of
from support import HANG, wait_until

if TYPE_CHECKING:
    from pathlib import Path

N = 50_000  # 400 kB
BOUND = 4_000_000
SECONDS = 0.005
#: Two workers have so many bytes of results of that kind in hand, at most, when it gets too much.
IN_HAND = 2 * int(MAX_BUDGET / SECONDS) * N * 8


def large(index: int) -> np.ndarray:
    return np.full(N, float(index))


def large_in_time(index: int) -> np.ndarray:
    """Takes so long that a worker cannot be given many at once."""
    threading.Event().wait(SECONDS)
    return large(index)


def marked(index: int, folder: str) -> bytes:
    """A result of 100 kB; leaves a mark that it was executed."""
    os.mknod(f"{folder}/{index}")
    return bytes([index % 256]) * 100_000


def further(number: int) -> int:
    """Ask for large further tasks, and wait for all of them."""
    worker = current_worker()
    for index in range(number):
        worker.request_task("large", index)
    return sum(int(worker.retrieve_result("large")[2][0]) for _ in range(number))


def _all_done(futures: list[Future]) -> bool:
    return all(future.done() for future in futures)


def executed(folder: Path) -> int:
    return len(list(folder.iterdir()))


@pytest.fixture
def master() -> Master:
    with Master(workers=2, results_memory=BOUND) as master:
        yield master


def stands_still(folder: Path) -> int:
    """Wait until nothing more is executed for some time. Returns how many were."""
    pause, last = threading.Event(), -1
    while last != (last := executed(folder)) or not last:
        pause.wait(0.7)
    return last


def test_what_nobody_picks_up_holds_back_the_rest(
    master: Master, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Futures, small enough to be in messages: said once, and over when some are picked up."""
    with caplog.at_level(logging.WARNING):
        futures = [master.submit(marked, i, str(tmp_path)) for i in range(200)]
        done = stands_still(tmp_path)
    assert BOUND // 100_000 <= done < 120
    assert [r.message for r in caplog.records if "wait to be picked up" in r.message]
    assert "no more tasks are handed out" in master.status().troubles[0]
    for i, future in enumerate(futures):
        assert future.result(HANG) == bytes([i % 256]) * 100_000
    assert executed(tmp_path) == 200


def test_who_waits_gets_what_he_waits_for(master: Master) -> None:
    """The last one first: it is executed although all others lie there."""
    futures = [master.submit(large, i) for i in range(40)]
    wait_until(lambda: engine_of(master).manager.core.held_back, HANG, "the pile is high")
    assert futures[-1].result(HANG)[0] == 39.0
    assert [h.result(HANG)[0] for h in reversed(futures)] == [float(i) for i in range(39, -1, -1)]


def test_handles_that_are_dropped_do_not_count(master: Master) -> None:
    """Results that nobody can pick up any more hold nothing back."""
    for _ in range(5):
        futures = [master.submit(large, i) for i in range(15)]
        wait_until(partial(_all_done, futures), HANG)
        del futures
    assert master.submit(large, 7).result(HANG)[0] == 7.0


def test_who_asks_again_and_again_gets_there_too(master: Master) -> None:
    """Polling is waiting."""
    futures = [master.submit(large, i) for i in range(40)]
    wait_until(partial(_all_done, futures), HANG)


def test_map_with_large_results_is_bounded(master: Master) -> None:
    """Its look-ahead is by the parameters, which are small; what holds it back is the results.

    What workers have in hand by then comes all the same.
    """
    highest, pause = 0, threading.Event()
    for i, array in enumerate(master.map(large_in_time, range(300))):
        highest = max(highest, engine_of(master).manager.machine.pressure.size)
        assert array[0] == i
        pause.wait(4 * SECONDS)  # they would pile up
    assert BOUND < highest < BOUND + IN_HAND


def test_results_by_tag(tmp_path: Path) -> None:
    """Also those that wait in the task manager."""
    with Master(results_memory=BOUND, serial=False) as master:
        worker = Worker(master.label, handlers={"large": large})
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        for i in range(60):
            master.request_task("large", i)
        wait_until(lambda: engine_of(master).manager.core.held_back, HANG, "the pile is high")
        found = sorted(int(r[2][0]) for r in master.results())
        assert found == list(range(60))
    thread.join(HANG)


def test_a_handler_that_waits_for_large_ones_goes_on() -> None:
    """One worker alone, which executes the further tasks itself."""
    with Master(results_memory=BOUND // 4) as master:
        worker = Worker(master.label, handlers={"further": further, "large": large})
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        master.request_task("further", 10)
        assert master.retrieve_result("further", timeout=HANG)[2] == sum(range(10))
    thread.join(HANG)


def test_in_one_process_nothing_is_held_back() -> None:
    with Master(serial=True, results_memory=BOUND) as master:
        futures = [master.submit(large, i) for i in range(30)]
        assert futures[-1].result(HANG)[0] == 29.0
        assert not engine_of(master).manager.core.held_back
