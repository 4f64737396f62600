"""Slaves that come while a job ends, or afterwards: the end of a job is no failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from masterworker.errors import JobEndedError
from masterworker.transport import endings
from masterworker.transport.runtime import runtime_folder

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.desk import Desk

#: A plain slave as nMOLDYN has it, one of a class, and one of the new style.
SLAVES = {
    "script": "def do_held():\n    pass\nstartSlaveProcess(sys.argv[1])\n",
    "class": "class Slave(SlaveProcess):\n    pass\nSlave(sys.argv[1]).start()\n",
    "worker": "from masterworker import Worker\nWorker(sys.argv[1]).run()\n",
}
ENDING = """
def do_held():
    say("held")
    wait_for("go")
startSlaveProcess()
"""
HOLDS = """
master = initializeMasterProcess(LABEL, slave_script="busy.py")
master.launchSlaveJobs(1)
master.requestTask("held")
wait_for("held")
print("now it closes", flush=True)
master.shutdown(20)
"""


STRANGER = """
import sys
from masterworker import Master
with Master("of somebody else", ports=[int(sys.argv[1])]):
    print("listening", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("kind", SLAVES)
def test_a_slave_that_comes_while_the_job_ends(desk: Desk, kind: str) -> None:
    """A busy slave delays the end; whoever comes meanwhile leaves in silence."""
    desk.script("busy.py", ENDING)
    desk.script("slave.py", SLAVES[kind])
    master = desk.python("master.py", HOLDS)
    master.says("now it closes")
    slave = desk.start("slave.py", desk.label)
    command = desk.command("slave", desk.label)
    for late in (slave, command):
        assert late.good().out + late.complaints == ""
    desk.write("go", "")
    master.good()


@pytest.mark.parametrize("kind", SLAVES)
@pytest.mark.parametrize("address", [False, True], ids=["by its label", "by its address"])
def test_a_slave_that_comes_just_after_the_end(desk: Desk, kind: str, address: bool) -> None:
    """The same; a `task_manager slave` says it where it is asked to talk."""
    desk.script("slave.py", SLAVES[kind].replace("[1]", "[1], *sys.argv[2:]", 1))
    words = "use_name_server=False" if address else ""
    master = desk.python(
        "master.py",
        f"print(initializeMasterProcess(LABEL, {words}).pyro_daemon.port)",
    )
    where = [f"localhost:{master.good().lines[0]}"][: int(address)]
    slave = desk.start("slave.py", desk.label, *where)
    assert slave.good().out + slave.complaints == ""
    options = ["-m", *where] if where else []
    command = desk.command(*options, "slave", desk.label)
    assert command.good().out + command.complaints == ""
    command = desk.command(*options, "-v", "slave", desk.label).good()
    assert f"the job {desk.label!r} has ended" in command.err


def test_the_port_of_a_job_that_has_ended_is_somebody_elses(desk: Desk, tmp_path: Path) -> None:
    """A master with another authority listens there by now; the slave came late all the same."""
    desk.script("slave.py", SLAVES["worker"].replace("[1]", "[1], sys.argv[2]"))
    ended = desk.python("master.py", "print(initializeMasterProcess(LABEL).pyro_daemon.port)")
    port = ended.good().lines[0]
    variables = {**os.environ, "MASTERWORKER_CREDENTIALS": str(tmp_path / "other")}
    stranger = subprocess.Popen(
        [sys.executable, "-c", STRANGER, port],
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with stranger:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "listening\n"
        slave = desk.start("slave.py", desk.label, f"localhost:{port}")
        assert slave.good().out + slave.complaints == ""
        stranger.communicate("the end")


def test_hardly_there_and_the_job_is_over(desk: Desk) -> None:
    """A short job, for which slaves are started as fast as can be: all of them end well."""
    desk.script("slave.py", "def do_one():\n    return 1\nstartSlaveProcess(sys.argv[1])\n")
    master = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL)
        print("it begins", flush=True)
        for number in range(5):
            master.requestTask("one")
        for number in range(5):
            master.retrieveResult()
        """,
    )
    master.says("it begins")
    slaves = [desk.start("slave.py", desk.label) for _ in range(8)]
    master.good()
    for slave in slaves:
        assert slave.good().out + slave.complaints == ""


def test_ended_and_never_there_are_told_apart(desk: Desk) -> None:
    """By those who look: one line, status 3."""
    desk.python("master.py", "initializeMasterProcess(LABEL)").good()
    for command, more in (("show", []), ("show", ["-v"]), ("explain", ["0"])):
        shown = desk.command(command, desk.label, *more)
        assert shown.status() == 3
        assert f"the job {desk.label!r} has ended" in shown.err
        assert len(shown.err.splitlines()) == 1
    never = desk.command("show", desk.label + " too")
    assert never.status() == 3
    assert "no master with label" in never.err
    assert "has ended" not in never.err


def test_a_job_that_ended_long_ago(desk: Desk) -> None:
    """A slave that is started now was meant for another one: an error says what was."""
    desk.python("master.py", "initializeMasterProcess(LABEL)").good()
    path = runtime_folder() / endings.NAME
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line[3] -= JobEndedError.JUST_NOW + 30 if line[0] == desk.label else 0
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    desk.script("slave.py", SLAVES["script"])
    slave = desk.start("slave.py", desk.label)
    assert slave.status() == 1
    assert f"JobEndedError: the job {desk.label!r} has ended" in slave.err.splitlines()[-1]
    command = desk.command("slave", desk.label)
    assert command.status() == 3
    assert f"the job {desk.label!r} has ended" in command.err


def test_a_master_that_was_killed(desk: Desk) -> None:
    """Its job has not ended in good order, which is another thing again."""
    master = desk.python(
        "master.py", "initializeMasterProcess(LABEL)\nprint('there')\nwait_for('x')"
    )
    master.says("there")
    master.kill()
    desk.script("slave.py", SLAVES["script"])
    slave = desk.start("slave.py", desk.label)
    assert slave.status() == 1
    told = f"(process {master.pid}) is gone without having ended its job"
    assert told in slave.err.splitlines()[-1]
    command = desk.command("slave", desk.label)
    assert command.status() == 3
    assert told in command.err


def test_the_next_job_of_the_label(desk: Desk) -> None:
    """What ended before is forgotten: slaves wait for the next one, and serve it."""
    desk.python("first.py", "initializeMasterProcess(LABEL)").good()
    desk.script("slave.py", "def do_one():\n    return 1\nstartSlaveProcess()\n")
    waiting = desk.slave()
    waiting.says("waiting for the master")
    master = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        master.requestTask("one")
        print(master.retrieveResult()[2])
        """,
    )
    assert master.good().lines == ["1"]
    waiting.good()


def test_a_killed_one_after_an_ended_one(desk: Desk) -> None:
    """The last one counts."""
    desk.python("first.py", "initializeMasterProcess(LABEL)").good()
    test_a_master_that_was_killed(desk)


@pytest.mark.parametrize("kind", SLAVES)
def test_where_the_master_is_said_in_the_users_words(desk: Desk, kind: str) -> None:
    """A slave script has no option `--master`."""
    desk.script("slave.py", SLAVES[kind])
    slave = desk.start("slave.py", desk.label)
    assert slave.status() == 1
    told = slave.err.splitlines()[-1]
    assert "no master with label" in told
    assert ("master" if kind == "worker" else "master_host") + '="HOST:PORT"' in told
    assert "--master" not in told
    command = desk.command("slave", desk.label)
    assert command.status() == 3
    assert "--master HOST:PORT" in command.err
