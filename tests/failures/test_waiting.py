"""F25 to F30: programs end, places and names are found or refused, and every wait has a bound."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

import Pyro5
import pytest

from failures.jobs import (
    all_here,
    ask,
    ended,
    gone,
    join,
    plain_workers,
    real_master,
    stop,
)
from masterworker import wire
from masterworker.client import Client
from masterworker.data.pickling import dumps_call
from masterworker.errors import LabelTakenError, Terminated, TransportError
from masterworker.manager import Mailbox, Manager
from masterworker.master import Master, engine_of, waiting
from masterworker.transport.discovery import reach
from Scientific.DistributedComputing.MasterSlave import MasterProcess, SlaveProcess
from support import (
    HANG,
    python_script,
    run_script,
    start_script,
    unique_label,
    wait_until,
    workers_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


# -- F25: programs that never call shutdown -------------------------------------------------------

SLAVE = """
from Scientific.DistributedComputing.MasterSlave import startSlaveProcess
def do_echo(value):
    return value
startSlaveProcess()
"""

NO_SHUTDOWN = """
import psutil, sys
from Scientific.DistributedComputing.MasterSlave import initializeMasterProcess
master = initializeMasterProcess(sys.argv[1], slave_script=sys.argv[2])
master.launchSlaveJobs(2)
for n in range(4):
    master.requestTask("echo", n)
print(sum(master.retrieveResult()[2] for n in range(4)), flush=True)
workers = [c for c in psutil.Process().children() if "--supervised" in str(c.cmdline())]
print(*[worker.pid for worker in workers], flush=True)
if sys.argv[3] == "raise":
    raise ValueError("a bug of the user's")
"""


@pytest.mark.parametrize(("how", "status"), [("end", 0), ("raise", 1)])
def test_f25_script_without_shutdown_ends_by_itself(tmp_path: Path, how: str, status: int) -> None:
    """A script that just ends could hang for ever in its own task manager."""
    slave = python_script(tmp_path, "slave.py", SLAVE)
    path = python_script(tmp_path, "master.py", NO_SHUTDOWN)
    ran = run_script(path, unique_label("ends"), str(slave), how, status=status)
    total, pids = ran.out.splitlines()
    assert total == "6"
    wait_until(lambda: all(gone(int(pid)) for pid in pids.split()), what="its slaves end")


# -- F26, F27: places and names -------------------------------------------------------------------


def test_f26_port_in_use_is_an_error_at_once() -> None:
    """A master whose port is taken could wait for itself for ever, at full speed."""
    label = unique_label("port")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TransportError, match=f"port {port}: Address already in use"):
            Master(label, ports=[port])
    Master(label, ports=[port]).shutdown()  # neither port nor label is kept


def test_f26_next_port_is_taken_where_a_range_is_given() -> None:
    """A master could insist on a port that another job has."""
    with real_master() as first:
        assert engine_of(first).server is not None
        taken = engine_of(first).server.port
        with real_master(ports=[taken, 0]) as second:
            assert engine_of(second).server is not None
            assert engine_of(second).server.port not in {0, taken}


@pytest.mark.parametrize("deaf", [False, True])
def test_f26_job_goes_on_without_a_name_server(
    deaf: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No name server, or one that accepts calls and never answers, could stop the master."""
    monkeypatch.setattr("masterworker.transport.pyro.names.TIMEOUT", 0.2)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        if deaf:
            mute.listen()
        monkeypatch.setattr(Pyro5.config, "NS_HOST", "127.0.0.1")
        monkeypatch.setattr(Pyro5.config, "NS_PORT", mute.getsockname()[1])
        master = MasterProcess(unique_label("no server"))
        try:
            assert "the job goes on without" in caplog.text
            slave = SlaveProcess(master.label)
            assert slave.task_manager.numberOfActiveProcesses() == 1
            slave._SlaveProcess__engine.client.disconnect()
        finally:
            master.shutdown()


HOLDER = """
import sys, threading
from masterworker import Master
master = Master(sys.argv[1], name_server=sys.argv[2] == "named")
print("here", flush=True)
threading.Event().wait(60)
"""


@pytest.mark.parametrize("known_by", ["notice", "name server"])
def test_f27_label_has_one_master_and_is_free_after_its_death(
    tmp_path: Path, known_by: str, name_server: int
) -> None:
    """A second master with a label could wait for slaves that serve the first, or for a dead one.

    The one that only the name server knows has its notice elsewhere, as another user's would be.
    """
    label, named = unique_label("taken"), known_by == "name server"
    runtime = tmp_path / "elsewhere"
    runtime.mkdir(mode=0o700)
    env = {"MASTERWORKER_RUNTIME": str(runtime)} if named else {}
    path = python_script(tmp_path, "holder.py", HOLDER)
    holder = start_script(path, label, "named" if named else "not", env=env)
    with ended(holder):
        holder.says("here")
        for _ in range(2):
            with pytest.raises(LabelTakenError, match="taken by a master"):
                Master(label, name_server=True)
        holder.kill()
        with_name = Master(label, name_server=True)
        assert engine_of(with_name).endpoint.registered is not None
        with_name.shutdown()


# -- F28, F29: waiting --------------------------------------------------------------------------


def test_f28_each_task_wakes_one_of_a_thousand_who_wait(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every new task could wake every waiting worker, only to let all but one sleep again."""
    monkeypatch.setattr(wire, "LONGEST_WAIT", 60.0)
    rung: list[Mailbox] = []
    ring = Mailbox.ring
    monkeypatch.setattr(Mailbox, "ring", lambda box: (rung.append(box), ring(box)))
    served: list[int] = []

    def wait_for_work() -> None:
        leases = manager.exchange(wire.Exchange(join(manager, ["t"]), want=1, wait=60.0)).leases
        served.extend(lease.task_id for lease in leases)

    threads = [threading.Thread(target=wait_for_work, daemon=True) for _ in range(1_000)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(list(manager.core.waiting.claims)) == 1_000, HANG)
    for _ in range(25):
        ask(manager, "t")
        ask(manager, "another tag")
    wait_until(lambda: len(served) == 25, what="they are served")
    assert len(rung) == len(set(rung)) == 25
    assert sum(not thread.is_alive() for thread in threads) <= 25
    manager.terminate()
    for thread in threads:
        thread.join(HANG)
        assert not thread.is_alive()


def test_f28_worker_has_one_connection_also_for_its_heartbeats(tmp_path: Path) -> None:
    """Heartbeats could need a connection, and a thread of the master, of their own."""
    with (
        real_master() as master,
        plain_workers(tmp_path, master.label, 2, heartbeat=0.25) as workers,
    ):
        all_here(master, workers)
        for number in range(2):
            master.request_task("gate", str(tmp_path), number)
            wait_until((tmp_path / f"began{number}").exists, HANG)
        heard = {
            m.id: m.heard for m in engine_of(master).manager.core.members.values() if m.heartbeat
        }

        def beating() -> bool:
            members = engine_of(master).manager.core.members
            return all(n in members and members[n].heard > t + 0.1 for n, t in heard.items())

        wait_until(beating, what="both beat")
        assert engine_of(master).server is not None
        links = engine_of(master).server._connections.values()
        served = [link.service._operations for link in links]
        assert sum(bool(one._members) for one in served) == 2
        assert all(bool(one._members) != bool(one._supervisors) for one in served)
        (tmp_path / "open").touch()
        assert sorted(master.retrieve_result(timeout=HANG)[2] for _ in range(2)) == [0, 1]


def test_f29_wait_for_a_result_can_have_a_bound_and_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A wait for what never comes could be endless and silent."""
    monkeypatch.setattr(wire, "LONGEST_WAIT", 0.05)
    with real_master() as master:
        assert list(master.results()) == []
        with pytest.raises(TimeoutError, match="no task is outstanding"):
            master.retrieve_result(timeout=0.01)
        master.request_task("t")
        with pytest.raises(TimeoutError, match="1 waiting, 0 running; "):
            master.retrieve_result(timeout=0.01)
        monkeypatch.setattr(waiting, "NOTICE_AFTER", 0.1)
        with in_thread(master.retrieve_result):
            wait_until(lambda: "waiting for a result: 1 waiting" in caplog.text)
            assert caplog.text.count("waiting for a result") == 1
            master.shutdown()


def test_f29_loop_over_results_that_do_not_come_is_explained_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A loop looks again and again whether anything can come, and could never say what is wrong."""
    monkeypatch.setattr("masterworker.master.outcomes.LOOK", 0.05)
    with real_master() as master:
        monkeypatch.setattr(waiting, "NOTICE_AFTER", 0.2)
        master.request_task("t")
        with in_thread(lambda: list(master.results())):
            try:
                wait_until(lambda: "waiting for a result: 1 waiting" in caplog.text, 5.0)
            finally:
                master.shutdown()


@contextlib.contextmanager
def in_thread(call: Callable[[], Any]) -> Iterator[None]:
    """Wait for something that only the end of the job ends."""

    def wait() -> None:
        with contextlib.suppress(Terminated):
            call()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    yield
    thread.join(HANG)
    assert not thread.is_alive()


# -- F30: masters that vanish -------------------------------------------------------------------

JOB = """
import sys
from pathlib import Path
from masterworker import Master, Worker, run_job
import threading

class Job(Master):
    def run(self):
        self.request_task("forever", sys.argv[2])
        self.retrieve_result()

class Hand(Worker):
    def do_forever(self, folder):
        Path(folder, "began").touch()
        threading.Event().wait(60)

run_job(LABEL, Job, Hand, workers=2, heartbeat=0.1)
"""


def test_f30_launched_workers_end_with_a_master_that_is_killed(tmp_path: Path) -> None:
    """The workers of a killed master could stay for ever, the busy and the idle one."""
    label = unique_label("killed")
    source = JOB.replace("LABEL", repr(label)).replace("sys.argv[2]", repr(str(tmp_path)))
    master = start_script(python_script(tmp_path, "job.py", source))
    with ended(master):
        wait_until((tmp_path / "began").exists, HANG)
        workers = workers_of(master.pid)
        assert len(workers) == 2
        master.kill()
        wait_until(lambda: all(gone(worker.pid) for worker in workers), what="its workers end")


IMPATIENT = """
from masterworker import wire
from masterworker.transport.pyro import connection
wire.LONGEST_WAIT = connection.LONGEST_WAIT = 0.2
connection.STALL = 0.8
"""


@pytest.mark.parametrize("busy", [False, True])
def test_f30_worker_gives_up_a_master_that_does_not_answer(tmp_path: Path, busy: bool) -> None:
    """A worker could wait for ever at a connection whose other end has silently vanished.

    The bounds (25 s for an answer, 20 s to look for the master) are made smaller here.
    """
    label = unique_label("vanished")
    master = start_script(python_script(tmp_path, "holder.py", HOLDER), label, "not")
    with ended(master):
        master.says("here")
        with plain_workers(tmp_path, label, heartbeat=0.2, reconnect=0.5, extra=IMPATIENT) as [
            worker
        ]:
            client = Client(lambda: reach(label))
            client.request("echo", [dumps_call("", (1,))])
            wait_until(lambda: client.census().finished == {"echo": 1}, HANG)
            if busy:
                client.request("gate", [dumps_call("", (str(tmp_path), 1))])
                wait_until((tmp_path / "began1").exists, HANG)
            client.disconnect()
            stop(master)
            assert worker.wait() != 0
            assert "the master is gone" in worker.err, worker.told
