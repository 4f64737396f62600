"""Workers that come back from an earlier run of the master, and what they bring.

Such a worker has perhaps finished tasks that the program asks for anew. So nothing is handed out
until all those are back that were there when the master was killed, or for `GRACE` seconds. One
that is back and still executes a task is waited for no longer than `BUSY` seconds: most tasks are
done by then, and are not executed twice.
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
#: How long they are held back for one that is back, and busy (seconds).
BUSY: Final = 1.0
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
        #: Who is not back yet, and until when tasks are held back for each.
        self.expected: dict[str, float] = {}
        self._busy: set[str] = set()

    def expect(self, clients: Iterable[str], now: float) -> None:
        """These workers were there when the master was killed."""
        self.expected = dict.fromkeys(clients, now + GRACE)
        if self.expected:
            self._whole.pressure.expecting = self._whole.alarmed = True
            self._whole.weigh(now)

    def is_back(self, member_id: int, want: int, now: float) -> None:
        """A worker has brought what it had, and asks for tasks, or is busy."""
        if not self.expected:
            return
        client = self._whole.membership.client_of(member_id)
        if want:
            self.expected.pop(client, None)
            self._look(now)
        elif client in self.expected and client not in self._busy:
            self._busy.add(client)
            self.expected[client] = min(self.expected[client], now + BUSY)
            self._whole.alarmed = True

    def on_tick(self, now: float) -> None:
        """Wait no longer than is good."""
        if self.expected:
            self.expected = {name: until for name, until in self.expected.items() if until > now}
            self._look(now)

    def next_deadline(self) -> float:
        """Return when `on_tick` is of use next."""
        return min(self.expected.values(), default=inf)

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

    def _look(self, now: float) -> None:
        """Hand out tasks again if all are back."""
        if not self.expected:
            self._busy.clear()
            self._whole.pressure.expecting = False
            self._whole.weigh(now)
