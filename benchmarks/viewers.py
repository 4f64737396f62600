"""What viewers cost a job: the rate of tiny tasks with ten of them, and without any.

A page (`task_manager web`) is asked by ten viewers, each once a second, for what has changed. In
one process the same tasks are executed in turns, with these two stopped (SIGSTOP), and going on.
The table has the medians of both, and the median of the ratios of neighbouring turns: of the rate,
which on one machine has to share processors with page and viewers, and of tasks for a second of the
master's own processor time, which says what viewers cost the master, also on a busy machine.

    python -m benchmarks.viewers [--turns 7] [--seconds 4] [--workloads W1,W1c,W8,W11]
"""

import argparse
import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from statistics import median

from masterworker import Master

VIEWERS = 10
WARM_UP = 2_000
#: Key: workers, tasks at once, whether they are asked for by `map`, and what it is.
WORKLOADS = {
    "W1": (2, 5_000, False, "tiny tasks one by one, 2 workers"),
    "W1c": (2, 50_000, True, "bulk call of tiny tasks"),
    "W8": (2, 100_000, False, "tiny tasks queued at once"),
    "W11": (100, 5_000, False, "tiny tasks one by one, 100 workers"),
}
VIEWER = """
import gzip, http.client, json, sys, time
port, token = sys.stdin.readline().split()
numbers = [0] * int(sys.argv[1])
connections = [http.client.HTTPConnection("127.0.0.1", int(port)) for _ in numbers]
headers = {"X-Masterworker-Token": token}
while True:
    began = time.monotonic()
    for n, connection in enumerate(connections):
        connection.request("GET", f"/snapshot?from={numbers[n]}", headers=headers)
        numbers[n] = json.loads(gzip.decompress(connection.getresponse().read()))["number"]
    time.sleep(max(0.0, 1.0 - (time.monotonic() - began)))
"""


def watched(label):
    """Start a page and its viewers. Returns their processes."""
    command = [sys.executable, "-m", "masterworker.cli", "web", label, "--behind", "told"]
    page = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    address = page.stdout.readline().split()[-1]
    port, token = address.removeprefix("http://127.0.0.1:").split("/#")
    command = [sys.executable, "-c", VIEWER, str(VIEWERS)]
    viewers = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
    viewers.stdin.write(f"{port} {token}\n")
    viewers.stdin.flush()
    time.sleep(3.0)
    return [viewers, page]


def rate(master, number, seconds, *, bulk):
    """Return tasks per second, and per second of this process's time."""
    done, began, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        if bulk:
            results = list(master.map(math.sqrt, range(number)))
        else:
            results = [
                each.result() for each in [master.submit(math.sqrt, n) for n in range(number)]
            ]
        assert len(results) == number
        done += number
    return done / (time.perf_counter() - began), done / (time.process_time() - used)


def measure(key, turns, seconds):
    workers, number, bulk, title = WORKLOADS[key]
    label = f"viewers {os.getpid()} {key}"
    with Master(label, workers=workers) as master:
        rate(master, WARM_UP, 1.0, bulk=bulk)
        processes = watched(label)
        try:
            rates = {False: [], True: []}
            for turn in range(2 * turns):
                on = turn % 2 == 1
                for process in processes if on else reversed(processes):
                    process.send_signal(signal.SIGCONT if on else signal.SIGSTOP)
                rates[on].append(rate(master, number, seconds, bulk=bulk))
        finally:
            for process in processes:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
    ratios = [
        [on[n] / off[n] for off, on in zip(rates[False], rates[True], strict=True)] for n in (0, 1)
    ]
    without, with_them = (median(each[0] for each in rates[on]) for on in (False, True))
    told = [f"{median(each):.3f} ({min(each):.2f} to {max(each):.2f})" for each in ratios]
    print(
        f"| {key} | {title} | {without:,.0f} | {with_them:,.0f} | {' | '.join(told)} |", flush=True
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    print("| workload | | tasks/s without | with 10 viewers | ratio | of processor time |")
    print("|---|---|---|---|---|---|")
    for key in options.workloads.split(","):
        measure(key, options.turns, options.seconds)
    with contextlib.suppress(OSError):
        print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
