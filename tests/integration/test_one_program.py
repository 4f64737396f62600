"""The main program lives once in each worker: functions, classes and globals, by their names."""
# ruff: noqa: E501  programs are written as users write them

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support import python_script, run_script

if TYPE_CHECKING:
    from pathlib import Path

#: What the programs below have in common.
HEAD = """
import json, os, sys
from masterworker import Master
from masterworker.master import engine_of

def show(*values):
    print(json.dumps(values))
"""


def run(tmp_path: Path, source: str) -> list[Any]:
    """Run a program. Returns what it has shown."""
    path = python_script(tmp_path, "main.py", source)
    path.write_text(HEAD + path.read_text())
    done = run_script(path)
    return json.loads(done.out.splitlines()[-1])  # type: ignore[no-any-return]


# -- globals --------------------------------------------------------------------------------


def test_what_an_initializer_sets_is_what_tasks_see(tmp_path: Path) -> None:
    """In each of the ways in which a program can set a global."""
    found = run(
        tmp_path,
        """
        data = None
        class Settings:
            factor = 1
        settings = Settings()
        table = {}

        def prepare():
            global data, fresh
            data, fresh = [1, 2, 3], "fresh"
            settings.factor = 10
            table["key"] = "value"
            globals()["by_name"] = 4
            sys.modules["__main__"].by_module = 5

        def use(i):
            return data[i] * settings.factor, fresh, table["key"], by_name, by_module

        if __name__ == "__main__":
            with Master(workers=2, initializer=prepare) as master:
                results = list(master.map(use, range(3)))
                show(data, table, results[2], len(results))
        """,
    )
    assert found == [None, {}, [30, "fresh", "value", 4, 5], 3]


def test_what_a_task_sets_stays_until_the_masters_value_changes(tmp_path: Path) -> None:
    """And not longer: a call means what names meant when it was asked for."""
    found = run(
        tmp_path,
        """
        count, other = 0, "other"

        def add():
            global count
            count += 1
            return count

        def look():
            return count, other

        if __name__ == "__main__":
            with Master(workers=1) as master:
                def ask(function):
                    return master.submit(function).result(30)
                seen = [ask(add), ask(add), ask(look)]
                other = "changed"
                seen.append(ask(look))
                count = 100
                seen += [ask(look), ask(add), count]
                del other
                error = type(master.submit(look).exception(30)).__name__
                show(seen, error)
        """,
    )
    assert found == [
        [1, 2, [2, "other"], [2, "changed"], [100, "changed"], 101, 100],
        "NameError",
    ]


def test_calls_see_what_names_meant_when_they_were_asked_for(tmp_path: Path) -> None:
    """Also where one worker executes them one after the other, and the values come back."""
    found = run(
        tmp_path,
        """
        def look():
            return version, helper()

        if __name__ == "__main__":
            with Master(workers=1) as master:
                futures = []
                for round in range(30):
                    version = round % 3
                    exec("def helper(): return %d" % (round % 2))
                    futures.append(master.submit(look))
                show([future.result(30) for future in futures])
        """,
    )
    assert found == [[[number % 3, number % 2] for number in range(30)]]


@pytest.mark.parametrize(
    ("made", "changed", "looked_at"),
    [
        ("[1, 2]", "value.append(3)", "value"),
        ("{'a': 1}", "value['b'] = 2", "value"),
        ("bytearray(200_000)", "value[199_999] = 7", "value[199_999]"),
        ("numpy.zeros(100_000)", "value[99_999] = 7", "float(value[99_999])"),
        ("numpy.zeros(10)[::2]", "value.base[4] = 7", "float(value[2])"),
        ("types.SimpleNamespace(n=[1])", "value.n[0] = 7", "value.n[0]"),
        ("(1, [2])", "value[1].append(7)", "value"),
        ("Thing()", "value.n = 7", "value.n"),
        ("Thing()", "Thing.n = 7", "value.n"),
        ("Thing()", "Thing.table['x'] = 7", "value.table.get('x')"),
        ("Thing()", "Thing.method = lambda self: 7", "value.method()"),
        ("function", "function.__defaults__ = (7,)", "value()"),
        ("function", "function.__code__ = (lambda n=0: 7).__code__", "value()"),
        ("with_list", "with_list.__defaults__[0].append(7)", "value()"),
        ("counter()", "value(7)", "value.__closure__[0].cell_contents"),
        ("collections.deque([1])", "value.append(7)", "list(value)"),
    ],
)
def test_what_was_changed_in_place_counts_for_the_next_call(
    tmp_path: Path, made: str, changed: str, looked_at: str
) -> None:
    """No silent old value."""
    found = run(
        tmp_path,
        f"""
        import collections, types
        import numpy

        class Thing:
            n = 1
            table = {{}}
            def method(self):
                return 1

        def function(n=1):
            return n

        def with_list(n=[1]):
            return list(n)

        def counter():
            total = 1
            def add(n):
                nonlocal total
                total += n
            return add

        def look():
            return {looked_at}

        value = {made}
        with Master(workers=1) as master:
            before = json.dumps((master.submit(look).result(30), look()))
            {changed}
            show(json.loads(before), (master.submit(look).result(30), look()))
        """,
    )
    for there, here in found:
        assert there == here
    assert found[0] != found[1]


def test_names_that_share_a_value_share_it_in_the_worker(tmp_path: Path) -> None:
    """As do objects that refer to the same one; after changes, too."""
    found = run(
        tmp_path,
        """
        registry = {}
        again = registry
        holder = {"registry": registry}
        apart = {}

        def look():
            registry["x"] = 1
            return again is registry, holder["registry"] is registry, "x" in apart

        with Master(workers=1) as master:
            seen = [master.submit(look).result(30)]
            holder["more"] = 1
            seen.append(master.submit(look).result(30))
            again = {}
            seen.append(master.submit(look).result(30))
            show(seen, registry)
        """,
    )
    assert found == [
        [[True, True, False], [True, True, False], [False, True, False]],
        {},
    ]


# -- classes and functions ------------------------------------------------------------------

KINDS = {
    "slots": "class K:\n    __slots__ = ('a',)\n    def __init__(self): self.a = 1",
    "private slots": (
        "class K:\n    __slots__ = ('__a', 'b')\n    def __init__(self): self.__a = 1\n"
        "    def __eq__(self, other): return self.__a == other.__a\n    __hash__ = None"
    ),
    "slots below a dict": (
        "class B:\n    __slots__ = ('a',)\nclass K(B):\n    def __init__(self): self.a = 1; self.c = 2"
    ),
    "dataclass": "@dataclasses.dataclass\nclass K:\n    a: int = 1\n    c: ClassVar[int] = 5",
    "frozen with slots": "@dataclasses.dataclass(frozen=True, slots=True)\nclass K:\n    a: int = 1",
    "named tuple": "class K(typing.NamedTuple):\n    a: int = 1",
    "old named tuple": "K = collections.namedtuple('K', 'a', defaults=[1])",
    "enum": "class E(enum.Enum):\n    ONE = enum.auto()\n    TWO = enum.auto()\ndef K(): return E.TWO",
    "flags": "class E(enum.IntFlag):\n    A = 1\n    B = 2\ndef K(): return E.A | E.B",
    "abstract": (
        "class B(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\n"
        "class K(B):\n    def f(self): return super().f()"
    ),
    "generic": "T = typing.TypeVar('T')\nclass K(typing.Generic[T]):\n    a = 1",
    "metaclass": (
        "class M(type):\n    def __call__(cls):\n        made = super().__call__()\n"
        "        made.a = 1\n        return made\nclass K(metaclass=M): pass"
    ),
    "nested": "class Outer:\n    class K:\n        a = 1\nK = Outer.K",
    "exception": (
        "class K(Exception):\n    def __init__(self, t='t'): super().__init__(t); self.a = 1"
    ),
    "cached property": (
        "class K:\n    @functools.cached_property\n    def a(self): return 1"
    ),
    "subclass of a list": "class K(list):\n    def __init__(self): super().__init__([1]); self.a = 1",
    "refers to itself": "class K:\n    pass\nK.other = K()\nK.cls = K",
}  # fmt: skip


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_objects_of_own_classes(tmp_path: Path, future: str) -> None:
    """As arguments and results they are of the same class on both sides."""
    path = tmp_path / "main.py"
    path.write_text(
        future
        + "import abc, collections, dataclasses, enum, functools, pickle, typing\n"
        + "from typing import ClassVar\n"
        + HEAD
        + f"KINDS = {KINDS!r}\nFUTURE = {future!r}\n"
        + """

def there(given):
    cls = type(K())
    known = isinstance(given, cls) and type(given) is cls
    again = pickle.loads(pickle.dumps(given))
    return known, type(again) is cls, hasattr(given, "__dict__"), cls.__qualname__, cls.__module__

def make():
    return K()

if __name__ == "__main__":
    found = {}
    with Master(workers=1) as master:
        for kind, source in KINDS.items():
            exec(FUTURE + source)
            seen = master.submit(there, K()).result(30)
            back = master.submit(make).result(30)
            found[kind] = list(seen), list(there(K())), type(back) is type(K())
    show(found)
"""
    )
    (found,) = json.loads(run_script(path).out.splitlines()[-1])
    assert list(found) == list(KINDS)
    for kind, (seen, here, same) in found.items():
        assert seen == here, kind
        assert seen[:2] == [True, True], kind
        assert same, kind


FUNCTIONS = {
    "decorated": (
        "def twice(f):\n    @functools.wraps(f)\n    def inner(*a): return f(f(*a))\n"
        "    return inner\n@twice\ndef f(x): return x + 1"
    ),
    "cached": "@functools.lru_cache\ndef f(x): return x + 1",
    "dispatching": (
        "@functools.singledispatch\ndef f(x): return 'any'\n@f.register\ndef _(x: int): return 'int'"
    ),
    "context": (
        "@contextlib.contextmanager\ndef c():\n    yield 5\ndef f(x):\n    with c() as v: return v + x"
    ),
    "generator": "def g(n):\n    yield from range(n)\ndef f(x): return list(g(x))",
    "coroutine": "async def g(x): return x\ndef f(x): return asyncio.run(g(x))",
    "mutual recursion": (
        "def f(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and f(n - 1)"
    ),
    "lambda": "f = lambda x: g(x)\ng = lambda x: x + 1",
    "partial": "def g(a, b): return a + b\nf = functools.partial(g, 5)",
    "method": "class C:\n    n = 2\n    def m(self, x): return self.n * x\nf = C().m",
    "class method": "class C:\n    n = 2\n    @classmethod\n    def m(cls, x): return cls.n * x\nf = C.m",
    "callable": "class C:\n    def __call__(self, x): return g(x)\ndef g(x): return x + 1\nf = C()",
    "submodule": (
        "import concurrent.futures\ndef f(x): return concurrent.futures.Future().done()"
    ),
    "keyword defaults": "def f(x, *, n=[1]):\n    n.append(x)\n    return sum(n)",
    "hints": (
        "class C:\n    a: 'Optional[int]' = None\ndef f(x): return str(typing.get_type_hints(C))"
    ),
    "source": "def f(x): return inspect.getsource(f), inspect.getsource(C)\nclass C:\n    pass",
    "stack": "def f(x): return [inspect.stack()[0].function, inspect.stack()[0].code_context]",
    "pool": "def g(x): return x * x\ndef f(x):\n    with multiprocessing.Pool(1) as p: return p.map(g, [x])",
    "by name": "def f(x): return getattr(sys.modules['__main__'], 'f') is f",
    "thread": (
        "def f(x):\n    out = []\n    t = threading.Thread(target=lambda: out.append(g(x)))\n"
        "    t.start(); t.join()\n    return out\ndef g(x): return x + 1"
    ),
    "local class": "N = 3\ndef f(x):\n    class L:\n        y = N\n    return L.y + x",
}  # fmt: skip


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_functions(tmp_path: Path, kind: str) -> None:
    """Each returns there what it returns here."""
    path = tmp_path / "main.py"
    path.write_text(
        "import asyncio, contextlib, functools, inspect, multiprocessing, threading, typing\n"
        "from typing import Optional\n"
        + HEAD
        + FUNCTIONS[kind]
        + """

if __name__ == "__main__":
    with Master(workers=1) as master:
        there = master.submit(f, 4).result(30), list(master.map(f, [4, 4]))
        show(there[0], there[1][0])
        show(f(4), there[0], there[1][0])
"""
    )
    here, one, many = json.loads(run_script(path).out.splitlines()[-1])
    assert one == here
    assert many == here or kind == "keyword defaults"  # which has been called before


def test_what_a_base_class_counts_is_counted_once(tmp_path: Path) -> None:
    """A registry of subclasses has each of them once, as in the main program."""
    found = run(
        tmp_path,
        """
        class Base:
            known = []
            def __init_subclass__(cls):
                Base.known.append(cls.__name__)
        class One(Base): pass
        class Two(One): pass

        def names():
            return list(Base.known), Two.__name__

        with Master(workers=1) as master:
            show(master.submit(names).result(30), names())
        """,
    )
    assert found[0] == found[1]


def test_a_class_that_is_defined_again_is_another_one(tmp_path: Path) -> None:
    """As in a notebook whose cell is executed again."""
    found = run(
        tmp_path,
        """
        cell = "class Thing:\\n    version = %d\\n    def tell(self): return self.version, helper()"

        def look(thing):
            return thing.tell(), isinstance(thing, Thing)

        with Master(workers=1) as master:
            seen = []
            for version in (1, 2):
                exec(cell % version)
                exec("def helper(): return %d" % -version)
                seen.append(master.submit(look, Thing()).result(30))
            show(seen)
        """,
    )
    assert found == [[[[1, -1], True], [[2, -2], True]]]


# -- where it comes from --------------------------------------------------------------------

WITH_A_TRACEBACK = """
import inspect, traceback, warnings
from masterworker import Master

def inner(x):
    return 1 / x  # this line is shown

def outer(x):
    return inner(x)

def tell():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warnings.warn("told")
    return found[0].lineno, inspect.getsource(inner)

with Master(workers=1) as master:
    notes = master.submit(outer, 0).exception(30).__notes__
    print("this line is shown" in notes[0], 'line 6, in inner' in notes[0], "dynamic" in notes[0])
    line, source = master.submit(tell).result(30)
    print(line, "this line is shown" in source)
"""


@pytest.mark.parametrize("way", ["script", "standard input", "cell"])
def test_sources_are_right(tmp_path: Path, way: str) -> None:
    """In tracebacks, warnings and `inspect`, wherever the program comes from."""
    path = tmp_path / "main.py"
    path.write_text(WITH_A_TRACEBACK)
    expected = "True True False\n14 True\n"
    if way == "script":
        assert run_script(path).out == expected
    elif way == "cell":  # as notebooks do it
        notebook = tmp_path / "notebook.py"
        notebook.write_text(
            f"import linecache\nsource = open({str(path)!r}).read()\n"
            "lines = source.splitlines(True)\n"
            "linecache.cache['<cell 1>'] = len(source), None, lines, '<cell 1>'\n"
            "exec(compile(source, '<cell 1>', 'exec'))\n"
        )
        path.rename(tmp_path / "gone.py")
        notebook.write_text(notebook.read_text().replace("main.py", "gone.py"))
        assert run_script(notebook).out == expected
    else:
        with path.open() as typed:
            done = subprocess.run(
                [sys.executable, "-"], stdin=typed, capture_output=True, text=True, timeout=60,
                cwd=tmp_path, check=True,
            )  # fmt: skip
        assert done.stdout == expected


# -- how much -------------------------------------------------------------------------------


def test_a_large_global_is_there_once(tmp_path: Path) -> None:
    """All workers map the same memory, however many calls there are, and may write to theirs."""
    found = run(
        tmp_path,
        """
        import numpy, psutil

        table = numpy.arange(4_000_000.0)  # 32 MB

        def helper(i):
            return float(table[i])

        def look(i):
            return helper(i)

        def write(i):
            table[i] += 1
            return helper(i)

        def memory():
            workers = psutil.Process().children(recursive=True)
            return sum(each.memory_full_info().pss for each in workers) >> 20

        if __name__ == "__main__":
            with Master(workers=2) as master:
                list(master.map(abs, range(100)))
                before = memory()
                for _ in range(10):
                    good = list(master.map(look, range(40))) == list(range(40))
                grown = memory() - before
                written = [master.submit(write, 7).result(30) for _ in range(2)]
                show(good, grown, min(written), float(table[7]))
        """,
    )
    good, grown, written, mine = found
    assert good
    assert grown < 64 + 40  # a copy for each of them would be 64, for each call gigabytes
    assert written == 8
    assert mine == 7


def test_a_function_that_carries_much_is_named_once(tmp_path: Path) -> None:
    """With what it carries, and what to do."""
    path = tmp_path / "main.py"
    path.write_text(
        HEAD
        + """
import numpy
table = numpy.ones(1_000_000)
def look(i):
    return float(table[i])
with Master(workers=1) as master:
    for _ in range(3):
        list(master.map(look, [1]))
    show(1)
"""
    )
    told = run_script(path).err.splitlines()
    assert [line for line in told if "look carries 8.0 MB" in line and "table" in line] == told
    assert len(told) == 1


def test_what_nobody_needs_any_more_is_not_kept(tmp_path: Path) -> None:
    """A large global that changes for each call is not stored for each of them."""
    found = run(
        tmp_path,
        """
        import gc, numpy
        from masterworker import wire
        from masterworker.master import engine_of

        def look():
            return float(table[0])

        with Master(workers=1) as master:
            seen = []
            for round in range(6):
                table = numpy.full(100_000, float(round))
                seen.append(master.submit(look).result(30))
            gc.collect()
            master.submit(look).result(30)
            stored = [value for (space, _), value in engine_of(master).manager.store._values.items()
                      if space == wire.DEFINITIONS and len(value) >= 800_000]
            show(seen, len(stored))
        """,
    )
    seen, stored = found
    assert seen == [0, 1, 2, 3, 4, 5]
    assert stored <= 2


def test_what_cannot_travel_is_named(tmp_path: Path) -> None:
    """The name of the variable, and why."""
    found = run(
        tmp_path,
        """
        import threading
        from masterworker.errors import UnpicklableError

        the_lock = threading.Lock()

        def helper():
            return the_lock

        def work():
            return helper()

        with Master(workers=1) as master:
            try:
                master.submit(work)
            except UnpicklableError as error:
                show(str(error))
        """,
    )
    assert "'the_lock' (a lock)" in found[0]


def test_a_random_generator_that_is_copied_is_named(tmp_path: Path) -> None:
    """Once, and what to do; not where each task has its own."""
    path = tmp_path / "main.py"
    path.write_text(
        HEAD
        + """
import random
import numpy
rng = random.Random(1)
generator = numpy.random.default_rng(1)
def draw(_):
    return rng.random()
def draw_other(_):
    return generator.random() + rng.random()
def good(seed):
    return numpy.random.default_rng(seed).random() + random.random()
with Master(workers=1) as master:
    list(master.map(good, [1]))
    for _ in range(2):
        list(master.map(draw, [1]))
        list(master.map(draw_other, [1]))
"""
    )
    told = run_script(path).err.splitlines()
    assert [line.partition(":")[0] for line in told] == [
        "draw draws random numbers from 'rng'",
        "draw_other draws random numbers from 'generator'",
    ]


def test_shared_memory_that_is_copied_is_named(tmp_path: Path) -> None:
    """Once: what tasks write there is not seen in the program. Not where it cannot be written."""
    path = tmp_path / "main.py"
    path.write_text(
        HEAD
        + """
import multiprocessing
import numpy
mapped = numpy.memmap("mapped", dtype="f8", mode="w+", shape=(10,))
shared = numpy.frombuffer(multiprocessing.RawArray("d", 5))
numpy.save("saved.npy", numpy.arange(5))
read_only = numpy.load("saved.npy", mmap_mode="r")
def write(i):
    mapped[i] = shared[0] = 1.0
def read(i):
    return read_only[i]
class Mine(numpy.memmap):
    pass
nested = {"mine": read_only.view(Mine), "part": read_only[2:]}
nested["mine"].unit = "km"
def read_nested():
    mine, part = nested.values()
    return type(mine).__name__, mine.unit, mine.tolist(), part.tolist(), str(part.filename)
with Master(workers=1) as master:
    assert list(master.map(read, [1, 2])) == [1, 2]
    assert master.submit(read_nested).result() == read_nested()
    for _ in range(2):
        list(master.map(write, [1, 2]))
assert not mapped.any() and not shared.any()
"""
    )
    told = run_script(path).err.splitlines()
    assert sorted(line.partition(",")[0] for line in told) == [
        "write refers to 'mapped'",
        "write refers to 'shared'",
    ]
