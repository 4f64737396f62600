"""Engines for the contract: each is started once, and skipped with the reason if it is missing.

Ray and Dask start slowly (5 to 10 s each) and take about 1 GB and 300 MB; the others hardly any.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from engines import work
from masterworker import Engine, Master, Worker
from masterworker.master import engine_of
from masterworker.testing import connection
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
#: All threads of this process, also those that Python has not started.
TASKS = Path("/proc/self/task")


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


class Slow(Executor):
    """An executor with many places, whose answers take their time."""

    _max_workers = 500

    def __init__(self, seconds: float = 0.2) -> None:
        self._seconds = seconds
        self.most = self.under_way = 0
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)

        def finish() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:
                    future.set_exception(error)
            with self._lock:
                self.under_way -= 1

        threading.Timer(self._seconds, finish).start()
        return future


@contextlib.contextmanager
def _delayed() -> Iterator[Master]:
    with Master(engine=Slow(0.02), handlers=work.HANDLERS) as master:
        yield master


@contextlib.contextmanager
def _pool() -> Iterator[Master]:
    with Master(engine=lambda: ProcessPoolExecutor(2)) as master:
        yield master


@contextlib.contextmanager
def _apart() -> Iterator[Master]:
    with ProcessPoolExecutor(2) as pool, Master(engine=Engine(pool, apart=True)) as master:
        yield master


@contextlib.contextmanager
def _loky() -> Iterator[Master]:
    loky = pytest.importorskip("loky")
    pool = loky.get_reusable_executor(2)
    with Master(engine=pool) as master:
        yield master
    loky.get_reusable_executor().shutdown(wait=True, kill_workers=True)


@contextlib.contextmanager
def _executorlib() -> Iterator[Master]:
    executorlib = pytest.importorskip("executorlib")
    pool = executorlib.SingleNodeExecutor(max_workers=2, block_allocation=True)
    with Master(engine=pool) as master:
        yield master
    pool.shutdown(wait=True)


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


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Fail if an engine leaves processes; or threads or descriptors in this process.

    Threads of ours that last as long as the program may stay. Native threads count as well.
    """
    importlib.import_module("numpy")  # its threads last as long as the program
    threads, files = set(threading.enumerate()), _descriptors()
    native = _native_threads()
    yield
    _end_trackers()
    wait_until(lambda: not psutil.Process().children(recursive=True), 60, "processes end")
    if ASKED in os.environ:
        return  # a program of its own: the rest ends with it
    gc.collect()
    wait_until(lambda: not _others(threads), 60, f"threads end: {_others(threads)}")
    wait_until(lambda: _native_threads() <= native, 60, "native threads end")
    wait_until(lambda: _descriptors() <= files, 60, f"closed: {_descriptors() - files}")


def _others(threads: set[threading.Thread]) -> list[str]:
    left = [each.name for each in threading.enumerate() if each not in threads]
    return [name for name in left if not name.startswith("masterworker-")]


def _native_threads() -> int:
    return len(list(TASKS.iterdir())) - threading.active_count()


def _descriptors() -> set[tuple[str, str]]:
    """Those of engines that are open, and what they are of."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of this look
            found.add((path.name, str(path.readlink())))
    return {each for each in found if not each[1].startswith("/memfd:masterworker")}


def _end_trackers() -> None:
    """End what the standard library and loky have started to clear up: it lives as long as we."""
    for name in ("loky.backend.resource_tracker", "multiprocessing.resource_tracker"):
        tracker = getattr(sys.modules.get(name), "_resource_tracker", None)
        if tracker is not None and tracker._pid is not None:
            os.close(tracker._fd)
            os.waitpid(tracker._pid, 0)
            tracker._fd = tracker._pid = None


def to_run() -> list[str]:
    """Return the engines for which this process runs the contract."""
    asked = os.environ.get(ASKED)
    return [asked] if asked else [kind for kind in ENGINES if kind not in APART]


ENGINES: dict[str, Callable[[], Any]] = {
    "workers": _workers,
    "serial": _serial,
    "memory": _memory,
    "threads": _threads,
    "delayed": _delayed,
    "pool": _pool,
    "apart": _apart,
    "loky": _loky,
    "executorlib": _executorlib,
    "dask": _dask,
    "ray": _ray,
    "mpi": _mpi,
}
#: Those that leave threads, sockets and more in a process for as long as it lives.
APART = ["loky", "executorlib", "dask", "ray", "mpi"]
#: Which engine the contract is for, in a process of its own; unset: all but those.
ASKED = "CONTRACT_ENGINE"
#: Those that execute in this process, so that a task must not end it.
HERE_ONLY = {"serial", "memory", "threads", "delayed"}
#: Those in which tasks have a process of its own, in whose main thread they are executed.
IN_MAIN_THREADS = {"workers", "pool", "apart", "loky", "executorlib", "ray", "mpi"}
