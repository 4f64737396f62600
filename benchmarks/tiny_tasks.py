"""Tiny tasks, submitted one by one to 2 workers: tasks/s, and the time of one round trip.

Beside masterworker: ProcessPoolExecutor and multiprocessing.Pool, in turn, in the same run. Only
the ratios mean anything: the machine differs from hour to hour.
"""

import math
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor

from masterworker import Master

TASKS, TRIPS, REPEATS, WORKERS = 20_000, 1_000, 3, 2


def measure(submit, result):
    """Return tasks/s and seconds for one round trip."""
    for _ in range(50):
        result(submit(math.sqrt, 4.0))
    began = time.perf_counter()
    handles = [submit(math.sqrt, float(i)) for i in range(TASKS)]
    total = math.fsum(map(result, handles))
    rate = TASKS / (time.perf_counter() - began)
    if not math.isclose(total, math.fsum(map(math.sqrt, range(TASKS)))):
        raise SystemExit("wrong results")
    trips = []
    for i in range(TRIPS):
        began = time.perf_counter()
        result(submit(math.sqrt, float(i)))
        trips.append(time.perf_counter() - began)
    return rate, statistics.median(trips)


def masterworker():
    with Master(workers=WORKERS) as master:
        return measure(master.submit, lambda handle: handle.result())


def executor():
    with ProcessPoolExecutor(WORKERS) as pool:
        return measure(pool.submit, lambda future: future.result())


def pool():
    with multiprocessing.Pool(WORKERS) as workers:
        return measure(lambda f, x: workers.apply_async(f, (x,)), lambda waiting: waiting.get())


def main():
    ways = {
        "ProcessPoolExecutor": executor,
        "multiprocessing.Pool": pool,
        "masterworker": masterworker,
    }
    found = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, way in ways.items():
            found[name].append(way())
    base = statistics.median(rate for rate, _ in found["ProcessPoolExecutor"])
    print(f"{'':22}{'tasks/s':>10}{'ratio':>8}{'round trip':>14}")
    for name, runs in found.items():
        rate = statistics.median(rate for rate, _ in runs)
        trip = statistics.median(trip for _, trip in runs)
        print(f"{name:22}{rate:10,.0f}{rate / base:8.2f}{1e6 * trip:11.0f} us")


if __name__ == "__main__":
    main()
