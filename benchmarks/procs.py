"""The processes of one measurement: found by a mark in their environment, measured, ended."""

import contextlib
import os
import resource
import signal
import time
from pathlib import Path

#: The variable that marks them; whatever they start inherits it.
MARK = "MASTERWORKER_BENCHMARK"


def marked(tag):
    """Return the pids of all processes that carry a mark, and of all that they have started."""
    needle = f"{MARK}={tag}".encode()
    found, children = set(), {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            parent = (entry / "stat").read_bytes().rpartition(b")")[2].split()[1]
            children.setdefault(int(parent), []).append(pid)
            if needle in (entry / "environ").read_bytes().split(b"\0"):
                found.add(pid)
    todo = list(found)
    while todo:
        fresh = set(children.get(todo.pop(), ())) - found
        found |= fresh
        todo += fresh
    return found


def memory(pids):
    """Bytes of memory; pages that several processes share are counted once (PSS)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def resident():
    """Bytes of resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def peak():
    """Bytes of resident memory that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def end(tag, patience):
    """Kill what carries the mark and has not ended in time. Returns how many those were."""
    limit = time.monotonic() + patience
    while (left := marked(tag)) and time.monotonic() < limit:
        time.sleep(0.05)
    number = len(left)
    while left:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reap()
        time.sleep(0.05)
        left = marked(tag)
    return number


def reap():
    """Forget children that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
