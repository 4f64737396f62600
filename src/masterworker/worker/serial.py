"""Everything in one process: for debuggers, for tests, and for a first look at a program."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.core.lanes import CALL_MARK
from masterworker.core.task import Outcome
from masterworker.data.states import StateCache, resolving
from masterworker.machine import process_info
from masterworker.worker.execution import call, execute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masterworker.manager import Manager


class SerialWorker:
    """Executes tasks in the thread that waits for them, one at a time.

    Args:
        manager: Whose tasks.
        handlers: Functions by tag.
    """

    def __init__(self, manager: Manager, handlers: Mapping[str, Callable[..., Any]]) -> None:
        self._manager = manager
        self._handlers = {**handlers, CALL_MARK: call}
        self._states = StateCache(lambda name: manager.get(wire.STATES, name))
        hello = wire.introduce(process_info(), sorted(self._handlers), None, uuid.uuid4().hex)
        self._id = manager.join(hello).member_id

    def step(self) -> bool:
        """Execute one task. False: none is waiting."""
        reply = self._manager.exchange(self._id, want=1)
        for order, argument in reply.orders:
            if order == wire.FORGET:
                self._states.forget(argument)
        for lease in reply.leases:
            handler = self._handlers[CALL_MARK if lease.tag[0] == CALL_MARK else lease.tag]
            with resolving(self._states):
                kind, payload = execute(handler, lease.payload, lambda: True)
            done = Outcome(lease.task_id, lease.attempt, kind, payload)
            self._manager.exchange(self._id, [done])
        return bool(reply.leases)

    def leave(self) -> None:
        """Sign off."""
        self._manager.leave(self._id)
