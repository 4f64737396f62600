"""Globals of about 200 kinds, and functions that use them: in forked processes, and in workers.

Prints a line for each function: its name, what a forked process says, what a worker says.
"""

from __future__ import annotations

import abc, argparse, asyncio, collections, contextvars, ctypes, dataclasses, decimal, enum, functools, inspect, io, itertools, json, logging, math, os, pathlib, queue, random, re, sqlite3, string, sys, tempfile, threading, time, types, typing, warnings, weakref, operator, heapq, bisect, fractions, datetime, uuid, contextlib, copy, pickle, traceback, array, struct, zlib, hashlib
from collections.abc import Iterator
from typing import *
import numpy as np
import multiprocessing

lock = threading.Lock()
rlock = threading.RLock()
event = threading.Event()
sem = threading.Semaphore(2)
cond = threading.Condition()
q = queue.Queue()
sq = queue.SimpleQueue()
log = logging.getLogger("mine")
log.addHandler(logging.NullHandler())
out = sys.stdout
devnull = open(os.devnull, "w")
cv: contextvars.ContextVar[int] = contextvars.ContextVar("cv", default=3)
cv.set(7)
wd = weakref.WeakValueDictionary()
ws = weakref.WeakSet()
ns = argparse.Namespace(a=1, b=[2])
sns = types.SimpleNamespace(x=1)
gen = (i for i in range(10))
it = iter([1, 2, 3])
cnt = itertools.count(5)
dd = collections.defaultdict(list)
dd2 = collections.defaultdict(lambda: 5)
od = collections.OrderedDict(a=1)
chain = collections.ChainMap({"a": 1}, {"b": 2})
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=int, default=3)
libc = ctypes.CDLL(None)
libc.strlen.argtypes = [ctypes.c_char_p]
libc.strlen.restype = ctypes.c_size_t


class S(ctypes.Structure):
    _fields_ = [("a", ctypes.c_int)]


s_ = S(4)


class U(ctypes.Union):
    _fields_ = [("i", ctypes.c_int), ("s", S)]


class BE(ctypes.BigEndianStructure):
    _pack_ = 1
    _fields_ = [("a", ctypes.c_int16), ("b", ctypes.c_int32, 5)]


class Rec(ctypes.Structure):
    pass


Rec._fields_ = [("n", ctypes.POINTER(Rec)), ("v", ctypes.c_int)]
A5 = S * 5
tmpl = string.Template("$x")
pat = re.compile("a+")
packed = struct.Struct("<hd")
system_random = random.SystemRandom()
mp = types.MappingProxyType({"a": 1})
meth = "abc".upper
bmeth = [3, 4].append
ig = operator.itemgetter(1)
ag = operator.attrgetter("x")
mc = operator.methodcaller("upper")


@functools.cache
def cached(x):
    return x * 2


@functools.lru_cache(maxsize=None)
def fibo(n):
    return n if n < 2 else fibo(n - 1) + fibo(n - 2)


@functools.singledispatch
def sd(x):
    return "any"


@sd.register
def _(x: int):
    return "int"


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class P:
    x: int
    y: int = 2


@dataclasses.dataclass
class D:
    xs: list = dataclasses.field(default_factory=list)
    k: ClassVar[int] = 3


class Proto(typing.Protocol):
    def f(self) -> int: ...


@typing.runtime_checkable
class Rt(typing.Protocol):
    def f(self) -> int: ...


class Impl:
    def f(self) -> int:
        return 1


class Ab(abc.ABC):
    @abc.abstractmethod
    def f(self): ...


class Con(Ab):
    def f(self):
        return super().__class__.__name__


Ab.register(Impl)


class Fl(enum.Flag):
    A = 1
    B = 2
    C = A | B


class Au(enum.IntEnum):
    X = enum.auto()
    Y = enum.auto()


class SE(enum.StrEnum):
    X = "x"


class NT(typing.NamedTuple):
    a: int
    b: str = "k"

    def m(self):
        return self.a


Pt = collections.namedtuple("Pt", "x y", defaults=[3])


class Meta(type):
    seen = []

    def __new__(m, n, b, d):
        c = super().__new__(m, n, b, d)
        m.seen.append(n)
        return c

    def __call__(cls, *a):
        o = super().__call__(*a)
        o.made = True
        return o


class WithMeta(metaclass=Meta):
    pass


class Desc:
    def __set_name__(self, o, n):
        self.n = n

    def __get__(self, o, t):
        return self.n


class HasDesc:
    a = Desc()


class Single:
    _i = None

    def __new__(cls):
        if cls._i is None:
            cls._i = super().__new__(cls)
        return cls._i


single = Single()


class Borg:
    st = {}

    def __init__(self):
        self.__dict__ = self.st


borg = Borg()
borg.x = 5


class Ctx:
    def __enter__(self):
        return 4

    def __exit__(self, *a):
        return False


@contextlib.contextmanager
def cm():
    yield 3


class Err(Exception):
    def __init__(self, a, *, code):
        super().__init__(a)
        self.code = code


async def co(x):
    await asyncio.sleep(0)
    return x + 1


def gf(n):
    yield from range(n)


T = TypeVar("T")


class Gen(Generic[T]):
    def m(self, x: T) -> T:
        return x


Alias = Dict[str, "P"]
UserId = NewType("UserId", int)


def nested():
    def outer(x):
        def inner(y):
            return x + y

        return inner

    return outer


add5 = nested()(5)
counter = 0


def incr():
    global counter
    counter += 1
    return counter


exec("def dyn(x): return x + 100")
ev = eval("lambda x: x + 200")
SQRT = math.sqrt
arr = np.arange(5.0)
rec = np.array([(1, 2.0)], dtype=[("a", int), ("b", float)])
obj = np.array([{"a": 1}, None], dtype=object)
mask = np.ma.array([1, 2], mask=[0, 1])
view = arr[::2]
mat = np.asfortranarray(np.ones((3, 4)))
poly = np.polynomial.Polynomial([1, 2])
vec = np.vectorize(lambda x: x + 1)
rng = np.random.default_rng(3)
rnd = random.Random(4)
dec = decimal.Decimal("1.5")
decimal.getcontext().prec = 7
arrays = array.array("d", [1, 2])
mv = memoryview(b"abc")
selfref = []
selfref.append(selfref)


class Node:
    def __init__(self):
        self.p = None
        self.c = []


root = Node()
ch = Node()
ch.p = root
root.c.append(ch)
deep = None
for _i in range(300):
    deep = [deep]
td = tempfile.TemporaryDirectory()
tf = tempfile.NamedTemporaryFile()
con = sqlite3.connect(":memory:")
con.execute("create table t(a)")
con.execute("insert into t values (5)")


class Cls:
    count = 0

    @classmethod
    def make(cls):
        cls.count += 1
        return cls.count

    @staticmethod
    def st(x):
        return x

    @property
    def pr(self):
        return 5

    @functools.cached_property
    def cp(self):
        return 6

    def __getattr__(self, n):
        if n.startswith("dyn_"):
            return n
        raise AttributeError(n)

    class Inner:
        z = 9

    Inner2 = Inner


inst = Cls()
bound = inst.st
cmeth = Cls.make
partial = functools.partial(pow, 2)
pm = functools.partialmethod(pow, 2)
red = functools.reduce
from os.path import join as jn
import os.path as osp

try:
    import nonexisting
except ImportError:
    nonexisting = None
sentinel = object()
NI = NotImplemented
EL = ...


class Lazy:
    def __getattr__(self, n):
        return 1 if not n.startswith("__") else object.__getattribute__(self, n)


lazy = Lazy()


class Slots:
    __slots__ = ("a", "__weakref__")


sl = Slots()
sl.a = 3


class GetState:
    def __init__(self):
        self.l = threading.Lock()
        self.v = 3

    def __getstate__(self):
        d = self.__dict__.copy()
        del d["l"]
        return d

    def __setstate__(self, d):
        self.__dict__.update(d)
        self.l = threading.Lock()


gs = GetState()


class LockIn:
    def __init__(self):
        self.l = threading.Lock()
        self.v = 3


li = LockIn()
tz = datetime.timezone.utc
now = datetime.datetime(2020, 1, 1, tzinfo=tz)
warn = warnings.warn


class Tqdmish:
    def __init__(self):
        self.f = sys.stderr


tq = Tqdmish()
thread_local = threading.local()
thread_local.x = 3


class Sub(dict):
    def __missing__(self, k):
        return k


sub = Sub(a=1)


class SubList(list):
    pass


sl2 = SubList([1])
sl2.extra = 4


class SubInt(int):
    pass


si = SubInt(4)
si.note = "n"


class HashMe:
    def __init__(self, k):
        self.k = k

    def __hash__(self):
        return hash(self.k)

    def __eq__(self, o):
        return self.k == o.k


hset = {HashMe(1), HashMe(2)}


def kw(*, a, b=2, **k):
    return a + b


def defaults(x, acc=[]):
    acc.append(x)
    return len(acc)


def ann(x: "P") -> "Optional[P]":
    return x


def modname():
    return __name__ in ("__main__", "__mp_main__")


class Q2(queue.Queue):
    pass


T0 = {}


def case(f):
    T0[f.__name__] = f
    return f


@case
def t_lock():
    with lock, rlock:
        return 1


@case
def t_event():
    event.set()
    return event.is_set()


@case
def t_sem():
    with sem, cond:
        return 2


@case
def t_queue():
    q.put(1)
    return q.get()


@case
def t_squeue():
    sq.put(1)
    return sq.get()


@case
def t_log():
    log.info("x")
    return log.name


@case
def t_out():
    out.write("")
    return out is sys.stdout


@case
def t_devnull():
    devnull.write("x")
    return 1


@case
def t_cv():
    return cv.get()


@case
def t_weak():
    wd["a"] = inst
    ws.add(inst)
    return len(wd), len(ws)


@case
def t_ns():
    return ns.a, ns.b, sns.x


@case
def t_iter():
    return next(it), next(cnt)


@case
def t_gen():
    return next(gen)


@case
def t_dd():
    dd["a"].append(1)
    return dict(dd), dd2["q"], od, chain["b"]


@case
def t_parser():
    return parser.parse_args([]).x


@case
def t_ctypes():
    return (
        libc.strlen(b"abc"),
        libc.abs(-3),
        s_.a,
        U(i=3).s.a,
        bytes(BE(1, 2)),
        A5()[0].a,
        Rec(v=3).v,
        ctypes.sizeof(BE),
    )


@case
def t_misc():
    return (
        tmpl.substitute(x=1),
        pat.match("aa").end(),
        mp["a"],
        meth(),
        ig([1, 2]),
        ag(sns),
        mc("a"),
    )


@case
def t_bmeth():
    bmeth(5)
    return len(bmeth.__self__)


@case
def t_cached():
    return cached(3), fibo(50), fibo.cache_info().maxsize


@case
def t_sd():
    return sd(1), sd("a")


@case
def t_dc():
    return (
        P(1),
        P(1) < P(2),
        dataclasses.asdict(P(1)),
        D().xs,
        D.k,
        dataclasses.replace(P(1), y=5),
        dataclasses.fields(P)[0].name,
        P.__slots__,
    )


@case
def t_abc():
    return isinstance(Impl(), Rt), isinstance(Impl(), Ab), Con().f(), issubclass(Con, Ab)


@case
def t_enum():
    return Fl.C, Fl.A | Fl.B is Fl.C, Au.Y, SE.X, list(Au), Fl.A in Fl.C, Au(1)


@case
def t_nt():
    return NT(1).m(), NT(1)._asdict(), Pt(1), Pt._fields


@case
def t_meta():
    return WithMeta().made, Meta.seen, type(WithMeta) is Meta


@case
def t_desc():
    return HasDesc().a


@case
def t_single():
    return Single() is single, Single() is Single()


@case
def t_borg():
    return Borg().x, borg.x


@case
def t_ctx():
    with Ctx() as a, cm() as b:
        return a, b


@case
def t_co():
    return asyncio.run(co(3)), list(gf(3))


@case
def t_generic():
    return Gen[int]().m(3), UserId(4), typing.get_type_hints(ann), Gen[int].__args__


@case
def t_closure():
    return add5(3), dyn(1), ev(1), SQRT(4)


@case
def t_counter():
    return incr()


@case
def t_np():
    return (
        arr.sum(),
        rec["b"].tolist(),
        obj.tolist(),
        mask.sum(),
        view.tolist(),
        mat.flags.f_contiguous,
        poly(2),
        vec([1]).tolist(),
    )


@case
def t_rng():
    return rng.integers(1000), rnd.random()


@case
def t_dec():
    return (
        dec / 3,
        decimal.getcontext().prec,
        arrays.tolist(),
        bytes(mv) if mv is not None else None,
    )


@case
def t_self():
    return selfref[0] is selfref, root.c[0].p is root


@case
def t_temp():
    return os.path.isdir(td.name)


@case
def t_tf():
    return os.path.exists(tf.name)


@case
def t_sqlite():
    return con.execute("select a from t").fetchall()


@case
def t_cls():
    return (
        Cls.make(),
        Cls.st(4),
        inst.pr,
        inst.cp,
        inst.dyn_x,
        Cls.Inner.z,
        Cls.Inner2 is Cls.Inner,
        bound(3),
        cmeth() >= 1,
        partial(5),
    )


@case
def t_import():
    return jn("a", "b"), osp.sep, nonexisting, NI, EL


@case
def t_sentinel():
    return copy.copy(sentinel) is sentinel


@case
def t_lazy():
    return lazy.foo, sl.a, gs.v


@case
def t_lockin():
    with li.l:
        return li.v


@case
def t_time():
    return now.isoformat()


@case
def t_tq():
    return tq.f is sys.stderr


@case
def t_tl():
    return thread_local.x


@case
def t_sub():
    return sub["zz"], sl2.extra, si.note, si + 1, HashMe(1) in hset


@case
def t_kw():
    return kw(a=1), defaults(1), defaults(1)


@case
def t_mod():
    return (
        modname(),
        P.__module__ in ("__main__", "__mp_main__"),
        inspect.getsource(kw).startswith("def kw"),
        __file__.endswith("globals_of_all_kinds.py"),
        __doc__,
    )


@case
def t_pickle():
    return (
        pickle.loads(pickle.dumps(P(1))) == P(1),
        pickle.loads(pickle.dumps(inst)).pr,
        copy.deepcopy(root).c[0].p is not root,
    )


@case
def t_err():
    try:
        raise Err("x", code=5)
    except Err as e:
        return e.code, e.args


@case
def t_warn():
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        warn("hi")
        return len(w), w[0].filename.endswith("globals_of_all_kinds.py")


@case
def t_tb():
    try:
        1 / 0
    except ZeroDivisionError:
        return traceback.format_exc().count("1 / 0")


@case
def t_globals():
    return "P" in globals(), len([k for k in globals() if k.startswith("t_")]) > 30


@case
def t_main():
    import __main__

    return hasattr(__main__, "P"), __main__.P is P


@case
def t_thread():
    r = []
    t = threading.Thread(target=lambda: r.append(incr()))
    t.start()
    t.join()
    return len(r)


@case
def t_packed():
    return packed.pack(1, 2.5), packed.size


@case
def t_system_random():
    return 0 <= system_random.random() < 1


@case
def t_deep():
    d, n = deep, 0
    while d:
        d = d[0]
        n += 1
    return n


def safe(name):
    try:
        return repr(T0[name]())
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    from masterworker import Master

    fork = multiprocessing.get_context("fork")
    expected = {}
    for name in T0:
        with fork.Pool(1) as pool:
            (expected[name],) = pool.map(safe, [name])
    with Master(workers=1) as master:
        for name, function in T0.items():
            try:
                found = repr(master.submit(function).result(60))
            except BaseException as error:
                found = f"{type(error).__name__}: {error}"
            print(json.dumps([name, expected[name], found]))
