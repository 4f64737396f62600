"""Tasks by tag, for workers with handlers: requests, results, what is stranded."""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING, Any

import pytest

from contract.nets import Background
from masterworker import TaskFailed, Terminated, Worker
from masterworker.master import Master, engine_of, waiting
from support import HANG, wait_until

if TYPE_CHECKING:
    from integration.crew import Crew


class Calculator(Worker):
    """A worker in the form of a class."""

    def do_sqrt(self, x: float) -> float:
        return math.sqrt(x)

    def do_sum(self, *numbers: float) -> float:
        return sum(numbers)


def test_a_worker_class(crew: Crew) -> None:
    """Methods named do_<tag> execute the tasks of that tag."""
    crew.hire(kind=Calculator)
    assert crew.master.request_task("sqrt", 9.0) == "sqrt_0"
    assert crew.master.request_task("sum", 1, 2, 3) == "sum_1"

    found = [crew.master.retrieve_result(timeout=HANG) for _ in range(2)]

    assert found == [("sqrt_0", "sqrt", 3.0), ("sum_1", "sum", 6)]


def test_results_until_none_is_outstanding(crew: Crew) -> None:
    """The loop ends by itself, also when there was nothing."""
    crew.hire({"square": lambda x: x * x})
    assert list(crew.master.results()) == []
    for x in range(50):
        crew.master.request_task("square", x)

    found = list(crew.master.results())

    assert sorted(value for _, _, value in found) == [x * x for x in range(50)]
    assert {tag for _, tag, _ in found} == {"square"}
    assert len({task_id for task_id, _, _ in found}) == 50


def test_results_of_one_tag(crew: Crew) -> None:
    """The other ones stay where they are."""
    crew.hire(kind=Calculator)
    for x in range(10):
        crew.master.request_task("sqrt", x * x)
        crew.master.request_task("sum", x)

    assert [r[2] for r in crew.master.results("sqrt")] == [float(x) for x in range(10)]
    assert crew.master.retrieve_result("sum", timeout=HANG)[1] == "sum"
    assert len(list(crew.master.results())) == 9


def test_a_loop_that_asks_for_more(crew: Crew) -> None:
    """Results may lead to further requests within the loop."""
    crew.hire({"halve": lambda x: x // 2})
    crew.master.request_task("halve", 1000)

    seen = []
    for _, _, value in crew.master.results():
        seen.append(value)
        if value:
            crew.master.request_task("halve", value)

    assert seen == [500, 250, 125, 62, 31, 15, 7, 3, 1, 0]


def test_failures_among_results(crew: Crew) -> None:
    """Raised where they come, or given in place of the result; the others come anyway."""
    crew.hire(kind=Calculator)
    for x in (4, -1, 9, -1, 16):
        crew.master.request_task("sqrt", x)
    results = crew.master.results()
    assert next(results)[2] == 2.0
    with pytest.raises(TaskFailed) as caught:
        next(results)
    assert caught.value.task_id == "sqrt_1"
    assert isinstance(caught.value.__cause__, ValueError)
    assert "do_sqrt" in caught.value.traceback
    assert next(results)[2] == 3.0

    rest = list(crew.master.results(return_errors=True))

    assert [task_id for task_id, _, _ in rest] == ["sqrt_3", "sqrt_4"]
    assert isinstance(rest[0][2], TaskFailed)
    assert rest[1][2] == 4.0


def test_map_over_a_tag(crew: Crew) -> None:
    """A tag in place of a function; its results do not mix with those of requests."""
    crew.hire(kind=Calculator)
    crew.master.request_task("sum", 5)

    assert list(crew.master.map("sqrt", [1, 4, 9])) == [1.0, 2.0, 3.0]
    assert sorted(crew.master.map("sum", [1, 2], [10, 20], ordered=False)) == [11, 22]
    assert crew.results(1) == [5]


def test_a_tag_that_nobody_executes_waits(crew: Crew) -> None:
    """The status names it; as soon as somebody is there who can, it is executed."""
    crew.hire({"known": abs})
    crew.master.request_task("unknown", -1)
    crew.master.request_task("known", -2)

    assert crew.results(1) == [2]
    with pytest.raises(TimeoutError, match=r"the only worker cannot execute 'unknown'"):
        crew.master.retrieve_result(timeout=0.1)
    assert crew.master.status().stranded == ["unknown"]
    assert crew.master.status().waiting == {"unknown": 1}

    crew.hire({"unknown": abs})
    assert crew.results(1, "unknown") == [1]
    assert crew.master.status().stranded == []


def test_timeouts_say_what_the_matter_is(crew: Crew) -> None:
    """No task, no worker, or nothing yet."""
    with pytest.raises(TimeoutError, match="no task is outstanding"):
        crew.master.retrieve_result(timeout=0.05)
    with pytest.raises(TimeoutError, match=r"no task of tag 'x' is outstanding"):
        crew.master.retrieve_result("x", timeout=0)
    crew.master.request_task("x")
    with pytest.raises(TimeoutError, match="no workers"):
        crew.master.retrieve_result(timeout=-1)


def test_a_long_wait_is_explained_once(
    crew: Crew, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait that gets nowhere tells why in the log."""
    monkeypatch.setattr(waiting, "NOTICE_AFTER", 0.1)
    monkeypatch.setattr("masterworker.wire.LONGEST_WAIT", 0.1)
    crew.master.request_task("nobody")

    with (
        caplog.at_level(logging.WARNING, "masterworker"),
        pytest.raises(TimeoutError),
    ):
        crew.master.retrieve_result(timeout=1.0)

    told = [r.getMessage() for r in caplog.records if "waiting for a result" in r.getMessage()]
    assert len(told) == 1
    assert "nobody" in told[0]


def test_many_threads_of_one_master(crew: Crew) -> None:
    """Each outcome comes to one thread only, and none is lost."""
    for _ in range(2):
        crew.hire({"square": lambda x: x * x})
    number = 400

    def ask(start: int) -> None:
        for x in range(start, number, 4):
            crew.master.request_task("square", x)

    def take() -> list[Any]:
        return [crew.master.retrieve_result(timeout=HANG)[2] for _ in range(number // 4)]

    takers = [Background(take) for _ in range(4)]
    askers = [Background(lambda s=s: ask(s)) for s in range(4)]
    for asker in askers:
        asker.result()

    found = [value for taker in takers for value in taker.result()]
    assert sorted(found) == sorted(x * x for x in range(number))


def test_the_end_reaches_every_waiting_thread(crew: Crew) -> None:
    """Threads that wait for a result, a future, or a loop are told that the job is over."""
    master = crew.master
    master.request_task("nobody")
    future = master.submit(abs, -1)
    waits = [
        Background(master.retrieve_result),
        Background(lambda: master.retrieve_result("nobody", timeout=60)),
        Background(future.result),
        Background(lambda: next(iter(master.as_completed([future])))),
        Background(lambda: list(master.map("nobody", [1, 2]))),
        Background(lambda: list(master.map("nobody", [1, 2], ordered=False))),
    ]
    wait_until(lambda: len(list(engine_of(master).manager.core.results.claims)) == 2)
    wait_until(lambda: len(engine_of(master).router.sleepers) == 4)

    master.shutdown()

    for wait in waits:
        with pytest.raises(Terminated):
            wait.result(10.0)
    for call in (
        lambda: master.request_task("x"),
        lambda: master.submit(abs, 1),
        lambda: list(master.map(abs, [1])),
        master.retrieve_result,
        future.result,
    ):
        with pytest.raises(Terminated):
            call()


def test_a_loop_that_the_end_cuts_short_says_so(crew: Crew) -> None:
    """It does not look like one that has seen all results."""
    crew.master.request_task("nobody")
    loop = Background(lambda: list(crew.master.results()))
    wait_until(lambda: len(list(engine_of(crew.master).manager.core.results.claims)) == 1)

    crew.master.shutdown()

    with pytest.raises(Terminated):
        loop.result(10.0)


def test_two_loops_share_the_results_and_both_end(crew: Crew) -> None:
    """When one has taken the last result, the other one does not wait for ever."""
    go = threading.Event()
    crew.hire({"gate": lambda x: go.wait(HANG) and x})
    for x in range(21):
        crew.master.request_task("gate", x)
    loops = [Background(lambda: list(crew.master.results())) for _ in range(3)]
    wait_until(lambda: len(list(engine_of(crew.master).manager.core.results.claims)) == 3)
    go.set()

    found = [value for loop in loops for _, _, value in loop.result(12.0)]

    assert sorted(found) == list(range(21))


def test_a_worker_that_wants_to_stop_leaves_in_good_order(crew: Crew) -> None:
    """It ends between two tasks; what it had in hand goes on to the next worker."""
    stop = threading.Event()

    class Leaving(Worker):
        def do_count(self, x: int) -> int:
            if x == 30:
                stop.set()
            return x

        def wants_to_stop(self) -> bool:
            return stop.is_set()

    for x in range(200):
        crew.master.request_task("count", x)
    leaving = crew.hire(kind=Leaving)
    leaving.join()
    wait_until(lambda: len(crew.master.status().processes) == 1, what="it has signed off")
    census = crew.master.status()
    assert census.running == {}
    assert engine_of(crew.master).manager.core.tally.lost_members == 0
    stop.clear()

    done = census.finished["count"]
    assert done == 31
    crew.hire({"count": lambda x: x})
    assert crew.results(200) == list(range(200))
    engine_of(crew.master).manager.check()


def test_two_masters_side_by_side(crew: Crew) -> None:
    """One process may have several jobs, with workers of each; they do not meet."""
    crew.hire({"who": lambda: "first"})
    with Master() as other:
        assert other.label != crew.label
        worker = Worker(other.label, handlers={"who": lambda: "second"})
        running = Background(worker.run)
        for master in (crew.master, other):
            for _ in range(10):
                master.request_task("who")
        assert {other.retrieve_result(timeout=HANG)[2] for _ in range(10)} == {"second"}
        assert set(crew.results(10)) == {"first"}
        other.shutdown()
        running.result()
    crew.master.request_task("who")
    assert crew.results(1) == ["first"]
