"""What is not written yet and not waited for: it goes along with the next group, or soon."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from masterworker.journal.records import Asked, Waits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from masterworker.journal.records import Entry


class Noted:
    """Tasks that were asked for. Thread-safe: to add some is one step.

    Args:
        open_keys: Their keys, by their ids.
    """

    def __init__(self, open_keys: Mapping[int, bytes]) -> None:
        self._open_keys = open_keys
        #: The first id, the tag, and how many.
        self.items: deque[tuple[int, str, int]] = deque()
        #: Workers that come and go: the names of their clients.
        self.workers: deque[tuple[str, bool]] = deque()

    def __bool__(self) -> bool:
        return bool(self.items or self.workers)

    def take(self) -> list[Entry]:
        """Return records of what has been noted, without what has its outcome already."""
        items, key_of = self.items, self._open_keys.get
        workers = self.workers
        if len(items) == 1 and items[0][2] == 1 and not workers:  # as between round trips
            first, tag, _ = items.popleft()
            key = key_of(first)
            return [] if key is None else [Asked(first, tag, key)]
        records: list[Entry] = [Waits(*workers.popleft()) for _ in range(len(workers))]
        begin, known, keys = 0, "", list[bytes]()
        for _ in range(len(items)):
            first, tag, number = items.popleft()
            for task_id in range(first, first + number):
                key = key_of(task_id)
                if key is None:
                    continue
                if keys and (task_id != begin + len(keys) or tag != known):
                    records.append(Asked(begin, known, b"".join(keys)))
                    keys = []
                if not keys:
                    begin, known = task_id, tag
                keys.append(key)
        if keys:
            records.append(Asked(begin, known, b"".join(keys)))
        return records
