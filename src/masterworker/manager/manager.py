"""The task manager: the machine of `masterworker.conversation` for many threads.

Every call: take the lock, give the machine the event, carry out its effects, release the lock.
Pickling, sending and waiting happen outside. A call that finds nothing waits at a mailbox of its
own, or has a deferred reply, so no thread is woken for another one's work.

    callers (threads of the master; those that serve connections)
        |  join, exchange, request, collect, ...
        v
    [ lock: Dispatcher ] --effects--> mailboxes, deferred replies, sink of direct outcomes, log
        ^
        |  tick
    timekeeper (one thread, only while something is due)
"""

from __future__ import annotations

import logging
import time
from math import inf
from typing import TYPE_CHECKING

from masterworker import forks, wire
from masterworker.conversation.backpressure import BackPressure
from masterworker.conversation.dispatcher import Dispatcher
from masterworker.core import audit
from masterworker.core.filters import CALL_MARK
from masterworker.core.reports import CURRENT
from masterworker.core.scheduler import Scheduler
from masterworker.core.streams import StreamTable
from masterworker.data.items import single
from masterworker.data.record import explain, sendable, timed_out
from masterworker.errors import RejectedError
from masterworker.machine import random_name
from masterworker.manager.calls import Calls
from masterworker.manager.cancelling import Cancelling
from masterworker.manager.guard import Guard
from masterworker.manager.guests import Guests
from masterworker.manager.keeping import Keeping
from masterworker.manager.looking import Looking
from masterworker.manager.memory import as_segment, default_bound
from masterworker.manager.observers import Observers
from masterworker.manager.outbox import Outbox
from masterworker.manager.replies import Replies
from masterworker.manager.sinks import Keeper, Sinks
from masterworker.manager.store import Store
from masterworker.manager.submitter import Submitter
from masterworker.manager.timekeeper import Timekeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.conversation.numbered import NumberedCalls
    from masterworker.core.effects import Failed
    from masterworker.core.task import Finished, Lease, Payload
    from masterworker.transport.base import Later

logger = logging.getLogger("masterworker.manager")


class Manager:
    """The state of one job, for callers in many threads. Thread-safe.

    Args:
        on_direct: Is given the outcomes of tasks that were requested as direct. Called with the
            lock held: it must neither block nor call back.
        clock: Seconds that never go back.
        on_failed: Is given the calls that have failed: task, tag, parameters, kind and payload of
            the outcome. As `on_direct`.
        accept: `wire.PLAIN`: from workers with a ticket only plain data is taken, no pickles.
        results_memory: Bytes of results that may wait to be picked up before no more tasks are
            handed out; None: a part of this machine's memory, see `memory`.
        keep: Is given outcomes that are to be kept before anything tells of them; `kept` has to be
            called then. As `on_direct`. None: outcomes are not kept.
    """

    def __init__(
        self,
        on_direct: Callable[[list[Finished]], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_failed: Callable[[list[Failed]], None] | None = None,
        accept: str = wire.ANYTHING,
        results_memory: int | None = None,
        keep: Keeper | None = None,
    ) -> None:
        self.instance = random_name()
        self.job = ""  # the random name of a job whose master may come back as another run
        self._clock = clock
        bound = default_bound if results_memory is None else lambda: results_memory
        #: The scheduler; to look at, with the lock held.
        self.core = Scheduler(
            timed_out=timed_out, single=single, explain=explain, keeps=keep is not None
        )
        pressure = BackPressure(bound, as_segment)
        #: Everything that is decided; with the lock held, so by way of `guard`.
        self.machine = Dispatcher(self.core, pressure, forks.lock())
        self.machine.supervision.run = wire.number_of_run(self.instance)
        self._timekeeper = Timekeeper(self._tick)
        outbox, self._observers = Outbox(), Observers()
        self._sinks = Sinks(outbox, self._observers, self._timekeeper, on_direct, on_failed, keep)
        #: Around each step: no other thread is in one, and nothing breaks it off.
        self.guard = Guard(self.machine, self._sinks.carry_out, outbox)
        #: Wakes a caller when the lock is free, which the caller of this holds.
        self.ring = outbox.ring
        #: What a caller has left behind whose call was broken off; see `Dispatcher.repairs`.
        self.repairs = self.machine.repairs
        self.troubles = self.machine.troubles
        self._submitter = Submitter(self.guard, self.machine, self._timekeeper, clock)
        self._calls = Calls(self.guard, clock, self.repairs, self._timekeeper.look_again)
        self.leading = self._calls.leading
        cancelling = Cancelling(self.guard, self._calls, self.machine.revoking.revoke, clock)
        #: Cancel tasks, or those that have not begun; see `Cancelling`.
        self.cancel, self.revoke = cancelling.cancel, cancelling.revoke
        self.is_handed_out, self.is_running = cancelling.is_handed_out, cancelling.is_running
        self.keeping = keeping = Keeping(self.guard, clock, self._timekeeper.stop)
        #: Outcomes are kept, or cannot be for now or ever; see `Keeping`.
        self.kept, self.stall, self.give_up = keeping.kept, keeping.stall, keeping.give_up
        #: Ask for one direct task, for tasks of one tag; the caller is about to wait.
        self.submit, self.request = self._submitter.submit, self._submitter.request
        self.about_to_wait = self._submitter.about_to_wait
        #: What to do with the id of what a process asks for; see `Dispatcher.expect`.
        self.expect = self.machine.expect
        #: Let the next step do something, and let there be one soon; takes no lock.
        self.repair_soon = self._submitter.repair_soon
        #: Let threads in `wait_for` look again.
        self.notify = self._observers.ring
        self.store: Store = Store()
        #: Stored values; see `Store`.
        self.put, self.get, self.drop = self.store.put, self.store.get, self.store.drop
        self.put_state = self.store.put_state
        self.replies = Replies(self.guard, self.machine.calls, clock)
        #: What is known of workers with a ticket.
        self.guests = Guests(self.core, Replies(self.guard, self.machine.guest_calls, clock))
        self.accept = accept
        #: Processes that joined through a connection; kept by its session.
        self.remote: set[int] = set()
        #: Digest of the stored slave program; "" for none.
        self.program_digest = ""
        #: Counts and snapshots for those who look on.
        ways = self.machine.supervision.ways
        self.looking = Looking(self.guard, clock, self.instance, self._sinks.journal, ways)
        self.census = self.looking.census
        #: Which tasks were asked for with a seed.
        self.streams = StreamTable()

    # -- looking on, and the end ------------------------------------------------------------

    def summary(self) -> audit.Summary:
        """Count what has become of all tasks. Takes no lock: also for forks of the master."""
        return audit.summary(self.core)

    def story(self, task_id: int) -> list[str]:
        """Describe what happened to a task."""
        with self.guard as machine:
            now = self._clock()
            machine.flush(now)
            lines = audit.story(self.core, task_id, now)
            lines += self.troubles.ways(machine.supervision.ways.values()) if lines[1:] else []
        is_call = len(lines) > 1 and lines[0].startswith(f"task {CALL_MARK}")
        return lines + self.streams.story(task_id, self.instance if is_call else "")

    def check(self) -> None:
        """Verify every invariant of the scheduler and of those that wait for it."""
        with self.guard as machine:
            machine.flush(self._clock())
            audit.check(self.core)
            machine.check()

    def outstanding(self, tag: str | None = None) -> int:
        """Count the tasks (of a tag) that are to be collected and have not been yet."""
        with self.guard as machine:
            machine.flush(self._clock())
            tags = self.core.open_tags
            return sum(tags.values()) if tag is None else tags.get(tag, 0)

    def wait_for(self, holds: Callable[[Scheduler], bool], seconds: float) -> bool:
        """Wait until something holds; it is asked, under the lock, as processes come and go."""
        return self._observers.wait_for(holds, seconds, self.guard)

    def remote_workers(self) -> set[int]:
        """Return the workers that came through a connection; asked in `wait_for`."""
        members, remote = self.core.members, tuple(self.remote)  # as it is now
        return {i for i in remote if i in members and members[i].filter is not None}

    def terminate(self) -> None:
        """End the job: nothing more is handed out, and every call that waits gets a reply."""
        with self.guard as machine:
            machine.terminate(self._clock())
        self._timekeeper.stop()

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
            self.warn("refused", f"a worker was refused ({hello.info}): {error}")
            raise
        with self.guard as machine:
            member_id = machine.membership.join(hello, self._clock())
        logger.debug("process %d joined: %s", member_id, hello.info)
        return wire.Welcome(member_id, self.instance, job=self.job)

    def leave(self, member_id: int) -> None:
        """Sign a process off. One that is not registered is no error."""
        with self.guard as machine:
            machine.membership.leave(member_id, self._clock())

    def lost(self, member_id: int, reason: str, *, blame: bool = True) -> None:
        """Take note that a process is gone. One that is not registered is no error."""
        with self.guard as machine:
            machine.membership.lost(member_id, reason, self._clock(), blame=blame)

    def disconnected(self, member_id: int) -> None:
        """The connection of a process has closed, and it did not sign off."""
        with self.guard as machine:
            machine.membership.disconnected(member_id, self._clock())

    def ping(self, member_id: int) -> bool:
        """A process is alive. False: it is not registered and must join again."""
        with self.guard:
            return self.core.on_heard(member_id, self._clock())

    def order_workers(self, order: str, argument: int) -> None:
        """Let all workers have an order, before any task that is asked for after this."""
        with self.guard as machine:
            machine.membership.order_workers(order, argument, self._clock())

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
        attend = self.machine.supervision.attend
        return self._calls.call(attend, name, alive, endings, wait, wait=wait)

    def attend_later(
        self, later: Later, asked: wire.Attendance
    ) -> list[wire.SupervisorOrder] | None:
        """Do the same, and do not wait; see `exchange_later`."""
        attend, what = self.machine.supervision.attend, (asked.name, asked.alive, asked.endings)
        return self._calls.defer(attend, *what, asked.wait, later=later, wait=asked.wait)

    def attach(self, name: str) -> None:
        """A supervisor speaks through one more connection."""
        with self.guard as machine:
            machine.supervision.attach(name)

    def detach(self, name: str) -> None:
        """A connection of a supervisor has ended; with the last one it is gone."""
        with self.guard as machine:
            machine.supervision.detach(name, self._clock())

    # -- tasks; for asking see `Submitter` ------------------------------------------------------

    def settle(
        self,
        task_id: int,
        kind: int,
        payload: Payload,
        attempt: int = CURRENT,
    ) -> bool:
        """Deliver the outcome of (an attempt of) a task, in any worker. False: not accepted."""
        with self.guard as machine:
            return machine.settle(task_id, kind, payload, attempt, self._clock())

    def give_back(self, task_id: int, attempt: int = CURRENT) -> None:
        """Give (an attempt of) a task back, from any worker."""
        with self.guard as machine:
            machine.give_back(task_id, attempt, self._clock())

    def exchange(self, asked: wire.Exchange) -> wire.Reply:
        """Deliver outcomes, give back leases, and get new ones: a worker's one call."""
        return self._calls.call(self.machine.exchange, asked, wait=asked.wait)

    def exchange_later(self, later: Later, asked: wire.Exchange) -> wire.Reply | None:
        """Do the same, and do not wait.

        Args:
            later: Takes the reply when there is something to say, or after `wait` seconds.
            asked: What `exchange` takes.

        Returns:
            The reply, if there is something to say at once.
        """
        return self._calls.defer(self.machine.exchange, asked, later=later, wait=asked.wait)

    # -- outcomes ---------------------------------------------------------------------------

    def collect(
        self,
        member_id: int,
        tag: str | None = None,
        want: int = 1,
        wait: float = 0.0,
        lend: int = wire.NOTHING,
        task_id: int = 0,
        process: str = "",
    ) -> wire.Collected:
        """Pick up outcomes in the order of their arrival, or get tasks to execute meanwhile.

        Args:
            member_id: The process that calls.
            tag: Only outcomes of tasks of this tag.
            want: The most that it wants.
            wait: Seconds to wait, at most.
            lend: While there is none, it would execute a task: `wire.ANY`, `wire.AWAITED` (only
                one of the tag that it waits for), or `wire.NOTHING`.
            task_id: The task that it executes: it gets those outcomes that are kept for it.
            process: The name of the process that executes it.

        Raises:
            Terminated: The job is over.
            NotRegisteredError: The caller has to join again.
        """
        asked = wire.Collect(process, 0, member_id, tag, want, wait, lend, task_id)
        return self._calls.call(self.machine.collecting.collect, asked, wait=wait, lead=True)

    def collect_later(
        self, later: Later, asked: wire.Collect, calls: NumberedCalls
    ) -> wire.Collected | None:
        """Do the same, once for each number, and do not wait; see `exchange_later`.

        Args:
            later: Takes the reply.
            asked: What `collect` takes, and the number of the call.
            calls: The numbered calls of processes that are trusted as much.
        """
        return self._calls.defer(
            self.machine.collecting.collect_once, calls, asked, later=later, wait=asked.wait
        )

    def take_back(
        self, member_id: int, finished: Sequence[Finished], leases: Sequence[Lease]
    ) -> None:
        """Take back what a process was given that does not wait for it any more."""
        with self.guard as machine:
            machine.put_back(member_id, finished, leases, self._clock())

    def weigh(self, *, asking: bool = False) -> None:
        """Results are picked up, waited for, or asked for: hand out more, if it helps.

        Args:
            asking: The caller asks again and again, perhaps, instead of waiting.
        """
        with self.guard as machine:
            machine.weigh(self._clock(), asking=asking)

    def warn(self, kind: str, text: str) -> None:
        """Let the log say something about this job; see `Troubles.note`."""
        with self.guard as machine:
            machine.troubles.note(kind, sendable(text), self._clock())

    # -- stored data ------------------------------------------------------------------------

    def drop_state(self, state_id: int) -> bool:
        """Forget a state, here and in every worker. False: there is none of this id."""
        if not self.store.drop_state(state_id):
            return False
        self.order_workers(wire.FORGET, state_id)
        return True

    # -- repairs: see `repairs`; with the lock held -----------------------------------------

    def to_withdraw(self, first: int, number: int) -> None:
        """The caller that has asked for these tasks was interrupted before it knew of them."""
        self.guard.held().withdraw(range(first, first + number), self._clock())

    def to_undelivered(self, finished: Sequence[Finished]) -> None:
        """Outcomes have not reached their collector."""
        self.guard.held().undelivered(finished, self._clock())

    def to_cancel(self, task_ids: Sequence[int]) -> None:
        """The outcomes of these tasks are not wanted any more."""
        machine = self.guard.held()
        if task_ids and not self.core.terminated:
            machine.cancel(task_ids, self._clock())

    def _tick(self) -> float | None:
        with self.guard as machine:
            now = self._clock()
            due = machine.on_tick(now)
        return None if due == inf else max(0.0, due - now)
