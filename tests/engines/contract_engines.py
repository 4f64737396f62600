"""Engines for the contract: each is started once, and skipped with the reason if it is missing.

Ray and Dask start slowly (5 to 10 s each) and take about 1 GB and 300 MB; the others hardly any.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engines import work
from masterworker import Master, Worker
from masterworker.master import engine_of
from masterworker.testing import connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent


@contextlib.contextmanager
def _workers() -> Iterator[Master]:
    with Master(workers=2, handlers=work.HANDLERS) as master:
        yield master


@contextlib.contextmanager
def _serial() -> Iterator[Master]:
    with Master(serial=True, handlers=work.HANDLERS) as master:
        yield master


@contextlib.contextmanager
def _memory() -> Iterator[Master]:
    """Workers in threads of this process, whose messages are packed as for a network."""
    with Master() as master:
        manager = engine_of(master).manager
        workers = [
            Worker("any", handlers=work.HANDLERS, connect=lambda: connection(manager))
            for _ in range(2)
        ]
        threads = [threading.Thread(target=each.run) for each in workers]
        for thread in threads:
            thread.start()
        try:
            yield master
        finally:
            master.shutdown()
            for thread in threads:
                thread.join(30)


@contextlib.contextmanager
def _threads() -> Iterator[Master]:
    with ThreadPoolExecutor(2) as pool, Master(engine=pool, handlers=work.HANDLERS) as master:
        yield master


@contextlib.contextmanager
def _pool() -> Iterator[Master]:
    with Master(engine=lambda: ProcessPoolExecutor(2)) as master:
        yield master


@contextlib.contextmanager
def _loky() -> Iterator[Master]:
    loky = pytest.importorskip("loky")
    pool = loky.get_reusable_executor(2)
    with Master(engine=pool) as master:
        yield master
    loky.get_reusable_executor().shutdown(wait=True, kill_workers=True)


@contextlib.contextmanager
def _dask() -> Iterator[Master]:
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0
    )
    with cluster, distributed.Client(cluster) as client, Master(engine=client) as master:
        yield master


@contextlib.contextmanager
def _ray() -> Iterator[Master]:
    ray = pytest.importorskip("ray")
    folders = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 << 20,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(folders)}},
    )
    try:
        with Master(engine="ray") as master:
            yield master
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _mpi() -> Iterator[Master]:
    pytest.importorskip("mpi4py.MPI", exc_type=ImportError)
    from masterworker.engine.adapters import mpi

    try:
        with Master(engine="mpi") as master:
            yield master
    finally:
        mpi.finish()  # else at the end of this program


def end_trackers() -> None:
    """End what the standard library and loky have started to clear up: it lives as long as we."""
    for name in ("loky.backend.resource_tracker", "multiprocessing.resource_tracker"):
        tracker = getattr(sys.modules.get(name), "_resource_tracker", None)
        if tracker is not None and tracker._pid is not None:
            os.close(tracker._fd)
            os.waitpid(tracker._pid, 0)
            tracker._fd = tracker._pid = None


ENGINES: dict[str, Callable[[], Any]] = {
    "workers": _workers,
    "serial": _serial,
    "memory": _memory,
    "threads": _threads,
    "pool": _pool,
    "loky": _loky,
    "dask": _dask,
    "ray": _ray,
    "mpi": _mpi,
}
#: Those that execute in this process, so that a task must not end it.
HERE_ONLY = {"serial", "memory", "threads"}
#: Those in which tasks have a process of its own, in whose main thread they are executed.
IN_MAIN_THREADS = {"workers", "pool", "loky", "ray", "mpi"}
