"""A signal handler that raises while a result is being opened: it is heard, and nothing is lost."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from interruptions.rain import Blow
from masterworker import Master
from support import HANG

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The process in which the next object that is rebuilt is to be interrupted.
victims: set[int] = set()


def rebuild() -> str:
    if os.getpid() in victims:
        victims.clear()
        signal.raise_signal(signal.SIGUSR1)
    return "rebuilt"


class Brittle:
    def __reduce__(self) -> tuple[object, ...]:
        return rebuild, ()


@pytest.fixture
def master() -> Iterator[Master]:
    def strike(*_: object) -> None:
        raise Blow

    before = signal.signal(signal.SIGUSR1, strike)
    with Master(serial=True, handlers={"brittle": Brittle}) as master:
        yield master
    signal.signal(signal.SIGUSR1, before)


def test_the_result_of_a_handle(master: Master) -> None:
    future = master.submit(Brittle)
    master.submit(abs, -1).result(HANG)
    victims.add(os.getpid())
    with pytest.raises(Blow):
        future.result(HANG)
    assert future.result(HANG) == "rebuilt"


def test_an_outcome_that_is_retrieved(master: Master) -> None:
    name = master.request_task("brittle")
    victims.add(os.getpid())
    with pytest.raises(Blow):
        master.retrieve_result(timeout=HANG)
    assert master.retrieve_result(timeout=HANG) == (name, "brittle", "rebuilt")


def test_a_loop_over_a_map(master: Master) -> None:
    results = master.map("brittle", [], ordered=True)
    assert list(results) == []
    victims.add(os.getpid())
    with pytest.raises(Blow):
        list(master.map(lambda _: Brittle(), range(3)))
    assert list(master.map(lambda _: Brittle(), range(3))) == ["rebuilt"] * 3
