"""Named tuples that are made sooner are those of `typing`."""

from __future__ import annotations

import gc
import pickle
import typing

import msgspec

from masterworker import named
from masterworker.garbage import unsearched


class Ours(named.NamedTuple):
    """A record."""

    number: int
    #: May be left out.
    names: tuple[str, ...] = ()
    other: bool = False

    @property
    def first(self) -> str:
        """The first name."""
        return self.names[0]

    @classmethod
    def empty(cls) -> Ours:
        """Make one."""
        return cls(0)


class Theirs(typing.NamedTuple):
    """A record."""

    number: int
    names: tuple[str, ...] = ()
    other: bool = False

    @property
    def first(self) -> str:
        """The first name."""
        return self.names[0]

    @classmethod
    def empty(cls) -> Theirs:
        """Make one."""
        return cls(0)


def test_they_have_what_those_of_typing_have() -> None:
    for name in (
        "_fields",
        "_field_defaults",
        "__module__",
        "__doc__",
        "__slots__",
        "__match_args__",
    ):
        assert getattr(Ours, name) == getattr(Theirs, name), name
    assert Ours.__qualname__ == Ours.__name__ == "Ours"
    assert typing.get_type_hints(Ours) == typing.get_type_hints(Theirs)
    assert Ours.__mro__[1:] == Theirs.__mro__[1:] == (tuple, object)
    assert {*dir(Theirs)} - {*dir(Ours)} <= {"__orig_bases__"}


def test_values_of_them_are_used_alike() -> None:
    ours, theirs = Ours(1, ("a", "b")), Theirs(1, ("a", "b"))
    assert ours == theirs
    assert ours.first == "a"
    assert Ours.empty() == (0, (), False)
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert ours._replace(other=True)._asdict() == theirs._replace(other=True)._asdict()
    assert pickle.loads(pickle.dumps(ours)) == ours
    packed = msgspec.msgpack.encode(ours)
    assert packed == msgspec.msgpack.encode(theirs)
    assert msgspec.msgpack.decode(packed, type=Ours) == ours


def test_what_is_loaded_is_not_searched_for_garbage_and_nothing_is_frozen() -> None:
    class Ring:
        """Garbage as soon as nothing else refers to it."""

        def __init__(self) -> None:
            self.ring = self

    def rings() -> int:
        return sum(type(each) is Ring for each in gc.get_objects())

    assert gc.isenabled()
    with unsearched():
        assert not gc.isenabled()
        Ring()
        with unsearched():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert rings() == 0
    gc.disable()
    try:
        with unsearched():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_a_program_has_frozen_stays_frozen() -> None:
    gc.freeze()
    try:
        assert gc.get_freeze_count()
        with unsearched():
            pass
        # Not how many: what another thread lets go is frozen no more.
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
