"""An endless job: results are taken while tasks are asked for, and the memory must not grow.

python -m benchmarks.endless [--tasks 10000000] [--workers 2]

`map` over a generator without an end; the resident memory of the master is looked at each second.
"""

import argparse
import itertools
import threading
import time
from pathlib import Path

from benchmarks import plots, procs, report, tasks
from masterworker import Master

#: Seconds between two looks.
PERIOD = 1.0


class Samples(threading.Thread):
    """Looks at the memory of this process again and again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.began = time.perf_counter()
        self.seconds, self.memory = [], []

    def look(self):
        self.seconds.append(time.perf_counter() - self.began)
        self.memory.append(procs.resident() / 1e6)

    def run(self):
        while not self.done.wait(PERIOD):
            self.look()


def run(number, workers):
    """Returns the samples, and tasks/s."""
    with Master(workers=workers) as master:
        results = master.map(tasks.tiny, itertools.count())
        # What the first tasks need stays: imports, buffers, the tasks that are under way.
        for i in range(min(number, max(1, number // 100))):
            check(i, next(results))
        samples = Samples()
        samples.look()
        samples.start()
        began, first = time.perf_counter(), i + 1
        for i, result in enumerate(itertools.islice(results, number - first), first):
            check(i, result)
        seconds = time.perf_counter() - began
        samples.done.set()
        samples.join()
        samples.look()
    return samples, (number - first) / seconds


def check(i, result):
    if result != tasks.tiny(i):
        raise SystemExit(f"wrong result of task {i}: {result}")


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.endless",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tasks", type=int, default=10_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plots", type=Path, default=plots.FOLDER, help="where the plot goes")
    options = parser.parse_args()
    about = report.head([report.OURS])
    print(f"{about['date']}; {', '.join(about['versions'])}\n{about['machine']}")
    samples, rate = run(options.tasks, options.workers)
    memory = samples.memory
    print(f"{options.tasks:,} tasks at {rate:,.0f} tasks/s, {options.workers} workers")
    print(
        f"memory of the master: first {memory[0]:.1f} MB, last {memory[-1]:.1f} MB,"
        f" most {max(memory):.1f} MB in {len(memory)} looks"
    )
    if len(memory) > 2:
        plots.draw(
            options.plots / "endless",
            f"{options.tasks:,} tasks of an endless generator",
            samples.seconds,
            {"the master": memory},
            "time, s",
            "resident memory, MB",
            log_x=False,
        )


if __name__ == "__main__":
    main()
