"""Which stream of random numbers each task has, so that a task's story can name it.

A stream is named as in NumPy's `SeedSequence(seed, spawn_key=key)`: O'Neill, "Developing a seed_seq
Alternative", 2015, and NumPy's documentation on parallel random number generation.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from masterworker.named import NamedTuple

#: The numbers in a key are below this: NumPy makes one word of 32 bits of each, and two of a larger
#: one, which would be the key of another stream. The last one is the begin of further keys.
LAST: Final = (1 << 32) - 1
#: Least number of entries that a table keeps. It has more than one for tasks in a row where several
#: threads, or seeds, ask in turn.
REMEMBERED: Final = 10_000


class Stream(NamedTuple):
    """The name of a stream of random numbers."""

    seed: int
    key: tuple[int, ...]

    def child(self, number: int) -> Stream:
        """Return the stream with a further number in its key."""
        return Stream(self.seed, (*self.key, number))


def stream_of_run(run: str, task_id: int) -> Stream:
    """Return the stream of a task that was asked for without a seed.

    Args:
        run: The name of the run of the manager, in hexadecimal digits: 128 random bits.
        task_id: The number inside of the task.
    """
    return Stream(int(run, 16), (task_id - 1,))


class _Range(NamedTuple):
    """Tasks in a row, whose streams are numbered in a row as well."""

    first: int
    end: int
    parent: Stream
    begin: int


class StreamTable:
    """The streams of the tasks that were asked for with a seed. One entry for tasks in a row.

    Entries may be added by several threads, so the last ones may be out of order. The oldest are
    forgotten when there are many.
    """

    def __init__(self) -> None:
        self._ranges: list[_Range] = []
        #: The number inside of the first task of which it is known whether it has an entry.
        self.known_from = 0

    def note(self, first: int, number: int, parent: Stream, begin: int) -> None:
        """Tasks were asked for.

        Args:
            first: The number inside of the first one.
            number: The number of tasks; their ids count up.
            parent: Their streams are its children,
            begin: from this one on.
        """
        ranges, added = self._ranges, _Range(first, first + number, parent, begin)
        if ranges:
            last = ranges[-1]
            follows = last.end == first and last.begin + last.end - last.first == begin
            if follows and last.parent == parent:
                ranges[-1] = last._replace(end=added.end)
                return
            if last.first > first:
                ranges.insert(bisect_right(ranges, added), added)
                return
        if len(ranges) >= 2 * REMEMBERED:
            self.known_from = ranges[REMEMBERED].first
            del ranges[:REMEMBERED]
        ranges.append(added)

    def find(self, task_id: int) -> Stream | None:
        """Return the stream of a task; None: it was asked for without a seed, or is forgotten."""
        at = bisect_right(self._ranges, task_id, key=lambda each: each.first) - 1
        if at < 0 or task_id >= self._ranges[at].end:
            return None
        found = self._ranges[at]
        return found.parent.child(found.begin + task_id - found.first)

    def story(self, task_id: int, run: str) -> list[str]:
        """Name the stream of a task, if it has one.

        Args:
            task_id: The number inside of the task.
            run: The name of the run, which names the streams of calls without a seed; "": it is no
                call.
        """
        stream = self.find(task_id)
        if run and task_id < self.known_from:
            return ["its random numbers: that was too long ago"]
        if stream is None and run:
            stream = stream_of_run(run, task_id)
        if stream is None:
            return []
        return [f"its random numbers: seed {stream.seed}, key {stream.key}"]
