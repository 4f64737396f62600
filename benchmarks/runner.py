"""Runs every (library, workload, repeat) in a fresh process, in turn, each with a limit."""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import procs
from benchmarks.one import BORN
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).resolve().parent.parent
#: From here on a run is remarked as noisy: the share of the processors that others used.
NOISY = 0.12
#: Seconds in which everything must have ended by itself after the figures are there.
PATIENCE = 2.0
#: Seconds to wait at most for a quiet machine before a run, and what counts as quiet.
CALM, QUIET = 2.0, 0.15

_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Cell:
    """One library with one workload."""

    library: str
    workload: str
    tasks: int


def run_all(cells, repeat, tell, limit=None):
    """Measure each cell this many times, in turn. Returns the records, as they can be stored.

    `limit`, in seconds, takes the place of the workloads' own. A cell that failed at its limit, or
    cannot be measured at all, is not tried again.
    """
    # Processes whose parents have ended become ours, so that their time is known.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and the run that is going on ends
    records, closed = [], set()
    for turn in range(repeat):
        for cell in cells:
            if cell not in closed:
                seconds = limit or WORKLOADS[cell.workload].limit
                found = run(cell, f"{os.getpid()}-{len(records)}", seconds)
                record = {**vars(cell), "turn": turn, **found}
                records.append(record)
                tell(record)
                if "skipped" in record or record.get("late"):
                    closed.add(cell)
    return records


def run(cell, tag, limit):
    """Measure once. Returns figures, or why there are none; and the noise."""
    _wait_for_quiet()
    with tempfile.TemporaryDirectory(prefix="mwb", ignore_cleanup_errors=True) as folder:
        path, log = Path(folder, "found"), Path(folder, "log")
        command = [sys.executable, "-m", "benchmarks.one", cell.library, cell.workload]
        busy, own, began = _busy(), _own(), time.monotonic()
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, str(cell.tasks), str(path)],
                cwd=folder,
                env=_environment(tag, began),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
            late = False
            try:
                process.wait(limit)
            except subprocess.TimeoutExpired:
                late = True
            except BaseException:  # Ctrl-C, or told to end
                procs.end(tag, 0.0)
                raise
            left = procs.end(tag, 0.0 if late else PATIENCE)
            process.wait()
        procs.reap()
        took = time.monotonic() - began
        foreign = (_busy() - busy - _own() + own) / took / os.cpu_count()
        record = {"seconds": round(took, 2), "foreign": round(max(0.0, foreign), 3)}
        return record | _found(path, log, process.returncode, limit if late else None, left)


def _found(path, log, status, limit, left):
    if path.exists():
        found = json.loads(path.read_text())
        if limit is not None and "figures" in found:
            found["remark"] = "did not end by itself"
            found["late"] = True
        elif left and "figures" in found:
            found["remark"] = f"left {left} processes behind"
        return found
    if limit is not None:
        return {"failed": f"not done within {limit:.0f} s", "late": True}
    lines = log.read_text(errors="replace").splitlines()
    return {"failed": f"ended with {status}: {lines[-1] if lines else 'no message'}"[:300]}


def _environment(tag, born):
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        # Open MPI looks for its own programs there.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        procs.MARK: tag,
        BORN: repr(born),
    }


def _busy():
    """Seconds that the processors of this machine have worked for."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system + times.irq + times.softirq


def _own():
    """Seconds that they have worked for our children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wait_for_quiet():
    end = time.monotonic() + CALM
    while psutil.cpu_percent(0.1) / 100 > QUIET and time.monotonic() < end:
        pass
