"""Executor and Pool, beside those of the standard library: python -m benchmarks.executors

They take turns, so that ratios of one run mean something.
"""

import argparse
import asyncio
import concurrent.futures
import multiprocessing
import statistics
import time

import masterworker

WORKERS = 2
TRIPS = 500


def same(x):
    return x


def submit(executor, calls):
    """Calls a second that can be asked for, one by one."""
    begin = time.perf_counter()
    futures = [executor.submit(same, i) for i in range(calls)]
    took = time.perf_counter() - begin
    assert [each.result() for each in futures] == list(range(calls))
    return calls / took


def done(executor, calls):
    """Calls a second that were asked for one by one, with their results."""
    begin = time.perf_counter()
    futures = [executor.submit(same, i) for i in range(calls)]
    assert [each.result() for each in futures] == list(range(calls))
    return calls / (time.perf_counter() - begin)


def map_all(executor, calls):
    """Calls of a map a second, each by itself; of the standard library some, since it is slow."""
    number = 10 * calls if isinstance(executor, masterworker.Executor) else calls
    begin = time.perf_counter()
    assert sum(executor.map(same, range(number))) == sum(range(number))
    return number / (time.perf_counter() - begin)


def trip(executor, _):
    """Microseconds of one call with its result: the median."""
    times = []
    for i in range(TRIPS):
        begin = time.perf_counter()
        executor.submit(same, i).result()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e6


def loop_trip(executor, _):
    """Microseconds of one call that a loop of asyncio waits for: the median."""

    async def measure():
        loop, times = asyncio.get_running_loop(), []
        for i in range(TRIPS):
            begin = time.perf_counter()
            await loop.run_in_executor(executor, same, i)
            times.append(time.perf_counter() - begin)
        return statistics.median(times) * 1e6

    return asyncio.run(measure())


def pool_map(pool, calls):
    """Calls of a pool's map a second, in chunks as it makes them."""
    begin = time.perf_counter()
    assert sum(pool.map(same, range(10 * calls))) == sum(range(10 * calls))
    return 10 * calls / (time.perf_counter() - begin)


def pool_apply(pool, calls):
    """Calls a second that were asked for one by one of a pool, with their results."""
    begin = time.perf_counter()
    waiting = [pool.apply_async(same, (i,)) for i in range(calls)]
    assert [each.get() for each in waiting] == list(range(calls))
    return calls / (time.perf_counter() - begin)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.executors")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each")
    parser.add_argument("--calls", type=int, default=20_000, help="of each; ten times for maps")
    options = parser.parse_args(arguments)
    print(f"{'':12}{'ours':>12}{'theirs':>12}{'ratio':>8}")
    with (
        masterworker.Executor(WORKERS) as executor,
        concurrent.futures.ProcessPoolExecutor(WORKERS) as processes,
    ):
        compare((submit, done, map_all, trip, loop_trip), executor, processes, options)
    with masterworker.Pool(WORKERS) as pool, multiprocessing.Pool(WORKERS) as processes:
        compare((pool_map, pool_apply), pool, processes, options)


def compare(measures, ours, theirs, options):
    for measure in measures:
        found = [
            (measure(ours, options.calls), measure(theirs, options.calls))
            for _ in range(options.repeat + 1)
        ][1:]
        left, right = (statistics.median(each) for each in zip(*found, strict=True))
        ratio = statistics.median(a / b for a, b in found)
        print(f"{measure.__name__:12}{left:>12,.0f}{right:>12,.0f}{ratio:>8.2f}", flush=True)


if __name__ == "__main__":
    import sys

    # Under its importable name, so that calls travel by name: those of a script go by value.
    from benchmarks import executors  # noqa: PLW0406

    executors.main(sys.argv[1:])
