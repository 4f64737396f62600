"""One way to use each library, as its documentation shows it."""

import contextlib
import multiprocessing
import os

#: Says which library is used.
VARIABLE = "SIDE_BY_SIDE"


@contextlib.contextmanager
def start(workers=2, initializer=None):
    """Start workers. What comes is a pool with `map(function, items)` and `call(function, *args)`.

    Args:
        workers: How many processes.
        initializer: Is called by each of them at its start.
    """
    make = LIBRARIES[os.environ.get(VARIABLE, "masterworker")]
    with make(workers, initializer) as pool:
        yield pool


class Ours:
    def __init__(self, master):
        self._master = master

    def map(self, function, items):
        return list(self._master.map(function, items))

    def call(self, function, *args):
        return self._master.submit(function, *args).result(60)


@contextlib.contextmanager
def masterworker(workers, initializer):
    from masterworker import Master

    with Master(workers=workers, initializer=initializer) as master:
        yield Ours(master)


class Standard:
    def __init__(self, pool):
        self._pool = pool

    def map(self, function, items):
        return self._pool.map(function, items)

    def call(self, function, *args):
        return self._pool.apply(function, args)


@contextlib.contextmanager
def fork(workers, initializer):
    with multiprocessing.get_context("fork").Pool(workers, initializer) as pool:
        yield Standard(pool)


@contextlib.contextmanager
def spawn(workers, initializer):
    with multiprocessing.get_context("spawn").Pool(workers, initializer) as pool:
        yield Standard(pool)


class Joblib:
    def __init__(self, workers):
        self._workers = workers

    def map(self, function, items):
        import joblib

        parallel = joblib.Parallel(self._workers, backend="loky")
        return parallel(joblib.delayed(function)(item) for item in items)

    def call(self, function, *args):
        import joblib

        parallel = joblib.Parallel(self._workers, backend="loky")
        return parallel([joblib.delayed(function)(*args)])[0]


@contextlib.contextmanager
def loky(workers, initializer):
    import joblib

    told = {} if initializer is None else {"initializer": initializer}
    with joblib.parallel_config("loky", **told):
        yield Joblib(workers)


class Dask:
    def __init__(self, client):
        self._client = client

    def map(self, function, items):
        return self._client.gather(self._client.map(function, items))

    def call(self, function, *args):
        return self._client.submit(function, *args).result(60)


@contextlib.contextmanager
def dask(workers, initializer):
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, Client(cluster) as client:
        if initializer is not None:
            client.run(initializer)
        yield Dask(client)


LIBRARIES = {
    "masterworker": masterworker,
    "fork": fork,
    "spawn": spawn,
    "loky": loky,
    "dask": dask,
}
#: Which module each needs, and its name in the table.
NEEDS = {
    "masterworker": ("masterworker", "masterworker"),
    "fork": ("multiprocessing", "Pool (fork)"),
    "spawn": ("multiprocessing", "Pool (spawn)"),
    "loky": ("joblib", "joblib"),
    "dask": ("distributed", "Dask"),
}
