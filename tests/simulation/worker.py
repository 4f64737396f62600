"""A worker in virtual time: the real `Hand` and `Pace`, and the protocol of `Worker` and `Courier`.

Two threads as there, one that executes and one that speaks meanwhile; whatever they do between two
waits happens at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from blocks import pack, plain
from masterworker import wire
from masterworker.core.hand import MAX_WANT, Hand, Pace
from masterworker.core.row import Row
from masterworker.core.task import AGAIN, FAILURE, RESULT, Lease, Outcome, ids_of, size_of
from masterworker.data.items import one_by_one
from masterworker.errors import Terminated, TransportError, UsageError
from masterworker.launch.health import KILL_GRACE_SECONDS
from masterworker.worker.conversation import PAUSES
from masterworker.worker.courier import LONGEST_BATCH, look_after
from simulation.kernel import Mutex, Thread
from simulation.oracle import Violation
from simulation.peers import Peer
from simulation.swarm import FURTHER

if TYPE_CHECKING:
    from simulation.kernel import Run
    from simulation.world import World

MAIN, COURIER = "main", "courier"


class OtherRunError(TransportError):
    """A task of an earlier master asks for something."""


class BrokenOff(Exception):
    """The task that waits for others is to end."""


class SimWorker(Peer):
    """One process that executes tasks."""

    hand_class = Hand

    def __init__(self, world: World, slot: int, serial: int) -> None:
        super().__init__(world, f"worker{slot}", serial)
        swarm = world.swarm
        self.supervisor = world.supervisor_of(slot)
        self.slot = slot
        self.tags, self._slowness, _ = swarm.workers[slot]
        self.heartbeat = swarm.heartbeat
        self.member: int | None = None
        self.hand = self.hand_class(pack)
        self._longest_wait = min(wire.LONGEST_WAIT, self.heartbeat)
        self._talk = Mutex()
        self._pace = Pace()
        self._stopped = False
        self._last_call = self.kernel.now
        self._batch_began: float | None = None
        self._bell = False
        self._courier: Thread | None = None
        self._asleep = self._sleeping = self.deaf = False
        self._depth = 0
        #: Attempts that it has given back, and of which run of the master.
        self._given_back: set[tuple[str, int, int]] = set()
        #: Of which runs of the master the tasks are that it executes, one inside the other.
        self._runs: list[str] = []
        #: The tasks that wait, inside which it executes one; and what nobody wants any more of
        #: them, which they hear of when they go on.
        self._inside: list[int] = []
        self._pending: set[int] = set()
        self._main = self.spawn(self._run())

    # -- main thread ------------------------------------------------------------------------

    def _run(self) -> Run:
        try:
            yield from self._join(MAIN, wait=False)
            self._courier = self.spawn(self._courier_run())
            yield from self._work()
        except (TransportError, Terminated):
            pass
        self._stopped = True
        yield from self._sign_off()
        self.world.ended(self)

    def _work(self) -> Run:
        while not self._stopped:
            reply = yield from self._exchange(MAIN, MAX_WANT, self._longest_wait)
            if reply.leases:
                yield from self._execute_batch(size_of(reply.leases))

    def _execute_batch(self, size: int) -> Run:
        if size > 1:
            self._batch_began = self.kernel.now
            self._ring()
        yield from self._execute_leases()
        if size > 1:
            self._batch_began = None

    def _execute_leases(self) -> Run:
        hand = self.hand
        while hand.leases:
            lease = hand.leases[0]
            if isinstance(lease, Row):
                yield from self._execute_row(lease)
            elif hand.done_with(lease):
                hand.current = lease.task_id
                self._runs.append(hand.instance)
                began = self._pace.begin(lease.tag, self.kernel.now)
                outcome = yield from self._execute(lease)
                self._finish(outcome, self._runs.pop())
                hand.current = 0
                self._pace.observe(lease.tag, lease.task_id, 1, self.kernel.now - began)

    def _execute_row(self, row: Row) -> Run:
        hand, run, done = self.hand, self.hand.instance, 0
        if row.executing:
            hand.done_with(row)
            return
        row.begun = row.executing = True
        hand.outcomes.append(row)
        began = self._pace.begin(row.tag, self.kernel.now)
        while row.todo:
            task_id = row.todo.popleft()
            payload = one_by_one(row.payloads)[task_id - row.first]
            if task_id in row.dropped:
                row.add(None)
                continue
            hand.current = task_id
            self._runs.append(run)
            outcome = yield from self._execute(Lease(task_id, row.attempt, row.tag, payload))
            self._runs.pop()
            self._finish_in(row, outcome)
            hand.current = 0
            done += 1
        row.executing, row.over = False, True
        hand.done_with(row)
        if done:
            self._pace.observe(row.tag, row.next - 1, done, self.kernel.now - began)

    def _finish_in(self, row: Row, outcome: Outcome) -> None:
        """One task of a row is done."""
        if outcome.attempt != row.attempt:
            self.hand.outcomes.append(outcome)
            row.add(None)
        elif outcome.kind == RESULT:
            if outcome.payload[-1] % 2:  # some are values that can be pickled later
                row.results.append(outcome.payload)
            else:
                row.add(outcome.payload)
        else:
            row.add((outcome.kind, outcome.payload))

    def _finish(self, outcome: Outcome, run: str) -> None:
        """A task is done; its number means nothing to another run of the master."""
        if run == self.hand.instance:
            self.hand.outcomes.append(outcome)

    @property
    def run(self) -> str:
        """Of which run of the master that is which it executes."""
        return self._runs[-1] if self.hand.current else self.hand.instance

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
            except (TransportError, UsageError):  # as from any handler
                fails = True
            except BrokenOff:
                fails = broken = True
        self._pending.discard(task_id)
        kind = RESULT
        if fails:
            again = terms is not None and terms[1] is not None and not broken
            kind = AGAIN if again else FAILURE
        answer = b"%d by %s attempt %d" % (task_id, self.client.encode(), attempt)
        if not fails:
            answer += b" " * self.world.swarm.bulk
        oracle.produced(task_id, kind, answer, self.client)
        return Outcome(task_id, attempt, kind, answer)

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
        elif task_id in {self.executing, *self._inside}:
            self._pending.add(task_id)

    def _is_pending(self) -> bool:
        """Tell whether the task that waits is to be broken off."""
        return self.executing in self._pending

    # -- further tasks ----------------------------------------------------------------------

    def _further_tasks(self, number: int) -> Run:
        """Ask for further tasks, and wait for as many outcomes; whosever they are."""
        for _ in range(number):
            payload = self.world.further_task()
            yield from self._talk.acquire(MAIN)
            try:
                self._require_same_run()
                yield from self.call_once(MAIN, "request", FURTHER, [payload], None)
            except TransportError:
                self.world.oracle.unsure([payload])
                raise
            finally:
                self._talk.release()
            if self._is_pending():
                raise BrokenOff
        for _ in range(number):
            yield from self._collect_one()

    def _require_same_run(self) -> None:
        """What a task of another run of the master waits for never comes, and is not its own."""
        if self.run != self.hand.instance:
            raise OtherRunError("the master is another one by now")

    def _collect_one(self) -> Run:
        yield from self._deliver(MAIN, give_back=True)
        lend = wire.ANY if self._depth < self.world.swarm.depth else wire.AWAITED
        while True:
            began = self.kernel.now
            yield from self._talk.acquire(MAIN)
            try:
                self._require_same_run()
                if self._is_pending():
                    raise BrokenOff
                assert self.member is not None
                asked = (self.member, FURTHER, 1, self._longest_wait, lend)
                found = yield from self.collect(MAIN, *asked, lambda: not self._is_pending())
                self._last_call = self.kernel.now
            except OtherRunError:
                raise
            except TransportError:
                yield from self._find_again(MAIN)
                continue
            finally:
                self._talk.release()
            finished, leases = found
            if leases and (finished or self._is_pending()):  # both came in the same instant
                yield from self._return(leases)
                leases = []
            if finished:
                return
            for lease in leases:
                yield from self._execute_inside(lease)
            if not leases and self.kernel.now - began < self._longest_wait / 2:
                yield from self._deliver(MAIN, give_back=False)  # somebody has rung

    def _return(self, leases: list[Lease]) -> Run:
        """Give back what was lent, since it is not going to be executed here."""
        yield from self._exchange(MAIN, 0, 0.0, [lease.task_id for lease in leases])

    def _execute_inside(self, lease: Lease) -> Run:
        outer = self.hand.current
        self._depth += 1
        self._inside.append(outer)
        self.hand.leases.append(lease)
        yield from self._execute_leases()
        self._inside.pop()
        self._depth -= 1
        self.hand.current = outer
        yield from self._deliver(MAIN, give_back=False)

    # -- courier ----------------------------------------------------------------------------

    def _ring(self) -> None:
        self._bell = True
        if self._courier is not None and self._asleep:
            self._courier.wake(self._courier.turn)

    def _courier_run(self) -> Run:
        last = 0
        while not self._stopped:
            if self._batch_began is None:
                last = 0
            if not self._bell:
                self._asleep = True
                usual = self._pace.task_seconds
                yield self.heartbeat / 2 if self._batch_began is None else look_after(usual)
                self._asleep = False
            self._bell = False
            try:
                last = 0 if self._stopped else (yield from self._look(last))
            except (TransportError, Terminated):
                last = 0

    def _look(self, last: int) -> Run:
        hand = self.hand
        current, began = hand.current, self._batch_began
        if began is not None and current and (hand.leases or hand.outcomes):
            if current == last or self.kernel.now - began > LONGEST_BATCH:
                yield from self._deliver(COURIER, give_back=True)
                self._batch_began = None
        elif current and self.kernel.now - self._last_call >= self.heartbeat:
            yield from self._deliver(COURIER, give_back=False)
        return current

    # -- the conversation -------------------------------------------------------------------

    def _deliver(self, me: str, *, give_back: bool) -> Run:
        yield from self._talk.acquire(me)
        try:
            returned = self._put_down() if give_back else []
            yield from self._exchange(me, 0, 0.0, returned)
        finally:
            self._talk.release()

    def _put_down(self) -> list[int]:
        before = {
            task_id: lease.attempt
            for lease in self.hand.leases
            for task_id in (
                range(lease.next, lease.last + 1) if isinstance(lease, Row) else ids_of(lease)
            )
        }
        returned = self.hand.put_down()
        self._given_back |= {(self.hand.instance, i, before[i]) for i in returned}
        return returned

    def _exchange(self, me: str, want: int, wait: float, returned: list[int] | None = None) -> Run:
        yield from self._talk.acquire(me)
        try:
            seconds, spent = (self._pace.seconds, self._pace.report()) if want else (0.0, ())
            while True:
                began = self.kernel.now
                try:
                    outcomes = list(self.hand.to_send())
                    self.world.sends(self, outcomes)
                    reply = yield from self.call(
                        me,
                        "exchange",
                        self.member,
                        outcomes,
                        returned or [],
                        self.executing,
                        want,
                        wait,
                        seconds,
                        spent,
                    )
                except TransportError:
                    yield from self._find_again(me)
                    returned = None
                    continue
                break
            self._last_call = self.kernel.now
            self._pace.observe_round_trip(self._last_call - began - reply.waited)
            self.hand.take(reply.leases)
            for order, argument in reply.orders:
                yield from self._obey(me, order, argument)
            return reply
        finally:
            self._talk.release()

    def _obey(self, me: str, order: str, argument: int) -> Run:
        if order == wire.STOP:
            self._stopped = True
        elif order == wire.CANCEL:
            if not self.hand.drop(argument):
                self.break_off(argument)
        elif order == wire.REJOIN:
            self.hand.cut_off()
            yield from self._join(me, wait=True)

    def _find_again(self, me: str) -> Run:
        self.hand.cut_off()
        try:
            yield from self._join(me, wait=True)
        except TransportError:
            self._stopped = True
            if me is COURIER:
                self.world.kill(self, "its master is gone")
                yield 1e9
            raise

    def _join(self, me: str, *, wait: bool) -> Run:
        end = self._last_call + self.world.swarm.reconnect if wait else 0.0
        pause, longest = PAUSES
        while True:
            try:
                yield from self._talk.acquire(me)
                try:
                    watched = self.slot not in self.world.swarm.unwatched
                    hello = self.tags, self.heartbeat if watched else None, self.supervisor
                    self.member = yield from self.join(me, *hello)
                    self._last_call = self.kernel.now
                    self.hand.joined(self.instance)
                finally:
                    self._talk.release()
            except Terminated:
                if not wait or self.member is None:
                    raise
                self._stopped = True
                return
            except TransportError:
                if self.kernel.now + pause > end:
                    raise
                yield pause
                pause = min(2 * pause, longest)
            else:
                return

    def _sign_off(self) -> Run:
        self.hand.cut_off()
        if self.member is None:
            return
        try:
            if pending := list(self.hand.to_send()):
                yield from self.call(MAIN, "exchange", self.member, pending, [], 0, 0, 0.0)
                self.hand.take(())
            yield from self.forgo(MAIN)
            yield from self.call(MAIN, "leave", self.member)
        except (TransportError, Terminated):
            pass
        self.disconnect()
