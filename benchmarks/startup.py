"""Start-up: the import, a process's first result, many workers, and the replacement of a worker.

Beside masterworker: the pools of the standard library, and joblib, dask and ray where they are
installed. Every figure is from fresh processes, all ways in turn; only the ratios mean anything.
With `--before`, an older masterworker in another environment takes its turns, too.

    python -m benchmarks.startup                                     # this interpreter
    python -m benchmarks.startup --repeat 21 --also OTHER/bin/python # ways that another one has
    python -m benchmarks.startup --before OLD/bin/python --only first,many
    taskset -c 0 python -m benchmarks.startup --before OLD/bin/python

Where PYTHONDONTWRITEBYTECODE is set, a checkout that is installed editable is compiled at each
start, which takes longer than all the rest: install it as a wheel then.
"""

import argparse
import resource
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

#: Starts many workers, and prints how long it took until all were there, and what memory each has
#: (proportional set size, kB): of the children that are no template and no reaper.
_MANY = """
import glob, os, sys, time
def memory():
    paths = glob.glob("/proc/self/task/*/children")
    pids = [pid for path in paths for pid in open(path).read().split()]
    sizes = []
    for pid in pids:
        words = open(f"/proc/{pid}/cmdline", "rb").read()
        if b"python" not in words or b"template.server" in words:
            continue
        lines = open(f"/proc/{pid}/smaps_rollup").read().splitlines()
        sizes += [int(line.split()[1]) for line in lines if line.startswith("Pss:")]
    return sum(sizes) / len(sizes)
def load():
    import numpy
if __name__ == "__main__":
    number, start = int(sys.argv[1]), load if sys.argv[2] == "numpy" else None
{body}
    print(memory(), took)
"""
MANY = {
    "multiprocessing.Pool": """
    import multiprocessing
    began = time.monotonic()
    pool = multiprocessing.Pool(number, start)
    pool.apply(abs, (1,))
    took = time.monotonic() - began
    if start:
        time.sleep(2)
""",
    "masterworker": """
    if start:
        import numpy  # programs that let their workers use it have it themselves
    from masterworker import Master
    began = time.monotonic()
    master = Master(workers=number, **({"initializer": start} if start else {}))
    while master.number_of_workers < number:
        time.sleep(0.002)
    took = time.monotonic() - began
""",
}

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


def processor_seconds(words):
    """Return the processor time of a process and of all that it has waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seconds_told(words):
    """Return what a process says that something took."""
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def memory_told(words):
    """Return what a process says that each of its workers has of memory (kB)."""
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-2]) / 1e3  # shown in thousands


def in_turn(repeat, measure, commands):
    """Return what was measured for each command; all run once before any runs again."""
    found = {name: [] for name in commands}
    for turn in range(repeat + 1):  # the first one fills the caches of the file system
        for name, words in commands.items():
            taken = measure(words)
            if turn:
                found[name].append(taken)
    return found


def show(title, found, base, unit="ms"):
    print(f"{title:46}{unit:>9}{'least':>9}{'most':>9}{'ratio':>8}{'least':>8}   (to {base})")
    usual, best = statistics.median(found[base]), min(found[base])
    for name, taken in found.items():
        middle, least, most = (1e3 * f(taken) for f in (statistics.median, min, max))
        ratios = f"{middle / usual / 1e3:8.2f}{least / best / 1e3:8.2f}"
        print(f"  {name:44}{middle:9.1f}{least:9.1f}{most:9.1f}{ratios}")
    print(flush=True)


def with_before(commands, before):
    """Add the same program with an older masterworker."""
    if before and "masterworker" in commands:
        _, *words = commands["masterworker"]
        commands["masterworker before"] = [before, *words]
    return commands


def many(folder, number, kind):
    """Write the programs that start many workers. Returns their commands."""
    commands = {}
    for name, body in MANY.items():
        path = Path(folder, f"many-{len(commands)}.py")
        path.write_text(_MANY.replace("{body}", body))
        commands[name] = [sys.executable, str(path), str(number), kind]
    return commands


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
    parser.add_argument("--before", default="", metavar="PYTHON")
    parser.add_argument("--number", type=int, default=100, help="how many are many")
    parser.add_argument(
        "--only", default="import,first,processor,many,numpy,killed", metavar="PARTS"
    )
    options = parser.parse_args(list(arguments))
    parts, repeat, python = options.only.split(","), options.repeat, sys.executable
    if "import" in parts:
        imports = {name: [python, "-c", program] for name, program in IMPORTS.items()}
        if options.before:
            imports["Master before"] = [options.before, "-c", IMPORTS["Master"]]
        show("process that only imports", in_turn(repeat, seconds, imports), "(nothing)")
    with tempfile.TemporaryDirectory() as folder:
        if "first" in parts:
            commands = with_before(programs(folder, [python, *options.also]), options.before)
            found = in_turn(repeat, seconds_to_first, commands)
            show(f"process start to first result, {WORKERS} workers", found, "multiprocessing.Pool")
        if "processor" in parts:
            commands = with_before(programs(folder, [python, *options.also]), options.before)
            base = "masterworker before" if options.before else "multiprocessing.Pool"
            found = in_turn(repeat, processor_seconds, commands)
            show(f"processor time of that program, {WORKERS} workers", found, base)
        if "many" in parts:
            commands = with_before(many(folder, options.number, "plain"), options.before)
            found = in_turn(repeat, seconds_told, commands)
            show(f"{options.number} workers have joined", found, "multiprocessing.Pool")
        for kind in ("many", "numpy"):
            if kind in parts:
                commands = with_before(many(folder, options.number, kind), options.before)
                found = in_turn(max(1, repeat // 3), memory_told, commands)
                title = f"memory of each of {options.number} workers" + f" ({kind})" * (
                    kind == "numpy"
                )
                base = "masterworker before" if options.before else "multiprocessing.Pool"
                show(title, found, base, "kB")
        if "killed" in parts:
            path = Path(folder, "replacement.py")
            path.write_text(_REPLACEMENT)
            commands = with_before({"masterworker": [python, str(path)]}, options.before)
            found = in_turn(repeat, seconds_told, commands)
            base = "masterworker before" if options.before else "masterworker"
            show("kill of a worker to its replacement's task", found, base)


if __name__ == "__main__":
    main(sys.argv[1:])
