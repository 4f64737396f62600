"""Programs for `multiprocessing.Pool` give the same results, errors and output with ours."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HEAD: Final = """
import multiprocessing, os, sys, threading, time
from {module} import Pool

def square(x):
    return x * x

def halve(x):
    if x % 2:
        raise ValueError(f"{{x}} is odd")
    return x // 2

def add(x, y, z=0):
    return x + y + z

def start(value):
    global shared
    shared = value

def look(x):
    return shared + x

def main():
{body}

if __name__ == "__main__":
    main()
"""

PROGRAMS: Final = {
    "all_methods": """
with Pool(2) as pool:
    print(pool.map(square, range(20)), pool.map(square, (x for x in range(5)), chunksize=2))
    print(pool.apply(add, (1, 2), {"z": 3}), pool.apply_async(add, (1,), dict(y=4)).get())
    print(pool.starmap(add, [(1, 2), (3, 4, 5)]), pool.starmap(add, zip(range(3), range(3))))
    print(pool.starmap_async(add, [[1, 2]] * 3).get(timeout=30))
    print(list(pool.imap(square, range(10), 3)), sorted(pool.imap_unordered(square, range(10))))
    print(pool.map(square, []), pool.starmap(add, []), list(pool.imap(square, [])))
""",
    "side_effects_and_join": """
pool = Pool(2)
results = []
for x in range(20):
    pool.apply_async(square, (x,), callback=results.append)
pool.close()
pool.join()
print(sorted(results))
""",
    "results_after_join": """
pool = Pool(2)
lazy, asked = pool.imap(square, range(30_000)), pool.map_async(square, range(100))
pool.close()
pool.join()
print(sum(lazy), sum(asked.get()), asked.ready(), asked.successful())
""",
    "dropped_iterators_are_executed": """
folder = sys.argv[1]
pool = Pool(2)
pool.imap_unordered(os.mkdir, [os.path.join(folder, str(x)) for x in range(50)])
pool.close()
pool.join()
print(len(os.listdir(folder)))
""",
    "errors": """
with Pool(2) as pool:
    try:
        pool.map(halve, [0, 2, 3, 4])
    except ValueError as error:
        print("map", error)
    waiting = pool.apply_async(halve, (5,), error_callback=lambda error: print("told", error))
    waiting.wait()
    print(waiting.ready(), waiting.successful())
    it = pool.imap(halve, [0, 1, 2])
    print(next(it))
    try:
        next(it)
    except ValueError as error:
        print("imap", error)
    print(next(it), list(it))
    slow = pool.apply_async(time.sleep, (1,))
    try:
        slow.get(timeout=0.01)
    except multiprocessing.TimeoutError as error:
        print("late", type(error).__module__, repr(error))
    try:
        slow.successful()
    except ValueError:
        print("not ready")
    try:
        pool.imap(time.sleep, [1]).next(timeout=0.01)
    except multiprocessing.TimeoutError:
        print("late")
""",
    "states": """
for value in (0, -1):
    try:
        Pool(value)
    except ValueError as error:
        print(error)
pool = Pool(1)
try:
    pool.join()
except ValueError as error:
    print(error)
pool.close()
for call in (pool.map, pool.imap, pool.map_async, pool.starmap, pool.imap_unordered):
    try:
        call(square, [1])
    except ValueError as error:
        print(error)
pool.join()
pool.terminate()
pool.join()
try:
    with pool:
        pass
except ValueError as error:
    print(error)
""",
    "initializer": """
with Pool(2, initializer=start, initargs=(40,), maxtasksperchild=3) as pool:
    print(pool.map(look, range(10), chunksize=1))
""",
    "callbacks_of_maps": """
told = []
with Pool(2) as pool:
    pool.map_async(square, range(5), callback=told.append).wait()
    print(told)
    pool.starmap_async(add, [(1, 2)], callback=told.extend).wait()
    pool.map_async(halve, [1], error_callback=told.append).wait()
    print(told)
""",
    "terminated": """
pool = Pool(2)
pool.map_async(time.sleep, [100] * 1000)
pool.terminate()
pool.join()
print("ended")
""",
    "not_joined_at_exit": """
pool = Pool(1)
globals()["pool"] = pool
pool.apply_async(time.sleep, (1000,))
print("left")
""",
    "temporary": """
print(Pool(1).map_async(square, range(3)).get(), list(Pool(1).imap(square, range(3))))
""",
    "threads": """
with Pool(2) as pool:
    found = {}
    def ask(n):
        found[n] = sum(pool.map(square, range(n)))
    threads = [threading.Thread(target=ask, args=(n,)) for n in (10, 100, 1000)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(sorted(found.items()))
""",
}


def output(folder: Path, module: str, body: str) -> tuple[int, str]:
    """Return how a program ended, and what it printed."""
    folder.mkdir()
    made = folder / "made"
    made.mkdir()
    script = folder / "script.py"
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    script.write_text(HEAD.format(module=module, body=indented))
    done = subprocess.run(
        [sys.executable, script, made], capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_as_with_processes(name: str, tmp_path: Path) -> None:
    """What it prints, and that it ends."""
    body = PROGRAMS[name]
    ours = output(tmp_path / "ours", "masterworker", body)
    assert ours == output(tmp_path / "theirs", "multiprocessing", body)
    assert ours[1]
