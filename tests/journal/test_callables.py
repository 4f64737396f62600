"""What is called by a job with a journal is let go, and needs no hash."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from masterworker import Master

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Held:
    """Something that a caller wants to be gone."""

    def first(self, numbers: list[int]) -> int:
        return numbers[0]


def closure(held: Held) -> Callable[[list[int]], int]:
    return lambda numbers: held.first(numbers) + 0


MAKERS: dict[str, Callable[[Held], Callable[[list[int]], int]]] = {
    "a method": lambda held: held.first,
    "a closure": closure,
    "a partial call": lambda held: partial(Held.first, held),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_what_was_called_is_let_go(tmp_path: Path, make: Any) -> None:
    """Without the journal it is, too: a job of a million closures has room for them."""
    held: list[weakref.ref[Held]] = []
    with Master(serial=True, journal=tmp_path / "job.journal") as master:
        for n in range(20):
            one = Held()
            held.append(weakref.ref(one))
            assert master.submit(make(one), [n] * 2000).result() == n
            assert list(master.map(make(one), [[n] * 2000])) == [n]
        del one
        gc.collect()
        assert sum(each() is not None for each in held) < 5


@dataclass
class Adder:
    """It has no hash."""

    number: int

    def __call__(self, x: int) -> int:
        return x + self.number


def test_what_has_no_hash_can_be_called(tmp_path: Path) -> None:
    for _ in range(2):
        with Master(serial=True, journal=tmp_path / "job.journal") as master:
            assert master.submit(Adder(2), 1).result() == 3
            assert master.submit(Adder(3), 1).result() == 4
            assert list(master.map(Adder(2), [1, 2])) == [3, 4]
