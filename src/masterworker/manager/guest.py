"""The service of one connection of a guest: a worker of somebody who has a ticket for this job.

It may run on a machine that the user trusts less. So it speaks for itself alone, and delivers what
it was handed and nothing else. What it is not allowed changes nothing.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.core.task import AGAIN, FAILURE, Outcome, ids_of
from masterworker.data.record import printable
from masterworker.errors import NotAllowedError, NotRegisteredError, UsageError
from masterworker.manager import sanitize
from masterworker.manager.onlooker import Onlooker
from masterworker.manager.session import Session
from masterworker.taskid import shown_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker.core.grain import Spent
    from masterworker.core.task import Payload
    from masterworker.manager.guests import GuestProcess
    from masterworker.manager.manager import Manager
    from masterworker.security.peer import Peer

#: Names of guests' clients and supervisors begin with this and with the serial number of their
#: ticket: so they are not taken for those of trusted processes, and who holds another ticket has
#: no use for one that he has come to know.
MARK = "guest "
#: A name is not longer than this. Ours have 32 characters.
LONGEST_NAME = 200
#: Texts that a guest gives are cut: one line about itself, how a process has ended, its last lines.
LINE, HOW, TAIL = 300, 1000, 8000


class Guest(Onlooker):
    """What a worker needs, and its supervisor: joining, tasks, signs of life, reading stored data.

    All that it delivers is plain data. See `Helper` for one that may do more.

    Args:
        manager: The task manager.
        peer: Who it is.
    """

    #: Nothing that it delivers may have to be unpickled.
    data_only = True

    def __init__(self, manager: Manager, peer: Peer) -> None:
        super().__init__(manager)
        self._peer = peer
        self._guests = manager.guests
        self._session = Session(manager, manager.guests.replies)
        #: What is known of the process; None as long as it has not said its name.
        self._process: GuestProcess | None = None
        #: For which supervisor it speaks; "" for none.
        self._supervisor = ""
        self._closed = self._told_expired = False
        #: Two threads can find that the connection has ended, and a third be in a call.
        self._closing = threading.Lock()

    def closed(self) -> None:
        """See `Session.closed`."""
        with self._closing:
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

    def _name(self, given: str, whose: str = "client") -> str:
        """Return a name that it gives, as the manager knows it."""
        if not 0 < len(given) <= LONGEST_NAME:
            raise UsageError(f"a {whose}'s name must have 1 to {LONGEST_NAME} characters")
        return f"{MARK}{self._peer.serial} {given}"

    def _known_as(self, name: str) -> GuestProcess:
        """Take note of the name that it gives itself, as the manager knows it."""
        with self._closing:
            if self._closed:  # meanwhile; whoever wants the answer asks again
                raise NotRegisteredError("the connection has ended")
            process = self._process = self._guests.speaks(self._process, name)
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
            self._known_as(self._name(client))
        return self._manager.instance

    def _do_join(self, *given: Any) -> wire.Welcome:
        hello = wire.Hello(*given)
        client = self._name(hello.client)
        supervisor = self._name(hello.supervisor, "supervisor") if hello.supervisor else ""
        process = self._known_as(client)
        hello = hello._replace(
            client=client,
            supervisor=supervisor,
            info=clean(hello.info, LINE),
            python=clean(hello.python, LINE),
            version=clean(hello.version, LINE),
            program=clean(hello.program, LINE),
        )
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

    def _do_exchange(  # noqa: PLR0913, PLR0917  one call tells everything
        self,
        member_id: int,
        outcomes: list[Outcome],
        returned: list[int],
        started: int,
        want: int,
        wait: float,
        tag: str | None,
        seconds: float,
        spent: Sequence[Spent],
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
        left = self._seconds_left()
        most, wait = (want, min(wait, left)) if left > 0 else (0, 0.0)
        reply: wire.Reply = self._session._do_exchange(
            member_id, good, returned, started, most, wait, tag, seconds, spent
        )
        process.hand(reply.leases)
        if want and not most:  # it has come for more: it has nothing in hand any more
            reply = reply._replace(orders=[*reply.orders, self._expired(member_id)])
        return reply._replace(refused=[*refused, *reply.refused]) if refused else reply

    # -- the end of its ticket --------------------------------------------------------------

    def _seconds_left(self) -> float:
        """Return for how long its ticket is good still: new connections are refused by TLS."""
        from masterworker.security import credentials  # for those with a ticket

        expires = self._peer.expires
        return expires - credentials.clock() if expires else math.inf

    def _expired(self, member_id: int) -> tuple[str, int]:
        """Return the order to leave, and note, once, that it was given."""
        manager = self._manager
        if not self._told_expired:
            self._told_expired = True
            with manager.guard:
                text = f"the ticket of worker {member_id} has expired: it gets no more tasks"
                manager.troubles.note("expired", text, manager._clock())
        return wire.STOP, int(self._peer.expires)

    # -- further operations -----------------------------------------------------------------

    def _do_settle(self, task_id: int, kind: int, payload: Payload) -> bool:
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

    def _do_get(self, space: str, name: str) -> Payload | None:
        return self._session._do_get(space, name)

    def _do_acknowledge(self, client: str, number: int) -> None:
        client = self._name(client)
        self._known_as(client)
        self._session._do_acknowledge(client, number)

    def _do_forgo(self, client: str, number: int) -> None:
        client = self._name(client)
        self._known_as(client)
        self._session._do_forgo(client, number)

    def _do_attend(
        self, name: str, alive: list[int], endings: list[Any], wait: float
    ) -> list[tuple[str, int, int]]:
        """A supervisor vouches for guests that have joined naming it, and for nobody else."""
        name = self._name(name, "supervisor")
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
            raise NotAllowedError(
                f"task {shown_number(task_id)} is not in the hands of the process that calls"
            )
        return self._process, attempt

    def _acceptable(self, member_id: int, outcome: Outcome) -> Iterable[Outcome]:
        """Return what becomes of tasks whose outcome it may deliver."""
        return sanitize.sanitize(outcome, f"worker {member_id}", data_only=self.data_only)

    def _credible(self, ending: wire.Ending) -> wire.Ending:
        """Return what to believe of an ending: nothing of tasks that the process was not handed."""
        process = self._guests.process_of(ending.member_id)
        its_own = process is not None and process.latest(ending.task_id) > 0
        outcome = None
        if its_own and ending.outcome is not None and ending.outcome[0] in {FAILURE, AGAIN}:
            record = sanitize.sanitize_record(ending.outcome[1], data_only=self.data_only)
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
    return printable(" ".join(text[: 2 * most].split())[:most])[:most]
