"""What can be said about workers that are launched, and how it is written."""

from __future__ import annotations

import sys
import time
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from masterworker import units
from masterworker.checking import seconds, whole_number
from masterworker.errors import UsageError
from masterworker.launch.health import can_measure
from masterworker.launch.output import MARKED, OUTPUTS
from masterworker.launch.resources import usable_cpus
from masterworker.launch.worker_limits import WorkerLimits
from masterworker.surroundings.python import HASH_SEED, Interpreter

if TYPE_CHECKING:
    from masterworker.security.ticket import Ticket

#: Variables by which numerical libraries choose their number of threads.
THREADS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)
#: More workers than this on one machine are taken for a slip.
MOST_WORKERS: Final = 10_000


class Spec(NamedTuple):
    """What the workers of one launch have in common."""

    label: str
    #: "host" or "host:port" of the master; None: look it up by the label.
    master: str | None
    #: The environment of their processes.
    environment: dict[str, str]
    limits: WorkerLimits = WorkerLimits()
    #: More memory than this ends a worker (bytes); None: any.
    memory_limit: int | None = None
    #: Workers log more.
    verbose: bool = False
    #: By which they join; None: they are this user's own.
    ticket: Ticket | None = None
    #: Path of the master's private socket, where that is known; else "".
    socket: str = ""
    interpreter: Interpreter = Interpreter()
    #: How what they write is shown: MARKED, PLAIN or NONE.
    output: str = MARKED


def environment(given: dict[str, str], workers: int, hash_seed: str = "") -> dict[str, str]:
    """Return the environment of worker processes: numerical libraries share the processors.

    Args:
        given: That of this process. If one of `THREADS` is set there, none is changed.
        workers: How many processes there will be.
        hash_seed: One for all workers of the job; "": that of this process, if any.
    """
    variables = dict(given)
    if hash_seed:
        variables[HASH_SEED] = hash_seed
    if not any(name in given for name in THREADS):
        threads = str(max(1, usable_cpus() // max(1, workers)))
        variables |= dict.fromkeys(THREADS, threads)
    return variables


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


def deadline_after(seconds: float | None) -> float | None:
    """Return when that is, by the monotonic clock."""
    return None if seconds is None else time.monotonic() + seconds
