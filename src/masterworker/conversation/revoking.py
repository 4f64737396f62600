"""Tasks that are asked back from the workers that have them: cancelled where they have not begun.

A worker that has a task in its hand takes it out of there, and gives it back; one that has begun
with it says so. Until then the call waits. A task that goes elsewhere meanwhile is asked back from
there, and one that nothing has in hand any more is cancelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.conversation.waiting import NO_MEMBER, Event, Waiter
from masterworker.core.task import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker.conversation.whole import Whole


class _Call:
    """One call that waits."""

    __slots__ = ("cancelled", "open", "waiter")

    def __init__(self, cancelled: list[int]) -> None:
        #: What never runs.
        self.cancelled = cancelled
        #: Which worker has been asked for a task that is not decided; -1: none has.
        self.open: dict[int, int] = {}
        self.waiter: Waiter | None = None


class Revoking:
    """The part of a `Dispatcher` about cancelling what has not begun.

    Args:
        whole: The machine that this is a part of.
    """

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._core = whole.core
        self._calls: list[_Call] = []
        self._is_looking = False

    @property
    def is_open(self) -> bool:
        """Whether any call waits."""
        return bool(self._calls)

    def revoke(
        self, task_ids: Sequence[int], channel: Any, until: float, now: float
    ) -> tuple[list[int] | None, Waiter | None]:
        """Cancel tasks that have not begun.

        Returns:
            The ids of those that never run; or None, and the call that waits for workers to say.
        """
        self._whole.flush(now)
        core = self._core
        waiting = [each for each in task_ids if core.holder_of(each) is None]
        call = _Call(self._cancel(waiting, now))
        held = [each for each in task_ids if core.holder_of(each) is not None]
        call.open = dict.fromkeys(held, -1)
        self._calls.append(call)
        self.look(now)
        if not call.open:
            return call.cancelled, None
        call.waiter = Waiter(
            *(channel, NO_MEMBER, [], now, until),
            lambda _waiter, _now: call.cancelled,
            close=self.close,
        )
        return None, call.waiter

    def has_begun(self, task_id: int) -> bool:
        """Return whether a worker has said that it executes a task."""
        item = self._core.find(task_id)
        return item is not None and item.state is State.STARTED

    def given_back(self, member_id: int, task_ids: Iterable[int], now: float) -> None:
        """A worker gives tasks back: those that were asked back are cancelled."""
        if not self._calls:
            return
        dropped = [
            each
            for each in task_ids
            if self._core.holder_of(each) == member_id
            and any(each in call.open for call in self._calls)
        ]
        if dropped:
            self._cancel(dropped, now, member_id)

    def look(self, now: float) -> None:
        """See what is decided by now, and answer the calls that wait for nothing else."""
        if not self._calls or self._is_looking:  # what this does causes effects
            return
        self._is_looking = True
        try:
            for call in tuple(self._calls):
                self._look_at(call, now)
            for call in [call for call in self._calls if not call.open]:
                self._calls.remove(call)
                if call.waiter is not None:
                    self._whole.answering.answer(call.waiter, Event.SERVED, now)
        finally:
            self._is_looking = False

    def close(self, waiter: Waiter) -> None:
        """A call waits no more."""
        self._calls = [call for call in self._calls if call.waiter is not waiter]

    def waiters(self) -> list[Waiter]:
        """Return the calls that wait."""
        return [call.waiter for call in self._calls if call.waiter is not None]

    # -- inside -----------------------------------------------------------------------------

    def _cancel(
        self, task_ids: Sequence[int], now: float, dropped_by: int | None = None
    ) -> list[int]:
        """Cancel tasks for all calls that want them cancelled. Returns their ids."""
        if not task_ids:
            return []
        cancelled, effects = self._core.on_cancelled(task_ids, now, dropped_by)
        for call in self._calls:
            mine = [each for each in cancelled if each in call.open]
            call.cancelled += mine
            for each in mine:
                del call.open[each]
        self._whole.apply(effects, now)
        return cancelled

    def _look_at(self, call: _Call, now: float) -> None:
        """See what is decided of one call, and ask the workers that have the rest."""
        core = self._core
        free: list[int] = []
        to_inform: dict[int, None] = {}
        for task_id, asked in list(call.open.items()):
            item = core.find(task_id)
            if item is None or item.state in {State.STARTED, State.SETTLED, State.DELIVERED}:
                del call.open[task_id]
            elif item.holder is None:
                free.append(task_id)
            elif item.holder != asked:
                call.open[task_id] = item.holder
                self._whole.orders.give(item.holder, (wire.REVOKE, task_id))
                to_inform[item.holder] = None
        self._cancel(free, now)
        for member_id in to_inform:
            self._whole.supervision.let_listen(member_id, now)
