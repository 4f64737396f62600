"""The workloads: each begins with a library, measures, checks the results, and returns figures."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import procs, tasks
from benchmarks.libraries import Library, NotAvailableError

clock = time.perf_counter
#: Tasks by which a library warms up, and shows how long all of them would take.
PROBE = 1_000
#: The chunk of bulk calls with which the libraries that have such a knob do best.
CHUNK = 2_000


class WrongResultsError(Exception):
    """A library returned something else than it should."""


@dataclass(frozen=True)
class Figure:
    """One number that is measured, and how it is to be read."""

    name: str
    unit: str
    more_is_better: bool = False


@dataclass(frozen=True)
class Workload:
    title: str
    figures: tuple[Figure, ...]
    workers: int
    #: Number of tasks, in whole and for a first look.
    full: int
    short: int
    #: Seconds from the start of the process to its end.
    limit: float
    measure: Callable

    def describe(self, tasks):
        return self.title.format(n=tasks, workers=self.workers)


@dataclass
class Job:
    """One measurement in a process of its own."""

    library: Library
    workload: Workload
    tasks: int
    #: When the process was made (`time.monotonic`), and what marks all processes of the job.
    born: float
    tag: str

    def begin(self, *, bulk=False):
        """Start the library, and let each of its workers do something. Returns their pids."""
        library, workers = self.library, self.workload.workers
        library.start(workers, bulk=bulk)
        seen, nap, end = set(), 0.02, clock() + self.workload.limit / 2
        while len(seen) < workers:
            if clock() > end:
                raise RuntimeError(f"only {len(seen)} of {workers} workers have done anything")
            naps = [nap] * (2 * workers)
            if bulk:
                seen.update(library.map(tasks.pid_after, naps, 1))
            else:
                seen.update(library.gather([library.submit(tasks.pid_after, s) for s in naps]))
            nap = min(0.2, 1.5 * nap)
        return seen

    def tiny(self, run):
        """Seconds for all tasks, where `run` returns the results for some items."""
        probe = min(PROBE, self.tasks)
        seconds = self._timed(run, probe)
        if (whole := seconds * self.tasks / probe) > 0.8 * self.workload.limit:
            raise NotAvailableError(
                f"{probe / seconds:,.0f} tasks/s at first: all would take {whole:,.0f} s"
            )
        return self._timed(run, self.tasks)

    def _timed(self, run, number):
        began = clock()
        results = run(range(number))
        seconds = clock() - began
        check(len(results) == number, "number of results")
        expected = math.fsum(map(math.sqrt, range(number)))
        check(math.isclose(math.fsum(results), expected), "sum of square roots")
        return seconds

    def one_by_one(self, items):
        submit = self.library.submit
        return self.library.gather([submit(tasks.tiny, item) for item in items])


def check(good, what):
    if not good:
        raise WrongResultsError(f"wrong results: {what}")


def numpy():
    try:
        import numpy as np
    except ImportError:
        raise NotAvailableError("numpy is not installed") from None
    return np


RATE = Figure("rate", "tasks/s", more_is_better=True)
SPEED = Figure("speed", "MB/s in and out", more_is_better=True)
WORKLOADS = {}


def workload(key, title, *figures, workers=2, full, short=None, limit=120.0):
    def register(measure):
        WORKLOADS[key] = Workload(
            title, figures, workers, full, full if short is None else short, limit, measure
        )
        return measure

    return register


@workload("W1", "{n:,} tiny tasks one by one, {workers} workers", RATE, full=20_000)
def one_by_one(job):
    job.begin()
    return {"rate": job.tasks / job.tiny(job.one_by_one)}


@workload("W1b", "bulk call of {n:,} tiny tasks, as it comes", RATE, full=100_000)
def bulk(job):
    return _bulk(job, None)


@workload("W1c", "bulk call of {n:,} tiny tasks, best chunks", RATE, full=100_000)
def bulk_chunked(job):
    return _bulk(job, CHUNK)


def _bulk(job, chunk):
    job.begin(bulk=True)
    seconds = job.tiny(lambda items: job.library.map(tasks.tiny, items, chunk))
    return {"rate": job.tasks / seconds}


@workload(
    "W2",
    "round trip of one task ({n:,} times)",
    Figure("median", "us, median"),
    Figure("p99", "us, 99 %"),
    full=1_000,
)
def round_trip(job):
    job.begin()
    call, taken = job.library.call, []
    for i in range(min(50, job.tasks)):
        call(tasks.tiny, i)
    for i in range(job.tasks):
        began = clock()
        result = call(tasks.tiny, i)
        taken.append(clock() - began)
        check(result == math.sqrt(i), f"the root of {i}")
    taken.sort()
    return {"median": 1e6 * taken[len(taken) // 2], "p99": 1e6 * taken[len(taken) * 99 // 100]}


@workload(
    "W3",
    "{n:,} tasks of 10 ms, {workers} workers",
    Figure("efficiency", "of the ideal", more_is_better=True),
    workers=16,
    full=1_600,
)
def naps(job):
    job.begin()
    seconds = _naps(job, [0.010] * job.tasks)
    return {"efficiency": job.tasks * 0.010 / job.workload.workers / seconds}


def _naps(job, durations):
    began = clock()
    done = job.library.gather([job.library.submit(tasks.nap, s) for s in durations])
    seconds = clock() - began
    check(sorted(done) == sorted(durations), "what was slept")
    return seconds


@workload(
    "W4",
    "{n:,} uneven tasks (2 to 500 ms), {workers} workers",
    Figure("makespan", "of the lower bound"),
    workers=8,
    full=400,
)
def uneven(job):
    from random import Random

    many, some, few = job.tasks * 90 // 100, job.tasks * 9 // 100, job.tasks // 100
    durations = [0.002] * many + [0.05] * some + [0.5] * few
    Random(20260101).shuffle(durations)
    bound = max(sum(durations) / job.workload.workers, *durations)
    job.begin()
    return {"makespan": _naps(job, durations) / bound}


@workload("W5", "{n:,} arrays of 1 MB in and out", SPEED, full=300)
def arrays(job):
    return _arrays(job, 1_000_000)


@workload("W6", "{n:,} arrays of 64 MB in and out", SPEED, full=8)
def large_arrays(job):
    return _arrays(job, 64_000_000)


def _arrays(job, size):
    np = numpy()
    job.begin()
    sent = [np.full(size // 8, float(i)) for i in range(job.tasks)]
    began = clock()
    results = job.library.gather([job.library.submit(tasks.plus_one, array) for array in sent])
    seconds = clock() - began
    check(len(results) == job.tasks, "number of arrays")
    for i, array in enumerate(results):
        check(array.nbytes == size, "size of an array")
        check(array[0] == array[-1] == i + 1.0, "elements of an array")
    return {"speed": 2 * job.tasks * size / 1e6 / seconds}


@workload(
    "W7",
    "one array of 200 MB for {n:,} tasks, {workers} workers",
    Figure("seconds", "s"),
    Figure("memory", "MB, all processes"),
    workers=8,
    full=400,
)
def shared(job):
    np = numpy()
    array = np.arange(25_000_000, dtype=float)
    items = [i * 62_501 % array.size for i in range(job.tasks)]
    job.begin()
    began = clock()
    values = job.library.shared(array, tasks.take, items)
    seconds = clock() - began
    check(sorted(values) == sorted(map(float, items)), "elements")
    return {"seconds": seconds, "memory": procs.memory(procs.marked(job.tag)) / 1e6}


@workload(
    "W8",
    "{n:,} tiny tasks queued at once",
    RATE,
    Figure("memory", "MB, the master at most"),
    full=500_000,
    short=100_000,
    limit=240.0,
)
def deep_queue(job):
    job.begin()
    seconds = job.tiny(job.one_by_one)
    return {"rate": job.tasks / seconds, "memory": procs.peak() / 1e6}


@workload("W10", "start of the program to its first result", Figure("seconds", "s"), full=1)
def first_result(job):
    job.library.start(job.workload.workers)
    result = job.library.call(tasks.tiny, 16)
    seconds = time.monotonic() - job.born
    check(result == 4.0, "the root of 16")
    return {"seconds": seconds}


@workload("W11", "{n:,} tiny tasks one by one, {workers} workers", RATE, workers=100, full=20_000)
def many_workers(job):
    job.begin()
    return {"rate": job.tasks / job.tiny(job.one_by_one)}
