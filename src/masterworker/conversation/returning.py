"""Outcomes that workers bring which were computed for an earlier run of the master."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker import wire
from masterworker.core.task import FAILURE, RESULT

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.conversation.whole import Whole
    from masterworker.core.task import Finished

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
        keeping = core.settlement.keeping
        return wire.Reply(refused, [], [], 0.0, False, keeping.mark, keeping.kept)

    def settle(self, task_id: int, done: Finished, now: float) -> None:
        """A task is asked for that was brought before; with the lock held."""
        what = done.tag, done.kind, done.payload, done.worker
        self._whole.apply(self._whole.core.on_brought(task_id, *what, now)[1], now)
