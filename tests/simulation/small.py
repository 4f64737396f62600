"""Two workers, two tasks, one loss, one report that comes twice: everything that can happen.

The real scheduler and the real hands of two workers; messages are on their way for as long as they
like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blocks import each_finished, pack
from masterworker.core import audit
from masterworker.core.departure import Blameless
from masterworker.core.hand import Hand
from masterworker.core.row import Row
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import FAILURE, RESULT, Finished, Lease, Outcome, ids_of
from simulation.oracle import Violation

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

#: What happens: its name, and with whom or what.
Event = tuple[Any, ...]

WORKERS = (0, 1)
TASKS = 2
#: This one always fails; the others have results.
FAILS = 2
#: Stands for no reply at all.
NOTHING = [Lease(0, 0, "", [b""])]


class Worker:
    """One worker, between two events."""

    def __init__(self) -> None:
        self.member: int | None = None
        self.before: int | None = None
        self.hand = Hand(pack)
        #: Its call is under way; how many connections it has had before.
        self.calling = False
        self.epoch = 0


class System:
    """Everybody, and what is on its way."""

    def make_core(self) -> Scheduler:
        return Scheduler()

    def __init__(
        self, losses: int = 1, copies: int = 1, returns: int = 1, tasks: int = TASKS
    ) -> None:
        self.core = self.make_core()
        self.tasks = tasks
        if tasks > TASKS:  # whoever comes first gets all of them, as one block
            self.core.dispatch._share = lambda want: want
        self.workers = [Worker() for _ in WORKERS]
        #: Requests on their way, also those that never arrive: worker, epoch, member, outcomes,
        #: what is given back, what is executed, how many are wanted.
        self.up: list[tuple[Any, ...]] = []
        #: Replies on their way, by worker: (what there is to do, or None: join again).
        self.down: dict[int, list[Lease] | None] = {}
        self.claims: dict[int, int] = {}
        self.unnoticed: list[int] = []
        #: Who each member is: which worker, and how often it had joined before.
        self.joined: dict[int, tuple[int, int]] = {}
        self.losses, self.copies, self.returns = losses, copies, returns
        self.delivered: dict[int, Finished] = {}
        self.produced: list[tuple[int, bytes]] = []
        for worker in WORKERS:
            self._do_join(worker)
        self._after(self.core.on_requested("a", [b""] * tasks, 0.0, direct=True)[1])

    # -- what can happen --------------------------------------------------------------------

    def events(self) -> list[Event]:
        """List everything that can happen next; when all is done, what is of interest still."""
        if self.done:
            return [("arrive", at) for at, message in enumerate(self.up) if message[3]]
        found: list[Event] = []
        for number, worker in enumerate(self.workers):
            found += self._events_of(number, worker)
        for at, message in enumerate(self.up):
            found.append(("arrive", at))
            if self.copies and message[3]:
                found.append(("copy", at))
        found += [("close", member) for member in self.unnoticed]
        return found

    def _events_of(self, number: int, worker: Worker) -> list[Event]:
        if worker.member is None:
            return [("join", number)]
        found: list[Event] = []
        leases = worker.hand.leases
        if not worker.calling:
            found.append(("courier" if leases else "call", number))
        if leases:
            found.append(("work", number))
        if number in self.down:
            found.append(("reply", number))
        elif number in self.claims.values():
            found.append(("timeout", number))
        if self.losses:
            found += [("break", number), ("kill", number), ("suspect", number)]
        return found if self.returns or ("courier", number) not in found else found[1:]

    def do(self, event: Event) -> None:
        """Let something happen."""
        name, *args = event
        getattr(self, f"_do_{name}")(*args)

    def check(self) -> None:
        """Verify what must hold in every state."""
        audit.check(self.core)
        known = {claim.id for claim in self.core.waiting.claims}
        if not self.claims.keys() == known:
            raise Violation(f"somebody waits for nothing: {self.claims}, {known}")

    @property
    def done(self) -> bool:
        """Each task has been delivered."""
        return len(self.delivered) == self.tasks

    # -- events -----------------------------------------------------------------------------

    def _do_join(self, number: int) -> None:
        worker = self.workers[number]
        if worker.before is not None:
            self._after(self.core.on_departed(worker.before, Blameless("joined again"), 0.0))
        times = sum(n == number for n, _ in self.joined.values())
        info = f"worker {number}"
        worker.member = self.core.on_joined(info, None, 1.0, 0.0, "", worker.before)
        worker.before = worker.member
        self.joined[worker.member] = number, times
        worker.hand.joined("the only one")

    def _do_call(self, number: int) -> None:
        self._send(number, [], 0, self.tasks)

    def _do_courier(self, number: int) -> None:
        """A task takes long: what is behind it is given back."""
        self.returns -= 1
        hand = self.workers[number].hand
        current = hand.leases[0]
        if isinstance(current, Row):
            executing = current.next
            next(current.coming)
            returned = hand.put_down()
            current.coming = iter(current.ids)
            for _ in current.results:
                next(current.coming)
        else:
            executing = current.task_id
            hand.leases.popleft()
            returned = hand.put_down()
            hand.leases.append(current)
        self._send(number, returned, executing, 0)

    def _do_work(self, number: int) -> None:
        """The first task has a result, the second always fails."""
        hand = self.workers[number].hand
        lease = hand.leases[0]
        if isinstance(lease, Row):
            self._work_on_row(number, lease)
            return
        hand.leases.popleft()
        kind, payload = self._outcome(number, lease.task_id, lease.attempt)
        hand.outcomes.append(Outcome(lease.task_id, lease.attempt, kind, [payload]))

    def _work_on_row(self, number: int, row: Row) -> None:
        hand = self.workers[number].hand
        if not row.begun:
            row.begun = True
            hand.outcomes.append(row)
        next(row.coming)
        kind, payload = self._outcome(number, row.next, row.attempt)
        row.add(payload if kind == RESULT else (kind, payload))
        if not row.has_more():
            row.over = True
            hand.done_with(row)

    def _outcome(self, number: int, task_id: int, attempt: int) -> tuple[int, bytes]:
        kind = FAILURE if task_id == FAILS else RESULT
        payload = b"%d by %d attempt %d: %d" % (task_id, number, attempt, kind)
        self.produced.append((task_id, payload))
        return kind, payload

    def _do_reply(self, number: int) -> None:
        worker = self.workers[number]
        worker.calling = False
        leases = self.down.pop(number)
        worker.hand.take(leases or ())
        if leases is None:
            worker.hand.cut_off()
            worker.member = None

    def _do_timeout(self, number: int) -> None:
        for claim in [c for c, owner in self.claims.items() if owner == number]:
            self.core.on_unparked(claim)
            self.down[self.claims.pop(claim)] = []

    def _do_break(self, number: int) -> None:
        worker = self.workers[number]
        self.losses -= 1
        if worker.member is not None:
            self.unnoticed.append(worker.member)
        self.down.pop(number, None)
        worker.epoch += 1
        worker.calling = False
        worker.hand.cut_off()
        worker.member = None

    def _do_kill(self, number: int) -> None:
        self._do_break(number)
        epoch = self.workers[number].epoch
        self.workers[number] = Worker()
        self.workers[number].epoch = epoch

    def _do_suspect(self, number: int) -> None:
        """It is taken for lost, and knows nothing of it."""
        self.losses -= 1
        member = self.workers[number].member
        assert member is not None
        self._after(self.core.on_departed(member, Blameless("silent"), 0.0))

    def _do_close(self, member: int) -> None:
        self.unnoticed.remove(member)
        self._after(self.core.on_closed(member, "closed", 0.0))

    def _do_copy(self, at: int) -> None:
        """The outcomes of a message will come once more, some time."""
        self.copies -= 1
        number, _, member, outcomes, *_ = self.up[at]
        self.up.append((number, -1, member, outcomes, [], 0, 0))

    def _do_arrive(self, at: int) -> None:
        number, epoch, member, outcomes, returned, started, want = self.up.pop(at)
        core = self.core
        if outcomes:
            self._after(core.on_reported(member, outcomes, 0.0)[1])
        answered = epoch == self.workers[number].epoch
        if not core.on_heard(member, 0.0):
            if answered:
                self.down[number] = None
            return
        if returned:
            self._after(core.on_returned(member, returned, 0.0))
        if started:
            core.on_started(member, started, 0.0)
        leases, claim = core.on_fetch(member, want, 0.0) if want else ([], None)
        if claim is not None:
            self.claims[claim] = number if answered else -1
        elif answered:
            self.down[number] = leases

    # -- inside -----------------------------------------------------------------------------

    def _send(self, number: int, returned: list[int], started: int, want: int) -> None:
        worker = self.workers[number]
        worker.calling = True
        outcomes = list(worker.hand.to_send())
        self.up.append((number, worker.epoch, worker.member, outcomes, returned, started, want))

    def _after(self, effects: Any) -> None:
        for claim, leases in effects.leases:
            number = self.claims.pop(claim)
            if number >= 0 and self.workers[number].member is not None:
                self.down[number] = leases
        for claim in effects.dropped:
            number = self.claims.pop(claim, -1)
            if number >= 0 and self.workers[number].member is not None:
                self.down.setdefault(number, [])
        for outcome in each_finished(effects.direct):
            if outcome.task_id in self.delivered:
                raise Violation(f"delivered twice: {outcome}")
            if (outcome.task_id, outcome.payload) not in self.produced:
                raise Violation(f"produced by nobody: {outcome}")
            self.delivered[outcome.task_id] = outcome

    # -- states -----------------------------------------------------------------------------

    def key(self, order: tuple[int, int] = WORKERS) -> Hashable:
        """What makes two states the same.

        Numbers that only count up are left out, and payloads, which say who produced them.

        Args:
            order: As which the workers are counted: they are as good as each other.
        """
        core = self.core

        def who(member: int | None) -> tuple[int, int] | None:
            if member is None:
                return None
            number, times = self.joined[member]
            return order[number], times

        def said(outcomes: Iterable[Outcome | Lease | Row]) -> tuple[tuple[Any, ...], ...]:
            return tuple(
                (outcome.next, outcome.last, outcome.attempt, *outcome.dropped, outcome._sent)
                if isinstance(outcome, Row)
                else (*ids_of(outcome), outcome.attempt)
                for outcome in outcomes
            )

        tasks = [
            (
                task_id,
                task.state.value,
                task.attempt,
                None if task.holder is None else who(task.holder),
                task.suspect,
                len(task.losses or ()),
            )
            for task_id in range(1, self.tasks + 1)
            if (task := core.find(task_id)) is not None
        ]
        queue = [
            (item.id, item.last, *getattr(item, "gone", ()), item.state.value)
            for lane in core.waiting._lanes.values()
            for item in lane
        ]
        held = [
            (who(member.id), *((item.id, item.last) for item in member.leases.values()))
            for member in core.members.values()
        ]
        claims = [
            (who(claim.taker.id), claim.want, claim.rank) for claim in core.waiting.claims.able("")
        ]
        workers = [
            (
                who(worker.member),
                who(worker.before),
                worker.calling,
                said(worker.hand.leases),
                said(worker.hand.outcomes),
                said(worker.hand._sent),
                None if down is None else said(down),
            )
            for worker, down in (
                (self.workers[number], self.down.get(number, NOTHING)) for number in order
            )
        ]
        up = sorted(
            (order[m[0]], m[1] == self.workers[m[0]].epoch, who(m[2]), said(m[3]), *map(str, m[4:]))
            for m in self.up
        )
        rest = [who(member) for member in self.unnoticed]
        numbers = [order[n] if n >= 0 else n for n in self.claims.values()]
        left = (self.losses, self.copies, self.returns, *self.delivered)
        parts: list[list[Any]] = [tasks, queue, held, claims, workers, up, rest, numbers]
        return (*(tuple(part) for part in parts), left)
