"""Cost of a task against the length of the queue it waits in, and memory for each queued task.

One process, no network: what the task manager itself costs to request, hand out, report and
collect a task, when 1,000 and when 1,000,000 tasks are queued at once.
"""

import gc
import time
from pathlib import Path

from masterworker import wire
from masterworker.manager import Manager

BATCH = 500


def resident():
    """Memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def measure(queued):
    """Return seconds for each task, and bytes for each task that is queued."""
    manager = Manager()
    worker = manager.join(wire.introduce("worker", ["a"], None, "w")).member_id
    master = manager.join(wire.introduce("master", [], None, "m")).member_id
    payload = b"x" * 40
    gc.collect()
    before = resident()
    began = time.perf_counter()
    for _ in range(queued):
        manager.request("a", (payload,))
    grown = resident() - before
    done = 0
    while done < queued:
        leases = manager.exchange(worker, want=BATCH).leases
        outcomes = [(task_id, attempt, 0, payload) for task_id, attempt, *_ in leases]
        manager.exchange(worker, outcomes)
        done += len(leases)
    while done:
        done -= len(manager.collect(master, want=BATCH)[0])
    return (time.perf_counter() - began) / queued, grown / queued


def main():
    print(f"{'queued':>12}{'us/task':>10}{'ratio':>8}{'bytes/task':>12}")
    base = None
    for queued in (1_000, 10_000, 100_000, 1_000_000):
        runs = [measure(queued) for _ in range(max(1, min(20, 100_000 // queued)))]
        seconds = sorted(run[0] for run in runs)[len(runs) // 2]
        base = base or seconds
        memory = f"{runs[-1][1]:12.0f}" if queued >= 100_000 else f"{'-':>12}"
        print(f"{queued:12,}{1e6 * seconds:10.2f}{seconds / base:8.2f}{memory}")


if __name__ == "__main__":
    main()
