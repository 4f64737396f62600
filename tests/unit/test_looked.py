"""Attributes of modules that a program sets: a change is seen, and the rest left alone."""

from __future__ import annotations

import collections
import copy
import importlib
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from masterworker import data
from masterworker.data import attributes, cells, mainmodule
from masterworker.data.environment import Plan
from masterworker.data.looked import Places
from masterworker.data.places import Written
from masterworker.surroundings import meaning, writes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with settings."""
    module = ModuleType("settings_of_this_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def plan_of(places: Places, *names: str, own: tuple[str, ...] = ()) -> Plan:
    def place(name: str) -> str:
        return f"settings_of_this_test:{name}"

    named = tuple(map(place, names))
    groups = (tuple(map(place, own)),) if own else ()
    return Plan([], written=Written(named, groups), looked=places)


def set_in(plan: Plan) -> set[str]:
    """Return which attributes are sent."""
    return {name for each in plan._definitions for name in each.names if ":" in name}


class Counted:
    """Says how often it is pickled."""

    def __init__(self, *, is_refused: bool = False) -> None:
        self.times = 0
        self.is_refused = is_refused

    def __reduce__(self) -> Any:
        self.times += 1
        if self.is_refused:
            raise TypeError("not this one")
        return int, (5,)


def put(value: object) -> Callable[[Any], None]:
    return lambda module: setattr(module, "value", value)


CHANGES: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "another one": (1, put(2)),
    "a number that is equal": (1, put(True)),
    "a number that is less equal than it seems": (0.0, put(-0.0)),
    "a tuple that is equal": ((1, 2), put((True, 2))),
    "a tuple with a zero": ((0.0,), put((-0.0,))),
    "an item": ([1, 2], lambda m: m.value.__setitem__(0, 3)),
    "an item that is equal": ([1, 2], lambda m: m.value.__setitem__(0, True)),
    "one more": ([], lambda m: m.value.append(1)),
    "one less": ({1, 2}, lambda m: m.value.discard(2)),
    "one for another": ({1, 2}, lambda m: (m.value.discard(2), m.value.add(3))),
    "a value": ({"a": 1}, lambda m: m.value.update(a=2)),
    "a value that is equal": ({"a": 1}, lambda m: m.value.update(a=1.0)),
    "a key that is equal": ({1: "a"}, lambda m: (m.value.clear(), m.value.update({True: "a"}))),
    "the order": (dict.fromkeys("ab"), lambda m: m.value.update(a=m.value.pop("a"))),
    "deep inside": ({"a": [[{}]]}, lambda m: m.value["a"][0][0].update(b=1)),
    "a part that became another": ({"a": [1]}, lambda m: m.value.update(a=[2])),
    "a count": (collections.Counter("a"), lambda m: m.value.update("a")),
    "the end of a queue": (collections.deque([1]), lambda m: m.value.append(2)),
    "a large one": (list(range(5000)), lambda m: m.value.__setitem__(4999, 0)),
    "an object": ([attributes._Bounded(1)], lambda m: setattr(m.value[0], "_left", 2)),
    "another class": ([1], put(collections.deque([1]))),
    "it is there no more": (1, lambda m: delattr(m, "value")),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_is_seen(settings: Any, case: str) -> None:
    settings.value, change = copy.deepcopy(CHANGES[case][0]), CHANGES[case][1]
    places = Places()
    before = plan_of(places, "value")
    assert before.is_true()
    change(settings)
    assert not before.is_true()
    after = plan_of(places, "value")
    assert after.is_true()
    assert after.environment.key != before.environment.key


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_among_many_is_seen(settings: Any, case: str) -> None:
    """Where they are compared together."""
    settings.value, change = copy.deepcopy(CHANGES[case][0]), CHANGES[case][1]
    fillers = [f"filler{number}" for number in range(20)]
    for number, name in enumerate(fillers):
        setattr(settings, name, [number, {}, ()][: number % 4])
    places = Places()
    before = plan_of(places, "value", *fillers)
    assert before.is_true()
    change(settings)
    assert not before.is_true()
    assert plan_of(places, "value", *fillers).is_true()


def test_equal_content_among_many_is_no_change(settings: Any) -> None:
    fillers = [f"filler{number}" for number in range(20)]
    for number, name in enumerate(fillers):
        setattr(settings, name, {"a": [number]})
    plan = plan_of(Places(), *fillers)
    settings.filler7, settings.filler9 = {"a": [7]}, {"a": [9]}
    assert plan.is_true()
    assert plan.is_true()
    settings.filler7["a"].append(1)
    assert not plan.is_true()
    settings.filler7["a"].pop()
    settings.filler3["a"].append(1)
    assert not plan.is_true()
    settings.filler3["a"].pop()
    del settings.filler9
    assert not plan.is_true()


def test_the_state_of_an_object_is_compared(settings: Any) -> None:
    """Its attributes, those of objects that it holds, and that it has the same dictionary."""
    settings.value = outer = Options()
    outer.inner = Options()
    outer.inner.names = ["a"]
    for change in (
        lambda: setattr(outer, "level", 2),
        lambda: outer.inner.names.append("b"),
        lambda: setattr(outer.inner, "level", 3),
        lambda: setattr(outer, "__dict__", {"level": 5}),
        lambda: delattr(outer, "level"),
    ):
        plan = plan_of(Places(), "value")
        assert plan.is_true()
        change()
        assert not plan.is_true()


class Options:
    """All in its attributes."""

    level = 1
    inner: Any = None
    names: Any = None


def test_what_comes_is_a_change(settings: Any) -> None:
    places = Places()
    before = plan_of(places, "value")
    settings.value = None
    assert not before.is_true()
    assert set_in(plan_of(places, "value")) == {"settings_of_this_test:value"}


def test_what_is_the_same_in_other_objects_is_no_change(settings: Any) -> None:
    settings.value, settings.word = {"a": [1]}, "a word"
    places = Places()
    before = plan_of(places, "value", "word")
    settings.value, settings.word = {"a": [1]}, "a {}".format("word")
    assert before.is_true()


def test_what_has_not_changed_is_not_pickled_again(settings: Any) -> None:
    settings.table, settings.value = {"a": Counted}, 0
    counted = Counted()
    settings.held = (counted,)
    places = Places()
    before = plan_of(places, "table", "held", "value")
    known = places.look("settings_of_this_test:table")
    times = counted.times
    settings.value = 1
    after = plan_of(places, "table", "held", "value")
    assert places.look("settings_of_this_test:table") is known
    # an object can change, so it is pickled to be compared, and for nothing else
    assert counted.times <= times + 2
    assert after.environment.key != before.environment.key


def test_what_cannot_be_sent_is_not_tried_again(settings: Any) -> None:
    counted = Counted(is_refused=True)
    settings.held, settings.value = counted, 0
    places = Places()
    before = plan_of(places, "held", "value")
    assert [name for name, _, _ in before.refused] == ["settings_of_this_test:held"]
    times = counted.times
    for number in range(1, 10):
        settings.value = number
        assert not before.is_true()
        before = plan_of(places, "held", "value")
        assert len(before.refused) == 1
    assert counted.times == times


def test_what_can_be_sent_after_all_is_sent(settings: Any) -> None:
    """A table with something that cannot be pickled, which is taken out of it."""
    settings.value = {"level": 1, "lock": threading.Lock()}
    places = Places()
    before = plan_of(places, "value")
    assert before.refused
    assert before.is_true()
    del settings.value["lock"]
    assert not before.is_true()
    after = plan_of(places, "value")
    assert not after.refused
    assert set_in(after) == {"settings_of_this_test:value"}


def test_a_module_that_keeps_too_much_is_not_looked_at_in_full(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the way is asked first, and the module goes whole once it does not."""
    settings.cache, settings.count, settings.names = list(range(20_000)), 0, ["a"]
    settings.cache[:] = ["text %d" % each for each in settings.cache]  # noqa: UP031
    places = Places()
    before = plan_of(places, own=("cache", "count", "names"))
    assert not set_in(before)
    asked: list[str] = []

    def note(name: str) -> bool:
        asked.append(name)
        return is_small(name)

    is_small = attributes.is_small
    monkeypatch.setattr(attributes, "is_small", note)
    settings.count = 1
    assert before.is_true()
    assert not asked
    settings.cache.clear()
    assert not before.is_true()
    after = plan_of(places, own=("cache", "count", "names"))
    assert set_in(after) == {
        f"settings_of_this_test:{name}" for name in ("cache", "count", "names")
    }


def test_a_random_generator_of_a_module_stays_its_own(settings: Any) -> None:
    import random

    settings.value, settings.count = random.Random(1), 1
    places = Places()
    assert set_in(plan_of(places, "value"))  # which the main program sets, too
    assert places.too_much_of(("settings_of_this_test:count", "settings_of_this_test:value"))


def test_what_the_main_program_defines_is_looked_at_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class goes by its name as long as that means this class."""
    space: dict[str, Any] = {"__name__": mainmodule.MAIN}
    monkeypatch.setattr(mainmodule._main, "elsewhere", space)
    exec("class Thing: pass", space)  # noqa: S102
    settings.value = space["Thing"]
    places = Places()
    before = plan_of(places, "value")
    exec("class Thing: pass", space)  # noqa: S102
    assert not before.is_true()
    after = plan_of(places, "value")
    assert after.environment.key != before.environment.key


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[writes.Writes, list[int]]:
    """What a program sets, and a list that grows each time it is looked for."""
    looks: list[int] = []

    def look() -> Written:
        looks.append(1)
        return real()

    real = writes.look
    monkeypatch.setattr(writes, "look", look)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "modules", sys.modules)
    owner = _Owner()
    found = writes.Writes(owner.forget)
    found.owner = owner  # type: ignore[attr-defined]  # which is not kept by it
    return found, looks


class _Owner:
    def forget(self) -> None:
        """Do nothing."""


def test_what_a_module_sets_when_it_is_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"sets_another_{tmp_path.name}".replace("-", "_")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"{name}_other.py").write_text("LEVEL = 1\n")
    (tmp_path / f"{name}.py").write_text(f"import {name}_other\n")
    module = importlib.import_module(name)
    try:
        assert f"{name}_other:LEVEL" not in writes.look().named
        (tmp_path / f"{name}.py").write_text(f"import {name}_other\n{name}_other.LEVEL = 2\n")
        importlib.invalidate_caches()
        importlib.reload(module)
        assert f"{name}_other:LEVEL" in writes.look().named
    finally:
        for each in (name, f"{name}_other"):
            sys.modules.pop(each, None)


def test_a_module_of_ours_is_no_reason_to_look_again(
    watched: tuple[writes.Writes, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A master loads some with its first calls."""
    found, looks = watched
    first = found.look()
    monkeypatch.delitem(sys.modules, cells.__name__)
    monkeypatch.setattr(data, "cells", cells)  # which is there again in the end
    assert importlib.import_module(cells.__name__) is not cells
    assert found.look() is first
    assert len(looks) == 1


def test_a_module_that_is_not_there_is_no_reason_to_look_again(
    watched: tuple[writes.Writes, list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, looks = watched
    first = found.look()
    for _ in range(20):
        with pytest.raises(ImportError):
            importlib.import_module("surely_not_there_anywhere")
        assert found.look() is first
    assert len(looks) == 1
    name = f"comes_late_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(
        "COUNT = 0\n\ndef add():\n    global COUNT\n    COUNT += 1\n"
    )
    module = importlib.import_module(name)
    try:
        assert (f"{name}:COUNT",) in found.look().own
        assert len(looks) == 2
        importlib.reload(module)
        found.look()
        assert len(looks) == 3
        del sys.modules[name]
        importlib.import_module(name)
        found.look()
        assert len(looks) == 4
    finally:
        sys.modules.pop(name, None)


def test_an_object_is_found_in_the_module_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many modules with objects of that name, and of one class."""
    table: dict[str, int] = {}
    for number in range(50):
        module = ModuleType(f"home_of_this_test_{number}")
        module.__file__ = f"/nowhere/{number}.py"
        module.__dict__["TABLE"] = table if number == 30 else {}
        monkeypatch.setitem(sys.modules, module.__name__, module)
    homes = meaning.Homes()
    assert homes.of("TABLE", table) == "home_of_this_test_30:TABLE"
    assert homes.of("MINE", table) == "home_of_this_test_30:TABLE"
    assert not homes.of("TABLE", {})
    assert not homes.of("NOTHING", object())
