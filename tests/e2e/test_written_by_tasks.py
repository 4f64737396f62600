"""What tasks write to stdout and stderr arrives, whole and in its order, whoever writes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support import python_script, run_script

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
    import logging, os, subprocess, sys, warnings
    from masterworker import Master

    LINES = 1500

    def raw(x):
        sys.stderr.write("".join(f"line {x} {i}\\n" for i in range(LINES)))

    def flushed(x):
        for i in range(LINES):
            print(f"line {x} {i}", file=sys.stderr, flush=True)

    def logged(x):
        logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
        for i in range(LINES):
            logging.info("line %d %d", x, i)

    def warned(x):
        warnings.simplefilter("always")
        for i in range(LINES):
            warnings.warn(f"line {x} {i}.", stacklevel=2)

    def by_another(x):
        code = f"for i in range({LINES}): print('line', {x}, i)"
        subprocess.run([sys.executable, "-c", code], stdout=sys.stderr, check=True)

    def with_junk(x):
        for i in range(LINES):
            os.write(2, b"line %d %d \\xff\\xfe\\x00\\n" % (x, i))

    def like_ours(x):
        for i in range(LINES):
            os.write(2, b"task_manager: line %d %d\\n" % (x, i))
        os.write(2, b"end\\n")

    def dying(x):
        raw(x)
        os.write(2, b"without an end")
        os._exit(1)

    def main(what, workers, tasks):
        with Master(workers=int(workers)) as master:
            futures = [master.submit(globals()[what], x) for x in range(int(tasks))]
            for future in futures:
                future.exception()

    if __name__ == "__main__":
        main(*sys.argv[1:])
"""


def numbers(text: str) -> dict[int, list[int]]:
    """The lines of each task, in their order."""
    found: dict[int, list[int]] = {}
    for task, number in re.findall(r"line (\d+) (\d+)", text):
        found.setdefault(int(task), []).append(int(number))
    return found


@pytest.mark.parametrize(
    "what", ["raw", "flushed", "logged", "warned", "by_another", "with_junk", "like_ours"]
)
@pytest.mark.parametrize(("workers", "tasks"), [(1, 1), (4, 8)])
def test_stderr_is_whole(tmp_path: Path, what: str, workers: int, tasks: int) -> None:
    """From the first task of a worker on, and with several workers at once."""
    script = python_script(tmp_path, "writes.py", PROGRAM)
    told = run_script(script, what, str(workers), str(tasks))
    assert numbers(told.err) == {x: list(range(1500)) for x in range(tasks)}, told.told
    assert "left out" not in told.err
    assert not told.out


def test_a_worker_that_dies_has_been_heard(tmp_path: Path) -> None:
    """All three of them, to their last character."""
    script = python_script(tmp_path, "writes.py", PROGRAM)
    told = run_script(script, "dying", "1", "1")
    assert numbers(told.err) == {0: 3 * list(range(1500))}, told.told
    assert len(re.findall(r"^\[worker \d+\] without an end$", told.err, re.MULTILINE)) == 3


BOTH = """
    import sys
    from masterworker import Master

    def talk(x):
        for i in range(1000):
            print("out", i)
            print("err", i, file=sys.stderr)
        print("x" * 20_000)
        print("no end", end="")

    with Master(workers=1) as master:
        master.submit(talk, 1).result()
"""


def test_each_stream_keeps_its_order(tmp_path: Path) -> None:
    """Long lines are whole, and so is what has no end."""
    told = run_script(python_script(tmp_path, "both.py", BOTH))
    out = [line.split("] ", 1)[1] for line in told.out.splitlines()]
    expected = [f"out {i}" for i in range(1000)]
    assert out == [*expected, "x" * 20_000, "no end"]
    errors = [line.split("] ", 1)[1] for line in told.err.splitlines() if "err" in line]
    assert errors == [f"err {i}" for i in range(1000)]


TALKS_FIRST = """
    import sys
    from masterworker import Master

    def prepare():
        for i in range(1000):
            print("preparing", i, file=sys.stderr)

    with Master(workers=1, initializer=prepare) as master:
        print(master.submit(abs, -1).result())
"""


def test_an_initializer_may_say_much(tmp_path: Path) -> None:
    """It is shown in its order, before what tasks say."""
    told = run_script(python_script(tmp_path, "first.py", TALKS_FIRST))
    found = [int(i) for i in re.findall(r"preparing (\d+)", told.err)]
    assert found == list(range(1000)), told.told
