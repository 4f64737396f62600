"""Results that have come and that nobody has opened yet: how many bytes they are.

Where a program asks for more than it picks up, results pile up in its memory. Beyond a bound
nothing more is handed out until some have been picked up. Small ones are not counted one by one:
that would cost more than they weigh.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from masterworker.core.task import RESULT, Large
from masterworker.data.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from masterworker.core.task import Outcome

#: Results of so many bytes or less are not counted.
SMALL: Final = 2048
#: If nobody says something else, so large a part of the memory that may be used is the bound.
SHARE: Final = 4


class Pile:
    """Counts results from their arrival until nobody refers to them any more.

    Used with the manager's lock held, but for the last step: results go whenever they go.

    Args:
        bound: So many bytes are too many; None: see `SHARE`.
    """

    def __init__(self, bound: int | None = None) -> None:
        self._bound = bound
        self._bytes = 0
        #: Sizes of those that have gone and are still counted.
        self._gone: deque[int] = deque()

    def count(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Count what has come. Returns the same, with what tells when it goes."""
        for outcome in outcomes:
            payload = outcome.payload
            if payload.__class__ is bytes and len(payload) <= SMALL:  # most are
                continue
            if outcome.kind == RESULT and _is_counted(payload):
                return list(self._counted(outcomes))
        return outcomes

    @property
    def size(self) -> int:
        """How many bytes there are."""
        while self._gone:
            self._bytes -= self._gone.popleft()
        return self._bytes

    def __bool__(self) -> bool:
        return self._bytes > 0

    def is_high(self) -> bool:
        """Tell whether there are too many."""
        return self._bytes > 0 and self.size > self.bound

    @property
    def bound(self) -> int:
        """How many bytes are too many."""
        if self._bound is None:
            from masterworker.launch.resources import memory_limit

            there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
            self._bound = min(there, memory_limit() or there) // SHARE
        return self._bound

    def _counted(self, outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
        for outcome in outcomes:
            payload = outcome.payload
            if outcome.kind != RESULT or not _is_counted(payload):
                yield outcome
            elif isinstance(payload, list):
                one_by_one: list[Any] = list(map(self._add, payload))
                yield replace(outcome, payload=one_by_one)
            else:
                yield replace(outcome, payload=self._add(payload))

    def _add(self, payload: Any) -> Any:
        if isinstance(payload, bytes):
            if len(payload) <= SMALL:
                return payload
            payload = Segment(len(payload), data=payload)
        if isinstance(payload, Large):
            self._bytes += len(payload)
            payload.tell_end(self._gone.append)
        return payload


def _is_counted(payload: object) -> bool:
    if isinstance(payload, bytes):
        return len(payload) > SMALL
    return isinstance(payload, Large) or (
        isinstance(payload, list) and max(map(len, payload), default=0) > SMALL
    )
