"""F9 to F18: each task has one outcome, the right one, and it reaches the one who asked."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from failures.jobs import (
    all_here,
    ask,
    done,
    go_on,
    here,
    join,
    memory_worker,
    observer,
    pick_up,
    plain_workers,
    real_master,
    remote,
    stop,
    value_of,
)
from masterworker import StateValue, wire
from masterworker.client import Client
from masterworker.core.departure import Blameless
from masterworker.core.task import FAILURE, Outcome
from masterworker.data.pickling import dumps
from masterworker.data.record import decode
from masterworker.errors import UsageError
from masterworker.master import engine_of
from masterworker.program import KEY
from masterworker.testing import Faults, connection
from masterworker.transport.pyro.connection import connect
from masterworker.worker import engine_of as worker_engine_of
from Scientific.DistributedComputing.MasterSlave import (
    GlobalStateValue,
    MasterProcess,
    TaskManager,
)
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from masterworker.manager import Manager


@pytest.fixture
def twice(manager: Manager) -> tuple[int, int, Any, Any]:
    """A task that a zombie and a healthy worker have in hand: both, and both leases."""
    zombie = join(manager)
    ask(manager, "t")
    old = manager.exchange(wire.Exchange(zombie, want=1)).leases[0]
    manager.lost(zombie, "silent", blame=False)
    healthy = join(manager)
    new = manager.exchange(wire.Exchange(healthy, want=1)).leases[0]
    assert (old.task_id, old.attempt, new.task_id, new.attempt) == (1, 1, 1, 2)
    return zombie, healthy, old, new


# -- F9 to F11: two outcomes of one task ----------------------------------------------------------


@pytest.mark.parametrize("zombie_first", [True, False])
def test_f09_first_accepted_outcome_is_the_only_one(
    manager: Manager, twice: tuple[int, int, Any, Any], zombie_first: bool
) -> None:
    """The late result of a worker taken for dead could replace the one that was accepted."""
    zombie, healthy, old, new = twice
    client = observer(manager)
    reports = [(zombie, done(old, "from the zombie")), (healthy, done(new, "from the other"))]
    first, second = reports if zombie_first else reversed(reports)
    assert manager.exchange(wire.Exchange(first[0], [first[1]])).refused == []
    assert manager.exchange(wire.Exchange(second[0], [second[1]])).refused == [1]
    assert pick_up(manager, client).payload == first[1].payload
    assert manager.exchange(wire.Exchange(second[0], [second[1]])).refused == [1]
    assert manager.collect(client) == ([], [])


def test_f09_late_failure_does_not_spoil_a_running_attempt(
    manager: Manager, twice: tuple[int, int, Any, Any]
) -> None:
    """A zombie that fails, perhaps because it is one, could fail a task that is going well."""
    zombie, healthy, old, new = twice
    failure = Outcome(old.task_id, old.attempt, FAILURE, [b""])
    assert manager.exchange(wire.Exchange(zombie, [failure])).refused == [1]
    assert manager.exchange(wire.Exchange(healthy, [done(new, "well")])).refused == []
    assert value_of(pick_up(manager, observer(manager))) == "well"


def test_f10_second_result_is_answered_at_once(
    manager: Manager, twice: tuple[int, int, Any, Any]
) -> None:
    """Whoever reports second could wait for ever, and never work again."""
    zombie, healthy, old, new = twice
    manager.exchange(wire.Exchange(zombie, [done(old, "first")]))
    ask(manager, "t")
    reply = manager.exchange(wire.Exchange(healthy, [done(new, "second")], want=1))
    assert reply.refused == [1]
    assert [lease.task_id for lease in reply.leases] == [2]
    assert manager.census().duplicates == 1
    facade = TaskManager(manager)
    assert facade.storeResult("t_0", "third") is False
    assert facade.storeException("t_0", ValueError(), "") is False


def test_f11_late_result_of_a_waiting_task_is_taken(manager: Manager) -> None:
    """A good result could be thrown away because its task waits to be executed again."""
    zombie = join(manager)
    ask(manager, "t")
    lease = manager.exchange(wire.Exchange(zombie, want=1)).leases[0]
    manager.lost(zombie, "silent", blame=False)
    assert manager.census().waiting == {"t": 1}
    reply = manager.exchange(wire.Exchange(zombie, [done(lease, "late")], want=1))
    assert reply.refused == []
    assert reply.orders == [(wire.REJOIN, 0)]
    assert manager.census().waiting == {}
    assert manager.exchange(wire.Exchange(join(manager), want=1)).leases == []
    assert value_of(pick_up(manager, observer(manager))) == "late"


def test_f11_real_worker_that_slept_through_its_task_delivers_it(tmp_path: Path) -> None:
    """A suspended worker could be dropped with a result in its hands, and the result with it."""
    with (
        real_master() as master,
        plain_workers(tmp_path, master.label, heartbeat=0.1) as workers,
    ):
        all_here(master, workers)
        master.request_task("gate", str(tmp_path), 1)
        wait_until((tmp_path / "began1").exists, HANG)
        stop(workers[0])
        wait_until(lambda: not here(master), what="its silence is noticed")
        (tmp_path / "open").touch()
        go_on(workers[0])
        assert master.retrieve_result(timeout=HANG) == ("gate_0", "gate", 1)
        all_here(master, workers)
        tally = engine_of(master).manager.core.tally
        assert (tally.requeued, tally.results, tally.given_up) == (1, 1, 0)


# -- F12 to F15, F17: stored values ---------------------------------------------------------------


def test_f12_every_state_has_an_id_of_its_own() -> None:
    """Two states could get one id, and tasks of the second the values of the first."""
    master = MasterProcess(unique_label("states"))
    try:
        assert [master.setGlobalState(x=n) for n in range(3)] == [1, 2, 3]
        master.deleteGlobalState(3)
        assert master.setGlobalState(x=3) == 4
        link = Client(lambda: connect(master.pyro_daemon.address, master.label))
        values = [link.get(wire.STATES, f"{n}/x") for n in range(1, 5)]
        assert values == [dumps(0), dumps(1), None, dumps(3)]
        link.disconnect()
    finally:
        master.shutdown()


def test_f12_worker_that_used_one_state_sees_the_other(manager: Manager) -> None:
    """A worker could go on using the value of an older state."""
    with memory_worker(manager, {"same": lambda x: x}):
        client = observer(manager)
        for value in "abc":
            state = manager.put_state({"x": dumps(value)})
            ask(manager, "same", StateValue(state, "x"))
            assert value_of(pick_up(manager, client)) == value


def assert_refused(finished: Any) -> None:
    assert finished.kind == FAILURE, finished
    assert "never stored, or deleted" in decode(finished.payload).message


def test_f13_deleted_state_is_not_used_from_a_copy(manager: Manager) -> None:
    """A worker could use its copy of a value that has been deleted: a wrong answer, silently."""
    with memory_worker(manager, {"same": lambda x: x}):
        client = observer(manager)
        state = manager.put_state({"x": dumps("old")})
        ask(manager, "same", StateValue(state, "x"))
        assert value_of(pick_up(manager, client)) == "old"
        manager.drop_state(state)
        ask(manager, "same", StateValue(state, "x"))
        assert_refused(pick_up(manager, client))


def test_f13_state_deleted_while_a_worker_was_away_is_forgotten(manager: Manager) -> None:
    """A worker that was taken for dead could miss the deletion, and keep its old copy."""
    with memory_worker(manager, {"same": lambda x: x}) as worker:
        client = observer(manager)
        state = manager.put_state({"x": dumps("old")})
        ask(manager, "same", StateValue(state, "x"))
        assert value_of(pick_up(manager, client)) == "old"
        before = worker_engine_of(worker).process_id
        with manager.guard:
            effects = manager.core.on_departed(before, Blameless("silent"), 0.0)
        manager.drop_state(state)
        with manager.guard as machine:
            machine.apply(effects, 0.0)  # only now can it notice
        wait_until(lambda: worker_engine_of(worker).process_id != before, what="it joins again")
        ask(manager, "same", StateValue(state, "x"))
        assert_refused(pick_up(manager, client))


def test_f13_order_to_forget_survives_a_lost_reply(manager: Manager) -> None:
    """The word that a state is deleted could be lost on the way, and the old copy stay."""
    faults = Faults()
    with memory_worker(manager, {"same": lambda x: x}, faults):
        client = observer(manager)
        state = manager.put_state({"x": dumps("old")})
        ask(manager, "same", StateValue(state, "x"))
        assert value_of(pick_up(manager, client)) == "old"
        wait_until(lambda: list(manager.core.waiting.claims), what="it waits for work")
        manager.drop_state(state)
        faults.lose_reply["exchange"] = 1
        ask(manager, "same", StateValue(state, "x"))
        assert_refused(pick_up(manager, client))


def test_f14_deleting_a_state_twice_is_an_error_and_no_more() -> None:
    """A second deletion could lock the master."""
    master = MasterProcess(unique_label("delete"))
    try:
        state = master.setGlobalState(x=1)
        master.deleteGlobalState(state)
        assert master.global_states == {}
        for _ in range(2):
            with pytest.raises(UsageError, match=f"no state {state}"):
                master.deleteGlobalState(state)
        assert master.setGlobalState(x=2) == state + 1
        assert master.requestTask("t") == "t_0"
    finally:
        master.shutdown()


def test_f15_state_values_are_found_however_deep_they_are(manager: Manager) -> None:
    """A placeholder inside a list or dictionary could reach the handler as a placeholder."""
    with memory_worker(manager, {"same": lambda *x: x}):
        state = manager.put_state({"x": dumps([1, 2])})
        mark = GlobalStateValue(state, "x")
        ask(manager, "same", mark, [mark, {"k": (mark, {"d": [mark]})}])
        found = value_of(pick_up(manager, observer(manager)))
        assert found == ([1, 2], [[1, 2], {"k": ([1, 2], {"d": [[1, 2]]})}])


def test_f17_names_of_users_do_not_touch_our_own() -> None:
    """A user's data called like one of ours could replace the code that slaves execute."""
    master = MasterProcess(unique_label("names"))
    try:
        facade, manager = master.task_manager, master._MasterProcess__parts.job.manager
        manager.put(wire.PROGRAM, KEY, b"the program")
        names = (KEY, "1/x", wire.PROGRAM)
        facade.storeData(**dict.fromkeys(names, "mine"))
        state = master.setGlobalState(**dict.fromkeys(("slave_code", "cwd", KEY), "state's"))
        assert manager.get(wire.PROGRAM, KEY) == b"the program"
        assert [facade.retrieveData(name) for name in names] == ["mine"] * 3
        facade.deleteData(KEY)
        master.deleteGlobalState(state)
        assert manager.get(wire.PROGRAM, KEY) == b"the program"
        assert facade.retrieveData("1/x") == "mine"
    finally:
        master.shutdown()


# -- F16 ----------------------------------------------------------------------------------------


def settled(manager: Manager, *values: str) -> None:
    worker = join(manager)
    for value in values:
        ask(manager, "t")
        manager.exchange(
            wire.Exchange(
                worker, [done(manager.exchange(wire.Exchange(worker, want=1)).leases[0], value)]
            )
        )


def test_f16_result_survives_the_loss_of_its_reply(manager: Manager) -> None:
    """A result could be destroyed before the one who fetches it has it."""
    settled(manager, "first", "second")
    faults = Faults(lose_reply={"collect": 1})
    client = Client(lambda: connection(manager, faults))
    me = observer(manager)
    assert [value_of(f) for f in client.collect(me)[0]] == ["first"]
    assert faults.lose_reply == {"collect": 0}
    assert [value_of(f) for f in client.collect(me)[0]] == ["second"]
    assert manager.census().delivered == 2


def test_f16_repeated_fetch_gets_the_same_result_over_pyro() -> None:
    """The same request, sent again over a new connection, could get the next result."""
    with real_master() as master, remote(master) as first, remote(master) as second:
        settled(engine_of(master).manager, "one", "two")
        me = observer(engine_of(master).manager)
        call = ("collect", "a client", 1, me, None, 1, 0.0, 0)
        reply = first.call(*call)
        first.disconnect()
        assert second.call(*call) == reply
        assert second.call("collect", "a client", 2, *call[3:]) != reply
        for number, _, _ in master.status().processes:
            engine_of(master).manager.leave(number)


def test_f16_result_of_a_client_that_vanished_goes_to_the_next(manager: Manager) -> None:
    """What was on its way to a client that died could be lost for everybody."""
    manager.machine.calls.comes_back_within = 0.0
    settled(manager, "precious")
    vanishing = connection(manager)
    vanishing.call("collect", "gone", 1, observer(manager), None, 1, 0.0, 0)
    assert manager.census().delivered == 1
    vanishing.close()
    assert value_of(pick_up(manager, observer(manager))) == "precious"


def test_f16_request_whose_reply_was_lost_is_not_carried_out_twice(manager: Manager) -> None:
    """A request for a task, sent again because its answer was lost, could make two tasks."""
    faults = Faults(lose_reply={"request": 1})
    client = Client(lambda: connection(manager, faults))
    assert client.request("t", [b""]) == 1
    assert client.request("t", [b""]) == 2
    assert manager.census().submitted == 2


# -- F18 ----------------------------------------------------------------------------------------


def test_f18_counts_add_up_at_every_instant(manager: Manager) -> None:
    """A task on its way from one list to the next could be missing in the counts.

    Two thousand looks in place of a hundred thousand, to save time.
    """
    total = 3_000
    stopped = threading.Event()

    def work() -> None:
        me = join(manager)
        while not stopped.is_set():
            leases = manager.exchange(wire.Exchange(me, want=3)).leases
            manager.exchange(wire.Exchange(me, [done(lease, 0) for lease in leases[1:]]))
            manager.exchange(wire.Exchange(me, returned=[lease.task_id for lease in leases[:1]]))

    def request() -> None:
        for _ in range(total // 3):
            manager.request("t", [b""] * 3)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    asking = threading.Thread(target=request, daemon=True)
    for thread in (*workers, asking):
        thread.start()
    client = observer(manager)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads get in each other's way as often as can be
    try:
        for _ in range(2_000):
            found = manager.census()
            parts = (found.waiting, found.running, found.finished)
            there = sum(sum(part.values()) for part in parts)
            assert there + found.delivered == found.submitted, found
            manager.collect(client)
    finally:
        sys.setswitchinterval(interval)
        stopped.set()
        for thread in (*workers, asking):
            thread.join(HANG)
    assert manager.core.tally.results > 0
