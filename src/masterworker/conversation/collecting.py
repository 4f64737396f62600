"""Processes that ask for outcomes, and execute other tasks while there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.conversation.waiting import Waiter
from masterworker.errors import NotRegisteredError, Terminated

if TYPE_CHECKING:
    from masterworker.conversation.whole import Whole
    from masterworker.core.task import Finished, Lease

    Collected = tuple[list[Finished], list[Lease]]


class Collecting:
    """The part of a `Dispatcher` about outcomes that are collected.

    Args:
        whole: The machine that this is a part of.
    """

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._core = whole.core
        #: The calls that wait, by process: each has one task in hand that waits for others.
        self._waiting: dict[int, Waiter] = {}

    def collect(
        self,
        member_id: int,
        tag: str | None,
        want: int,
        wait: float,
        lend: int,
        channel: Any,
        until: float,
        now: float,
    ) -> tuple[Collected | None, Waiter | None]:
        """A process asks for outcomes, or for tasks to execute meanwhile; see `Manager.collect`.

        Returns:
            Outcomes and leases; or None, and the call that waits.

        Raises:
            Terminated: The job is over.
            NotRegisteredError: The caller has to join again.
        """
        core, whole = self._core, self._whole
        whole.require_open()
        whole.flush(now)
        if not core.on_heard(member_id, now):
            raise NotRegisteredError(f"process {member_id} is not registered")
        finished, claim = core.on_collect(member_id, want, tag)
        if claim is None:
            return (finished, []), None
        leases, lent = self._lend(member_id, lend, tag, now)
        claims = [claim] if lent is None else [claim, lent]
        if leases or not wait > 0:
            for each in claims:
                core.on_unparked(each)
            self._begin_at_once(member_id, leases, now)
            return ([], leases), None
        waiter = Waiter(channel, member_id, claims, now, until, self._finish)
        self._waiting[member_id] = waiter
        whole.begin_to_wait(waiter, now)
        if core.held_back:
            whole.weigh(now)
        return None, waiter

    def interrupt(self, member_id: int, now: float) -> None:
        """There is an order for a process: if it waits here, it comes for that."""
        if member_id in self._waiting:
            self._whole.answer(self._waiting[member_id], now)

    def others_execute(self) -> bool:
        """Return whether a process executes a task, and not only waits inside of one."""
        members, waiting = self._core.members.values(), self._waiting
        return any(member.leases for member in members if member.id not in waiting)

    def close(self, waiter: Waiter) -> None:
        """A call waits no more; one that is none of these is no error."""
        if self._waiting.get(waiter.member_id) is waiter:
            del self._waiting[waiter.member_id]

    def forget(self, member_id: int) -> None:
        """A process is gone."""
        self._waiting.pop(member_id, None)

    # -- inside -----------------------------------------------------------------------------

    def _finish(self, waiter: Waiter, now: float) -> Collected | Terminated:
        if not waiter.finished and not waiter.leases and self._core.terminated:
            return Terminated("the job is over")
        self._begin_at_once(waiter.member_id, waiter.leases, now)
        return waiter.finished, waiter.leases

    def _begin_at_once(self, member_id: int, leases: list[Lease], now: float) -> None:
        """These are executed inside the task that waits, as soon as they arrive."""
        for lease in leases:
            self._core.on_started(member_id, lease.task_id, now)

    def _lend(
        self, member_id: int, lend: int, tag: str | None, now: float
    ) -> tuple[list[Lease], int | None]:
        """Find a task for a process that waits for an outcome: if possible one that brings it."""
        if lend == wire.NOTHING:
            return [], None
        wanted = self._core.members[member_id].filter
        if tag is not None and wanted is not None and wanted.accepts(tag):
            leases, claim = self._core.on_fetch(member_id, 1, now, tag)
            if leases or lend == wire.AWAITED:
                return leases, claim
            if claim is not None:
                self._core.on_unparked(claim)
        if tag is not None and lend == wire.AWAITED:
            return [], None
        return self._core.on_fetch(member_id, 1, now)
