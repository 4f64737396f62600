"""Ways in which programs change what their own modules hold: of no use for anything else.

Each is the text of a module `M`, code of the main program, and what changes something, which is the
last one. `look` of a module says what it holds; without one it is `v`.
"""

from __future__ import annotations

WAYS: dict[str, tuple[str, ...]] = {
    "del": ("v = 1\ndef look(): return globals().get('v', 'none')", "del M.v"),
    "del inside": (
        "v = 1\ndef drop():\n    global v\n    del v\ndef look(): return globals().get('v', 'none')",
        "M.drop()",
    ),
    "delattr": ("v = 1\ndef look(): return globals().get('v', 'none')", "delattr(M, 'v')"),
    "del of class": (
        "class C:\n    a = 1\n    def b(self): pass\ndef look(): return hasattr(C, 'a')",
        "del M.C.a",
    ),
    "globals update": ("v = 1\ndef load(**k): globals().update(k)", "M.load(v=2)"),
    "globals item": ("v = 1\ndef load(k, x): globals()[k] = x", "M.load('v', 2)"),
    "globals kept": ("v = 1\ndef load(k, x):\n    g = globals()\n    g[k] = x", "M.load('v', 2)"),
    "globals new name": (
        "def load(k, x): globals()[k] = x\ndef look(): return globals().get('w')",
        "M.load('w', 2)",
    ),
    "sys.modules setattr": (
        "import sys\nv = 1\ndef load(k, x): setattr(sys.modules[__name__], k, x)",
        "M.load('v', 2)",
    ),
    "sys.modules kept": (
        "import sys\nv = 1\ndef load(x):\n    me = sys.modules[__name__]\n    me.v = x",
        "M.load(2)",
    ),
    "this module": (
        "import sys\nv = 1\nthis = sys.modules[__name__]\ndef load(x): this.v = x",
        "M.load(2)",
    ),
    "vars update": ("v = 1", "vars(M).update(v=2)"),
    "dict update": ("v = 1", "M.__dict__.update(v=2)"),
    "setattr computed": ("v = 1", "setattr(M, 'V'.lower(), 2)"),
    "setattr loop": ("v = 1", "for k, x in {'v': 2}.items(): setattr(M, k, x)"),
    "exec": ("v = 1", "exec('v = 2', vars(M))"),
    "import_module": ("v = 1", "importlib.import_module('M').v = 2"),
    "import_module computed": ("v = 1", "setattr(importlib.import_module('M'), 'v', 2)"),
    "sys.modules from main": ("v = 1", "import sys; sys.modules['M'].v = 2"),
    "method of own class": (
        "class O:\n    n = 1\n    def load(self): self.n = 2\no = O()\ndef look(): return o.n",
        "M.o.load()",
    ),
    "method of own class, container": (
        "class O:\n    def __init__(self): self.t = []\n    def load(self): self.t.append(2)\no = O()\ndef look(): return o.t",
        "M.o.load()",
    ),
    "method of own class, dict": (
        "class O:\n    def load(self): self.__dict__.update(t=3)\no = O()\ndef look(): return vars(o)",
        "M.o.load()",
    ),
    "method of own class, setattr": (
        "class O:\n    def load(self, **k):\n        for a, b in k.items(): setattr(self, a, b)\no = O()\ndef look(): return vars(o)",
        "M.o.load(x=3)",
    ),
    "method of base": (
        "class B:\n    def load(self): self.n = 2\nclass O(B): n = 1\no = O()\ndef look(): return o.n",
        "M.o.load()",
    ),
    "slots": (
        "class O:\n    __slots__ = ('n',)\n    def __init__(self): self.n = 1\n    def load(self): self.n = 2\no = O()\nd = [o]\ndef look(): return o.n, d[0] is o",
        "M.o.load()",
    ),
    "kept elsewhere": (
        "class O:\n    n = 1\n    def load(self): self.n = 2\no = O()\nd = [o]\ndef look(): return o.n, d[0] is o",
        "M.o.load()",
    ),
    "method in another method": (
        "class O:\n    n = 1\n    def load(self): self._set(2)\n    def _set(self, n): self.n = n\no = O()\ndef look(): return o.n",
        "M.o.load()",
    ),
    "singleton": (
        "class O:\n    it = None\n    n = 1\n    @classmethod\n    def get(cls):\n        if cls.it is None: cls.it = cls()\n        return cls.it\n    def load(self): self.n = 2\ndef look(): return O.get().n",
        "M.O.get().load()",
    ),
    "singleton by __new__": (
        "class O:\n    it = None\n    def __new__(cls):\n        if cls.it is None:\n            cls.it = super().__new__(cls)\n            cls.it.n = 1\n        return cls.it\ndef look(): return O().n",
        "M.O().n = 5",
    ),
    "class attribute": (
        "class O:\n    n = 1\n    @classmethod\n    def load(cls): cls.n = 2\ndef look(): return O.n",
        "M.O.load()",
    ),
    "class attribute by name": (
        "class O:\n    n = 1\n    @staticmethod\n    def load(): O.n = 2\ndef look(): return O.n",
        "M.O.load()",
    ),
    "type of self": (
        "class O:\n    n = 1\n    def load(self): type(self).n += 1\ndef look(): return O.n",
        "M.O().load()",
    ),
    "__class__": (
        "class O:\n    n = 1\n    def load(self): self.__class__.n += 1\ndef look(): return O.n",
        "M.O().load()",
    ),
    "list of class": (
        "class O:\n    t = []\n    def add(self, x): self.t.append(x)\ndef look(): return O.t",
        "M.O().add(3)",
    ),
    "registry of class": (
        "class O:\n    t = {}\n    @classmethod\n    def add(cls, x): cls.t[x] = 1\ndef look(): return O.t",
        "M.O.add(3)",
    ),
    "type(obj).x": ("class O: n = 1\no = O()\ndef look(): return o.n", "type(M.o).n = 2"),
    "obj.__class__.x": ("class O: n = 1\no = O()\ndef look(): return o.n", "M.o.__class__.n = 2"),
    "method changed": (
        "class O:\n    def f(self): return 1\ndef look(): return O().f()",
        "M.O.f = lambda self: 2",
    ),
    "method of type": (
        "class O:\n    def f(self): return 1\no = O()\ndef look(): return o.f()",
        "def g(self): return 3",
        "type(M.o).f = g",
    ),
    "parameter": ("v = {}", "def fill1(t): t['a'] = 1", "fill1(M.v)"),
    "parameter, inside": ("v = {}\ndef fill(t): t['a'] = 1", "M.fill(M.v)"),
    "parameter of a parameter": (
        "v = {}",
        "def fill2(t): t['a'] = 1\ndef more(t): fill2(t)",
        "more(M.v)",
    ),
    "parameter: attribute": (
        "class O: n = 1\no = O()\ndef look(): return o.n",
        "def fill3(t): t.n = 3",
        "fill3(M.o)",
    ),
    "parameter: module": ("v = 1", "def fill4(t): t.v = 3", "fill4(M)"),
    "parameter: setattr": (
        "v = 1",
        "def fill(t, **k):\n    for a, b in k.items(): setattr(t, a, b)",
        "fill(M, v=4)",
    ),
    "decorator registers": (
        "v = {}\ndef register(f):\n    v[f.__name__] = 1\n    return f",
        "def mine(): pass",
        "M.register(mine)",
    ),
    "configparser item": (
        "import configparser\nv = configparser.ConfigParser()\nv['a'] = {'b': '1'}\ndef look(): return v['a']['b']",
        "M.v['a']['b'] = '2'",
    ),
    "configparser set": (
        "import configparser\nv = configparser.ConfigParser()\nv['a'] = {'b': '1'}\ndef look(): return v['a']['b']",
        "M.v.set('a', 'b', '2')",
    ),
    "kin, own method": (
        "class D(dict):\n    def merge(self, o): self.update(o)\nv = D()",
        "M.v.merge({'a': 1})",
    ),
    "kin, item inside": (
        "class D(dict):\n    def merge(self, o):\n        for k in o: self[k] = o[k]\nv = D()",
        "M.v.merge({'a': 1})",
    ),
    "dict attr": (
        "class D(dict):\n    __getattr__ = dict.__getitem__\n    __setattr__ = dict.__setitem__\nv = D(a=1)",
        "M.v.a = 2",
    ),
    "namespace": ("from types import SimpleNamespace\nv = SimpleNamespace(a=1)", "M.v.a = 2"),
    "namespace vars": (
        "from types import SimpleNamespace\nv = SimpleNamespace(a=1)",
        "vars(M.v).update(a=2)",
    ),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass C: n: int = 1\nv = C()\ndef look(): return v.n",
        "M.v.n = 2",
    ),
    "property": (
        "class O:\n    _n = 1\n    sets = 0\n    @property\n    def n(self): return self._n * 2\n    @n.setter\n    def n(self, x): self._n = x; self.sets += 1\no = O()\ndef look(): return o._n, o.sets",
        "M.o.n = 5",
    ),
    "property twice": (
        "class O:\n    n = 1\n    @property\n    def twice(self): return self.n * 2\n    @twice.setter\n    def twice(self, x): self.n += x\no = O()\ndef look(): return o.n",
        "M.o.twice = 5",
    ),
    "__setattr__": (
        "class O:\n    def __init__(self): object.__setattr__(self, 'd', {})\n    def __setattr__(self, k, x): self.d[k] = x + 1\n    def __getattr__(self, k):\n        if k[0] == '_': raise AttributeError(k)\n        return self.d[k]\no = O()\ndef look(): return o.d",
        "M.o.n = 5",
    ),
    "function attribute": ("def f(): pass\ndef look(): return vars(f)", "M.f.n = 5"),
    "function attribute, inside": ("def f(): f.n = 3\ndef look(): return vars(f)", "M.f()"),
    "function's count": ("def f(): f.n += 1\nf.n = 0\ndef look(): return vars(f)", "M.f()"),
    "closure": (
        "def make():\n    n = 0\n    def inc():\n        nonlocal n\n        n += 1\n    return inc, lambda: n\ninc, look = make()",
        "M.inc()",
    ),
    "closure, list": (
        "def make():\n    n = []\n    def inc(): n.append(1)\n    return inc, lambda: n\ninc, look = make()",
        "M.inc()",
    ),
    "default": (
        "def f(x, t=[]): t.append(x); return t\ndef look(): return f.__defaults__",
        "M.f(1)",
    ),
    "defaults set": ("def f(x=1): return x\ndef look(): return f()", "M.f.__defaults__ = (2,)"),
    "code set": (
        "def f(): return 1\ndef look(): return f()",
        "M.f.__code__ = (lambda: 2).__code__",
    ),
    "count": ("import itertools\nv = itertools.count()\ndef look(): return repr(v)", "next(M.v)"),
    "random object": (
        "import random\nr = random.Random(1)\ndef look(): return r.getstate()[1][:3]",
        "M.r.seed(7)",
    ),
    "random object drawn": (
        "import random\nr = random.Random(1)\ndef look(): return r.getstate()[1][-1]",
        "M.r.random()",
    ),
    "bytearray": ("v = bytearray(b'a')", "M.v += b'c'"),
    "with": (
        "v = 1\nfrom contextlib import contextmanager\n@contextmanager\ndef on():\n    global v\n    v = 2\n    yield",
        "M.on().__enter__()",
    ),
    "for target": ("v = 1", "for M.v in (1, 2): pass"),
    "with target": ("v = 1\nimport contextlib", "with M.contextlib.nullcontext(7) as M.v: pass"),
    "unpacking": ("v = 1\nw = 1\ndef look(): return v, w", "M.v, M.w = 2, 3"),
    "augmented": ("v = 1", "M.v += 1"),
    "comprehension": ("v = []", "[M.v.append(x) for x in range(3)]"),
    "map": ("v = []", "list(map(M.v.append, range(3)))"),
    "bound method": ("v = []", "add = M.v.append; add(3)"),
    "lambda": ("v = 1", "(lambda: setattr(M, 'v', 3))()"),
    "class body": ("v = 1", "class X:\n        M.v = 5"),
    "alias in function": ("v = 1", "m = M\n    m.v = 3"),
    "alias of object": ("class O: n = 1\no = O()\ndef look(): return o.n", "o = M.o\n    o.n = 4"),
    "alias of dict": ("v = {}", "t = M.v\n    t['a'] = 1"),
    "returned dict": ("v = {}\ndef get(): return v", "M.get()['a'] = 1"),
    "returned object": (
        "class O: n = 1\no = O()\ndef get(): return o\ndef look(): return o.n",
        "M.get().n = 3",
    ),
    "loop over list": (
        "class O: n = 1\nv = [O(), O()]\ndef look(): return [x.n for x in v]",
        "for x in M.v: x.n = 2",
    ),
    "loop over dict": ("v = {'a': {}}", "for x in M.v.values(): x['b'] = 1"),
    "partial": (
        "import functools\ndef add(a, b): return a + b\nv = functools.partial(add, 1)\ndef look(): return v(1)",
        "M.v = M.functools.partial(M.add, 5)",
    ),
    "enum member": (
        "import enum\nclass E(enum.Enum): A = 1\ndef look(): return getattr(E.A, 'n', None)",
        "M.E.A.n = 3",
    ),
    "contextvar": (
        "import contextvars\nv = contextvars.ContextVar('v', default=1)\ndef look(): return v.get()",
        "M.v.set(2)",
    ),
    "module getattr": (
        "_v = {'x': 1}\ndef __getattr__(n):\n    if n == 'x': return _v['x']\n    raise AttributeError\ndef setx(n): _v['x'] = n\ndef look(): return _v",
        "M.setx(4)",
    ),
}
