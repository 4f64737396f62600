"""Tasks that take long, tasks that ask for tasks, and a connection that breaks meanwhile."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from contract.nets import Background
from integration import work
from masterworker import Master, TaskFailed, UsageError, Worker, current_worker
from masterworker.master import engine_of
from support import HANG, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from integration.crew import Crew


def _short_warm_up(crew: Crew, number: int = 300) -> None:
    """Let workers learn that tasks are short, so that they ask for many at a time."""
    for x in range(number):
        crew.master.request_task("task", x)
    crew.results(number)


def test_a_long_task_does_not_hold_up_short_ones(crew: Crew) -> None:
    """Those handed out together with it are given back, and finish before it does."""
    go = threading.Event()

    def task(x: int) -> int:
        if x < 0:
            assert go.wait(HANG)
        return x

    for _ in range(2):
        crew.hire({"task": task})
    _short_warm_up(crew)
    crew.master.request_task("task", -1)
    for x in range(500):
        crew.master.request_task("task", x)

    assert sorted(crew.results(500)) == list(range(500))  # all short ones, while it goes on
    assert not go.is_set()
    go.set()
    assert crew.results(1) == [-1]


def test_with_one_worker_finished_results_do_not_wait_for_a_long_task(crew: Crew) -> None:
    """What was executed before it in the same batch is delivered while it goes on."""
    go = threading.Event()

    def task(x: int) -> int:
        if x < 0:
            assert go.wait(HANG)
        return x

    crew.hire({"task": task})
    _short_warm_up(crew)
    payloads: list[Any] = [*range(20), -1, *range(100, 120)]
    futures = crew.master.map("task", payloads)

    assert [next(futures) for _ in range(20)] == list(range(20))
    wait_until(lambda: crew.master.status().running == {"task": 1}, what="the rest is given back")
    assert crew.master.status().waiting == {"task": 20}
    go.set()
    assert list(futures) == [-1, *range(100, 120)]


def test_real_processes_give_back_too(tmp_path: Path) -> None:
    """The same with worker processes and calls of functions."""
    with Master(workers=2) as master:
        wait_until(lambda: len(master.status().processes) == 3)
        assert len(list(master.map(work.square, range(2000)))) == 2000
        gate = tmp_path / "go"
        slow = master.submit(work.wait_for_file, str(gate))
        fast = [master.submit(work.square, x) for x in range(300)]
        assert [h.result(HANG) for h in fast] == [x * x for x in range(300)]
        assert not slow.done()
        gate.touch()
        assert slow.result(HANG) is True


def test_the_heart_beats_during_a_long_task(crew: Crew) -> None:
    """A worker that executes one task for many heartbeats is not taken for lost."""
    end = threading.Event()
    crew.hire({"long": lambda: end.wait(HANG)}, heartbeat=0.1)
    crew.master.request_task("long")
    number = crew.master.status().processes[-1][0]
    member = engine_of(crew.master).manager.core.members[number]
    began = member.heard

    wait_until(lambda: member.heard > began + 1.0, what="ten heartbeats")  # two and a half bounds

    assert number in engine_of(crew.master).manager.core.members
    end.set()
    assert crew.results(1) == [True]
    assert engine_of(crew.master).manager.core.tally.lost_members == 0


def test_no_heartbeat_was_promised(crew: Crew) -> None:
    """Then silence never means loss; the courier delivers all the same."""
    end = threading.Event()
    crew.hire({"long": lambda: end.wait(HANG)}, heartbeat=None)
    crew.master.request_task("long")
    wait_until(lambda: crew.master.status().running == {"long": 1})
    end.set()
    assert crew.results(1) == [True]


class Nesting(Worker):
    """Asks for tasks in tasks."""

    def do_nest(self, depth: int) -> int:
        return work.nest(depth)

    def do_sum(self, numbers: list[int]) -> int:
        if len(numbers) < 2:
            return sum(numbers)
        middle = len(numbers) // 2
        for half in (numbers[:middle], numbers[middle:]):
            self.request_task("sum", half)
        return sum(self.retrieve_result("sum")[2] for _ in range(2))

    def do_failing(self) -> str:
        self.request_task("broken")
        try:
            self.retrieve_result("broken")
        except TaskFailed as error:
            return type(error.exception).__name__
        return "nothing was raised"

    def do_broken(self) -> None:
        raise KeyError("broken")

    def do_impatient(self) -> str:
        try:
            self.retrieve_result("never", timeout=0.2)
        except TimeoutError:
            return "in time"
        return "too late"


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_tasks_that_wait_for_tasks_do_not_block_each_other(
    crew: Crew, workers: int, depth: int
) -> None:
    """Also with a single worker: who waits executes meanwhile."""
    for _ in range(workers):
        crew.hire(kind=Nesting)
    crew.master.request_task("nest", depth)

    def outer_one_is_done() -> bool:
        found = crew.master.status()
        return found.finished.get("nest") == 1 and not found.waiting and not found.running

    # Each level's result is picked up by its parent, not by the master.
    wait_until(outer_one_is_done, HANG, "the outer one")

    assert crew.results(1, "nest") == [depth]
    assert crew.master.status().submitted == depth + 1


def test_a_nested_failure_is_the_handlers_to_handle(crew: Crew) -> None:
    """It is raised inside the handler that asked for it."""
    crew.hire(kind=Nesting)
    crew.master.request_task("failing")
    assert crew.results(1, "failing") == ["KeyError"]


def test_a_nested_wait_can_be_bounded(crew: Crew) -> None:
    """A time-out inside a handler is a time-out."""
    crew.hire(kind=Nesting)
    crew.master.request_task("impatient")
    assert crew.results(1, "impatient") == ["in time"]


def test_tasks_from_a_handler_that_the_master_collects(crew: Crew) -> None:
    """A handler may ask for tasks without waiting for them."""
    crew.hire({"more": lambda n: [current_worker().request_task("leaf", i) for i in range(n)],
               "leaf": lambda i: i})  # fmt: skip
    crew.master.request_task("more", 20)

    assert crew.results(1, "more") == [[f"leaf_{i}" for i in range(1, 21)]]
    assert sorted(crew.results(20, "leaf")) == list(range(20))


def test_the_current_worker_is_one_inside_handlers_only(crew: Crew) -> None:
    """Also after workers of this process have come and gone, in any order."""
    found: list[Worker] = []
    first = crew.hire({"me": lambda: found.append(current_worker())})
    second = crew.hire({"me": lambda: found.append(current_worker())})
    for _ in range(20):
        crew.master.request_task("me")
    crew.results(20)
    assert set(found) <= {first.worker, second.worker}

    first.worker.wants_to_stop = lambda: True  # type: ignore[method-assign]
    crew.master.request_task("me")
    crew.results(1)
    crew.master.shutdown()
    for hired in (first, second):
        hired.join()
    with pytest.raises(UsageError, match="inside a handler"):
        current_worker()


def test_a_worker_that_is_cut_off_in_a_task_comes_back(crew: Crew) -> None:
    """It joins again, delivers what it has finished, and goes on; the result counts once."""
    relay = crew.relay()
    started, go, runs = threading.Event(), threading.Event(), []

    def task(x: int) -> int:
        runs.append(x)
        if x == 1:
            started.set()
            assert go.wait(HANG)
        return x

    crew.hire({"task": task}, relay=relay)
    before = crew.master.status().processes[-1][0]
    crew.master.request_task("task", 1)
    assert started.wait(HANG)

    assert relay.cut() == 1
    wait_until(lambda: len(crew.master.status().processes) == 1, what="the loss is noticed")
    go.set()
    wait_until(lambda: len(crew.master.status().processes) == 2, what="it has come back")
    crew.master.request_task("task", 2)

    assert sorted(crew.results(2)) == [1, 2]
    after = crew.master.status()
    assert after.processes[-1][0] > before
    assert (after.submitted, after.delivered) == (2, 2)
    with pytest.raises(TimeoutError):
        crew.master.retrieve_result(timeout=0.2)


def test_a_late_result_and_a_repeated_task(crew: Crew) -> None:
    """The task went on to another worker meanwhile; the first result wins, the other is dropped."""
    relay = crew.relay()
    started, go = threading.Event(), threading.Event()

    def slow() -> str:
        started.set()
        assert go.wait(HANG)
        return "the one cut off"

    first = crew.hire({"task": slow}, relay=relay)
    crew.master.request_task("task")
    assert started.wait(HANG)
    crew.hire({"task": lambda: "the other"})
    relay.cut()

    assert crew.results(1) == ["the other"]
    go.set()
    wait_until(lambda: crew.master.status().duplicates == 1, what="its result is refused")
    assert first.error is None
    with pytest.raises(TimeoutError):
        crew.master.retrieve_result(timeout=0.1)


def test_lost_requests_and_replies_of_every_kind(crew: Crew) -> None:
    """The line breaks again and again, in both directions; nothing is lost or counted twice."""
    relay = crew.relay()
    crew.hire({"task": lambda x: x}, relay=relay)
    for x in range(300):
        crew.master.request_task("task", x)
        if x % 100 == 50:
            relay.lose_reply()
        if x % 100 == 90:
            relay.lose_request()

    assert sorted(crew.results(300)) == list(range(300))
    census = crew.master.status()
    assert (census.submitted, census.delivered) == (300, 300)
    engine_of(crew.master).manager.check()


def test_the_master_that_is_gone_is_looked_for_with_a_bound(crew: Crew) -> None:
    """A worker whose master does not come back ends with a clear error."""
    relay = crew.relay()
    hired = crew.hire({"task": abs}, relay=relay, reconnect=0.5)
    began = time.monotonic()
    relay.close()
    crew._relays.remove(relay)

    ended = Background(hired.thread.join)
    ended.result(HANG)

    assert time.monotonic() - began < 15.0
    assert "gone" in str(hired.error)
