"""What programs do that are in use or were: each habit is a case to pass."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from e2e.desk import EXAMPLES, until

if TYPE_CHECKING:
    from e2e.desk import Desk

ROOT_SLAVE = """
def do_root(x):
    return x, math.sqrt(x)
def do_pid(*anything):
    return os.getpid()
startSlaveProcess()
"""


# -- the end of a program -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("last_line", "status"),
    [
        ("pass", 0),
        ("raise RuntimeError('no more')", 1),
        ("sys.exit(7)", 7),
        ("sys.exit('text')", 1),
        ("master.retrieveResult()", 1),
    ],
)
def test_a_program_without_shutdown_ends_by_itself(desk: Desk, last_line: str, status: int) -> None:
    """With its own status; its slaves end with it, with status 0."""
    desk.script("slave.py", ROOT_SLAVE)
    master = desk.python(
        "master.py",
        f"""
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        master.requestTask("root", 4.0)
        master.launchSlaveJobs()
        print(master.retrieveResult()[2])
        master.requestTask("root", -1.0)
        wait_for_slaves(master, 2)
        {last_line}
        """,
    )
    slave = desk.slave()
    assert master.status() == status, master.err
    assert master.out == "(4.0, 2.0)\n"
    slave.good()
    desk.nobody_left()
    shown = desk.command("show", desk.label)
    assert shown.status() == 3


def test_a_program_ends_while_its_slaves_are_busy(desk: Desk) -> None:
    """Its launched slave does not hold it up for long, and does not stay behind."""
    desk.script("slave.py", "def do_long(): say('busy'); wait_for('never')\nstartSlaveProcess()\n")
    master = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        master.launchSlaveJobs()
        master.requestTask("long")
        wait_for("busy")
        """,
    )
    assert master.good().err.count("Traceback") == 0
    desk.nobody_left()


# -- several masters ------------------------------------------------------------------------


def test_a_master_made_while_a_library_is_imported(desk: Desk) -> None:
    """The library's function does its work with slaves; the program only imports it."""
    desk.script("handlers.py", "def do_root(x): return math.sqrt(x)\n")
    desk.script(
        "library.py",
        """
        _master = initializeMasterProcess(LABEL, slave_module="handlers")
        _master.launchSlaveJobs()
        def roots(numbers):
            ids = [_master.requestTask("root", n) for n in numbers]
            found = dict(_master.retrieveResult("root")[::2] for _ in ids)
            return [found[i] for i in ids]
        FIRST = roots([49.0])
        """,
    )
    program = desk.write(
        "program.py", "import library\nprint(library.FIRST, library.roots([4, 9]))\n"
    )
    assert desk.start(program).good().out == "[7.0] [2.0, 3.0]\n"
    desk.nobody_left()


def test_several_masters_for_hundreds_of_rounds(desk: Desk) -> None:
    """Each with a new state; ids 1, 2, 3 per master, never used again; slaves by the literal."""
    desk.script(
        "slave.py",
        """
        def do_add(number, job):
            return number + job["offset"]
        startSlaveProcess()
        """,
    )
    master = desk.python(
        "master.py",
        """
        masters = [initializeMasterProcess(f"{LABEL} {n}", slave_script="slave.py") for n in "ab"]
        for master in masters:
            master.launchSlaveJobs()
        for number in range(1, 201):
            for offset, master in enumerate(masters):
                state = master.setGlobalState(job={"offset": 1000 * number + offset})
                assert state == number, (state, number)
                for n in range(3):
                    master.requestTask("add", n, GlobalStateValue(state, "job"))
            for offset, master in enumerate(masters):
                found = sorted(master.retrieveResult("add")[2] for _ in range(3))
                assert found == [1000 * number + offset + n for n in range(3)], found
                master.deleteGlobalState(number)
        print("all right")
        """,
    )
    assert master.good().out == "all right\n"
    desk.nobody_left()


def test_the_first_state_is_written_as_a_literal(desk: Desk) -> None:
    """`GlobalStateValue(1, "job")`, before the state is stored, even."""
    desk.script("slave.py", "def do_it(job): return job\nstartSlaveProcess()\n")
    master = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        task = master.requestTask("it", GlobalStateValue(1, "job"))
        master.setGlobalState(job="the job")
        master.launchSlaveJobs()
        print(master.retrieveResult())
        """,
    )
    assert "'the job'" in master.good().out


# -- how slaves are started -----------------------------------------------------------------


def test_slaves_started_in_every_way(desk: Desk) -> None:
    """By command, launched before the first task and after all, and as plain scripts."""
    handler = """
        import gate
        def do_pid(n):
            say(f"pid {os.getpid()}")
            wait_for("all")
            return os.getpid(), __name__
        """
    desk.script("slave.py", handler + "startSlaveProcess()\n")
    desk.script("plain.py", handler + "startSlaveProcess(sys.argv[1])\n")
    master = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        port = master.pyro_daemon.port
        master.launchSlaveJobs(1)
        ids = [master.requestTask("pid", n) for n in range(40)]
        master.launchSlaveJobs(n=2, port=port)
        say("asked")
        names = {}
        while ids:
            task_id, tag, (pid, name) = master.retrieveResult()
            ids.remove(task_id)
            names[pid] = name
        for pid, name in names.items():
            print(pid, name)
        """,
    )
    desk.reach("asked")
    by_command = desk.command("slave", desk.label)
    plain = desk.start("plain.py", desk.label)
    until(lambda: len(list(desk.folder.glob("pid *"))) == 5, "five slaves have a task each")
    launched = {child.pid for child in master.children()}
    commanded = by_command.workers()
    desk.write("all", "")
    names = dict(line.split() for line in master.good().lines)
    assert set(map(int, names)) == {*commanded, plain.pid, *launched}
    assert len(launched) == 3
    assert names.pop(str(plain.pid)) == "__main__"
    assert set(names.values()) == {"__mp_main__"}
    by_command.good()
    plain.good()


def test_a_plain_script_needs_a_label(desk: Desk) -> None:
    """Without one, and not started by the command, it says what to do."""
    running = desk.python("slave.py", "def do_x(): pass\nstartSlaveProcess()\n")
    assert running.status() == 1
    assert "task_manager slave" in running.err


def test_a_plain_script_without_a_master(desk: Desk) -> None:
    """It ends with a clear error at once."""
    running = desk.python("slave.py", "def do_x(): pass\nstartSlaveProcess(LABEL)\n")
    assert running.status() == 1
    assert f"no master with label {desk.label!r}" in running.err.splitlines()[-1]


# -- the slave's surroundings ---------------------------------------------------------------


def test_the_slaves_code_runs_in_a_fresh_namespace_in_the_masters_folder(desk: Desk) -> None:
    """`__name__` reads as "builtins"; the folder is the master's; globals live between tasks."""
    work = desk.folder / "work"
    work.mkdir()
    desk.write("work/data.txt", "one\ntwo\nthree\n")
    desk.write("scripts/beside.py", "VALUE = 'imported from the script folder'\n")
    desk.write("work/local.py", "VALUE = 'imported from the working folder'\n")
    shutil.copy(desk.folder / "gate.py", desk.folder / "scripts")
    desk.script(
        "scripts/slave.py",
        """
        import beside
        opened = open("data.txt")
        name_then = __name__
        was_main = __name__ == "__main__"
        leaked = [n for n in ("options", "words", "launched_by", "client") if n in globals()]
        def do_line():
            return opened.readline().strip()
        def do_tell():
            return name_then, __name__, was_main, os.getcwd(), beside.VALUE, leaked, os.getppid()
        startSlaveProcess()
        """,
    )
    script = desk.script(
        "scripts/master.py",
        """
        sys.path.insert(0, os.getcwd())
        import local
        master = initializeMasterProcess(LABEL, slave_script=os.path.join(sys.path[1], "slave.py"))
        for _ in range(3):
            master.requestTask("line")
        print([master.retrieveResult()[2] for _ in range(3)])
        master.requestTask("tell")
        print(master.retrieveResult()[2])
        """,
    )
    master = desk.start(script, folder=work)
    slave = desk.slave()
    lines = master.good().lines
    assert sorted(eval(lines[0])) == ["one", "three", "two"]  # noqa: S307  our own output
    expected = "__mp_main__", "__mp_main__", False, str(work)
    expected += ("imported from the script folder", [], slave.pid)
    assert eval(lines[1]) == expected  # noqa: S307
    slave.good()


def test_what_travels(desk: Desk) -> None:
    """NumPy arrays, slices, own classes, both ways and as states; private to each side."""
    desk.write(
        "analysis.py",
        """
        import numpy as np
        class Analysis:
            def __init__(self, data):
                self.data = data
                self.parent = self
            def total(self, where):
                return self.data[where].sum()
        """,
    )
    desk.script(
        "slave.py",
        """
        from analysis import Analysis, np
        def do_part(array, where, trajectory):
            array += 1
            trajectory.data[0] += 100.0
            return array[where], where, trajectory.total(slice(1, 3))
        def do_analysis(n):
            return Analysis(np.full((2, n), n))
        startSlaveProcess()
        """,
    )
    master = desk.python(
        "master.py",
        """
        from analysis import Analysis, np
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        master.launchSlaveJobs()
        whole = Analysis(np.arange(10.0))
        state = master.setGlobalState(whole=whole)
        array = np.zeros((1000, 100), dtype=np.float32)
        master.requestTask("part", array, slice(2, 5), GlobalStateValue(state, "whole"))
        array[:] = 99                   # after the call: does not matter
        whole.data[:] = -1
        part, where, total = master.retrieveResult()[2]
        assert part.shape == (3, 100) and part.dtype == np.float32 and (part == 1).all(), part
        part += 1                       # ours to change
        assert where == slice(2, 5)
        assert total == 3.0, total
        master.requestTask("analysis", 3)
        found = master.retrieveResult()[2]
        assert type(found) is Analysis and found.parent is found and found.total(0) == 9
        found.data[:] = 0
        print("all right")
        """,
    )
    assert master.good().out == "all right\n"


def test_a_parameter_that_cannot_travel_is_refused_at_the_call(desk: Desk) -> None:
    """The error names which one, the job goes on."""
    master = desk.python(
        "master.py",
        """
        class Master(MasterProcess):
            def run(self):
                try:
                    self.requestTask("it", 1, threading.Lock())
                except Exception as error:
                    print(type(error).__name__, error)
                self.requestTask("it", 1, 2)
                print(self.retrieveResult()[2])
                for bad in "open", "lock":
                    self.requestTask(bad)
                    try:
                        self.retrieveResult()
                    except TaskRaisedException as failed:
                        print(type(failed.exception).__name__, failed.exception)
                self.requestTask("it", 1, 2)
                print(self.retrieveResult()[2])
        class Slave(SlaveProcess):
            def do_it(self, a, b):
                return a + b
            def do_open(self):
                return open(os.devnull, "w")
            def do_lock(self):
                raise ValueError("with a lock", threading.Lock())
        runJob(LABEL, Master, Slave, launch_slaves=1)
        """,
    )
    lines = master.good().lines
    assert "parameter 2" in lines[0]
    assert lines[1] == lines[4] == "3"
    assert "TextIOWrapper" in lines[2]
    assert "ValueError" in lines[3]
    assert "with a lock" in lines[3]


# -- stopping -------------------------------------------------------------------------------


def test_shutdown_in_the_middle(desk: Desk) -> None:
    """Hundreds of tasks are queued: shutdown returns at once, and they are not run."""
    master = desk.python(
        "master.py",
        """
        class Master(MasterProcess):
            def run(self):
                for n in range(800):
                    self.requestTask("note", n)
                self.retrieveResult()
                began = time.monotonic()
                self.shutdown()
                print(time.monotonic() - began)
                print(len(os.listdir("notes")))
                print(self.retrieveResult())
        class Slave(SlaveProcess):
            def do_note(self, n):
                open(f"notes/{n}", "w").close()
                threading.Event().wait(0.05)
        os.makedirs("notes", exist_ok=True)
        runJob(LABEL, Master, Slave, launch_slaves=2)
        """,
    ).good()
    seconds, run, result = master.lines
    assert float(seconds) < 15  # all of them take 20
    assert int(run) < 200
    assert len(list((desk.folder / "notes").iterdir())) == int(run)
    assert result == "(None, None, None)"
    desk.nobody_left()


def test_a_failure_that_is_not_caught_tells_the_cause(desk: Desk) -> None:
    """On stderr: task, exception, slave, and the slave's traceback; the status is 1."""
    desk.script("slave.py", ROOT_SLAVE)
    master = desk.python(
        "master.py",
        """
        import psutil
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        task = master.requestTask("root", -1.0)
        print(task)
        master.launchSlaveJobs()
        workers = [c for c in psutil.Process().children() if "--supervised" in str(c.cmdline())]
        print(*[worker.pid for worker in workers])
        master.retrieveResult("root")
        """,
    )
    assert master.status() == 1
    task_id, slave = master.lines
    assert f"task {task_id} raised ValueError: math domain error" in master.err
    assert f"pid {slave.strip()} on" in master.err
    assert 'slave.py", line ' in master.err
    assert "return x, math.sqrt(x)" in master.err
    desk.nobody_left()


# -- Ctrl-C in the master -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["initializeMasterProcess", "runJob"])
def test_ctrl_c_in_a_master_that_waits(desk: Desk, kind: str) -> None:
    """It ends soon, as a program ends that Ctrl-C has ended; the slaves are gone."""
    if kind == "runJob":
        body = """
            class Master(MasterProcess):
                def run(self):
                    self.requestTask("long")
                    self.retrieveResult()
            class Slave(SlaveProcess):
                def do_long(self):
                    say("busy")
                    wait_for("never")
            runJob(LABEL, Master, Slave, launch_slaves=1)
            """
    else:
        slave = "def do_long(): say('busy'); wait_for('never')\nstartSlaveProcess()\n"
        desk.script("slave.py", slave)
        body = """
            master = initializeMasterProcess(LABEL, slave_script="slave.py")
            master.launchSlaveJobs()
            master.requestTask("long")
            master.retrieveResult()
            """
    master = desk.python("master.py", body)
    desk.reach("busy")
    master.signal(signal.SIGINT)
    assert master.status() == -signal.SIGINT
    assert "\nKeyboardInterrupt\n" in master.err
    assert master.err.count("Traceback") == 1
    desk.nobody_left()


def test_ctrl_c_in_a_terminal_goes_to_the_master_alone(desk: Desk) -> None:
    """The whole foreground group gets it: launched slaves end with the master, without noise."""
    desk.write("demo.py", (EXAMPLES / "master_slave_demo.py").read_text())
    source = """
        import sys
        sys.argv[1:] = ["2"]
        exec(open("demo.py").read().replace("[-1, 0, 1, 2, 3]", "range(100_000)"))
        """
    master = desk.start(desk.write("run.py", source), process_group=0)
    master.says("the sqrt of")
    master.signal_group(signal.SIGINT)
    assert master.status() == -signal.SIGINT
    assert master.err.count("Traceback") == 1
    desk.nobody_left()
