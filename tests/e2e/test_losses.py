"""Slaves and masters that are killed: nothing is lost, nothing comes twice, nobody stays."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

import psutil
import pytest

from e2e.desk import desk_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.desk import Desk, Running

ROOTS = """
class Master(MasterProcess):
    def run(self):
        ids = {self.requestTask("sqrt", float(n)): n for n in range(10_000)}
        while ids:
            task_id, tag, (x, root, pid) = self.retrieveResult()
            assert tag == "sqrt" and x == ids.pop(task_id) and root == math.sqrt(x)
        print(self.task_manager.numberOfTasks())

class Slave(SlaveProcess):
    def do_sqrt(self, x):
        if x == 3000.0 and not said("killed"):
            (HERE / "pid").write_text(str(os.getpid()))
            os.rename(HERE / "pid", HERE / "victim")
            wait_for("never")
        return x, math.sqrt(x), os.getpid()

from gate import HERE
runJob(LABEL, Master, Slave)
"""


def test_ten_thousand_roots(desk: Desk) -> None:
    """Two slaves; one is killed in the middle, and a new one is started."""
    master = desk.python("roots.py", ROOTS)
    slaves = {s.workers()[0]: s for s in (desk.slave(), desk.slave())}
    desk.reach("victim")
    worker = int((desk.folder / "victim").read_text())
    victim = slaves.pop(worker)
    desk.write("killed", "")
    victim.kill()
    new = desk.command("slave", desk.label)
    assert master.good().lines == ["({}, {}, {})"]
    assert master.err.count(" lost: ") == 1
    assert f"pid {worker} " in master.err, "it ends with its supervisor"
    for slave in (*slaves.values(), new):
        assert slave.status() in {0, 3, 4}, "the new one may be too late"


def test_a_slave_that_stands_still_and_comes_back(desk: Desk) -> None:
    """Stopped for longer than its silence is allowed: lost; then its late result is harmless."""
    master = desk.python(
        "job.py",
        """
        class Master(MasterProcess):
            def run(self):
                task_id = self.requestTask("hold")
                print(self.retrieveResult()[0] == task_id)
                say("first")
                wait_for_slaves(self, 2)
                say("back")
                ids = {self.requestTask("pid", n) for n in range(50)}
                got = [self.retrieveResult() for _ in ids]
                print(ids == {g[0] for g in got})
        class Slave(SlaveProcess):
            def do_hold(self):
                if not said("again"):
                    say("again")
                    wait_for("late")
                return os.getpid()
            def do_pid(self, n):
                return os.getpid()
        runJob(LABEL, Master, Slave, watchdog_period=0.2)
        """,
    )
    slow = desk.slave()
    desk.reach("again")
    [worker] = slow.workers()
    os.kill(worker, signal.SIGSTOP)
    other = desk.slave()
    desk.reach("first")
    desk.write("late", "")
    os.kill(worker, signal.SIGCONT)
    assert master.good().lines == ["True", "True"]
    slow.good()
    other.good()
    assert "heartbeat" in master.err or "silent" in master.err or "heard" in master.err


# -- what takes its time: begun together --------------------------------------------------

WAITING = """
master = MasterProcess(LABEL)
threading.Timer(13, master.shutdown).start()
print(master.retrieveResult("it"))
"""

KILLED = """
master = initializeMasterProcess(LABEL, slave_script="slave.py")
master.requestTask("hold", "first busy")
master.launchSlaveJobs()
wait_for("first busy")
master.requestTask("hold", "second busy")
wait_for("second busy")
master.launchSlaveJobs()
say("two are busy")
wait_for_slaves(master, 5)
say("complete")
wait_for("never")
"""

HOLD = """
def do_hold(name):
    say(name)
    wait_for("never", 100)
startSlaveProcess()
"""


class Slow(NamedTuple):
    """Programs that run while the tests go on."""

    waiting: Running
    killed_at: float
    launched: list[psutil.Process]
    others: list[Running]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    """A master that waits for nothing; and slaves, idle and busy, of a master that was killed."""
    folder = tmp_path_factory.mktemp
    with desk_at(folder("killed"), "killed") as desk, desk_at(folder("waits"), "waits") as second:
        waiting = second.python("waits.py", WAITING)
        desk.script("slave.py", HOLD)
        master = desk.python("master.py", KILLED)
        desk.reach("first busy")
        others = [desk.command("slave", desk.label)]
        desk.reach("two are busy")
        others.append(desk.command("slave", desk.label, "-n", "2"))
        desk.reach("complete")
        launched = master.children()
        assert len(launched) == 2
        master.kill()
        yield Slow(waiting, time.monotonic(), launched, others)


def test_launched_slaves_end_with_a_killed_master(slow: Slow) -> None:
    """Within 10 s, whether they are idle or in the middle of a task."""
    _, living = psutil.wait_procs(slow.launched, timeout=10)
    assert not living


def test_a_wait_for_nothing_is_explained_once(slow: Slow) -> None:
    """After 10 s one warning names the state; it goes on waiting, until the shutdown."""
    assert slow.waiting.process.poll() is None
    slow.waiting.says("waiting for a result")
    assert slow.waiting.process.poll() is None, "it goes on waiting"
    assert slow.waiting.good().lines == ["(None, None, None)"]
    told = [line for line in slow.waiting.err.splitlines() if "name server" not in line]
    assert len(told) == 1
    assert "no task of tag 'it' is outstanding" in told[0]


@pytest.mark.parametrize("number", [1, 0], ids=["idle", "busy"])
def test_other_slaves_look_for_a_killed_master_and_end(slow: Slow, number: int) -> None:
    """Within 25 s, with the status that says so; one line soon, and one at the end."""
    slave = slow.others[number]
    status = slave.status(max(0.1, slow.killed_at + 25 - time.monotonic()))
    assert status == 4
    soon, last = slave.err.splitlines()
    assert "cannot be reached" in soon
    assert "the master is gone" in last
