"""Which tags a taker accepts, and which of the lanes with these tags comes first."""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

#: Tags that begin with this are calls of functions, which travel with the task: a process that
#: declares this mark can execute all of them.
CALL_MARK = "@"

#: What names a lane: a tag, or, for another priority than 0, a tag and the priority.
Key = str | tuple[str, int]


def tag_of(key: Key) -> str:
    """Return the tag of a lane."""
    return key if isinstance(key, str) else key[0]


class Ordered(Protocol):
    """What lanes are made of."""

    @property
    def order(self) -> int:
        """Its position. Smaller is earlier."""


class TagFilter:
    """The lanes that takers with one declaration of tags can use, in the order of their heads.

    Args:
        tags: What the takers declare. None: every tag that is not a call.
    """

    def __init__(self, tags: frozenset[str] | None) -> None:
        self.tags = tags
        #: How many takers and claims use it.
        self.users = 0
        #: (order of the lane's head, tag). An entry that `best` does not confirm is dead.
        self._heap: list[tuple[int, Key]] = []
        self._best: dict[Key, int] = {}

    def accepts(self, tag: str) -> bool:
        """Return whether takers with this filter may have items of this tag."""
        if tag.startswith(CALL_MARK):
            return self.tags is not None and (CALL_MARK in self.tags or tag in self.tags)
        return self.tags is None or tag in self.tags

    def offer(self, order: int, key: Key) -> None:
        """A lane has a new head."""
        self._best[key] = order
        heappush(self._heap, (order, key))
        if len(self._heap) > 2 * len(self._best) + 64:
            self._heap = [(best, name) for name, best in self._best.items()]
            heapify(self._heap)

    def forget(self, key: Key) -> None:
        """A lane has run empty."""
        self._best.pop(key, None)

    def first(self, lanes: Mapping[Key, Sequence[Ordered]]) -> tuple[Key, int | None] | None:
        """Name the lane whose head comes first.

        Returns:
            The lane, and the order up to which it may be taken before another lane comes first
            (None: no other lane); or None when every lane is empty.
        """
        heap, best = self._heap, self._best
        while heap:
            order, key = heap[0]
            if best.get(key) != order:
                heappop(heap)
                continue
            actual = lanes[key][0].order
            if actual != order:  # takers with another filter were here
                best[key] = actual
                heapreplace(heap, (actual, key))
                continue
            limit = min((entry[0] for entry in heap[1:3]), default=None)
            return key, limit
        return None

    def __repr__(self) -> str:
        tags = "any tag" if self.tags is None else f"tags {sorted(self.tags)}"
        return f"<TagFilter of {tags}, {self.users} users>"


class TagFilters:
    """The filters that are in use: one for each declaration of tags."""

    def __init__(self) -> None:
        self._filters: dict[frozenset[str] | None, TagFilter] = {}
        #: All of them, to be looked at.
        self.all: Collection[TagFilter] = self._filters.values()

    def __iter__(self) -> Iterator[TagFilter]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self._filters)

    def use(self, tags: frozenset[str] | None) -> tuple[TagFilter, bool]:
        """Count one more user of a filter; `release` it after use.

        Returns:
            The filter, and whether it is new.
        """
        is_new = tags not in self._filters
        found = self._filters.setdefault(tags, TagFilter(tags)) if is_new else self._filters[tags]
        found.users += 1
        return found, is_new

    def release(self, one: TagFilter) -> None:
        """Count one user less. A filter without users is forgotten."""
        one.users -= 1
        if not one.users:
            self._filters.pop(one.tags, None)
