"""Keys of random programs: each call has its own, in each run the same; planted bugs are found.

Beside each bug is the first seed that shows it.
"""

from __future__ import annotations

import types
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

from masterworker.core.task import RESULT
from masterworker.journal import canonical
from masterworker.journal.calls import CallDigests
from masterworker.journal.index import Index
from masterworker.journal.occurrences import Occurrences
from masterworker.journal.records import Done

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

ARGUMENTS = (0, 1, True, 1.0, 0.0, -0.0, "1", b"1", None, (1, 2), [1, 2])
MOST = 200


def times(factor: object) -> Callable[[Any], Any]:
    """A closure."""
    return lambda x: (factor, x)


def work(x: object) -> object:
    return x


#: What is called, and a name for it.
CALLED: dict[str, Any] = {
    "work": work,
    "tag": "tag",
    "twice": times(2),
    "thrice": times(3),
    "truly": times(True),
}

#: The calls of one master: what, and with what.
Calls = list[tuple[str, Any]]


def program(random: Random) -> list[Calls]:
    """The calls of a program with some masters in a row."""

    def calls() -> Calls:
        names = random.choices([*CALLED], k=random.randint(1, 12))
        return [(name, random.choice(ARGUMENTS)) for name in names]

    return [calls() for _ in range(random.randint(1, 3))]


class Program:
    """One run of it."""

    def __init__(self) -> None:
        self.occurrences = Occurrences()

    def begin(self) -> None:
        """Another master of it begins."""

    def keys(self, masters: list[Calls]) -> list[bytes]:
        found = []
        for calls in masters:
            self.begin()
            digests = CallDigests(lambda _: None)
            for name, argument in calls:
                found += self.occurrences.keys(digests.of(CALLED[name], [(argument,)]))
        return found


class OccurrencesPerMaster(Program):
    """Each master counts for itself."""

    def begin(self) -> None:
        self.occurrences = Occurrences()


class HalfAKey(Index):
    """Of a key the first half is looked at."""

    def add(self, done: Done, offset: int, record: int) -> None:
        keys = (done.keys[at : at + 8] for at in range(0, len(done.keys), 16))
        self._places.update(dict.fromkeys(keys, len(self._offsets) << 32))
        self._offsets.append(offset)
        self._records.append(record)

    def find(self, keys: Any) -> Any:
        return super().find([key[:8] for key in keys])


def by_call(masters: list[Calls], keys: list[bytes]) -> dict[tuple[str, str, int], bytes]:
    """Return the keys by what is called, with what, and the how-manieth such call it is."""
    calls = [(name, repr(argument)) for calls in masters for name, argument in calls]
    number: Counter[tuple[str, str]] = Counter()
    found = {}
    for key, call in zip(keys, calls, strict=True):
        number[call] += 1
        found[*call, number[call]] = key
    return found


def check(seed: int, made: type[Program] = Program) -> None:
    """One program: a key for each call, and the same ones where they come in another order."""
    random = Random(seed)
    masters = program(random)
    keys = by_call(masters, made().keys(masters))
    assert len({*keys.values()}) == len(keys), "two calls have one key"
    others = [random.sample(calls, len(calls)) for calls in reversed(masters)]
    assert by_call(others, made().keys(others)) == keys


def check_index(seed: int, made: type[Index] = Index) -> None:
    """What is found is of this key, and of no other that is alike in part."""
    random = Random(seed)
    halves = [bytes([i]) * 8 for i in range(4)]
    keys = list({random.choice(halves) + random.choice(halves) for _ in range(8)})
    index, there = made(failures=False), keys[: len(keys) // 2]
    for number, key in enumerate(there):
        index.add(Done(key, "@f", RESULT, [b""], "", 1, 0.0), number, 0)
    for key, place in zip(keys, index.find(keys), strict=True):
        expected = there.index(key) if key in there else None
        assert (None if place is None else place.offset) == expected, key


def no_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: what a closure refers to is not in its key."""
    real = canonical.KINDS[types.FunctionType]

    def without(to: Any, function: types.FunctionType) -> bytes:
        cells = tuple(types.CellType() for _ in function.__closure__ or ())
        about = function.__code__, function.__globals__, function.__name__, None, cells
        return real(to, types.FunctionType(*about))

    monkeypatch.setitem(canonical.KINDS, types.FunctionType, without)


def first(fails: Callable[[int], None], seed: int) -> int:
    """Return the first seed that shows what is wrong."""
    for each in range(seed, seed + MOST):
        try:
            fails(each)
        except AssertionError:
            return each
    raise ValueError(f"survived {MOST} programs")


def test_each_call_has_its_key() -> None:
    for seed in range(MOST):
        check(seed)
        check_index(seed)


def test_occurrences_counted_per_master_are_noticed() -> None:
    assert first(lambda seed: check(seed, OccurrencesPerMaster), 0) >= 0


def test_a_closure_left_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    no_cells(monkeypatch)
    assert first(check, 0) >= 0


def test_half_a_key_is_noticed() -> None:
    assert first(lambda seed: check_index(seed, HalfAKey), 0) >= 0
