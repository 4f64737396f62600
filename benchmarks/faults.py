"""What faults cost: python -m benchmarks.faults [--repeat 3]

Each line is one situation, with real processes; times in seconds, medians of the repetitions.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from masterworker import Master, TaskLost

NAP, TASKS, WORKERS = 0.05, 400, 4
IDEAL = TASKS * NAP / WORKERS


def nap(seconds):
    time.sleep(seconds)
    return os.getpid()


def die(status):
    os._exit(status)


def nap_slowly(seconds, folder, slow):
    """Sleep; in one of the processes, the first to take the mark, longer by this factor."""
    mark = Path(folder, "slow")
    try:
        mark.touch(exist_ok=False)
        mark.write_text(str(os.getpid()))
    except FileExistsError:
        pass
    if mark.read_text() == str(os.getpid()):
        seconds *= slow
    time.sleep(seconds)


def begin(master):
    """Wait until every worker has done something. Returns their process ids."""
    pids = set()
    while len(pids) < master.number_of_workers or not pids:
        pids |= set(master.map(nap, [0.01] * 16))
    return pids


def hurt(sig):
    """Extra seconds beyond the ideal when one of four workers gets a signal after a second."""
    with Master(workers=WORKERS) as master:
        victim = min(begin(master))
        began = time.monotonic()
        futures = [master.submit(nap, NAP) for _ in range(TASKS)]
        time.sleep(1.0)
        if sig:
            os.kill(victim, sig)
        assert len([future.result() for future in futures]) == TASKS
        extra = time.monotonic() - began - IDEAL
        if sig == signal.SIGSTOP:
            os.kill(victim, signal.SIGKILL)
    return extra


def poison(number, good, workers, seconds, function):
    """Seconds until all are done; checks that exactly the poison is lost, after three deaths."""
    calls = [(nap, seconds)] * good + [(function, 1)] * number
    random.Random(1).shuffle(calls)
    with Master(workers=workers) as master:
        begin(master)
        began = time.monotonic()
        futures = [(call, master.submit(*call)) for call in calls]
        for call, future in futures:
            error = future.exception()
            assert isinstance(error, TaskLost) == (call[0] is not nap), (call, error)
            assert call[0] is nap or len(error.history) == 3
        return time.monotonic() - began


def straggler(workers, slow):
    """Seconds for 200 tasks of 0.1 s; one of the workers takes `slow` times as long."""
    with tempfile.TemporaryDirectory() as folder, Master(workers=workers) as master:
        begin(master)
        if slow == 1:
            Path(folder, "slow").write_text("nobody")
        began = time.monotonic()
        pure = master.options(pure=True)
        list(pure.map(nap_slowly, [0.1] * 200, [folder] * 200, [slow] * 200))
        return time.monotonic() - began


def orphans():
    """Seconds from the kill -9 of a master until none of its workers is left."""
    source = (
        "import threading; from masterworker import Master; m = Master(workers=4)\n"
        "print(list(m.map(abs, range(100)))[-1], flush=True); threading.Event().wait()"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as script:
        script.stdout.readline()
        children = psutil.Process(script.pid).children(recursive=True)
        began = time.monotonic()
        script.kill()
        psutil.wait_procs(children, timeout=60)
        return time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    logging.disable(logging.WARNING)

    def show(what, measure, *args):
        values = [measure(*args) for _ in range(repeat)]
        median = statistics.median(values)
        print(f"{what:<62} {median:7.3f}   ({min(values):.3f} .. {max(values):.3f})", flush=True)
        return median

    print(f"{'seconds':>70}")
    for what, sig in (("none", 0), ("SIGKILL", signal.SIGKILL), ("SIGSTOP", signal.SIGSTOP)):
        extra = show(f"400 x 50 ms, 4 workers, one gets {what}: beyond the ideal", hurt, sig)
        print(f"{'':<62} {100 * extra / IDEAL:6.1f} % of it")
    show("10 x os._exit among 100 x 0.1 s, 2 workers", poison, 10, 100, 2, 0.1, die)
    show("1 x os.abort among 100 x 20 ms, 4 workers", poison, 1, 100, 4, 0.02, abort)
    without = show("200 x 0.1 s, pure, 3 workers", straggler, 3, 1)
    with_it = show("200 x 0.1 s, pure, 3 workers and one 20 times slower", straggler, 4, 20)
    print(f"{'':<62} {with_it / without:7.2f} of the time without it")
    show("master killed: until its 4 workers are gone", orphans)


def abort(_):
    os.abort()


if __name__ == "__main__":
    main()
