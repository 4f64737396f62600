"""Keys: the same for values that are alike, in each process; others for those that differ."""

from __future__ import annotations

import copyreg
import subprocess
import sys
from pathlib import Path

import pytest

from masterworker.errors import UsageError
from masterworker.journal.calls import CallDigests

VALUES = Path(__file__).with_name("values.py")


def digest(*parameters: object) -> bytes:
    """The digest of a call."""
    return CallDigests(lambda _: None).of("tag", [parameters])[0]


def table(*options: str, seed: str = "random") -> dict[str, str]:
    """The digests of all values, as another process makes them."""
    done = subprocess.run(
        [sys.executable, *options, str(VALUES)],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONHASHSEED": seed, "PATH": ""},
        timeout=120,
    )
    return dict(line.split(" = ") for line in done.stdout.splitlines())


def test_keys_are_the_same_in_each_process() -> None:
    first, *others = [table(seed=seed) for seed in ("1", "2", "77")]
    assert len(first) >= 40
    for other in others:
        assert other == first
    assert len(set(first.values())) == len(first), "two values have one key"


def _adder(number: float) -> object:
    return lambda x: x + number


def _scaled(number: int) -> object:
    return lambda x: x * 2 if number else x * 3


class Thing:
    """A thing with state."""

    def __init__(self, size: int) -> None:
        self.size = size

    def grow(self) -> int:
        """Return more."""
        return self.size + 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_adder(2), _adder(3)),
        (lambda x: x + 1, lambda x: x + 2),
        (lambda x, y=1: x + y, lambda x, y=2: x + y),
        (Thing(1), Thing(2)),
        (Thing(1).grow, Thing(2).grow),
        (0.0, -0.0),
        (1, True),
        (1, 1.0),
        ((1, 2), [1, 2]),
        ("a", b"a"),
        ({1, 2}, frozenset({1, 2})),
        ({"a": 1}, {"a": 2}),
        (b"a", bytearray(b"a")),
        (("a", "bc"), ("ab", "c")),
        ([[1], 2], [[1, 2]]),
        (len, max),
        (int, float),
    ],
)
def test_what_differs_has_another_key(one: object, other: object) -> None:
    assert digest(one) != digest(other)


def test_what_is_one_object_twice_is_as_two_that_are_equal() -> None:
    part = [1, 2]
    assert digest([part, part]) == digest([[1, 2], [1, 2]])
    text = "long text"
    assert digest((text, text)) == digest(("long text", "long " + "text"))


class OddError(Exception):
    """Pickled with more than it is, once a library has seen to that."""


def test_what_a_library_adds_to_pickles_of_errors_does_not_count() -> None:
    """As tblib does, which Dask loads: where an error was raised, if it was."""
    before = digest(OddError("bad", 3))
    copyreg.pickle(OddError, lambda error: (OddError, (*error.args, "raised nowhere")))
    assert digest(OddError("bad", 3)) == before


def test_shared_parts_do_not_multiply() -> None:
    value: list[object] = []
    for _ in range(200):
        value = [value, value]
    assert digest(value)


def test_what_contains_itself_has_a_key() -> None:
    def ring(first: int) -> list[object]:
        value: list[object] = [first]
        value.append(value)
        return value

    assert digest(ring(1)) == digest(ring(1))
    assert digest(ring(1)) != digest(ring(2))


def test_what_has_no_form_is_named() -> None:
    import threading

    def work(number: int, guard: object) -> None:
        pass

    with pytest.raises(UsageError, match=r"parameter 2 \('guard'\) of .*work.*_thread.lock"):
        CallDigests(lambda _: None).of(work, [(1, {"a": [threading.Lock()]})])


def test_what_is_nested_too_deep_is_an_error() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    try:
        with pytest.raises(UsageError, match="nested too deep"):
            digest(value)
    finally:
        while value:  # taken apart from outside: its end would be as deep
            value = value.pop()  # type: ignore[assignment]


def test_keywords_may_come_in_any_order() -> None:
    digests = CallDigests(lambda _: None)
    one = digests.of_call(print, (1,), {"sep": "a", "end": "b"})
    assert one == digests.of_call(print, (1,), {"end": "b", "sep": "a"})
    assert one != digests.of_call(print, (1,), {"end": "a", "sep": "b"})
