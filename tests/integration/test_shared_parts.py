"""What functions, classes and globals of the main program share, they share in a worker, too.

A mark that is compared by identity, a list that is a default and a global, a variable that two
closures have in common: in a forked process all of this is as it was.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import collections, functools, json, multiprocessing, operator, sys
from masterworker import Master

def make_counter():
    calls = collections.Counter()
    def deco(fn):
        @functools.wraps(fn)
        def w(*a):
            calls[fn.__name__] += 1
            return fn(*a)
        w.calls = calls
        return w
    deco.calls = calls
    return deco
counted = make_counter()
@counted
def f(x): return x
@counted
def g(x): return f(x)
def h(x):
    g(x); return dict(f.calls), dict(counted.calls), f.calls is g.calls
# recursion through a wrapper
@counted
def fact(n): return 1 if n == 0 else n * fact(n - 1)
# mutual recursion through wrappers
@counted
def even(n): return True if n == 0 else odd(n - 1)
@counted
def odd(n): return False if n == 0 else even(n - 1)
# handlers that hold functions that hold handlers
handlers = {}
def handler(name, table=handlers):
    def deco(fn):
        table[name] = fn
        return fn
    return deco
@handler("a")
def a(x, table=handlers): return sorted(table), table is handlers, table["a"] is a
@handler("b")
def b(x): return handlers["a"](x)
# enum default, dataclass default mutable, sentinel in a class
UNSET = object()
class Options:
    x = UNSET
    table = handlers
    def is_unset(self): return self.x is UNSET, self.table is handlers
def opt(n): return Options().is_unset()
lam = lambda x, t=handlers: (t is handlers, sorted(t))
add = functools.partial(operator.add, 3)
def p(x, q=add): return q(x), q is add
memo = {}
def memoize(fn):
    @functools.wraps(fn)
    def w(n):
        if n not in memo: memo[n] = fn(n)
        return memo[n]
    return w
@memoize
def fib(n): return n if n < 2 else fib(n-1) + fib(n-2)
def fibs(n): return fib(n), len(memo)
class Base:
    registry = {}
    def __init_subclass__(cls, **k): Base.registry[cls.__name__] = cls
class Child(Base): pass
reg = Base.registry
def r(x): return reg is Base.registry, reg["Child"] is Child
def make():
    n = [0]
    total = 0
    def inc():
        nonlocal total
        total += 1
        n[0] += 1
    def read():
        return total, n[0]
    return inc, read
inc, read = make()
def pair(x):
    inc(); inc()
    return read()
log = []
def logged(log):
    def deco(fn):
        @functools.wraps(fn)
        def wrapper(*a):
            log.append(a)
            return fn(*a)
        return wrapper
    return deco
@logged(log)
def noted(x): return x
def notes(x, log2=log):
    noted(x)
    return len(log), log2 is log

def is_unset(x, y=UNSET): return y is UNSET

NAMES = {
    "one counter of two decorated functions": h,
    "a decorated function that calls itself": fact,
    "decorated functions that call each other": even,
    "a table of functions that know the table": a,
    "the same, from outside": b,
    "marks in a class": opt,
    "a lambda with a global as default": lam,
    "a partial as default": p,
    "a global memory of a decorator": fibs,
    "a registry of classes": r,
    "closures with one variable": pair,
    "a log that a decorator was given": notes,
    "a mark as default": is_unset,
}

def call(name, x): return NAMES[name](x)

if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    for name, function in NAMES.items():
        with fork.Pool(1) as pool:
            expected = pool.starmap(call, [(name, 5), (name, 6)], chunksize=2)
        with Master(workers=1) as master:
            found = list(master.map(function, [5, 6]))
        print(json.dumps([name, repr(found), repr(expected)]))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Run the program; returns what workers and forked processes say."""
    script: Path = tmp_path_factory.mktemp("program") / "program.py"
    script.write_text(PROGRAM)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = map(json.loads, done.stdout.splitlines())
    return {name: (there, forked) for name, there, forked in rows}


@pytest.mark.parametrize(
    "name",
    [
        "one counter of two decorated functions",
        "a decorated function that calls itself",
        "decorated functions that call each other",
        "a table of functions that know the table",
        "the same, from outside",
        "marks in a class",
        "a lambda with a global as default",
        "a partial as default",
        "a global memory of a decorator",
        "a registry of classes",
        "closures with one variable",
        "a log that a decorator was given",
        "a mark as default",
    ],
)
def test_it_is_as_in_a_forked_process(name: str, found: dict[str, tuple[str, str]]) -> None:
    """One thing, whichever way leads to it."""
    there, forked = found[name]
    assert there == forked
