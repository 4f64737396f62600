"""Handlers that ask for further tasks by tag, also by their own, get what they have asked for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from masterworker import Master, current_worker
from support import HANG, wait_until

if TYPE_CHECKING:
    from integration.crew import Crew


def halves(begin: int, end: int) -> int:
    """Add numbers up, in two halves each; wrong if it got another one's halves."""
    if end - begin == 1:
        return begin
    middle = (begin + end) // 2
    worker = current_worker()
    worker.request_task("halves", begin, middle)
    worker.request_task("halves", middle, end)
    return sum(worker.retrieve_result("halves", timeout=HANG)[2] for _ in range(2))


def expected(crew: Any, number: int) -> None:
    """Several of them at one time, and the master takes whatever comes."""
    names = [crew.request_task("halves", 100 * i, 100 * i + 9) for i in range(number)]
    found = {name: value for name, _, value in (crew.retrieve_result() for _ in names)}
    assert found == {name: sum(range(100 * i, 100 * i + 9)) for i, name in enumerate(names)}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_handler_may_ask_with_its_own_tag(crew: Crew, workers: int) -> None:
    for _ in range(workers):
        crew.hire({"halves": halves})
    expected(crew.master, 6)


def test_so_it_may_in_one_process() -> None:
    with Master(serial=True, handlers={"halves": halves}) as master:
        expected(master, 3)


def test_what_a_handler_leaves_is_for_the_master(crew: Crew) -> None:
    """Tasks may ask for tasks whose results are not for them."""

    def seed(number: int) -> None:
        for i in range(number):
            current_worker().request_task("plant", i)

    crew.hire({"seed": seed, "plant": lambda i: i})
    crew.master.request_task("seed", 5)
    found = [(tag, value) for _, tag, value in crew.master.results()]
    assert sorted(found, key=str) == [*(("plant", i) for i in range(5)), ("seed", None)]


def test_a_handler_without_an_end_may_ask_for_the_master(crew: Crew) -> None:
    """It never collects, so nothing is kept for it for ever."""
    is_over = threading.Event()

    def watch() -> None:
        current_worker().request_task("found", 1)
        is_over.wait(HANG)

    crew.hire({"watch": watch})
    crew.hire({"found": lambda x: x})
    crew.master.request_task("watch")
    assert crew.master.retrieve_result("found", timeout=HANG)[2] == 1
    is_over.set()
    wait_until(lambda: not crew.master.status().running, HANG, "the handler has ended")
