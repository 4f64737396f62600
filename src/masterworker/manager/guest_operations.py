"""The operations of one connection of a guest: a worker of a process that has a ticket.

It may run on a machine that the user trusts less. So it speaks for itself alone, and delivers what
it was handed and nothing else. A call that is refused changes nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from masterworker import forks, wire
from masterworker.core.task import AGAIN, FAILURE, Outcome, ids_of
from masterworker.errors import NotAllowedError, NotRegisteredError, UsageError
from masterworker.manager import sanitize
from masterworker.manager.access import Caller
from masterworker.manager.proofs import Proofs
from masterworker.taskid import shown_number
from masterworker.transport.base import LATER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.core.task import Payload
    from masterworker.manager.guests import GuestProcess
    from masterworker.manager.manager import Manager
    from masterworker.manager.operations import Operations
    from masterworker.security.peer import Peer
    from masterworker.transport.base import Later

#: Names of guests' clients and supervisors begin with this and with the serial number of their
#: ticket: so they are not taken for those of trusted processes, and are of no use to the holder of
#: another ticket that has come to know one.
MARK = "guest "
#: A name has at most this many characters. Ours have 32.
LONGEST_NAME = 200


class GuestOperations:
    """What `access.ACCESS` demands of guests, by operation; then `Operations` carries it out.

    Args:
        manager: The task manager.
        operations: Of this connection.
        peer: The other end.
        caller: Which kind of guest it is.
    """

    def __init__(
        self, manager: Manager, operations: Operations, peer: Peer, caller: Caller
    ) -> None:
        self._manager = manager
        self._guests = manager.guests
        self._operations = operations
        self._peer = peer
        #: Nothing that it delivers may have to be unpickled.
        self._data_only = caller is Caller.DATA_GUEST
        #: What is known of the process; None as long as it has not said its name.
        self._process: GuestProcess | None = None
        #: For which supervisor it speaks; "" for none.
        self._supervisor = ""
        self._closed = self._warned = False
        self._run, sign = manager.instance, manager.keeping.sign
        #: For another run of the manager, if there may be one.
        self._proofs = None if sign is None else Proofs(sign, peer.serial)
        #: Two threads can find that the connection has ended, and a third be in a call.
        self._closing = forks.lock()

    def closed(self) -> None:
        """See `Operations.closed`."""
        with self._closing:
            self._closed = True
            self._operations.closed()
            process, self._process = self._process, None
        if process is not None:
            self._guests.hung_up(process)

    def look(self, number: int, slots: int, width: float, event: int) -> bytes:
        """Show the job, but not what failures of other processes say."""
        return self._manager.looking.encoded((number, slots, width, event), texts=False)

    # -- its identity -----------------------------------------------------------------------

    def _name(self, given: str, whose: str = "client") -> str:
        """Return a name that it gives, as the manager knows it."""
        if not 0 < len(given) <= LONGEST_NAME:
            raise UsageError(f"a {whose}'s name must have 1 to {LONGEST_NAME} characters")
        return f"{MARK}{self._peer.serial} {given}"

    def _known_as(self, name: str) -> GuestProcess:
        """Take note of the name that it gives itself, as the manager knows it."""
        with self._closing:
            if self._closed:  # meanwhile; a process that wants the answer asks again
                raise NotRegisteredError("the connection has ended")
            process = self._process = self._guests.speaks(self._process, name)
        return process

    def _speaks_for(self, member_id: int) -> GuestProcess | None:
        """Return its process; None: no process is registered under this number.

        Raises:
            NotAllowedError: Another one is.
        """
        if self._process is not None and member_id in self._process.members:
            return self._process
        if member_id in self._guests.core.members:
            raise NotAllowedError(f"process {member_id} is another one than the one that calls")
        return None

    def _handed(self, task_id: int) -> tuple[GuestProcess, int]:
        """Return its process, and the last attempt of a task that it was handed.

        Raises:
            NotAllowedError: It was not handed that task.
        """
        attempt = 0 if self._process is None else self._process.latest(task_id)
        if self._process is None or not attempt:
            raise NotAllowedError(
                f"task {shown_number(task_id)} is not in the hands of the process that calls"
            )
        return self._process, attempt

    # -- processes --------------------------------------------------------------------------

    def instance(self, asker: wire.Asker) -> str:
        """The client's name is no other process's; "" for one that has not joined."""
        if asker.client:
            self._known_as(self._name(asker.client))
        return self._operations.instance(asker)

    def join(self, hello: wire.Hello) -> wire.Welcome:
        """Under names that say whose ticket it has."""
        client = self._name(hello.client)
        supervisor = self._name(hello.supervisor, "supervisor") if hello.supervisor else ""
        process = self._known_as(client)
        waits = hello.waits and self._guests.may_be_awaited()
        hello = replace(sanitize.hello(hello), client=client, supervisor=supervisor, waits=waits)
        welcome = self._operations.join(hello)
        self._guests.joined(process, welcome.member_id)
        return replace(welcome, results=self._manager.accept)

    def leave(self, member_id: int) -> None:
        """For itself; a number that no process has is no error."""
        process = self._speaks_for(member_id)
        if process is not None:
            process.leaves(member_id)
            self._operations.leave(member_id)

    def ping(self, member_id: int) -> bool:
        """For itself."""
        return self._speaks_for(member_id) is not None and self._operations.ping(member_id)

    def attend(self, asked: wire.Attendance) -> Any:
        """A supervisor vouches for guests that have joined naming it, and for no others."""
        name = self._name(asked.name, "supervisor")
        self._supervisor = self._supervisor or name
        if name != self._supervisor:
            raise NotAllowedError("a connection of a worker with a ticket is for one supervisor")
        asked = asked.of_run(wire.number_of_run(self._run))
        concerned = [*asked.alive, *(ending.member_id for ending in asked.endings)]
        seen = [each[0] for each in asked.usage] + [each[0] for each in asked.still]
        for member_id in [*concerned, *seen]:
            member = self._guests.core.members.get(member_id)
            if member is not None and member.supervisor != name:
                raise NotAllowedError(f"process {member_id} has not joined with this supervisor")
        endings = [self._credible(ending) for ending in asked.endings]
        ways = sanitize.clean(asked.ways, sanitize.LINE)
        return self._operations.attend(replace(asked, name=name, endings=endings, ways=ways))

    def _credible(self, ending: wire.Ending) -> wire.Ending:
        """Return what to believe of an ending: nothing of tasks that the process was not handed."""
        process = self._guests.process_of(ending.member_id)
        its_own = process is not None and process.latest(ending.task_id) > 0
        outcome = None
        if its_own and ending.outcome is not None and ending.outcome[0] in {FAILURE, AGAIN}:
            record = sanitize.failure(ending.outcome[1], data_only=self._data_only)
            outcome = None if record is None else (ending.outcome[0], record)
        task_id = ending.task_id if its_own else 0
        return replace(sanitize.ending(ending), task_id=task_id, outcome=outcome)

    # -- tasks that it executes -------------------------------------------------------------

    def exchange(self, asked: wire.Exchange) -> Any:
        """For itself; outcomes of tasks that it was handed; none when its ticket has expired."""
        member_id, want, wait = asked.member_id, asked.want, asked.wait
        process = self._speaks_for(member_id)
        if process is None:
            order = wire.STOP if self._guests.core.terminated else wire.REJOIN
            refused = [task_id for outcome in asked.outcomes for task_id in ids_of(outcome)]
            return wire.Reply(refused, [], [(order, 0)], 0.0)
        if asked.run:
            return self._bring(asked)
        good, refused = process.report(asked.outcomes)
        if asked.returned:
            process.returned(asked.returned)
        good = [each for outcome in good for each in self._sanitized(member_id, outcome)]
        left = self._seconds_left()
        most, wait = (want, min(asked.wait, left)) if left > 0 else (0, 0.0)

        def finish(reply: wire.Reply) -> wire.Reply:
            process.hand(reply.leases)
            if reply.leases and self._proofs is not None:
                reply = replace(reply, leases=self._proofs.added(reply.leases, self._run))
            if want and not most:  # it has come for more: it has nothing in hand any more
                reply = replace(reply, orders=[*reply.orders, self._expired(member_id)])
            return replace(reply, refused=[*refused, *reply.refused]) if refused else reply

        asked = replace(asked, outcomes=good, want=most, wait=wait)
        return self._finished(self._operations.exchange, asked, finish)

    def _bring(self, asked: wire.Exchange) -> Any:
        """Outcomes of tasks that an earlier run of the manager has handed to it."""
        good: list[Outcome] = []
        if self._proofs is not None:
            for outcome in self._proofs.proved(asked.run, asked.outcomes, asked.proofs):
                good += self._sanitized(asked.member_id, outcome)
        here = {outcome.task_id for outcome in good}
        refused = [i for done in asked.outcomes for i in ids_of(done) if i not in here]
        reply = self._operations.exchange(replace(asked, outcomes=good, proofs=[]))
        return replace(reply, refused=[*refused, *reply.refused])

    def settle(self, task_id: int, kind: int, payload: Payload) -> bool:
        """The attempt that it was handed."""
        process, attempt = self._handed(task_id)
        good, _ = process.report([Outcome(task_id, attempt, kind, [payload])])
        if not good:
            return False
        member_id = next(iter(process.members), -1)
        (outcome,) = self._sanitized(member_id, good[0])
        return self._manager.settle(task_id, outcome.kind, outcome.payload, attempt)

    def give_back(self, task_id: int) -> None:
        """The attempt that it was handed."""
        process, attempt = self._handed(task_id)
        process.returned([task_id])
        self._manager.give_back(task_id, attempt)

    def tell_stack(self, member_id: int, task_id: int, lines: list[str]) -> None:
        """For itself; a number that no process has is no error."""
        if self._speaks_for(member_id) is not None:
            self._operations.tell_stack(member_id, task_id, lines)

    def _sanitized(self, member_id: int, outcome: Outcome) -> Iterable[Outcome]:
        return sanitize.outcome(outcome, f"worker {member_id}", data_only=self._data_only)

    def _seconds_left(self) -> float:
        """Return for how long its ticket is good still: new connections are refused by TLS."""
        from masterworker.security import credentials  # for those with a ticket

        expires = self._peer.expires
        return expires - credentials.clock() if expires else math.inf

    def _expired(self, member_id: int) -> tuple[str, int]:
        """Return the order to leave, and let the log say so, once."""
        if not self._warned:
            self._warned = True
            text = f"the ticket of worker {member_id} has expired: it gets no more tasks"
            self._manager.warn("expired", text)
        return wire.STOP, int(self._peer.expires)

    # -- tasks that it asks for -------------------------------------------------------------

    def request(self, asked: wire.Submission) -> int:
        """Tags that do not play tricks on terminals; options within bounds."""
        client = self._name(asked.client)
        process = self._known_as(client)
        sanitize.check_tag(asked.tag)
        sanitize.check_options(asked.options)
        first: int = self._operations.request(replace(asked, client=client))
        process.asked(first, len(asked.payloads))
        return first

    def cancel(self, task_ids: list[int]) -> list[int]:
        """What it has asked for."""
        if self._process is None or not self._process.has_asked(task_ids):
            raise NotAllowedError("a worker with a ticket may cancel only what it has asked for")
        return self._operations.cancel(task_ids)

    def collect(self, asked: wire.Collect) -> Any:
        """For itself; when its ticket has expired, it is not lent tasks any more."""
        client = self._name(asked.client)
        process = self._known_as(client)
        if self._speaks_for(asked.member_id) is None:
            raise NotRegisteredError(f"process {asked.member_id} is not registered")
        # An expired ticket: outcomes for what it has in hand, and nothing new.
        lend = asked.lend if self._seconds_left() > 0 else wire.NOTHING

        def finish(reply: wire.Collected) -> wire.Collected:
            process.hand(reply[1])
            if reply[1] and self._proofs is not None:
                return reply[0], self._proofs.added(reply[1], self._run)
            return reply

        asked = replace(asked, client=client, lend=lend)
        return self._finished(self._operations.collect, asked, finish)

    def _finished(
        self, operation: Callable[[Any], Any], asked: Any, finish: Callable[[Any], Any]
    ) -> Any:
        """Carry out an operation, and complete its reply, now or when it comes."""
        operations = self._operations
        if operations.later is not None:
            operations.later = _Finished(operations.later, finish)
        reply = operation(asked)
        return reply if reply is LATER else finish(reply)

    # -- replies to its numbered calls ------------------------------------------------------

    def acknowledge(self, client: str, number: int) -> None:
        """Its own."""
        self._operations.acknowledge(self._own(client), number)

    def forgo(self, client: str, number: int) -> None:
        """Its own."""
        self._operations.forgo(self._own(client), number)

    def _own(self, client: str) -> str:
        name = self._name(client)
        self._known_as(name)
        return name

    # -- stored data ------------------------------------------------------------------------

    def put(self, space: str, name: str, value: Payload) -> None:
        """Data of users."""
        _check_space(space)
        self._operations.put(space, name, value)

    def drop(self, space: str, name: str) -> bool:
        """Data of users."""
        _check_space(space)
        return self._operations.drop(space, name)

    def put_state(self, client: str, number: int, values: dict[str, Payload]) -> Any:
        """Under a name of its own."""
        return self._operations.put_state(self._own(client), number, values)


class _Finished:
    """Takes the reply to a guest's call, if it comes later.

    Args:
        later: Takes it then.
        finish: Notes what is handed out, and completes the reply.
    """

    def __init__(self, later: Later, finish: Callable[[Any], Any]) -> None:
        self._later = later
        self._finish = finish

    def send(self, reply: Any) -> None:
        """See `Later.send`."""
        good, value = reply
        self._later.send([good, self._finish(value) if good else value])

    def give_up(self) -> None:
        """See `Later.give_up`."""
        self._later.give_up()


def _check_space(space: str) -> None:
    if space != wire.DATA:
        raise NotAllowedError(
            f"a worker with a ticket may change stored data, but nothing in {space!r}: others "
            "execute it"
        )
