"""Checks of what callers say about the workers that are to be launched."""

from __future__ import annotations

import sys
from math import inf
from typing import Final

from masterworker import units
from masterworker.checking import seconds, whole_number
from masterworker.errors import UsageError
from masterworker.launch.health import can_measure
from masterworker.launch.output import OUTPUTS
from masterworker.launch.resources import usable_cpus

#: More workers than this on one machine are taken for a slip.
MOST_WORKERS: Final = 10_000


def number_of_workers(number: int | str) -> int:
    """Check a number of workers; "auto" is one for each processor that may be used.

    Raises:
        UsageError: It is neither.
    """
    if number == "auto":
        return usable_cpus()
    what = f'workers must be a number that is not negative (at most {MOST_WORKERS:,}), or "auto"'
    return whole_number(number, what, 0, MOST_WORKERS)


def check_limits(max_tasks: int | None, *times: float | None) -> None:
    """Refuse numbers that make no sense.

    Raises:
        UsageError: One of them is not positive.
    """
    number_of_tasks(max_tasks)
    for value in times:
        span(value)


def number_of_tasks(number: int | None) -> int | None:
    """Return a maximum of tasks; None: none.

    Raises:
        UsageError: It is none.
    """
    if number is None:
        return None
    what = "max_tasks: a worker must execute 1 task at least"
    return whole_number(number, what, 1, sys.maxsize)


def span(value: float | None) -> float | None:
    """Return a span of time in seconds; None: none.

    Raises:
        UsageError: It is not above 0, or endless.
    """
    if value is None:
        return None
    what = "a time must be more than 0 seconds"
    if (found := seconds(value, what, above=0.0)) == inf:
        raise UsageError(f"{what}, and not endless; leave it out")
    return found


def output_kind(value: str) -> str:
    """Check how what workers write is to be shown.

    Raises:
        UsageError: It is none of the ways.
    """
    if value not in OUTPUTS:
        raise UsageError(f'output must be "marked", "plain" or "none", not {value!r}')
    return value


def memory_size(text: int | str | None) -> int | None:
    """Return a limit of memory in bytes; see `units.size`. None: none.

    Raises:
        UsageError: It is none, leaves nothing, or this system does not say how much a process has.
    """
    if text is None:
        return None
    size = units.size(text)
    if size < 1:
        raise UsageError(f"a memory limit of {text!r} leaves nothing")
    if not can_measure():
        raise UsageError("memory limits need /proc, which this system does not have")
    return size
