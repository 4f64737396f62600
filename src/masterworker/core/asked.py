"""Which tags were asked for, so that a task can be named after it has been forgotten."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

#: Least number of changes from one tag to another that are remembered.
REMEMBERED: Final = 50


class Asked:
    """The tags of all tasks, as runs: from which number on it was which."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._tags: list[str] = []
        #: Of the task that was asked for last; "" before the first.
        self.latest = ""

    def note(self, first: int, tag: str) -> None:
        """From this number on tasks have another tag."""
        if len(self._firsts) >= 2 * REMEMBERED:
            del self._firsts[:REMEMBERED], self._tags[:REMEMBERED]
        self._firsts.append(first)
        self._tags.append(tag)
        self.latest = tag

    def tag_of(self, number: int) -> str:
        """Return the tag of a task that was asked for; "": that was too long ago."""
        at = bisect_right(self._firsts, number)
        return self._tags[at - 1] if at else ""
