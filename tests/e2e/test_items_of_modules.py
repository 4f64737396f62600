"""What the main program changes inside of what modules hold is what its tasks find there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support import HANG, Script, run_script

if TYPE_CHECKING:
    from pathlib import Path

#: What a module holds, and what changes it: each is code of its own, in a function.
WAYS = {
    "slice": ("v = [1, 2, 3]", "M.v[0:1] = [9, 9]"),
    "slice that is left out": ("v = [1, 2, 3]", "del M.v[0:1]"),
    "steps": ("v = [1, 2, 3]", "M.v[::2] = [8, 8]"),
    "sum of a slice": ("v = [1, 2, 3]", "M.v[1:] += [4]"),
    "method of an item": ("v = {'a': [1]}", "M.v['a'].append(4)"),
    "method of an item of an item": ("v = {'a': {'b': {}}}", "M.v['a']['b'].update(c=1)"),
    "method of an item, inside": (
        "v = {'a': [1]}\ndef change():\n    v['a'].append(4)",
        "M.change()",
    ),
    "slice, inside": ("v = [1, 2]\ndef change():\n    v[1:] = [7]", "M.change()"),
    "attribute of an item": (
        "class C: n = 1\nv = [C()]\ndef look(): return v[0].n",
        "M.v[0].n = 5",
    ),
    "attribute of an item's attribute": (
        "class C: n = 1\nv = {'a': C()}\nv['a'].c = C()\ndef look(): return v['a'].c.n",
        "M.v['a'].c.n = 5",
    ),
    "setattr of an item": (
        "class C: n = 1\nv = [C()]\ndef look(): return v[0].n",
        "setattr(M.v[0], 'n', 5)",
    ),
    "list in a tuple": ("v = ([1],)", "M.v[0].append(2)"),
    "in a tuple of an object": (
        "class C: pass\no = C()\no.t = ([1],)\ndef look(): return o.t",
        "M.o.t[0].append(2)",
    ),
    "another name": ("v = {}", "from M import v as other", "other['a'] = 1"),
    "a name for it": ("v = {}", "mine = M.v", "mine['a'] = 1"),
    "a name for an object": (
        "class C: n = 1\no = C()\ndef look(): return o.n",
        "held = M.o",
        "held.n = 3",
    ),
    "import inside": ("v = {}", "def go():\n    from M import v\n    v['a'] = 1", "go()"),
    "import of an object inside": (
        "class C: n = 1\no = C()\ndef look(): return o.n",
        "def run():\n    from M import o as it\n    it.n = 4",
        "run()",
    ),
    "functions that change": (
        "v = [3]\nw = [1, 2]\ndef look(): return v, w",
        "import heapq, operator",
        "heapq.heappush(M.v, 1); operator.setitem(M.w, 0, 5)",
    ),
    "shuffled": ("v = list(range(9))", "import random", "random.Random(3).shuffle(M.v)"),
    "special methods": ("v = {}", "M.v.__setitem__('a', 1)"),
    "dictionary with attributes": (
        (
            "class D(dict): n = 0\nv = D(b=2)\nd = {'it': v}\n"
            "def look(): return list(v.items()), v.n, d['it'] is v"
        ),
        "M.v['a'] = 1; M.v.n = 3",
    ),
    "methods of a dictionary's kin": ("class D(dict): pass\nv = D()", "M.v.update(a=1)"),
    "kin of a list": ("class L(list): pass\nv = L([2])", "M.v.append(1)"),
    "UserDict": (
        "from collections import UserDict\nv = UserDict(b=2)\ndef look(): return list(v.items())",
        "M.v['a'] = 1",
    ),
}
WITH_ARRAYS = {
    "array": ("import numpy as np\nv = np.zeros(3)\n", "M.v[:2] = 4"),
    "array, flat": ("import numpy as np\nv = np.zeros((2, 2))\n", "M.v.flat[0] = 4"),
    "array, turned": ("import numpy as np\nv = np.zeros((2, 2))\n", "M.v.T[0] = 4"),
    "item's array": (
        "import numpy as np\nv = {'a': np.zeros(2)}\ndef look(): return v['a'].tolist()",
        "M.v['a'][0] = 2",
    ),
    "view": ("import numpy as np\nv = np.zeros(3)\n", "view = M.v[1:]", "view[0] = 4"),
    "copied into": (
        "import numpy as np\nv = np.zeros(3)\n",
        "import numpy as np",
        "np.copyto(M.v, 4)",
    ),
}
WITH_TABLES = {
    "column": (
        (
            "import pandas as pd\nv = pd.DataFrame({'a': [1, 2]})\nd = {'it': v}\n"
            "def look(): return v.to_dict('list'), d['it'] is v"
        ),
        "M.v['b'] = 4",
    ),
    "cell": (
        (
            "import pandas as pd\nv = pd.DataFrame({'a': [1, 2]})\n"
            "def look(): return v.to_dict('list')"
        ),
        "M.v.loc[0, 'a'] = 4",
    ),
}
PROGRAM = """
def look(name):
    return importlib.import_module(name).look()

def state(_=0):
    return [repr(look(name)) for name in NAMES]

if __name__ == "__main__":
    before = state()
    with Master(workers=1) as master:
        for change in CHANGES:
            change()
        print(json.dumps([before, state(), master.submit(state).result(60)]))
"""


def _run(folder: Path, program: str, env: dict[str, str] | None = None) -> Script:
    path = folder / "program.py"
    path.write_text(program)
    return run_script(path, env=env, timeout=4 * HANG)


def _compare(folder: Path, ways: dict[str, tuple[str, ...]]) -> None:
    program = ["import importlib, json", "from masterworker import Master", "CHANGES = []"]
    names = [f"module{number}" for number in range(len(ways))]
    for name, (text, *before, change) in zip(names, ways.values(), strict=True):
        look = "" if "def look" in text else "def look(): return v"
        look = look if "np." not in text else look.replace("v", "v.tolist()")
        (folder / f"{name}.py").write_text(f"{text}\n{look}\n")
        program += [f"import {name}", *(each.replace("M", name) for each in before)]
        program += [f"def change():\n    {change.replace('M', name)}", "CHANGES.append(change)"]
    program += [f"NAMES = {names}", PROGRAM]
    ran = _run(folder, "\n".join(program), env={"PYTHONWARNINGS": "ignore"})
    every = zip(ways, *json.loads(ran.out), strict=True)
    found = {way: (before, here, there) for way, before, here, there in every}
    assert not {way: each for way, each in found.items() if each[0] == each[1]}
    assert not {way: each for way, each in found.items() if each[1] != each[2]}
    assert "cannot be" not in ran.err


def test_items_that_a_program_changes(tmp_path: Path) -> None:
    """In all the ways that Python has for it."""
    _compare(tmp_path, WAYS)


def test_arrays_that_a_program_changes(tmp_path: Path) -> None:
    """Also through views of them."""
    pytest.importorskip("numpy")
    _compare(tmp_path, WITH_ARRAYS)


def test_tables_that_a_program_changes(tmp_path: Path) -> None:
    """They stay the same objects, which others may hold."""
    pytest.importorskip("pandas")
    _compare(tmp_path, WITH_TABLES)


def test_proxies_that_raise_when_they_are_asked(tmp_path: Path) -> None:
    """As those of web frameworks do outside of a request, whatever one asks of them."""
    (tmp_path / "library.py").write_text(
        "class Proxy:\n"
        "    @property\n"
        "    def __class__(self): raise RuntimeError('outside of a request')\n"
        "    def __getattr__(self, name): raise RuntimeError('outside of a request')\n"
        "current = session = Proxy()\n"
        "set_it = session\n"
    )
    program = """
import library
from masterworker import Master

def view():
    from library import session
    session["user"] = 1
    session.basket.append(2)
    library.set_it()

def value(x):
    library.current
    return x

library.current = library.Proxy()
if __name__ == "__main__":
    with Master(workers=1) as master:
        print(master.submit(value, 5).result(60))
        library.current = library.Proxy()
        print(master.submit(value, 6).result(60))
"""
    ran = _run(tmp_path, program)
    assert ran.out.split() == ["5", "6"], ran.err
    assert ran.err.count("library.current (a Proxy), which cannot be sent") == 1


def test_a_method_that_is_not_set_is_left_alone(tmp_path: Path) -> None:
    """Some code sets it, which is not executed, or has set it back."""
    (tmp_path / "library.py").write_text(
        "import threading\n"
        "class Client:\n"
        "    def __init__(self): self.sent = []\n"
        "    def send(self, x): self.sent.append(x)\n"
        "class Locked(Client):\n"
        "    def __init__(self): super().__init__(); self.lock = threading.Lock()\n"
        "client, other, locked = Client(), Client(), Locked()\n"
    )
    program = """
import library
from masterworker import Master

def pretend():
    library.client.send = library.locked.send = print

def value(x):
    for each in library.client, library.other, library.locked:
        each.send(x)
    return len(library.client.sent + library.other.sent + library.locked.sent)

if __name__ == "__main__":
    before, library.other.send = library.other.send, print
    library.other.send = before
    with Master(workers=1) as master:
        print(master.submit(value, 5).result(60))
        library.client.send = library.Client().send
        print(master.submit(value, 6).result(60))
"""
    ran = _run(tmp_path, program)
    # What is set in an object is a change of the object: it is the program's again as a whole.
    assert ran.out.split() == ["3", "4"], ran.err
    assert not ran.complaints


def test_what_is_installed_in_a_folder_is_no_module_of_the_users(tmp_path: Path) -> None:
    """By `pip install --target`: what its modules keep for themselves is not looked at."""
    (tmp_path / "installed" / "library-1.0.dist-info").mkdir(parents=True)
    package = tmp_path / "installed" / "library"
    package.mkdir()
    (package / "__init__.py").write_text("from library import inner\n")
    (package / "inner.py").write_text("from library.known import add\nadd('inner')\n")
    (package / "known.py").write_text(
        "KNOWN = []\ndef add(name):\n    assert name not in KNOWN\n    KNOWN.append(name)\n"
    )
    ran = _run(
        tmp_path,
        "import sys\n"
        "sys.path.insert(0, 'installed')\n"
        "import library.known\n"
        "from masterworker import Master\n"
        "def task():\n"
        "    return library.known.KNOWN\n"
        "with Master(workers=1) as master:\n"
        "    print(master.submit(task).result(60))\n",
    )
    assert ran.out == "['inner']\n", ran.err
    assert not ran.complaints
