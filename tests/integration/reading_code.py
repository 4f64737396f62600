"""What our readers of byte code find, in whichever Python executes this, beside what there is.

    PYTHONPATH=src python tests/integration/reading_code.py

prints the names of the examples that are read wrongly, with what was found, as JSON. It needs
nothing but that Python: each version has byte code of its own.
"""

from __future__ import annotations

import json
import sys
from types import CodeType
from typing import Any

from masterworker.data import settings_in_code, sourcecode
from masterworker.surroundings import calls

#: Examples for `settings_in_code`: the body of a function, and what it sets, by the kind of it.
SETS: dict[str, tuple[str, dict[str, list[Any]]]] = {
    "an attribute": ("np.level = 1", {"sets": ["np.level"]}),
    "an attribute of an attribute": ("a.b.c = 1", {"sets": ["a.b.c"]}),
    "two at once": ("a.x = a.y = f(1)", {"sets": ["a.x", "a.y"]}),
    "unpacked": ("a.x, a.y = pair", {"sets": ["a.x", "a.y"]}),
    "of a local name": ("b = f()\nb.x = 1", {}),
    "in place": ("a.x += 1", {"sets": ["a.x"]}),
    "of what a call returns": ("f().x = 1", {}),
    "by a comprehension": ("a.x = [i for i in range(3)]", {"sets": ["a.x"]}),
    "by a condition": ("a.x = 1 if f() else 2", {"sets": ["a.x"]}),
    "by a call with keywords": ("a.x = f(1, key=2)", {"sets": ["a.x"]}),
    "by a method": ("a.x = b.f(1)", {"sets": ["a.x"]}),
    "by a text with values": ("a.x = f'{y} and {z!r}'", {"sets": ["a.x"]}),
    "by a dictionary": ("a.x = {'k': v, **w}", {"sets": ["a.x"]}),
    "by a comparison": ("a.x = 1 < y < 3", {"sets": ["a.x"]}),
    "by a slice": ("a.x = y[1:n]", {"sets": ["a.x"]}),
    "in a loop": ("for i in y:\n    a.x = i", {"sets": ["a.x"]}),
    "in a try": ("try:\n    a.x = 1\nexcept E:\n    b.y = 2", {"sets": ["a.x", "b.y"]}),
    "two by locals": ("y = f()\nz = f()\na.x, a.y = y, z", {"sets": ["a.x", "a.y"]}),
    "in a class": ("class C:\n    a.x = 1\nreturn C", {"sets": ["a.x"]}),
    "by a generator": ("a.x = sum(i for i in y)", {"sets": ["a.x"]}),
    "by an await": ("a.x = (yield 1)", {"sets": ["a.x"]}),
    "by a match": (
        "match f():\n    case [p, q]:\n        a.x = p\n        a.y = q",
        {"sets": ["a.x", "a.y"]},
    ),
    "in a finally": ("try:\n    f()\nfinally:\n    a.x = 1", {"sets": ["a.x"]}),
    "by an assert": ("assert y\na.x = 1", {"sets": ["a.x"]}),
    "in a with": ("with f() as g:\n    a.x = g", {"sets": ["a.x"]}),
    "inside": ("def inner():\n    a.x = 1\nreturn inner", {"sets": ["a.x"]}),
    "an item": ("a['k'] = 1", {"changes": ["a"]}),
    "an item of an attribute": ("a.d['k'] = 1", {"changes": ["a.d"]}),
    "an item in place": ("a.d['k'] += 1", {"changes": ["a.d"]}),
    "an item that goes": ("del a.d['k']", {"changes": ["a.d"]}),
    "a slice": ("a.d[1:n] = y", {"changes": ["a.d"]}),
    "a slice with steps": ("a.d[1:n:2] = y", {"changes": ["a.d"]}),
    "a slice of constants": ("a.d[:3] = y", {"changes": ["a.d"]}),
    "a slice that goes": ("del a.d[1:n]", {"changes": ["a.d"]}),
    "an item of an item": ("a.d[0]['k'] = 1", {"changes": ["a.d.[]"]}),
    "an item of a slice": ("a.d[1:n]['k'] = 1", {"changes": ["a.d.[]"]}),
    "an attribute of an item": ("a.d['k'].x = 1", {"changes": ["a.d.[]"]}),
    "a method": ("a.d.append(1)", {"changes": ["a.d"]}),
    "a method of an item": ("a.d['k'].append(1)", {"changes": ["a.d.[]"]}),
    "a method that changes nothing": ("a.d.index(1)", {}),
    "setattr": ("setattr(a.b, 'x', f(1))", {"sets": ["a.b.x"]}),
    "setattr of any": ("setattr(a.b, name, 1)", {"wholes": ["a.b"]}),
    "vars": ("vars(a)['x'] = 1", {"wholes": ["a"]}),
    "__dict__": ("a.b.__dict__['x'] = 1", {"wholes": ["a.b"]}),
    "object.__setattr__": ("object.__setattr__(a, 'x', 1)", {"sets": ["a.x"]}),
    "delattr": ("delattr(a.b, 'x')", {"deletes": ["a.b.x"]}),
    "an attribute that goes": ("del a.b.x", {"deletes": ["a.b.x"]}),
    "object.__delattr__": ("object.__delattr__(a, 'x')", {"deletes": ["a.x"]}),
    "dict.__setitem__": ("dict.__setitem__(a.d, 'k', 1)", {"changes": ["a.d", "dict"]}),
    "heappush": ("heapq.heappush(a.d, 1)", {"changes": ["a.d"]}),
    "patch": ("mock.patch('m.n.x', 1).start()", {"sets": ["import m.n.x"]}),
    "patch with keywords": ("mock.patch('m.n.x', new=f()).start()", {"sets": ["import m.n.x"]}),
    "patch.object": ("mock.patch.object(a.b, 'x', 1)", {"sets": ["a.b.x"]}),
    "patch.object with keywords": ("mock.patch.object(a.b, 'x', new=f())", {"sets": ["a.b.x"]}),
    "patch.dict": ("mock.patch.dict(a.d, k=1)", {"changes": ["a.d"]}),
    "monkeypatch": ("monkeypatch.setattr(a.b, 'x', 1)", {"sets": ["a.b.x"]}),
    "a global": ("global count\ncount = 1", {"globals": ["count"]}),
    "its own import": ("import m\nm.x = 1", {"sets": ["import m.x"]}),
    "its own import of a part": ("import m.n\nm.n.x = 1", {"sets": ["import m.n.x"]}),
    "its own import by a name": ("import m as o\no.x = 1", {"sets": ["import m.x"]}),
    "its own import of a part by a name": (
        "import m.n.p as o\no.x = 1",
        {"sets": ["import m.n.p.x"]},
    ),
    "its own import of a part by the whole's name": (
        "import m.n as m\nm.x = 1",
        {"sets": ["import m.n.x"]},
    ),
    "its own import from": ("from m import n\nn.x = 1", {"sets": ["import m.n.x"]}),
    "its own import from a part": ("from m.n import p\np.x = 1", {"sets": ["import m.n.p.x"]}),
    "its own import of the same name": ("from m import m\nm.x = 1", {"sets": ["import m.m.x"]}),
    "its own imports from one": (
        "from m import n, o as p\nn.x = p.y = 1",
        {"sets": ["import m.n.x", "import m.o.y"]},
    ),
    "its own import from beside": ("from . import n\nn.x = 1", {"sets": ["import .n.x"]}),
    "its own import from above": ("from ..m import n\nn.x = 1", {"sets": ["import ..m.n.x"]}),
    "its own import's item": ("import m\nm.d['k'] = 1", {"changes": ["import m.d"]}),
    "its own import's method": ("import m\nm.d.append(1)", {"changes": ["import m.d"]}),
    "its own import's, by a local": ("import m\ny = f()\nm.x = y", {"sets": ["import m.x"]}),
    "its own import's item, by locals": (
        "import m\ny = f()\nk = g()\nm.d[k] = y",
        {"changes": ["import m.d"]},
    ),
    "its own import's, at once": ("import m\nsetattr(m, 'x', 1)", {"sets": ["import m.x"]}),
    "its own import's, for some": (
        "if f():\n    import m\n    y = m\nm.x = 1",
        {"sets": ["import m.x"]},
    ),
    "its own import, inside": (
        "import m\ndef inner():\n    m.x = 1\nreturn inner",
        {"sets": ["import m.x"]},
    ),
    "many names": (
        "\n".join(f"f(n{i})" for i in range(300)) + "\nlast.x = n0.y\nlast.d[n1] = n2",
        {"sets": ["last.x"], "changes": ["last.d"]},
    ),
    "a long way off": ("a.x = [" + ", ".join(f"n{i}" for i in range(40)) + "]", {"sets": ["a.x"]}),
}

#: Examples for `sourcecode.global_names`: source, and the globals that its first function names.
NAMES: dict[str, tuple[str, list[str]]] = {
    "read": ("def f():\n    return one(two.three)", ["one", "two"]),
    "set": ("def f():\n    global one, two\n    one = 1\n    del two", ["one", "two"]),
    "locals": ("def f(x):\n    y = x\n    return [z for z in y]", []),
    "in a comprehension": ("def f(x):\n    return [one(z) for z in x]", ["one"]),
    "in a lambda": ("def f():\n    return lambda: one", ["one"]),
    "in a class": ("def f():\n    class C:\n        x = one\n        y = x\n    return C", ["one"]),
    "in a class inside": (
        "def f(local):\n    class C:\n        x = one\n        y = local\n    return C",
        ["one"],
    ),
    "in an annotation that is executed": ("def f():\n    x: one = two\n    return x", ["two"]),
    "called with a star": ("def f(x):\n    return one(*x, **two)", ["one", "two"]),
}

#: Examples for `surroundings.calls`: source, and what it calls that looks as if it set something.
CALLS: dict[str, tuple[str, list[str]]] = {
    "a function": ("set_level(1)", ["set_level"]),
    "of a module": ("lib.set_level(1)", ["lib.set_level"]),
    "of a part": ("lib.part.enable_this(key=1)", ["lib.part.enable_this"]),
    "another": ("lib.get_level()", []),
    "in a function": ("def f():\n    lib.set_level(1)", []),
}


def _function(source: str) -> CodeType:
    """Return the code of the first function of a source."""
    code = compile(source, "example", "exec")
    return next(each for each in code.co_consts if isinstance(each, CodeType))


def _sets(body: str) -> dict[str, list[str]]:
    source = "def f():\n" + "".join(f"    {line}\n" for line in body.splitlines())
    found = settings_in_code.found_in(_function(source))
    if found is None:
        return {}
    told = {
        kind: sorted(".".join((each[0], *each[1])) for each in set(getattr(found, kind)))
        for kind in ("sets", "wholes", "changes", "deletes")
    }
    told["globals"] = sorted(set(found.globals))
    return {kind: names for kind, names in told.items() if names}


def wrong() -> dict[str, Any]:
    """Return what was found in examples that are read wrongly, by their names."""
    found: dict[str, Any] = {}
    for name, (body, expected) in SETS.items():
        if (told := _sets(body)) != expected:
            found[f"sets: {name}"] = told
    for name, (source, names) in NAMES.items():
        known = set(sourcecode.global_names(_function(source)))
        if known - {"__name__"} != set(names):
            found[f"names: {name}"] = sorted(known)
    for name, (source, paths) in CALLS.items():
        seen = [".".join(path) for path in calls._paths_in(compile(source, "example", "exec"))]
        if seen != paths:
            found[f"calls: {name}"] = seen
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(wrong()))
