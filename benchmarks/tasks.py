"""What the workers are asked to do: the same functions for all libraries, found by name."""

import math
import os
import time
from pathlib import Path


def tiny(i):
    return math.sqrt(i)


def nap(seconds):
    time.sleep(seconds)
    return seconds


def pid_after(seconds):
    """Which process was it?"""
    time.sleep(seconds)
    return os.getpid()


def plus_one(array):
    return array + 1


def take(array, i):
    return float(array[i])


def hold(gate):
    """Say so, and keep this worker busy until there is a byte for it in the named pipe."""
    Path(f"{gate}.{os.getpid()}").touch()
    with Path(gate).open("rb", buffering=0) as opened:
        return opened.read(1)
