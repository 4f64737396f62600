"""A master that is killed, at random and at each step of writing: what was told stays true."""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest

from support import HANG, Script, python_script, wait_until

if TYPE_CHECKING:
    from pathlib import Path

ALL = os.environ.get("MASTERWORKER_FAULTS") == "all"
KILLS, TASKS = (50, 1000) if ALL else (6, 150)

PROGRAM = """
    import os, random, sys, time
    from masterworker import Master

    def work(x):
        time.sleep(0.02)
        with open("executed", "a") as file:
            file.write(f"{x}\\n")
        return x, random.random()

    if __name__ == "__main__":
        with Master(workers=2, journal="job.journal") as master, open("told", "a") as told:
            for x, value in master.map(work, range(int(sys.argv[1]))):
                told.write(f"{x} {value!r}.\\n")
                told.flush()
        print("done")
"""


def told_in(folder: Path) -> dict[int, set[str]]:
    """What was told of each task, in all attempts."""
    found = defaultdict(set)
    path = folder / "told"
    for line in path.read_text().splitlines() if path.exists() else []:
        number, _, value = line.partition(" ")
        if value.endswith("."):
            found[int(number)].add(value)
    return found


@pytest.mark.timeout(3600 if ALL else 400)
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """All outcomes come, and none that was told is computed again."""
    rng = random.Random(7)
    path = python_script(tmp_path, "program.py", PROGRAM)
    for _ in range(KILLS):
        script = Script(path, str(TASKS))
        before = len(told_in(tmp_path))
        more = rng.randrange(1, 2 * TASKS // KILLS)
        enough = before + more

        def has_come(script: Script = script, enough: int = enough) -> bool:
            return script.process.poll() is not None or len(told_in(tmp_path)) >= enough

        wait_until(has_come, 2 * HANG, what=script.told)
        script.kill()
    script = Script(path, str(TASKS))
    assert script.wait(4 * HANG) == 0, script.told
    told = told_in(tmp_path)
    assert sorted(told) == list(range(TASKS))
    assert {number: values for number, values in told.items() if len(values) > 1} == {}
    # What is computed twice was under way, or done and not told, when a master was killed.
    executed = Counter((tmp_path / "executed").read_text().split())
    assert sum(executed.values()) - TASKS <= KILLS * 100


#: Ends itself at a certain step of writing: half a write counts as well.
STEPS = """
    import os, signal, sys
    import masterworker.journal.aside as aside
    import masterworker.journal.file as file
    import masterworker.journal.journal as journal
    import masterworker.journal.opening as opening
    import masterworker.journal.writing as writing

    LAST, count = int(sys.argv[1]), 0

    def step():
        global count
        count += 1
        if count == LAST:
            os.kill(os.getpid(), signal.SIGKILL)

    class System:
        def __getattr__(self, name):
            return getattr(os, name)

        def pwritev(self, fd, parts, at):
            whole = b"".join(parts)
            step()
            os.pwrite(fd, whole[: len(whole) // 2], at)
            step()
            return os.pwrite(fd, whole, at)

    for name in ("fsync", "fdatasync", "ftruncate", "open", "write"):
        def stepped(self, *args, _real=getattr(os, name), **named):
            step()
            return _real(*args, **named)
        setattr(System, name, stepped)
    aside.os = file.os = journal.os = opening.os = writing.os = System()

    from pathlib import Path
    rename = Path.rename
    def renamed(self, to):
        step()
        return rename(self, to)
    Path.rename = renamed

    import random
    from masterworker import Master

    def work(x):
        if x % 10 == 0:
            return x, random.random(), bytes(200_000)
        return x, random.random()

    with Master(serial=True, journal="job.journal") as master, open("told", "a") as told:
        for x in range(30):
            value = master.submit(work, x).result()[1]
            told.write(f"{x} {value!r}.\\n")
            told.flush()
    print("done", count)
"""


@pytest.mark.timeout(3600 if ALL else 400)
@pytest.mark.parametrize("stride", [1] if ALL else [29])
def test_killed_at_each_step(tmp_path: Path, stride: int) -> None:
    """A step further each time, with a file that the last one has left, and with a new one."""
    path = python_script(tmp_path, "program.py", STEPS)
    last = 1
    while True:
        script = Script(path, str(last))
        status = script.wait(2 * HANG)
        told = told_in(tmp_path)
        assert all(len(values) == 1 for values in told.values()), last
        if status == 0:
            break
        assert status == -9, script.told
        again = Script(path, "0")
        assert again.wait(2 * HANG) == 0, again.told
        told = told_in(tmp_path)
        assert sorted(told) == list(range(30))
        assert all(len(values) == 1 for values in told.values()), last
        for left in tmp_path.glob("job.journal*"):
            if left.is_file():
                left.unlink()
        (tmp_path / "told").unlink()
        last += stride
    assert last > stride
