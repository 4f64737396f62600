"""In the place of a connection: what answers a worker while it executes a bundle.

It hands out the leases of the bundle once, takes the outcomes, and says that the job is over when
there is nothing left. Further tasks that a task waits for are executed in the bundle, inside the
one that waits, as a worker does it while others are busy; those that it does not wait for travel
back with the answer.
"""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from masterworker import wire
from masterworker.core.options import terms_of
from masterworker.core.task import AGAIN, FAILURE, Finished, Lease, Outcome, ids_of
from masterworker.engine.parcel import Answer, Further
from masterworker.errors import MasterworkerError, UsageError
from masterworker.machine import process_info

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.core.grain import Spent
    from masterworker.engine.kept import Store
    from masterworker.engine.parcel import Order

#: Numbers of further tasks begin here: a master has not as many.
FIRST: Final = 1 << 52
#: A thread of a task that waits for an outcome looks again after this time (seconds).
LOOK: Final = 0.02

_STOP: Final = [(wire.STOP, 0)]


class Meanwhile:
    """Answers one worker during one bundle. Calls come one at a time, or are independent.

    Args:
        order: The bundle.
        store: The stored values of the job.
    """

    def __init__(self, order: Order, store: Store) -> None:
        self._order, self._store = order, store
        self._leases: list[Lease] | None = order.leases
        self._outcomes: list[Outcome] = []
        self._spent: list[Spent] = []
        self._numbers = count(FIRST)
        self._never = threading.Event()
        #: Further tasks: those that wait, that are executed, and that are done; by number.
        self._waiting: dict[int, tuple[Further, int]] = {}
        self._executing: dict[int, tuple[Further, int]] = {}
        self._done: dict[int, tuple[Further, Outcome]] = {}
        self._operations: dict[str, Callable[..., Any]] = {
            "instance": lambda *_: order.instance,
            "join": lambda *_: wire.Welcome(order.member_id, order.instance),
            "leave": lambda *_: None,
            "ping": lambda *_: True,
            "exchange": lambda *asked: self._exchange(wire.Exchange(*asked)),
            "request": lambda *asked: self._request(wire.Submission(*asked)),
            "collect": lambda *asked: self._collect(wire.Collect(*asked)),
            "acknowledge": lambda *_: None,
            "forgo": lambda *_: None,
            "get": store.get,
        }

    def call(self, operation: str, *args: Any) -> list[Any]:
        """See `Connection.call`."""
        try:
            carry_out = self._operations.get(operation)
            if carry_out is None:
                raise UsageError(
                    f"{operation!r} cannot be asked for in a bundle of an engine: it has no "
                    "connection to the master (see docs/engines.md)"
                )
            return [True, carry_out(*args)]
        except MasterworkerError as error:
            return [False, wire.encode_error(error)]

    def close(self) -> None:
        """See `Connection.close`."""

    def answer(self) -> Answer:
        """Return what became of the bundle."""
        further = [each for each, _ in (*self._executing.values(), *self._waiting.values())]
        for each, outcome in self._done.values():
            each.kind, each.outcome = outcome.kind, outcome.payload
            further.append(each)
        return Answer(process_info(), self._outcomes, tuple(self._spent), further)

    # -- inside -----------------------------------------------------------------------------

    def _exchange(self, asked: wire.Exchange) -> wire.Reply:
        for outcome in asked.outcomes:
            if outcome.task_id in self._executing:
                self._take_in(outcome)
            else:
                self._outcomes.append(outcome)
        self._spent += [each for each in asked.spent if each.task_id < FIRST]
        for number in asked.returned:
            if number in self._executing:
                self._waiting[number] = self._executing.pop(number)
        if not asked.want:
            return wire.Reply([], [], [], 0.0)
        leases, self._leases = self._leases, None
        if leases:
            return wire.Reply([], leases, [], 0.0)
        return wire.Reply([], [], _STOP, 0.0)

    def _take_in(self, outcome: Outcome) -> None:
        """A further task has been executed."""
        number = outcome.task_id
        further, attempt = self._executing.pop(number)
        kind = outcome.kind
        if kind == AGAIN:
            if further.options is not None and attempt <= further.options.retries:
                self._waiting[number] = further, attempt + 1
                return
            kind = FAILURE
        self._done[number] = further, Outcome(number, attempt, kind, outcome.payloads)

    def _request(self, asked: wire.Submission) -> int:
        numbers = [next(self._numbers) for _ in asked.payloads]
        for number, payload in zip(numbers, asked.payloads, strict=True):
            self._waiting[number] = Further(asked.tag, payload, asked.options), 1
        return numbers[0]

    def _collect(self, asked: wire.Collect) -> wire.Collected:
        tag = asked.tag
        for number, (further, outcome) in self._done.items():
            if tag is None or further.tag == tag:
                del self._done[number]
                one = [outcome.payload]
                return [Finished(number, further.tag, outcome.kind, one, process_info())], []
        if asked.lend != wire.NOTHING:
            lease = self._lend(tag, only=asked.lend == wire.AWAITED)
            if lease is not None:
                return [], [lease]
            if not any(tag in {None, each.tag} for each, _ in self._executing.values()):
                raise UsageError(
                    "there is no such task to wait for: in a bundle of an engine a task can wait "
                    "for tasks that were asked for in it, and for no others (see docs/engines.md)"
                )
        self._never.wait(min(LOOK, asked.wait))
        return [], []

    def _lend(self, tag: str | None, *, only: bool) -> Lease | None:
        """Give a further task to be executed meanwhile: one that is waited for, if there is one."""
        wanted = [n for n, (each, _) in self._waiting.items() if tag in {None, each.tag}]
        found = wanted or ([] if only else list(self._waiting))
        if not found:
            return None
        number = found[0]
        further, attempt = self._executing[number] = self._waiting.pop(number)
        return Lease(number, attempt, further.tag, [further.payload], terms_of(further.options))


def not_begun(leases: Sequence[Lease], answer: Answer) -> list[int]:
    """Return the ids of the tasks of a bundle that have no outcome."""
    done: set[int] = set()
    for outcome in answer.outcomes:
        done.update(ids_of(outcome))
    return [number for lease in leases for number in ids_of(lease) if number not in done]
