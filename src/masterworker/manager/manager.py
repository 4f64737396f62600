"""The task manager: the scheduler behind one lock, with waiting, time and stored data.

Every call: take the lock, tell the scheduler, put what follows into mailboxes, release the lock.
Pickling, sending and waiting happen outside. A caller that found nothing waits at a mailbox of its
own, so nobody is woken for somebody else's work.

    callers (threads of the master, one thread for each connection)
        |  join, exchange, request, collect, ...
        v
    [ lock: Scheduler ] --effects--> mailboxes of waiting callers, sink of direct outcomes
        ^
        |  tick
    timekeeper (one thread, only while somebody is watched)
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from masterworker import wire
from masterworker.core.settling import CURRENT
from masterworker.core.task import Outcome
from masterworker.errors import NotRegisteredError, RejectedError, Terminated
from masterworker.manager.exchanging import Exchanging
from masterworker.manager.mailbox import Desk, Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.core.chunks import Chunk
    from masterworker.core.options import Options
    from masterworker.core.task import Finished, Lease, Payload
    from masterworker.manager.intake import H

logger = logging.getLogger("masterworker.manager")


class Manager(Exchanging):
    """The state of one job, for callers in many threads; see `Guarded`. Thread-safe."""

    # -- processes --------------------------------------------------------------------------

    def join(self, hello: wire.Hello) -> wire.Welcome:
        """Register a process.

        Raises:
            RejectedError: It would misunderstand, or be misunderstood.
            Terminated: The job is over.
        """
        try:
            wire.judge(hello, self.program_digest)
        except RejectedError as error:
            with self.guard:
                told = f"a worker was refused ({hello.info}): {error}"
                self.troubles.note("refused", told, self._clock())
            raise
        tags = None if hello.tags is None else frozenset(hello.tags)
        with self.guard:
            if self.core.terminated:
                raise Terminated("the job is over")
            now = self._clock()
            before = self._clients.pop(hello.client, None)
            if before is not None:  # it came back before its old connection was missed
                self._apply(self.core.on_lost(before, "it joined again", now, blame=False))
            was = self._before.pop(hello.client, None)
            member_id = self.core.on_joined(
                hello.info, tags, hello.heartbeat, now, hello.supervisor, was
            )
            self._clients[hello.client] = member_id
            self._names[member_id] = hello.client
            self._changed()
            self._watch_clock()
        logger.debug("process %d joined: %s", member_id, hello.info)
        return wire.Welcome(member_id, self.instance)

    def leave(self, member_id: int) -> None:
        """Sign a process off. One that is not registered is no error."""
        with self.guard:
            self._apply(self.core.on_left(member_id, self._clock()))
            self._forget_member(member_id)

    def lost(self, member_id: int, reason: str, *, blame: bool = True) -> None:
        """Take note that a process is gone. One that is not registered is no error."""
        with self.guard:
            self._apply(self.core.on_lost(member_id, reason, self._clock(), blame=blame))

    def disconnected(self, member_id: int) -> None:
        """The connection of a process has closed, and it did not sign off."""
        with self.guard:
            self._apply(self.core.on_closed(member_id, "its connection closed", self._clock()))
            self._watch_clock()

    def ping(self, member_id: int) -> bool:
        """A process is alive. False: it is not registered and must join again."""
        with self.guard:
            return self.core.on_heard(member_id, self._clock())

    # -- supervisors ------------------------------------------------------------------------

    def attend(
        self, name: str, alive: Sequence[int], endings: Sequence[wire.Ending], wait: float
    ) -> list[tuple[str, int, int]]:
        """A supervisor reports, and asks for orders.

        Args:
            name: Its random name.
            alive: The members whose processes are well.
            endings: Processes that have ended since.
            wait: Seconds to wait for an order, at most.

        Returns:
            (order, member id, task id): `wire.CANCEL` or `wire.STOP`.
        """
        with self.guard:
            now = self._clock()
            self.core.on_attended(name, alive, now)
            desk = self._desks.setdefault(name, Desk())
            for ending in endings:
                self._take_ending(name, ending, now)
            if self.core.terminated:
                return [*desk.take(), (wire.STOP, 0, 0)]
            if desk.orders or not wait > 0:
                return desk.take()
            box = desk.open()
        try:
            box.wait(min(wait, wire.LONGEST_WAIT))
        finally:
            with self.guard:
                desk.close(box)
        with self.guard:
            return [*desk.take(), (wire.STOP, 0, 0)] if self.core.terminated else desk.take()

    def attach(self, name: str) -> None:
        """A supervisor speaks through one more connection."""
        with self.guard:
            self._lines[name] = self._lines.get(name, 0) + 1

    def detach(self, name: str) -> None:
        """A connection of a supervisor has ended; with the last one it is gone."""
        with self.guard:
            self._lines[name] = self._lines.get(name, 1) - 1
            if self._lines[name] <= 0:
                del self._lines[name]
                self._desks.pop(name, None)
                self._apply(self.core.on_unattended(name, self._clock()))

    # -- tasks ------------------------------------------------------------------------------

    def request(
        self,
        tag: str,
        payloads: Sequence[Payload] | Chunk,
        options: Options | None = None,
        *,
        direct: bool = False,
        expect: Callable[[int], object] | None = None,
    ) -> int:
        """Ask for tasks of one tag.

        Args:
            tag: Their tag.
            payloads: Their parameters.
            options: How they are to be treated.
            direct: Their outcomes go to `on_direct`.
            expect: Is told the id of the first before anybody can have the task. It must neither
                block nor call back.

        Returns:
            The id of the first; the others count up from it.

        Raises:
            Terminated: The job is over.
            BaseException: What a signal handler raises. Then none of them is asked for.
        """
        core = self.core
        if core.terminated:
            raise Terminated("the job is over: no more tasks are accepted")
        number, noted = len(payloads), [-1]
        try:
            self._intake.add(tag, payloads, options, noted, direct=direct, expect=expect)
            if core.waiting.claims or not self._watching:
                self._look_at_requests()
            return noted[0]
        except BaseException:
            if noted[0] >= 0:
                self.repairs.append((self.to_withdraw, noted[0], number))
                self._timekeeper.look_again()
            raise

    def submit(
        self, tag: str, payload: Payload, options: Options | None, future: H, futures: dict[int, H]
    ) -> None:
        """Ask for one direct task: a `request`, as cheap as it can be.

        Its future gets its number, and is in `futures` before anybody can have the task.
        """
        core = self.core
        if core.terminated:
            raise Terminated("the job is over: no more tasks are accepted")
        try:
            self._intake.add_one(tag, payload, options, future, futures)
            kept = options is None and core.kept_tag == tag  # asked last: see `end_keeping`
            if core.waiting.claims and not kept and self._hurried:
                self._hurry()
            elif (core.waiting.claims and not kept) or not self._watching:
                self._hurried = self._hurried or 1
                self._look_at_requests()
        except BaseException:
            if future.number >= 0:
                self.repairs.append((self.to_withdraw, future.number, 1))
                self._timekeeper.look_again()
            raise

    def cancel(self, task_ids: Sequence[int]) -> list[int]:
        """Cancel tasks. Returns the ids of those that had no outcome yet."""
        with self.guard:
            self._take_in()
            cancelled, effects = self.core.on_cancelled(task_ids, self._clock())
            self._apply(effects)
            return cancelled

    def is_handed_out(self, task_id: int) -> bool:
        """Tell whether a worker has a task that has no outcome yet."""
        with self.guard:
            self._take_in()
            task = self.core.find(task_id)
            return task is not None and task.holder is not None

    def settle(
        self,
        task_id: int,
        kind: int,
        payload: Payload | list[bytes] | Chunk,
        attempt: int = CURRENT,
    ) -> bool:
        """Deliver the outcome of (an attempt of) a task, whoever has it. False: not accepted."""
        with self.guard:
            self._take_in()
            holder = self._holder(task_id, attempt)
            outcome = Outcome(task_id, attempt, kind, payload)
            refused, effects = self.core.on_reported(holder, [outcome], self._clock())
            self._apply(effects)
            return not refused

    def give_back(self, task_id: int, attempt: int = CURRENT) -> None:
        """Give (an attempt of) a task back, whoever has it."""
        with self.guard:
            self._take_in()
            holder = self._holder(task_id, attempt)
            self._apply(self.core.on_returned(holder, [task_id], self._clock()))

    def _holder(self, task_id: int, attempt: int) -> int:
        """Return who has an attempt of a task in hand; -1 for nobody."""
        task = self.core.find(task_id)
        if task is None or task.holder is None or attempt not in {CURRENT, task.attempt}:
            return -1
        return task.holder.id

    # -- outcomes ---------------------------------------------------------------------------

    def collect(
        self,
        member_id: int,
        tag: str | None = None,
        want: int = 1,
        wait: float = 0.0,
        lend: int = wire.NOTHING,
    ) -> tuple[list[Finished], list[Lease]]:
        """Pick up outcomes in the order of their arrival, or get tasks to execute meanwhile.

        Args:
            member_id: Who calls.
            tag: Only outcomes of tasks of this tag.
            want: The most that it wants.
            wait: Seconds to wait, at most.
            lend: While there is none, it would execute a task: `wire.ANY`, `wire.AWAITED` (only
                one of the tag that it waits for), or `wire.NOTHING`.

        Raises:
            Terminated: The job is over.
            NotRegisteredError: The caller has to join again.
        """
        box = Mailbox()  # what comes for this call, at once or later
        try:
            with self.guard:
                self._require_open()
                self._take_in()
                now = self._clock()
                if not self._await(box, member_id, tag, want, wait, lend, now):
                    return box.finished, box.leases
            box.wait(min(wait, wire.LONGEST_WAIT))
            with self.guard:
                self._boxes.close(box)
                self._collecting.pop(member_id, None)
                if not box.finished and not box.leases:
                    self._require_open()
                for lease in box.leases:  # it is executed at once, inside the task that waits
                    self.core.on_started(member_id, lease.task_id, now)
                return box.finished, box.leases
        except BaseException:  # a Ctrl-C, say: what has come waits for the next call
            if box.finished or box.leases or box.claims:
                self.repairs.append((self._take_back, box, member_id))
                self._timekeeper.look_again()
            raise

    def _await(
        self,
        box: Mailbox,
        member_id: int,
        tag: str | None,
        want: int,
        wait: float,
        lend: int,
        now: float,
    ) -> bool:
        """Put into a mailbox what there is for somebody. True: nothing, so he is to wait there."""
        if not self.core.on_heard(member_id, now):
            raise NotRegisteredError(f"process {member_id} is not registered")
        box.finished, claim = self.core.on_collect(member_id, want, tag)
        if claim is None:
            return False
        box.leases, lent = self._lend(member_id, lend, tag, now)
        self._watch_clock()
        if box.leases or not wait > 0:
            self.core.on_unparked(claim)
            if lent is not None:
                self.core.on_unparked(lent)
            for lease in box.leases:
                self.core.on_started(member_id, lease.task_id, now)
            return False
        box.claims = [claim] if lent is None else [claim, lent]
        self._collecting[member_id] = self._boxes.add(box)
        self._take_in()  # what came since saw nobody wait
        if self._orders.get(member_id):
            box.ring()
        if self.core.held_back:
            self._weigh(now)
        return True

    def _lend(
        self, member_id: int, lend: int, tag: str | None, now: float
    ) -> tuple[list[Lease], int | None]:
        """Find a task for somebody who waits for an outcome: if possible one that brings it."""
        if lend == wire.NOTHING:
            return [], None
        view = self.core.members[member_id].filter
        if tag is not None and view is not None and view.accepts(tag):
            leases, claim = self.core.on_fetch(member_id, 1, now, tag)
            if leases or lend == wire.AWAITED:
                return leases, claim
            if claim is not None:
                self.core.on_unparked(claim)
        if tag is not None and lend == wire.AWAITED:
            return [], None
        return self.core.on_fetch(member_id, 1, now)

    def warn(self, kind: str, text: str) -> None:
        """Let the log say something about this job; see `Troubles.note`."""
        with self.guard:
            self.troubles.note(kind, text, self._clock())

    # -- stored data ------------------------------------------------------------------------

    def put(self, space: str, name: str, value: Payload) -> None:
        """Store a value; see `Store`, also for the next three."""
        self.store.put(space, name, value)

    def get(self, space: str, name: str) -> Payload | None:
        """Return a stored value; None where there is none."""
        return self.store.get(space, name)

    def drop(self, space: str, name: str) -> bool:
        """Forget a stored value. False: there was none."""
        return self.store.drop(space, name)

    def put_state(self, values: dict[str, Payload]) -> int:
        """Store the values of a state. Returns its id."""
        return self.store.put_state(values)

    def drop_state(self, state_id: int) -> bool:
        """Forget a state, here and in every worker. False: there is none of this id."""
        if not self.store.drop_state(state_id):
            return False
        self.order_workers(wire.FORGET, state_id)
        return True

    def order_workers(self, order: str, argument: int) -> None:
        """Let all workers have an order, before any task that is asked for after this."""
        with self.guard:
            for member in self.core.members.values():
                if member.filter is not None:
                    self._orders.setdefault(member.id, []).append((order, argument))
