"""Efficiency against the duration of a task: how small may tasks be before calls eat the gain?

For each duration from 10 us to 10 s as many tasks are asked for, one by one, as make about
`SECONDS` of work for each worker (but no fewer than two for each and no more than `MOST`). The
efficiency is the sum of the tasks' times / (workers x wall time), from the first request to the
last result: 1 is what a system without any cost would reach. Tasks sleep where they take 1 ms or
more, so that the figure is of the system and not of the processors, and else count down the time
on the clock, since no sleep is that short; so there is no use in more workers than processors for
those. (The measure is that of METG, "minimum effective task granularity": the shortest duration
with an efficiency of 50 %; Slaughter et al., "Task Bench", SC 2020. The table ends with it.)

The systems take turns at each duration, after a warm-up.

    python -m benchmarks.grain [--workers 2] [--longest 10.0] [--plot benchmarks/plots/grain.svg]
"""

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from masterworker import Master

DURATIONS = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 0.3, 1.0, 3.0, 10.0]
#: Seconds of work for each worker, at each duration and for each system.
SECONDS = 0.6
MOST = 20_000
SLEEPS = 0.001
PLOT = Path(__file__).parent / "plots" / "grain.svg"


def busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def number_of(seconds, workers):
    """Return how many tasks to measure: the long ones at least one for each worker."""
    least = workers * (2 if seconds < 1.0 else 1)
    return max(least, min(MOST, int(SECONDS * workers / seconds)))


def efficiency(submit, seconds, workers):
    work = time.sleep if seconds >= SLEEPS else busy
    number = number_of(seconds, workers)
    for get in [submit(work, 0.0) for _ in range(4 * workers)]:
        get()
    began = time.perf_counter()
    for get in [submit(work, seconds) for _ in range(number)]:
        get()
    return number * seconds / workers / (time.perf_counter() - began)


def smallest(found):
    """Return the shortest duration from which on the efficiency is at least a half."""
    shortest = None
    for seconds in sorted(found, reverse=True):
        if found[seconds] < 0.5:
            break
        shortest = seconds
    return shortest


def measure(workers, durations):
    with (
        ProcessPoolExecutor(workers) as futures,
        multiprocessing.Pool(workers) as pool,
        Master(workers=workers) as master,
    ):
        systems = {
            "masterworker": lambda work, s: master.submit(work, s).result,
            "ProcessPoolExecutor": lambda work, s: futures.submit(work, s).result,
            "multiprocessing.Pool": lambda work, s: pool.apply_async(work, (s,)).get,
        }
        found = {name: {} for name in systems}
        for seconds in durations:
            for name, submit in systems.items():
                found[name][seconds] = efficiency(submit, seconds, workers)
            row = "".join(f"{found[name][seconds]:22.3f}" for name in systems)
            print(f"{shown(seconds):>9}{number_of(seconds, workers):9,}{row}", flush=True)
    return found


def shown(seconds):
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds * 1e6:.0f} us"


def plot(found, workers, path):
    try:
        import matplotlib as mpl
    except ImportError:
        print("no plot: matplotlib is not installed (pip install matplotlib)")
        return
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5))
    for name, points in found.items():
        axes.plot(list(points), list(points.values()), marker="o", label=name)
    axes.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
    axes.set(
        xscale="log", ylim=(0, 1.02), xlabel="duration of a task (s)",
        ylabel=f"efficiency, {workers} workers", title="Tasks asked for one by one",
    )  # fmt: skip
    axes.legend()
    axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight")
    print(f"plot: {path}")


def main(arguments=()):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--longest", type=float, default=DURATIONS[-1], help="seconds")
    parser.add_argument("--plot", type=Path, default=PLOT)
    args = parser.parse_args(arguments)
    durations = [seconds for seconds in DURATIONS if seconds <= args.longest]
    print(f"{'task':>9}{'number':>9}", end="")
    print(
        "".join(
            f"{name:>22}"
            for name in ("masterworker", "ProcessPoolExecutor", "multiprocessing.Pool")
        )
    )
    found = measure(args.workers, durations)
    halves = "".join(f"{shown(s) if (s := smallest(f)) else 'none':>22}" for f in found.values())
    print(f"{'efficiency >= 0.5 from':>18}{halves[4:]}")
    plot(found, args.workers, args.plot)


if __name__ == "__main__":
    import sys

    # Under its importable name, so that tasks travel by name: those of a script go by value.
    from benchmarks import grain  # noqa: PLW0406

    grain.main(sys.argv[1:])
