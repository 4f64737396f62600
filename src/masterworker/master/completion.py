"""Futures in the order in which their outcomes come: `Master.as_completed`."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from masterworker.checking import time_limit
from masterworker.errors import UsageError
from masterworker.master.future import Future

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from masterworker.master.results import ResultRouter


def as_completed(
    router: ResultRouter, futures: Iterable[Future], timeout: float | None
) -> Iterator[Future]:
    """Iterate over futures as their outcomes come; see `Master.as_completed`."""
    limit = time_limit(timeout)
    return _in_order_of_arrival(router, _own(router, futures), limit)


def _own(router: ResultRouter, futures: Any) -> set[Future]:
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
        if not future.is_of(router):
            raise UsageError(f"as_completed: {future!r} is of another master")
    return set(found)


def _in_order_of_arrival(
    router: ResultRouter, pending: set[Future], timeout: float | None
) -> Iterator[Future]:
    end = None if timeout is None else time.monotonic() + timeout
    arrived: deque[Future] = deque()
    watcher = arrived.append
    try:
        for future in pending:
            future.watchers += (watcher,)
        arrived.extend(future for future in pending if future.done())
        while pending:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not router.wait_until(lambda: bool(arrived), left):
                number = len(pending)
                count = "1 task is" if number == 1 else f"{number} tasks are"
                raise TimeoutError(f"{count} not done after {timeout:g} s")
            future = arrived.popleft()
            if future in pending:
                pending.remove(future)
                yield future
    finally:
        for future in pending:
            future.watchers = tuple(w for w in future.watchers if w is not watcher)
