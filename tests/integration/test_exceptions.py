"""What a task raises arrives as it was, however its class is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration import raising
from masterworker import Master
from support import lasting

if TYPE_CHECKING:
    from collections.abc import Iterator

HANG = 30.0


@pytest.fixture(scope="module")
def master() -> Iterator[Master]:
    with Master(workers=1) as master:
        lasting.add(master.label)
        yield master


@pytest.mark.parametrize("which", raising.MAKERS)
def test_an_exception_arrives_as_it_was(master: Master, which: str) -> None:
    """Its class, text, arguments and attributes are those that it had in the worker."""
    error = master.submit(raising.fail, which).exception(HANG)
    expected = raising.MAKERS[which]()
    assert error is not None
    if which == "local":
        assert type(error).__name__ == type(expected).__name__
    else:
        assert type(error) is type(expected)
    assert str(error) == str(expected)
    assert error.args == expected.args
    own = {name: value for name, value in vars(error).items() if name != "__notes__"}
    assert own.keys() == vars(expected).keys()
    for name, value in own.items():
        assert type(value) is type(vars(expected)[name])
        if type(value).__eq__ is not object.__eq__:
            assert value == vars(expected)[name]
    assert "raising.py" in error.__notes__[-1], "the worker's traceback is a note"


def test_slots_and_what_built_in_classes_have(master: Master) -> None:
    """Also slots with hidden names; also what is in no dictionary."""
    slots = master.submit(raising.fail, "with slots").exception(HANG)
    assert isinstance(slots, raising.WithSlots)
    assert (slots.place, slots.hidden) == ("here", 3)
    system = master.submit(raising.fail, "of the system").exception(HANG)
    assert isinstance(system, raising.OfTheSystem)
    assert (system.errno, system.filename, system.tries) == (2, "a.txt", 3)
    missing = master.submit(raising.fail, "of import").exception(HANG)
    assert isinstance(missing, ImportError)
    assert (missing.name, missing.path) == ("module", "there")


@pytest.mark.parametrize("how", ["cause", "context", "suppressed"])
def test_what_an_exception_comes_of(master: Master, how: str) -> None:
    """Causes and contexts are exceptions of their own kind; notes come first to last."""
    error = master.submit(raising.fail_of_another, how).exception(HANG)
    assert isinstance(error, raising.KeywordNeeded)
    inner = error.__cause__ if how == "cause" else error.__context__
    assert isinstance(inner, raising.TwoNeeded)
    assert (inner.unit, inner.value) == ("inner", 2)
    assert (error.__cause__ is None) == (how != "cause")
    assert error.__suppress_context__ == (how != "context")
    assert error.__notes__[0] == "of the task"


def test_groups_of_exceptions(master: Master) -> None:
    """With all members; what is in several places is one object still."""
    error = master.submit(raising.fail_with_others).exception(HANG)
    assert isinstance(error, raising.Group)
    assert error.code == 5
    first, inner = error.exceptions
    assert isinstance(first, raising.TwoNeeded)
    assert isinstance(inner, ExceptionGroup)
    second, third = inner.exceptions
    assert isinstance(second, raising.KeywordNeeded)
    assert second.code == 2
    assert second.other[0] is first  # type: ignore[attr-defined]
    assert third.args == (3,)
    assert error.subgroup(ValueError) is not None


def test_what_cannot_travel_is_left_out(master: Master) -> None:
    """The exception is what it was; notes say what is missing."""
    error = master.submit(raising.fail_with_what_cannot_travel).exception(HANG)
    assert isinstance(error, raising.KeywordNeeded)
    assert (error.code, hasattr(error, "lock")) == (9, False)
    assert "attribute 'lock' did not travel" in error.__notes__[0]
    cause = error.__cause__
    assert isinstance(cause, ValueError)
    assert cause.args[0] == "argument"
    assert cause.args[1].startswith("<unlocked _thread.lock")
    assert "argument 2 is shown as text" in cause.__notes__[0]
