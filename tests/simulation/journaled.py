"""Histories with a journal: the master dies again and again, and each next one opens what is left.

The journal is the product's own, its writer a process in virtual time, and its disk one of ours.
"""

from __future__ import annotations

from functools import partial
from math import inf
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from blocks import each_finished
from masterworker.conversation.submissions import Again, Recalled
from masterworker.core.task import AGAIN, CANCELLED, FAILURE, LOST, RESULT
from masterworker.data.items import one_by_one, single
from masterworker.errors import JournalError
from masterworker.journal import aside, journal, recorder
from masterworker.journal import format as layout
from masterworker.journal.calls import CallDigests
from masterworker.journal.writing import BEHIND
from masterworker.manager.keeping import Keeping
from simulation.desk import Bulk, Desk
from simulation.disk import Disk, Killed, System
from simulation.oracle import Oracle, Violation
from simulation.swarm import FURTHER
from simulation.worker import SimWorker
from simulation.world import World

if TYPE_CHECKING:
    from masterworker.core.options import Options
    from masterworker.core.task import Finished
    from masterworker.journal.writing import Entries, Writing
PATH = Path("/disk/job.journal")
#: In relaxed mode a crash of the system may cost what was told in the last so many seconds.
COSTS = BEHIND + 1.0
FINAL = frozenset((RESULT, LOST))


class Faults(NamedTuple):
    """What goes wrong with the master and its disk; drawn."""

    mode: str
    keeps_failures: bool
    #: When the master is killed, and whether the power goes with it.
    deaths: list[tuple[float, bool]]
    #: How likely a master is killed at one of its calls of the system, and at the first how many.
    killed_writing: float
    within: int
    #: When the disk is full, and for how long; when a flush fails.
    full: list[tuple[float, float]]
    failing: list[float]
    #: Seconds that writing takes at most.
    slow: float


def draw(random: Random, end: float) -> Faults:
    """Draw them."""
    chance, pick = random.random, random.choice
    mode = pick(("disk", "disk", "relaxed"))
    return Faults(
        mode,
        chance() < 0.3,
        [(end * chance(), chance() < 0.5) for _ in range(random.randint(0, 4))],
        pick((0.0, 0.5, 0.9)),
        pick((4, 15, 60)),
        [(end * chance(), 3.0 * chance()) for _ in range(pick((0, 0, 1, 2)))],
        [end * chance() for _ in range(pick((0, 0, 1)))] if mode == "disk" else [],
        pick((0.0001, 0.005, 0.2)),
    )


class SimWriter:
    """The thread that writes a journal, in virtual time."""

    has_ended = True

    def __init__(self, desk: JournaledDesk, writing: Writing) -> None:
        self._desk, self._writing = desk, writing
        self._plan = 0
        self._is_awake = False

    #: It is woken whenever something is noted.
    dozes = True

    def put(self, entries: Entries) -> None:
        self._writing.waiting.append(entries)
        self.ring()

    def ring(self) -> None:
        if not self._is_awake:
            self._is_awake = True
            self._later(0.0)

    def _later(self, pause: float) -> None:
        desk = self._desk
        self._plan += 1
        pause += desk.faults.slow * desk.kernel.random.random()
        desk.kernel.after(pause, self._step, self._plan)

    def _step(self, plan: int) -> None:
        desk = self._desk
        if plan != self._plan or desk.held_up(self._step, plan):
            return
        self._is_awake = False
        try:
            with desk.system.in_place():
                pause = self._writing.step(desk.kernel.now)
        except Killed:
            desk.killed()
            return
        if not pause:
            self.ring()
        elif pause < inf and not self._is_awake:
            self._later(pause)


class JournaledWorker(SimWorker):
    """Each execution comes to something else; in some histories all come to the same."""

    def answer(self, task_id: int, attempt: int) -> bytes:
        if self.world.seed % 3 == 0:
            return b"%d is done" % task_id
        return super().answer(task_id, attempt) + b" at event %d" % self.kernel.events


class JournaledOracle(Oracle):
    """Also knows what was told by masters before."""

    ledger: Ledger

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        #: Of earlier runs, by task.
        self.strikes: dict[int, list[str]] = {}

    def _guilty_of(self, task: int) -> list[str]:
        return [*self.strikes.get(task, ()), *super()._guilty_of(task)]

    def requested(
        self, first: int, tag: str, payloads: list[bytes], direct: bool, options: Options | None
    ) -> None:
        super().requested(first, tag, payloads, direct, options)
        self.ledger.asked_for(self, first, payloads)

    def executes(self, lease: Any, worker: SimWorker) -> None:
        super().executes(lease, worker)
        self.ledger.executes(self, lease.task_id)

    def produced(self, task: int, kind: int, payload: bytes, client: str) -> None:
        super().produced(task, kind, payload, client)
        self.ledger.produced(self, task, kind, payload)

    def received(self, outcome: Finished, by: Any = None) -> None:
        super().received(outcome, by)
        if outcome.tag != FURTHER:
            self.ledger.received(self, outcome)

    def recalled(self, first: int, kind: int, payloads: list[Any]) -> None:
        """Outcomes come from the journal."""
        for task, payload in enumerate(payloads, first):
            self.trace(f"recalled: {task}")
            self.ledger.recalled(self, task, kind, payload)
            self._accept(task, kind, payload)


class Telling(NamedTuple):
    """What was told of a request first, when, and by which run of the master."""

    kind: int
    value: bytes
    when: float
    by: Oracle


class Ledger:
    """What was told of each request, by all masters; and by which key it is known."""

    def __init__(self, world: JournaledWorld) -> None:
        self._world = world
        self._payloads: dict[tuple[Oracle, int], bytes] = {}
        self._produced: dict[bytes, set[tuple[int, bytes]]] = {}
        #: What was told of the master's own requests for good, and when.
        self.told: dict[bytes, Telling] = {}
        self.keys: dict[bytes, bytes] = {}
        #: How many outcomes were recalled.
        self.recalls = 0

    def asked_for(self, oracle: Oracle, first: int, payloads: list[bytes]) -> None:
        for task, payload in enumerate(payloads, first):
            self._payloads[oracle, task] = payload

    def produced(self, oracle: Oracle, task: int, kind: int, value: bytes) -> None:
        if payload := self._payloads.get((oracle, task)):
            kind = FAILURE if kind == AGAIN else kind  # the last one of several
            self._produced.setdefault(payload, set()).add((kind, value))

    def executes(self, oracle: Oracle, task: int) -> None:
        payload = self._payloads.get((oracle, task), b"")
        told = self.told.get(payload)
        if oracle is self._world.oracle and told is not None and told.by is not oracle:
            raise Violation(f"task {task} ({payload!r}) is executed, and was told before")

    def recalled(self, oracle: Oracle, task: int, kind: int, value: Any) -> None:
        payload = self._payloads[oracle, task]
        self.recalls += 1
        known = self._produced.get(payload, set())
        if kind != LOST and not any(kind == k and value == v for k, v in known):
            raise Violation(f"recalled for {payload!r}: {kind} {value!r}, which was never produced")

    def received(self, oracle: Oracle, outcome: Finished) -> None:
        payload = self._payloads[oracle, outcome.task_id]
        if payload not in self.keys or outcome.kind == CANCELLED:
            return
        value = bytes(getattr(outcome.payload, "held", outcome.payload))
        before = self.told.get(payload)
        if before is not None and before[:2] != (outcome.kind, value):
            raise Violation(f"told of {payload!r}: {before[:2]}, and now {outcome}")
        if outcome.kind in FINAL or self._world.faults.keeps_failures:
            now = self._world.kernel.now
            self.told.setdefault(payload, Telling(outcome.kind, value, now, oracle))

    def crashed(self) -> None:
        """The system has; what that may cost is not expected any more."""
        if self._world.faults.mode == "relaxed":
            since = self._world.written_until() - COSTS
            self.told = {p: told for p, told in self.told.items() if told.when < since}


class JournaledDesk(Desk):
    """The shell of a master with a journal."""

    world: JournaledWorld
    system: System
    faults: Faults
    #: A request comes from another process.
    _is_of_another = False

    def open(self, world: JournaledWorld) -> None:
        """Open the journal. Raises: Killed."""
        self.world, self.faults = world, world.faults
        self.system = System(world.disk, world.killed_at())
        journal._programs.clear()
        with self.system.in_place():
            self.journal = journal.Journal(world.settings, partial(SimWriter, self))
        told = Keeping(self, lambda: self.kernel.now, lambda: None)  # type: ignore[arg-type]
        self._inner: list[Any] = []
        give_up = partial(self._fails, told.give_up)
        self.journal.begin(self.instance, told.kept, told.stall, give_up)
        told.come_back(self.journal.earlier, self.journal.note_worker, self.journal.sign)

    def __enter__(self) -> Any:
        self._inner.append(self.step())
        return self._inner[-1].__enter__()

    def __exit__(self, *about: object) -> Any:
        return self._inner.pop().__exit__(*about)

    def _fails(self, give_up: Any, reason: str) -> None:
        """The program ends with an error, and is started again."""
        self.oracle.trace(f"the journal has failed: {reason}")
        self.kernel.after(0.01, self.world.killed, self)
        give_up(reason)

    def killed(self) -> None:
        """A call of the system was the last one of this process."""
        self.oracle.trace("killed as it wrote")
        self.world.killed(self)

    def keep(self, finished: list[Finished], parameters: list[Any]) -> None:
        self.journal.keep(finished, parameters)

    def struck(self, strikes: list[tuple[int, list[str]]]) -> None:
        self.journal.struck(strikes)

    def _arrives(self, outcome: Finished) -> None:
        self.journal.forget([outcome])
        super()._arrives(outcome)

    # -- requests ---------------------------------------------------------------------------

    def _keys(self, tag: str, payloads: list[bytes]) -> list[bytes]:
        keys = self.journal.occurrences.keys(self.world.digests(tag, payloads))
        for payload, key in zip(payloads, keys, strict=True):
            if self.world.ledger.keys.setdefault(payload, key) != key:
                raise Violation(f"{payload!r} has another key than before")
        return keys

    def _request(self, *what: Any) -> None:
        self._is_of_another = True
        try:
            super()._request(*what)
        finally:
            self._is_of_another = False

    def _found(self, keys: list[bytes]) -> list[tuple[int, journal.Kept | journal.Again | None]]:
        """Return what is kept; nothing if the process ends here."""
        try:
            with self.system.in_place():
                return self.journal.recall(keys)
        except Killed:
            self.killed()
        except JournalError as error:
            self.world.was_refused(error)
            self.killed()
        return []

    def request_here(
        self,
        tag: str,
        payloads: list[bytes],
        options: Options | None,
        *,
        direct: bool,
        expect: Any = None,
    ) -> int:
        if self._is_of_another:
            return super().request_here(tag, payloads, options, direct=direct, expect=expect)
        keys, at = self._keys(tag, payloads), 0
        for number, kept in self._found(keys):
            some, its = payloads[at : at + number], keys[at : at + number]
            at += number
            if isinstance(kept, journal.Kept):
                self._recall(tag, some, kept, options, direct=direct)
                continue
            entered = partial(self.journal.expect, tag, its)
            if isinstance(kept, journal.Again):
                self._ask_again(tag, some, kept, options, entered, direct=direct)
            else:
                super().request_here(tag, some, options, direct=direct, expect=entered)
        return -1

    def _recall(
        self,
        tag: str,
        payloads: list[bytes],
        kept: journal.Kept,
        options: Options | None,
        *,
        direct: bool,
    ) -> None:
        noted = [-1]
        self._note(direct, len(payloads))
        given = kept.payloads if direct else one_by_one(kept.payloads)
        recalled = Recalled(kept.kind, kept.worker)
        add = self.machine.submissions.add
        add(tag, given, options, noted, direct=direct, recalled=recalled)
        self.oracle.requested(noted[0], tag, payloads, direct, options)
        each = each_finished([_finished(noted[0], tag, kept)])
        self.oracle.recalled(noted[0], kept.kind, [done.payload for done in each])
        self._later(self._after_recalled)

    def _ask_again(
        self,
        tag: str,
        payloads: list[bytes],
        kept: journal.Again,
        options: Options | None,
        entered: Any,
        *,
        direct: bool,
    ) -> None:
        noted = [-1]
        self._note(direct, 1)
        add, known = self.machine.submissions.add, Again(kept.losses)
        add(tag, payloads, options, noted, direct=direct, expect=entered, recalled=known)
        self.oracle.requested(noted[0], tag, payloads, direct, options)
        self.oracle.strikes[noted[0]] = kept.losses
        self._later(self._after_recalled)

    def _after_recalled(self) -> None:
        if not self.held_up(self._after_recalled):
            self._noting -= 1
            self._flush()

    def submit_here(self, tag: str, payloads: list[bytes], options: Options | None) -> None:
        if not payloads or self._stopped is not None:
            super().submit_here(tag, payloads, options)
            return
        keys = self._keys(tag, payloads[:1])
        found = self._found(keys)
        if not found:
            return
        ((_, kept),) = found
        entered = partial(self.journal.expect, tag, keys)
        if kept is None and not self.journal.earlier:
            noted = self.journal.open_keys, keys[0], self.journal.noted.items
            super().submit_here(tag, payloads, options, noted)
            self.journal.look()
            return
        if kept is None:
            super().request_here(tag, payloads[:1], options, direct=True, expect=entered)
        elif isinstance(kept, journal.Kept):
            self._recall(tag, payloads[:1], kept, options, direct=True)
        else:
            self._ask_again(tag, payloads[:1], kept, options, entered, direct=True)
        self.kernel.after(0.0, self.submit_here, tag, payloads[1:], options)


def _finished(first: int, tag: str, kept: journal.Kept) -> Any:
    from masterworker.core.task import Finished

    return Finished(first, tag, kept.kind, kept.payloads, kept.worker)


class BulkFromDisk:
    """In the place of `Segment`, which takes memory of the system."""

    @staticmethod
    def of(parts: Any) -> Bulk:
        return Bulk(b"".join(parts))


class JournaledWorld(World):
    """A history with a journal."""

    desk_class = JournaledDesk
    worker_class = JournaledWorker
    oracle_class = JournaledOracle
    oracle: JournaledOracle
    desk: JournaledDesk
    #: What is not drawn but given: of the faults.
    given: dict[str, Any] = {}  # noqa: RUF012

    def _first_master(self) -> None:
        swarm, random = self.swarm, Random(self.seed + (7 << 40))
        swarm.down = swarm.silence * random.random() ** 2
        swarm.faults_end = max(swarm.faults_end, 8.0)
        swarm.restart = swarm.faults_end * random.random() + 0.01
        self.faults = draw(random, swarm.faults_end)._replace(**self.given)
        if self.faults.mode == "relaxed":
            swarm.master_pause = 0.0
        self._dice = random
        self.disk = Disk(random, "/disk")
        mode: Any = self.faults.mode
        self.settings = journal.Settings(PATH, mode, self.faults.keeps_failures)
        self.ledger = Ledger(self)
        self._calls = CallDigests(lambda _: None)
        self._is_calm = False
        self._died_at = inf
        super()._first_master()
        self._plan_deaths()

    def make_core(self) -> Any:
        return self.core_class(single=single, keeps=True)

    def _new_master(self) -> None:
        while True:
            super()._new_master()
            self.oracle.ledger = self.ledger
            try:
                if self._dice.random() < 0.1:
                    self._try_another_key()
                self.desk.open(self)
            except Killed:
                self.trace("killed as it opened the journal")
                self._lose(self.desk, power=self._dice.random() < 0.3)
            except Exception as error:
                if not isinstance(error, JournalError):  # a bug can show itself in any way
                    raise Violation(f"the journal cannot be opened: {error!r}") from error
                self.was_refused(error)
                self._lose(self.desk, power="[Errno 5]" in str(error))
            else:
                self._died_at = inf
                return

    def _try_another_key(self) -> None:
        """Another user, or one with other credentials, cannot open it, and leaves it as it is."""
        file = self.disk.names.get(str(PATH))
        before = bytes(file.cache) if file else b""
        if layout.is_unfinished(memoryview(before)):
            return
        real, journal.credentials = journal.credentials, SimpleNamespace(authority=lambda: b"?")  # type: ignore[assignment]
        failing, self.disk.failing = self.disk.failing, 0  # or the next one would believe the cache
        try:
            with System(self.disk).in_place():
                journal.Journal(self.settings, partial(SimWriter, self.desk))
        except JournalError as error:
            self.trace(f"with another key: {error}")
        else:
            raise Violation("a journal was opened with another key")
        finally:
            journal.credentials, self.disk.failing = real, failing
        if file is None or file.cache != before:
            raise Violation("a journal was changed with another key")
        self.disk.locks.clear()

    def written_until(self) -> float:
        """When there was last a master that could have flushed something."""
        return min(self.kernel.now, self._died_at)

    def was_refused(self, error: JournalError) -> None:
        """The journal cannot be used: only because the disk does not do its work, which it does."""
        if "cannot be written" not in str(error):
            raise Violation(str(error)) from error
        self.trace(str(error))
        self.disk.full, self.disk.failing = False, 0

    def killed_at(self) -> int:
        """At which call of the system the next master is killed; -1: at none."""
        if self._is_calm or self._dice.random() >= self.faults.killed_writing:
            return -1
        return self._dice.randint(1, self.faults.within)

    def digests(self, tag: str, payloads: list[bytes]) -> list[bytes]:
        """What is called, and with what: some calls are alike."""
        return self._calls.of(tag, [(self._kind(payload),) for payload in payloads])

    def _kind(self, payload: bytes) -> int:
        """Return the number of the batch of a request: those of one are alike."""
        for number, (_, some) in enumerate(self._own):
            if payload in some:
                return number
        raise AssertionError(payload)

    # -- deaths -----------------------------------------------------------------------------

    def _plan_deaths(self) -> None:
        after = self.kernel.after
        for when, power in self.faults.deaths:
            after(when, self._end_master, power)
        for when, seconds in self.faults.full:
            after(when, self._set_full, True)
            after(when + seconds, self._set_full, False)
        for when in self.faults.failing:
            after(when, self._fail_flush)

    def _set_full(self, full: bool) -> None:
        self.disk.full = full and not self._is_calm

    def _fail_flush(self) -> None:
        self.disk.failing += not self._is_calm

    def killed(self, desk: Desk) -> None:
        """This master is no more."""
        if desk is self.desk:
            self._end_master()

    def _end_master(self, power: bool | None = None) -> None:
        if self.down or self._over:
            return
        desk = self.desk
        self._lose_master()
        self._lose(desk, power=self._dice.random() < 0.3 if power is None else power)

    def _lose(self, desk: JournaledDesk, *, power: bool) -> None:
        desk.system.die()
        self._died_at = self.written_until()
        if power:
            self.trace("the power is gone")
            self.disk.crash()
            self.ledger.crashed()

    def _be_calm(self) -> None:
        self._is_calm = True
        self.disk.full, self.disk.failing = False, 0
        if not self.down:
            self.desk.system.calls = -1
        super()._be_calm()
        self._deadline += 2.0 * self.swarm.down + 20.0

    def _run(self) -> None:
        super()._run()
        self._lose(self.desk, power=True)
        self._look_at_what_is_left()

    def _look_at_what_is_left(self) -> None:
        """All that was told is there, and nothing else in its place."""
        self.disk.full, self.disk.failing = False, 0
        with System(self.disk).in_place():
            left = journal.Journal(self.settings, partial(SimWriter, self.desk))
            for payload, (kind, value, *_) in self.ledger.told.items():
                ((_, kept),) = left.recall([self.ledger.keys[payload]])
                if not isinstance(kept, journal.Kept):
                    raise Violation(f"{payload!r}: told {kind} {value!r}, and kept is {kept}")
                (found,) = each_finished([_finished(1, "", kept)])
                if kept.kind != kind or found.payload != value:
                    raise Violation(f"what is kept of {payload!r} is {kept}, and not {value!r}")

    def run(self) -> None:
        real = aside.Segment, recorder.columns_alone
        aside.Segment = BulkFromDisk  # type: ignore[assignment, misc]
        recorder.columns_alone = lambda _: b""  # chunks are others here
        try:
            super().run()
        finally:
            aside.Segment, recorder.columns_alone = real  # type: ignore[misc]
