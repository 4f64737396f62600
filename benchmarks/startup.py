"""Start-up: the import, a process's first result, and the replacement of a worker.

Beside masterworker: the pools of the standard library, and joblib, dask and ray where they are
installed. Every figure is from fresh processes, all ways in turn; only the ratios mean anything.

    python -m benchmarks.startup                                     # this interpreter
    python -m benchmarks.startup --repeat 21 --also OTHER/bin/python # ways that another one has

Where PYTHONDONTWRITEBYTECODE is set, a checkout that is installed editable is compiled at each
start, which takes longer than all the rest: install it as a wheel then.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORKERS = 2

#: What a user would write, each as a program that prints when it has the first result.
WAYS = {
    "multiprocessing.Pool": """
        import multiprocessing
        pool = multiprocessing.Pool(WORKERS)
        first(lambda: pool.apply(math.sqrt, (16.0,)))
        pool.close(); pool.join()
    """,
    "ProcessPoolExecutor": """
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(WORKERS) as pool:
            first(lambda: pool.submit(math.sqrt, 16.0).result())
    """,
    "Pool (spawn)": """
        import multiprocessing
        pool = multiprocessing.get_context("spawn").Pool(WORKERS)
        first(lambda: pool.apply(math.sqrt, (16.0,)))
        pool.close(); pool.join()
    """,
    "masterworker": """
        from masterworker import Master
        with Master(workers=WORKERS) as master:
            first(lambda: master.submit(math.sqrt, 16.0).result())
    """,
    "joblib": """
        from joblib import Parallel, delayed
        first(lambda: Parallel(n_jobs=WORKERS)([delayed(math.sqrt)(16.0)] * 2)[0])
    """,
    "dask": """
        from dask.distributed import Client
        with Client(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as client:
            first(lambda: client.submit(math.sqrt, 16.0).result())
    """,
    "ray": """
        import ray
        ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
        call = ray.remote(lambda x: math.sqrt(x))
        first(lambda: ray.get(call.remote(16.0)))
        ray.shutdown()
    """,
}
#: Modules that a way needs, where they are no part of Python.
NEEDS = {"masterworker": "masterworker", "joblib": "joblib", "dask": "distributed", "ray": "ray"}

_PROGRAM = """
import math, sys, time
WORKERS = {workers}
def first(call):
    assert call() == 4.0
    print("first", time.monotonic(), file=sys.stderr, flush=True)
if __name__ == "__main__":
{body}
"""

#: Kills a worker that is idle, and prints how long its replacement took to execute a task.
_REPLACEMENT = """
import os, signal, time
from masterworker import Master
if __name__ == "__main__":
    with Master(workers=1) as master:
        before = master.submit(os.getpid).result()
        began = time.monotonic()
        os.kill(before, signal.SIGKILL)
        while master.submit(os.getpid).result() == before:
            pass
        print("took", time.monotonic() - began)
"""

IMPORTS = {
    "(nothing)": "pass",
    "masterworker": "import masterworker",
    "Master": "from masterworker import Master",
    "ProcessPoolExecutor": "from concurrent.futures import ProcessPoolExecutor",
    "multiprocessing.Pool": "import multiprocessing.pool",
}


def has(python, module):
    program = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    return not subprocess.run([python, "-c", program], check=False).returncode


def seconds(words):
    """Return how long a process takes, from its start to its end."""
    began = time.monotonic()
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    return time.monotonic() - began


def seconds_to_first(words):
    """Return how long a process takes, from its start to its first result."""
    began = time.monotonic()
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    for line in done.stderr.splitlines():
        if line.startswith("first "):
            return float(line.split()[1]) - began
    raise SystemExit(f"no first result:\n{done.stderr}")


def seconds_told(words):
    """Return what a process says that something took."""
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def in_turn(repeat, measure, commands):
    """Return the median for each command; all run once before any runs again."""
    found = {name: [] for name in commands}
    for turn in range(repeat + 1):  # the first one fills the caches of the file system
        for name, words in commands.items():
            taken = measure(words)
            if turn:
                found[name].append(taken)
    return {name: statistics.median(taken) for name, taken in found.items()}


def show(title, found, base):
    print(f"{title:38}{'ms':>9}{'ratio':>8}   (to {base})")
    for name, taken in found.items():
        print(f"  {name:36}{1e3 * taken:9.1f}{taken / found[base]:8.2f}")
    print()


def programs(folder, pythons):
    """Write the programs. Returns the command of each way that can be run."""
    commands = {}
    for name, body in WAYS.items():
        python = next((p for p in pythons if name not in NEEDS or has(p, NEEDS[name])), None)
        if python is None:
            continue
        lines = "".join("    " + line[8:] + "\n" for line in body.strip("\n").splitlines())
        path = Path(folder, f"{len(commands)}.py")
        path.write_text(_PROGRAM.format(workers=WORKERS, body=lines))
        commands[name] = [python, str(path)]
    return commands


def main(arguments=()):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--also", action="append", default=[], metavar="PYTHON")
    options = parser.parse_args(list(arguments))
    python = sys.executable
    imports = {name: [python, "-c", program] for name, program in IMPORTS.items()}
    show("process that only imports", in_turn(options.repeat, seconds, imports), "(nothing)")
    with tempfile.TemporaryDirectory() as folder:
        commands = programs(folder, [python, *options.also])
        found = in_turn(options.repeat, seconds_to_first, commands)
        show(f"process start to first result, {WORKERS} workers", found, "multiprocessing.Pool")
        path = Path(folder, "replacement.py")
        path.write_text(_REPLACEMENT)
        found = in_turn(options.repeat, seconds_told, {"masterworker": [python, str(path)]})
    show("kill of a worker to its replacement's task", found, "masterworker")


if __name__ == "__main__":
    main(sys.argv[1:])
