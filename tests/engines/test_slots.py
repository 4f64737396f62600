"""Slots in virtual time, with losses: the lanes and the core are real, the engine is not."""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

import pytest

from masterworker.core.grain import Spent
from masterworker.core.task import LOST, RESULT, Lease, Outcome, ids_of
from masterworker.engine.adapters.base import Died
from masterworker.engine.opening import Engine
from masterworker.engine.parcel import Answer
from masterworker.engine.traffic import Traffic
from masterworker.manager import Manager

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

TAG = "work"


class World:
    """An engine of processes, each of which executes one bundle at a time, in the order they came.

    Args:
        seed: Of durations and losses.
        slots: How many processes.
        is_shared: All processes end with one, as in an executor.
        poison: Tasks that end their process.
        losses: How likely a process ends for no reason while it executes a bundle.
    """

    def __init__(
        self,
        seed: int,
        slots: int,
        *,
        is_shared: bool = False,
        poison: Collection[int] = (),
        losses: float = 0.0,
    ) -> None:
        self.chance = random.Random(seed)
        self.is_shared, self.poison, self.losses = is_shared, poison, losses
        self.now = 0.0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.calls: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self.waiting: deque[Sent] = deque()
        self.busy: set[Sent] = set()
        self.begun: Counter[int] = Counter()
        self.done: dict[int, int] = {}
        self.idle_while_tasks_waited = 0.0
        self.ends = 0
        # What `Use` is for the lanes.
        self.engine = Engine(lambda: None)
        self.manager = Manager(self._settled, clock=lambda: self.now)
        self.adapter = self
        self.name, self.number, self.tags, self.program = "Pretence", slots, [TAG], ""
        self.is_over = self.is_short = False
        self.traffic = Traffic(self, "keeper", self.put, self.fail)  # type: ignore[arg-type]
        self._numbers = iter(range(10**9))

    # -- as `Use` and its adapter -------------------------------------------------------------

    def put(self, function: Callable[..., None], *args: Any) -> None:
        self.calls.append((function, args))

    def fail(self, error: Exception) -> None:
        raise error

    def renew(self) -> bool:
        return True

    def slots(self) -> int:
        return self.number

    def send(self, leases: list[Lease], _member: int, _missing: Any, done: Any) -> Sent:
        sent = Sent(self, leases, done)
        self.waiting.append(sent)
        return sent

    def outcome(self, sent: Sent) -> Any:
        return sent.found

    # -- time ---------------------------------------------------------------------------------

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        heapq.heappush(self.events, (self.now + seconds, next(self._numbers), function))

    def run(self, tasks: int) -> None:
        self.manager.attach("keeper")
        for _ in range(tasks):
            self.manager.request(TAG, [b""], direct=True)
        self.put(self.traffic.adjust)
        while len(self.done) < tasks:
            self.turn()
            if len(self.done) == tasks:
                break
            assert self.events, f"nothing goes on: {tasks - len(self.done)} tasks are left"
            before = self.now
            self.now, _, event = heapq.heappop(self.events)
            if self.manager.core.waiting.count and len(self.busy) < self.number:
                self.idle_while_tasks_waited += self.now - before
            event()

    def turn(self) -> None:
        """Do all that can be done at this instant."""
        while self.calls:
            function, args = self.calls.popleft()
            function(*args)
            self._begin()

    def _begin(self) -> None:
        while self.waiting and len(self.busy) < self.number:
            sent = self.waiting.popleft()
            self.busy.add(sent)
            sent.begin()

    def _settled(self, finished: list[Any]) -> None:
        for each in finished:
            for number in ids_of(each):
                assert number not in self.done, "twice"
                self.done[number] = each.kind


class Sent:
    """A bundle with the engine."""

    def __init__(self, world: World, leases: list[Lease], done: Any) -> None:
        self.world, self.leases, self.done = world, leases, done
        self.found: Any = None

    def begin(self) -> None:
        world, spent, outcomes = self.world, 0.0, []
        tasks = ((lease, number) for lease in self.leases for number in ids_of(lease))
        for lease, number in tasks:
            if spent > world.engine.bundle_seconds:
                break
            world.begun[number] += 1
            spent += world.chance.uniform(0.01, 0.2)
            if number in world.poison:
                world.later(spent, self.die)
                return
            outcomes.append(Outcome(number, lease.attempt, RESULT, [b""]))
        if world.chance.random() < world.losses:
            world.later(world.chance.uniform(0, spent), self.die)
            return
        answer = Answer("", outcomes, (self._spent(outcomes, spent),))
        world.later(spent, lambda: self.end(answer))

    def _spent(self, outcomes: list[Outcome], seconds: float) -> Spent:
        many = len(outcomes)
        return Spent(outcomes[-1].task_id, many, seconds, seconds**2 / many)

    def end(self, found: Any) -> None:
        if self in self.world.busy:
            self.world.busy.discard(self)
            self.found = found
            self.done(self)

    def die(self) -> None:
        world = self.world
        if self not in world.busy:
            return
        world.ends += 1
        died = Died("ended", is_shared=world.is_shared)
        lost = [self, *(world.busy - {self}), *world.waiting] if world.is_shared else [self]
        if world.is_shared:
            world.busy.update(world.waiting)
            world.waiting.clear()
        for each in lost:
            each.end(died)

    def running(self) -> bool:
        return self in self.world.busy

    def cancel(self) -> bool:
        if self not in self.world.waiting:
            return False
        self.world.waiting.remove(self)
        return True


def test_losses() -> None:
    """No slot idles while tasks wait, and none is tried more than three times."""
    world = World(1, 500, losses=0.05)
    world.run(5_000)
    assert world.ends > 10
    assert world.idle_while_tasks_waited == 0.0
    lost = {number for number, kind in world.done.items() if kind == LOST}
    tries = Counter(world.begun.values())
    assert max(tries) <= 3, tries
    assert all(world.begun[number] == 3 for number in lost)


@pytest.mark.parametrize(("slots", "is_shared"), [(500, False), (20, True)])
def test_poison(slots: int, is_shared: bool) -> None:
    """It ends three processes by itself, and at most one with others, which are done."""
    world = World(1, slots, is_shared=is_shared, poison={17, 150})
    world.run(2_000)
    assert {number for number, kind in world.done.items() if kind == LOST} == {17, 150}
    assert world.ends <= 2 * 4
    if not is_shared:
        assert world.idle_while_tasks_waited == 0.0


def test_slots_that_are_gone_say_what_they_execute_still() -> None:
    """Else `running()` is never true for a task of theirs, however long it takes."""
    world = World(1, 2)
    world.manager.attach("keeper")
    tasks = [world.manager.request(TAG, [b""], direct=True) for _ in range(2)]
    world.put(world.traffic.adjust)
    world.turn()
    assert len(world.busy) == 2
    world.number = 1
    world.traffic.adjust()
    assert [world.manager.is_running([task]) for task in tasks] == [True, True]
