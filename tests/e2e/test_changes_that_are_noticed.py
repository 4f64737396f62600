"""What a program changes in its own modules, in all ways there are, its workers find changed.

What the worker of a new `multiprocessing.Pool` finds that has been forked just then is the truth.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from e2e.peers.further_ways import FURTHER
from e2e.peers.ways_to_change import WAYS
from support import HANG, Script, run_script

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
def look(name):
    try:
        return importlib.import_module(name).look()
    except Exception as error:
        return type(error).__name__

def state():
    return [repr(look(name)) for name in NAMES]

def forked():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(state)

if __name__ == "__main__":
    is_early, first = sys.argv[1] == "early", state()
    if is_early:
        for change in CHANGES:
            change()
    with Master(workers=1) as master:
        before = first if is_early else master.submit(state).result(60)
        for change in () if is_early else CHANGES:
            change()
        found = [master.submit(state).result(60) for _ in range(2)]
        print(json.dumps([first, before, forked(), *found]))
"""


def _compare(folder: Path, ways: dict[str, tuple[str, ...]], when: str) -> Script:
    program = ["import importlib, json, multiprocessing, sys", "from masterworker import Master"]
    program.append("CHANGES = []")
    names = [f"module{number}" for number in range(len(ways))]
    for name, (text, *before, change) in zip(names, ways.values(), strict=True):
        look = "" if "look" in text else "def look(): return v"
        (folder / f"{name}.py").write_text(f"{text}\n{look}\n")
        lines = [
            f"import {name}",
            *before,
            f"def change():\n    {change}",
            "CHANGES.append(change)",
        ]
        program += [re.sub(r"\bM\b", name, line) for line in lines]
    program += [f"NAMES = {names}", PROGRAM]
    path = folder / "program.py"
    path.write_text("\n".join(program))
    ran = run_script(path, when, env={"PYTHONWARNINGS": "ignore"}, timeout=4 * HANG)
    every = list(zip(ways, *json.loads(ran.out), strict=True))
    assert not {way for way, first, before, *_ in every if first != before}
    assert not {way for way, first, _, forked, *_ in every if first == forked}
    assert not {way: each for way, _, _, *each in every if len(set(each)) > 1}
    return ran


@pytest.mark.parametrize("ways", [WAYS, FURTHER], ids=["first", "further"])
@pytest.mark.parametrize("when", ["early", "late"])
def test_what_is_changed_is_found_changed(
    tmp_path: Path, when: str, ways: dict[str, tuple[str, ...]]
) -> None:
    """Before the workers are launched, and after they have imported the modules."""
    ran = _compare(tmp_path, ways, when)
    assert "cannot be" not in ran.err


#: Some by themselves: no other module makes the library look once more.
ALONE = ["globals update", "method of own class", "class attribute", "closure", "property", "del"]


@pytest.mark.parametrize("way", ALONE)
def test_a_change_by_itself(tmp_path: Path, way: str) -> None:
    _compare(tmp_path, {way: WAYS[way]}, "late")


def test_what_modules_register_with_an_object_is_there_once(tmp_path: Path) -> None:
    """It refuses what it knows, and a worker imports a module more than the program."""
    (tmp_path / "registry.py").write_text(
        "class Registry:\n"
        "    def __init__(self): self.known = {}\n"
        "    def add(self, name):\n"
        "        if name in self.known: raise ValueError(name)\n"
        "        self.known[name] = 1\n"
        "registry = Registry()\n"
        "class Base:\n"
        "    kinds = []\n"
        "    def __init_subclass__(cls): cls.kinds.append(cls.__name__)\n"
    )
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(
            f"import registry\nregistry.registry.add('{name}')\n"
            f"class Kind_{name}(registry.Base): pass\n"
        )
    path = tmp_path / "program.py"
    path.write_text(
        "import one, registry\n"
        "from masterworker import Master\n"
        "def look():\n"
        "    return list(registry.registry.known), registry.Base.kinds\n"
        "def more():\n"
        "    import one, two\n"
        "    return look()\n"
        "with Master(workers=1) as master:\n"
        "    for function in (look, more, look):\n"
        "        print(*master.submit(function).result(60))\n"
        "    registry.registry.add('here')\n"
        "    print(*master.submit(more).result(60))\n"
    )
    assert run_script(path, timeout=2 * HANG).out.splitlines() == [
        "['one'] ['Kind_one']",
        "['one', 'two'] ['Kind_one', 'Kind_two']",
        "['one', 'two'] ['Kind_one', 'Kind_two']",
        "['one', 'here', 'two'] ['Kind_one', 'Kind_two']",
    ]
