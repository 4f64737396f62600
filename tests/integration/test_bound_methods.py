"""Methods with their objects, under names of the main program or as what is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support import HANG, python_script, start_script

if TYPE_CHECKING:
    from pathlib import Path


def executed(tmp_path: Path, source: str) -> None:
    running = start_script(python_script(tmp_path, "methods.py", source))
    assert running.wait(HANG) == 0, running.told
    assert "good" in running.out


def test_hidden_generators_differ_whatever_they_are_called(tmp_path: Path) -> None:
    """Functions of `random` and NumPy, imported one by one: each worker draws its own numbers."""
    executed(
        tmp_path,
        """
        import random
        import threading
        from random import random as uniform, randint, gauss
        from numpy.random import rand
        from masterworker import Master

        def draw(_):
            threading.Event().wait(0.01)
            return uniform(), randint(1, 10**12), gauss(0, 1), rand()

        with Master(workers=2) as master:
            futures = [master.submit(draw, n) for n in range(10)]
            drawn = [future.result() for future in futures]
            for numbers in zip(*drawn):
                assert len(set(numbers)) == 10, numbers
            assert len({master.submit(random.random).result() for _ in range(10)}) == 10
            assert len(set(master.map(random.uniform, [0] * 10, [1] * 10))) == 10
            assert len({master.submit(lambda f=random.random: f()).result() for _ in range(9)}) == 9
        print("good")
        """,
    )


def test_what_a_method_belongs_to_changes(tmp_path: Path) -> None:
    """In place, and nothing but the method refers to it: the next call has what it is now."""
    executed(
        tmp_path,
        """
        from masterworker import Master

        table, items = {"a": 1}, [1]
        look, position, has = table.get, items.index, table.__contains__

        def work(key):
            return look(key), has(key), len(items), position(1)

        with Master(workers=1) as master:
            for change in (lambda: None, lambda: table.update(a=2), lambda: items.insert(0, 5),
                           table.clear):
                change()
                assert master.submit(work, "a").result() == work("a")
                assert master.submit(table.get, "a").result() == table.get("a")
                assert list(master.map(look, "ab")) == list(map(look, "ab"))
        print("good")
        """,
    )


def test_modules_that_no_import_finds_change(tmp_path: Path) -> None:
    """They travel with what is in them."""
    executed(
        tmp_path,
        """
        import types
        from masterworker import Master

        settings = types.ModuleType("settings")
        settings.limit = 1

        def work():
            return settings.limit

        with Master(workers=1) as master:
            assert master.submit(work).result() == 1
            settings.limit = 2
            assert master.submit(work).result() == 2
        print("good")
        """,
    )


def test_hidden_generators_differ_wherever_their_methods_are(tmp_path: Path) -> None:
    """In lists, tables and objects of the program, and in parameters of all kinds of calls."""
    executed(
        tmp_path,
        """
        import functools
        import random
        import threading
        import numpy as np
        from masterworker import Executor, Master

        class Model:
            def __init__(self): self.draw = [np.random.normal]
            def value(self): return self.draw[0]()

        class Default:
            draw = random.random

        LIST = [random.random, np.random.normal]
        TABLE = {"one": {"two": (random.choice,)}}
        MODEL = Model()
        PARTIAL = functools.partial(random.uniform, 0, 1)

        def draw(_):
            choice = TABLE["one"]["two"][0](range(10**12))
            return LIST[0](), LIST[1](), choice, MODEL.value(), PARTIAL(), Default.draw()

        def of(functions): return functions[0]()
        def called(function): return function()

        def draw_slowly(number):
            threading.Event().wait(0.01)
            return draw(number)

        with Master(workers=2) as master, Executor(max_workers=1) as executor:
            futures = [master.submit(draw_slowly, n) for n in range(10)]
            for numbers in zip(*(future.result() for future in futures)):
                assert len(set(numbers)) == 10, numbers
            for function, parameter in (
                (of, [random.random]),
                (of, (np.random.normal,)),
                (called, random.random),
                (called, MODEL.value),
                (called, functools.partial(random.random)),
            ):
                drawn = [master.submit(function, parameter).result() for _ in range(2)]
                drawn += [executor.submit(function, parameter).result() for _ in range(2)]
                drawn += master.map(function, [parameter] * 300)
                assert len(set(drawn)) == 304, (function, parameter)
        print("good")
        """,
    )
