"""What workers execute in the fault trials, written down at its beginning and its end."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults import deeds
from faults.records import END, START, note

if TYPE_CHECKING:
    from collections.abc import Callable


def recorded(folder: str, key: str, action: str, *args: Any) -> Any:
    """Execute an action of this module or of `deeds`.

    Returns:
        A number that no other execution returns, also of the same task; and the action's result,
        if it has one.
    """
    value = random.SystemRandom().getrandbits(52)
    pid = os.getpid()
    note(folder, "worker", START, key, pid, value)
    does: Callable[..., Any] = globals().get(action) or getattr(deeds, action)
    found = does(*args)
    note(folder, "worker", END, key, pid, value)
    return value if found is None else (value, found)


def nothing(*_: object) -> None:
    """Do nothing."""


def pause(seconds: float) -> None:
    """Take so long, without load."""
    threading.Event().wait(seconds)


def spin(seconds: float) -> None:
    """Take so long, with load."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def hold(path: str, seconds: float = 60.0) -> None:
    """Wait for a file."""
    end = time.monotonic() + seconds
    while not Path(path).exists():
        if time.monotonic() > end:
            raise TimeoutError(path)
        threading.Event().wait(0.01)


def slow_where(path: str, seconds: float, factor: float) -> None:
    """Take so long, or in the process whose id is in a file, many times as long."""
    slow = Path(path)
    mine = slow.exists() and slow.read_text(encoding="ascii") == str(os.getpid())
    pause(seconds * factor if mine else seconds)


def block(size: int) -> bytes:
    """Return so many bytes."""
    return bytes(size)
