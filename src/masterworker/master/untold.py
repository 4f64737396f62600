"""Which calls of a `map` with a journal have outcomes of which the program was not told.

Where the `map` ends early, later calls get their numbers: see `journal.occurrences`.
"""

from __future__ import annotations

from collections import deque
from operator import length_hint
from typing import TYPE_CHECKING, Any

from masterworker.master.batch import TAKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from masterworker.master.batch import Batch


class Untold:
    """The calls of one `map` whose outcomes were not yielded. For one thread at a time.

    Args:
        give_back: Takes the keys and digests of such calls.
    """

    def __init__(self, give_back: Callable[[list[bytes], list[bytes]], object]) -> None:
        self._give_back = give_back
        #: The keys and digests of what was drawn, and not asked for yet.
        self.rest: tuple[list[bytes], list[bytes]] = [], []
        #: Those that may have such calls, in their order.
        self._batches: deque[Batch] = deque()
        #: Values that are taken, and are being yielded; and the place behind the last of them.
        self._values: Iterator[Any] = iter(())
        self._end = 0
        self._batch: Batch | None = None

    def asked(self, batch: Batch) -> None:
        """A batch was asked for."""
        batches = self._batches
        while batches and all(outcome is TAKEN for outcome in batches[0].outcomes):
            batches.popleft()
        batches.append(batch)

    def yielding(self, values: list[Any], batch: Batch, end: int) -> Iterator[Any]:
        """Return values that are about to be yielded one by one.

        Args:
            values: Values that came as one.
            batch: The batch that they are of.
            end: The place in that which is behind the last of them.
        """
        self._values, self._batch, self._end = iter(values), batch, end
        return self._values

    def give_back(self) -> None:
        """None of them is wanted any more, and what has no outcome was cancelled."""
        keys, digests = self.rest
        self.rest = [], []
        for batch in self._batches:
            left = [at for at, outcome in enumerate(batch.outcomes) if outcome is not TAKEN]
            self._add(batch, left, keys, digests)
        if self._batch is not None:
            left = [*range(self._end - length_hint(self._values), self._end)]
            self._add(self._batch, left, keys, digests)
        self._batches.clear()
        self._batch = None
        if keys:
            self._give_back(keys, digests)

    def _add(
        self, batch: Batch, places: list[int], keys: list[bytes], digests: list[bytes]
    ) -> None:
        if batch.named is not None:
            keys += [batch.named[0][at] for at in places]
            digests += [batch.named[1][at] for at in places]
