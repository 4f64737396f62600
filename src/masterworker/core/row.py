"""A lease of several tasks while a worker has it in its hands.

The main thread executes its tasks one after the other, while the courier may deliver what is done
and give back what has not been begun. The main thread goes through a list, which costs nothing for
each task. The courier cuts off the end of that list: an iterator takes no more from where there is
nothing any more, and its position then says what it had taken before. So no task is with both.
"""

from __future__ import annotations

from itertools import groupby
from operator import length_hint
from typing import TYPE_CHECKING, Any

from masterworker.core.chunks import APART, PICKLED, PLAIN, Chunk
from masterworker.core.task import RESULT, Outcome, Payload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from masterworker.core.task import Lease, Payloads

    #: Makes payloads of values: how they may be put together, `core.chunks` says.
    Pack = Callable[[list[Any], int], Payloads]

#: What becomes of a task whose result is not a value that can be kept: its pickle; kind and payload
#: of another outcome; None for one that was not executed, since it was cancelled.
Odd = bytes | tuple[int, Payload] | None


class Row:
    """Tasks in a row, to be executed one by one.

    Args:
        lease: All of them.
    """

    __slots__ = (
        *("_sent", "attempt", "begun", "coming", "dropped", "executing", "first", "ids", "last"),
        *("odd", "over", "payloads", "plain", "results", "tag"),
    )

    def __init__(self, lease: Lease) -> None:
        #: Parameters of all of them.
        self.payloads: Payloads = lease.payloads
        self.first, self.attempt, self.tag = lease.task_id, lease.attempt, lease.tag
        #: The last one that has not been given back.
        self.last = self.first + len(self.payloads) - 1
        #: All that have not been given back, and what goes through them: to take the next one is
        #: one step of the main thread, which begins it.
        self.ids = list(range(self.first, self.last + 1))
        self.coming = iter(self.ids)
        #: What has been done, from the first on: values that can be pickled later, or None where
        #: `odd` has something else, which is there before. The main thread adds.
        self.results: list[Any] = []
        #: What else became of tasks, by the position in `results`, until it is sent.
        self.odd: dict[int, Odd] = {}
        #: All values so far are of classes that are kept as plain data.
        self.plain = True
        #: Tasks that are no longer wanted.
        self.dropped: set[int] = set()
        #: The main thread has begun with it; is at it; and nothing will be added any more.
        self.begun = self.executing = False
        self.over = False
        self._sent = 0

    @property
    def next(self) -> int:
        """Which task comes next, or is being executed."""
        return self.first + len(self.results)

    @property
    def current(self) -> int:
        """Which task is being executed, or about to be; 0: none."""
        task_id = self.next
        return task_id if task_id <= self.last else 0

    def add(self, odd: Odd) -> None:
        """The next task is done, and there is something else than a value that can be kept."""
        self.odd[len(self.results)] = odd
        self.results.append(None)

    def drop(self, task_id: int) -> bool:
        """A task is of no use any more. True: it is here, and will not be executed."""
        if not self.first <= task_id <= self.last:
            return False
        self.dropped.add(task_id)
        return task_id > self.next

    def has_more(self) -> bool:
        """Return whether there are tasks that have not been begun."""
        return length_hint(self.coming) > 0

    def put_down(self) -> list[int]:
        """Take all that has not been begun out of the hand. Returns the ids."""
        begun = self._begun()
        cut = self.ids[begun:]
        del self.ids[begun:]
        # Meanwhile the main thread may have begun some of them; from here on, it does not.
        left = cut[self._begun() - begun :]
        if left:
            self.last = left[0] - 1
        return left

    def _begun(self) -> int:
        """Return how many have been begun."""
        found: Any = self.coming.__reduce__()  # shorter, once it has come to an end
        return found[2] if len(found) > 2 else len(self.results)

    def outcomes(self, pack: Pack) -> list[Outcome]:
        """Return what is done and has not been asked for before."""
        begin = self._sent
        done = self.results[begin:]
        self._sent = begin + len(done)
        if not done:
            return []
        first, attempt = self.first + begin, self.attempt
        odd = {i - begin: self.odd.pop(i) for i in list(self.odd) if i < self._sent}
        if not odd:
            return [Outcome(first, attempt, RESULT, pack(done, PLAIN if self.plain else PICKLED))]
        return list(_sorted_out(first, attempt, done, odd, pack))


def _sorted_out(
    first: int, attempt: int, done: list[Any], odd: dict[int, Odd], pack: Pack
) -> Iterator[Outcome]:
    """Give the outcomes of tasks that follow each other, with as few objects as can be."""
    # Where there are pickles, one more is cheaper than an outcome of its own.
    together = bytes not in set(map(type, odd.values()))
    run: list[bytes] = []
    for is_odd, group in groupby(range(len(done)), odd.__contains__):
        positions = list(group)
        at = first + positions[0]
        if not is_odd:
            values = pack([done[i] for i in positions], PICKLED if together else APART)
            if isinstance(values, list) and not together:
                run += values
            else:
                yield Outcome(at, attempt, RESULT, values)
            continue
        for task_id, i in enumerate(positions, at):
            other = odd[i]
            if isinstance(other, bytes):
                run.append(other)
                continue
            if run:
                yield Outcome(task_id - len(run), attempt, RESULT, run)
                run = []
            if other is not None:
                kind, payload = other
                yield Outcome(task_id, attempt, kind, [payload])
    if run:
        yield Outcome(first + len(done) - len(run), attempt, RESULT, run)


def rows_and_leases(leases: Iterable[Lease]) -> list[Lease | Row]:
    """Let leases of several tasks be rows."""
    return [
        Row(lease) if len(lease.payloads) != 1 or isinstance(lease.payloads, Chunk) else lease
        for lease in leases
    ]
