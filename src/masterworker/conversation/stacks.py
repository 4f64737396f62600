"""What workers are doing right now: they are asked for the stack of a task that they execute.

A worker's courier says it, while the task goes on. Where that cannot run, since the task holds the
interpreter's lock, the supervisor says so, and since when.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final

from masterworker import wire
from masterworker.conversation.waiting import NO_MEMBER, Event, Waiter

if TYPE_CHECKING:
    from masterworker.conversation.whole import Whole

#: A worker whose threads have not run for this time is not waited for (seconds).
CERTAIN: Final = 20.0
#: What a worker has said is told to others who ask within this time (seconds).
FRESH: Final = 0.5
#: Stacks that are kept for that, and calls that wait, at most.
MOST: Final = 64

NOT_HELD: Final = "no worker has it in hand"
HOLDS_LOCK: Final = (
    "so the task holds the interpreter's lock (it is in code that was compiled, say), or its "
    "machine is overloaded; no stack can be told"
)
BUSY: Final = "too many others ask at this moment"


class _Call:
    """One call that waits."""

    __slots__ = ("lines", "member_id", "task_id", "waiter")

    def __init__(self, member_id: int, task_id: int) -> None:
        self.member_id, self.task_id = member_id, task_id
        self.lines: list[str] = []
        self.waiter: Waiter | None = None


class Stacks:
    """The part of a `Dispatcher` about what workers are doing right now.

    Args:
        whole: The machine that this is a part of.
    """

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._calls: list[_Call] = []
        #: What workers have said of late, and when.
        self._latest: dict[tuple[int, int], tuple[list[str], float]] = {}

    def ask(
        self, task_id: int, channel: Any, until: float, now: float
    ) -> tuple[list[str] | None, Waiter | None]:
        """Ask the worker that has a task what it is doing.

        Returns:
            The stack, or why there is none, in lines; or None, and the call that waits. A call
            whose time is up gets no lines: another one may be answered.
        """
        whole = self._whole
        whole.flush(now)
        member_id = whole.core.holder_of(task_id)
        if member_id is None:
            return [NOT_HELD], None
        if lines := self._said_by_supervisor(member_id, now, CERTAIN):
            return lines, None
        lines, when = self._latest.get((member_id, task_id), ([], -inf))
        if now - when < FRESH:
            return lines, None
        if len(self._calls) >= MOST:
            return [BUSY], None
        is_asked = any((c.member_id, c.task_id) == (member_id, task_id) for c in self._calls)
        call = _Call(member_id, task_id)
        self._calls.append(call)
        if not is_asked:
            whole.orders.give(member_id, (wire.STACK, task_id))
            whole.collecting.interrupt(member_id, now)  # if its task waits for others
            whole.supervision.let_listen(member_id, now)

        def finish(_waiter: Waiter, at: float) -> list[str]:
            return call.lines or self._said_by_supervisor(member_id, at)

        call.waiter = Waiter(channel, NO_MEMBER, [], now, until, finish, close=self.close)
        whole.answering.begin(call.waiter, now)
        return None, call.waiter

    def told(self, member_id: int, task_id: int, lines: list[str], now: float) -> None:
        """A worker has said what it is doing; what was not asked for is dropped."""
        asked = [c for c in self._calls if (c.member_id, c.task_id) == (member_id, task_id)]
        if not asked:
            return
        if len(self._latest) >= MOST:
            self._latest.clear()
        self._latest[member_id, task_id] = lines, now
        for call in asked:
            call.lines = lines
            if call.waiter is not None:
                self._whole.answering.answer(call.waiter, Event.SERVED, now)

    def close(self, waiter: Waiter) -> None:
        """A call waits no more."""
        self._calls = [call for call in self._calls if call.waiter is not waiter]

    def waiters(self) -> list[Waiter]:
        """Return the calls that wait."""
        return [call.waiter for call in self._calls if call.waiter is not None]

    def overdue(self, now: float) -> list[Waiter]:
        """Return the calls that have waited for long enough."""
        return [waiter for waiter in self.waiters() if waiter.until <= now]

    def next_deadline(self) -> float:
        """Return when `overdue` is of use next; inf: not before another call waits."""
        return min((waiter.until for waiter in self.waiters()), default=inf)

    def _said_by_supervisor(self, member_id: int, now: float, least: float = 0.0) -> list[str]:
        seconds = self._whole.supervision.still_for(member_id, now)
        if not seconds or seconds < least:
            return []
        what = f"its own threads have not run for {seconds:.0f} s, as its supervisor sees"
        return [f"{what}: {HOLDS_LOCK}"]
