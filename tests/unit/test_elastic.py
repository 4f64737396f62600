"""What a pool does next, over histories of queues that lag, lie, lose jobs and fail."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest

from masterworker.pools import elastic
from masterworker.pools.elastic import Cancel, Elastic, Look, Remove, Submit
from masterworker.pools.systems.system import Entry, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class _Queue:
    """A batch system: jobs wait, start, join, are lost, and end; its answers may be old or wrong.

    Args:
        seed: Of everything that happens.
        places: Jobs that run at once.
        works: Workers join from its jobs.
    """

    def __init__(self, seed: int, places: int = 5, *, works: bool = True) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.jobs: dict[str, Entry] = {}
        self.joins: dict[str, float] = {}
        self.ends: dict[str, float] = {}
        self.places, self.works = places, works
        self.number = 0
        #: What has been done, with the time.
        self.submissions: list[float] = []
        self.cancelled_running: list[str] = []
        self.cancelled: dict[str, float] = {}
        self.submitted: dict[str, float] = {}
        self.is_lame = False
        self.refuses = False
        self.idle = False

    def submit(self) -> str:
        if self.refuses:
            raise RuntimeError("no")
        self.number += 1
        name = str(self.number)
        self.jobs[name] = Entry(State.PENDING, "Priority")
        self.submissions.append(self.now)
        self.submitted[name] = self.now
        return name

    def cancel(self, names: tuple[str, ...]) -> None:
        for name in names:
            entry = self.jobs.get(name)
            if entry is None:
                continue
            if entry.state is State.RUNNING and self.here().get(name):
                self.cancelled_running.append(name)
            self.cancelled[name] = self.now
            if entry.state is State.PENDING:
                self.jobs[name] = Entry(State.CANCELLED, "CANCELLED")

    def alive(self) -> list[str]:
        return [n for n, e in self.jobs.items() if e.state in {State.PENDING, State.RUNNING}]

    def here(self) -> dict[str, int]:
        if not self.works:
            return {}
        return {
            name: 2 * (self.jobs[name].state is State.RUNNING)
            for name, when in self.joins.items()
            if when <= self.now and name in self.jobs
        }

    def step(self, seconds: float) -> None:
        self.now += seconds
        running = [n for n, e in self.jobs.items() if e.state is State.RUNNING]
        for name in running:
            if self.ends[name] <= self.now or (self.idle and self.here().get(name)):
                how = State.ENDED if self.works else State.FAILED
                self.jobs[name] = Entry(how, "COMPLETED" if self.works else "FAILED")
        free = self.places - sum(e.state is State.RUNNING for e in self.jobs.values())
        for name, entry in self.jobs.items():
            if free > 0 and entry.state is State.PENDING and self.random.random() < 0.3:
                self.jobs[name] = Entry(State.RUNNING)
                self.joins[name] = self.now + self.random.uniform(0, 5)
                self.ends[name] = self.now + (self.random.uniform(30, 300) if self.works else 1)
                free -= 1

    def answer(self) -> Mapping[str, Entry] | None:
        return None if self.is_lame else dict(self.jobs)


def _drive(
    pool: Elastic,
    queue: _Queue,
    need: Callable[[float], int],
    seconds: float,
    each: Callable[[], None] = lambda: None,
) -> None:
    end = queue.now + seconds
    while queue.now < end:
        queue.step(1.0)
        pool.here(queue.here(), queue.here())
        pool.need(need(queue.now))
        for action in pool.actions(queue.now):
            match action:
                case Submit():
                    try:
                        pool.submitted(queue.submit(), queue.now)
                    except RuntimeError as error:
                        pool.refused(str(error), queue.now)
                case Cancel(names):
                    queue.cancel(names)
                    pool.taken_back(names)
                case Look():
                    pool.listed(queue.answer(), queue.now)
        assert len(pool.jobs) <= pool.most
        each()


@pytest.mark.parametrize("seed", range(50))
def test_up_with_work_and_down_without(seed: int) -> None:
    queue, pool = _Queue(seed), Elastic(0, 8, 4)
    _drive(pool, queue, lambda _: 0, 120)
    assert not queue.submissions

    _drive(pool, queue, lambda _: 1000, 300)
    assert 6 <= len(queue.alive()) <= 8
    queue.idle = True  # workers leave when they have nothing to do
    _drive(pool, queue, lambda _: 0, 120)
    assert not queue.alive()
    assert not pool.jobs
    assert not queue.cancelled_running
    assert not pool.paused
    for name, when in queue.cancelled.items():
        assert when - queue.submitted[name] >= elastic.UNNEEDED


def test_the_first_job_shows_whether_it_works() -> None:
    queue, pool = _Queue(1, places=0), Elastic(0, 20, 4)
    _drive(pool, queue, lambda _: 1000, 100)
    assert len(queue.alive()) == 1
    queue.places = 1
    _drive(pool, queue, lambda _: 1000, 30)
    assert len(queue.alive()) == 3  # one runs, two wait

    queue.places = 2
    _drive(pool, queue, lambda _: 1000, 40)
    assert len(queue.alive()) == 6  # as many as may wait


def test_submissions_are_apart() -> None:
    queue, pool = _Queue(3, places=50), Elastic(0, 20, 10)
    _drive(pool, queue, lambda _: 1000, 60)
    gaps = [b - a for a, b in zip(queue.submissions, queue.submissions[1:], strict=False)]
    assert min(gaps) >= elastic.SUBMISSIONS


def test_what_is_there_always_is_there_always() -> None:
    queue, pool = _Queue(5), Elastic(2, 8, 4)
    _drive(pool, queue, lambda _: 0, 60)
    assert len(queue.alive()) == 2
    assert not queue.cancelled


def test_three_failed_starts_pause_it_until_it_is_resumed() -> None:
    queue, pool = _Queue(7, works=False), Elastic(0, 20, 4)
    _drive(pool, queue, lambda _: 1000, 600)
    assert len(queue.submissions) == elastic.TRIES
    assert pool.paused
    assert "FAILED" in pool.paused
    pool.resume()
    queue.works = True
    _drive(pool, queue, lambda _: 1000, 100)
    assert not pool.paused
    assert len(queue.alive()) > 3


def test_jobs_that_vanish_without_a_word_are_no_loop_either() -> None:
    """Some batch systems forget a job the moment that it ends."""
    queue, pool = _Queue(8, works=False), Elastic(0, 20, 4)
    answer = queue.answer
    queue.answer = lambda: {  # type: ignore[method-assign]
        n: e for n, e in (answer() or {}).items() if e.state in {State.PENDING, State.RUNNING}
    }
    _drive(pool, queue, lambda _: 1000, 600)
    assert len(queue.submissions) <= 3


def test_refused_submissions_wait_longer_and_longer() -> None:
    queue, pool = _Queue(9), Elastic(0, 20, 4)
    queue.refuses = True
    tried: list[float] = []
    submit = queue.submit

    def counting() -> str:
        tried.append(queue.now)
        return submit()

    queue.submit = counting  # type: ignore[method-assign]
    _drive(pool, queue, lambda _: 10, 1000)
    assert pool.refusal == "no"
    gaps = [round(b - a) for a, b in itertools.pairwise(tried)]
    assert gaps == [60, 120, 240, 480]
    queue.refuses = False
    _drive(pool, queue, lambda _: 10, 1000)
    assert not pool.refusal
    assert queue.alive()


@pytest.mark.parametrize("how", ["PREEMPTED", "TIMEOUT", "NODE_FAIL"])
def test_ends_that_are_nobody_s_fault_pause_nothing(how: str) -> None:
    queue, pool = _Queue(11, works=False), Elastic(0, 3, 4)

    def fate() -> None:
        for name, entry in queue.jobs.items():
            if entry.state is State.FAILED:
                queue.jobs[name] = Entry(State.ENDED, how)

    _drive(pool, queue, lambda _: 100, 300, fate)
    assert not pool.paused
    assert pool.ended > 3


def test_what_the_user_takes_back_is_not_replaced_at_once() -> None:
    queue, pool = _Queue(12, places=0), Elastic(0, 1, 4)
    _drive(pool, queue, lambda _: 10, 20)
    (mine,) = queue.alive()
    queue.jobs[mine] = Entry(State.CANCELLED, "CANCELLED")
    _drive(pool, queue, lambda _: 10, 200)
    assert not queue.alive()
    _drive(pool, queue, lambda _: 10, 200)
    assert len(queue.alive()) == 1
    assert not pool.paused


def test_a_job_that_is_queued_again_is_the_same_job() -> None:
    queue, pool = _Queue(13, places=1), Elastic(0, 1, 4)
    _drive(pool, queue, lambda _: 10, 20)
    (mine,) = queue.alive()
    assert pool.jobs[mine].is_running
    queue.places = 0
    queue.jobs[mine] = Entry(State.PENDING, "BeginTime")
    _drive(pool, queue, lambda _: 10, 40)
    assert not pool.jobs[mine].is_running
    assert pool.jobs[mine].reason == "BeginTime"
    assert len(queue.submissions) == 1


def test_a_queue_that_does_not_answer_changes_nothing() -> None:
    queue, pool = _Queue(14), Elastic(0, 3, 4)
    _drive(pool, queue, lambda _: 100, 60)
    before = set(pool.jobs)
    queue.is_lame = True
    _drive(pool, queue, lambda _: 100, 120)
    assert before <= set(pool.jobs)
    assert len(pool.jobs) <= 3


def test_at_the_end_all_that_waits_is_taken_back_at_once() -> None:
    queue, pool = _Queue(15, places=1), Elastic(1, 8, 4)
    _drive(pool, queue, lambda _: 100, 60)
    pool.finish()
    _drive(pool, queue, lambda _: 100, 2)
    assert all(queue.jobs[name].state is State.RUNNING for name in queue.alive())
    assert not queue.cancelled_running


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens(seed: int) -> None:
    """Never more than may be, never one that runs, and with work and room there is progress."""
    chance = random.Random(seed)
    most = chance.randint(1, 10)
    queue, pool = _Queue(seed, places=chance.randint(1, 5)), Elastic(0, most, 4)
    need = 0
    for _ in range(30):
        queue.is_lame, queue.refuses = chance.random() < 0.2, chance.random() < 0.1
        need = chance.choice([0, 1, 5, 100])
        if chance.random() < 0.2 and queue.alive():
            name = chance.choice(queue.alive())  # lost, preempted, or queued again
            state = chance.choice([State.ENDED, State.CANCELLED, State.PENDING, None])
            if state is None:
                del queue.jobs[name]
            else:
                queue.jobs[name] = Entry(state, "PREEMPTED" if state is State.ENDED else "")
        _drive(pool, queue, lambda _, need=need: need, chance.choice([5, 20, 60]))
        assert len(queue.alive()) <= most
    assert not queue.cancelled_running
    queue.is_lame = queue.refuses = False
    pool.resume()
    before = len(queue.submissions)
    _drive(pool, queue, lambda _: 100, 600)
    assert len(queue.submissions) > before
    for name, when in queue.cancelled.items():
        assert when - queue.submitted[name] >= elastic.UNNEEDED


def test_workers_that_may_execute_nothing_are_no_loop() -> None:
    """Their handlers are others, or what waits takes longer than their job: they leave idle."""
    pool = Elastic(0, 10, 4)
    pool.need(5)
    submissions: list[float] = []
    for now in range(3600):
        name = str(len(submissions))
        age = now - submissions[-1] if submissions else 0.0
        pool.here({name: 8 * (age < 65)} if submissions and age >= 5 else {})
        if submissions and age >= 66:
            pool.listed({name: Entry(State.ENDED, "COMPLETED")}, now)
        for action in pool.actions(now):
            if isinstance(action, Submit):
                submissions.append(now)
                pool.submitted(str(len(submissions)), now)
    assert pool.useless
    assert len(submissions) <= 7, submissions
    pool.submitted("new", 3600.0)
    pool.here({"new": 1}, {"new"})
    assert not pool.useless


def test_workers_that_came_too_late_for_work_pause_nothing() -> None:
    pool = Elastic(0, 10, 4)
    pool.need(5)
    assert Submit() in pool.actions(0.0)
    pool.submitted("1", 0.0)
    pool.here({"1": 8})
    pool.need(0)
    pool.here({"1": 8})
    pool.here({"1": 0})
    pool.need(5)
    pool.here({"1": 0})
    pool.listed({"1": Entry(State.ENDED, "COMPLETED")}, 70.0)
    assert Submit() in pool.actions(70.0)


def test_what_failed_and_stays_in_the_queue_is_taken_out() -> None:
    """As jobs of Grid Engine in state Eqw, and those that HTCondor holds."""
    pool = Elastic(0, 10, 4)
    pool.need(5)
    pool.submitted("1", 0.0)
    pool.listed({"1": Entry(State.STUCK, "Eqw")}, 20.0)
    assert pool.failed == 1
    assert Remove(("1",)) in pool.actions(20.0)
    assert not any(isinstance(action, Remove) for action in pool.actions(21.0))
