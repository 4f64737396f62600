"""The service of one connection of a guest: a worker of somebody who has a ticket for this job.

It may run on a machine that the user trusts less. So it speaks for itself alone, and delivers what
it was handed and nothing else. What it is not allowed changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.core.task import AGAIN, FAILURE, Outcome, ids_of
from masterworker.errors import NotAllowedError, UsageError
from masterworker.manager import sealing
from masterworker.manager.guestbook import LONGEST_NAME
from masterworker.manager.onlooker import Onlooker
from masterworker.manager.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masterworker.manager.guestbook import GuestProcess
    from masterworker.manager.manager import Manager

#: Names of guests' clients and supervisors begin with this, wherever they could be taken for those
#: of trusted processes.
MARK = "guest "
#: Texts that a guest gives are cut: one line about itself, how a process has ended, its last lines.
LINE, HOW, TAIL = 300, 1000, 8000


class Guest(Onlooker):
    """What a worker needs, and its supervisor: joining, tasks, signs of life, reading stored data.

    All that it delivers is plain data. See `Helper` for one that may do more.

    Args:
        manager: The task manager.
    """

    def __init__(self, manager: Manager) -> None:
        super().__init__(manager)
        self._guests = manager.guests
        self._session = Session(manager, manager.guests.replies)
        #: What is known of the process; None as long as it has not said its name.
        self._process: GuestProcess | None = None
        #: For which supervisor it speaks; "" for none.
        self._supervisor = ""
        self._closed = False

    def closed(self) -> None:
        """See `Session.closed`."""
        self._closed = True
        self._session.closed()
        process, self._process = self._process, None
        if process is not None:
            self._guests.hung_up(process)

    def _refusal(self, operation: str) -> str:
        if operation == "terminate":
            return "a worker with a ticket may not end the job"
        return (
            f"a worker with a ticket may not {operation!r} in a job that takes only data from it "
            '(results="data"): others would have to unpickle what it asks for or stores'
        )

    # -- who it is --------------------------------------------------------------------------

    def _known_as(self, name: str) -> GuestProcess:
        """Take note of the name that it gives itself."""
        process = self._process = self._guests.speaks(self._process, name)
        if self._closed:  # meanwhile
            self.closed()
        return process

    def _speaks_for(self, member_id: int) -> GuestProcess | None:
        """Return its process; None: nobody is registered under this number.

        Raises:
            NotAllowedError: Somebody else is.
        """
        if self._process is not None and member_id in self._process.members:
            return self._process
        if member_id in self._guests.core.members:
            raise NotAllowedError(f"process {member_id} is another one than the one that calls")
        return None

    # -- operations -------------------------------------------------------------------------

    def _do_instance(self, client: str) -> str:
        if client:
            self._known_as(client)
        return self._manager.instance

    def _do_join(self, *given: Any) -> wire.Welcome:
        hello = wire.Hello(*given)
        process = self._known_as(hello.client)
        supervisor = MARK + _name(hello.supervisor) if hello.supervisor else ""
        info = clean(hello.info, LINE)
        hello = hello._replace(client=MARK + hello.client, supervisor=supervisor, info=info)
        welcome = self._session._do_join(*hello)
        self._guests.joined(process, welcome.member_id)
        return welcome._replace(results=self._manager.results)

    def _do_leave(self, member_id: int) -> None:
        process = self._speaks_for(member_id)
        if process is not None:
            process.leaves(member_id)
            self._session._do_leave(member_id)

    def _do_ping(self, member_id: int) -> bool:
        return self._speaks_for(member_id) is not None and self._session._do_ping(member_id)

    def _do_exchange(
        self,
        member_id: int,
        outcomes: list[Outcome],
        returned: list[int],
        *wanted: Any,
    ) -> wire.Reply:
        process = self._speaks_for(member_id)
        if process is None:
            order = wire.STOP if self._guests.core.terminated else wire.REJOIN
            refused = [task_id for outcome in outcomes for task_id in ids_of(outcome)]
            return wire.Reply(refused, [], [(order, 0)], 0.0)
        good, refused = process.report(outcomes)
        if returned:
            process.returned(returned)
        good = [each for outcome in good for each in self._acceptable(member_id, outcome)]
        reply: wire.Reply = self._session._do_exchange(member_id, good, returned, *wanted)
        process.hand(reply.leases)
        return reply._replace(refused=[*refused, *reply.refused]) if refused else reply

    def _do_settle(self, task_id: int, kind: int, payload: bytes) -> bool:
        process, attempt = self._handed(task_id)
        good, _ = process.report([Outcome(task_id, attempt, kind, payload)])
        if not good:
            return False
        who = next(iter(process.members), -1)
        (outcome,) = self._acceptable(who, good[0])
        return self._manager.settle(task_id, outcome.kind, outcome.payload, attempt)

    def _do_give_back(self, task_id: int) -> None:
        process, attempt = self._handed(task_id)
        process.returned([task_id])
        self._manager.give_back(task_id, attempt)

    def _do_get(self, space: str, name: str) -> bytes | None:
        return self._session._do_get(space, name)

    def _do_acknowledge(self, client: str, number: int) -> None:
        self._known_as(client)
        self._session._do_acknowledge(client, number)

    def _do_forgo(self, client: str, number: int) -> None:
        self._known_as(client)
        self._session._do_forgo(client, number)

    def _do_attend(
        self, name: str, alive: list[int], endings: list[Any], wait: float
    ) -> list[tuple[str, int, int]]:
        """A supervisor vouches for guests that have joined naming it, and for nobody else."""
        name = MARK + _name(name)
        self._supervisor = self._supervisor or name
        if name != self._supervisor:
            raise NotAllowedError("a connection of a worker with a ticket is for one supervisor")
        told = [wire.Ending(*ending) for ending in endings]
        for member_id in [*alive, *(ending.member_id for ending in told)]:
            member = self._guests.core.members.get(member_id)
            if member is not None and member.supervisor != name:
                raise NotAllowedError(f"process {member_id} has not joined with this supervisor")
        told = [self._credible(ending) for ending in told]
        orders: list[tuple[str, int, int]] = self._session._do_attend(name, alive, told, wait)
        return orders

    # -- what it may say --------------------------------------------------------------------

    def _handed(self, task_id: int) -> tuple[GuestProcess, int]:
        attempt = 0 if self._process is None else self._process.latest(task_id)
        if self._process is None or not attempt:
            raise NotAllowedError(f"task {task_id} is not in the hands of the process that calls")
        return self._process, attempt

    def _acceptable(self, member_id: int, outcome: Outcome) -> Iterable[Outcome]:
        """Return what becomes of tasks whose outcome it may deliver."""
        return sealing.sealed(outcome, f"worker {member_id}")

    def _acceptable_record(self, payload: bytes) -> bytes | None:
        """Return the record of a failure, as its supervisor may give it; None: it may not."""
        return sealing.without_pickle(payload)

    def _credible(self, ending: wire.Ending) -> wire.Ending:
        """Return what to believe of an ending: nothing of tasks that the process was not handed."""
        process = self._guests.process_of(ending.member_id)
        its_own = process is not None and process.latest(ending.task_id) > 0
        outcome = None
        if its_own and ending.outcome is not None and ending.outcome[0] in {FAILURE, AGAIN}:
            record = self._acceptable_record(ending.outcome[1])
            outcome = None if record is None else (ending.outcome[0], record)
        return ending._replace(
            info=clean(ending.info, LINE),
            task_id=ending.task_id if its_own else 0,
            how=clean(ending.how, HOW),
            tail="\n".join(clean(line, LINE) for line in ending.tail[-TAIL:].splitlines()),
            outcome=outcome,
        )


def clean(text: str, most: int) -> str:
    """Return a text in one line that cannot play tricks on a terminal."""
    words = " ".join(text[: 2 * most].split())[:most]
    return words if words.isprintable() else "".join(c if c.isprintable() else "?" for c in words)


def _name(supervisor: str) -> str:
    if not 0 < len(supervisor) <= LONGEST_NAME:
        raise UsageError(f"a supervisor's name must have 1 to {LONGEST_NAME} characters")
    return supervisor
