"""The program's items of a register are read with few steps, and each change of them is seen."""

from __future__ import annotations

import copyreg

import pytest

from masterworker.data import registers

TABLE = "copyreg:dispatch_table"


class Own:
    """A class of the program."""


def reduced(it: object) -> tuple[type, tuple[()]]:
    return type(it), ()


def reduced_otherwise(it: object) -> tuple[type, tuple[()]]:
    return type(it), ()


def library_class(number: int) -> type:
    return type(f"Library{number}", (), {"__module__": "collections"})


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> dict[type, object]:
    """The table, with what a large library enters; this module is the user's own."""
    table: dict[type, object] = {library_class(number): len for number in range(500)}
    table[Own] = reduced
    monkeypatch.setattr(registers._here, "own", frozenset([__name__]))
    monkeypatch.setattr(copyreg, "dispatch_table", table)
    return table


def test_only_the_programs_items_are_read() -> None:
    assert registers.read(TABLE) == {Own: reduced}


def test_items_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call asks, and libraries enter hundreds."""
    registers.read(TABLE)

    def is_own(value: object) -> bool:
        raise AssertionError(value)

    with monkeypatch.context() as only_here:
        only_here.setattr(registers, "_is_own", is_own)
        assert registers.read(TABLE) == registers.read(TABLE) == {Own: reduced}


def test_changes_are_seen(table: dict[type, object]) -> None:
    """Also those that leave the number of items as it is."""
    registers.read(TABLE)
    table[Own] = reduced_otherwise
    assert registers.read(TABLE) == {Own: reduced_otherwise}
    first = next(iter(table))
    table[first] = reduced
    assert registers.read(TABLE) == {first: reduced, Own: reduced_otherwise}
    del table[first]
    table[library_class(0)] = len
    assert registers.read(TABLE) == {Own: reduced_otherwise}
    del table[Own]
    assert registers.read(TABLE) == {}


def test_what_is_read_is_the_callers() -> None:
    registers.read(TABLE).clear()
    registers.read(TABLE).clear()
    assert registers.read(TABLE) == {Own: reduced}


def test_what_is_the_programs_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when it imports another module of its own."""
    assert registers.read(TABLE)
    monkeypatch.setattr(registers._here, "own", frozenset(["another module"]))
    assert registers.read(TABLE) == {}
