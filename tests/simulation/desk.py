"""The task manager in virtual time: what `manager.Manager` and `Session` do with threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blocks import together
from masterworker import wire
from masterworker.core.departure import Blameless, Ended, Left
from masterworker.core.reports import CURRENT
from masterworker.core.task import Finished, Outcome
from masterworker.errors import NotRegisteredError, Terminated
from simulation.guarded import Box, Guarded, Orders
from simulation.replies import Answer, Replies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.core.grain import Spent
    from masterworker.core.options import Options
    from masterworker.core.scheduler import Scheduler
    from masterworker.core.task import Lease
    from simulation.kernel import Kernel
    from simulation.network import Link
    from simulation.oracle import Oracle
    from simulation.swarm import Swarm


class Session:
    """What the master knows of one connection."""

    __slots__ = ("clients", "gone", "link", "members", "supervisors", "watched")

    def __init__(self, link: Link) -> None:
        self.link = link
        self.members: dict[int, None] = {}
        self.clients: dict[str, None] = {}
        self.supervisors: dict[str, None] = {}
        #: Somebody joined through it who has promised heartbeats.
        self.watched = False
        #: The end of the connection has been noticed.
        self.gone = False


class Desk(Guarded):
    """The manager and its sessions."""

    replies_class = Replies

    def __init__(self, kernel: Kernel, swarm: Swarm, core: Scheduler, oracle: Oracle) -> None:
        super().__init__(kernel, swarm, core, oracle)
        self.replies = self.replies_class(kernel, swarm.comes_back, self._undelivered, self.held_up)
        #: Through how many connections each supervisor speaks.
        self._lines: dict[str, int] = {}

    # -- connections ------------------------------------------------------------------------

    def accept(self, link: Link) -> Session:
        return Session(link)

    def request(
        self,
        session: Session,
        operation: str,
        args: tuple[Any, ...],
        sender: tuple[Link, int] | None,
    ) -> None:
        """A request has arrived."""
        if self.held_up(self.request, session, operation, args, sender):
            return
        if operation == "exchange":
            self.oracle.spoke(args[0], self.kernel.now)

        numbered = operation in {"request", "collect"}

        def answer(good: bool, value: Any) -> None:
            if sender is not None:
                sender[0].reply(sender[1], good, value)
            if session.gone:  # it has ended meanwhile: now its thread does
                if numbered:
                    session.clients[args[0]] = None
                self.closed(session)

        self.touched = True
        if numbered:
            client, number, *rest = args
            session.clients[client] = None
            action = getattr(self, f"_{operation}")
            self.replies.once(client, number, lambda end: action(end, *rest), answer)
        else:
            getattr(self, f"_{operation}")(answer, session, *args)

    def closed(self, session: Session) -> None:
        """A connection has ended: who joined through it and did not sign off is lost."""
        if self.held_up(self.closed, session):
            return
        self.touched = session.gone = True
        members, session.members = session.members, {}
        for member_id in members:
            self.oracle.disconnected(member_id)
            self._apply(self.core.on_closed(member_id, "connection closed", self.kernel.now))
        supervisors, session.supervisors = session.supervisors, {}
        for name in supervisors:
            self._detach(name)
        clients, session.clients = session.clients, {}
        for client in clients:
            self.replies.abandon(client)

    def _detach(self, name: str) -> None:
        """A connection of a supervisor has ended; with the last one it is gone."""
        self._lines[name] -= 1
        if not self._lines[name]:
            del self._lines[name]
            self._desks.pop(name, None)
            self._apply(self.core.on_unattended(name, self.kernel.now))

    # -- processes --------------------------------------------------------------------------

    def _join(
        self,
        answer: Answer,
        session: Session,
        client: str,
        tags: frozenset[str] | None,
        heartbeat: float | None,
        supervisor: str,
    ) -> None:
        if self.core.terminated:
            answer(False, Terminated("the job is over"))
            return
        now = self.kernel.now
        before = self._clients.pop(client, None)
        if before is not None:
            self._apply(self.core.on_departed(before, Blameless("it joined again"), now))
        was = self._before.pop(client, None)
        member_id = self.core.on_joined(client, tags, heartbeat, now, supervisor, was)
        self._clients[client] = member_id
        session.members[member_id] = None
        session.watched = session.watched or heartbeat is not None
        self.oracle.joined(member_id, client, now)
        self._watch_clock()
        answer(True, (member_id, self.instance))

    def _instance(self, answer: Answer, session: Session) -> None:
        answer(True, self.instance)

    def _leave(self, answer: Answer, session: Session, member_id: int) -> None:
        session.members.pop(member_id, None)
        self._apply(self.core.on_departed(member_id, Left(), self.kernel.now))
        self._forget_member(member_id)
        clients, session.clients = session.clients, {}
        for client in clients:
            self.replies.forgo(client)
        answer(True, None)

    def _attend(
        self,
        answer: Answer,
        session: Session,
        name: str,
        alive: list[tuple[str, int]],
        endings: list[tuple[str, wire.Ending]],
        wait: float,
    ) -> None:
        """A supervisor speaks; what concerns another run of the master is not for us."""
        now = self.kernel.now
        if name not in session.supervisors:
            session.supervisors[name] = None
            self._lines[name] = self._lines.get(name, 0) + 1
        self.core.on_attended(name, [i for run, i in alive if run == self.instance], now)
        orders = self._desks.setdefault(name, Orders())
        for run, ending in endings:
            if run == self.instance:
                self._take_ending(ending, now)
        if self.core.terminated:
            answer(True, [(wire.STOP, 0, 0)])
            return
        if orders.given or not wait > 0:
            answer(True, orders.take())
            return
        stop = [(wire.STOP, 0, 0)]
        box = Box(-1, [], lambda _: answer(True, stop if self.core.terminated else orders.take()))
        orders.boxes.append(box)
        self._open(box, wait)

    def _take_ending(self, ending: wire.Ending, now: float) -> None:
        if ending.outcome is not None:
            self._report(ending.member_id, [Outcome(ending.task_id, CURRENT, *ending.outcome)])
        self.oracle.explained(ending)
        member, task, blame = ending.member_id, ending.task_id, ending.blame
        self._apply(
            self.core.on_departed(
                member, Ended(ending.how, task) if blame else Blameless(ending.how), now
            )
        )

    # -- tasks ------------------------------------------------------------------------------

    def _request(
        self, answer: Answer, tag: str, payloads: list[bytes], options: Options | None
    ) -> None:
        answer(True, self.request_here(tag, payloads, options, direct=False))

    def request_here(
        self, tag: str, payloads: list[bytes], options: Options | None, *, direct: bool
    ) -> int:
        """The master itself asks."""
        self.touched = True
        now = self.kernel.now
        chunk = direct and options is None and int(payloads[0]) % 2
        asked = together(payloads) if chunk else payloads
        first, effects = self.core.on_requested(tag, asked, now, direct=direct, options=options)
        self.oracle.requested(first, tag, payloads, direct, options)
        self._apply(effects)
        if not self._watching:
            self._watching = True
            self._look_again()
        return first

    def cancel_here(self, task_ids: list[int]) -> None:
        """The master itself does not want some tasks any more."""
        if self.held_up(self.cancel_here, task_ids):
            return
        self.touched = True
        found = [(task_id, self.core.find(task_id)) for task_id in task_ids]
        held = [(t.holder.id, i) for i, t in found if t is not None and t.holder is not None]
        cancelled, effects = self.core.on_cancelled(task_ids, self.kernel.now)
        self.oracle.cancelled(cancelled, held, effects.orders)
        self._apply(effects)

    def _report(self, member_id: int, outcomes: Sequence[Outcome]) -> list[int]:
        refused, effects = self.core.on_reported(member_id, outcomes, self.kernel.now)
        self.oracle.reported(outcomes, refused)
        self._apply(effects)
        return refused

    def _exchange(  # noqa: PLR0917  as the manager's
        self,
        answer: Answer,
        session: Session,
        member_id: int,
        outcomes: Sequence[Outcome],
        returned: list[int],
        started: int,
        want: int,
        wait: float,
        seconds: float = 0.0,
        spent: Sequence[Spent] = (),
    ) -> None:
        core, now = self.core, self.kernel.now
        core.on_spent(member_id, spent)
        refused = self._report(member_id, outcomes) if outcomes else []
        if not core.on_heard(member_id, now):
            order = wire.STOP if core.terminated else wire.REJOIN
            answer(True, wire.Reply(refused, [], [(order, 0)], 0.0))
            return
        if returned:
            self._apply(core.on_returned(member_id, returned, now))
        if started:
            core.on_started(member_id, started, now)
        leases: list[Lease] = []
        claim = None
        if want:
            leases, claim = core.on_fetch(member_id, want, now, seconds=seconds)
        self.oracle.handed_out(member_id, leases, now)
        if claim is None or not wait > 0:
            if claim is not None:
                core.on_unparked(claim)
            self._watch_clock()
            answer(True, wire.Reply(refused, leases, self._take_orders(member_id), 0.0))
            return

        def finish(box: Box) -> None:
            orders = self._take_orders(member_id)
            waited = self.kernel.now - now
            answer(True, wire.Reply(refused, box.leases, orders, waited))

        box = self._open(Box(member_id, [claim], finish), wait)
        if self._orders.get(member_id):
            self._ring(box)
        self._watch_clock()

    # -- outcomes ---------------------------------------------------------------------------

    def _collect(
        self, answer: Answer, member_id: int, tag: str | None, want: int, wait: float, lend: int
    ) -> None:
        core, now = self.core, self.kernel.now
        if core.terminated:
            answer(False, Terminated("the job is over"))
            return
        if not core.on_heard(member_id, now):
            answer(False, NotRegisteredError(f"process {member_id} is not registered"))
            return
        finished, claim = core.on_collect(member_id, want, tag)
        if claim is None:
            self.oracle.left(finished)
            answer(True, (finished, []))
            return
        leases, lent = self._fetch_meanwhile(member_id, lend, tag, now)
        self.oracle.handed_out(member_id, leases, now)
        self._watch_clock()
        if leases or not wait > 0:
            core.on_unparked(claim)
            if lent is not None:
                core.on_unparked(lent)
            self._lend(member_id, leases)
            answer(True, ([], leases))
            return

        def finish(box: Box) -> None:
            self._collecting.pop(member_id, None)
            if not box.finished and not box.leases and core.terminated:
                answer(False, Terminated("the job is over"))
                return
            self._lend(member_id, box.leases)
            answer(True, (box.finished, box.leases))

        claims = [claim] if lent is None else [claim, lent]
        box = self._collecting[member_id] = self._open(Box(member_id, claims, finish), wait)
        if self._orders.get(member_id):
            self._ring(box)

    def _fetch_meanwhile(
        self, member_id: int, lend: int, tag: str | None, now: float
    ) -> tuple[list[Lease], int | None]:
        """Find a task for one who waits for an outcome: if possible one that brings it."""
        if lend == wire.NOTHING:
            return [], None
        if tag is not None and self._can_execute(member_id, tag):
            leases, claim = self.core.on_fetch(member_id, 1, now, tag)
            if leases or lend == wire.AWAITED:
                return leases, claim
            if claim is not None:
                self.core.on_unparked(claim)
        return self.core.on_fetch(member_id, 1, now) if lend == wire.ANY else ([], None)

    def _can_execute(self, member_id: int, tag: str) -> bool:
        view = self.core.members[member_id].filter
        return view is not None and view.accepts(tag)

    def _lend(self, member_id: int, leases: list[Lease]) -> None:
        """These are executed at once, inside the task that waits, if they arrive."""
        self.oracle.lent(member_id, leases)
        for lease in leases:
            self.core.on_started(member_id, lease.task_id, self.kernel.now)
        chance = self.swarm.cancel_waiting
        if leases and chance and self.kernel.random.random() < chance:
            lent = [lease.task_id for lease in leases]
            waiting = [i for i in self.core.members[member_id].leases if i not in lent]
            self.kernel.after(0.0, self.cancel_here, waiting)

    def _acknowledge(self, answer: Answer, session: Session, client: str, number: int) -> None:
        self.replies.acknowledge(client, number)
        answer(True, None)

    def _forgo(self, answer: Answer, session: Session, client: str, number: int) -> None:
        self.replies.forgo(client, number)
        answer(True, None)

    def _undelivered(self, finished: list[Finished]) -> None:
        self.touched = True
        self.oracle.came_back(finished)
        self._apply(self.core.on_undelivered(finished))
