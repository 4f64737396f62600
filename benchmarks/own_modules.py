"""What a call costs that has changed nothing, in a program with many modules of its own.

    python -m benchmarks.own_modules [--modules 3,50,500]

Each module has settings, tables and functions that change them. Processor time of the calling
thread for each `submit`, without the rest of the library: the best of some rounds.
"""

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path

from masterworker import Master

MODULE = """
LEVEL, NAME, TABLE, CACHE, LOG = 1, "x", {"a": 1, "b": [1, 2]}, {}, []

class Options:
    def __init__(self):
        self.level = 1
    def load(self, level):
        self.level = level

options = Options()

def set_level(level):
    global LEVEL
    LEVEL = level

def note(x):
    LOG.append(x)
    CACHE[x] = 1

def look(x=0):
    return LEVEL + x
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modules", default="3,50,500")
    counts = [int(each) for each in parser.parse_args().modules.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, folder)
        made = 0
        for count in counts:
            for number in range(made, count):
                Path(folder, f"own_module_{number}.py").write_text(MODULE)
            importlib.invalidate_caches()
            modules = [importlib.import_module(f"own_module_{each}") for each in range(count)]
            made = count
            with Master(workers=1) as master:
                begin = time.perf_counter()
                master.submit(modules[0].look).result(60)
                first = time.perf_counter() - begin
                print(f"{count:5} modules: first call {first * 1e3:8.1f} ms, "
                      f"then {best(master, modules[0].look) * 1e6:8.1f} us")  # fmt: skip


def best(master, function, calls=100, rounds=10):
    found = []
    for _ in range(rounds):
        begin = time.thread_time()
        handles = [master.submit(function, each) for each in range(calls)]
        found.append((time.thread_time() - begin) / calls)
        for each in handles:
            each.result(60)
    return min(found)


if __name__ == "__main__":
    main()
