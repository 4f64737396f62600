"""What calls need of the main program: what is compared, what goes together, what comes first."""

from __future__ import annotations

import enum
import pathlib
import re
import textwrap
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

import cloudpickle
import msgspec
import pytest

from masterworker.data import definitions, mainmodule
from masterworker.data.definitions import ABSENT, SOURCE, VALUES, Definition
from masterworker.data.environment import INLINE, Plan
from masterworker.data.fixed import is_fixed
from masterworker.data.segment import LARGE, bytes_of
from masterworker.errors import UnpicklableError

if TYPE_CHECKING:
    from collections.abc import Callable


class Colour(enum.Enum):
    RED = 1


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Make a program of a source the main program; returns its globals."""

    def run(source: str) -> dict[str, Any]:
        namespace: dict[str, Any] = {"__name__": mainmodule.MAIN}
        monkeypatch.setattr(mainmodule._main, "elsewhere", namespace)
        exec(textwrap.dedent(source), namespace)  # noqa: S102
        return namespace

    return run


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch) -> Callable[[Plan], dict[str, Any]]:
    """Enter an environment as a worker does; returns the worker's globals."""
    worker = mainmodule.new()
    classes: tuple[Any, Any] = {}, {}  # a worker is another process, which knows other classes
    here = definitions._Here()
    here.at_home = False

    def enter(plan: Plan) -> dict[str, Any]:
        here.fetch = plan.environment.parts.get
        with monkeypatch.context() as there:
            there.setattr(mainmodule._main, "elsewhere", worker.__dict__)
            there.setattr(definitions, "_here", here)
            there.setattr(cloudpickle.cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_ID", classes[0])
            there.setattr(cloudpickle.cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_CLASS", classes[1])
            definitions.require(plan.environment.key)
        return worker.__dict__

    return enter


def defined(plan: Plan) -> list[Definition]:
    """What an environment consists of, without sources."""
    encoded = bytes_of(plan.environment.parts[plan.environment.key])
    found = msgspec.msgpack.decode(encoded, type=list[Definition])
    return [each for each in found if each.kind != SOURCE]


@pytest.mark.parametrize(
    "value",
    [
        *(1, 1.5, "text", b"bytes", None, ..., True, range(3), re, len, re.compile("a")),
        *((1, ("a", None)), frozenset((1, 2)), int, pathlib.PurePath("a"), Colour.RED),
    ],
    ids=str,
)
def test_what_cannot_change(value: object) -> None:
    """Such a value is the same as long as it is the same object."""
    assert is_fixed(value)


@pytest.mark.parametrize(
    "value",
    [[], {}, set(), bytearray(), ([],), threading.local()],
    ids=lambda value: type(value).__name__,
)
def test_what_can_change(value: object) -> None:
    """Such a value has to be looked at."""
    assert not is_fixed(value)


def test_a_plan_is_true_until_a_name_means_something_else(
    program: Callable[[str], dict[str, Any]],
) -> None:
    """Rebound, deleted, or defined at last."""
    main = program("A = 1\ndef f():\n    return A, B\n")
    plan = Plan(["f"])
    assert plan.is_true()
    main["A"] = 2
    assert not plan.is_true()
    main["A"] = 1
    assert plan.is_true()
    main["B"] = 3
    assert not plan.is_true()
    plan = Plan(["f"])
    assert plan.is_true()
    del main["A"]
    assert not plan.is_true()


DECORATED = """
import functools
def decorate(function):
    @functools.wraps(function)
    def wrapper(*args): return function(*args)
    return wrapper
@decorate
def V(x, y=1): pass
"""


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("V = [1]", "V.append(2)"),
        ("V = {'a': [1]}", "V['a'].append(2)"),
        ("V = bytearray(b'a')", "V[0] = 98"),
        ("V = (1, [2])", "V[1].append(3)"),
        ("class C:\n    x = 1\nV = C()\nV.y = 1", "V.y = 2"),
        ("class C:\n    x = 1\nV = C()", "C.x = 2"),
        ("class C:\n    x = [1]\nV = C()", "C.x.append(2)"),
        ("class C:\n    def m(self): pass\nV = C()", "C.m = lambda self: 1"),
        ("def V(x=[1]):\n    pass", "V.__defaults__[0].append(2)"),
        ("def V():\n    pass", "V.label = 1"),
        ("def V():\n    pass", "V.__code__ = (lambda: 1).__code__"),
        (
            "def make(x):\n    return lambda: x\nV = make([1])",
            "V.__closure__[0].cell_contents[0] = 2",
        ),
        ("def W():\n    return U\nU = [1]\ndef V():\n    return W()", "U.append(2)"),
        (
            DECORATED,
            "V.__wrapped__.__defaults__ = (2,)",
        ),
        (
            DECORATED,
            "V.__wrapped__.__code__ = (lambda x, y: 3).__code__",
        ),
        (
            DECORATED,
            "V.mark = 1",
        ),
    ],
)
def test_a_plan_is_not_true_when_a_value_was_changed_in_place(
    program: Callable[[str], dict[str, Any]], source: str, change: str
) -> None:
    """What can be changed is compared by its content; until then it is the same."""
    main = program(source)
    plan = Plan(["V"])
    assert plan.is_true()
    assert plan.is_true()
    before = plan.environment.key
    exec(change, main)  # noqa: S102
    assert not plan.is_true()
    assert Plan(["V"]).environment.key != before


def test_the_same_content_has_the_same_key(program: Callable[[str], dict[str, Any]]) -> None:
    """Also when it was another in between."""
    main = program("V = [1]\ndef f():\n    return V\n")
    first = Plan(["f"]).environment.key
    main["V"].append(2)
    second = Plan(["f"]).environment.key
    main["V"].pop()
    assert Plan(["f"]).environment.key == first != second


def test_what_cannot_change_is_not_pickled_again(
    program: Callable[[str], dict[str, Any]],
) -> None:
    """An object that notes its pickles is asked for each comparison; numbers never are."""
    main = program(
        """
        class Counting:
            def __reduce__(self):
                counts.append(1)
                return Counting, ()
        counts = []
        V = Counting()
        A = 1
        """
    )
    plan = Plan(["A"])
    assert plan.is_true()
    assert not main["counts"]
    plan = Plan(["V"])
    main["counts"].clear()
    plan.is_true()
    assert main["counts"]


def test_values_with_parts_in_common_are_one_definition(
    program: Callable[[str], dict[str, Any]], enter: Callable[[Plan], dict[str, Any]]
) -> None:
    """So that they have them in common in the worker; others are by themselves."""
    program("A = [1]\nB = A\nC = {'a': A}\nD = [C]\nE = [1]\ndef f():\n    return A, B, C, D, E\n")
    plan = Plan(["f"])
    groups = {each.names for each in defined(plan) if each.kind == VALUES}
    assert groups == {("A", "B", "C", "D"), ("E",)}
    there = enter(plan)
    assert there["A"] is there["B"] is there["C"]["a"] is there["D"][0]["a"]
    assert there["E"] is not there["A"]


def test_what_cannot_change_puts_nothing_together(
    program: Callable[[str], dict[str, Any]], enter: Callable[[Plan], dict[str, Any]]
) -> None:
    """Arrays have the type of their elements in common, lists a text, a function, a member."""
    np = pytest.importorskip("numpy")
    main = program(
        """
        import enum
        class Side(enum.Enum):
            LEFT = 1
        def g(): pass
        C, D = ["text", g, Side.LEFT, (1, 2)], ["text", g, Side.LEFT, (1, 2)]
        D[3] = C[3]
        def f():
            return A, B, C, D
        """
    )
    main["A"], main["B"] = np.ones(3), np.ones(3)
    plan = Plan(["f"])
    groups = {each.names for each in defined(plan) if each.kind == VALUES}
    assert groups == {("A",), ("B",), ("C",), ("D",)}
    there = enter(plan)
    there["A"][0] = 7  # in the worker
    main["B"][0] = 8
    enter(Plan(["f"]))
    assert (there["A"][0], there["B"][0]) == (7, 8)


def test_what_is_made_for_pickling_alone_puts_nothing_together(
    program: Callable[[str], dict[str, Any]],
) -> None:
    """A state that is gone when the next value is pickled leaves its identity to the next one."""
    program(
        """
        class Cell:
            def __init__(self, value): self.value = value
            def __getstate__(self): return {"value": [self.value]}
            def __setstate__(self, state): self.value, = state["value"]
        A, B, C, D = Cell(1), Cell(2), Cell(3), Cell(4)
        def f():
            return A, B, C, D
        """
    )
    groups = {each.names for each in defined(Plan(["f"])) if each.kind == VALUES}
    assert groups == {("A",), ("B",), ("C",), ("D",)}


def test_a_name_that_is_not_defined_is_not_defined_there(
    program: Callable[[str], dict[str, Any]], enter: Callable[[Plan], dict[str, Any]]
) -> None:
    """From the beginning, or since it was deleted; what the worker has set itself stays."""
    main = program("A = 1\ndef f():\n    return A, B\n")
    there = enter(Plan(["f"]))
    assert "B" not in there
    there["B"] = "the worker's"
    del main["A"]
    plan = Plan(["f"])
    assert {each.names for each in defined(plan) if each.kind == ABSENT} == {("A",), ("B",)}
    enter(plan)
    assert "A" not in there
    assert there["f"].__globals__ is there


def test_names_are_bound_anew_only_where_they_mean_something_else(
    program: Callable[[str], dict[str, Any]], enter: Callable[[Plan], dict[str, Any]]
) -> None:
    """What a worker has set stays until the master's own value is another one."""
    main = program("A, B = [1], [2]\ndef f():\n    return A, B\n")
    there = enter(Plan(["f"]))
    there["A"] = "the worker's"
    main["B"].append(3)
    enter(Plan(["f"]))
    assert (there["A"], there["B"]) == ("the worker's", [2, 3])
    main["A"].append(4)
    enter(Plan(["f"]))
    assert there["A"] == [1, 4]


def test_a_definition_comes_after_those_that_its_code_uses(
    program: Callable[[str], dict[str, Any]], enter: Callable[[Plan], dict[str, Any]]
) -> None:
    """Also when both have changed: nothing is rebuilt with an old value."""
    main = program(
        """
        def scaled(x):
            return x * SCALE[0]
        class Config:
            def __init__(self, x):
                self.x = x
                self.scaled = scaled(x)
            def __reduce__(self):
                return Config, (self.x,)
        SCALE = [2]
        CONFIG = Config(1)
        """
    )
    there = enter(Plan(["CONFIG"]))
    assert there["CONFIG"].scaled == 2
    main["SCALE"][0] = 10
    main["CONFIG"].x = 3
    enter(Plan(["CONFIG"]))
    assert there["CONFIG"].scaled == 30


def test_definitions_that_need_each_other(
    program: Callable[[str], dict[str, Any]], enter: Callable[[Plan], dict[str, Any]]
) -> None:
    """A metaclass that knows its classes and their objects; again, when there is one more."""
    main = program(
        """
        class Single(type):
            objects = {}
            def __call__(cls):
                return Single.objects.setdefault(cls, super().__call__())
        class A(metaclass=Single):
            pass
        ONE = A()
        def f():
            return Single, A, ONE
        """
    )
    there = enter(Plan(["f"]))
    assert there["Single"].objects == {there["A"]: there["ONE"]}
    assert there["A"]() is there["ONE"]
    exec("class B(metaclass=Single):\n    pass\nTWO = B()\n", main)  # noqa: S102
    enter(Plan(["f", "TWO"]))
    assert there["Single"].objects == {there["A"]: there["ONE"], there["B"]: there["TWO"]}
    assert type(there["A"]) is type(there["B"]) is there["Single"]


def test_what_cannot_be_sent_is_named(program: Callable[[str], dict[str, Any]]) -> None:
    """If code refers to it. What code could only look up, or annotations name, is left out."""
    program(
        """
        import threading
        LOCK = threading.Lock()
        def inner():
            return LOCK
        def outer():
            return inner()
        def evaluates(text):
            return eval(text)
        def annotated(x: "LOCK"):
            return x
        """
    )
    with pytest.raises(UnpicklableError, match=r"'LOCK' .a lock. of the main program"):
        Plan(["outer"])
    names = {name for each in defined(Plan(["evaluates"])) for name in each.names}
    assert {"evaluates", "outer", "inner", "threading"} <= names
    assert "LOCK" not in names
    assert {each.names for each in defined(Plan(["annotated"]))} == {("annotated",)}


def test_what_is_large_is_stored_by_itself(
    program: Callable[[str], dict[str, Any]], enter: Callable[[Plan], dict[str, Any]]
) -> None:
    """By content, so that it is there once; and what carries much is told."""
    np = pytest.importorskip("numpy")
    main = program("def f():\n    return TEXTS, A, B\n")
    main["TEXTS"] = [str(number) for number in range(INLINE)]
    main["A"], main["B"] = np.ones(LARGE), np.ones(LARGE)
    plan = Plan(["f"])
    texts, a, b = (
        next(each for each in defined(plan) if each.names == (name,))
        for name in ("TEXTS", "A", "B")
    )
    assert texts.stored in plan.environment.parts
    assert a.buffers == b.buffers
    assert len(a.buffers) == 1
    assert {name for name, _, _ in plan.environment.sizes} == {"TEXTS", "A", "B"}
    there = enter(plan)
    there["A"][0] = 7  # nobody else sees it
    assert (there["B"][0], main["A"][0], there["TEXTS"]) == (1, 1, main["TEXTS"])


def test_modules_are_imported_by_name(
    program: Callable[[str], dict[str, Any]], enter: Callable[[Plan], dict[str, Any]]
) -> None:
    """They are not a part of anything."""
    program("import json as j\ndef f():\n    return j.dumps(1)\n")
    there = enter(Plan(["f"]))
    assert isinstance(there["j"], ModuleType)
    assert there["f"]() == "1"
