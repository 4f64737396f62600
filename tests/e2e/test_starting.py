"""Starting a job: ports, labels that are taken, folders that are missing, slaves that break."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from Scientific.DistributedComputing.MasterSlave import (
    MasterProcess,
    initializeMasterProcess,
)

if TYPE_CHECKING:
    from e2e.desk import Desk

KEEP = """
master = initializeMasterProcess(LABEL)
print(master.pyro_daemon.port)
wait_for("end")
"""


# -- ports ----------------------------------------------------------------------------------


def test_a_port_in_use_is_passed_over(desk: Desk) -> None:
    """Without name server: 7766, or the next free one; one line on stderr says which."""
    job = desk.python(
        "ports.py",
        """
        masters = [MasterProcess(f"{LABEL} {n}", use_name_server=False) for n in range(3)]
        print(*[m.pyro_daemon.port for m in masters], masters[0].pyro_ns)
        """,
    ).good()
    *ports, names = job.out.split()
    assert names == "None"
    numbers = [int(p) for p in ports]
    assert 7766 <= numbers[0] < numbers[1] < numbers[2] <= 7866
    told = job.err.splitlines()
    assert len(told) == 3
    for line, port in zip(told, ports, strict=True):
        assert port in line


def test_all_ports_in_use() -> None:
    """An error at once that names them; nothing waits for a daemon that never comes."""
    with contextlib.ExitStack() as taken:
        for port in range(7766, 7867):
            with contextlib.suppress(OSError):
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
        with pytest.raises(Exception, match="7766 to 7866"):
            MasterProcess("all ports in use", use_name_server=False)
    master = MasterProcess("all ports in use", use_name_server=False)
    assert 7766 <= master.pyro_daemon.port <= 7866
    master.shutdown()


# -- labels ---------------------------------------------------------------------------------


def test_a_label_that_is_taken(desk: Desk) -> None:
    """A clear error at once that names the other process; free again when that has ended."""
    first = desk.python("first.py", KEEP)
    desk.census()
    with pytest.raises(ValueError, match=f"process {first.pid}"):
        initializeMasterProcess(desk.label)
    second = desk.start("first.py")
    assert second.status() == 1
    last = second.err.splitlines()[-1]
    assert desk.label in last
    assert "taken" in last
    desk.write("end", "")
    first.good()
    assert desk.start("first.py").good().out


def test_a_label_is_free_at_once_after_kill(desk: Desk) -> None:
    """kill -9 leaves the notice behind; nobody minds."""
    for _ in range(2):
        master = desk.python("first.py", KEEP)
        desk.census()
        master.kill()
        assert desk.command("show", desk.label).status() == 3
        assert desk.label not in desk.command("list").good().out
    master = initializeMasterProcess(desk.label)
    assert desk.label in desk.command("list").good().lines
    master.shutdown()


def test_a_label_that_is_taken_says_the_name_server(name_server: int, desk: Desk) -> None:
    """The other master is somebody else's, or on another machine: its notice is not here."""
    first = desk.python("first.py", KEEP)
    port = first.first_line()
    elsewhere = {"MASTERWORKER_RUNTIME": str(desk.folder / "elsewhere")}
    second = desk.start("first.py", **elsewhere)
    assert second.status() == 1
    last = second.err.splitlines()[-1]
    assert f"{desk.label!r} is taken" in last
    assert f":{port}" in last
    assert f"localhost:{name_server}" in last
    shown = desk.command("show", desk.label, **elsewhere).good()
    assert "1 active process" in shown.out


def test_an_entry_left_behind_is_taken_over(name_server: int, desk: Desk) -> None:
    """The name server still has the address of a master that was killed."""
    elsewhere = {"MASTERWORKER_RUNTIME": str(desk.folder / "elsewhere")}
    dead = desk.python("first.py", KEEP)
    dead.first_line()
    dead.kill()
    listed = desk.command("list", "-v").good().out
    assert re.search(rf"^{re.escape(desk.label)}\b.*no answer", listed, re.MULTILINE)
    shown = desk.command("show", desk.label)
    assert shown.status() == 3
    assert len(shown.err.splitlines()) == 1
    living = desk.start("first.py", **elsewhere)
    port = living.first_line()
    assert "1 active process" in desk.command("show", desk.label).good().out
    assert f":{port}" in desk.command("list", "-v").good().out


def test_no_name_server_is_told_in_one_line(desk: Desk) -> None:
    """And the job goes on with its notice."""
    master = desk.python("first.py", KEEP)
    desk.census()
    desk.write("end", "")
    master.good()
    assert len(master.err.splitlines()) == 1
    assert "name server" in master.err
    assert desk.label in master.err


# -- folders --------------------------------------------------------------------------------

WHERE = """
class Master(MasterProcess):
    def run(self):
        say("ready")
        wait_for("removed")
        if launch:
            self.launchSlaveJobs()
        self.requestTask("where")
        print(self.retrieveResult()[2])
class Slave(SlaveProcess):
    def do_where(self):
        return os.getcwd()
runJob(LABEL, Master, Slave)
"""


@pytest.mark.parametrize("launched", [False, True])
def test_a_working_directory_that_the_slave_does_not_have(desk: Desk, launched: bool) -> None:
    """The slave says so in one line, and works."""
    work = desk.folder / "work"
    work.mkdir()
    script = desk.script("job.py", f"launch = {launched}\n" + WHERE)
    master = desk.start(script, folder=work)
    desk.reach("ready")
    work.rmdir()
    slave = None if launched else desk.command("slave", desk.label)
    desk.write("removed", "")
    found = master.good().out.strip()
    assert found == str(desk.folder) or (launched and Path(found).is_dir())
    told = (slave.good() if slave else master).err.splitlines()
    assert sum(str(work) in line for line in told) == 1


# -- slaves that break ----------------------------------------------------------------------

BROKEN = """
import psutil
master = initializeMasterProcess(LABEL, slave_script="slave.py")
began = time.monotonic()
try:
    master.launchSlaveJobs(2)
except Exception as error:
    print(type(error).__name__)
    print(error)
print(time.monotonic() - began)
me = psutil.Process()
end = time.monotonic() + 10
while me.children() and time.monotonic() < end:
    threading.Event().wait(0.01)
print([(c.pid, c.status()) for c in me.children()])
master.shutdown()
"""


@pytest.mark.parametrize(
    ("slave", "said"),
    [
        ("import sys\nprint('to stderr', file=sys.stderr)\n1/0\n", "ZeroDivisionError"),
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_module\n", "no_such_module"),
        ("def do_x(): pass\n", "startSlaveProcess()"),
        ("import os\nos._exit(9)\n", "exit status 9"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "signal 11"),
    ],
    ids=["raises", "no syntax", "no module", "no start", "exits", "crashes"],
)
def test_a_broken_slave_is_reported(desk: Desk, slave: str, said: str) -> None:
    """launchSlaveJobs raises within 5 s and shows the slave's stderr; no zombies stay."""
    desk.write("slave.py", slave)
    job = desk.python("master.py", BROKEN).good()
    assert job.lines[0] == "WorkerStartError"
    *told, seconds, left = job.lines[1:]
    assert said in "\n".join(told)
    assert float(seconds) < 5
    assert left == "[]"


def test_a_slave_script_that_is_not_there(desk: Desk) -> None:
    """One clear error; the label is free afterwards."""
    for wrong in {"slave_script": "no such.py"}, {"slave_module": "not a module"}:
        with pytest.raises(ValueError, match=r"no such\.py|not a module"):
            initializeMasterProcess(desk.label, **wrong)  # type: ignore[arg-type]
    initializeMasterProcess(desk.label).shutdown()


def test_launching_without_code(desk: Desk) -> None:
    """A master without slave code says what to do."""
    master = initializeMasterProcess(desk.label)
    with pytest.raises(ValueError, match="slave_script"):
        master.launchSlaveJobs()
    master.shutdown()


def test_a_broken_job_of_one_script(desk: Desk) -> None:
    """runJob: the slaves cannot start, so the job ends with that error."""
    job = desk.python(
        "job.py",
        """
        if __name__ != "__main__":
            raise RuntimeError("only the master can run this")
        class Master(MasterProcess):
            def run(self):
                print("never")
        runJob(LABEL, Master, SlaveProcess, launch_slaves=1)
        """,
    )
    assert job.status() == 1
    assert job.out == ""
    assert "RuntimeError: only the master can run this" in job.err
    desk.nobody_left()
