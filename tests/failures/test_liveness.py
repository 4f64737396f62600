"""F19 to F24: losses are noticed soon, and only where there are any; the end has a bound."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from failures.jobs import (
    all_here,
    ask,
    ended,
    gone,
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
from masterworker import wire
from masterworker.client import Client
from masterworker.core.liveness import TICK
from masterworker.core.member import MISSED_HEARTBEATS
from masterworker.core.scheduler import Scheduler
from masterworker.errors import TransportError
from masterworker.manager import Manager
from masterworker.master import engine_of
from masterworker.testing import Faults, connection
from masterworker.worker import HEARTBEAT
from masterworker.worker import engine_of as worker_engine_of
from Scientific.DistributedComputing.MasterSlave import MasterProcess, SlaveProcess
from support import HANG, python_script, run_script, unique_label, wait_until

if TYPE_CHECKING:
    from pathlib import Path


# -- F19: detection -----------------------------------------------------------------------------


def test_f19_closed_connection_is_a_loss_at_once(manager: Manager) -> None:
    """A worker that is plainly dead could be waited for through all its heartbeats.

    The clock of this job stands still, so only the closed connection can tell.
    """
    link = connection(manager)
    worker = Client(lambda: link)
    me = join(worker)
    ask(manager, "t")
    assert worker.exchange(wire.Exchange(me, want=1)).leases
    assert manager.census().waiting == {}
    link.close()
    assert manager.census().waiting == {"t": 1}
    assert not manager.ping(me)


def wait_for_work(client: Client, me: int) -> None:
    with pytest.raises(TransportError):
        client.exchange(wire.Exchange(me, want=1, wait=60.0))


def test_f19_end_of_an_idle_worker_is_noticed_while_it_is_kept_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the master keeps a worker waiting for work, nobody could notice that it has ended."""
    monkeypatch.setattr(wire, "LONGEST_WAIT", 60.0)
    with real_master() as master, remote(master) as client:
        me = join(client)
        waiting = threading.Thread(target=wait_for_work, args=(client, me), daemon=True)
        waiting.start()
        wait_until(
            lambda: list(engine_of(master).manager.core.waiting.claims), what="it waits for work"
        )
        assert client._connection is not None
        client._connection.close()
        wait_until(lambda: not engine_of(master).manager.ping(me), 20.0, "its end is noticed")
        waiting.join(HANG)
        assert not waiting.is_alive()


def test_f19_killed_worker_is_noticed_without_any_heartbeat(tmp_path: Path) -> None:
    """A worker without heartbeats that is killed at work could keep its task for ever."""
    with (
        real_master() as master,
        plain_workers(tmp_path, master.label, heartbeat=0) as [victim],
    ):
        all_here(master, [victim])
        master.request_task("gate", str(tmp_path), 1)
        wait_until((tmp_path / "began1").exists, HANG)
        with plain_workers(tmp_path, master.label, heartbeat=0) as [other]:
            all_here(master, [other])
            victim.kill()
            wait_until(lambda: here(master) == {other.pid}, what="the loss is noticed")
            (tmp_path / "open").touch()
            assert master.retrieve_result(timeout=HANG)[2] == 1
            assert engine_of(master).manager.core.tally.lost_members == 1


@pytest.mark.parametrize("heartbeat", [0.1, 1.0, HEARTBEAT, 120.0])
def test_f19_silence_is_noticed_within_its_bound(heartbeat: float) -> None:
    """A silent worker could stay on the books for many minutes."""
    core = Scheduler()
    worker, now = core.on_joined("w", None, heartbeat, 0.0), 0.0
    while worker in core.members:
        due = core.next_deadline()
        assert due is not None
        now = max(due, now)
        core.on_tick(now)
    assert MISSED_HEARTBEATS * heartbeat <= now < MISSED_HEARTBEATS * heartbeat + TICK


def test_f19_idle_worker_with_a_short_heartbeat_is_not_lost() -> None:
    """A healthy worker that waits for work could be taken for dead, again and again."""
    manager = Manager()
    with memory_worker(manager, {}, heartbeat=0.3) as worker:
        wait_until(lambda: list(manager.core.waiting.claims), what="it waits for work")
        me = worker_engine_of(worker).process_id
        threading.Event().wait(0.3 * (MISSED_HEARTBEATS + 2))
        assert manager.core.tally.lost_members == 0
        assert worker_engine_of(worker).process_id == me


def test_f19_default_of_a_slave_is_seconds() -> None:
    """The published default, 120 s, could be taken for the time between heartbeats."""
    master = MasterProcess(unique_label("default"))
    try:
        for period, beat in ((120.0, HEARTBEAT), (0.5, 0.5), (None, HEARTBEAT)):
            slave = SlaveProcess(master.label, watchdog_period=period)
            assert slave._SlaveProcess__engine.talk.session.heartbeat == beat
            assert slave._SlaveProcess__engine.talk.hello().heartbeat == (
                None if period is None else beat
            )
            slave._SlaveProcess__engine.client.disconnect()
        assert MISSED_HEARTBEATS * HEARTBEAT <= 20.0
    finally:
        master.shutdown()


# -- F20: clocks --------------------------------------------------------------------------------

CLOCKS = """
import sys, time

true_time, readers, looks = time.time, [], 0

def jumping():
    global looks
    looks += 1
    name = str(sys._getframe(1).f_globals.get("__name__"))
    # A worker notes when it began, to compare that with times of files: these have the same clock.
    if name.startswith(("masterworker", "Scientific")) and not name.endswith(".session_shell"):
        readers.append(name)
    return true_time() + (3600.0, -3600.0, 0.0)[looks % 3]

time.time = jumping

import threading
from masterworker import Master, Worker, wire
from masterworker.master import engine_of

wire.LONGEST_WAIT = 0.05  # so that signs of life come often
with Master(sys.argv[1]) as master:
    for _ in range(2):
        worker = Worker(master.label, handlers={"same": lambda x: x}, heartbeat=0.25)
        threading.Thread(target=worker.run, daemon=True).start()
    for n in range(200):
        master.request_task("same", n)
        assert master.retrieve_result(timeout=30)[2] == n
    threading.Event().wait(1.5)  # longer than four heartbeats, and nothing else to do
    tally = engine_of(master).manager.core.tally
    print(len(master.status().processes), tally.lost_members, tally.requeued, readers)
    time.time()
    assert looks
"""


def test_f20_steps_of_the_wall_clock_change_nothing(tmp_path: Path) -> None:
    """When somebody sets the clock, all healthy workers could be dropped, or dead ones kept.

    Here the clock is an hour off in turn, forward and back, each time somebody looks at it.
    """
    ran = run_script(python_script(tmp_path, "clocks.py", CLOCKS), unique_label("clocks"))
    assert ran.out == "3 0 0 []\n", ran.told


# -- F21, F22: who is registered ------------------------------------------------------------------


def test_f21_dropped_worker_learns_it_from_its_next_heartbeat(manager: Manager) -> None:
    """A worker that was dropped by mistake could go on for ever without being one."""
    began, go_on = threading.Event(), threading.Event()

    def long() -> str:
        began.set()
        assert go_on.wait(HANG)
        return "done"

    with memory_worker(manager, {"long": long}, heartbeat=0.05) as worker:
        ask(manager, "long")
        assert began.wait(HANG)
        before = worker_engine_of(worker).process_id
        manager.lost(before, "by mistake", blame=False)
        assert not manager.ping(before)
        wait_until(lambda: worker_engine_of(worker).process_id != before, what="it is back")
        assert manager.ping(worker_engine_of(worker).process_id)
        go_on.set()
        assert value_of(pick_up(manager, observer(manager))) == "done"
        assert manager.core.tally.duplicates == 0


def test_f21_one_failed_heartbeat_does_not_end_them_all(manager: Manager) -> None:
    """After one heartbeat that did not get through, the worker could send none any more."""
    began, go_on = threading.Event(), threading.Event()
    faults = Faults()

    def long() -> str:
        began.set()
        assert go_on.wait(HANG)
        return "done"

    with memory_worker(manager, {"long": long}, faults, heartbeat=0.05) as worker:
        for _ in range(3):
            ask(manager, "long")
            assert began.wait(HANG)
            before = worker_engine_of(worker).process_id
            faults.lose_request["exchange"] = 1
            wait_until(lambda b=before: worker_engine_of(worker).process_id != b, what="it is back")
            go_on.set()
            assert value_of(pick_up(manager, observer(manager))) == "done"
            began.clear()
            go_on.clear()


def test_f22_all_of_many_that_join_at_once_are_watched() -> None:
    """Two that join at the same moment could get a watch each, one of which nobody keeps."""
    manager = Manager()
    before, gate = set(threading.enumerate()), threading.Barrier(200)

    def enter() -> None:
        gate.wait(HANG)
        manager.join(wire.introduce("w", None, 0.05, f"{threading.get_ident()}"))

    try:
        threads = [threading.Thread(target=enter, daemon=True) for _ in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG)
        watching = {t for t in threading.enumerate() if "timekeeper" in t.name} - before
        assert len(watching) == 1
        wait_until(lambda: manager.core.tally.lost_members == 200, what="their silence is noticed")
        assert manager.census().processes == []
    finally:
        manager.terminate()


# -- F23, F24: the end --------------------------------------------------------------------------


def test_f23_shutdown_does_not_wait_for_the_dead(tmp_path: Path) -> None:
    """Shutdown could wait for ever for slaves that are stopped, killed, or stopped elsewhere."""
    with real_master() as master, plain_workers(tmp_path, master.label, 2, heartbeat=0) as plain:
        master.launch_workers(2, wait=True)
        all_here(master, plain)
        launched = sorted(here(master) - {script.pid for script in plain})
        assert len(launched) == 2
        os.kill(launched[0], signal.SIGKILL)
        os.kill(launched[1], signal.SIGSTOP)
        plain[0].kill()
        stop(plain[1])
        began = time.monotonic()
        master.shutdown(grace=0.5)
        assert time.monotonic() - began < HANG  # half a second, and one to kill
        assert all(gone(pid) for pid in launched)
        with ended(*plain):
            assert plain[1].process.poll() is None  # not ours to kill


def test_f24_end_of_a_job_does_not_execute_what_waits(manager: Manager) -> None:
    """Before its slaves stop, a job that is to end could first execute all that is queued."""
    began, go_on = threading.Event(), threading.Event()
    executed = []

    def work(number: int) -> None:
        executed.append(number)
        began.set()
        assert go_on.wait(HANG)

    with memory_worker(manager, {"work": work}):
        ask(manager, "work", 0)
        assert began.wait(HANG)
        ask(manager, "work", 1)
        manager.request("work", [b""] * 99_999)
        manager.terminate()
        go_on.set()
    assert executed == [0]
    found = manager.census()
    assert found.waiting == {"work": 100_000}  # how many were not run
    assert found.processes == []


def test_f24_shutdown_with_a_long_queue_and_a_busy_worker_returns(tmp_path: Path) -> None:
    """A master with a long queue could be impossible to stop."""
    with (
        real_master() as master,
        plain_workers(tmp_path, master.label, reconnect=0.1) as workers,
    ):
        all_here(master, workers)
        master.request_task("gate", str(tmp_path), 1)
        wait_until((tmp_path / "began1").exists, HANG)
        engine_of(master).manager.request("echo", [b""] * 100_000)
        began = time.monotonic()
        master.shutdown(grace=0.2)
        assert time.monotonic() - began < HANG
        assert master.status().waiting["echo"] == 100_000
