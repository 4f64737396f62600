"""Whether this thread executes a task, and calls as further tasks of it where it does."""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING, Any, TypeVar

from masterworker.launch.process_context import this_process
from masterworker.worker.nested import AHEAD
from masterworker.worker.worker import Worker, engine_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


def worker_here() -> Worker | None:
    """Return the worker whose task this thread executes; None: it executes none."""
    worker = this_process.worker
    return worker if isinstance(worker, Worker) and engine_of(worker).depth is not None else None


def starmap_here(
    function: Callable[..., T], rows: Iterable[tuple[Any, ...]], ahead: int | None = None
) -> Iterator[T]:
    """Call a function for each row: as further tasks where a task is executed, else here.

    Args:
        function: What is called.
        rows: Its arguments.
        ahead: At most this many are under way, or done and not taken; None: as `Worker.map`.
    """
    worker = worker_here()
    if worker is None:
        return starmap(function, rows)
    return engine_of(worker).nested.starmap(function, rows, ahead or AHEAD)
