"""The rules of the house: kept today, and noticed when they are broken."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tools.house import counts, drawing, imports, rules, source, states, words
from tools.house.source import Module

MODULES = source.read()


def module(text: str, name: str = "masterworker.core.new") -> Module:
    return Module(name, text)


def test_no_rule_is_broken() -> None:
    assert list(rules.broken(MODULES, rules.load())) == []


def test_the_maps_are_those_of_the_imports() -> None:
    """If this fails: `make map`."""
    for path, text in drawing.pages(MODULES, imports.graph(typing=False)).items():
        assert path.read_text() == text, f"{path.name}: run `make map`"


def test_tables_of_states_are_drawn_whole() -> None:
    """Each state and each way out of it has a line of its own."""
    lines = states.draw_states().splitlines()
    for _, table in states.TABLES:
        kind = type(next(iter(table.values())))
        assert all(f"  {state.name:<11} {state.value}" in lines for state in kind)
    assert sum("...>" in line for line in lines) == sum(len(table) for _, table in states.TABLES)


def test_each_module_says_what_it_is_for() -> None:
    assert [each.name for each in MODULES if each.text.strip() and not each.summary] == []


def architecture() -> str:
    """What maintainers read about the whole."""
    names = ("ARCHITECTURE.md", "docs/mechanisms.md")
    return "\n".join((source.ROOT / name).read_text() for name in names)


def test_architecture_can_be_read_beside_the_code() -> None:
    assert [line for line in architecture().splitlines() if len(line) > 100] == []


def test_every_file_that_architecture_names_is_there() -> None:
    text = architecture()
    named = set(re.findall(r"`([\w/]+/\w+\.(?:py|toml|md))`", text))
    places = (source.ROOT, source.SOURCE, source.SOURCE / "masterworker")
    assert len(named) > 60
    assert [file for file in named if not any((place / file).exists() for place in places)] == []


def test_lines_of_code_are_those_with_code() -> None:
    text = '"""Of it."""\n\n# why\nx = """a\n\nb"""\n\n\ndef f():\n    """Of f."""\n    return 1\n'
    assert module(text).code_lines == 5
    assert module(text).lines == 11


# -- imports -----------------------------------------------------------------------------------

#: A house of three modules, in which everything is in order.
GOOD: imports.Graph = {
    "masterworker.core.a": {"math", "masterworker.core.b"},
    "masterworker.core.b": {"math"},
    "masterworker.net": {"socket", "msgspec", "masterworker.core.a"},
}
RULES: dict[str, Any] = {
    "dependencies": ["msgspec"],
    "pure": ["masterworker.core"],
    "allowed_in_pure": ["math"],
    "allowed": {"socket": ["masterworker.net"]},
}


@pytest.mark.parametrize(
    ("name", "imported", "said"),
    [
        ("masterworker.new", "socket", "allows to masterworker.net"),
        ("masterworker.core.new", "msgspec", "is pure"),
        ("masterworker.core.new", "masterworker.net", "is pure"),
        ("masterworker.new", "requests", "no dependency"),
    ],
)
def test_a_new_module_is_caught(name: str, imported: str, said: str) -> None:
    assert list(rules.broken_imports(GOOD, GOOD, RULES)) == []
    bad = {**GOOD, name: {imported}}
    errors = list(rules.broken_imports(bad, bad, RULES))
    assert [name in error and said in error for error in errors] == [True]


def test_a_circle_is_caught_though_only_the_type_checker_sees_it() -> None:
    seen_by_mypy = {**GOOD, "masterworker.core.b": {"masterworker.core.a"}}
    (error,) = rules.broken_imports(seen_by_mypy, GOOD, RULES)
    assert error == "import one another: masterworker.core.a, masterworker.core.b"


def test_what_is_allowed_for_nothing_is_told() -> None:
    (word,) = imports.idle(GOOD, {"socket": ["masterworker.net", "masterworker.core"]})
    assert "masterworker.core" in word


def test_imports_under_type_checking_are_told_from_the_others() -> None:
    every, at_run_time = imports.graph(), imports.graph(typing=False)
    assert every.keys() == at_run_time.keys()
    assert all(at_run_time[name] <= every[name] for name in every)
    assert at_run_time != every


def test_folders_stand_above_what_they_import() -> None:
    floors = drawing.floors({"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": {"c"}})
    assert floors == [["a"], ["b", "d"], ["c"]]


# -- what is counted ---------------------------------------------------------------------------


def test_towers_are_found_across_files() -> None:
    modules = [
        module("class A: ...\nclass B(A): ...", "masterworker.x"),
        module("from masterworker.x import B as Base\nclass C(Base): ...", "masterworker.y"),
        module("from masterworker.y import C\nclass D(C[int], object): ...", "masterworker.z"),
    ]
    assert counts.heights(modules) == {
        "masterworker.x.A": 0,
        "masterworker.x.B": 1,
        "masterworker.y.C": 2,
        "masterworker.z.D": 3,
    }


def test_errors_are_a_tree_on_purpose() -> None:
    modules = [
        module("class Error(Exception): ...\nclass Lost(Error): ...", "masterworker.errors"),
        module("from masterworker.errors import Lost\nclass Gone(Lost): ...", "masterworker.y"),
    ]
    assert counts.heights(modules) == {}


def test_tests_for_shapes_and_globals_are_counted() -> None:
    text = (
        "class Block: ...\n"
        "def f(x, y):\n"
        "    global z\n"
        "    if isinstance(x, Block) or x.__class__ is list or isinstance(y, (int, tuple)):\n"
        "        z = isinstance(y, int)\n"
    )
    assert counts.count_shape_tests([module(text)]) == {"masterworker.core.new": 3}
    assert counts.count_shape_tests([module(text, "masterworker.data.new")]) == {}
    assert counts.count_globals([module(text)]) == {"masterworker.core.new": 1}


def test_what_is_too_long_needs_a_reason() -> None:
    long = module("x = 1\n" * 401)
    rulebook = rules.load()
    rulebook["lines"] = {"folder": 400, "all": 10_000, "file": 400, "function": 50}
    errors = [error for error in rules.broken([long], rulebook) if "masterworker.core.new" in error]
    assert len(errors) == 1
    assert any(error.startswith("core/: 401") for error in rules.broken([long], rulebook))
    rulebook["reasons"]["files"]["masterworker.core.new"] = "a table"
    assert not any("core.new" in error for error in rules.broken([long], rulebook))


def test_a_function_that_is_too_long_needs_a_reason() -> None:
    """Its signature, what is said about it, and what stands beside it, are not its length."""
    signature = "    def f(\n        self,\n        x,\n    ):\n"
    said = '        """Of f.\n\n        More.\n        """\n        # why\n\n'
    text = f"class A:\n{signature}{said}" + "        x = 1\n" * 51
    (name, lines), *_ = counts.function_lengths([module(text)]).items()
    assert (name, lines) == ("masterworker.core.new.A.f", 51)
    rulebook = rules.load()
    errors = [error for error in rules.broken([module(text)], rulebook) if "new.A.f" in error]
    assert len(errors) == 1
    rulebook["reasons"]["functions"][name] = "a loop that is short of time"
    assert not any("new.A.f" in error for error in rules.broken([module(text)], rulebook))
    assert not any("new.A.f" in line for line in rules.idle([module(text)], rulebook))
    assert any("new.A.f" in line for line in rules.idle([module("x = 1\n")], rulebook))


# -- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["# Nobody asks.", "# It is kept for him.", '"""So\n    many tasks."""', "whoever = 1"]
)
def test_words_that_hide_what_is_meant_are_errors(text: str) -> None:
    named = [("masterworker.new", f"x = 1\n{text}\n")]
    (error,) = words.riddles(named, {})
    assert error.startswith("masterworker.new: 2: ")
    assert list(words.riddles(named, {"masterworker.new": "a name of the system"})) == []


def test_other_words_are_none() -> None:
    assert words.found_in("# No body, and so manyfold.\nwho = 'the worker'\n") == []
