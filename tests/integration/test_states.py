"""Values that are stored once and stand in for themselves; and everything in one process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from integration import work
from masterworker import Master, StateValue, TaskFailed, Terminated, UsageError, wire
from masterworker.errors import UnpicklableError
from masterworker.master import engine_of
from support import HANG, wait_until

if TYPE_CHECKING:
    from integration.crew import Crew


def _tell(*args: Any) -> Any:
    return args


def test_a_state_value_is_its_value_wherever_it_is_nested(crew: Crew) -> None:
    """In a list, a dictionary, a tuple, an object, at any depth; several of one state."""
    crew.hire({"tell": _tell})
    state = crew.master.store_state(big=[1, 2, 3], small="s", none=None)
    big, small, none = (StateValue(state, name) for name in ("big", "small", "none"))

    crew.master.request_task("tell", big, [small, [big]], {"k": (small, {"n": none})})

    assert crew.results(1) == [([1, 2, 3], ["s", [[1, 2, 3]]], {"k": ("s", {"n": None})})]
    future = crew.master.submit(work.add, StateValue(crew.master.store_state(x=5), "x"), 1)
    assert future.result(HANG) == 6


def test_a_deleted_value_is_a_clear_error(crew: Crew) -> None:
    """Also for a worker that had fetched it before; the name is said."""
    crew.hire({"tell": _tell})
    state = crew.master.store_state(x=1)
    value = StateValue(state, "x")
    crew.master.request_task("tell", value)
    assert crew.results(1) == [(1,)]

    crew.master.delete_state(state)
    crew.master.request_task("tell", value)
    with pytest.raises(TaskFailed, match=r"state 1 has no value 'x'") as caught:
        crew.master.retrieve_result(timeout=HANG)
    assert isinstance(caught.value.exception, UsageError)
    crew.master.request_task("tell", StateValue(99, "never"))
    with pytest.raises(TaskFailed, match="state 99"):
        crew.master.retrieve_result(timeout=HANG)
    with pytest.raises(UsageError, match="no state 1"):
        crew.master.delete_state(state)

    again = crew.master.store_state(x=2)
    assert again > state
    crew.master.request_task("tell", StateValue(again, "x"))
    assert crew.results(1) == [(2,)]


def test_a_value_that_cannot_be_pickled_is_refused_at_once(crew: Crew) -> None:
    """Before anything is stored."""
    with pytest.raises((UnpicklableError, TypeError), match="lock"):
        crew.master.store_state(good=1, bad=threading.Lock())
    assert crew.master.store_state(x=1) == 1


def test_a_value_is_fetched_once_by_each_worker(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many tasks use it; and once more after a new one was stored."""
    fetched: list[str] = []
    manager = engine_of(crew.master).manager
    get = manager.get

    def counted(space: str, name: str) -> bytes | None:
        fetched.append(name)
        return get(space, name)

    monkeypatch.setattr(manager, "get", counted)
    crew.hire({"tell": _tell})
    state = crew.master.store_state(x=b"x" * 1000)
    for _ in range(50):
        crew.master.request_task("tell", StateValue(state, "x"))

    assert crew.results(50) == [(b"x" * 1000,)] * 50
    assert fetched == [f"{state}/x"]


def test_worker_processes_fetch_once_each() -> None:
    """With real processes: two of them, two fetches at most."""
    fetched: list[str] = []
    with Master(workers=2) as master:
        get = engine_of(master).manager.get

        def counted(space: str, name: str) -> bytes | None:
            if space == wire.STATES:  # not what the modules of these tests have changed
                fetched.append(name)
            return get(space, name)

        wait_until(lambda: len(master.status().processes) == 3)
        engine_of(master).manager.get = counted  # type: ignore[method-assign]
        state = master.store_state(numbers=list(range(100)))
        value = StateValue(state, "numbers")
        found = list(master.map(sum, [value] * 200))

    assert found == [4950] * 200
    assert 1 <= len(fetched) <= 2
    assert set(fetched) == {f"{state}/numbers"}


class TestSerial:
    """serial=True: tasks are executed in this process, when a result is waited for."""

    def test_everything_works_without_workers(self) -> None:
        """Calls, tags, maps, loops, states."""
        with Master(serial=True, handlers={"tell": _tell}, workers=3) as master:
            assert master.submit(work.square, 3).result() == 9
            assert list(master.map(work.square, range(5))) == [0, 1, 4, 9, 16]
            assert sorted(master.map(work.square, range(3), ordered=False)) == [0, 1, 4]
            master.request_task("tell", StateValue(master.store_state(x=5), "x"))
            assert master.retrieve_result() == ("tell_9", "tell", (5,))
            assert list(master.map("tell", [1, 2])) == [(1,), (2,)]
            futures = [master.submit(work.square, x) for x in range(3)]
            assert len(list(master.as_completed(futures))) == 3
            for x in range(3):
                master.request_task("tell", x)
            assert [r[2] for r in master.results()] == [(0,), (1,), (2,)]

    def test_it_is_this_process_and_this_thread(self) -> None:
        """So that a debugger sees everything; nothing is executed before it is waited for."""
        ran: list[int] = []
        handlers = {"note": lambda x: (ran.append(x), threading.get_ident())[1]}
        with Master(serial=True, handlers=handlers) as master:
            master.request_task("note", 1)
            assert ran == []
            assert master.retrieve_result()[2] == threading.get_ident()
            assert ran == [1]

    def test_failures_and_timeouts(self) -> None:
        """The same errors as with workers."""
        with Master(serial=True, handlers={"fail": work.fail}) as master:
            with pytest.raises(work.Plain):
                master.submit(work.fail, "Plain").result()
            master.request_task("fail", "KeyError", 1)
            with pytest.raises(TaskFailed) as caught:
                master.retrieve_result()
            assert isinstance(caught.value.__cause__, KeyError)
            for kind in ("BadText", "BadReduce", "TwoArguments", "SystemExit"):
                args = (1, "x") if kind == "TwoArguments" else ()
                assert master.submit(work.fail, kind, *args).exception() is not None
            with pytest.raises(TimeoutError):
                master.retrieve_result(timeout=0.05)
            master.request_task("unknown")
            with pytest.raises(TimeoutError, match="unknown"):
                master.retrieve_result(timeout=0.05)

    def test_the_end(self) -> None:
        """After shutdown nothing is accepted."""
        master = Master(serial=True)
        future = master.submit(work.square, 3)
        master.shutdown()
        master.shutdown()
        with pytest.raises(Terminated):
            future.result()
        with pytest.raises(Terminated):
            master.submit(work.square, 3)

    def test_nested_tasks(self) -> None:
        """A handler may ask for tasks and wait for them, as it may in a worker."""
        with Master(serial=True, handlers={"nest": work.nest}) as master:
            master.request_task("nest", 3)
            assert master.retrieve_result("nest", timeout=HANG)[2] == 3
