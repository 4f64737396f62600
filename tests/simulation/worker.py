"""A worker process in virtual time, around the product's own `WorkerSession` and `Lookout`.

What it says and makes of replies these decide. Here is what executes, and what carries out what
they ask for: two threads as in the product, one that executes and one that speaks meanwhile.
Whatever they do between two waits happens at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blocks import each_lease, pack, plain
from masterworker import wire
from masterworker.conversation.worker import effects
from masterworker.conversation.worker.lookout import Look, Lookout
from masterworker.conversation.worker.session import WorkerSession
from masterworker.core.further import KEPT
from masterworker.core.hand import MAX_WANT
from masterworker.core.row import Row
from masterworker.core.task import AGAIN, FAILURE, RESULT, Lease, Outcome, size_of
from masterworker.data.items import one_by_one
from masterworker.errors import (
    JournalError,
    MasterworkerError,
    Terminated,
    TransportError,
    UsageError,
)
from masterworker.launch.health import KILL_GRACE_SECONDS
from simulation.kernel import Mutex, Thread
from simulation.oracle import Violation
from simulation.peers import Peer
from simulation.swarm import FURTHER

if TYPE_CHECKING:
    from collections import deque

    from masterworker.conversation.worker.session import Steps
    from simulation.kernel import Run
    from simulation.world import World

MAIN, COURIER = "main", "courier"


class BrokenOff(Exception):
    """The task that waits for others is to end."""


class SimWorker(Peer):
    """One process that executes tasks."""

    session_class = WorkerSession
    lookout_class = Lookout

    def __init__(self, world: World, slot: int, serial: int) -> None:
        super().__init__(world, f"worker{slot}", serial)
        swarm = world.swarm
        self.supervisor = world.supervisor_of(slot)
        self.slot = slot
        self.tags, self._slowness, _ = swarm.workers[slot]
        now = self.kernel.now
        self.session = self.session_class(
            pack, swarm.heartbeat, swarm.reconnect, now, max_depth=swarm.depth
        )
        self.hand = self.session.hand
        self._talk = Mutex()
        self._lookout = self.lookout_class(self.session)
        #: How many orders its supervisor has told it of, and how many it has asked for.
        self.orders = self._heard = 0
        self._ended = self._bell = False
        self._courier: Thread | None = None
        self._asleep = self._sleeping = self.deaf = False
        #: Attempts that it was given, by run of the master and task; and which it has given back.
        self._attempts: dict[tuple[str, int], int] = {}
        self._given_back: set[tuple[str, int, int]] = set()
        #: Which tasks are to be broken off as soon as they go on.
        self._pending: set[int] = set()
        self._main = self.spawn(self._run())

    @property
    def member(self) -> int | None:
        """As whom the master knows it."""
        return self.session.member_id

    # -- main thread ------------------------------------------------------------------------

    def _run(self) -> Run:
        try:
            if (yield from self._perform(MAIN, self.session.join_first())):
                self._courier = self.spawn(self._courier_run())
                yield from self._work()
        except (TransportError, Terminated):
            pass
        self._ended = True
        yield from self._perform(MAIN, self.session.leave())
        self.disconnect()
        self.world.ended(self)

    def _work(self) -> Run:
        session = self.session
        while not session.stopped:
            steps = session.exchange(MAX_WANT, session.longest_wait, [])
            reply = yield from self._perform(MAIN, steps)
            if reply.leases:
                yield from self._execute_batch(size_of(reply.leases))

    def _execute_batch(self, size: int) -> Run:
        if self._lookout.begins(self.kernel.now, alone=size == 1):
            self._ring()
        yield from self._execute_leases()
        if size > 1:
            self._lookout.batch_began = None

    def _execute_leases(self) -> Run:
        hand, session, pace = self.hand, self.session, self.session.pace
        outer_run = session.run
        while hand.leases:
            session.run, outcomes = hand.instance, hand.outcomes
            lease = hand.leases[0]
            if isinstance(lease, Row):
                yield from self._execute_row(lease, outcomes)
            elif hand.done_with(lease):
                hand.current = lease.task_id
                began = pace.begin(lease.tag, self.kernel.now)
                outcomes.append((yield from self._execute(lease)))
                hand.current = 0
                pace.observe(lease.tag, lease.task_id, 1, self.kernel.now - began)
        session.run = outer_run

    def _execute_row(self, row: Row, outcomes: deque[Outcome | Row]) -> Run:
        hand, pace, done = self.hand, self.session.pace, 0
        if row.executing:
            hand.done_with(row)
            return
        row.begun = row.executing = True
        outcomes.append(row)
        began = pace.begin(row.tag, self.kernel.now)
        for task_id in row.coming:
            payload = one_by_one(row.payloads)[task_id - row.first]
            if task_id in row.dropped:
                row.add(None)
                continue
            hand.current = task_id
            outcome = yield from self._execute(Lease(task_id, row.attempt, row.tag, [payload]))
            self._finish_in(row, outcome, outcomes)
            hand.current = 0
            done += 1
        row.executing, row.over = False, True
        hand.done_with(row)
        if done:
            pace.observe(row.tag, row.next - 1, done, self.kernel.now - began)

    def _finish_in(self, row: Row, outcome: Outcome, outcomes: deque[Outcome | Row]) -> None:
        """One task of a row is done."""
        if outcome.attempt != row.attempt:
            outcomes.append(outcome)
            row.add(None)
        elif outcome.kind == RESULT:
            if outcome.payload[-1] % 2:  # some are values that can be pickled later
                row.results.append(outcome.payload)
            else:
                row.add(outcome.payload)
        else:
            row.add((outcome.kind, outcome.payload))

    @property
    def run(self) -> str:
        """Of which run of the master that is which it executes."""
        return self.session.run if self.hand.current else self.hand.instance

    @property
    def executing(self) -> int:
        """Which task of the present master it executes; 0 for none."""
        return self.hand.current if self.run == self.hand.instance else 0

    def _execute(self, lease: Lease) -> Run:
        task_id, attempt, payload = lease.task_id, lease.attempt, lease.payload
        terms = lease.terms
        if (self.run, task_id, attempt) in self._given_back:
            raise Violation(f"{self.client} executes task {task_id}, which it has given back")
        spec = self.world.specs[int(plain(payload))]
        seconds = spec.seconds * self._slowness
        oracle = self.world.oracles[self.run]
        oracle.executes(lease, self)
        if spec.poison:
            yield seconds * self.kernel.random.random()
            self.world.kill(self, "poison")
            yield 1e9
        limit = None if terms is None else terms[0]
        late = limit is not None and seconds > limit
        if spec.stubborn:
            broken = False
            yield from self._hold_out(lease, seconds)
            late = False
        else:
            self._sleeping = True
            broken = yield limit if late else seconds
            self._sleeping = False
        fails = broken or late or spec.failures < 0 or attempt <= spec.failures
        if not broken:
            try:
                yield from self._further_tasks(spec.further)
            except (TransportError, UsageError, JournalError):  # as from any handler
                fails = True
            except BrokenOff:
                fails = broken = True
        self._pending.discard(task_id)
        kind = RESULT
        if fails:
            again = terms is not None and terms[1] is not None and not broken
            kind = AGAIN if again else FAILURE
        answer = self.answer(task_id, attempt)
        if not fails:
            answer += b" " * self.world.swarm.bulk
        oracle.produced(task_id, kind, answer, self.client)
        return Outcome(task_id, attempt, kind, [answer])

    def answer(self, task_id: int, attempt: int) -> bytes:
        """What executing it comes to."""
        return b"%d by %s attempt %d" % (task_id, self.client.encode(), attempt)

    def _hold_out(self, lease: Lease, seconds: float) -> Run:
        """Execute something that heeds neither its limit nor an order to stop."""
        terms = lease.terms
        self.deaf = True
        if terms is None or terms[0] is None or not self.supervisor:
            yield seconds
        else:
            yield min(seconds, terms[0] + KILL_GRACE_SECONDS)
            if seconds > terms[0] + KILL_GRACE_SECONDS:
                kind = FAILURE if terms[1] is None else AGAIN
                answer = b"%d took too long in %s" % (lease.task_id, self.client.encode())
                self.world.oracles[self.run].produced(lease.task_id, kind, answer, self.client)
                self.world.kill(self, "time is up", asked=True, outcome=(kind, answer))
                yield 1e9
        self.deaf = False

    def break_off(self, task_id: int) -> None:
        """Break off a task, if it is being executed."""
        if self._sleeping and self.executing == task_id:
            self._main.wake(self._main.turn, value=True)
        elif task_id in {self.executing, *self.session.inside}:
            self._pending.add(task_id)

    def _is_pending(self) -> bool:
        """Tell whether the task that waits is to be broken off."""
        return self.executing in self._pending

    # -- further tasks ----------------------------------------------------------------------

    def _further_tasks(self, number: int) -> Run:
        """Ask for further tasks, and wait for as many outcomes: those of these tasks."""
        mine, began = set(), self.kernel.now
        for _ in range(number):
            payload = self.world.further_task()
            yield from self._talk.acquire(MAIN)
            try:
                self.session.require_same_run()
                arguments = (FURTHER, [payload], None, self.hand.current)
                mine.add((yield from self.call_once(MAIN, "request", *arguments)))
            except TransportError:
                self.world.oracle.unsure([payload])
                raise
            finally:
                self._talk.release()
            if self._is_pending():
                raise BrokenOff
        task_id = self.hand.current
        for _ in range(number):
            outcome = yield from self._collect_one()
            may_be_known = self.kernel.now < began + KEPT
            if outcome.task_id not in mine and may_be_known and self._is_current(task_id):
                raise Violation(f"task {task_id} gets {outcome}, and has asked for {mine}")

    def _is_current(self, task_id: int) -> bool:
        """Return whether this is the only attempt of a task under way that counts."""
        oracle, attempt = self.world.oracles[self.run], self._attempts[self.run, task_id]
        return oracle.is_open(task_id, attempt)

    def _collect_one(self) -> Run:
        session = self.session
        yield from self._perform(MAIN, session.deliver(give_back=True))
        while True:
            steps = session.collect(FURTHER, session.longest_wait, mine=True)
            finished, leases = yield from self._perform(MAIN, steps)
            if finished is not None:
                return finished
            for lease in leases:
                yield from self._execute_inside(lease)

    def _execute_inside(self, lease: Lease) -> Run:
        outer = self.hand.current
        self.session.inside.append(outer)
        self.hand.leases.append(lease)
        if self._lookout.begins(self.kernel.now, alone=True):
            self._ring()
        yield from self._execute_leases()
        self.session.inside.pop()
        self.hand.current = outer
        yield from self._perform(MAIN, self.session.deliver(give_back=False))

    # -- courier ----------------------------------------------------------------------------

    def _ring(self) -> None:
        self._bell = True
        if self._courier is not None and self._asleep:
            self._courier.wake(self._courier.turn)

    def _courier_run(self) -> Run:
        lookout = self._lookout
        while not self._ended:
            pause = lookout.pause()
            if not self._bell:
                self._asleep = True
                yield pause
                self._asleep = False
            self._bell = False
            try:
                if not self._ended:
                    has_order, self._heard = self.orders != self._heard, self.orders
                    yield from self._look(lookout.look(self.kernel.now, has_order=has_order))
            except (TransportError, Terminated):
                lookout.forget()

    def _look(self, what: Look) -> Run:
        if what is not Look.NOTHING:
            give_back = what is Look.GIVE_BACK
            yield from self._perform(COURIER, self.session.deliver(give_back=give_back))
            if give_back:
                self._lookout.has_given_back()

    # -- what the machine asks for ------------------------------------------------------------

    def _perform(self, me: str, steps: Steps[Any]) -> Run:
        """Carry out a procedure of the machine, after those of the other thread."""
        answer: Any = None
        error: MasterworkerError | None = None
        yield from self._talk.acquire(me)
        try:
            while True:
                self.session.now = self.kernel.now
                effect = steps.send(answer) if error is None else steps.throw(error)
                answer = error = None
                try:
                    answer = yield from self._carry_out(me, effect)
                except MasterworkerError as failure:
                    error = failure
        except StopIteration as end:
            return end.value
        finally:
            self._talk.release()

    def _carry_out(self, me: str, effect: Any) -> Run:
        match effect:
            case wire.Exchange():
                return (yield from self._exchange(me, effect))
            case effects.Join():
                watched = self.slot not in self.world.swarm.unwatched
                hello = self.tags, self.session.heartbeat if watched else None, self.supervisor
                member = yield from self.join(me, *hello)
                return wire.Welcome(member, self.instance)
            case effects.Leave():
                yield from self.call(me, "leave", effect.member_id)
            case effects.Collect():
                asked = (effect.member_id, effect.tag, 1, effect.wait, effect.lend, effect.task_id)
                found = yield from self.collect(me, *asked, lambda: not self._is_pending())
                self._are_given(found[1])
                return found
            case effects.Pause():
                yield effect.seconds
                return not self._ended
            case effects.GaveUp() if me is COURIER and not self._ended:
                self.world.kill(self, "its master is gone")
                yield 1e9
            case effects.MayGoOn() if self._is_pending():
                raise BrokenOff
            case effects.IsPending():
                return self._is_pending()
            case effects.BreakOff():
                self.break_off(effect.task_id)
        return None

    def _exchange(self, me: str, asked: wire.Exchange) -> Run:
        self.world.sends(self, asked.outcomes)
        run = self.hand.instance
        for task_id in asked.returned:
            self._given_back.add((run, task_id, self._attempts[run, task_id]))
        reply = yield from self.call(me, "exchange", asked)
        self._are_given(reply.leases)
        return reply

    def _are_given(self, leases: list[Lease]) -> None:
        for lease in each_lease(leases):
            self._attempts[self.hand.instance, lease.task_id] = lease.attempt
