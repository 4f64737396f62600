"""A task manager that traces what processes ask for, get and deliver, on request."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from masterworker.core.task import RESULT, ids_of
from masterworker.manager import Manager
from masterworker.taskid import task_name
from Scientific.DistributedComputing import tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker import wire
    from masterworker.conversation.numbered import NumberedCalls
    from masterworker.core.task import Lease
    from masterworker.transport.base import Later

#: Where the switch is; that module has imported this one.
_SWITCH: Final = "Scientific.DistributedComputing.TaskManager"


class TracedManager(Manager):
    """A manager that traces while `TaskManager.debug` is set, one line for each task.

    Only what can be called from outside is traced, so it costs a look at the switch for each call.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._untraced_request, self.request = self.request, self._request

    def join(self, hello: wire.Hello) -> wire.Welcome:
        """Trace what it is."""
        welcome = super().join(hello)
        if switched_on():
            tracing.show("process %d registered: %s", welcome.member_id, hello.info)
        return welcome

    def leave(self, member_id: int) -> None:
        """Trace it."""
        if switched_on():
            tracing.show("process %d unregistered", member_id)
        super().leave(member_id)

    def _request(self, tag: str, payloads: Any, *args: Any, **options: Any) -> int:
        """Trace the ids."""
        first = self._untraced_request(tag, payloads, *args, **options)
        if switched_on():
            for number in range(first, first + len(payloads)):
                tracing.show("task %s requested", task_name(tag, number))
        return first

    def exchange(self, asked: wire.Exchange) -> wire.Reply:
        """Trace what is delivered and what is handed out."""
        if not switched_on():
            return super().exchange(asked)
        self._trace_brought(asked)
        reply = super().exchange(asked)
        _trace_leases(asked.member_id, reply.leases)
        return reply

    def exchange_later(self, later: Later, asked: wire.Exchange) -> wire.Reply | None:
        """Trace the same, also when the reply comes later."""
        if not switched_on():
            return super().exchange_later(later, asked)
        self._trace_brought(asked)

        def trace(reply: wire.Reply) -> None:
            _trace_leases(asked.member_id, reply.leases)

        reply = super().exchange_later(_TracedLater(later, trace), asked)
        if reply is not None:
            trace(reply)
        return reply

    def collect(self, member_id: int, *args: Any, **options: Any) -> Any:
        """Trace which results are picked up."""
        reply = super().collect(member_id, *args, **options)
        if switched_on():
            _trace_collected(member_id, reply)
        return reply

    def collect_later(
        self, later: Later, asked: wire.Collect, calls: NumberedCalls
    ) -> wire.Collected | None:
        """Trace the same, also when the reply comes later."""
        if not switched_on():
            return super().collect_later(later, asked, calls)

        def trace(reply: wire.Collected) -> None:
            _trace_collected(asked.member_id, reply)

        reply = super().collect_later(_TracedLater(later, trace), asked, calls)
        if reply is not None:
            trace(reply)
        return reply

    def settle(self, task_id: int, kind: int, *args: Any, **options: Any) -> bool:
        """Trace it."""
        if switched_on():
            self._trace_outcome(task_id, kind, "stored")
        return super().settle(task_id, kind, *args, **options)

    def give_back(self, task_id: int, *args: Any, **options: Any) -> None:
        """Trace it."""
        if switched_on():
            tracing.show("task %s returned", self._name(task_id))
        super().give_back(task_id, *args, **options)

    def _trace_brought(self, asked: wire.Exchange) -> None:
        who = f"by process {asked.member_id}"
        for outcome in asked.outcomes:
            for number in ids_of(outcome):
                self._trace_outcome(number, outcome.kind, f"stored {who}")
        for number in asked.returned:
            tracing.show("task %s returned %s", self._name(number), who)

    def _trace_outcome(self, number: int, kind: int, how: str) -> None:
        what = "result" if kind == RESULT else "exception"
        tracing.show("%s of task %s %s", what, self._name(number), how)

    def _name(self, number: int) -> str:
        task = self.core.find(number)
        return task_name("(settled)" if task is None else task.tag, number)


class _TracedLater:
    """Traces a reply that comes later.

    Args:
        later: What takes the reply.
        trace: Traces one that is no error.
    """

    def __init__(self, later: Later, trace: Callable[[Any], None]) -> None:
        self._later = later
        self._trace = trace

    def send(self, reply: Any) -> None:
        """Trace and pass it on."""
        good, value = reply
        if good:
            self._trace(value)
        self._later.send(reply)

    def give_up(self) -> None:
        """Pass it on."""
        self._later.give_up()


def _trace_collected(member_id: int, reply: wire.Collected) -> None:
    finished, leases = reply
    for outcome in finished:
        tracing.show("outcome of task %s retrieved", task_name(outcome.tag, outcome.task_id))
    _trace_leases(member_id, leases)


def _trace_leases(member_id: int, leases: Iterable[Lease]) -> None:
    for lease in leases:
        for number in ids_of(lease):
            name = task_name(lease.tag, number)
            tracing.show("task %s handed out to process %d", name, member_id)


def switched_on() -> bool:
    """Return whether `TaskManager.debug` has been set."""
    switched: bool = sys.modules[_SWITCH].debug
    return switched
