"""What growth.py measures: queues, workers and payloads that grow."""

import gc
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks import procs, tasks
from benchmarks.curves import Curves
from masterworker import Master, wire
from masterworker.core.task import RESULT, Outcome
from masterworker.manager import Manager

clock = time.perf_counter
#: Seconds that anything may take to appear.
PATIENCE = 120.0


def wait_until(condition, what):
    end = clock() + PATIENCE
    while not condition():
        if clock() > end:
            raise TimeoutError(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(0.01)


def median_of(times, measure, *args):
    """The median of several measurements; of each figure, where they have several."""
    found = [measure(*args) for _ in range(times)]
    if isinstance(found[0], tuple):
        return tuple(map(statistics.median, zip(*found, strict=True)))
    return statistics.median(found)


def timed(work, number):
    """Microseconds for each of a number of tasks: of time, and of this process's processor time.

    The second is what the master itself does. Other programs hardly disturb it.
    """
    began, used = clock(), time.process_time()
    last = work()
    took, used = clock() - began, time.process_time() - used
    if last != tasks.tiny(number - 1):
        raise SystemExit("wrong results")
    return 1e6 * took / number, 1e6 * used / number


# -- the queue -----------------------------------------------------------------------------------


def queue(most):
    """Cost of a task against the number of tasks that are queued at once."""
    curves = Curves(
        "growth-queue", "Cost of a task in a long queue", "tasks queued", "us for each task"
    )
    with tempfile.TemporaryDirectory(prefix="mwg") as folder, Master(workers=2) as master:
        list(master.map(tasks.tiny, range(1_000)))
        for queued in (1_000, 10_000, 100_000, 1_000_000):
            if queued > most:
                break
            times = max(3, min(15, 100_000 // queued))
            whole = [_whole(master, Path(folder), queued) for _ in range(times)]
            alone = [_in_fresh_process(_alone, queued) for _ in range(min(times, 5))]
            memory = alone[-1][1] if queued >= 100_000 else None
            curves.add(
                queued,
                {
                    "submit, 2 workers": 1e6 * statistics.median(whole),
                    "task manager alone": 1e6 * statistics.median(run[0] for run in alone),
                },
                {"bytes each": memory},
            )
    return curves


def _whole(master, folder, queued):
    """Seconds for each task, from its submission to its result. The workers are kept busy until
    all are queued.
    """
    gate = folder / f"gate{time.monotonic_ns()}"
    os.mkfifo(gate)
    held = [master.submit(tasks.hold, str(gate)) for _ in range(2)]
    wait_until(lambda: len(list(folder.glob(f"{gate.name}.*"))) == 2, "both workers are held")
    gc.collect()
    began = clock()
    futures = [master.submit(tasks.tiny, i) for i in range(queued)]
    with gate.open("wb", buffering=0) as opened:
        opened.write(b"go")
        for future in held:
            future.result(PATIENCE)
    last = [future.result() for future in futures][-1]
    seconds = clock() - began
    if last != tasks.tiny(queued - 1):
        raise SystemExit("wrong results")
    return seconds / queued


def _in_fresh_process(measure, *args):
    """What has been freed before in this one would hide what is needed now."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, args)


def _alone(queued, batch=500):
    """Seconds for each task in the task manager alone, without any network; bytes for each."""
    manager = Manager()
    worker = manager.join(wire.introduce("worker", ["a"], None, "w")).member_id
    master = manager.join(wire.introduce("master", [], None, "m")).member_id
    payload = b"x" * 40
    gc.collect()
    before = procs.resident()
    began = clock()
    for _ in range(queued):
        manager.request("a", (payload,))
    manager.census()  # until somebody asks for anything, requests are only noted
    grown = procs.resident() - before
    done = 0
    while done < queued:
        leases = manager.exchange(wire.Exchange(worker, want=batch)).leases
        outcomes = [Outcome(each.task_id, each.attempt, RESULT, [payload]) for each in leases]
        manager.exchange(wire.Exchange(worker, outcomes))
        done += len(leases)
    while done:
        done -= len(manager.collect(master, want=batch)[0])
    return (clock() - began) / queued, grown / queued


# -- workers -------------------------------------------------------------------------------------

#: Real processes, started a few at a time.
WORKERS = (1, 2, 4, 10, 20, 50, 100, 200, 400)
STEP = 25
#: Bytes of memory that must stay free for others.
SPARE = 2e9


def workers(most):
    """Cost of a tiny task against the number of worker processes.

    Each has about the same number of tasks to do: how many travel together depends on that.
    """
    curves = Curves(
        "growth-workers", "Cost of a tiny task with many workers", "worker processes",
        "us for each task",
    )  # fmt: skip
    with Master() as master:
        here = 0
        for there in (n for n in WORKERS if n <= most):
            while here < there:
                here = min(there, here + STEP)
                master.launch_workers(here - master.number_of_workers)
                wait_until(lambda n=here: master.number_of_workers >= n, f"{here} workers")
            if psutil.virtual_memory().available < SPARE:
                curves.remark(f"no more than {there} workers: the memory is full")
                break
            list(master.map(tasks.nap, [0.01] * (4 * there)))
            number = max(20_000, 1_000 * there)
            submitting, submitting_cpu = median_of(3, _submitting, master, number)
            mapping, mapping_cpu = median_of(3, _mapping, master, number)
            pids = [child.pid for child in psutil.Process().children(recursive=True)]
            curves.add(
                there,
                {
                    "submit": submitting,
                    "master's CPU": submitting_cpu,
                    "map": mapping,
                    "master's CPU, map": mapping_cpu,
                },
                {"tasks": number, "MB each": procs.memory(pids) / 1e6 / there},
            )
    return curves


def _submitting(master, number):
    def work():
        futures = [master.submit(tasks.tiny, i) for i in range(number)]
        return [future.result() for future in futures][-1]

    return timed(work, number)


def _mapping(master, number):
    return timed(lambda: list(master.map(tasks.tiny, range(number)))[-1], number)


# -- payloads ------------------------------------------------------------------------------------

#: Bytes, and how many tasks; the largest is as much as one message can carry.
PAYLOADS = {
    0: 2_000,
    1_000: 2_000,
    10_000: 1_000,
    100_000: 300,
    1_000_000: 100,
    10_000_000: 20,
    100_000_000: 4,
    999_000_000: 2,
}


def payloads(most):
    """Cost of a task, and of each of its bytes, against the size of an array that goes in and out.

    One at a time to one worker, so that nothing overlaps.
    """
    import numpy as np

    curves = Curves(
        "growth-payload", "Cost of a megabyte, in and out", "bytes in and out", "ms for each MB"
    )
    with Master(workers=1) as master:
        for size, number in PAYLOADS.items():
            if size > most:
                break
            if psutil.virtual_memory().available < 10 * size + SPARE:
                curves.remark(f"{size:,} bytes: the memory is too full")
                break
            array = np.zeros(size, dtype=np.uint8)
            try:
                seconds = median_of(max(3, number), _in_and_out, master, array)
            except Exception as error:
                curves.remark(f"{size:,} bytes: {type(error).__name__}: {error}")
                break
            costs = {"array": 1e9 * seconds / size} if size else {"array": None}
            curves.add(size, costs, {"us a task": 1e6 * seconds, "tasks": number})
    return curves


def _in_and_out(master, array):
    began = clock()
    result = master.submit(tasks.plus_one, array).result()
    seconds = clock() - began
    if result.nbytes != array.nbytes or (result.size and result[-1] != 1):
        raise SystemExit("wrong results")
    return seconds
