"""What was asked for, executed and delivered: lines in files, which survive whoever wrote them.

Each process writes files of its own, a line with one write to a file that was opened for
appending; so there are no half lines, whenever a process is killed. Times are those of the
monotonic clock, which all processes of one machine share.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

_open: dict[tuple[str, int], int] = {}
_lock = threading.Lock()

#: Kinds of lines of a driver, and of a worker.
SUBMIT, DELIVER, FAIL, FAULT, MEMORY = "submit", "deliver", "fail", "fault", "memory"
START, END = "start", "end"


def note(folder: str | Path, who: str, kind: str, *fields: Any) -> None:
    """Write a line."""
    place = f"{folder}/{who}", os.getpid()
    with _lock:
        fd = _open.get(place)
        if fd is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            fd = _open[place] = os.open(f"{place[0]}-{place[1]}.log", flags, 0o600)
    os.write(fd, json.dumps([kind, time.monotonic(), *fields]).encode() + b"\n")


def lines(folder: str | Path) -> list[list[Any]]:
    """Read all lines of all processes, in the order of time.

    A line that is being written at this moment may be seen in part: it counts from its end on.
    """
    found = []
    for path in Path(folder).glob("*.log"):
        for line in path.read_bytes().split(b"\n")[:-1]:
            found.append(json.loads(line))
    return sorted(found, key=lambda line: line[1])


def close_all(folder: str | Path) -> None:
    """Close this process's files of a folder."""
    with _lock:
        for place in [place for place in _open if place[0].startswith(f"{folder}/")]:
            os.close(_open.pop(place))
