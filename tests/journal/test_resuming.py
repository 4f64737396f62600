"""A program that is started again: what was done is not done again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support import Script, python_script, unique_label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: Notes each execution, and returns what no other execution does.
COUNTED = """
    import os, random, sys
    from masterworker import Master

    def note(what):
        with open("executed", "a") as file:
            file.write(f"{what}\\n")

    def work(x):
        note(x)
        return x, random.random()
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Script]:
    """Run a program in the test's folder, and wait for its end."""

    def run(source: str, env: Mapping[str, str] | None = None, status: int = 0) -> Script:
        script = Script(python_script(tmp_path, "program.py", source), env=env)
        assert script.wait() == status, script.told
        return script

    return run


def executed(folder: Path) -> list[str]:
    """What was executed since the last look."""
    path = folder / "executed"
    found = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return found


WAYS = {
    "map": "print(list(master.map(work, range(50))))",
    "map of pairs": (
        "def pair(a, b): return work(a)\n"
        "        print([v for _, v in master.map(pair, range(9), 'abcdefghi')])"
    ),
    "map as they come": "print(sorted(master.map(work, range(50), ordered=False)))",
    "submit": "print([f.result() for f in [master.submit(work, i) for i in range(20)]])",
    "keywords": "print([master.submit(work, x=i).result() for i in range(5)])",
    "the same call again": "print([master.submit(work, 7).result() for _ in range(5)])",
    "options": "print(list(master.options(retries=2, priority=3).map(work, range(9))))",
    "lambda": "print(list(master.map(lambda x: work(x), range(9))))",
    "arrays": (
        "import numpy as np\n"
        "        def fill(x): note(x); return np.full(300_000, x) + random.random()\n"
        "        print([float(a.sum()) for a in master.map(fill, range(3))])"
    ),
    "large array as parameter": (
        "import numpy as np\n"
        "        a = np.arange(100_000.0)\n"
        "        print(master.submit(lambda a: work(int(a[5])), a).result())"
    ),
    "shared value": (
        "with master.share(table=[1, 2, 3]) as shared:\n"
        "            print(list(master.map(lambda t, x: work(t[x]), [shared.table] * 3, range(3))))"
    ),
    "generator that changes an object": (
        "def items():\n"
        "            part = []\n"
        "            for i in range(20):\n"
        "                part.append(i)\n"
        "                yield part\n"
        "        print(list(master.map(lambda part: work(len(part)), items())))"
    ),
    "tiny": "print(sum(master.map(abs, range(-5000, 0))))",
    "seed": (
        "from masterworker import task_rng\n"
        "        def draw(x): note(x); return float(task_rng().random())\n"
        "        print(list(master.map(draw, range(9), seed=5)))"
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("serial", [False, True], ids=["workers", "serial"])
def test_what_was_done_is_not_done_again(
    run: Callable[..., Script], tmp_path: Path, way: str, serial: bool
) -> None:
    how = "serial=True" if serial else "workers=2"
    source = f"""{COUNTED}
    with Master({how}, journal="job.journal") as master:
        {WAYS[way]}
    """
    first = run(source)
    assert executed(tmp_path) or way == "tiny"
    second = run(source)
    assert executed(tmp_path) == []
    assert second.out == first.out


def test_a_sweep_that_gets_one_more_keeps_the_rest(
    run: Callable[..., Script], tmp_path: Path
) -> None:
    source = f"""{COUNTED}
    with Master(workers=2, journal="job.journal") as master:
        print(json.dumps(dict(master.map(work, VALUES))))
    """.replace("import os", "import json, os")
    before = json.loads(run(source.replace("VALUES", "[1, 2, 4]")).out)
    assert sorted(executed(tmp_path)) == ["1", "2", "4"]
    after = json.loads(run(source.replace("VALUES", "[4, 3, 2, 1]")).out)
    assert executed(tmp_path) == ["3"]
    assert {k: v for k, v in after.items() if k != "3"} == before


def test_keys_of_the_program(run: Callable[..., Script], tmp_path: Path) -> None:
    """Parameters that have no form, or another one each time, and texts in their place."""
    source = f"""{COUNTED}
    import time

    class Clock:
        def __init__(self):
            self.now = time.time()

    def at(clock, x):
        return work(x)

    with Master(workers=1, journal="job.journal") as master:
        print(master.options(key="first").submit(at, Clock(), 1).result())
        keys = [f"item {{x}}" for x in range(5)]
        print(list(master.map(at, [Clock()] * 5, range(5), keys=keys)))
        print(list(master.options(key="all").map(at, [Clock()] * 2, range(2))))
    """
    first = run(source)
    assert len(executed(tmp_path)) == 8
    second = run(source)
    assert (second.out, executed(tmp_path)) == (first.out, [])


def test_tasks_by_tag(run: Callable[..., Script], tmp_path: Path) -> None:
    label = unique_label()
    source = f"""{COUNTED}
    from masterworker import Worker, run_job

    class Sums(Master):
        def run(self):
            for n in range(6):
                self.request_task("double", n)
            print(sorted(result for _, _, result in self.results()))

    class Adder(Worker):
        def do_double(self, n):
            note(n)
            return 2 * n

    run_job({label!r}, Sums, Adder, workers=1, journal="job.journal")
    """
    first = run(source)
    assert first.out == "[0, 2, 4, 6, 8, 10]\n"
    assert sorted(executed(tmp_path)) == list("012345")
    second = run(source)
    assert (second.out, executed(tmp_path)) == (first.out, [])


CLASSIC = """
    from Scientific.DistributedComputing.MasterSlave import MasterProcess, SlaveProcess, runJob

    class Master(MasterProcess):
        def run(self):
            for n in range(4):
                self.requestTask("double", n)
            print(sorted(self.retrieveResult("double")[2] for _ in range(4)))

    class Slave(SlaveProcess):
        def do_double(self, n):
            with open("executed", "a") as file:
                file.write(f"{n}\\n")
            return 2 * n

    runJob(LABEL, Master, Slave, launch_slaves=1)
"""


def test_an_unchanged_classic_program(run: Callable[..., Script], tmp_path: Path) -> None:
    source = CLASSIC.replace("LABEL", repr(unique_label()))
    (tmp_path / "journals").mkdir()
    env = {"MASTERWORKER_JOURNAL": str(tmp_path / "journals")}
    first = run(source, env)
    assert (first.out, sorted(executed(tmp_path))) == ("[0, 2, 4, 6]\n", list("0123"))
    second = run(source, env)
    assert (second.out, executed(tmp_path)) == (first.out, [])
    assert len(list((tmp_path / "journals").iterdir())) == 1


def test_three_masters_in_a_row_get_results_of_their_own(
    run: Callable[..., Script], tmp_path: Path
) -> None:
    source = f"""{COUNTED}
    for _ in range(3):
        with Master(workers=1, journal="job.journal") as master:
            print(list(master.map(work, range(3))))
    """
    first = run(source)
    assert len(executed(tmp_path)) == 9
    assert len(set(first.out.splitlines())) == 3
    second = run(source)
    assert (second.out, executed(tmp_path)) == (first.out, [])


FAILING = f"""{COUNTED}
    def fail(x):
        note(x)
        raise ValueError(x)

    with Master(workers=1, journal="job.journal", journal_failures=KEEP) as master:
        for x in range(3):
            try:
                master.submit(fail, x).result()
            except ValueError as error:
                print(repr(error))
"""


@pytest.mark.parametrize(("keep", "again"), [("retry", 3), ("keep", 0)])
def test_failures(run: Callable[..., Script], tmp_path: Path, keep: str, again: int) -> None:
    source = FAILING.replace("KEEP", repr(keep))
    first = run(source)
    assert len(executed(tmp_path)) == 3
    second = run(source)
    assert second.out == first.out
    assert len(executed(tmp_path)) == again


def test_a_task_that_was_lost_is_lost(run: Callable[..., Script], tmp_path: Path) -> None:
    source = f"""{COUNTED}
    from masterworker import TaskLost

    def end(x):
        note(x)
        os._exit(3)

    with Master(workers=1, journal="job.journal") as master:
        try:
            master.submit(end, 1).result()
        except TaskLost as error:
            print(type(error).__name__)
    """
    first = run(source)
    assert len(executed(tmp_path)) == 3
    second = run(source)
    assert (second.out, executed(tmp_path)) == (first.out, [])


CHANGED = f"""{COUNTED}
    FACTOR = 2

    def scale(x):
        '''Scale.'''
        return helper(x) * FACTOR

    def helper(x):
        note(x)
        return x

    with Master(workers=1, journal="job.journal"MORE) as master:
        print(list(master.map(scale, range(3))))
"""


def test_comments_and_docstrings_may_change(run: Callable[..., Script], tmp_path: Path) -> None:
    source = CHANGED.replace("MORE", "")
    run(source)
    executed(tmp_path)
    source = source.replace("Scale.", "Multiply.\n        All of it.").replace(
        "return helper(x)", "# here\n        return  helper(x)"
    )
    assert run(source).out == "[0, 2, 4]\n"
    assert executed(tmp_path) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [("FACTOR = 2", "FACTOR = 3"), ("return x\n", "return x + 1\n"), ("(x) *", "(x) +")],
    ids=["constant", "what it calls", "itself"],
)
def test_changed_code_stops(
    run: Callable[..., Script], tmp_path: Path, before: str, after: str
) -> None:
    run(CHANGED.replace("MORE", ""))
    executed(tmp_path)
    source = CHANGED.replace(before, after)
    stopped = run(source.replace("MORE", ""), status=1)
    assert "CodeChangedError" in stopped.err
    assert "its 3 outcomes" in stopped.err
    gone = [line for line in stopped.err.splitlines() if line.startswith("-")]
    assert any(before.strip() in line for line in gone), stopped.err
    used = run(source.replace("MORE", ', journal_changed="use"'))
    assert (used.out, executed(tmp_path)) == ("[0, 2, 4]\n", [])
    # From now on the new one is what they were computed with.
    assert run(source.replace("MORE", "")).out == "[0, 2, 4]\n"


def test_changed_code_is_computed_again(run: Callable[..., Script], tmp_path: Path) -> None:
    run(CHANGED.replace("MORE", ""))
    executed(tmp_path)
    source = CHANGED.replace("FACTOR = 2", "FACTOR = 3")
    again = run(source.replace("MORE", ', journal_changed="recompute"'))
    assert (again.out, len(executed(tmp_path))) == ("[0, 3, 6]\n", 3)
    assert run(source.replace("MORE", "")).out == "[0, 3, 6]\n"
    assert executed(tmp_path) == []


def test_what_handlers_ask_for_is_not_kept(run: Callable[..., Script], tmp_path: Path) -> None:
    source = f"""{COUNTED}
    from masterworker import current_worker

    def parent(x):
        note("parent")
        return [current_worker().submit(child, i).result() for i in range(x)]

    def child(i):
        note("child")
        return i

    with Master(workers=1, journal="job.journal") as master:
        print(master.submit(parent, 3).result())
    """
    run(source)
    assert sorted(executed(tmp_path)) == ["child"] * 3 + ["parent"]
    assert run(source).out == "[0, 1, 2]\n"
    assert executed(tmp_path) == []
