"""Back-pressure: no more tasks are handed out while too many results are not picked up.

Where a program asks for more than it picks up, results fill its memory. Beyond a bound nothing more
is handed out until some have been picked up. Small ones are not counted one by one: that would cost
more than they weigh.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from masterworker.core.chunks import Chunk
from masterworker.core.task import RESULT, Large

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence, Sized
    from typing import TypeGuard

    from masterworker.core.scheduler import Scheduler
    from masterworker.core.task import Outcome, Payload, Payloads

#: Results of this size or less are not counted (bytes).
SMALL: Final = 2048
#: A caller that polled counts as waiting for this long (seconds).
ASKED: Final = 2.0


class BackPressure:
    """Counts results from their arrival until nothing refers to them any more.

    Used with the manager's lock held, but for the last step: results go whenever they go.

    Args:
        bound: Returns how many bytes are too many.
        wrap: Makes a large payload of bytes, so that their end can be noticed.
    """

    def __init__(self, bound: Callable[[], int], wrap: Callable[[bytes], Large]) -> None:
        self._bound, self._wrap = bound, wrap
        self._bytes = 0
        #: Sizes of those that have gone and are still counted.
        self._gone: deque[int] = deque()
        #: Threads of the master that wait for outcomes.
        self.sleepers: Sized = ()
        #: Outcomes cannot be kept for want of room on the disk.
        self.stalled = False
        #: Workers are about to come back, perhaps with what would be handed out.
        self.expecting = False
        #: When a caller last asked for an outcome that was not there, instead of waiting for it.
        self.asked = -inf

    def count(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Count what has come. Returns the same, such that it reports when it goes."""
        for outcome in outcomes:
            if outcome.kind == RESULT and _is_counted(outcome.payloads):
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
        """Return whether there are too many bytes."""
        return self._bytes > 0 and self.size > self._bound()

    def decide(self, core: Scheduler, executing: Callable[[], bool], now: float) -> bool:
        """Return whether tasks are to be held back.

        A caller that waits for an outcome may wait for one that has not been handed out: so if no
        worker executes anything any more, more is handed out however high the pile is.

        Args:
            core: The scheduler, for the claims that wait for outcomes.
            executing: Returns whether a worker executes a task.
            now: Seconds on the manager's clock.
        """
        if self.stalled or self.expecting:
            return True
        if not self.is_high():
            return False
        if self.sleepers or core.results.claims or now - self.asked < ASKED:
            return executing()
        return True

    # -- inside -----------------------------------------------------------------------------

    def _counted(self, outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
        for outcome in outcomes:
            if outcome.kind == RESULT and _is_counted(outcome.payloads):
                yield replace(outcome, payloads=list(map(self._add, outcome.payloads)))
            else:
                yield outcome

    def _add(self, payload: Any) -> Any:
        if isinstance(payload, bytes):
            if len(payload) <= SMALL:
                return payload
            payload = self._wrap(payload)
        if isinstance(payload, Large):
            self._bytes += len(payload)
            payload.tell_end(self._gone.append)
        return payload


def _is_counted(payloads: Payloads) -> TypeGuard[Sequence[Payload]]:
    """Return whether results are counted: any of them is not small. A chunk never is."""
    return not isinstance(payloads, Chunk) and max(map(len, payloads), default=0) > SMALL
