"""What the main program has set in modules is what its tasks find there."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from support import HANG

if TYPE_CHECKING:
    from pathlib import Path

#: A module as programs have one for their settings, and one that uses it.
CONFIG = """
    import array, collections

    LEVEL = 0
    COUNT = 1
    TABLE = {"inner": {}}
    NAMES = []
    TUNED = LOADED = CONNECTION = None
    KNOWN = {}
    COUNTS = collections.Counter("aab")
    QUEUE = collections.deque([1], maxlen=2)
    BY_NAME = collections.defaultdict(list)
    ORDERED = collections.OrderedDict.fromkeys("abc")
    NUMBERS = array.array("d", [0.0, 1.0])
    BYTES = bytearray(b"ab")
    SET = {1, 2}

    class Options:
        debug = False

    options = Options()
    nested = Options()

    def tune(value):
        global TUNED
        TUNED = value
        KNOWN[value] = len(KNOWN)

    def connection():
        global CONNECTION
        if CONNECTION is None:
            CONNECTION = "of this process"
        return CONNECTION
"""
LIBRARY = """
    import config
    from config import COUNTS, TABLE as SAME

    CACHE = None
    FILLED = False

    def fill():
        global CACHE, FILLED
        CACHE, FILLED = (line for line in ("not", "to", "be", "sent")), True

    def cached():
        if not FILLED:
            fill()
        return CACHE is not None

    def answer(x):
        return f"the library's {x}"

    def calls(x):
        return answer(x)

    class Base:
        flag = 0

    def state(_=0):
        return [config.LEVEL, config.COUNT, config.TABLE, SAME, config.NAMES, config.TUNED,
                config.KNOWN, config.options.debug, config.nested.debug, Base.flag, calls("x"),
                COUNTS, list(config.QUEUE), config.QUEUE.maxlen, config.BY_NAME,
                list(config.ORDERED), list(config.NUMBERS), list(config.BYTES), list(config.SET)]
"""


def _run(folder: Path, program: str, *arguments: str) -> list[Any]:
    """Run a program, and return what it has printed, line by line."""
    for name, text in (("config", CONFIG), ("library", LIBRARY), ("program", program)):
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, *(arguments or ("program.py",))],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * HANG,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line[:1] in "[{"]
    return [*found, done.stderr]


#: Ways to set something in a module.
WAYS = {
    "attribute": "config.LEVEL = 3",
    "sum": "config.COUNT += 4",
    "item": "config.TABLE['a'] = 1",
    "inner item": "config.TABLE['inner']['b'] = 2",
    "method": "config.NAMES.append('c')",
    "update": "config.TABLE.update(d=5)",
    "imported container": "TABLE['e'] = 6",
    "kin of containers": "config.COUNTS['b'] += 1; config.BY_NAME['a'].append(1)",
    "their methods": "config.QUEUE.appendleft(2); config.ORDERED.move_to_end('a'); "
    "config.SET.difference_update({1}); config.COUNTS.subtract('a')",
    "arrays": "config.NUMBERS[0] = 2.0; config.BYTES[1] = 5",
    "object": "config.options.debug = True",
    "imported object": "options.debug = True",
    "setattr": "setattr(config, 'LEVEL', 7)",
    "setattr of many": "for name, x in {'LEVEL': 8, 'COUNT': 9}.items(): setattr(config, name, x)",
    "vars": "vars(config).update(LEVEL=10)",
    "class": "library.Base.flag = 11",
    "its own function": "config.tune('low')",
    "function": "library.answer = mine",
    "wrapped function": "library.answer = wrapped(library.answer)",
    "lambda": "library.answer = lambda x: x * 2",
    "local import": "import config as c, library as l; c.LEVEL = 12; l.Base.flag = 13",
    "local import from": "from library import config as c, Base; c.LEVEL = 18; Base.flag = 19",
    "by the method of object": "object.__setattr__(config.options, 'debug', True)",
    "by the method of a class": "dict.__setitem__(config.TABLE, 'f', 7)",
    "several": "config.LEVEL, (config.COUNT, library.Base.flag) = 14, (15, 16)",
    "through another": "library.config.LEVEL = 17",
}
PROGRAM = """
    import functools, json, sys
    import config, library
    from config import TABLE, options
    from masterworker import Master

    def mine(x):
        return f"mine {x}"

    def wrapped(function):
        @functools.wraps(function)
        def call(x):
            return f"wrapped {function(x)}"
        return call

    def state(_):
        return library.state()

    def change():
        WAY

    if __name__ == "__main__":
        if sys.argv[1:] == ["later"]:
            with Master(workers=1) as master:
                master.submit(state, 0).result(60)
                change()
                print(json.dumps([library.state(), *master.map(state, [0])]))
                print(json.dumps([library.state(), *master.map(library.state, [0])]))
        else:
            before = library.state()
            print(json.dumps([before]))
            change()
            with Master(workers=1) as master:
                print(json.dumps([library.state(), master.submit(state, 0).result(60)]))
                print(json.dumps([library.state(), master.submit(library.state).result(60)]))
"""


@pytest.mark.parametrize("way", WAYS)
def test_set_before_workers_are_launched(tmp_path: Path, way: str) -> None:
    """Whether the task is a function of the main program, or of another module."""
    [before], *pairs, _ = _run(tmp_path, PROGRAM.replace("WAY", WAYS[way]))
    assert [there == here for here, there in pairs] == [True, True], pairs
    assert pairs[0][0] != before or way == "imported container"


@pytest.mark.parametrize("way", ["attribute", "inner item", "object", "its own function", "lambda"])
def test_set_later(tmp_path: Path, way: str) -> None:
    """It counts for the next call."""
    program = PROGRAM.replace("WAY", WAYS[way])
    *pairs, _ = _run(tmp_path, program, "program.py", "later")
    assert [there == here for here, there in pairs] == [True, True], pairs


def test_set_where_the_program_begins(tmp_path: Path) -> None:
    """At the top of a script, which is not kept as a function; and of `-c`."""
    program = """
        import json, config, library
        config.LEVEL = 5
        from masterworker import Master
        with Master(workers=1) as master:
            print(json.dumps([library.state(), master.submit(library.state).result(60)]))
            config.LEVEL = 6
            print(json.dumps([library.state(), master.submit(library.state).result(60)]))
    """
    *pairs, _ = _run(tmp_path, program)
    pairs += _run(tmp_path, "", "-c", textwrap.dedent(program))[:-1]
    assert [here[0] for here, _ in pairs] == [5, 6, 5, 6]
    assert all(here == there for here, there in pairs)


def test_set_by_an_import_from_beside(tmp_path: Path) -> None:
    """In a package, by functions that import the module for themselves."""
    package = tmp_path / "lab" / "part"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
        (folder / "settings.py").write_text("LEVEL = 0\n")
    (package / "run.py").write_text(
        textwrap.dedent("""
        import json
        import lab.settings, lab.part.settings
        from masterworker import Master

        def state(_):
            return [lab.settings.LEVEL, lab.part.settings.LEVEL]

        def change():
            from . import settings
            from .. import settings as above
            settings.LEVEL, above.LEVEL = 1, 2

        change()
        with Master(workers=1) as master:
            print(json.dumps([state(0), *master.map(state, [0])]))
        """)
    )
    pair, _ = _run(tmp_path, "", "-m", "lab.part.run")
    assert pair == [[2, 1], [2, 1]]


def test_what_an_initializer_or_a_task_sets_stays(tmp_path: Path) -> None:
    """Until the master's own value is another one."""
    program = """
        import json, config
        from masterworker import Master

        def begin():
            config.LEVEL = 5

        def count(_):
            config.COUNT += 1
            return [config.LEVEL, config.COUNT]

        if __name__ == "__main__":
            with Master(workers=1, initializer=begin) as master:
                print(json.dumps([master.submit(count, 0).result(60) for _ in range(3)]))
                config.COUNT = 100
                print(json.dumps([master.submit(count, 0).result(60) for _ in range(2)]))
                config.LEVEL = 7
                print(json.dumps([master.submit(count, 0).result(60)]))
    """
    first, second, third, _ = _run(tmp_path, program)
    assert first == [[5, 2], [5, 3], [5, 4]]
    assert second == [[5, 101], [5, 102]]
    assert third == [[7, 103]]


def test_what_a_module_keeps_for_itself_goes_whole_or_not_at_all(tmp_path: Path) -> None:
    """That it is filled, without what it is filled with, would be worse than neither."""
    program = """
        import json, library
        from masterworker import Master

        def work(_):
            return [library.FILLED, library.cached()]

        if __name__ == "__main__":
            library.fill()
            with Master(workers=1) as master:
                print(json.dumps(master.submit(work, 0).result(60)))
    """
    found, said = _run(tmp_path, program)
    assert found == [False, True]
    assert "cannot be sent" not in said


def test_what_cannot_be_sent_is_named_once(tmp_path: Path) -> None:
    program = """
        import json, library
        from masterworker import Master

        def work(_):
            return library.calls(1)

        if __name__ == "__main__":
            library.answer = (line for line in ()).send
            with Master(workers=1) as master:
                print(json.dumps([master.submit(work, 0).result(60) for _ in range(3)]))
    """
    found, said = _run(tmp_path, program)
    assert found == ["the library's 1"] * 3
    assert said.count("the main program sets library.answer (a builtin_function_or_method)") == 1
    assert "initializer=" in said


def test_no_module_is_loaded_to_be_set(tmp_path: Path) -> None:
    program = """
        import json, sys, config, library
        from masterworker import Master

        def is_loaded():
            return "config" in sys.modules

        def level():
            import config
            return config.LEVEL

        if __name__ == "__main__":
            config.LEVEL = 5
            with Master(workers=1) as master:
                print(json.dumps([master.submit(each).result(60) for each in (is_loaded, level)]))
                config.LEVEL = 6
                print(json.dumps([master.submit(each).result(60) for each in (is_loaded, level)]))
    """
    first, second, _ = _run(tmp_path, program)
    assert first == [False, 5]
    assert second == [True, 6]


#: A module with attributes that are other objects each time.
FRESH = """
    import threading

    class Thing:
        def answer(self):
            return 3

    class Settings:
        names = property(lambda self: list(self._names))
        thing = property(lambda self: self._thing)
        lines = property(lambda self: iter(open(self._file)))
        method = property(lambda self: self._thing.answer)

        def __setattr__(self, name, value):
            vars(self)["_" + name] = value

    settings = Settings()
    settings.names, settings.file, settings.thing = [], __file__, None
    LOCK = HANDLER = TABLE = None

    def begin():
        global LOCK
        LOCK = threading.Lock()
"""


def test_what_is_set_is_looked_at_again_and_not_made_again(tmp_path: Path) -> None:
    """Where it cannot be sent, or is another object each time; a change is seen all the same."""
    (tmp_path / "fresh.py").write_text(textwrap.dedent(FRESH))
    program = """
        import json, fresh, library
        from masterworker import Master
        from masterworker.data import environment

        made = []

        class Counted(environment.Plan):
            def __init__(self, *args, **keywords):
                made.append(args)
                super().__init__(*args, **keywords)

        environment.Plan = Counted

        def work(_=0):
            return [fresh.settings.names, fresh.settings.thing.answer(), fresh.HANDLER()]

        if __name__ == "__main__":
            fresh.begin()
            fresh.settings.names, fresh.settings.thing = ["a"], fresh.Thing()
            fresh.settings.method, fresh.settings.lines = None, None
            fresh.HANDLER, fresh.TABLE = fresh.Thing().answer, (x for x in ())
            library.answer = fresh.settings.method
            with Master(workers=1) as master:
                first = master.submit(work).result(60)
                count = len(made)
                again = [master.submit(work).result(60) for _ in range(50)]
                assert again == [first] * 50
                print(json.dumps([first == work(), count, len(made)]))
                fresh.settings.names = ["b"]
                print(json.dumps([master.submit(work).result(60)[0], len(made)]))
                fresh.TABLE, fresh.HANDLER = 5, lambda: 7
                print(json.dumps([master.submit(work).result(60)[2], len(made)]))
    """
    same, changed, sendable, said = _run(tmp_path, program)
    assert same == [True, 1, 1], said
    assert changed == [["b"], 2]
    assert sendable == [7, 3]
