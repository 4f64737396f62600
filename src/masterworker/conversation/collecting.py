"""Processes that ask for outcomes, and execute other tasks while there is none."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.conversation.waiting import Event, Waiter
from masterworker.errors import MasterworkerError, NotRegisteredError, Terminated

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.conversation.numbered import NumberedCalls
    from masterworker.conversation.whole import Whole
    from masterworker.core.task import Finished, Lease

    Collected = tuple[list[Finished], list[Lease]]


def _nothing(_reply: object, _now: float) -> None:
    """A call that is not numbered: its reply is kept nowhere."""


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
        asked: wire.Collect,
        channel: Any,
        until: float,
        now: float,
        ended: Callable[[Collected | Terminated, float], None] = _nothing,
    ) -> tuple[Collected | None, Waiter | None]:
        """A process asks for outcomes, or for tasks to execute meanwhile; see `Manager.collect`.

        `ended` is called with the reply to a call that has waited.

        Returns:
            Outcomes and leases; or None, and the call that waits.

        Raises:
            Terminated: The job is over.
            NotRegisteredError: The caller has to join again.
        """
        core, whole, member_id, tag = self._core, self._whole, asked.member_id, asked.tag
        whole.require_open()
        whole.flush(now)
        if not core.on_heard(member_id, now):
            raise NotRegisteredError(f"process {member_id} is not registered")
        finished, claim = core.on_collect(member_id, asked.want, tag, asked.task_id, asked.client)
        if claim is None:
            return (finished, []), None
        leases, lent = self._lend(member_id, asked.lend, tag, now)
        claims = [claim] if lent is None else [claim, lent]
        if leases or not asked.wait > 0:
            for each in claims:
                core.on_unparked(each)
            self._begin_at_once(member_id, leases, now)
            return ([], leases), None
        finish = partial(self._finish, ended)
        waiter = Waiter(channel, member_id, claims, now, until, finish, close=self.close)
        self._waiting[member_id] = waiter
        whole.answering.begin(waiter, now)
        if core.held_back:
            whole.weigh(now)
        return None, waiter

    def collect_once(
        self, calls: NumberedCalls, asked: wire.Collect, channel: Any, until: float, now: float
    ) -> tuple[Collected | None, Waiter | None]:
        """The same, as a numbered call: each copy of it gets the one reply.

        Raises:
            UsageError: It is a late copy of a call whose caller has gone on.
        """
        whole = self._whole
        call, is_new = calls.begin(asked.client, asked.number, channel)
        if not is_new:
            return call.reply, None  # None: it is under way, and `complete` answers its copies

        def ended(reply: Collected | Terminated, now: float) -> None:
            if whole.complete(calls, call, reply) and not isinstance(reply, Terminated):
                whole.put_back(asked.member_id, *reply, now)

        try:
            reply, waiter = self.collect(asked, channel, until, now, ended)
        except MasterworkerError as error:
            whole.complete(calls, call, error)
            raise
        if reply is not None:
            whole.complete(calls, call, reply)
        return reply, waiter

    def interrupt(self, member_id: int, now: float) -> None:
        """There is an order for a process: if it waits here, it comes for that."""
        if member_id in self._waiting:
            self._whole.answering.answer(self._waiting[member_id], Event.ORDERED, now)

    def others_execute(self) -> bool:
        """Return whether a process executes a task, and not only waits inside of one."""
        members, waiting = self._core.members.values(), self._waiting
        return any(member.leases for member in members if member.id not in waiting)

    def close(self, waiter: Waiter) -> None:
        """A call waits no more."""
        if self._waiting.get(waiter.member_id) is waiter:
            del self._waiting[waiter.member_id]

    def forget(self, member_id: int) -> None:
        """A process is gone."""
        self._waiting.pop(member_id, None)

    # -- inside -----------------------------------------------------------------------------

    def _finish(
        self, ended: Callable[[Collected | Terminated, float], None], waiter: Waiter, now: float
    ) -> Collected | Terminated:
        reply: Collected | Terminated = waiter.finished, waiter.leases
        if not waiter.finished and not waiter.leases and self._core.terminated:
            reply = Terminated("the job is over")
        self._begin_at_once(waiter.member_id, waiter.leases, now)
        ended(reply, now)
        return reply

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
