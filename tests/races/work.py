"""What the worker of the race hunt executes: it counts, and may wait. In the same process."""

from __future__ import annotations

import threading
from collections import Counter

#: How often each call was executed.
runs: Counter[int] = Counter()
#: Closed calls wait until it is open.
gate = threading.Event()

#: No call waits longer (seconds).
LONG = 60.0


def execute(number: int) -> int:
    """Return the number."""
    runs[number] += 1
    return number


def wait_and_execute(number: int) -> int:
    """Return the number when the gate is open."""
    runs[number] += 1
    gate.wait(LONG)
    return number
