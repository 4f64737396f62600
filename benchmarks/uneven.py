"""Uneven tasks, a few of them very long: how near to the best possible end each system comes.

Workload: 400 naps, 90 % of 2 ms, 9 % of 50 ms and 1 % of 500 ms, shuffled with a seed (W4 of the
peers' harness: same distribution, own code), for 8 workers. The figure is the makespan over its
lower bound max(sum / workers, longest): no schedule can be below 1. "First come" is what list
scheduling of this order needs with calls that cost nothing (Graham, "Bounds on multiprocessing
timing anomalies", SIAM J. Appl. Math. 17(2), 1969): without the durations no scheduler gets below
it on purpose. With priorities the longest go first (LPT, same source), which only a system with
priorities can do; the pools get the same order as a sorted list.

The systems take turns, so that what else the machine does hits all of them; the table has the
median and the range of the runs.

    python -m benchmarks.uneven [--repeat 5] [--workers 8] [--seed 20260101]
"""

import argparse
import heapq
import multiprocessing
import random
import statistics
import time
from concurrent.futures import ProcessPoolExecutor

from masterworker import Master


def nap(seconds):
    time.sleep(seconds)
    return seconds


def workload(seed, number=400):
    durations = [0.002] * (number * 90 // 100) + [0.05] * (number * 9 // 100)
    durations += [0.5] * (number - len(durations))
    random.Random(seed).shuffle(durations)
    return durations


def bound(durations, workers):
    return max(sum(durations) / workers, *durations)


def first_come(durations, workers):
    """Return when the last one ends if each free worker takes the next, at no cost."""
    free = [0.0] * workers
    for seconds in durations:
        heapq.heappush(free, heapq.heappop(free) + seconds)
    return max(free)


def timed(submit, durations):
    began = time.perf_counter()
    for get in [submit(seconds) for seconds in durations]:
        get()
    return time.perf_counter() - began


def with_masterworker(durations, workers, *, priorities=False):
    with Master(workers=workers) as master:
        warm_up(
            lambda: [h.result() for h in [master.submit(nap, 0.02) for _ in range(2 * workers)]]
        )

        def submit(seconds):
            chosen = master.options(priority=round(1000 * seconds)) if priorities else master
            return chosen.submit(nap, seconds).result

        return timed(submit, durations)


def with_priorities(durations, workers):
    return with_masterworker(durations, workers, priorities=True)


def with_futures(durations, workers):
    with ProcessPoolExecutor(workers) as pool:
        warm_up(lambda: list(pool.map(nap, [0.02] * 2 * workers)))
        return timed(lambda seconds: pool.submit(nap, seconds).result, durations)


def with_pool(durations, workers):
    with multiprocessing.Pool(workers) as pool:
        warm_up(lambda: pool.map(nap, [0.02] * 2 * workers, 1))
        return timed(lambda seconds: pool.apply_async(nap, (seconds,)).get, durations)


def warm_up(once, times=3):
    for _ in range(times):
        once()


SYSTEMS = {
    "masterworker": with_masterworker,
    "multiprocessing.Pool": with_pool,
    "ProcessPoolExecutor": with_futures,
}


def main(arguments=()):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=20260101)
    args = parser.parse_args(arguments)
    given = workload(args.seed)
    longest_first = sorted(given, reverse=True)
    best = bound(given, args.workers)
    cells = {(name, "as they come"): (run, given) for name, run in SYSTEMS.items()}
    cells["masterworker", "priorities"] = (with_priorities, given)
    pools = [item for item in SYSTEMS.items() if item[0] != "masterworker"]
    cells |= {(name, "sorted by hand"): (run, longest_first) for name, run in pools}
    found = {cell: [] for cell in cells}
    for _ in range(args.repeat):
        for cell, (run, durations) in cells.items():
            found[cell].append(run(durations, args.workers) / best)
    print(f"{len(given)} tasks, {args.workers} workers: makespan / lower bound ({best:.3f} s)")
    print(f"{'first come, no overhead':36}{first_come(given, args.workers) / best:8.3f}")
    print(f"{'longest first, no overhead':36}{first_come(longest_first, args.workers) / best:8.3f}")
    for (name, order), ratios in found.items():
        spread = f"{min(ratios):.3f} .. {max(ratios):.3f}"
        print(f"{name + ', ' + order:36}{statistics.median(ratios):8.3f}  {spread}")


if __name__ == "__main__":
    import sys

    # Under its importable name, so that tasks travel by name: those of a script go by value.
    from benchmarks import uneven  # noqa: PLW0406

    uneven.main(sys.argv[1:])
