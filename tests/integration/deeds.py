"""What the workers of the tests of options execute. A module, so that they can import it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from pathlib import Path

NEVER = threading.Event()


def double(x: int) -> int:
    return 2 * x


def idle(seconds: float) -> bool:
    return NEVER.wait(seconds)


def hang(started: str) -> None:
    """Waits for ever, in a way that a signal interrupts."""
    Path(started).touch()
    NEVER.wait()


def hang_deaf(started: str) -> None:
    """Waits for ever, and holds the interpreter lock: no signal is handled."""
    Path(started).touch()
    ctypes.PyDLL(None).sleep(1000)


def hang_stubborn(started: str) -> None:
    """Waits for ever, and swallows whatever interrupts it."""
    Path(started).touch()
    while True:
        with contextlib.suppress(BaseException):
            NEVER.wait()


def mark(path: str) -> int:
    """Adds a line to a file, and tells how many it has."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len(Path(path).read_text().splitlines())


def fail_until(path: str, times: int, kind: type[Exception] = ValueError) -> int:
    """Fails so many times, and then tells how often it was called."""
    number = mark(path)
    if number <= times:
        raise kind(f"attempt {number}")
    return number


def pid() -> int:
    return os.getpid()
