"""Everything that can happen to a scheduler, in any order, next to the plain model."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from blocks import each_finished, each_lease, each_outcome, ids_of_all, in_rows, together
from masterworker.core import audit
from masterworker.core.departure import Blameless, Left, Vanished
from masterworker.core.reports import CURRENT
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import FAILURE, RESULT, Finished, Lease, Outcome
from masterworker.data.items import single
from model.reference import Answer, Claim, Entry, Model, Peer

TAGS = ("a", "b", "@f")
#: What processes declare; the empty set executes nothing.
DECLARED = (
    None,
    frozenset("a"),
    frozenset("ab"),
    frozenset(("b", "@")),
    frozenset(("a", "@f")),
    frozenset(),
)
#: One that can do whatever there is.
ALL = frozenset(("a", "b", "@"))
MOST_MEMBERS = 4
STANDS_STILL = 1.5

which = st.integers(0, 7)
some_tag = st.sampled_from(TAGS)
maybe_tag = st.sampled_from((None, None, *TAGS))
wanted = st.sampled_from((1, 2, 5))
kinds = st.sampled_from((RESULT, FAILURE))


class SchedulerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._core = self.make_core()
        self.model = Model(self._core.crashes.max_losses)
        self.now = 0.0
        #: Every hand-out there ever was, and everybody who ever was a member.
        self.history: list[tuple[int, Lease]] = []
        self.everybody: list[int] = []
        self.reports = self.poisoned = 0
        self.sound = True

    def make_core(self) -> Scheduler:
        """What is tested; planted bugs come in here."""
        return Scheduler(single=single)

    @property
    def core(self) -> Scheduler:
        """Whoever touches it has to pass the invariants afterwards."""
        self.sound = False
        return self._core

    def member(self, n: int) -> int:
        members = list(self.model.members)
        return members[n % len(members)]

    def some(self) -> bool:
        return bool(self.model.members)

    def busy(self) -> list[int]:
        return [i for i, peer in self.model.members.items() if peer.held]

    def outcome(self, task_id: int, attempt: int, kind: int = RESULT) -> Outcome:
        """No two payloads are the same, so that each shows which report it came with."""
        self.reports += 1
        return Outcome(task_id, attempt, kind, [b"outcome %d" % self.reports])

    # -- processes --------------------------------------------------------------------------

    @initialize(work=st.booleans())
    def begin(self, work: bool) -> None:
        """Two workers are there; either they wait, or much else does."""
        self.join(None, None)
        self.join(frozenset("ab"), 1.0)
        for tag in ("a", "b", "a") if work else ():
            self.submit(tag, 4, direct=False)

    @precondition(lambda self: len(self.model.members) < MOST_MEMBERS)
    @rule(tags=st.sampled_from(DECLARED), heartbeat=st.sampled_from((None, 0.5, 1.0)))
    def join(self, tags: frozenset[str] | None, heartbeat: float | None) -> None:
        info = f"process {len(self.everybody)}"
        member = self.core.on_joined(info, tags, heartbeat, self.now)
        assert member == len(self.everybody)
        self.everybody.append(member)
        self.model.members[member] = Peer(info, tags, heartbeat, self.now)

    @precondition(lambda self: len(self.model.members) > 2)
    @rule(n=which, how=st.sampled_from(("leaves", "silent", "killed")))
    def part(self, n: int, how: str) -> None:
        """A process leaves or is lost; and it does so twice."""
        member = self.member(n)
        if how == "leaves":
            answer = Answer(self.core.on_departed(member, Left(), self.now))
            self.model.leave(member, answer)
            answer.must_be_read()
        else:
            self.lose(member, how, blame=how == "killed")
        Answer(self.core.on_departed(member, Left(), self.now)).must_be_read()
        Answer(self.core.on_departed(member, Vanished(how), self.now)).must_be_read()

    def lose(self, member: int, reason: str, *, blame: bool) -> None:
        answer = Answer(
            self.core.on_departed(member, (Vanished if blame else Blameless)(reason), self.now)
        )
        self.model.lose(member, reason, answer, blame=blame)
        answer.must_be_read()

    @precondition(busy)
    @rule(n=which)
    def crash(self, n: int) -> None:
        """A process ends while it executes the first of its leases."""
        member = self.start_one(n, 0)
        self.lose(member, "signal 11", blame=True)

    @precondition(lambda self: self.model.waiting and not self.model.terminated)
    @precondition(lambda self: self.poisoned < 2)
    @rule(times=st.sampled_from((1, 3)))
    def poison(self, times: int) -> None:
        """Workers come, take the next task, and end of it."""
        self.poisoned += 1
        for _ in range(times):
            self.join(ALL, None)
            victim = self.everybody[-1]
            for lease in self.fetch_as(victim, 1):
                self.core.on_started(victim, lease.task_id, self.now)
                self.model.tasks[lease.task_id].started = True
            self.lose(victim, "signal 9", blame=True)

    @precondition(busy)
    @rule(n=which, skip=st.integers(0, 1), kind=kinds, rows=st.sampled_from((0, 1, 2)))
    def cut_off(self, n: int, skip: int, kind: int, rows: int) -> None:
        """A process that was only out of reach delivers something all the same."""
        member = self.busy()[n % len(self.busy())]
        held = [(i, self.model.tasks[i].attempt) for i in self.model.members[member].held]
        self.lose(member, "silent", blame=False)
        late = [self.outcome(*lease, kind) for lease in held[skip : skip + 2]]
        self.report_as(member, in_rows(late, chunks=rows > 1) if rows else late)

    def beat_as(self, member: int) -> None:
        assert self.core.on_heard(member, self.now) == (member in self.model.members)
        if member in self.model.members:
            self.model.members[member].heard = self.now

    @precondition(lambda self: self._core.next_deadline() is not None)
    @rule(
        seconds=st.sampled_from((0.25, 1.0, 2.5, 3.5, 100.0)),
        times=st.integers(1, 3),
        alive=st.booleans(),
    )
    def tick(self, seconds: float, times: int, alive: bool) -> None:
        """Time goes by, and everybody gives signs of life or not."""
        for _ in range(times):
            for member in self.everybody if alive else ():
                self.beat_as(member)
            self.tick_once(seconds)

    def tick_once(self, seconds: float) -> None:
        self.now += seconds
        watched = [(i, p) for i, p in self.model.members.items() if p.heartbeat is not None]
        for _, peer in watched:
            if seconds > STANDS_STILL:
                excused = max(0.0, seconds - peer.heartbeat / 2)
                peer.heard = min(self.now, peer.heard + excused)
        silent = [i for i, p in watched if p.heard + 4 * p.heartbeat <= self.now]
        answer = Answer(self.core.on_tick(self.now))
        assert sorted(answer.lost) == silent
        for member in list(answer.lost):
            self.model.lose(member, "", answer, blame=False)
        answer.must_be_read()

    # -- tasks ------------------------------------------------------------------------------

    @rule(
        tag=some_tag,
        count=st.sampled_from((1, 4, 9)),
        direct=st.booleans(),
        chunk=st.booleans(),
    )
    def submit(self, tag: str, count: int, direct: bool, chunk: bool = False) -> None:
        payloads = [b"input %d" % (len(self.model.tasks) + n) for n in range(count)]
        asked = together(payloads) if chunk else payloads
        first, effects = self.core.on_requested(tag, asked, direct=direct)
        for task_id, payload in enumerate(payloads, first):
            assert task_id not in self.model.tasks
            self.model.tasks[task_id] = Entry(tag, payload, direct)
            self.model.waiting.append(task_id)
        answer = Answer(effects)
        self.remember(effects.leases)
        self.model.serve_tasks(answer)
        answer.must_be_read()

    def remember(self, served: list[tuple[int, list[Lease]]]) -> None:
        for claim_id, leases in served:
            owner = self.model.task_claims[claim_id].owner
            self.history += [(owner, lease) for lease in each_lease(leases)]

    @precondition(some)
    @rule(n=which, want=wanted, tag=maybe_tag, all_there_is=st.booleans())
    def fetch(self, n: int, want: int, tag: str | None, all_there_is: bool) -> None:
        while self.fetch_as(self.member(n), want, tag) and all_there_is:
            pass

    @precondition(lambda self: 0 < len(self.model.members) < MOST_MEMBERS)
    @precondition(lambda self: not self.model.waiting)
    @rule(n=which, later=st.sampled_from((0.0, 0.1)))
    def queue_up(self, n: int, later: float) -> None:
        """Somebody waits, then one of the same kind does, and the first asks once more."""
        member = self.member(n)
        self.fetch_as(member, 1)
        self.now += later
        self.join(self.model.members[member].tags, None)
        self.fetch_as(self.everybody[-1], 1)
        self.fetch_as(member, 1)

    @precondition(lambda self: self.model.waiting and self.model.members)
    @rule(n=which)
    def work(self, n: int) -> None:
        """A worker takes as much as it may, and begins with the last."""
        if self.fetch_as(self.member(n), 5):
            self.start_one(self.busy().index(self.member(n)), -1)

    def fetch_as(self, member: int, want: int, tag: str | None = None) -> list[Lease]:
        peer = self.model.members[member]
        leases, claim = self.core.on_fetch(member, want, self.now, tag)
        leases = each_lease(leases)
        self.history += [(member, lease) for lease in leases]
        if self.model.terminated or (peer.tags is not None and not peer.tags):
            assert (leases, claim) == ([], None)
            return []
        peer.heard = self.now
        tags = peer.tags if tag is None else frozenset((tag,))
        assert leases == self.model.hand_out(member, tags, want)
        assert (claim is None) == bool(leases)
        if claim is not None:
            self.model.wait_for_task(claim, member, want, tags, self.now)
        return leases

    @precondition(busy)
    @rule(n=which, nth=which)
    def start(self, n: int, nth: int) -> None:
        self.start_one(n, nth)

    def start_one(self, n: int, nth: int) -> int:
        member = self.busy()[n % len(self.busy())]
        held = self.model.members[member].held
        task_id = held[nth % len(held)]
        self.core.on_started(member, task_id, self.now)
        if not self.model.tasks[task_id].started:
            self.model.members[member].heard = self.now
        self.model.tasks[task_id].started = True
        return member

    @precondition(busy)
    @rule(n=which, count=st.integers(1, 3), kind=kinds, current=st.booleans())
    def report(self, n: int, count: int, kind: int, current: bool) -> None:
        """The holder delivers some of what it has in hand, last first."""
        member = self.busy()[n % len(self.busy())]
        self.report_as(
            member,
            [
                self.outcome(i, CURRENT if current else self.model.tasks[i].attempt, kind)
                for i in reversed(self.model.members[member].held[-count:])
            ],
        )

    @precondition(busy)
    @rule(n=which, start=st.integers(0, 2), count=st.sampled_from((1, 2, 9)), chunks=st.booleans())
    def report_in_rows(self, n: int, start: int, count: int, chunks: bool) -> None:
        """The holder delivers results of some tasks in a row, together."""
        member = self.busy()[n % len(self.busy())]
        held = self.model.members[member].held[start : start + count]
        done = [self.outcome(i, self.model.tasks[i].attempt) for i in held]
        self.report_as(member, in_rows(done, chunks=chunks))

    @precondition(some)
    @rule(n=which, tag=some_tag, count=st.sampled_from((2, 9)))
    def ask_execute_and_report(self, n: int, tag: str, count: int) -> None:
        """Many small tasks go the usual way: together from their request to their results."""
        self.submit(tag, 9, direct=True)
        member = self.member(n)
        self.fetch_as(member, 9)
        if member in self.busy():
            self.report_in_rows(self.busy().index(member), 0, count, chunks=True)

    @precondition(lambda self: self.history)
    @rule(nth=which, n=which, kind=kinds, settled=st.booleans(), times=st.integers(1, 2))
    def report_again(self, nth: int, n: int, kind: int, settled: bool, times: int) -> None:
        """Some hand-out of the past is reported: too late, once more, or by another process."""
        tasks = self.model.tasks
        past = [x for x in self.history if settled == (tasks[x[1].task_id].outcome is not None)]
        if not past:
            return
        member, lease = past[-1 - nth % len(past)]
        if n % 2:
            member = self.everybody[n % len(self.everybody)]
        again = [self.outcome(lease.task_id, lease.attempt, kind) for _ in range(times)]
        self.report_as(member, again)

    @precondition(lambda self: self.history and self.model.members)
    @rule(n=which, kind=kinds, beyond=st.integers(1, 2))
    def report_nonsense(self, n: int, kind: int, beyond: int) -> None:
        """A task that never was, and an attempt that never was."""
        never = len(self.model.tasks) + beyond
        _, lease = self.history[-1]
        future = self.model.tasks[lease.task_id].attempt + beyond
        nonsense = [(never, 1), (-beyond, 1), (lease.task_id, future)]
        self.report_as(self.member(n), [self.outcome(*lease, kind) for lease in nonsense])

    def report_as(self, member: int, outcomes: list[Outcome]) -> None:
        refused, effects = self.core.on_reported(member, outcomes, self.now)
        answer = Answer(effects)
        assert refused == self.model.report(member, each_outcome(outcomes), answer)
        answer.must_be_read()

    @precondition(busy)
    @rule(n=which, start=st.integers(0, 2), count=st.sampled_from((1, 99)))
    def give_back(self, n: int, start: int, count: int) -> None:
        """Leases come back undone; what is not in this one's hands is ignored."""
        member = self.busy()[n % len(self.busy())]
        held = self.model.members[member].held
        back = held[start : start + count]
        del held[start : start + count]
        effects = self.core.on_returned(member, [*back, 0, *self.model.waiting], self.now)
        answer = Answer(effects)
        self.remember(effects.leases)
        self.model.put_back(back, answer)
        answer.must_be_read()

    # -- results ----------------------------------------------------------------------------

    @precondition(some)
    @rule(n=which, want=wanted, tag=maybe_tag)
    def collect(self, n: int, want: int, tag: str | None) -> None:
        self.collect_as(self.member(n), want, tag)

    def collect_as(self, member: int, want: int, tag: str | None = None) -> list[Finished]:
        outcomes, claim = self.core.on_collect(member, want, tag)
        outcomes = each_finished(outcomes)
        if self.model.terminated:
            assert (outcomes, claim) == ([], None)
            return []
        tags = None if tag is None else frozenset((tag,))
        self.model.collect(tags, want, outcomes)
        assert (claim is None) == bool(outcomes)
        if claim is not None:
            self.model.result_claims[claim] = Claim(member, want, tags)
        return outcomes

    @precondition(lambda self: self.model.delivered)
    @rule(n=which, count=st.integers(1, 3))
    def undelivered(self, n: int, count: int) -> None:
        delivered = list(self.model.delivered.values())
        start = n % len(delivered)
        outcomes = delivered[start : start + count]
        answer = Answer(self.core.on_undelivered(outcomes))
        self.model.undelivered(outcomes, answer)
        answer.must_be_read()

    # -- claims, end ------------------------------------------------------------------------

    @precondition(lambda self: self.model.task_claims or self.model.result_claims)
    @rule(n=which, results=st.booleans())
    def unpark(self, n: int, results: bool) -> None:
        """Somebody does not wait any longer; and says so twice."""
        claims = self.model.result_claims if results else self.model.task_claims
        claim_id = list(claims)[n % len(claims)] if claims else 1_000_000
        assert self.core.on_unparked(claim_id) == (claims.pop(claim_id, None) is not None)
        assert not self.core.on_unparked(claim_id)

    @precondition(lambda self: len(self.history) > 20 and not self.model.terminated)
    @rule()
    def terminate(self) -> None:
        claims = [*self.model.task_claims, *self.model.result_claims]
        assert self.core.on_terminated() == claims
        self.model.terminated = True
        self.model.task_claims.clear()
        self.model.result_claims.clear()

    # -- what holds at any time ---------------------------------------------------------------

    @invariant()
    def agrees(self) -> None:
        core, model = self.core, self.model
        audit.check(core)
        held = {i: peer.held for i, peer in model.members.items()}
        assert {i: ids_of_all(m.leases.values()) for i, m in core.members.items()} == held
        waiting = set(ids_of_all(core.waiting.items()))
        results = {task.id for task in core.results.items()}
        assert waiting == set(model.waiting)
        assert results == set(model.results)
        places = [*waiting, *results, *model.delivered, *(i for ids in held.values() for i in ids)]
        assert sorted(places) == sorted(model.tasks), "a task is in no place, or in two"
        known = core.tasks.keys() | set(ids_of_all(core.table.blocks))
        assert known == model.tasks.keys() - model.delivered.keys()
        assert {claim.id for claim in core.waiting.claims} == model.task_claims.keys()
        assert {claim.id for claim in core.results.claims} == model.result_claims.keys()
        assert core.tally.submitted == len(model.tasks)
        assert core.tally.delivered == len(model.delivered)
        assert (core.tally.duplicates, core.tally.unknown) == (model.duplicates, model.unknown)
        watched = [m.deadline for m in core.members.values() if m.deadline is not None]
        if watched:
            due = core.next_deadline()
            assert due is not None, "somebody is watched, and nobody looks"
            assert due <= min(*watched, self.now + 1.0)
        self.sound = True

    def teardown(self) -> None:
        """One fresh worker that can do everything brings everything to its end."""
        if not self.sound:
            return
        everybody = list(self.model.members)
        self.join(ALL, None)
        fresh = self.everybody[-1]
        for member in everybody:
            self.lose(member, "the end", blame=False)
        self.agrees()
        while leases := self.fetch_as(fresh, 3):
            done = [self.outcome(lease.task_id, lease.attempt) for lease in leases]
            self.report_as(fresh, in_rows(done))
        self.agrees()
        while self.collect_as(fresh, 3) or self.collect_as(fresh, 3, "@f"):
            pass
        if not self.model.terminated:
            assert len(self.model.delivered) == len(self.model.tasks), "not everything is done"
        answer = Answer(self.core.on_departed(fresh, Left(), self.now))
        self.model.leave(fresh, answer)
        self.agrees()
        assert not self.core.waiting.filters, "filters are left although nobody is here"
        assert len(self.core.results.filters) == 1
