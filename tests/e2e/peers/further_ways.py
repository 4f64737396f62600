"""Further ways in which programs change what their own modules hold; see `ways_to_change`."""

from __future__ import annotations

FURTHER: dict[str, tuple[str, ...]] = {
    "patch.object": ("v = 1", "from unittest import mock; mock.patch.object(M, 'v', 2).start()"),
    "patch.dict": ("v = {'b': 1}", "from unittest import mock; mock.patch.dict(M.v, a=1).start()"),
    "patch.multiple": ("v = 1", "from unittest import mock; mock.patch.multiple('M', v=2).start()"),
    "namespace=": (
        "import argparse\nv = argparse.Namespace(a=1)",
        "import argparse; p = argparse.ArgumentParser(); p.add_argument('--a'); p.parse_args(['--a', '5'], namespace=M.v)",
    ),
    "loop over modules": ("v = 1", "for m in (M,): m.v = 2"),
    "attrs": (
        "from dataclasses import dataclass, field\n@dataclass\nclass C:\n    n: int = 1\n    t: list = field(default_factory=list)\n    def put(self, x): self.t.append(x)\nv = C()",
        "M.v.put(4)",
    ),
    "cached property": (
        "import functools\nclass C:\n    n = 1\n    @functools.cached_property\n    def big(self): return self.n * 10\n    def set(self, n): self.n = n; self.__dict__.pop('big', None)\nv = C()\ndef look(): return v.big",
        "M.v.big; M.v.set(5)",
    ),
    "nested settings": (
        "class S: pass\nclass T:\n    def __init__(self): self.s = S(); self.s.n = 1\n    def load(self): self.s.n = 2\nt = T()\ndef look(): return t.s.n",
        "M.t.load()",
    ),
    "objects that know another": (
        "class S:\n    def __init__(self): self.n = 1\n    def inc(self): self.n += 1\nclass T:\n    def __init__(self, s): self.s = s\ns = S()\nt = T(s)\ndef look(): return t.s.n, t.s is s",
        "M.t.s.inc()",
    ),
    "with": (
        "class S:\n    n = 1\n    def __enter__(self): self.n = 2\n    def __exit__(self, *a): self.n = 1\ns = S()\ndef look(): return s.n",
        "s = M.s.__enter__()",
    ),
    "decorator with state": (
        "import functools\ndef counted(f):\n    @functools.wraps(f)\n    def call(*a):\n        call.n += 1\n        return f(*a)\n    call.n = 0\n    return call\n@counted\ndef f(): pass\ndef look(): return f.n",
        "M.f()",
    ),
    "callable object": (
        "class F:\n    def __init__(self): self.n = 0\n    def __call__(self): self.n += 1\nf = F()\ndef look(): return f.n",
        "M.f()",
    ),
    "operator": (
        "class A:\n    def __init__(self): self.n = [1]\n    def __iadd__(self, x): self.n.append(x); return self\na = A()\ndef look(): return a.n",
        "M.a += 5",
    ),
    "getitem": (
        "class A:\n    def __init__(self): self.d = {}\n    def __setitem__(self, k, v): self.d[k] = v\na = A()\ndef look(): return a.d",
        "M.a['x'] = 5",
    ),
    "class method by subclass": (
        "class A:\n    n = 1\n    @classmethod\n    def set(cls, n): cls.n = n\nclass B(A): pass\ndef look(): return A.n, B.n",
        "M.B.set(7)",
    ),
    "metaclass registry": (
        "class Meta(type):\n    all = []\n    def __init__(cls, *a): super().__init__(*a); Meta.all.append(cls.__name__)\nclass A(metaclass=Meta): pass\ndef look(): return Meta.all",
        "M.Meta('X', (), {})",
    ),
    "enum": (
        "import enum\nclass L(enum.IntEnum):\n    A = 1\n    B = 2\nv = L.A\ndef set(x):\n    global v\n    v = x",
        "M.set(M.L.B)",
    ),
    "path": ("import pathlib\nv = pathlib.Path('/a')", "M.v = M.pathlib.Path('/b')"),
    "logger attr": (
        "import logging\nlog = logging.getLogger('zz')\nlog.mine = 1\ndef look(): return log.mine",
        "M.log.mine = 2",
    ),
    "frozen": (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass C: n: int = 1\nv = C()",
        "object.__setattr__(M.v, 'n', 3)",
    ),
    "replace": (
        "from dataclasses import dataclass, replace\n@dataclass(frozen=True)\nclass C: n: int = 1\nv = C()\ndef look(): return v",
        "M.v = M.replace(M.v, n=4)",
    ),
    "namedtuple": (
        "from collections import namedtuple\nP = namedtuple('P', 'a b')\nv = P(1, 2)",
        "M.v = M.v._replace(a=5)",
    ),
    "chainmap": (
        "from collections import ChainMap\nv = ChainMap({}, {'a': 1})\ndef look(): return v['a']",
        "M.v['a'] = 5",
    ),
    "toplevel class attr dict": ("class C:\n    d = {}\ndef look(): return C.d", "M.C.d['x'] = 1"),
    "static method replaced": (
        "class C:\n    @staticmethod\n    def f(): return 1\ndef look(): return C.f()",
        "M.C.f = staticmethod(lambda: 2)",
    ),
    "bases": (
        "class A:\n    def f(self): return 1\nclass B:\n    def f(self): return 2\nclass C(A): pass\ndef look(): return C().f()",
        "M.C.__bases__ = (M.B,)",
    ),
    "list of lists by function": (
        "g = [[0]*2 for _ in range(2)]\ndef put(i, j, x): g[i][j] = x\ndef look(): return g",
        "M.put(1, 1, 5)",
    ),
    "heap": (
        "import heapq\nh = []\ndef push(x): heapq.heappush(h, x)\ndef look(): return h",
        "M.push(3)",
    ),
    "global in nested": (
        "v = 1\ndef outer():\n    def inner():\n        global v\n        v = 2\n    inner()",
        "M.outer()",
    ),
    "lambda changes": ("v = []\nadd = lambda x: v.append(x)", "M.add(3)"),
    "partial changes": (
        "import functools\nv = {}\ndef put(d, k): d[k] = 1\nput_v = functools.partial(put, v)",
        "M.put_v('a')",
    ),
    "bound method kept": ("v = []\nadd = v.append", "M.add(3)"),
    "bound of object": (
        "class O:\n    n = 1\n    def set(self, n): self.n = n\no = O()\nset = o.set\ndef look(): return o.n",
        "M.set(4)",
    ),
    "generator": (
        "v = 0\ndef gen():\n    global v\n    while True:\n        v += 1\n        yield v",
        "next(M.gen())",
    ),
    "async": (
        "v = 0\nasync def go():\n    global v\n    v = 3",
        "import asyncio; asyncio.run(M.go())",
    ),
    "match": (
        "v = {}\ndef put(x):\n    match x:\n        case {'a': y}: v['y'] = y",
        "M.put({'a': 2})",
    ),
    "walrus": ("v = 1\ndef f():\n    global v\n    if (v := 5): pass", "M.f()"),
    "except as": (
        "v = 1\ndef f():\n    global v\n    try: raise ValueError(3)\n    except ValueError as e: v = e.args",
        "M.f()",
    ),
    "tuple swap": (
        "a, b = 1, 2\ndef swap():\n    global a, b\n    a, b = b, a\ndef look(): return a, b",
        "M.swap()",
    ),
    "submodule": (
        "import types, sys\nsub = types.SimpleNamespace(n=1)\ndef look(): return sub.n",
        "M.sub.n = 2",
    ),
    "slots class changed by method": (
        "class O:\n    __slots__ = ('a', 'b')\n    def __init__(self): self.a = 1\n    def set(self): self.b = 2; del self.a\no = O()\ndef look(): return hasattr(o, 'a'), o.b",
        "M.o.set()",
    ),
    "counter by class": (
        "class O:\n    count = 0\n    def __init__(self): O.count += 1\ndef look(): return O.count",
        "M.O(); M.O()",
    ),
    "counter by self": (
        "class O:\n    count = 0\n    def __init__(self): type(self).count += 1\ndef look(): return O.count",
        "M.O(); M.O()",
    ),
    "ordered": (
        "from collections import OrderedDict\nv = OrderedDict(a=1, b=2)",
        "M.v.move_to_end('a')",
    ),
    "array": ("import array\nv = array.array('i', [1, 2])", "M.v[0] = 7"),
    "exec in module": ("v = 1\ndef load(text): exec(text, globals())", "M.load('v = 3')"),
    "locals of module": ("v = 1\ng = globals()\ndef put(k, x): g[k] = x", "M.put('v', 2)"),
    "setattr this by name": (
        "import sys\nv = 1\nme = sys.modules[__name__]\ndef put(k, x): setattr(me, k, x)",
        "M.put('v', 2)",
    ),
    "two objects one list": (
        "t = []\nclass O:\n    def __init__(self): self.t = t\n    def add(self, x): self.t.append(x)\no = O()\ndef look(): return t, o.t, o.t is t",
        "M.o.add(1)",
    ),
}
