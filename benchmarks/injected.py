"""What tasks that fail cost the others: python -m benchmarks.injected [--libraries ...]

Failures as the Task Performance Suite (arXiv 2408.07236) injects them: of 40 tasks of 0.1 s, 10 %
kill their process, raise, run out of memory (2 GB are allowed), or never end (3 s are allowed,
where the library has time limits). Two workers. Each library in a process of its own, ended after
60 s. A table of how many of the 36 others were done, and when. loky and Dask come with
`make .venv/ecosystem`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time

TASKS, BAD, NAP, WORKERS = 40, 4, 0.1, 2
#: Seconds for one run, and for a task that never ends.
BOUND, LIMIT = 60.0, 3.0
MEMORY = 2 << 30
FAULTS = "none", "kill", "raise", "memory", "endless"


def task(number, fault):
    """Sleep; every tenth task fails."""
    if number % (TASKS // BAD) != 3 or fault == "none":
        time.sleep(NAP)
        return number
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "raise":
        raise ValueError(number)
    if fault == "memory":
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
        try:
            return len(bytearray(2 * MEMORY))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    while True:
        time.sleep(NAP)


@contextlib.contextmanager
def ours():
    from masterworker import Executor

    with Executor(WORKERS) as executor:
        yield executor.options(timeout=LIMIT)


@contextlib.contextmanager
def process_pool():
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as executor:
        yield executor


@contextlib.contextmanager
def loky():
    from loky import ProcessPoolExecutor

    with ProcessPoolExecutor(WORKERS) as executor:
        yield executor


@contextlib.contextmanager
def dask():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client.get_executor()


LIBRARIES = {
    "Executor": ours,
    "ProcessPoolExecutor": process_pool,
    "loky": loky,
    "Dask": dask,
}


def run(library, fault):
    """Print how many tasks that do not fail are done, again and again, as JSON lines."""
    with LIBRARIES[library]() as executor:
        list(executor.map(abs, range(20)))  # the workers are there
        began = time.monotonic()
        futures = {}
        with contextlib.suppress(RuntimeError):  # of a pool that is broken
            for number in range(TASKS):
                futures[executor.submit(task, number, fault)] = number
        good = failed = 0
        for future in concurrent.futures.as_completed(futures):
            try:
                good += future.result() == futures[future]
            except Exception:
                failed += 1
            tell(good, failed, time.monotonic() - began)
        tell(good, failed, time.monotonic() - began)


def tell(good, failed, seconds):
    print(json.dumps([good, failed, seconds]), flush=True)


def measured(library, fault):
    """Run one in a process (group) of its own. Good, failed, seconds, and whether it has ended."""
    command = [sys.executable, "-m", "benchmarks.injected", "--one", library, fault]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            out, _ = process.communicate(timeout=BOUND)
            ended = process.returncode == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
            ended = False
    lines = [json.loads(line) for line in out.splitlines() if line.startswith(b"[")]
    return (*(lines[-1] if lines else (0, 0, 0.0)), ended)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--one", nargs=2, metavar=("LIBRARY", "FAULT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        run(*asked.one)
        return
    print("| library | what 4 of 40 tasks do | others done | failed | seconds |")
    print("|---|---|---|---|---|")
    for fault in asked.faults:
        for library in asked.libraries:
            good, failed, seconds, ended = measured(library, fault)
            others = TASKS - (BAD if fault != "none" else 0)
            when = f"{seconds:.1f}" if ended else f"{seconds:.1f}; not ended after {BOUND:.0f}"
            print(f"| {library} | {fault} | {good} of {others} | {failed} | {when} |", flush=True)


if __name__ == "__main__":
    main()
