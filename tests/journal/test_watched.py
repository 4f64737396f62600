"""Values whose key is another one in a worker: a warning names their class, once."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from journal.values import VALUES
from masterworker import Master
from masterworker.journal.watched import compared, look, watched, watched_names
from support import Script, python_script, unique_label

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
    import os, pickle, random
    from masterworker import Master

    class Plain:
        def __init__(self, x):
            self.x = x

    class Fickle:
        '''Another state each time it is asked.'''

        def __getstate__(self):
            return {"x": 1, "pid": os.getpid()}

    class Holder:
        def __init__(self, held):
            self.held = held

    def work(*parts, **named):
        return len(parts)

    def alike(part):
        return 1

    if __name__ == "__main__":
        fickle = [Fickle() for _ in range(3)]
        with Master(HOW, journal="job.journal") as master:
            WAY
        print("done")
"""
WARNS = {
    "submit": ("[master.submit(work, 1, each).result() for each in fickle]", "2"),
    "map": ("list(master.map(work, fickle))", "1"),
    "map of pairs": ("list(master.map(work, range(3), fickle))", "2"),
    "by name": ("[master.submit(work, x=each).result() for each in fickle]", "'x'"),
    "inside": ("[master.submit(work, [Holder({1: each})]).result() for each in fickle]", "1"),
}


def warnings_of(folder: Path, way: str, how: str = "workers=2") -> list[str]:
    """What a program is told of keys."""
    source = PROGRAM.replace("WAY", way).replace("HOW", how)
    script = Script(python_script(folder, "program.py", source))
    assert script.wait() == 0, script.told
    assert script.out == "done\n"
    return [line for line in script.err.splitlines() if "cannot know" in line]


@pytest.mark.parametrize("way", WARNS)
def test_one_warning(tmp_path: Path, way: str) -> None:
    code, which = WARNS[way]
    (line,) = warnings_of(tmp_path, code)
    assert f"parameter {which}" in line
    assert "of work" in line
    assert "Fickle has another key in a worker" in line
    assert "options(key=...)" in line


@pytest.mark.parametrize(
    "way",
    [
        "list(master.map(alike, [Plain(1), Holder([Plain(2)])]))",
        "list(master.map(alike, range(1000)))",
        "master.options(key='a').submit(work, fickle[0]).result()",
        "list(master.map(work, fickle, keys=['a', 'b', 'c']))",
        "list(master.map(work, [{'a', 'b'}, lambda x: x], seed=5))",
        "with master.share(one=fickle[0]) as s: master.submit(work, s.one).result()",
    ],
    ids=["known again", "small", "key", "keys", "seed", "shared value"],
)
def test_no_warning(tmp_path: Path, way: str) -> None:
    assert warnings_of(tmp_path, way) == []


TAGGED = """
    import os
    from masterworker import Master, Worker, run_job

    class Fickle:
        def __getstate__(self):
            return {"pid": os.getpid()}

    class Asking(Master):
        def run(self):
            for each in range(3):
                self.request_task("double", each, Fickle())
            print(sorted(result for _, _, result in self.results()))

    class Adder(Worker):
        def do_double(self, n, fickle):
            return 2 * n

    run_job(LABEL, Asking, Adder, workers=2, journal="job.journal")
"""


def test_a_task_by_tag(tmp_path: Path) -> None:
    source = TAGGED.replace("LABEL", repr(unique_label()))
    script = Script(python_script(tmp_path, "program.py", source))
    assert script.wait() == 0, script.told
    assert script.out == "[0, 2, 4]\n"
    assert script.err.count("cannot know parameter 2 of task 'double'") == 1, script.err


def probe(value: Any) -> Any:
    """What a worker makes of a value."""
    return look(value)


def test_values_of_all_kinds_are_known_again_in_a_worker() -> None:
    with Master(workers=1) as master:
        futures = {name: master.submit(probe, value) for name, value in VALUES.items()}
        there = {name: future.result() for name, future in futures.items()}
    for name, value in VALUES.items():
        here = look(value)
        assert here is not None, name
        assert there[name] == here, name


def test_values_of_a_main_program_are_known_again(tmp_path: Path) -> None:
    """Classes and functions have other homes in a worker then."""
    source = (
        "from journal import values\n"
        "source = open(values.__file__).read()\n"
        "exec(compile(source.split('if __name__')[0], __file__, 'exec'))\n"
        "from masterworker import Master\n"
        "from masterworker.journal.watched import look\n"
        "def probe(value):\n    return look(value)\n"
        "if __name__ == '__main__':\n"
        "    with Master(workers=1) as master:\n"
        "        for name, value in VALUES.items():\n"
        "            if master.submit(probe, value).result() != look(value):\n"
        "                print(name)\n"
    )
    from pathlib import Path as Place

    tests = str(Place(__file__).parents[1])
    env = {"PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}
    script = Script(python_script(tmp_path, "program.py", source), env=env)
    assert script.wait() == 0, script.told
    assert script.out == "", script.told


class Fresh:
    """It has another state each time it is looked at."""

    def __getstate__(self) -> dict[str, float]:
        return {"x": random.random()}


@pytest.mark.parametrize("value", [Fresh(), [1, {"a": Fresh()}]])
def test_the_class_is_named(value: object, caplog: pytest.LogCaptureFixture) -> None:
    made = watched((1, value), "work", ["1", "2"])
    assert compared(tuple(made), made.what, made.seen) == (1, value)
    assert caplog.text.count("parameter 2 of work") == 1
    assert "Fresh has another key" in caplog.text
    named = watched_names({"x": value}, "work")
    compared(dict(named), named.what, named.seen)
    assert "parameter 'x' of work" in caplog.text


def test_what_cannot_be_looked_at_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    assert compared((1, 2), "work", [("1", None)]) == (1, 2)
    assert "could not be looked at" in caplog.text
