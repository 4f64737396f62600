"""Futures in the order in which their outcomes come: `Master.as_completed`."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from masterworker.awaits.iterators import NOT_YET, Pauses, Results
from masterworker.checking import time_limit
from masterworker.deadline import Deadline
from masterworker.errors import Terminated, UsageError
from masterworker.master.future import ENDED, Future, T

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from masterworker.master.results import ResultRouter


def as_completed(
    router: ResultRouter, futures: Iterable[Future[T]], timeout: float | None
) -> Results[Future[T]]:
    """Iterate over futures as their outcomes come; see `Master.as_completed`."""
    limit = time_limit(timeout)
    pending = _own(router, futures)
    pauses = Pauses(router)
    generator = _in_order_of_arrival(router, pauses, pending, limit, Deadline(limit))
    describe = lambda: f"as_completed: {len(pending)} futures not yielded yet"  # noqa: E731
    return Results(generator, describe, pauses)


def _own(router: ResultRouter, futures: Any) -> set[Future[Any]]:
    """Check what is to be waited for: a wait for anything else would be in vain."""
    if isinstance(futures, Future):
        raise UsageError("as_completed takes several futures, as a list, not a single one")
    try:
        found = list(futures)
    except TypeError:
        raise UsageError(f"as_completed takes a list of futures, not {futures!r}") from None
    for future in found:
        if not isinstance(future, Future):
            raise UsageError(
                f"as_completed takes futures, as submit() returns them, not {future!r} "
                f"(of type {type(future).__name__})"
            )
        if future._router is not router:
            raise UsageError(f"as_completed: {future!r} is of another master")
    return set(found)


def _in_order_of_arrival(
    router: ResultRouter,
    pauses: Pauses,
    pending: set[Future[T]],
    timeout: float | None,
    deadline: Deadline,
) -> Generator[Future[T]]:
    arrived: deque[Future[T]] = deque()
    watcher = arrived.append
    try:
        for future in pending:
            future._watch(watcher)
        router.picking_up(asking=True)
        while pending:
            if pauses.leave_to_loop(lambda: bool(arrived), deadline.left()):
                yield NOT_YET
                continue
            if not router.wait_until(lambda: bool(arrived), deadline.left()):
                number = len(pending)
                count = "1 task is" if number == 1 else f"{number} tasks are"
                raise TimeoutError(f"{count} not done after {timeout:g} s")
            future = arrived.popleft()
            pending.discard(future)
            if future._outcome is ENDED:
                raise Terminated("the job is over")
            yield future
    finally:
        for future in pending:
            future._unwatch(watcher)
