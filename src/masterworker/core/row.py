"""A lease of several tasks while a worker has it in its hands.

The main thread executes its tasks one after the other, while the courier may deliver what is done
and give back what has not been begun. Each of them takes from one end of a deque, which is atomic,
so no task is with both.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from masterworker.core.task import RESULT, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker.core.task import Lease, Payload


class Row:
    """Tasks in a row, to be executed one by one.

    Args:
        lease: All of them; its payload is a list.
    """

    __slots__ = (
        "_sent",
        "attempt",
        "begun",
        "dropped",
        "executing",
        "first",
        "last",
        "mixed",
        "over",
        "results",
        "tag",
        "todo",
    )

    def __init__(self, lease: Lease) -> None:
        payloads: Sequence[bytes] = lease[3]  # type: ignore[assignment]  # a list
        self.first, self.attempt, self.tag = lease[0], lease[1], lease[2]
        #: The last one that has not been given back.
        self.last = self.first + len(payloads) - 1
        #: Parameters of what has not been begun. The main thread takes from the left.
        self.todo = deque(payloads)
        #: What has been done, from the first on: a result; kind and payload of another outcome; or
        #: None for what has not been executed, since nobody wants it. The main thread adds.
        self.results: list[bytes | tuple[int, Payload] | None] = []
        #: There is something else than results among them. Set before.
        self.mixed = False
        #: Tasks that nobody wants any more.
        self.dropped: set[int] = set()
        #: The main thread has begun with it; is at it; and nothing will be added any more.
        self.begun = self.executing = False
        self.over = False
        self._sent = 0

    @property
    def next(self) -> int:
        """Which task comes next, or is being executed."""
        return self.first + len(self.results)

    def drop(self, task_id: int) -> bool:
        """A task is of no use any more. True: it is here, and will not be executed."""
        if not self.first <= task_id <= self.last:
            return False
        self.dropped.add(task_id)
        return task_id > self.next

    def put_down(self) -> list[int]:
        """Take all that has not been begun out of the hand. Returns the ids, the last first."""
        ids = []
        while self.todo:
            try:
                self.todo.pop()
            except IndexError:  # the main thread was faster
                break
            ids.append(self.last)
            self.last -= 1
        return ids

    def outcomes(self) -> list[Outcome]:
        """Return what is done and has not been asked for before."""
        begin = self._sent
        done = self.results[begin:]
        self._sent = begin + len(done)
        first, attempt = self.first + begin, self.attempt
        if not self.mixed:
            return [Outcome(first, attempt, RESULT, done)] if done else []  # type: ignore[arg-type]
        found: list[Outcome] = []
        run: list[bytes] = []
        for number, result in enumerate(done, first):
            if isinstance(result, bytes):
                if not run:
                    found.append(Outcome(number, attempt, RESULT, run))
                run.append(result)
            else:
                run = []
                if result is not None:
                    found.append(Outcome(number, attempt, *result))
        return found


def rows_and_leases(leases: Iterable[Lease]) -> list[Lease | Row]:
    """Let leases of several tasks be rows."""
    return [Row(lease) if lease[3].__class__ is list else lease for lease in leases]
