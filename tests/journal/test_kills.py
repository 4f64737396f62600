"""A master that is killed, at random and at each step of writing: what was told stays true."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest

from support import HANG, Script, python_script, wait_until

if TYPE_CHECKING:
    from pathlib import Path

ALL = os.environ.get("MASTERWORKER_FAULTS") == "all"
KILLS = int(os.environ.get("MASTERWORKER_KILLS", "50" if ALL else "6"))
#: With 50 kills 1,000.
TASKS = 20 * KILLS

#: Lines of all processes go into one file, each in one piece: so their order is true.
PROGRAM = """
    import os, random, sys, time
    from masterworker import Master

    def say(text):
        with open("log", "a") as file:
            file.write(text)

    def work(x):
        say(f"begun {x} -\\n")
        time.sleep(0.02)
        return x, random.random()

    if __name__ == "__main__":
        with Master(workers=2, journal="job.journal") as master:
            for x, value in master.map(work, range(int(sys.argv[1]))):
                say(f"told {x} {value!r}\\n")
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


@pytest.mark.timeout(60 + 30 * KILLS)
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """All outcomes come, each once, and nothing that was told is executed again."""
    rng = random.Random(7)
    path, log = python_script(tmp_path, "program.py", PROGRAM), tmp_path / "log"
    log.touch()
    killed = 0
    while killed < KILLS:
        script, before = Script(path, str(TASKS)), log.stat().st_size

        def has_begun(script: Script = script, before: int = before) -> bool:
            return script.process.poll() is not None or log.stat().st_size > before

        if rng.random() < 0.9:  # else also as it starts
            wait_until(has_begun, 2 * HANG, what=lambda s=script: s.told)
        with contextlib.suppress(subprocess.TimeoutExpired):
            script.process.wait(0.4 * rng.random())
            break  # it was done before
        script.kill()
        killed += 1
    script = Script(path, str(TASKS))
    assert script.wait(4 * HANG) == 0, script.told
    told: dict[str, str] = {}
    begun: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        what, number, value = line.split()
        if what == "told":
            assert told.setdefault(number, value) == value, line
        else:
            assert number not in told, f"executed again: {line}"
            begun[number] += 1
    assert sorted(told, key=int) == [str(x) for x in range(TASKS)]
    assert len({*told.values()}) == TASKS
    assert killed >= KILLS // 2
    again = begun.total() - TASKS
    sys.stderr.write(
        f"{killed} kills, {len(told)} outcomes, {again} executed again that were not told\n"
    )


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
        for x in range(int(sys.argv[2])):
            value = master.submit(work, x).result()[1]
            told.write(f"{x} {value!r}.\\n")
            told.flush()
    print("done", count)
"""


@pytest.mark.timeout(14_400 if ALL else 400)
@pytest.mark.parametrize(("number", "stride"), [(30, 1), (200, 1)] if ALL else [(30, 29)])
def test_killed_at_each_step(tmp_path: Path, number: int, stride: int) -> None:
    """A step further each time, with a file that the last one has left, and with a new one.

    200 calls have some 800 steps, with two runs each.
    """
    path = python_script(tmp_path, "program.py", STEPS)
    last = 1
    while True:
        script = Script(path, str(last), str(number))
        status = script.wait(2 * HANG)
        told = told_in(tmp_path)
        assert all(len(values) == 1 for values in told.values()), last
        if status == 0:
            break
        assert status == -9, script.told
        again = Script(path, "0", str(number))
        assert again.wait(2 * HANG) == 0, again.told
        told = told_in(tmp_path)
        assert sorted(told) == list(range(number))
        assert all(len(values) == 1 for values in told.values()), last
        for left in tmp_path.glob("job.journal*"):
            if left.is_file():
                left.unlink()
        (tmp_path / "told").unlink()
        last += stride
    assert last > stride
