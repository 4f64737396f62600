"""Tasks through engines, beside the engine's own: python -m benchmarks.engines [NAME ...]

Tiny tasks one by one, a map, and one round trip; an engine and `Master(engine=...)` on it take
turns. Names: loky, dask, ray, mpi, threads; all that are installed, else.
"""

import contextlib
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import masterworker

ROUNDS = 3
TRIPS = 50


def same(x):
    return x


def one_by_one(submit, calls):
    begin = time.perf_counter()
    futures = [submit(same, i) for i in range(calls)]
    assert [each.result() for each in futures] == list(range(calls))
    return calls / (time.perf_counter() - begin)


def trip(submit):
    times = []
    for i in range(TRIPS):
        begin = time.perf_counter()
        assert submit(same, i).result() == i
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e3


def of_map(run, calls):
    begin = time.perf_counter()
    assert sum(run(same, range(calls))) == sum(range(calls))
    return calls / (time.perf_counter() - begin)


@contextlib.contextmanager
def loky():
    import loky

    pool = loky.get_reusable_executor(2)
    yield pool, pool.submit, pool.map
    pool.shutdown(wait=True, kill_workers=True)


@contextlib.contextmanager
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool, pool.submit, pool.map


@contextlib.contextmanager
def dask():
    import distributed

    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0
    )
    with cluster, distributed.Client(cluster) as client:

        def submit(function, *args):
            return client.submit(function, *args, pure=False)

        yield client, submit, lambda f, items: client.gather(client.map(f, items, pure=False))


@contextlib.contextmanager
def ray():
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    remote = ray.remote(same)

    class Got:
        def __init__(self, reference):
            self.reference = reference

        def result(self):
            return ray.get(self.reference)

    def submit(_function, *args):
        return Got(remote.remote(*args))

    yield "ray", submit, lambda _f, items: ray.get([remote.remote(item) for item in items])
    ray.shutdown()


@contextlib.contextmanager
def mpi():
    yield "mpi", None, None  # one rank: its own has none to send anything to


ENGINES = {"threads": threads, "loky": loky, "dask": dask, "ray": ray, "mpi": mpi}


def measure(name):
    with ENGINES[name]() as (engine, submit, run), masterworker.Master(engine=engine) as master:
        master.submit(same, 1).result()
        own = [[], [], []]
        ours = [[], [], []]
        for _ in range(ROUNDS):
            if submit is not None:
                for found, value in zip(
                    own, (one_by_one(submit, 500), of_map(run, 500), trip(submit)), strict=True
                ):
                    found.append(value)
            through = (
                one_by_one(master.submit, 20_000),
                of_map(master.map, 100_000),
                trip(master.submit),
            )
            for found, value in zip(ours, through, strict=True):
                found.append(value)
        for what, theirs, found in zip(("submit/s", "map/s", "trip ms"), own, ours, strict=True):
            alone = f"{statistics.median(theirs):12,.1f}" if theirs else f"{'--':>12}"
            print(f"| {name} | {what} | {alone} | {statistics.median(found):12,.1f} |")


def main():
    print(f"load {os.getloadavg()[0]:.1f} of {os.cpu_count()} processors")
    print("| engine | what | its own | through it |\n|---|---|---|---|")
    for name in sys.argv[1:] or ENGINES:
        try:
            measure(name)
        except ImportError as error:
            print(f"| {name} | {error} | | |")


if __name__ == "__main__":
    main()
