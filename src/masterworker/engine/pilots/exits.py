"""The end of a program whose workers are in executors.

The interpreter waits for their threads before it calls what `atexit` knows, and in them are pilots,
which return when the job ends. So such jobs are ended first.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: What ends the jobs, by a number of their own.
_jobs: dict[int, Callable[[], None]] = {}


def add(number: int, end: Callable[[], None]) -> None:
    """Let a job end before the executors."""
    _jobs[number] = end


def remove(number: int) -> None:
    """It has ended."""
    _jobs.pop(number, None)


def come_first() -> None:
    """End the jobs before whatever has been registered up to now; loky does that when it begins."""
    with contextlib.suppress(RuntimeError):  # the program ends just now
        threading._register_atexit(end_all)  # type: ignore[attr-defined]  # as `concurrent.futures`


def end_all() -> None:
    """End these jobs. Can be called twice."""
    for end in list(_jobs.values()):
        end()
