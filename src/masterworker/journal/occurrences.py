"""Numbers of calls that are alike, in the order of the program and not in that of time.

A `map` draws further ahead of its results the faster these come. Where it ends early, the numbers
of calls whose outcomes the program has not been given go to calls that it makes later: so these
have the same numbers in each run.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter, deque
from typing import TYPE_CHECKING

from masterworker import forks
from masterworker.journal.records import KEY

if TYPE_CHECKING:
    from collections.abc import Sequence


class Occurrences:
    """Tells calls apart that are alike: by the how-manieth of its kind each is in this program.

    About 130 bytes for each kind of call. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = forks.lock()
        #: The numbers of each kind from 0 to this one are taken, without those that are free.
        self._seen: dict[bytes, int] = {}
        self._free: dict[bytes, list[int]] = {}
        self._returned: deque[tuple[Sequence[bytes], Sequence[bytes]]] = deque()
        #: The keys of what was given back: of some of them there may be outcomes.
        self._before: set[bytes] = set()

    def keys(self, digests: Sequence[bytes]) -> list[bytes]:
        """Return the keys of calls.

        Args:
            digests: Of their functions and parameters.
        """
        with self._lock:
            if self._returned:
                self._take_back()
            seen = self._seen
            fresh = dict.fromkeys(digests, 1)
            if len(fresh) == len(digests) and seen.keys().isdisjoint(fresh):
                seen.update(fresh)
                return list(fresh)
            return [self._key(digest) for digest in digests]

    def key(self, digest: bytes) -> bytes:
        """Return the key of one call."""
        with self._lock:
            if self._returned:
                self._take_back()
            return self._key(digest)

    @property
    def any_before(self) -> bool:
        """Whether calls were given back, of some of which there may be outcomes."""
        return bool(self._before)

    def asked_before(self, keys: Sequence[bytes]) -> list[bytes]:
        """Return which of these keys calls have had that were given back. Says so once."""
        if not self._before:
            return []
        with self._lock:
            found = [key for key in keys if key in self._before]
            self._before.difference_update(found)
            return found

    def give_back(self, keys: Sequence[bytes], digests: Sequence[bytes]) -> None:
        """Let later calls have the numbers of these, of which the program knows nothing.

        One step, which takes no lock: the collector of garbage may call it, in any thread.
        """
        self._returned.append((keys, digests))

    # -- inside -----------------------------------------------------------------------------

    def _key(self, digest: bytes) -> bytes:
        if free := self._free.get(digest):
            number = heapq.heappop(free)
            if not free:
                del self._free[digest]
            return _name(digest, number)
        number = self._seen.get(digest, 0)
        self._seen[digest] = number + 1
        return _name(digest, number)

    def _take_back(self) -> None:
        """Find the numbers of what was given back."""
        while self._returned:
            keys, digests = self._returned.popleft()
            wanted = set(keys)
            self._before |= wanted
            for digest, times in Counter(digests).items():
                free, number = set(self._free.get(digest, ())), self._seen.get(digest, 0)
                most = len(free) + times
                while number and len(free) < most:
                    number -= 1
                    if _name(digest, number) in wanted:
                        free.add(number)
                self._let_go(digest, free)

    def _let_go(self, digest: bytes, free: set[int]) -> None:
        """Numbers of a kind are free; keep nothing of those above which none is taken."""
        seen = self._seen.pop(digest, 0)
        self._free.pop(digest, None)
        while seen - 1 in free:
            seen -= 1
        if seen:
            self._seen[digest] = seen
        if left := sorted(number for number in free if number < seen):
            self._free[digest] = left


def _name(digest: bytes, number: int) -> bytes:
    if not number:
        return digest
    return hashlib.blake2b(digest + number.to_bytes(8, "little"), digest_size=KEY).digest()
