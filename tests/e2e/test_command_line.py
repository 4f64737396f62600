"""The script `task_manager`: what it prints, what it ends with."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e.desk import desk_at, until
from masterworker.cli import exit_codes
from masterworker.cli.helping import ABOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.desk import Desk, Running

MASTER = """
class Master(MasterProcess):
    def run(self):
        for _ in range(3):
            self.requestTask("first")
        self.retrieveResult("first")
        for tag in "held", "held", "nobody's":
            self.requestTask(tag)
        wait_for("end")

class Slave(SlaveProcess):
    def do_first(self):
        pass
    def do_held(self):
        wait_for("end")

runJob(LABEL, Master, Slave)
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A job that stands still: one slave holds a task."""
    with desk_at(tmp_path_factory.mktemp("cli"), "my job: 13:52:16") as desk:
        desk.programs["master"] = desk.python("master.py", MASTER)
        desk.programs["worker"] = desk.slave()

        def stands() -> bool:
            found = desk.census()
            return bool(found["running"] == {"held": 1} and found["waiting"].get("held") == 1)

        until(stands, "the job stands")
        yield desk
        desk.write("end", "")
        desk.programs["master"].good()
        desk.programs["worker"].good()


def one_line(running: Running, status: int) -> str:
    """What it says on stderr: one line, no traceback."""
    assert running.status() == status, f"{running.process.returncode}: {running.err}"
    assert running.out == ""
    assert len(running.err.splitlines()) == 1, running.err
    assert "Traceback" not in running.err
    assert running.err.startswith("task_manager: ")
    return running.err


def numbers(text: str) -> list[int]:
    """All numbers that stand by themselves."""
    return [int(n) for n in re.findall(r"(?<![\w:.])\d+(?![\w:.])", text)]


@pytest.mark.parametrize("words", [["show"], []], ids=["show", "lone label"])
def test_show_counts(job: Desk, words: list[str]) -> None:
    """Active processes, waiting and running tasks, results to be picked up."""
    told = job.command(*words, job.label).good().lines
    assert job.label in told[0]
    text = "\n".join(told[1:])
    assert re.search(r"\b2 active processes", text)
    assert re.search(r"1 master, 1 worker\b", text)
    assert re.search(r"\b2 waiting tasks, 1 running", text)
    assert re.search(r"\b2 results", text)
    assert "nobody's" in text, "a tag that nobody can execute is named"
    assert "pid" not in text


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("option", ["-v", "--verbose"])
def test_show_verbosely(job: Desk, option: str, before: bool) -> None:
    """A line for each process, and the counts by tag."""
    words = [option, "show", job.label] if before else ["show", job.label, option]
    told = job.command(*words).good().out
    for pid in job.programs["master"].pid, *job.programs["worker"].workers():
        line = next(x for x in told.splitlines() if re.search(rf"\b{pid}\b", x))
        assert platform.node() in line
        assert platform.machine() in line
    assert re.search(r"held\W+1, 1, 0", told)
    assert re.search(r"first\W+0, 0, 2", told)
    assert re.search(r"nobody's\W+1, 0, 0", told)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_show_as_json(job: Desk, before: bool) -> None:
    """Everything, for programs."""
    words = ["--json", "show", job.label] if before else [job.label, "--json"]
    found = json.loads(job.command(*words).good().out)
    assert found["label"] == job.label
    assert len(found["processes"]) == 2
    assert found["waiting"] == {"held": 1, "nobody's": 1}
    assert found["running"] == {"held": 1}
    assert found["finished"] == {"first": 2}
    assert found["delivered"] == 1
    assert found["stranded"] == ["nobody's"]


def test_list(job: Desk) -> None:
    """One label in a line; -v adds the count of processes; --json for programs."""
    assert job.label in job.command("list").good().lines
    line = next(x for x in job.command("list", "-v").good().lines if job.label in x)
    assert 2 in numbers(line.replace(job.label, ""))
    entries = json.loads(job.command("--json", "list").good().out)
    mine = next(e for e in entries if e["label"] == job.label)
    assert mine["processes"] == 2


def test_list_of_nothing(desk: Desk) -> None:
    """Somebody without jobs."""
    folder = desk.folder / "runtime"
    alone = desk.command("list", MASTERWORKER_RUNTIME=str(folder), PYRO_NS_PORT="9").good()
    assert alone.lines == ["no active task managers found"]
    alone = desk.command("list", "--json", MASTERWORKER_RUNTIME=str(folder), PYRO_NS_PORT="9")
    assert json.loads(alone.good().out) == []


def test_master_by_address(job: Desk) -> None:
    """-m HOST:PORT, before and after the command, and --master=."""
    entries = json.loads(job.command("list", "--json").good().out)
    address = next(e["address"] for e in entries if e["label"] == job.label)
    port = address.rpartition(":")[2]
    elsewhere = {"MASTERWORKER_RUNTIME": str(job.folder / "another runtime")}
    for words in (
        ["-m", address, "show", job.label],
        ["show", job.label, "-m", f"localhost:{port}"],
        [f"--master={address}", job.label],
    ):
        told = job.command(*words, **elsewhere).good().out
        assert "2 active processes" in told


@pytest.mark.parametrize("option", ["-m", "--master"])
def test_slave_by_host(desk: Desk, option: str) -> None:
    """-m HOST alone means port 7766; the label's notice says it better on this machine."""
    master = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py", use_name_server=False)
        print(master.pyro_daemon.port)
        master.requestTask("one")
        print(master.retrieveResult()[2])
        """,
    )
    desk.script("slave.py", "def do_one(): return 1\nstartSlaveProcess()\n")
    port = int(master.first_line())
    where = "localhost" if option == "-m" else f"127.0.0.1:{port}"
    desk.command("slave", desk.label, option, where).good()
    assert master.good().lines == [str(port), "1"]


def test_wait_before_the_master_exists(desk: Desk) -> None:
    """-w waits, says so once, and goes on when the master appears."""
    slave = desk.command("slave", desk.label, "--wait")
    shown = desk.command("-w", "show", desk.label)
    slave.says("waiting for")
    shown.says("waiting for")
    assert desk.label in slave.err
    master = desk.python(
        "master.py",
        """
        def do_pid():
            return os.getppid()
        if __name__ == "__main__":
            master = initializeMasterProcess(LABEL, slave_script="master.py")
            wait_for("go")
            master.requestTask("pid")
            print(master.retrieveResult()[2])
        else:
            startSlaveProcess()
        """,
    )
    assert desk.label in shown.good().out
    desk.write("go", "")
    assert int(master.good().lines[0]) == slave.pid
    slave.good()
    assert len(slave.err.splitlines()) == 1


def test_ctrl_c_while_waiting(desk: Desk) -> None:
    """Ends it, with the status of Ctrl-C, without a traceback."""
    slave = desk.command("-w", "slave", desk.label)
    slave.says("waiting for")
    slave.signal(signal.SIGINT)
    assert slave.status() == 130
    assert "Traceback" not in slave.err


@pytest.mark.parametrize("command", ["slave", "worker"])
def test_slave_and_its_alias(desk: Desk, command: str) -> None:
    """Both execute tasks with the code and in the directory that the master stored."""
    master = desk.python(
        "master.py",
        """
        class Master(MasterProcess):
            def run(self):
                self.requestTask("where")
                print(*self.retrieveResult()[2])
        class Slave(SlaveProcess):
            def do_where(self):
                return os.getppid(), os.getcwd()
        runJob(LABEL, Master, Slave)
        """,
    )
    desk.census()
    slave = desk.command(command, desk.label, folder=Path("/"))
    assert master.good().lines == [f"{slave.pid} {desk.folder}"]
    assert slave.good().out == ""
    assert slave.complaints == ""


def test_the_installed_script(job: Desk) -> None:
    """`task_manager` itself, as pip has made it."""
    script = shutil.which("task_manager", path=str(Path(sys.executable).parent))
    assert script is not None
    told = job.start(script, job.label).good().out
    assert "2 active processes" in told


def test_help_and_version(desk: Desk) -> None:
    """Name every command, option and exit status."""
    told = desk.command("--help").good().out
    for word in ("show", "list", "slave", "--master", "--wait", "--verbose", "--json", "130"):
        assert word in told
    assert re.search(r"\d+\.\d+", desk.command("--version").good().out)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["shwo", "demo"],
        ["show"],
        ["slave"],
        ["worker"],
        ["show", "a", "b"],
        ["slave", "a", "b"],
        ["list", "a"],
        ["--frobnicate", "show", "a"],
        ["show", "a", "-m"],
        ["-m", "host:port:more", "show", "a"],
        ["-m", "host:99999", "show", "a"],
        ["-m", "", "show", "a"],
        ["show", ""],
        ["show", 'x"\nimport os'],
        ["slave", "tab\there"],
        ["slave", "x" * 201],
    ],
    ids=str,
)
def test_a_wrong_command_line(desk: Desk, words: list[str]) -> None:
    """One line, status 2."""
    one_line(desk.command(*words), 2)


@pytest.mark.parametrize("command", ["show", "slave"])
def test_no_such_label(desk: Desk, command: str) -> None:
    """One line that names the label, status 3; it says whether a name server was asked."""
    told = one_line(desk.command(command, "no such", PYRO_NS_PORT="9"), 3)
    assert "'no such'" in told
    assert "no name server answers at localhost:9" in told


def test_no_such_label_at_that_address(job: Desk) -> None:
    """A master is there, but it has another label."""
    entries = json.loads(job.command("list", "--json").good().out)
    address = next(e["address"] for e in entries if e["label"] == job.label)
    told = one_line(job.command("-m", address, "show", "another"), 3)
    assert "another" in told


@pytest.mark.parametrize("command", ["show", "slave"])
def test_no_such_host(desk: Desk, command: str) -> None:
    """One line that names the host, status 3."""
    told = one_line(desk.command("-m", "no-such-host.invalid", command, "demo"), 3)
    assert "no-such-host.invalid" in told


def test_nobody_listens_there(desk: Desk) -> None:
    """One line that names the address, status 3."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        told = one_line(desk.command("-m", f"127.0.0.1:{port}", "show", "demo"), 3)
    assert f"127.0.0.1:{port}" in told


def test_somebody_else_listens_there(desk: Desk) -> None:
    """Not a master, and it answers nonsense: one line, status 7."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        shown = desk.command("-m", f"127.0.0.1:{server.getsockname()[1]}", "show", "demo")
        client, _ = server.accept()
        with client:
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
            one_line(shown, 7)


def test_no_stored_code(desk: Desk) -> None:
    """One line that says what to do, status 6; the master is not disturbed."""
    master = desk.python("master.py", "m = MasterProcess(LABEL)\nwait_for('end')\nprint('fine')\n")
    desk.census()
    told = one_line(desk.command("slave", desk.label), 6)
    assert "initializeMasterProcess" in told
    desk.write("end", "")
    assert master.good().out == "fine\n"


def test_the_master_goes_while_the_slave_starts(desk: Desk) -> None:
    """The slave's script takes its time; when it is ready the master has been killed: status 4."""
    master = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        wait_for("end")
        """,
    )
    desk.script("slave.py", "say('here')\nwait_for('killed')\nstartSlaveProcess()\n")
    desk.census()
    slave = desk.command("slave", desk.label)
    desk.reach("here")
    master.kill()
    desk.write("killed", "")
    one_line(slave, 4)


def test_a_worker_of_another_python_is_refused(desk: Desk) -> None:
    """One line that names both versions, status 5."""
    master = desk.python(
        "master.py", "m = initializeMasterProcess(LABEL, 'slave.py')\nwait_for('end')"
    )
    desk.script(
        "slave.py",
        """
        import masterworker.wire.hello
        masterworker.wire.hello.python_version = lambda: "3.99"
        startSlaveProcess()
        """,
    )
    desk.census()
    told = one_line(desk.command("slave", desk.label), 5)
    assert "3.99" in told
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in told
    desk.write("end", "")
    master.good()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("def do_x(): pass\n", "startSlaveProcess()"),
        ("1/0\n", "ZeroDivisionError"),
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_module\n", "no_such_module"),
    ],
    ids=["never starts", "raises", "no syntax", "no module"],
)
def test_wrong_slave_code(desk: Desk, script: str, said: str) -> None:
    """Status 1 or 2, and what is wrong, with the line of the script."""
    desk.write("slave.py", script)
    master = desk.python(
        "master.py", "m = initializeMasterProcess(LABEL, 'slave.py')\nwait_for('end')"
    )
    slave = desk.slave()
    assert slave.status() in {1, 2}
    assert said in slave.err
    assert "slave.py" in slave.err
    desk.write("end", "")
    master.good()


def test_a_closed_pipe_is_no_error_to_shout_about(job: Desk) -> None:
    """`task_manager show ... | head -0`: no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    running = job.command("show", job.label, "-v", stdout=writing)
    os.close(writing)
    running.status()
    assert "Traceback" not in running.err


@pytest.mark.parametrize(
    "command",
    [
        ["show"],
        ["show", "--json"],
        ["metrics"],
        ["list"],
        ["--help"],
        ["show", "--help"],
        ["--version"],
    ],
)
def test_a_full_disk_below_what_is_printed(job: Desk, command: list[str]) -> None:
    """`task_manager metrics demo > FILE` where there is no room: one sentence, and no success."""
    label = [job.label] if command[-1] in {"show", "--json", "metrics"} else []
    full = os.open("/dev/full", os.O_WRONLY)
    running = job.command(*command, *label, stdout=full)
    os.close(full)
    assert running.status() == 2
    assert running.err.strip() == (
        "task_manager: what is printed cannot be written: No space left on device"
    )


@pytest.mark.parametrize("command", sorted(ABOUT))
def test_each_command_has_its_own_help(desk: Desk, command: str) -> None:
    """With its own options and examples, and nothing of the others."""
    told = desk.command(command, "--help").good().out
    assert told.startswith(f"usage: task_manager [options] {command}")
    assert "examples:\n" in told
    assert ("--max-tasks" in told) == (command in {"slave", "worker"})
    assert ("--pdb" in told) == (command == "replay")
    assert ("--out" in told) == (command in {"ticket", "report", "trace", "metrics"})
    assert ("--slurm" in told) == (command == "scale")
    wrong = desk.command(command, "--no-such-option")
    assert wrong.status() == exit_codes.USAGE
    assert f"(see: task_manager {command} --help)" in wrong.err
