"""The shell of the master in virtual time: connections, threads that wait, and the timekeeper.

What it decides the product's own `Dispatcher` decides. Here is only what `manager.Manager` and its
connections do with threads: calls wait in boxes instead of blocked threads, a wake-up takes a
moment, and a request is noted first and looked after later, with others in between.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from math import inf
from typing import TYPE_CHECKING, Any

from blocks import each_finished, together
from masterworker import wire
from masterworker.conversation.backpressure import BackPressure
from masterworker.conversation.dispatcher import Dispatcher
from masterworker.conversation.effects import Reply, Settled, Struck, Unkept, Warned
from masterworker.conversation.submissions import LOOK, Flush
from masterworker.core.liveness import STOOD_STILL
from masterworker.core.task import Large
from masterworker.errors import MasterworkerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from masterworker.core.options import Options
    from masterworker.core.scheduler import Scheduler
    from masterworker.core.task import Finished
    from simulation.kernel import Kernel
    from simulation.network import Link
    from simulation.oracle import Oracle
    from simulation.swarm import Swarm

    Answer = Callable[[bool, Any], None]

#: A caller waits at most so long for workers to give back what they have not begun (seconds).
REVOKE_SECONDS = 0.5
#: A deadline may be missed by so much (seconds): by the rounding of a sum.
LATE = 1e-6
#: Another thread gets hold of the interpreter within this time (seconds).
SWITCH = 0.005


class Session:
    """What the master knows of one connection."""

    __slots__ = ("clients", "deferred", "gone", "link", "members", "supervisors", "watched")

    def __init__(self, link: Link, *, deferred: bool) -> None:
        self.link = link
        #: Its exchanges have deferred replies; else a thread waits for each.
        self.deferred = deferred
        self.members: dict[int, None] = {}
        self.clients: dict[str, None] = {}
        self.supervisors: dict[str, None] = {}
        #: A process joined through it that has promised heartbeats.
        self.watched = False
        #: The end of the connection has been noticed.
        self.gone = False


class Box:
    """Where one call waits for its reply."""

    __slots__ = ("done", "finish", "reply", "thread", "waiter")

    def __init__(self, finish: Callable[[Any], None], *, thread: bool = True) -> None:
        self.finish = finish
        #: A thread waits here, which takes a moment to wake up.
        self.thread = thread
        self.waiter: Any = None
        self.reply: Any = None
        self.done = False


class Bulk(Large):
    """A result whose end is noticed."""

    __slots__ = ("_gone", "held")

    fd = None

    def __init__(self, held: bytes) -> None:
        self.held = held
        self._gone: Any = None

    def __len__(self) -> int:
        return len(self.held)

    def __eq__(self, other: object) -> bool:
        return self.held == getattr(other, "held", other)

    def __hash__(self) -> int:
        return hash(self.held)

    def tell_end(self, gone: Any) -> None:
        self._gone = gone

    def drop(self) -> None:
        """Nothing refers to it any more."""
        if self._gone is not None:
            gone, self._gone = self._gone, None
            gone(len(self.held))

    def head(self, size: int) -> bytes:
        return self.held[:size]

    def open(self, *, writable: bool = True) -> memoryview:
        return memoryview(self.held)


#: Stands for the original of a call that waits for its reply.
_COPY = object()


class Future:
    """Stands for a request of the master's own program."""

    number = -1


class Desk:
    """The master's shell, and its machine."""

    machine_class = Dispatcher

    def __init__(self, kernel: Kernel, swarm: Swarm, core: Scheduler, oracle: Oracle) -> None:
        self.kernel, self.swarm, self.core, self.oracle = kernel, swarm, core, oracle
        pressure = BackPressure(lambda: swarm.bound, Bulk)
        self.machine = self.machine_class(core, pressure, nullcontext())
        self.machine.calls.comes_back_within = swarm.comes_back
        #: Name of this run of the master.
        self.instance = ""
        #: Something was told to the machine since the invariants were looked at.
        self.touched = False
        self.dead = False
        self._stopped: list[tuple[Any, ...]] | None = None
        self._stopped_at = 0.0
        #: When the timekeeper looks next, and which of its plans counts.
        self._due = inf
        self._plan = 0
        #: How many threads have noted a request that they have not looked after yet.
        self._noting = 0
        self._futures: dict[int, Future] = {}
        #: Results that the master's program has and does not drop before it has got all.
        self._hoard: list[Bulk] = []
        self._open = 0

    # -- standing still ---------------------------------------------------------------------

    def stop(self) -> None:
        """Stand still, as after SIGSTOP: what comes waits."""
        if self._stopped is None:
            self._stopped = []
            self._stopped_at = self.kernel.now

    def die(self) -> None:
        """Stand still for ever."""
        self.dead = True
        self.stop()

    def resume(self) -> None:
        """Go on with what came meanwhile; the clock is asked first or last, as it happens."""
        if self._stopped is None or self.dead:
            return
        waiting, self._stopped = self._stopped, None
        seconds = self.kernel.now - self._stopped_at
        if seconds > STOOD_STILL:
            self.oracle.stood_still(seconds, self.kernel.now)
        ticks = [act for act in waiting if act[0] == self._tick]
        rest = [act for act in waiting if act[0] != self._tick]
        first = self.kernel.random.random() < 0.5
        for act, *args in ticks + rest if first else rest + ticks:
            act(*args)
            self.oracle.check_strikes()  # before one that was cut off comes back

    def held_up(self, *act: Any) -> bool:
        """Tell whether the master stands still; then this is done later."""
        if self._stopped is None:
            return False
        self._stopped.append(act)
        return True

    # -- one step ---------------------------------------------------------------------------

    @contextmanager
    def step(self) -> Iterator[Any]:
        """Within this the lock is held; then the effects are carried out."""
        self.touched = True
        try:
            yield self.machine
        finally:
            self._carry_out()

    def _carry_out(self) -> None:
        effects = self.machine.effects
        while effects:
            effect = effects.popleft()
            if isinstance(effect, Reply):
                self._reply(effect.channel, effect.value)
            elif isinstance(effect, Settled):
                for outcome in each_finished(effect.outcomes):
                    self.oracle.received(outcome)
                for outcome in effect.outcomes:
                    self._arrives(outcome)
            elif isinstance(effect, Unkept):
                self.keep(effect.outcomes, effect.parameters)
            elif isinstance(effect, Struck):
                self.struck(effect.strikes)
            elif isinstance(effect, Warned):
                self.oracle.trace(effect.text)
        if self.machine.alarmed or self.core.alarmed:
            self.machine.alarmed = self.core.alarmed = False
            self._look_again(0.0)

    def keep(self, finished: list[Finished], parameters: list[Any]) -> None:
        """Outcomes are to be kept before anything tells of them."""
        raise NotImplementedError

    def struck(self, strikes: list[tuple[int, list[str]]]) -> None:
        """Strikes are to be kept."""
        raise NotImplementedError

    # -- waiting ----------------------------------------------------------------------------

    def _call(self, event: Any, *what: Any, wait: float, box: Box) -> None:
        """Carry out a call; its box gets the reply, now or later."""
        now = self.kernel.now
        until = inf if box.thread else now + min(wait, wire.LONGEST_WAIT)
        try:
            with self.step():
                reply, box.waiter = event(*what, box, until, now)
        except MasterworkerError as error:
            reply = error
        if box.waiter is None:
            box.done = True
            box.finish(reply)
        elif box.thread:
            self.kernel.after(min(wait, wire.LONGEST_WAIT), self._time_is_up, box)

    def _reply(self, box: Box, value: Any) -> None:
        box.reply = value
        pause = 0.001 * self.kernel.random.random() if box.thread else 0.0
        self.kernel.after(pause, self._wake, box)

    def _wake(self, box: Box) -> None:
        if not box.done and not self.held_up(self._wake, box):
            box.done = True
            box.finish(box.reply)

    def _time_is_up(self, box: Box) -> None:
        if box.done or self.held_up(self._time_is_up, box):
            return
        box.done = True
        if box.reply is None:
            with self.step() as machine:
                box.reply = machine.answering.expire(box.waiter, self.kernel.now)
        box.finish(box.reply)

    # -- connections ------------------------------------------------------------------------

    def accept(self, link: Link) -> Session:
        return Session(link, deferred=self.kernel.random.random() < 0.5)

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
            self.oracle.spoke(args[0].member_id, self.kernel.now)
        numbered = operation in {"request", "collect"}

        def answer(good: bool, value: Any) -> None:
            if sender is not None:
                sender[0].reply(sender[1], good, value)
            if session.gone:  # it has ended meanwhile: now its thread does
                if numbered:
                    session.clients[args[0]] = None
                self.closed(session)

        self.touched = True
        if operation == "collect" and session.deferred:
            session.clients[args[0]] = None
            self._collect_later(answer, wire.Collect(*args))
        elif numbered:
            client, number, *rest = args
            session.clients[client] = None
            self._once(client, number, getattr(self, f"_{operation}"), rest, answer)
        else:
            getattr(self, f"_{operation}")(answer, session, *args)

    def _once(self, client: str, number: int, action: Any, rest: Any, answer: Answer) -> None:
        calls = self.machine.calls
        box = Box(lambda reply: _tell(answer, reply))
        try:
            with self.step():
                call, is_new = calls.begin(client, number, box)
        except UsageError as error:
            answer(False, error)
            return
        if not is_new:
            if call.done:
                box.done = True
                _tell(answer, call.reply)
            return

        def end(reply: Any) -> None:
            with self.step() as machine:
                orphan = machine.complete(calls, call, reply)
            if orphan and isinstance(reply, tuple):
                member_id = rest[0]
                with self.step() as machine:
                    machine.put_back(member_id, *reply, self.kernel.now)
            _tell(answer, reply)

        action(end, client, *rest)

    def closed(self, session: Session) -> None:
        """A connection has ended: a process that joined and did not sign off is lost."""
        if self.held_up(self.closed, session):
            return
        session.gone = True
        now = self.kernel.now
        members, session.members = session.members, {}
        supervisors, session.supervisors = session.supervisors, {}
        clients, session.clients = session.clients, {}
        for member_id in members:
            with self.step() as machine:
                machine.membership.disconnected(member_id, now)
        for name in supervisors:
            with self.step() as machine:
                machine.supervision.detach(name, now)
        for client in clients:
            with self.step() as machine:
                machine.abandon(machine.calls, client, now)

    # -- operations -------------------------------------------------------------------------

    def _join(
        self,
        answer: Answer,
        session: Session,
        client: str,
        tags: frozenset[str] | None,
        heartbeat: float | None,
        supervisor: str,
    ) -> None:
        known = None if tags is None else sorted(tags)
        hello = wire.Hello(wire.PROTOCOL, "", "", "", client, known, heartbeat, client, supervisor)
        now = self.kernel.now
        try:
            with self.step() as machine:
                member_id = machine.membership.join(hello, now)
        except MasterworkerError as error:
            answer(False, error)
            return
        session.members[member_id] = None
        session.watched = session.watched or heartbeat is not None
        self.oracle.joined(member_id, client, now)
        answer(True, (member_id, self.instance))

    def _instance(self, answer: Answer, session: Session) -> None:
        answer(True, self.instance)

    def _leave(self, answer: Answer, session: Session, member_id: int) -> None:
        session.members.pop(member_id, None)
        clients, session.clients = session.clients, {}
        with self.step() as machine:
            machine.membership.leave(member_id, self.kernel.now)
        for client in clients:
            with self.step() as machine:
                machine.forgo(machine.calls, client, None, self.kernel.now)
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
        """A supervisor speaks, perhaps of what it knows from another run of the master."""
        if name not in session.supervisors:
            session.supervisors[name] = None
            with self.step() as machine:
                machine.supervision.attach(name)
        ends = [ending for _, ending in endings]
        for ending in ends:
            self.oracle.explained(ending)
        members = [member for _, member in alive]
        attend = self.machine.supervision.attend
        box = Box(lambda orders: answer(True, orders), thread=not session.deferred)
        self._call(attend, name, members, ends, wait, wait=wait, box=box)

    def _exchange(self, answer: Answer, session: Session, asked: wire.Exchange) -> None:
        def finish(reply: wire.Reply) -> None:
            self.oracle.told(asked.member_id, reply.orders)
            answer(True, reply)

        box = Box(finish, thread=not session.deferred)
        self._call(self.machine.exchange, asked, wait=asked.wait, box=box)

    def _collect(
        self,
        end: Callable[[Any], None],
        client: str,
        member_id: int,
        *rest: Any,
    ) -> None:
        def finish(reply: Any) -> None:
            if not isinstance(reply, MasterworkerError):
                self._cancel_inside(member_id, reply[1])
                for outcome in reply[0]:
                    self._is_dropped_soon(outcome.payload)
            end(reply)

        asked = wire.Collect(client, 0, member_id, *rest)
        self._call(self.machine.collecting.collect, asked, wait=asked.wait, box=Box(finish))

    def _collect_later(self, answer: Answer, asked: wire.Collect) -> None:
        """Collect with a deferred reply: as a numbered call of the machine itself."""

        def finish(reply: Any) -> None:
            if not isinstance(reply, MasterworkerError):
                self._cancel_inside(asked.member_id, reply[1])
                for outcome in reply[0]:
                    self._is_dropped_soon(outcome.payload)
            _tell(answer, reply)

        def event(box: Box, until: float, now: float) -> Any:
            calls, collecting = self.machine.calls, self.machine.collecting
            reply, waiter = collecting.collect_once(calls, asked, box, until, now)
            # A copy of a call that is under way waits as well, and is answered with it.
            return reply, _COPY if reply is waiter is None else waiter

        self._call(event, wait=asked.wait, box=Box(finish, thread=False))

    def _cancel_inside(self, member_id: int, leases: list[Any]) -> None:
        """A task that waits, and is lent another one, may be cancelled in that instant."""
        chance = self.swarm.cancel_waiting
        member = self.core.members.get(member_id)
        if member and leases and chance and self.kernel.random.random() < chance:
            lent = [lease.task_id for lease in leases]
            waiting = [i for i in member.leases if i not in lent]
            self.kernel.after(0.0, self.cancel_here, waiting)

    def _acknowledge(self, answer: Answer, session: Session, client: str, number: int) -> None:
        with self.step() as machine:
            machine.calls.acknowledge(client, number)
        answer(True, None)

    def _forgo(self, answer: Answer, session: Session, client: str, number: int) -> None:
        with self.step() as machine:
            machine.forgo(machine.calls, client, number, self.kernel.now)
        answer(True, None)

    def terminate(self) -> None:
        """The job ends."""
        with self.step() as machine:
            machine.terminate(self.kernel.now)

    # -- requests: first they are noted, and a moment later they are looked after ---------------

    def _request(
        self,
        end: Callable[[Any], None],
        client: str,
        tag: str,
        payloads: list[bytes],
        options: Options | None,
        task_id: int = 0,
    ) -> None:
        asked = wire.Submission(client, 0, tag, list(payloads), options, task_id)
        expect = self.machine.expect(asked)
        end(self.request_here(tag, payloads, options, direct=False, expect=expect))

    def request_here(
        self,
        tag: str,
        payloads: list[bytes],
        options: Options | None,
        *,
        direct: bool,
        expect: Callable[[int], object] | None = None,
    ) -> int:
        """A thread of the master asks."""
        chunk = direct and options is None and int(payloads[0]) % 2
        noted = [-1]
        self._note(direct, len(payloads))
        asked = together(payloads) if chunk else payloads
        expect = expect or ((lambda _: None) if chunk else None)
        self.machine.submissions.add(tag, asked, options, noted, direct=direct, expect=expect)
        self.oracle.requested(noted[0], tag, payloads, direct, options)
        self._later(self._after_many)
        return noted[0]

    def submit_here(
        self,
        tag: str,
        payloads: list[bytes],
        options: Options | None,
        noted: Any = None,
    ) -> None:
        """The master's program submits calls, one after the other, and may wait for them then."""
        if self.held_up(self.submit_here, tag, payloads, options):
            return
        if not payloads:
            if self.kernel.random.random() < 0.7:
                self.about_to_wait()
            return
        future = Future()
        self._note(True, 1)
        self.machine.submissions.add_one(tag, payloads[0], options, future, self._futures, noted)
        self.oracle.requested(future.number, tag, payloads[:1], True, options)
        self._later(self._after_one, tag, options)
        pause = SWITCH * self.kernel.random.random() ** 4
        self.kernel.after(pause, self.submit_here, tag, payloads[1:], options)

    def about_to_wait(self) -> None:
        """The program waits for all that it has asked for."""
        if self.swarm.hoards:
            self.machine.pressure.sleepers = [1]
        if self.machine.rule.about_to_wait():
            self._flush()
        if self.core.held_back:
            self._weigh()

    def _note(self, direct: bool, number: int) -> None:
        self.touched = True
        self._noting += 1
        self._open += number if direct else 0

    def _later(self, *act: Any) -> None:
        """The same thread goes on; others may come in between."""
        self.kernel.after(0.001 * self.kernel.random.random() ** 3, *act)

    def _after_many(self) -> None:
        if self.held_up(self._after_many):
            return
        self._noting -= 1
        if self.core.waiting.claims.by_id or not self.machine.rule.watching:
            self._flush()

    def _after_one(self, tag: str, options: Options | None) -> None:
        if self.held_up(self._after_one, tag, options):
            return
        self._noting -= 1
        rule = self.machine.rule
        if self.core.waiting.claims.by_id or not rule.watching:
            what = rule.after_one(
                kept=options is None and self.core.dispatch.reservation.tag == tag
            )
            if what is Flush.NOW:
                self._flush()
            elif what is Flush.POKE:
                rule.looking = True
                self._look_again(SWITCH * self.kernel.random.random())

    def _flush(self) -> None:
        with self.step() as machine:
            machine.flush_requests(self.kernel.now)

    def cancel_here(self, task_ids: list[int]) -> None:
        """The master itself does not want some tasks any more."""
        if not self.held_up(self.cancel_here, task_ids):
            with self.step() as machine:
                machine.cancel(task_ids, self.kernel.now)

    def revoke_here(self, task_ids: list[int]) -> None:
        """The master itself wants tasks cancelled that have not begun, and waits for that."""
        if self.held_up(self.revoke_here, task_ids):
            return
        oracle = self.oracle
        oracle.asks_back(task_ids)
        box = Box(lambda cancelled: oracle.answered(task_ids, cancelled))
        self._call(self.machine.revoking.revoke, task_ids, wait=REVOKE_SECONDS, box=box)

    # -- results in memory ------------------------------------------------------------------

    def _arrives(self, outcome: Finished) -> None:
        """An outcome is with the master's own program."""
        payloads = outcome.payloads
        self._open -= len(payloads)
        each = payloads if isinstance(payloads, list) else []
        bulk = [payload for payload in each if isinstance(payload, Bulk)]
        if self.swarm.hoards:
            self._hoard += bulk
            bulk = []
            if not self._open:
                self.machine.pressure.sleepers = ()
                bulk, self._hoard = self._hoard, []
        for payload in bulk:
            self._is_dropped_soon(payload)

    def _is_dropped_soon(self, payload: Any) -> None:
        if isinstance(payload, Bulk):
            self.kernel.after(2.0 * self.kernel.random.random() ** 2, self._drop, payload)

    def _drop(self, payload: Bulk) -> None:
        if not self.held_up(self._drop, payload):
            payload.drop()
            if self.core.held_back and self.kernel.random.random() < 0.5:
                self._weigh()

    def _weigh(self) -> None:
        with self.step() as machine:
            machine.weigh(self.kernel.now)

    # -- time -------------------------------------------------------------------------------

    def _look_again(self, pause: float) -> None:
        if pause and self._due <= self.kernel.now + pause:
            return  # it is there before
        self._plan += 1
        self._due = self.kernel.now + pause
        self.kernel.after(pause, self._tick, self._plan)

    def _tick(self, plan: int) -> None:
        if plan != self._plan or self.held_up(self._tick, plan):
            return
        now = self.kernel.now
        self._due = inf
        with self.step() as machine:
            due = machine.on_tick(now)
        if plan == self._plan:
            self._due = due
            if due < inf:
                self._plan += 1
                self.kernel.after(max(0.0, due - now), self._tick, self._plan)

    # -- what must hold ---------------------------------------------------------------------

    def wrong(self) -> str:
        """Say what is wrong with those who wait, and with the clock; "" if nothing is."""
        machine = self.machine
        try:
            machine.check()
        except AssertionError as error:
            return str(error)
        now, looks = self.kernel.now, self._due
        due = min(machine.next_deadline(), machine.answering.waiters.next_deadline())
        if due < inf and max(due, now) < looks - LATE:
            return f"something is due at {due}, and nobody looks before {looks}"
        if machine.submissions.runs and not self._noting and looks > now + LOOK + LATE:
            return "nobody looks after what has been asked for"
        pressure = machine.pressure
        idle = not machine.core.held_back or pressure.stalled or pressure.is_high()
        if machine.core.waiting.count and not idle and looks > now + LOOK + LATE:
            return "tasks are held back for nothing, and nobody looks"
        return ""


def _tell(answer: Answer, reply: Any) -> None:
    if isinstance(reply, MasterworkerError):
        answer(False, reply)
    elif isinstance(reply, tuple):
        answer(True, (each_finished(reply[0]), reply[1]))
    else:
        answer(True, reply)


def finished_of(reply: Any) -> list[Finished]:
    """The outcomes in a reply, one by one; none in a failure."""
    return [] if isinstance(reply, MasterworkerError) else each_finished(reply[0])
