"""What modules of the user's own do to one another when they are imported, and marks of theirs.

In a worker each finds the state that it has in a child of a forking pool, whatever the worker has
imported before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support import HANG, run_script

if TYPE_CHECKING:
    from pathlib import Path


class Case(NamedTuple):
    """A program. In all texts `§` stands for what makes its names differ from those of others."""

    #: Its modules.
    modules: dict[str, str]
    #: What stands at its top.
    top: str
    #: A function that tells what modules hold.
    look: str
    #: What it does before it asks for tasks.
    change: str = "pass"


REGISTRY = """
NAMES = []
KNOWN = {}
def register(name, value=None):
    if name in KNOWN:
        raise ValueError(name)
    KNOWN[name] = value
    NAMES.append(name)
    return len(NAMES)
def named(function):
    register(function.__name__, function)
    return function
"""
PLUGIN = "import registry§\nME = registry§.register('plugin')\n"
TWO = {"registry§": REGISTRY, "plugin§": PLUGIN}
BOTH = "import registry§, plugin§"
CONFIG = "LEVEL = 0\nTABLE = {}\n"
MODEL = "from config§ import LEVEL\nimport config§\nSIZE = config§.LEVEL * 2\n"

CASES = {
    "what a module appends": Case(
        {
            "registry§": "NAMES = []\ndef add(name): NAMES.append(name)\n",
            "plugin§": "import registry§\nregistry§.NAMES.append('plugin')\n",
        },
        BOTH,
        "import plugin§; return registry§.NAMES",
    ),
    "and what the program appends": Case(
        {
            "registry§": "NAMES = []\n",
            "plugin§": "import registry§\nregistry§.NAMES.append('plugin')\nX = 1\n",
        },
        BOTH,
        "return plugin§.X, registry§.NAMES",
        "registry§.NAMES.append('main')",
    ),
    "a name that is known already": Case(TWO, BOTH, "return plugin§.ME, list(registry§.KNOWN)"),
    "the program takes out what it knows": Case(
        TWO,
        BOTH,
        "return plugin§.ME, list(registry§.KNOWN), registry§.NAMES",
        "registry§.KNOWN.pop('plugin'); registry§.NAMES.append('later')",
    ),
    "decorators": Case(
        {
            "registry§": REGISTRY,
            "a§": "from registry§ import named\n@named\ndef first(): return 1\n",
            "b§": "from registry§ import named\n@named\ndef second(): return 2\n",
        },
        "import registry§, a§, b§",
        "return [f() for f in registry§.KNOWN.values()], registry§.KNOWN['first'] is a§.first",
    ),
    "modules that only the worker imports": Case(
        {**TWO, "lazy§": "import registry§\nregistry§.register('lazy')\n"},
        BOTH,
        "import lazy§, plugin§; return registry§.NAMES, list(registry§.KNOWN)",
    ),
    "classes that enter themselves": Case(
        {
            "base§": (
                "class Base:\n    registry = {}\n    def __init_subclass__(cls):\n"
                "        if cls.__name__ in Base.registry:\n            raise ValueError\n"
                "        Base.registry[cls.__name__] = cls\n"
            ),
            "k§": "from base§ import Base\nclass K(Base): pass\n",
        },
        "import base§, k§",
        "first = list(base§.Base.registry); import k§; return first, list(base§.Base.registry)",
    ),
    "objects that keep a registry": Case(
        {
            "base§": (
                "class Registry:\n    def __init__(self): self.known = {}\n"
                "    def register(self, f):\n        assert f.__name__ not in self.known\n"
                "        self.known[f.__name__] = f\n        return f\nIT = Registry()\n"
            ),
            "k§": "from base§ import IT\n@IT.register\ndef f(): return 3\n",
        },
        "import base§, k§",
        "first = list(base§.IT.known); import k§; return first, k§.IT is base§.IT, k§.f()",
    ),
    "what a module does at its top": Case(
        {
            "registry§": "NAMES = []\nLEVEL = 0\n",
            "plugin§": (
                "import registry§\nregistry§.NAMES.append('plugin')\nregistry§.LEVEL = 2\n"
            ),
        },
        BOTH,
        "first = registry§.NAMES.copy(), registry§.LEVEL\n    import plugin§\n"
        "    return first, registry§.NAMES, registry§.LEVEL",
    ),
    "sets": Case(
        {
            "registry§": "N = set()\ndef add(x):\n    assert x not in N\n    N.add(x)\n",
            "plugin§": "import registry§\nregistry§.add('plugin')\n",
        },
        BOTH,
        "import plugin§; return sorted(registry§.N)",
    ),
    "kin of dictionaries": Case(
        {
            "registry§": (
                "class Known(dict): pass\nK = Known()\n"
                "def add(x):\n    assert x not in K\n    K[x] = 1\n    K.last = x\n"
            ),
            "plugin§": "import registry§\nregistry§.add('plugin')\n",
        },
        BOTH,
        "import plugin§; return registry§.K, registry§.K.last",
        "registry§.K['main'] = 2",
    ),
    "counters": Case(
        {
            "registry§": "N = 0\ndef add():\n    global N\n    N += 1\n    return N\n",
            "plugin§": "import registry§\nME = registry§.add()\n",
        },
        BOTH,
        "import plugin§; return registry§.N, plugin§.ME",
    ),
    "entries of a package": Case(
        {
            "pkg§/__init__": "E = []\ndef add(x): E.append(x)\nfrom . import one, two\n",
            "pkg§/one": "from pkg§ import add\nadd('one')\n",
            "pkg§/two": "from . import add\nadd('two')\n",
        },
        "import pkg§",
        "import pkg§.two; return pkg§.E",
    ),
    "what is set after the imports": Case(
        {"config§": CONFIG, "model§": MODEL},
        "import config§, model§",
        "return config§.LEVEL, model§.LEVEL, model§.SIZE",
        "config§.LEVEL = 2",
    ),
    "what is set before an import": Case(
        {"config§": CONFIG, "model§": MODEL},
        "import config§\nconfig§.LEVEL = 2\nimport model§",
        "return config§.LEVEL, model§.LEVEL, model§.SIZE",
    ),
    "what a function sets before an import": Case(
        {"config§": CONFIG, "model§": "import config§\nSIZE = config§.TABLE['a'] * 2\n"},
        "import config§",
        "import model§; return model§.SIZE",
        "config§.TABLE['a'] = 3; import model§",
    ),
    "what an import needs that is set elsewhere": Case(
        {
            "config§": "TABLE = {}\ndef set(name, x): TABLE[name] = x\n",
            "model§": "import config§\nSIZE = config§.TABLE['a'] * 2\n",
        },
        "import config§\nconfig§.set('a', 3)\nimport model§",
        "import model§; return model§.SIZE",
    ),
}
MARKED = "MARK = object()\nv = w = None\ndef is_it(x): return x is MARK\n"
MARKS = {
    "both are set": Case(
        {"a§": "MARK = object()\nv = w = MARK\n"},
        "import a§",
        "return a§.v is a§.MARK, a§.w is a§.MARK",
        "a§.MARK = object(); a§.v = a§.MARK",
    ),
    "one is set": Case({"a§": MARKED}, "import a§", "return a§.v is a§.MARK", "a§.v = a§.MARK"),
    "two modules": Case(
        {"a§": MARKED, "b§": "from a§ import MARK\nv = None\n"},
        "import a§, b§",
        "return b§.MARK is a§.MARK, b§.v is a§.MARK, b§.v is b§.MARK",
        "b§.v = a§.MARK",
    ),
    "imported by the program": Case(
        {"a§": MARKED}, "import a§\nfrom a§ import MARK as MARK§", "return a§.is_it(MARK§)"
    ),
    "defaults": Case(
        {"a§": MARKED},
        "import a§\ndef f§(x=a§.MARK, *, y=a§.MARK): return a§.is_it(x) and x is y",
        "return f§()",
    ),
    "attributes of classes": Case(
        {"a§": MARKED}, "import a§\nclass C§:\n    x = a§.MARK", "return a§.is_it(C§.x)"
    ),
    "closures": Case(
        {"a§": MARKED},
        "import a§\ndef make§(x): return lambda: a§.is_it(x)\nf§ = make§(a§.MARK)",
        "return f§()",
    ),
    "in containers": Case(
        {"a§": "MARK = object()\nT = {}\n"},
        "import a§",
        "return a§.T['k'] is a§.MARK, a§.T['l'][0] is a§.MARK",
        "a§.T['k'] = a§.MARK; a§.T['l'] = [a§.MARK]",
    ),
    "the program's own": Case(
        {"a§": MARKED},
        "import a§\nMARK§ = object()\nother§ = MARK§\nlist§ = [MARK§, object()]",
        "return a§.v is MARK§, other§ is MARK§, list§[0] is MARK§, list§[1] is MARK§",
        "a§.v = MARK§",
    ),
    "classes of marks": Case(
        {
            "a§": (
                "class Mark:\n    __slots__ = ()\n    def __repr__(self): return 'mark'\n"
                "MARK = Mark()\nv = MARK\nw = 0\n"
            )
        },
        "import a§",
        "return a§.w is a§.MARK, a§.v is a§.MARK",
        "a§.w = a§.MARK",
    ),
    "two indexes of the same objects": Case(
        {
            "r§": (
                "BY_NAME = {}\nIN_ORDER = []\nclass P: pass\n"
                "def add(n):\n    p = P()\n    p.n = n\n    BY_NAME[n] = p\n"
                "    IN_ORDER.append(p)\n    return p\n"
            ),
            "p§": "import r§\nMINE = []\ndef more(n): MINE.append(r§.add(n))\nmore('a')\n",
        },
        "import r§, p§",
        "return [r§.BY_NAME[p.n] is p for p in r§.IN_ORDER + p§.MINE]",
        "p§.more('b')",
    ),
    "containers with two names": Case(
        {"a§": "N = []\ndef add(x): N.append(x)\n", "b§": "V = None\n"},
        "import a§, b§\nfrom a§ import N as N§",
        "return b§.V is a§.N, N§ is a§.N, N§",
        "b§.V = a§.N; a§.add(1)",
    ),
    "what a registry holds": Case(
        {
            "registry§": "H = {}\ndef add(k, v): H[k] = v\n",
            "plugin§": (
                "import registry§\nclass P:\n    def __init__(self): self.n = 1\n"
                "it = P()\nregistry§.add('p', it)\n"
            ),
        },
        BOTH,
        "plugin§.it.m = 3; return registry§.H['p'] is plugin§.it, vars(registry§.H['p'])",
        "plugin§.it.n = 2",
    ),
}
PROGRAM = """
def state(number):
    try:
        return repr(LOOKS[number]())
    except Exception as error:
        return repr(error)

if __name__ == "__main__":
    for change in CHANGES:
        change()
    numbers = range(len(LOOKS))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = [pool.map(state, numbers)]
    with Master(workers=1) as master:
        found.append([master.submit(look).result(60) for look in LOOKS])
        found[-1] = list(map(repr, found[-1]))
        found.append(list(master.map(state, numbers)))
    with Master(workers=1) as master:
        found.append(list(master.map(state, numbers[::-1]))[::-1])
    print(json.dumps(found))
"""


def _compare(folder: Path, cases: dict[str, Case], env: dict[str, str] | None = None) -> None:
    """Compare what tasks find with what a forking pool finds, in two orders."""
    top = ["import json, multiprocessing", "from masterworker import Master"]
    later = ["LOOKS, CHANGES = [], []"]
    for number, case in enumerate(cases.values()):
        here = str(number)
        for name, text in case.modules.items():
            file = folder / f"{name.replace('§', here)}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text.replace("§", here))
        top.append(case.top.replace("§", here))
        later.append(f"def look{here}():\n    {case.look.replace('§', here)}")
        later.append(f"def change{here}():\n    {case.change.replace('§', here)}")
        later.append(f"LOOKS.append(look{here})\nCHANGES.append(change{here})")
    path = folder / "program.py"
    path.write_text("\n".join([*top, *later, PROGRAM]))
    ran = run_script(path, env=env, timeout=4 * HANG)
    pool, *ours = json.loads(ran.out)
    for found in ours:
        pairs = zip(cases, pool, found, strict=True)
        assert [each for each in pairs if each[1] != each[2]] == []
    assert "Error" not in "".join(pool)
    assert "cannot be" not in ran.err


@pytest.mark.parametrize("template", ["1", "0"])
def test_what_modules_do_when_they_are_imported(tmp_path: Path, template: str) -> None:
    """It has been done in the values that come from the master, and is not done to them again."""
    _compare(tmp_path, CASES, {"MASTERWORKER_TEMPLATE": template})


def test_what_only_workers_import_stays(tmp_path: Path) -> None:
    """Also when the program changes what it was added to, and when it imports that module, too."""
    (tmp_path / "registry.py").write_text(REGISTRY)
    for name in ("plugin", "lazy"):
        text = f"import registry\nregistry.register('{name}')\n"
        (tmp_path / f"{name}.py").write_text(text)
    add = "registry.NAMES.append({!r})"
    lines = "import registry", add.format("x"), "import lazy, plugin", add.format("y")
    (tmp_path / "outer.py").write_text("\n".join(lines))
    path = tmp_path / "program.py"
    path.write_text("""
import importlib, json, registry
from masterworker import Master

def state(*names):
    for name in names:
        importlib.import_module(name)
    return registry.NAMES, list(registry.KNOWN)

if __name__ == "__main__":
    found = []
    with Master(workers=1) as master:
        import plugin
        found.append(master.submit(state).result(60))
        found.append(master.submit(state, "outer").result(60))
        registry.register("later")
        found.append(master.submit(state, "plugin").result(60))
        registry.KNOWN.pop("later")
        found.append(master.submit(state).result(60))
        import lazy
        found.append(master.submit(state).result(60))
        registry.NAMES.remove("lazy")
        found.append(master.submit(state).result(60))
    print(json.dumps(found))
""")
    ran = run_script(path, timeout=4 * HANG)
    first, second, third, fourth, fifth, last = json.loads(ran.out)
    added = ["x", "lazy", "y"]
    assert first == [["plugin"], ["plugin"]], ran.err
    assert second == [["plugin", *added], ["plugin", "lazy"]]
    assert third == [["plugin", "later", *added], ["plugin", "later", "lazy"]]
    assert fourth == [["plugin", "later", *added], ["plugin", "lazy"]]
    assert fifth == [["plugin", "later", "lazy", "x", "y"], ["plugin", "lazy"]]
    assert last == [["plugin", "later", "x", "y"], ["plugin", "lazy"]]


@pytest.mark.parametrize("template", ["1", "0"])
def test_marks(tmp_path: Path, template: str) -> None:
    """They are compared by identity, and have been given to others."""
    _compare(tmp_path, MARKS, {"MASTERWORKER_TEMPLATE": template})


def test_parameters_are_copies(tmp_path: Path) -> None:
    """Of what a module has, too: what the worker's module has is not touched."""
    (tmp_path / "config.py").write_text("class Options: pass\noptions = Options()\n")
    path = tmp_path / "program.py"
    path.write_text("""
import config
from masterworker import Master

class Here: pass

def work(given, here):
    config.options.set = True
    return given is config.options, given.level, vars(config.options)

def seen(given, here):
    return vars(config.options)

if __name__ == "__main__":
    with Master(workers=1) as master:
        config.options.level = 1
        print(master.submit(work, config.options, Here()).result(60))
        print(master.submit(seen, config.options, Here()).result(60))
""")
    ran = run_script(path, timeout=4 * HANG)
    state = {"level": 1, "set": True}
    assert ran.out.splitlines() == [str((False, 1, state)), str(state)]
