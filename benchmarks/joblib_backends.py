"""joblib with our workers, beside loky and Dask: python -m benchmarks.joblib_backends

Backends take turns, so that ratios of one run mean something. Only those that are installed.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

import joblib
import numpy as np

import masterworker.joblib

MEGABYTES = 96
CALLS = 24
TINY = 20_000
WORKERS = 2


def double(x):
    return 2 * x


def take(array, i):
    return float(array[i])


def memory_of(array, seconds):
    """Read all of an array; say which process has how much memory, what it shares divided."""
    array.sum()
    time.sleep(seconds)  # until all have read it
    with Path("/proc/self/smaps_rollup").open() as file:
        pss = next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return os.getpid(), pss * 1024


def tiny():
    """Seconds for many tiny calls."""
    begin = time.perf_counter()
    found = joblib.Parallel()(joblib.delayed(double)(i) for i in range(TINY))
    took = time.perf_counter() - begin
    assert found == list(range(0, 2 * TINY, 2))
    return took


def one_array(array):
    """Seconds for calls that have one large array in common."""
    begin = time.perf_counter()
    found = joblib.Parallel()(joblib.delayed(take)(array, i) for i in range(CALLS))
    took = time.perf_counter() - begin
    assert found == array[:CALLS].tolist()
    return took


def copies(array):
    """How many copies of an array all workers have together, beside the program's own."""

    def memory(each):
        parallel = joblib.Parallel(batch_size=1, pre_dispatch="all")
        return sum(dict(parallel([joblib.delayed(memory_of)(each, 0.3)] * (2 * WORKERS))).values())

    nothing = memory(array[:10].copy())
    return (memory(array) - nothing) / array.nbytes


def backends():
    """The names of those that can be measured, and what to call when all is done."""
    found = {"loky": None, "masterworker": masterworker.joblib.shutdown}
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        print("dask is left out: distributed is not installed")
    else:
        cluster = LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, memory_limit=0
        )
        client = Client(cluster)
        found["dask"] = lambda: (client.close(), cluster.close())
    return found


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.joblib_backends")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each")
    parser.add_argument("--megabytes", type=int, default=MEGABYTES, help="of the array")
    options = parser.parse_args(arguments)
    array = np.random.default_rng(1).random(options.megabytes * 1_000_000 // 8)
    measured = backends()
    times = {name: ([], []) for name in measured}
    held = {}
    for turn in range(options.repeat + 1):
        for name, (many, large) in times.items():
            with joblib.parallel_config(backend=name, n_jobs=WORKERS):
                if not turn:
                    tiny(), one_array(array)  # warm
                    continue
                many.append(tiny())
                large.append(one_array(array))
                if name not in held:
                    held[name] = copies(array)
    for end in measured.values():
        if end is not None:
            end()
    heads = "backend", f"{TINY:,} tiny calls", f"{CALLS} calls, {options.megabytes} MB", "copies"
    print("{:14}{:>20}{:>20}{:>10}".format(*heads))
    for name, (many, large) in times.items():
        figures = statistics.median(many), statistics.median(large), held[name]
        print("{:14}{:>18.3f} s{:>18.3f} s{:>10.2f}".format(name, *figures))
    ours, loky = times["masterworker"], times["loky"]
    ratios = [statistics.median(a) / statistics.median(b) for a, b in zip(ours, loky, strict=True)]
    print("{:14}{:>20.2f}{:>20.2f}".format("ours / loky", *ratios))


if __name__ == "__main__":
    import sys

    # Under its importable name, so that calls travel by name: those of a script go by value.
    from benchmarks import joblib_backends  # noqa: PLW0406

    joblib_backends.main(sys.argv[1:])
