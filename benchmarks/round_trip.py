"""Round trips of single tasks, beside the pool of the standard library.

Each figure is from a fresh process of its own, and the systems take turns: what else the machine
does hits all of them. The median of the calls of each process, then median and range of those.

    python -m benchmarks.round_trip [--repeat 5] [--calls 3000] [--workers 2 16]
        [--python NAME=PATH ...]

`--python` names further interpreters that have another masterworker installed, say an older one.
For one processor: `taskset -c 0 python -m benchmarks.round_trip`.
"""

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import tasks

#: Calls before the ones that count.
WARM_UP = 300


def with_masterworker(workers, calls):
    from masterworker import Master

    with Master(workers=workers) as master:
        _all_work(lambda: list(master.map(tasks.pid_after, [0.02] * 2 * workers)), workers)
        return _timed(lambda item: master.submit(tasks.tiny, item).result(), calls)


def with_pool(workers, calls):
    with multiprocessing.Pool(workers) as pool:
        _all_work(lambda: pool.map(tasks.pid_after, [0.02] * 2 * workers, 1), workers)
        return _timed(lambda item: pool.apply_async(tasks.tiny, (item,)).get(), calls)


def _all_work(once, workers):
    """Let each worker do something."""
    seen = set()
    while len(seen) < workers:
        seen.update(once())


def _timed(call, calls):
    """Return the median of a call and the processor time of this process for each (us)."""
    for item in range(WARM_UP):
        call(item)
    taken, used = [], _used()
    for item in range(calls):
        began = time.perf_counter()
        found = call(item)
        taken.append(time.perf_counter() - began)
        if found != tasks.tiny(item):
            raise SystemExit(f"wrong result of task {item}: {found}")
    used = _used() - used
    return 1e6 * statistics.median(taken), 1e6 * used / calls


def _used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


SYSTEMS = {"masterworker": with_masterworker, "multiprocessing.Pool": with_pool}


def in_fresh_process(python, system, workers, calls):
    command = [python, "-m", "benchmarks.round_trip", "--one", system, str(workers), str(calls)]
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        command, cwd="/", env=environment, check=True, stdout=subprocess.PIPE, timeout=120
    )
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.round_trip",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--workers", type=int, nargs="*", default=[2, 16])
    parser.add_argument("--python", nargs="*", default=[], metavar="NAME=PATH")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        system, workers, calls = options.one
        print(json.dumps(SYSTEMS[system](int(workers), int(calls))))
        return
    columns = {name: (sys.executable, name) for name in SYSTEMS}
    for name, path in (each.split("=", 1) for each in options.python):
        columns[name] = (path, "masterworker")
    print(f"{len(os.sched_getaffinity(0))} processors, load {os.getloadavg()[0]:.1f}")
    print(f"{'workers':>8} {'':24}{'us':>7}  {'range':15}{'/ Pool':>7}{'CPU':>7}")
    for workers in options.workers:
        found = {name: [] for name in columns}
        for _ in range(options.repeat):
            for name, (python, system) in columns.items():
                found[name].append(in_fresh_process(python, system, workers, options.calls))
        pool = found["multiprocessing.Pool"]
        for name, pairs in found.items():
            taken, used = zip(*pairs, strict=True)
            ratio = statistics.median(a / b for a, (b, _) in zip(taken, pool, strict=True))
            spread = f"{min(taken):.0f} .. {max(taken):.0f}"
            print(
                f"{workers:8} {name:24}{statistics.median(taken):7.0f}  {spread:15}{ratio:7.2f}"
                f"{statistics.median(used):7.0f}"
            )


if __name__ == "__main__":
    main()
