"""Workers that come back from an earlier run of the master, and what they bring.

Such a worker has perhaps finished tasks that the program asks for anew. So nothing is handed out
until all those are back that were there when the master was killed, or for `GRACE` seconds.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from masterworker import wire
from masterworker.core.task import FAILURE, RESULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.conversation.whole import Whole
    from masterworker.core.task import Finished

#: How long tasks are held back for workers that are not back (seconds). A worker looks for its
#: master at least every 2 s.
GRACE: Final = 5.0
#: What counts of an earlier run. A failure that could be tried again is not one: it is executed.
_KINDS = (RESULT, FAILURE)


class Returning:
    """The part of a `Dispatcher` about workers that come back.

    Args:
        whole: The machine that this is a part of.
    """

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        #: Returns which task of this run it is that had a number in an earlier run, and its tag,
        #: given the kind of its outcome: a negative number if no caller has asked for it so far; 0
        #: if the outcome is of no use. Called with the lock held.
        self.place: Callable[[str, int, int], tuple[int, str]] = lambda _run, _id, _kind: (0, "")
        #: Is told when a worker comes that would wait for another run, and when it goes, by the
        #: name of its client. Called with the lock held.
        self.note: Callable[[str, bool], object] | None = None
        #: Who is not back yet, and until when tasks are held back for them.
        self.expected: set[str] = set()
        self._until = inf

    def expect(self, clients: Iterable[str], now: float) -> None:
        """These workers were there when the master was killed."""
        self.expected = set(clients)
        if self.expected:
            self._until = now + GRACE
            self._whole.pressure.expecting = self._whole.alarmed = True
            self._whole.weigh(now)

    def is_back(self, member_id: int, now: float) -> None:
        """A worker asks for tasks: it has brought what it had."""
        if self.expected:
            self.expected.discard(self._whole.membership.client_of(member_id))
            if not self.expected:
                self._stop(now)

    def on_tick(self, now: float) -> None:
        """Wait no longer than is good."""
        if now >= self._until:
            self.expected.clear()
            self._stop(now)

    def next_deadline(self) -> float:
        """Return when `on_tick` is of use next."""
        return self._until

    def bring(self, asked: wire.Exchange, now: float) -> wire.Reply:
        """A worker delivers outcomes of tasks of an earlier run. Returns the reply."""
        whole, core = self._whole, self._whole.core
        whole.flush(now)
        if not core.on_heard(asked.member_id, now):
            order = wire.STOP if core.terminated else wire.REJOIN
            return wire.Reply([], [], [(order, 0)], 0.0)
        worker = core.members[asked.member_id].info
        refused: list[int] = []
        for outcome in whole.pressure.count(asked.outcomes):
            payloads = core.table.blocks.one_by_one(outcome.payloads)
            for task_id, payload in enumerate(payloads, outcome.task_id):
                place, tag = 0, ""
                if outcome.kind in _KINDS:
                    place, tag = self.place(asked.run, task_id, outcome.kind)
                taken = False
                if place:
                    taken, effects = core.on_brought(place, tag, outcome.kind, payload, worker, now)
                    whole.apply(effects, now)
                if not taken:
                    refused.append(task_id)
        return wire.Reply(refused, [], [], 0.0, False, *core.settlement.keeping.marks)

    def settle(self, task_id: int, done: Finished, now: float) -> None:
        """A task is asked for that was brought before; with the lock held."""
        what = done.tag, done.kind, done.payload, done.worker
        self._whole.apply(self._whole.core.on_brought(task_id, *what, now)[1], now)

    def _stop(self, now: float) -> None:
        self._until = inf
        self._whole.pressure.expecting = False
        self._whole.weigh(now)
