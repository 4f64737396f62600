"""`map` and `Pool.map` over tiny tasks, beside `multiprocessing.Pool`: python -m benchmarks.bulk

They take turns within one process. For each: microseconds for a task, by the clock and of processor
time in the master and in the workers; and how much of the pool's rate that is. To compare two
versions, run it with the `PYTHONPATH` of each in turn: processor time is what a loaded machine
leaves comparable.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from pathlib import Path

import masterworker
from benchmarks import tasks

WORKERS = 2
TICK = os.sysconf("SC_CLK_TCK")


def processor_time(pids):
    """Seconds that processes have had of the processors so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


def measure(function, number):
    """Microseconds for a task: by the clock, of the master's processor time, and the workers'."""
    pids = set(function(tasks.pid_after, [0.05] * 4))
    mine, theirs, began = time.process_time(), processor_time(pids), time.perf_counter()
    found = function(tasks.tiny, range(number))
    seconds = time.perf_counter() - began
    mine, theirs = time.process_time() - mine, processor_time(pids) - theirs
    assert len(found) == number
    return tuple(1e6 * each / number for each in (seconds, mine, theirs))


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk")
    parser.add_argument("--tasks", type=int, default=400_000)
    parser.add_argument("--repeat", type=int, default=8, help="runs of each, after one for warmth")
    options = parser.parse_args(arguments)
    with (
        masterworker.Master(workers=WORKERS) as master,
        masterworker.Pool(WORKERS) as pool,
        multiprocessing.Pool(WORKERS) as other,
    ):
        ways = {
            "map": lambda function, items: list(master.map(function, items)),
            "Pool.map": pool.map,
            "multiprocessing": other.map,
        }
        found = {name: [] for name in ways}
        for run in range(options.repeat + 1):
            for name, way in ways.items():
                figures = measure(way, options.tasks)
                if run:
                    found[name].append(figures)
    print(f"{'':16}{'clock':>8}{'master':>8}{'workers':>8}{'rate of the pool':>24}")
    for name, runs in found.items():
        clock, mine, theirs = (statistics.median(each) for each in zip(*runs, strict=True))
        ratios = [
            there[0] / here[0] for here, there in zip(runs, found["multiprocessing"], strict=True)
        ]
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} .. {max(ratios):.2f})"
        print(f"{name:16}{clock:8.3f}{mine:8.3f}{theirs:8.3f}{ratio:>24}")


if __name__ == "__main__":
    # Calls of a script go by value; those of an importable module by name.
    from benchmarks import bulk  # noqa: PLW0406

    bulk.main()
