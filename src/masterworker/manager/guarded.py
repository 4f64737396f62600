"""The scheduler behind its lock: what follows from events, time, and looking on."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from math import inf
from typing import TYPE_CHECKING

from masterworker import wire
from masterworker.core import audit
from masterworker.core.scheduler import Scheduler
from masterworker.core.settling import CURRENT
from masterworker.core.task import Finished, FinishedRun, Lease, Outcome, ids_of
from masterworker.data.items import single
from masterworker.data.record import timed_out
from masterworker.errors import Terminated
from masterworker.machine import process_number, random_name
from masterworker.manager.guard import Guard
from masterworker.manager.guests import Guests
from masterworker.manager.intake import Intake
from masterworker.manager.mailbox import Desk, Mailbox, Mailboxes
from masterworker.manager.outbox import Outbox
from masterworker.manager.pile import Pile
from masterworker.manager.replies import Replies
from masterworker.manager.store import Store
from masterworker.manager.timekeeper import Timekeeper
from masterworker.manager.troubles import Troubles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Sized
    from typing import Any

    from masterworker.core.effects import Effects, Failed

logger = logging.getLogger("masterworker.manager")

#: While tasks wait, it is looked what for so often (seconds).
LOOK = 1.0
#: Who has asked for an outcome counts as one who waits for it for so long (seconds).
ASKED = 2.0
#: So many processes whose loss has given a strike are recognised when they come back.
KEPT_NAMES = 1000


class Guarded:
    """A scheduler, one lock, and what both sides of it need. See `Manager`.

    Args:
        on_direct: Is given the outcomes of tasks that were requested as direct. Called with the
            lock held: it must neither block nor call back.
        clock: Seconds that never go back.
        on_failed: Is given the calls that have failed: task, tag, parameters, kind and payload of
            the outcome. As `on_direct`.
        accept: `wire.PLAIN`: from workers with a ticket only plain data is taken, no pickles.
        results_memory: Bytes of results that may wait to be picked up before no more tasks are
            handed out; None: a part of this machine's memory, see `Pile`.
    """

    def __init__(
        self,
        on_direct: Callable[[list[Finished | FinishedRun]], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_failed: Callable[[list[Failed]], None] | None = None,
        accept: str = wire.ANYTHING,
        results_memory: int | None = None,
    ) -> None:
        self.instance = random_name()
        self.core = Scheduler(timed_out=timed_out, single=single)
        self._clock = clock
        self._on_direct = on_direct
        self._on_failed = on_failed
        self._outbox = Outbox()
        #: Around each step: nobody else is in one, and nothing breaks it off.
        self.guard = Guard(self._outbox)
        #: What a caller has left behind whose call was broken off: functions and what to give them.
        #: To add one is a single step, and whoever takes a step of the scheduler does them first.
        self.repairs: deque[tuple[Any, ...]] = deque()
        #: Wakes a caller when the lock is free, which the caller of this holds.
        self.ring = self._outbox.ring
        self._intake = Intake()
        self._boxes = Mailboxes(self.core.on_unparked)
        #: Who joined last under a client's name.
        self._clients: dict[str, int] = {}
        self._names: dict[int, str] = {}
        #: The latest of those whose loss has given a strike: they may come back.
        self._before: OrderedDict[str, int] = OrderedDict()
        self._orders: dict[int, list[tuple[str, int]]] = {}
        #: Where processes wait for outcomes.
        self._collecting: dict[int, Mailbox] = {}
        #: What is to be told to supervisors, and where they wait.
        self._desks: dict[str, Desk] = {}
        #: Through how many connections each supervisor speaks.
        self._lines: dict[str, int] = {}
        #: Processes that joined through a connection; kept by its session.
        self.remote: set[int] = set()
        #: Who waits in `wait_for`.
        self._lookers: dict[Mailbox, None] = {}
        self._timekeeper = Timekeeper(self._tick)
        self.troubles = Troubles()
        self.store = Store()
        self.replies = Replies(self.undelivered)
        self.accept = accept
        self._pile = Pile(results_memory)
        #: Threads of the master that wait for outcomes.
        self.sleepers: Sized = ()
        #: When somebody last asked for an outcome that was not there, instead of waiting for it.
        self._asked = -inf
        #: What is known of workers with a ticket.
        self.guests = Guests(self.core, Replies(self.undelivered))
        #: Somebody looks at the waiting tasks every now and then.
        self._watching = False
        #: No postponed reply is due before.
        self._due = inf
        #: How often somebody who asks for single tasks has looked after them himself since he last
        #: waited: after the first, and once more when there is one for each idle worker.
        self._hurried = 0
        #: The timekeeper is about to look at what has been asked for.
        self._looking = False
        #: When tasks were last seen to wait.
        self._waited = -inf
        #: Digest of the stored slave program; "" for none.
        self.program_digest = ""

    # -- looking on, and the end ------------------------------------------------------------

    def census(self) -> audit.Census:
        """Count everything at one instant."""
        with self.guard:
            self._take_in()
            return audit.census(self.core, self.troubles.lines())

    def summary(self) -> audit.Summary:
        """Count what has become of all tasks. Takes no lock: also for forks of the master."""
        return audit.summary(self.core)

    def story(self, task_id: int) -> list[str]:
        """Tell what happened to a task."""
        with self.guard:
            self._take_in()
            return audit.story(self.core, task_id, self._clock())

    def check(self) -> None:
        """Verify every invariant of the scheduler."""
        with self.guard:
            self._take_in()
            audit.check(self.core)

    def wait_for(self, holds: Callable[[Scheduler], bool], seconds: float) -> bool:
        """Wait until something holds; it is asked, under the lock, as processes come and go."""
        end = time.monotonic() + seconds
        box = Mailbox()
        try:
            self._lookers[box] = None
            while True:
                with self.guard:
                    if holds(self.core):
                        return True
                left = end - time.monotonic()
                if left <= 0:
                    return False
                box.wait(min(left, wire.LONGEST_WAIT))
        finally:
            self._lookers.pop(box, None)

    def outstanding(self, tag: str | None = None) -> int:
        """Count the tasks (of a tag) that are to be collected and have not been yet."""
        with self.guard:
            self._take_in()
            tags = self.core.open_tags
            return sum(tags.values()) if tag is None else tags.get(tag, 0)

    def remote_workers(self) -> set[int]:
        """Return the workers that came through a connection; asked in `wait_for`."""
        members = self.core.members
        return {i for i in self.remote if i in members and members[i].filter is not None}

    def notify(self) -> None:
        """Let those in `wait_for` look again."""
        for box in tuple(self._lookers):
            box.ring()

    def terminate(self) -> None:
        """End the job: nothing more is handed out, and whoever waits is woken."""
        with self.guard:
            self._take_in()
            waiting = self.core.on_terminated()
            for member_id in self.core.members:
                self._orders.setdefault(member_id, []).append((wire.STOP, 0))
            self._boxes.wake(waiting)
            for desk in self._desks.values():
                desk.ring()
            self._changed()
        self._timekeeper.stop()

    def take_back(
        self, member_id: int, finished: Sequence[Finished], leases: Sequence[Lease]
    ) -> None:
        """Take back what a process was given that does not wait for it any more."""
        with self.guard:
            self._put_back(member_id, finished, leases)

    def undelivered(self, finished: Sequence[Finished]) -> None:
        """Take back outcomes that did not reach their collector."""
        with self.guard:
            self.to_undelivered(finished)

    def repair_soon(self, *repair: Any) -> None:
        """Let a repair be done by the next step, and let there be one soon.

        Takes no lock and waits for nothing, so the collector of garbage may call this, in the
        middle of whatever a thread does.
        """
        self.repairs.append(repair)
        try:  # noqa: SIM105  a context would be further steps
            self._timekeeper.poke()
        except RuntimeError:
            pass

    # -- repairs: see `repairs`; with the lock held -----------------------------------------

    def to_withdraw(self, first: int, number: int) -> None:
        """Whoever has asked for these tasks was interrupted before he knew it."""
        ids = range(first, first + number)
        self._apply(self.core.on_withdrawn(ids, self._clock()))

    def to_undelivered(self, finished: Sequence[Finished]) -> None:
        """Outcomes have not reached their collector."""
        self._apply(self.core.on_undelivered(finished))

    def to_cancel(self, task_ids: Sequence[int]) -> None:
        """Nobody wants these tasks any more. With the lock held."""
        if task_ids and not self.core.terminated:
            self._apply(self.core.on_cancelled(task_ids, self._clock())[1])

    def _put_back(
        self, member_id: int, finished: Sequence[Finished], leases: Sequence[Lease]
    ) -> None:
        self._apply(self.core.on_undelivered(finished))
        ids = [task_id for lease in leases for task_id in ids_of(lease)]
        self._apply(self.core.on_returned(member_id, ids, self._clock()))

    def _take_back(self, box: Mailbox, member_id: int) -> None:
        """Nobody waits at this mailbox any more."""
        self._boxes.close(box)
        if self._collecting.get(member_id) is box:
            del self._collecting[member_id]
        self._put_back(member_id, box.finished, box.leases)

    def _repair(self) -> None:
        while self.repairs:
            repair, *what = self.repairs.popleft()
            repair(*what)

    # -- inside -----------------------------------------------------------------------------

    def _changed(self) -> None:
        """Let those in `wait_for` look again, when the lock is free."""
        for box in tuple(self._lookers):
            self.ring(box)

    def _take_in(self) -> None:
        """Let the scheduler know of all requests. First of all, whenever tasks are looked at."""
        if self._intake.runs:
            self._take_in_runs()
        if self.repairs:
            self._repair()

    def _take_in_runs(self) -> None:
        for first, tag, options, direct, payloads, expect in self._intake.take():
            if expect is not None:
                expect(first)
            _, effects = self.core.on_requested(
                tag, payloads, self._clock(), direct=direct, options=options, first=first
            )
            if effects.leases:
                self._apply(effects)
        if self.core.alarmed:
            self._watch_clock()

    def _look_at_requests(self) -> None:
        """Somebody waits for what has been asked for, or nobody looks what tasks wait for."""
        with self.guard:
            self._take_in()
            if not self._watching:
                self._watching = True
                self._waited = self._clock()
                self._timekeeper.look_again()

    def _hurry(self) -> None:
        """Let another thread look at what has been asked for.

        Who asks for one task after the other would send each of them alone, and let go of the
        interpreter each time. Until another thread has got hold of that, there are many. But that
        can take 5 ms, so once he sends what is enough for all who are idle.
        """
        noted = sum(len(run.payloads) for run in self._intake.runs)
        if self._hurried == 1 and noted >= len(self.core.waiting.claims):
            self._hurried = 2
            self._look_at_requests()
        elif not self._looking:
            # One step: it must not be said and not done. The thread is there, since tasks have
            # been looked at before.
            self._looking = True
            try:  # noqa: SIM105  a context would be further steps
                self._timekeeper.poke()
            except RuntimeError:
                pass

    def about_to_wait(self) -> None:
        """Whoever has asked for tasks waits now, and has the time to look after them himself."""
        self._hurried = 0
        if self._looking:
            self._look_at_requests()

    def weigh(self, *, asking: bool = False) -> None:
        """Somebody picks up results, waits for some, or asks for some: hand out more, if it helps.

        Args:
            asking: He asks again and again, perhaps, instead of waiting.
        """
        with self.guard:
            now = self._clock()
            if asking:
                self._asked = now
            self._weigh(now)

    def _weigh(self, now: float) -> None:
        """Hold tasks back while results pile up that nobody picks up.

        Who waits for an outcome may wait for one that has not been handed out: so if nobody
        executes anything any more, more is handed out however high the pile is.
        """
        held = self._pile.is_high()
        if held and (self.sleepers or self.core.results.claims or now - self._asked < ASKED):
            waiting, members = self._collecting, self.core.members.values()
            held = any(member.leases for member in members if member.id not in waiting)
        if held is self.core.held_back:
            return
        if held:
            told = f"results of {self._pile.size / 1e6:,.0f} MB wait to be picked up"
            told += ": no more tasks are handed out until some are"
            self.troubles.note("held", told, now)
        self._apply(self.core.on_held_back(now, held=held))

    def _require_open(self) -> None:
        if self.core.terminated:
            raise Terminated("the job is over")

    def _take_orders(self, member_id: int) -> list[tuple[str, int]]:
        orders = self._orders.pop(member_id, None)
        if orders is None:
            return []
        if (wire.STOP, 0) in orders:  # it is said with every reply from now on
            self._orders[member_id] = [(wire.STOP, 0)]
        return orders

    def _forget_member(self, member_id: int) -> None:
        self._orders.pop(member_id, None)
        self._collecting.pop(member_id, None)
        client = self._names.pop(member_id, "")
        if self._clients.get(client) == member_id:
            del self._clients[client]
            if self.core.has_struck(member_id):
                self._before[client] = member_id
                if len(self._before) > KEPT_NAMES:
                    self._before.popitem(last=False)
        self._changed()

    def _take_ending(self, name: str, ending: wire.Ending, now: float) -> None:
        """A supervisor tells how a process has ended."""
        member_id, info, task_id, how, blame, tail, outcome, ended = ending
        if member_id < 0:
            self.troubles.note("start", f"workers fail at start: {how}", now, tail)
            return
        member = self.core.members.get(member_id)
        if member is None and ended:
            self._apply(self.core.on_ended_at_last(member_id, name, now))
        if member is None or member.supervisor != name:
            return
        if process_number(member.info) != process_number(info):
            return  # the number is of another run of the manager, and means somebody else here
        if outcome is not None:
            report = Outcome(task_id, CURRENT, *outcome)
            self._apply(self.core.on_reported(member_id, [report], now)[1])
        reason = f"{how}; it wrote last:\n{tail}" if tail else how
        if blame and ("out of memory" in how or "memory limit" in how):
            self.troubles.note("memory", f"a worker ran out of memory: {how}", now)
        stopped = not ended
        self._apply(
            self.core.on_ended(member_id, task_id, reason, now, blame=blame, stopped=stopped)
        )

    def _apply(self, effects: Effects) -> None:
        if effects.leases or effects.results or effects.dropped:
            self._boxes.deliver(effects)
        if effects.direct and self._on_direct is not None:
            self._on_direct(effects.direct)
        if effects.failed and self._on_failed is not None:
            self._on_failed(effects.failed)
        for member_id, task_id in effects.orders:
            self._order_to_stop(member_id, task_id)
        for member, reason in effects.lost:
            held = member.in_hand
            what = ""
            if held:
                go = "1 task goes" if held == 1 else f"{held} tasks go"
                what = f"; {go} to another worker"
            level = logging.DEBUG if self.core.terminated else logging.WARNING
            told = reason.partition("\n")[0]
            logger.log(level, "worker %d (%s) lost: %s%s", member.id, member.info, told, what)
            self._forget_member(member.id)
        if self.core.alarmed:
            self._watch_clock()

    def _order_to_stop(self, member_id: int, task_id: int) -> None:
        """Tell a process, and its supervisor, that a task is of no use any more."""
        member = self.core.members.get(member_id)
        if member is None:
            return
        self._orders.setdefault(member_id, []).append((wire.CANCEL, task_id))
        if member_id in self._collecting:  # its task waits for others: it comes for the order
            self._collecting[member_id].ring()
        desk = self._desks.get(member.supervisor)
        if desk is not None:
            desk.put((wire.CANCEL, member_id, task_id))

    def _watch_clock(self) -> None:
        """After events that may have brought the next deadline nearer."""
        if self.core.alarmed:
            self.core.alarmed = False
            self._timekeeper.look_again()

    def _tick(self) -> float | None:
        with self.guard:
            self._looking = False  # before looking: who comes later says so again
            self._watching = False  # so that a request that comes from here on looks again
            now = self._clock()
            self.core.end_keeping(now)
            self._take_in()
            if self.core.held_back:
                self._weigh(now)
            self._apply(self.core.on_tick(now))
            self.troubles.look(self.core, now)
            if now >= self._due:
                self._due = self._boxes.overdue(now)
            deadlines = [self.core.next_deadline(), self._due]
            waiting = bool(self.core.waiting.count) and not self.core.terminated
            if waiting:
                self._waited = now
            # Where tasks come and go all the time, none of them has to say that it waits.
            self._watching = waiting or now < self._waited + LOOK
            if self._watching:
                deadlines.append(now + LOOK)
            due = min((d for d in deadlines if d is not None), default=inf)
        return None if due == inf else max(0.0, due - now)
