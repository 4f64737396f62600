"""`task_manager worker LABEL -n N`: a supervisor, what it starts, and how it all ends."""

from __future__ import annotations

import datetime as dt
import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from e2e.desk import until

if TYPE_CHECKING:
    from e2e.desk import Desk, Running

SLAVE = """
import subprocess
def do_pid(*anything):
    return os.getpid()
def do_hold(name):
    say(f"{name} {os.getpid()}")
    wait_for("go")
    return os.getpid()
def do_stubborn(name):
    say(f"{name} {os.getpid()}")
    while not said("go"):
        try:
            wait_for("go")
        except BaseException:
            say("caught")
    return os.getpid()
def do_stop(name):
    say(f"{name} {os.getpid()}")
    os.kill(os.getpid(), signal.SIGSTOP)
def do_lock(name):
    import ctypes
    say(f"{name} {os.getpid()}")
    ctypes.PyDLL(None).sleep(600)
def do_hoard():
    hoarded = b"x" * 400_000_000
    wait_for("go")
def do_speak(text):
    print(text)
    sys.stderr.write(text.upper() + "\\n")
startSlaveProcess()
"""

MASTER = """
master = initializeMasterProcess(LABEL, slave_script="slave.py")
for line in sys.argv[1:]:
    master.requestTask(*line.split())
    time.sleep(0.01)
for _ in sys.argv[1:]:
    try:
        print(*master.retrieveResult()[::2], flush=True)
    except TaskRaisedException as failed:
        print("failed", str(failed).replace(chr(10), " "), flush=True)
"""


def start(desk: Desk, *tasks: str) -> Running:
    """A master that asks for these tasks, and prints what comes."""
    desk.script("slave.py", SLAVE)
    master = desk.python("master.py", MASTER, *tasks)
    desk.census()
    return master


def holder(desk: Desk, name: str, but: int = 0) -> int:
    """Wait until a worker (not that one) executes the task of a name; its process id."""

    def holds() -> list[int]:
        pids = [int(path.name.split()[1]) for path in desk.folder.glob(f"{name} *")]
        return [pid for pid in pids if pid != but]

    return int(until(holds, f"somebody executes {name!r}")[0])


# -- N workers ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["worker", "slave"])
def test_several_workers(desk: Desk, command: str) -> None:
    """Each is a process of its own; the supervisor is none of them, and does not count."""
    master = start(desk, "hold a", "hold b", "hold c")
    crew = desk.command(command, desk.label, "-n", "3")
    pids = {holder(desk, name) for name in "abc"}
    assert pids == set(crew.workers(3))
    assert len(desk.census()["processes"]) == 4
    desk.write("go", "")
    assert {int(line.split()[1]) for line in master.good().lines} == pids
    crew.good()
    assert crew.complaints == ""
    desk.nobody_left()


def test_as_many_as_there_are_processors(desk: Desk) -> None:
    """As far as this process may use them."""
    master = start(desk, "hold a")
    crew = desk.command("worker", desk.label, "-n", "auto")
    holder(desk, "a")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 64
    assert 1 <= len(crew.children()) <= usable
    desk.slaves_here(len(crew.children()))  # the job must not be over before the last one has come
    desk.write("go", "")
    master.good()
    crew.good()


@pytest.mark.parametrize(
    "words",
    [
        ["worker", "x", "-n", "0"],
        ["worker", "x", "-n", "-1"],
        ["worker", "x", "-n", "many"],
        ["worker", "x", "--max-tasks", "0"],
        ["worker", "x", "--max-tasks", "few"],
        ["worker", "x", "--memory-limit", "much"],
        ["worker", "x", "--lifetime", "-1"],
        ["worker", "x", "--until", "noon"],
        ["worker", "x", "--initializer", "module"],
        ["show", "x", "-n", "2"],
        ["list", "--grace", "3"],
    ],
    ids=" ".join,
)
def test_options_that_make_no_sense(desk: Desk, words: list[str]) -> None:
    """One line, status 2, before anything is looked for."""
    running = desk.command(*words)
    assert running.status() == 2
    assert running.err.startswith("task_manager: ")
    assert len(running.err.splitlines()) == 1


def test_output_is_marked(desk: Desk) -> None:
    """What handlers print goes where the user sees it, with the worker's process id."""
    master = start(desk, "speak hello", "hold a")
    crew = desk.command("worker", desk.label)
    pid = holder(desk, "a")
    desk.write("go", "")
    master.good()
    assert crew.good().lines == [f"[worker {pid}] hello"]
    assert crew.err.splitlines() == [f"[worker {pid}] HELLO"]


def test_verbosely(desk: Desk) -> None:
    """A line for the beginning, and for each worker that comes and goes."""
    master = start(desk, "hold a")
    crew = desk.command("-v", "worker", desk.label)
    pid = holder(desk, "a")
    crew.says(f"worker {pid} has joined")
    desk.write("go", "")
    master.good()
    told = crew.good().err
    assert told.startswith(f"1 worker for {desk.label!r}")
    assert f"worker {pid} of {desk.label!r}: its process ended with exit status 0" in told


# -- the end of the job ---------------------------------------------------------------------


HASTY = """
master = initializeMasterProcess(LABEL, slave_script="slave.py")
master.requestTask(*sys.argv[1].split())
wait_for("end")
master.shutdown(0.1)
"""


@pytest.mark.parametrize("what", ["hold", "stop", "lock", "stubborn"])
def test_a_supervisor_ends_with_its_job(desk: Desk, what: str) -> None:
    """Within 20 s, though its worker is stopped, or lets nobody in."""
    desk.script("slave.py", SLAVE)
    master = desk.python("master.py", HASTY, f"{what} a")
    desk.census()
    crew = desk.command("worker", desk.label)
    holder(desk, "a")
    desk.write("end", "")
    master.status()
    crew.status(20)
    desk.nobody_left()


# -- ends of workers --------------------------------------------------------------------------


def test_a_killed_worker_is_replaced(desk: Desk) -> None:
    """Both sides say how it ended; the task goes to the one that takes its place."""
    master = start(desk, "hold a")
    crew = desk.command("worker", desk.label)
    first = holder(desk, "a")
    os.kill(first, signal.SIGKILL)
    second = holder(desk, "a", but=first)
    desk.write("go", "")
    assert master.good().lines[-1].split()[1] == str(second)
    assert f"pid {first} " in master.err
    assert "signal 9 (SIGKILL)" in master.err
    told = crew.good().err.splitlines()
    assert len(told) == 1
    assert f"worker {first} of" in told[0]
    assert "signal 9 (SIGKILL)" in told[0]


def test_workers_end_with_a_killed_supervisor(desk: Desk) -> None:
    """At once, though one of them is stopped; their tasks go elsewhere."""
    master = start(desk, "hold a", "hold b")
    crew = desk.command("worker", desk.label, "-n", "2")
    pids = [holder(desk, name) for name in "ab"]
    workers = [psutil.Process(pid) for pid in pids]
    workers[0].suspend()
    crew.kill()
    _, living = psutil.wait_procs(workers, timeout=5)
    assert not living
    desk.write("go", "")
    other = desk.command("worker", desk.label)
    assert len(master.good().lines) == 2
    other.good()


def test_a_task_that_kills_its_workers(desk: Desk) -> None:
    """It is given up with its history; the supervisor goes on."""
    master = start(desk, "hoard", "pid")
    crew = desk.command("worker", desk.label, "--memory-limit", "200M")
    told = master.good().out
    assert "took 3 workers down" in told
    assert "its limit is 200 MB" in told
    crew.good()
    assert crew.err.count("its limit is 200 MB") == 3


def test_code_that_cannot_start(desk: Desk) -> None:
    """Status 1; what it said is shown once, however many workers there are."""
    desk.write("slave.py", "1/0\n")
    master = desk.python(
        "master.py", "m = initializeMasterProcess(LABEL, 'slave.py')\nwait_for('end')"
    )
    desk.census()
    crew = desk.command("worker", desk.label, "-n", "3")
    assert crew.status() == 1
    assert crew.err.count("ZeroDivisionError") == 1
    assert crew.err.splitlines()[-1].startswith("task_manager: the workers of ")
    desk.write("end", "")
    master.good()


# -- the end of the supervisor ------------------------------------------------------------------


def test_sigterm_and_a_worker_that_does_not_finish(desk: Desk) -> None:
    """Within the grace; then the task goes back, without a strike, and the status is 0."""
    master = start(desk, "stubborn a")
    crew = desk.command("worker", desk.label, "--grace", "0.3")
    first = holder(desk, "a")
    crew.signal(signal.SIGTERM)
    assert crew.status() == 0
    assert crew.complaints == ""
    assert (desk.folder / "caught").exists(), "it was asked before it was killed"
    desk.write("go", "")
    other = desk.command("worker", desk.label)
    assert int(master.good().lines[-1].split()[1]) != first
    other.good()


def test_ctrl_c_at_the_terminal(desk: Desk) -> None:
    """It reaches the whole process group of the supervisor, and the workers through it."""
    master = start(desk, "hold a", "hold b")
    crew = desk.command("worker", desk.label, "-n", "2", start_new_session=True)
    pids = [holder(desk, name) for name in "ab"]
    crew.signal_group(signal.SIGINT)
    assert crew.status() == 130
    assert crew.complaints == ""
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert desk.census()["waiting"] == {"hold": 2}
    assert "lost" not in master.err
    master.kill()


# -- options ------------------------------------------------------------------------------------


def test_a_maximum_of_tasks(desk: Desk) -> None:
    """Then another process takes the place."""
    master = start(desk, *["pid"] * 6)
    crew = desk.command("worker", desk.label, "--max-tasks", "2")
    pids = [line.split()[1] for line in master.good().lines]
    assert len(set(pids)) >= 3
    assert max(pids.count(pid) for pid in pids) <= 2
    crew.good()
    assert crew.complaints == ""


def test_an_idle_time_out(desk: Desk) -> None:
    """Who has had nothing to do for so long leaves; the supervisor ends when all have."""
    desk.script("slave.py", SLAVE)
    master = desk.python("m.py", "m = initializeMasterProcess(LABEL, 'slave.py')\nwait_for('end')")
    desk.census()
    crew = desk.command("worker", desk.label, "-n", "2", "--idle-timeout", "0.3")
    crew.good()
    assert crew.complaints == ""
    assert len(desk.census()["processes"]) == 1
    desk.write("end", "")
    assert "lost" not in master.good().err


def test_the_terminal_is_closed(desk: Desk) -> None:
    """Workers may finish what they are doing, as after SIGTERM."""
    master = start(desk, "hold a")
    crew = desk.command("worker", desk.label)
    pid = holder(desk, "a")
    crew.signal(signal.SIGHUP)
    desk.write("go", "")
    assert crew.status() == 0
    assert master.good().lines[-1].split()[1] == str(pid)


#: Long enough for a worker to begin, on a machine that has much else to do (seconds).
LIFETIME = 10.0


@pytest.mark.parametrize("option", ["--lifetime", "--until"])
def test_a_lifetime(desk: Desk, option: str) -> None:
    """At its end the task is given back, without a strike, and nobody starts any more."""
    master = start(desk, "hold a")
    until_then = dt.datetime.now().astimezone() + dt.timedelta(seconds=LIFETIME)
    crew = desk.command(
        "worker",
        desk.label,
        option,
        str(LIFETIME) if option == "--lifetime" else until_then.isoformat(),
    )
    holder(desk, "a")
    assert crew.status() == 0
    assert crew.complaints == ""
    assert desk.census()["waiting"] == {"hold": 1}
    assert "lost" not in master.err
    master.kill()


def test_an_initializer(desk: Desk) -> None:
    """Imported where the slave's code runs, and called before it; one that is missing: status 2."""
    desk.write("prepared.py", "import os\ndef prepare():\n    os.environ['READY'] = 'yes'\n")
    desk.script(
        "slave.py",
        "ready = os.environ.get('READY')\ndef do_ready():\n    return ready\nstartSlaveProcess()\n",
    )
    master = desk.python("master.py", MASTER, "ready")
    desk.census()
    wrong = desk.command("worker", desk.label, "--initializer", "prepared:nothing")
    assert wrong.status() == 2
    assert wrong.err.splitlines()[-1].startswith("task_manager: there is no initializer prepared:")
    crew = desk.command("worker", desk.label, "--initializer", "prepared:prepare")
    assert master.good().lines[-1].split()[1] == "yes"
    crew.good()
