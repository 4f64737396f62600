"""Bounds: of an execution (its time limit, which failures may be tried again), and of a worker."""

from __future__ import annotations

import contextlib
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from masterworker.core.hand import MAX_WANT
from masterworker.data.pickling import loads
from masterworker.errors import TaskTimeout
from masterworker.launch.scoreboard import AGAIN, DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.core.options import Terms
    from masterworker.launch.process_context import ProcessContext

#: A worker that has to be gone at some time takes only what should be done this long before.
MARGIN = 0.5
#: A wait for an outcome ends this long after the time of the task that waits is up (seconds).
TIME_IS_UP = 0.2
#: Most different choices of exceptions that are kept ready.
KEPT_CHOICES = 64


def begin(terms: Terms, board: memoryview) -> None:
    """A task with a time limit, perhaps, is about to be executed: note when its time is up."""
    timeout = terms[0]
    if timeout is not None:
        board[AGAIN] = may_be_tried_again(TaskTimeout, terms)
        board[DEADLINE] = time.monotonic_ns() + int(timeout * 1e9)


def most(context: ProcessContext, done: int, task_seconds: float) -> int:
    """Return how many tasks a worker may ask for; 0: it is time to leave.

    Args:
        context: Has its bounds. Takes note if they are the reason to leave.
        done: How many it has executed.
        task_seconds: How long they usually take; 0.0 if that is not known.
    """
    want, bounds = MAX_WANT, context.limits
    if bounds.max_tasks is not None:
        want = min(want, bounds.max_tasks - done)
        if want < 1:
            context.is_recycled = True
    if bounds.deadline is not None:
        left = bounds.deadline - time.monotonic() - MARGIN
        fit = left / task_seconds if task_seconds else left * MAX_WANT
        want = min(want, max(0, int(fit)))
    return want


def shorter(wait: float, now: float, board: memoryview) -> float:
    """Return how long to wait for something (seconds) if the time of the task that waits counts."""
    deadline = board[DEADLINE]
    return min(wait, max(0.0, deadline / 1e9 - now) + TIME_IS_UP) if deadline else wait


@contextlib.contextmanager
def suspended(board: memoryview) -> Iterator[None]:
    """Within this the limit of the task that waits does not end one that is executed inside it."""
    deadline, again = board[DEADLINE], board[AGAIN]
    board[DEADLINE] = 0
    try:
        yield
    finally:
        if deadline:  # if it has passed meanwhile, its grace begins now
            board[DEADLINE] = max(deadline, time.monotonic_ns())
        board[AGAIN] = again


def may_be_tried_again(kind: type[BaseException], terms: Terms | None) -> bool:
    """Return whether a failure with this exception may be followed by another attempt.

    A time limit is an `OSError` only because every `TimeoutError` is one: a choice of that means
    the network and the disk, and a task that hangs would do so again, for as long.
    """
    if terms is None or terms[1] is None or not issubclass(kind, Exception):
        return False
    chosen = _chosen(terms[1]) if terms[1] else (Exception,)
    if issubclass(kind, TaskTimeout):
        chosen = tuple(each for each in chosen if each is not OSError)
    return issubclass(kind, chosen)


@lru_cache(KEPT_CHOICES)
def _chosen(pickled: bytes) -> tuple[type[BaseException], ...]:
    chosen: Any = loads(pickled)
    return tuple(chosen)
