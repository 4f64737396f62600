"""What a program changes in its functions, classes and builtins between two calls counts.

Each program says in the master and in a worker what it finds after each change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from support import HANG, python_script, start_script

if TYPE_CHECKING:
    from pathlib import Path

#: By what is changed: definitions, a function `look` that uses them, and the changes.
PROGRAMS: Final = {
    "methods of a class": (
        """
        class Kind:
            def method(self, x=1): return x, getattr(Kind.method, "calls", None)
            @staticmethod
            def static(x=1, *, y=2): return x, y
            @classmethod
            def of_class(cls, x=1): return x
            @property
            def has(self): return getattr(Kind.has.fget, "note", None)
        look = lambda: (Kind().method(), Kind.static(), Kind.of_class(), Kind().has,
                        hasattr(Kind, "further"))
        """,
        [
            "Kind.method.calls = 3",
            "Kind.method.calls = 3.0",
            "Kind.method.__defaults__ = (7,)",
            "Kind.static.__defaults__ = (8,)",
            "Kind.static.__kwdefaults__['y'] = 9",
            "Kind.of_class.__func__.__defaults__ = (5,)",
            "Kind.has.fget.note = 'a note'",
            "Kind.further = 1",
            "del Kind.further",
            "Kind.method.__code__ = (lambda self, x=1: 'another').__code__",
        ],
    ),
    "variables of methods": (
        """
        def make():
            total = 0
            class Sum:
                def value(self): return total
                def add(self):
                    nonlocal total
                    total += 1
            return Sum
        Sum = make()
        Sum.__qualname__ = "Sum"
        look = lambda: Sum().value()
        """,
        ["Sum().add()", "Sum().add()"],
    ),
    "a function that looks like one of a library": (
        """
        import functools, json
        def remembering(function):
            kept = [0]
            @functools.wraps(function)
            def wrapper(x): return kept[0], function(x)
            wrapper.kept = kept
            return wrapper
        dumps = remembering(json.dumps)
        loads = remembering(json.loads)
        def look(): return dumps(1), loads("2")
        """,
        ["dumps.kept[0] = 1", "loads.kept[0] = 2", "loads.kept.insert(0, 3)"],
    ),
    "what says that it is in another module": (
        """
        class Public:
            table = {}
            def get(self): return dict(self.table), type(self).__name__, isinstance(self, Public)
        def public(x=[0]): return list(x)
        Public.__module__ = public.__module__ = "package_of_that_name"
        ONE = Public()
        look = lambda: (Public().get(), ONE.get(), public())
        """,
        ["Public.table['a'] = 1", "Public.table = {'b': 2}", "public.__defaults__[0].append(1)"],
    ),
    "attributes of members": (
        """
        import enum
        class Color(enum.Enum):
            RED = 1
            BLUE = 2
        class Access(enum.Flag):
            READ = 1
            WRITE = 2
        look = lambda: (vars(Color.RED).get("label"), Color(1) is Color.RED,
                        vars(Access.READ).get("note"), vars(Color.BLUE).get("label"),
                        hasattr(Color, "mark"))
        """,
        [
            "Color.RED.label = 'x'",
            "Color.RED.label = ['y']",
            "Color.RED.label.append(3)",
            "Access.READ.note = 1",
            "Color.BLUE.label = 5",
            "del Color.BLUE.label",
            "Color.mark = 1",
            "del Color.mark",
        ],
    ),
    "bases": (
        """
        class First:
            def who(self): return "first"
        class Second:
            def who(self): return "second"
        class Meta(type): pass
        class Plain(First): pass
        class Other(First, metaclass=Meta): pass
        ONE = Plain()
        look = lambda: (Plain().who(), Other().who(), ONE.who(), isinstance(ONE, Second),
                        [each.__name__ for each in Plain.__mro__])
        """,
        [
            "Plain.__bases__ = (Second,)",
            "Other.__bases__ = (Second,)",
            "Plain.__bases__ = (First, Second)",
        ],
    ),
    "what is registered with an abstract class": (
        """
        import abc
        class Abstract(abc.ABC):
            @abc.abstractmethod
            def method(self): ...
        class Mine: pass
        look = lambda: (isinstance(Mine(), Abstract), issubclass(int, Abstract),
                        isinstance("", Abstract))
        """,
        ["Abstract.register(Mine)", "Abstract.register(int)", "Abstract.register(str)"],
    ),
    "builtins": (
        """
        import builtins, functools
        builtins.LEVEL = 1
        builtins.TABLE = {"a": [1]}
        builtins.double = lambda x: x * 2 + LEVEL
        def look(): return LEVEL, TABLE, double(2), ascii("x"), oct(8)
        """,
        [
            "builtins.LEVEL = 2",
            "builtins.TABLE['a'].append(2)",
            "builtins.oct = lambda *values: 'mine'",
            "builtins.oct = USUAL",
            "builtins.ascii = functools.partial(repr)",
            "LEVEL = 9",
            "del LEVEL",
        ],
    ),
    "subclasses": (
        """
        class Plugin:
            def name(self): return type(self).__name__
        class One(Plugin): pass
        look = lambda: sorted(each().name() for each in Plugin.__subclasses__())
        """,
        [
            "class Two(Plugin): pass",
            "class Three(Plugin): pass",
        ],
    ),
    "names that are looked up": (
        """
        def do_one(): return 1
        def look(): return sorted(name for name in globals() if name.startswith("do_"))
        """,
        ["def do_two(): return 2", "do_three = 3", "del do_one"],
    ),
    "names that a lambda looks up": (
        """
        def do_one(): return 1
        look = lambda: (eval("do_one")(), sorted(n for n in globals() if n.startswith("do_")))
        """,
        ["def do_two(): return 2", "do_three = 3", "def do_one(): return 'another'"],
    ),
}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_change_counts_for_the_next_call(kind: str, tmp_path: Path) -> None:
    """For functions of the program, and for lambdas."""
    definitions, changes = PROGRAMS[kind]
    lines = ["from masterworker import Master", "USUAL = oct"]
    lines += [line.removeprefix("        ") for line in definitions.splitlines()]
    lines += ["with Master(workers=1) as master:"]
    asking = (
        "    assert (there := master.submit(look).result({})) == (here := look()), (there, here)"
    )
    for change in ("pass", *changes):
        lines += [f"    {change}", asking.format(HANG)]
    lines += ['print("good")']
    running = start_script(python_script(tmp_path, "program.py", "\n".join(lines)))
    assert running.wait(HANG) == 0, running.told
    assert "good" in running.out


def test_what_is_a_copy_in_a_worker(tmp_path: Path) -> None:
    """Marks as parameters, and what pickle leaves out or does twice, as the documentation says."""
    source = """
        import numpy as np
        from masterworker import Master

        MARK = object()

        class Doubling(dict):
            def __setitem__(self, key, value): super().__setitem__(key, value * 2)

        class Labelled(np.ndarray):
            def __array_finalize__(self, other): self.label = getattr(other, "label", None)

        TABLE, ARRAY = Doubling(), np.zeros(2).view(Labelled)
        TABLE["a"], ARRAY.label = 1, "a label"

        def is_mark(given): return given is MARK
        def found(): return dict(TABLE), ARRAY.label
        def label(array): return array.label
        def given_back(array): return array

        with Master(workers=1) as master:
            assert master.submit(is_mark, MARK).result() is False
            assert master.submit(found).result() == ({"a": 4}, "a label")
            assert master.submit(label, ARRAY).result() == "a label"
            assert master.submit(given_back, ARRAY).result().label is None
        print("good")
        """
    running = start_script(python_script(tmp_path, "program.py", source))
    assert running.wait(HANG) == 0, running.told
    assert "good" in running.out
