"""Functions and classes of the main program do in a worker what they do in the program."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from support import python_script, run_script

if TYPE_CHECKING:
    from pathlib import Path

#: Each function `try_...` is called in the program and in a worker, and must return the same.
COMPARE = """
def plain(value):
    import re
    return re.sub("0x[0-9a-f]+|__mp_main__|__main__", "", repr(value))

def same_classes(here, there):
    if type(here) is not type(there):
        return False
    inner = isinstance(here, (list, tuple))
    return not inner or all(map(same_classes, here, there))

if __name__ == "__main__":
    from masterworker import Master
    with Master(workers=1) as master:
        for name, function in list(globals().items()):
            if name.startswith("try_"):
                there = master.submit(function).result(60)
                here = function()
                assert plain(here) == plain(there), (name, here, there)
                assert same_classes(here, there), name
        print("the same")
"""

KINDS = {
    "enumerations with an __init__": """
        import enum
        class Planet(enum.Enum):
            MERCURY = (3.3, 2.4)
            EARTH = (5.9, 6.3)
            def __init__(self, mass, radius):
                self.mass = mass
                self.radius = radius
            @property
            def gravity(self):
                return self.mass / self.radius**2
            @classmethod
            def heaviest(cls):
                return max(cls, key=lambda each: each.mass)
        def try_attributes():
            return Planet.EARTH.mass, Planet.EARTH.gravity, Planet.heaviest()
        def try_by_value():
            return Planet((3.3, 2.4)), [each.name for each in Planet]
    """,
    "enumerations with a __new__": """
        import enum
        class Axis(bytes, enum.Enum):
            def __new__(cls, value, label):
                made = bytes.__new__(cls, [value])
                made._value_ = value
                made.label = label
                return made
            X = (0, "first")
            Y = (1, "second")
        class Ordered(enum.Enum):
            LOW = ()
            HIGH = ()
            def __new__(cls):
                made = object.__new__(cls)
                made._value_ = len(cls.__members__) + 1
                return made
        def try_labels():
            return Axis.X.label, Axis(1).label, bytes(Axis.Y), Axis.Y.name
        def try_order():
            return [each.value for each in Ordered], Ordered(2)
    """,
    "enumerations of other kinds": """
        import dataclasses, enum
        class Alias(enum.IntEnum):
            A = 1
            B = 1
            C = 2
        class Word(enum.StrEnum):
            X = enum.auto()
        class Pair(tuple, enum.Enum):
            ONE = 1, 2
        class Right(enum.IntFlag, boundary=enum.KEEP):
            READ = 1
            WRITE = 2
            BOTH = 3
        class Named(enum.Enum):
            def __str__(self):
                return self.name.lower()
        class Side(Named):
            LEFT = 1
            RIGHT = 2
            @classmethod
            def _missing_(cls, value):
                return cls.LEFT
        Side.LEFT.other, Side.RIGHT.other = Side.RIGHT, Side.LEFT
        @dataclasses.dataclass
        class Size:
            width: int
        class Paper(Size, enum.Enum):
            SMALL = 10
            LARGE = 20
        Simple = enum.Enum("Simple", "P Q")
        def try_aliases():
            return Alias.B is Alias.A, list(Alias.__members__), Alias.C + 1
        def try_texts():
            return f"{Word.X}", Word("x"), str(Side.RIGHT), Side(77), Pair.ONE[1], Pair.ONE
        def try_flags():
            return Right.READ | Right.WRITE is Right.BOTH, Right.BOTH & ~Right.READ, Right(9)
        def try_others():
            return Side.LEFT.other, Paper.LARGE.width, Paper.LARGE, Simple.Q, len(Simple)
    """,
    "metaclasses that register": """
        import abc
        KNOWN = []
        class Registering(type):
            def __new__(kind, name, bases, namespace):
                made = super().__new__(kind, name, bases, namespace)
                KNOWN.append(made)
                return made
        class Base(metaclass=Registering):
            pass
        class Left(Base):
            pass
        NAMES = []
        class Checking(abc.ABCMeta):
            def __init__(cls, name, bases, namespace):
                super().__init__(name, bases, namespace)
                NAMES.append(name)
        class Abstract(metaclass=Checking):
            @abc.abstractmethod
            def do(self): ...
        class Concrete(Abstract):
            def do(self):
                return len(NAMES)
        class Counting(type):
            made = 0
            def __init__(cls, *args):
                super().__init__(*args)
                Counting.made += 1
        class Counted(metaclass=Counting):
            pass
        def try_once():
            return KNOWN == [Base, Left], [each.__name__ for each in KNOWN]
        def try_abstract():
            return NAMES, Concrete().do(), isinstance(Concrete(), Abstract)
        def try_count():
            return Counting.made, Counted().__class__ is Counted
    """,
    "classes with one object": """
        class Single(type):
            objects = {}
            def __call__(cls, *args):
                if cls not in Single.objects:
                    Single.objects[cls] = super().__call__(*args)
                return Single.objects[cls]
        class Settings(metaclass=Single):
            def __init__(self):
                self.level = 1
        SETTINGS = Settings()
        class Other:
            only = None
            def __new__(cls):
                if cls.only is None:
                    cls.only = super().__new__(cls)
                return cls.only
        OTHER = Other()
        class Third:
            pass
        Third.default = THIRD = Third()
        def try_metaclass():
            return Settings() is SETTINGS, Settings().level
        def try_new():
            return Other() is OTHER, Other.only is OTHER
        def try_attribute():
            return Third.default is THIRD
        def try_default(third=THIRD):
            return third is THIRD
    """,
    "objects whose rebuilding uses globals": """
        DEFAULTS = {"a": 1}
        def merged(b):
            return {**DEFAULTS, "b": b}
        class Config:
            def __init__(self, b):
                self.b = b
                self.data = merged(b)
            def __getstate__(self):
                return self.b
            def __setstate__(self, b):
                self.__init__(b)
        CONFIG = Config(3)
        class Shifted:
            def __init__(self, x):
                self.x = x + OFFSET
            def __reduce__(self):
                return Shifted, (self.x - OFFSET,)
        OFFSET = 10
        SHIFTED = Shifted(1)
        class Salted:
            def __init__(self, key):
                self.key = key
            def __hash__(self):
                return hash(self.key) + SALT
            def __eq__(self, other):
                return self.key == other.key
        SALT = 5
        TABLE = {Salted(1): "one"}
        def try_state():
            return CONFIG.data
        def try_reduce():
            return SHIFTED.x
        def try_hash():
            return TABLE[Salted(1)]
    """,
    "what says by which name it is pickled": """
        import typing
        class Mark:
            def __repr__(self):
                return "<missing>"
            def __reduce__(self):
                return "MISSING"
        MISSING = Mark()
        UserId = typing.NewType("UserId", int)
        Fields = typing.TypedDict("Fields", {"a": int})
        class Part(typing.TypedDict, total=False):
            b: str
        class Whole(Part):
            c: list[UserId]
        def try_mark(value=MISSING):
            return value is MISSING, MISSING
        def try_types():
            return UserId(3), Fields(a=1), typing.get_type_hints(Fields), Whole(c=[])
        def try_keys():
            return sorted(Whole.__required_keys__), sorted(Whole.__optional_keys__)
    """,
    "typed dictionaries": """
        import typing
        class Alone(typing.TypedDict):
            a: int
        class Derived(Alone, total=False):
            b: "Alone"
        def try_alone():
            return Alone(a=1), Alone.__annotations__, Alone.__required_keys__
        def try_derived():
            return Derived(a=1, b=Alone(a=2)), Derived.__optional_keys__
        def try_hints():
            return sorted(typing.get_type_hints(Derived)), Derived.__bases__
    """,
    "closures that share": """
        def make():
            count = 0
            def add():
                nonlocal count
                count += 1
                return count
            def value():
                return count
            return add, value
        def try_made_there():
            add, value = make()
            return add(), add(), value()
        def even(n):
            def inner(n):
                return n == 0 or outer(n - 1)
            def outer(n):
                return n != 0 and inner(n - 1)
            return inner(n)
        def try_recursion():
            return even(10), even(7)
    """,
    "names that are looked up": """
        import sys
        A, B, C, D = 1, 2, 3, 4
        LOCK = __import__("threading").Lock()
        def try_globals():
            return globals()["A"], getattr(sys.modules[__name__], "B")
        def try_main():
            import __main__
            return __main__.C, eval("C + D")
    """,
}


@pytest.mark.parametrize("kind", KINDS)
def test_definitions(tmp_path: Path, kind: str) -> None:
    """Each function returns there what it returns here, of the same classes."""
    source = textwrap.dedent(KINDS[kind]) + COMPARE
    assert run_script(python_script(tmp_path, "main.py", source)).out.splitlines() == ["the same"]


def test_closures_that_share_are_arguments(tmp_path: Path) -> None:
    """Functions in one call share their variables there, too; a worker's are not the program's."""
    found = run_script(
        python_script(
            tmp_path,
            "main.py",
            """
            from masterworker import Master

            def make():
                count = 0
                def add():
                    nonlocal count
                    count += 1
                def value():
                    return count
                return add, value

            def work(add, value):
                add()
                add()
                return value()

            if __name__ == "__main__":
                add, value = make()
                add()
                with Master(workers=1) as master:
                    print(master.submit(work, add, value).result(60), value())
            """,
        )
    )
    assert found.out.split() == ["3", "1"]


def test_what_a_decorator_makes_is_one_object_in_a_worker(tmp_path: Path) -> None:
    """An object that takes the place of a function keeps what it counts, as a function would."""
    found = run_script(
        python_script(
            tmp_path,
            "main.py",
            """
            import functools
            from masterworker import Master

            class Counted:
                def __init__(self, function):
                    functools.update_wrapper(self, function)
                    self.function = function
                    self.calls = 0
                def __call__(self, *args):
                    self.calls += 1
                    return self.function(*args)

            @Counted
            def work(x):
                return work.calls

            if __name__ == "__main__":
                with Master(workers=1) as master:
                    found = [master.submit(work, i).result(60) for i in range(3)]
                    work.calls = 10
                    print(*found, master.submit(work, 0).result(60))
            """,
        )
    )
    assert found.out.split() == ["1", "2", "3", "11"]
