"""Workers in engines beside local ones that join by a ticket: both over TLS, in one run, in turn.

    python -m benchmarks.in_engines [--repeat 3] [--engines thread loky dask ray]
    mpiexec -n 3 python -m benchmarks.in_engines --engines mpi

Two workers each. Tiny tasks submitted one by one, `map` over tiny tasks, the round trip of one, and
40 MB as an argument: medians, and the ratio to the local workers (above 1 is better than theirs).
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import tasks
from masterworker import Master

WORKERS, TASKS, MAPPED, TRIPS, LARGE = 2, 20_000, 200_000, 500, 5
FIGURES = ["submit/s", "map/s", "round trip, ms", "40 MB, s"]


@contextlib.contextmanager
def local(master):
    """Workers of this machine that join by a ticket, so over TLS."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ticket")
        path.touch(mode=0o600)
        path.write_text(master.ticket())
        command = "import sys; from masterworker.cli.main import run; run()"
        words = [sys.executable, "-c", command, "worker", "--ticket", str(path)]
        supervisor = subprocess.Popen([*words, "-n", str(WORKERS)], stderr=subprocess.DEVNULL)
        yield
        supervisor.wait(30)


def engine(kind):
    """What `on` is."""
    if kind == "thread":
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(WORKERS)
    if kind == "loky":
        from loky import get_reusable_executor

        return get_reusable_executor(max_workers=WORKERS)
    if kind == "dask":
        from distributed import Client, LocalCluster

        cluster = LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, silence_logs=50
        )
        return Client(cluster)
    if kind == "ray":
        import ray

        ray.init(num_cpus=WORKERS, include_dashboard=False, logging_level="error")
        return "ray"
    from mpi4py import MPI

    return MPI.COMM_WORLD


def measure(master):
    """Return the four figures."""
    deadline = time.monotonic() + 120
    while master.number_of_workers < WORKERS and time.monotonic() < deadline:
        time.sleep(0.05)
    list(master.map(tasks.tiny, range(2_000)))
    begin = time.perf_counter()
    futures = [master.submit(tasks.tiny, item) for item in range(TASKS)]
    for future in futures:
        future.result()
    submitted = TASKS / (time.perf_counter() - begin)
    begin = time.perf_counter()
    for _ in master.map(tasks.tiny, range(MAPPED)):
        pass
    mapped = MAPPED / (time.perf_counter() - begin)
    trips = [timed(master.submit, tasks.tiny, item) for item in range(TRIPS)]
    large = [timed(master.submit, len, os.urandom(40_000_000)) for _ in range(LARGE)]
    return submitted, mapped, 1e3 * statistics.median(trips), statistics.median(large)


def timed(call, *arguments):
    """Return how long it takes to its result."""
    begin = time.perf_counter()
    call(*arguments).result()
    return time.perf_counter() - begin


def once(kind, on):
    """Measure one kind of worker, in a job of its own."""
    with Master(f"in engines {os.getpid()}") as master:
        if kind == "local":
            with local(master):
                found = measure(master)
                master.shutdown()
            return found
        master.launch_workers(WORKERS, on=on, wait=True)
        return measure(master)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=["thread", "loky", "dask", "ray"])
    options = parser.parse_args()
    if options.engines == ["mpi"] and (comm := engine("mpi")).Get_rank():
        from masterworker.mpi import serve

        for _ in range(options.repeat):
            serve(comm)
        return
    kinds = {"local": None, **{kind: engine(kind) for kind in options.engines}}
    found = {kind: [] for kind in kinds}
    for _ in range(options.repeat):
        for kind, on in kinds.items():
            found[kind].append(once(kind, on))
    medians = {
        k: [statistics.median(column) for column in zip(*v, strict=True)] for k, v in found.items()
    }
    print(f"load average {os.getloadavg()[0]:.1f}; medians of {options.repeat}")
    print(f"{'':8}" + "".join(f"{name:>24}" for name in FIGURES))
    for kind, figures in medians.items():
        cells = []
        for index, (figure, base) in enumerate(zip(figures, medians["local"], strict=True)):
            ratio = figure / base if index < 2 else base / figure
            cells.append(f"{figure:,.3f}" if index > 1 else f"{figure:,.0f}")
            cells[-1] += f" ({ratio:.2f})"
        print(f"{kind:8}" + "".join(f"{cell:>24}" for cell in cells))


if __name__ == "__main__":
    main()
