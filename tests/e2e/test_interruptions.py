"""Signals to a slave, and handlers that try to end their process."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, NamedTuple

import pytest

from e2e.desk import until

if TYPE_CHECKING:
    from e2e.desk import Desk, Running

#: Task 0 is held until "go"; the handlers tell who executed what, also when it was in vain.
SLAVE = """
def do_hold(n):
    say(f"begun {n} {os.getpid()}")
    while n == 0 and not said("go"):
        say("tick")
        threading.Event().wait(0.01)
    return n, os.getpid()
startSlaveProcess()
"""

MASTER = """
master = initializeMasterProcess(LABEL, slave_script="slave.py")
for n in range(6):
    master.requestTask("hold", n)
for _ in range(6):
    print(*master.retrieveResult()[2], flush=True)
"""


class Held(NamedTuple):
    """A slave that is in the middle of task 0."""

    master: Running
    slave: Running
    #: The process id of its worker.
    worker: int


def hold(desk: Desk) -> Held:
    """Start a master and a slave, and let it begin."""
    desk.script("slave.py", SLAVE)
    master = desk.python("master.py", MASTER)
    desk.census()
    slave = desk.command("slave", desk.label)
    return Held(master, slave, begun(desk))


def begun(desk: Desk) -> int:
    """Wait until a worker has begun; its process id."""
    files = until(lambda: list(desk.folder.glob("begun 0 *")), "the slave has begun")
    return int(files[0].name.split()[2])


def seen(desk: Desk) -> None:
    """Wait until the slave has had time for the signal: two signals at once count as one."""
    for _ in range(2):
        (desk.folder / "tick").unlink(missing_ok=True)
        desk.reach("tick")


def finish(desk: Desk, master: Running) -> dict[int, int]:
    """Let another slave do the rest; return who did which task."""
    desk.write("go", "")
    other = desk.command("slave", desk.label)
    done = [tuple(map(int, line.split())) for line in master.good().lines]
    other.good()
    assert sorted(n for n, _ in done) == list(range(6)), "each result once"
    return dict(done)  # type: ignore[arg-type]


def test_ctrl_c_gives_the_task_back(desk: Desk) -> None:
    """The slave signs off and ends with 130, quietly; another one does the task."""
    master, slave, worker = hold(desk)
    slave.signal(signal.SIGINT)
    assert slave.status() == 130
    assert "Traceback" not in slave.err
    census = desk.census()
    assert len(census["processes"]) == 1
    assert census["waiting"] == {"hold": 6}
    assert worker not in finish(desk, master).values()
    assert "lost" not in master.err, "it has signed off"


def test_ctrl_c_while_idle(desk: Desk) -> None:
    """The same status; nothing was lost."""
    desk.write(
        "slave.py",
        """
        from Scientific.DistributedComputing.MasterSlave import startSlaveProcess
        def do_x():
            pass
        startSlaveProcess()
        """,
    )
    master = desk.python(
        "idle.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        wait_for_slaves(master, 1)
        say("joined")
        wait_for_slaves(master, 0)
        """,
    )
    slave = desk.slave()
    desk.reach("joined")
    slave.signal(signal.SIGINT)
    assert slave.status() == 130
    assert "Traceback" not in slave.err
    assert "lost" not in master.good().err


def test_ctrl_c_to_a_plain_script(desk: Desk) -> None:
    """A slave script that was started itself gives its task back as well, and ends."""
    desk.script("slave.py", SLAVE)
    desk.script("plain.py", SLAVE.replace("startSlaveProcess()", "startSlaveProcess(LABEL)"))
    master = desk.python("master.py", MASTER)
    desk.census()
    slave = desk.start("plain.py")
    worker = begun(desk)
    assert worker == slave.pid, "nobody supervises it"
    slave.signal(signal.SIGINT)
    assert slave.status() in {0, 130, -signal.SIGINT}
    assert "Traceback" not in slave.err
    assert worker not in finish(desk, master).values()
    assert "lost" not in master.err


def test_sigterm_lets_the_task_finish(desk: Desk) -> None:
    """Then the slave leaves, with status 0; it takes no further task."""
    master, slave, worker = hold(desk)
    slave.signal(signal.SIGTERM)
    desk.write("go", "")
    slave.good()
    assert slave.complaints == ""
    done = finish(desk, master)
    assert [n for n, pid in done.items() if pid == worker] == [0]
    assert "lost" not in master.err


def tell_all(slave: Running, number: int) -> None:
    """Send a signal to a supervisor and its workers, as a batch system does."""
    for pid in [child.pid for child in slave.children()] + [slave.pid]:
        os.kill(pid, number)


def test_sigterm_to_every_process_is_one_stop(desk: Desk) -> None:
    """What the supervisor passes on adds nothing: the task finishes within the grace."""
    master, slave, worker = hold(desk)
    for _ in range(2):
        os.kill(worker, signal.SIGTERM)
        seen(desk)
    tell_all(slave, signal.SIGTERM)
    seen(desk)
    os.kill(worker, signal.SIGTERM)  # the batch system says it again, to the worker alone
    seen(desk)
    desk.write("go", "")
    slave.good()
    done = finish(desk, master)
    assert [n for n, pid in done.items() if pid == worker] == [0]
    assert "lost" not in master.err


def test_sigterm_to_every_process_twice(desk: Desk) -> None:
    """The second stop still means: at once."""
    master, slave, worker = hold(desk)
    tell_all(slave, signal.SIGTERM)
    seen(desk)
    tell_all(slave, signal.SIGTERM)
    assert slave.status() in {130, 143, -signal.SIGTERM}
    assert worker not in finish(desk, master).values()


def test_ctrl_c_to_every_process(desk: Desk) -> None:
    """The task is given back, once, and nobody is lost."""
    master, slave, worker = hold(desk)
    tell_all(slave, signal.SIGINT)
    assert slave.status() == 130
    assert worker not in finish(desk, master).values()
    assert "lost" not in master.err


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (signal.SIGTERM, signal.SIGTERM, {130, 143, -signal.SIGTERM}),
        (signal.SIGTERM, signal.SIGINT, {130}),
    ],
    ids=["terminate twice", "terminate, then Ctrl-C"],
)
def test_a_second_signal_ends_it_at_once(
    desk: Desk, first: int, second: int, status: set[int]
) -> None:
    """Though the task is not done; it goes to another slave."""
    master, slave, worker = hold(desk)
    slave.signal(first)
    seen(desk)
    slave.signal(second)
    assert slave.status() in status
    assert worker not in finish(desk, master).values()


def test_ctrl_c_twice_ends_a_stubborn_slave_at_once(desk: Desk) -> None:
    """A handler that catches everything cannot hold the process."""
    desk.script(
        "slave.py",
        """
        def do_hold(n):
            say(f"begun {n} {os.getpid()}")
            while not said("go"):
                try:
                    wait_for("go")
                except BaseException:
                    say("caught")
            return n, os.getpid()
        startSlaveProcess()
        """,
    )
    master = desk.python("master.py", MASTER)
    desk.census()
    slave = desk.command("slave", desk.label)
    worker = begun(desk)
    slave.signal(signal.SIGINT)
    desk.reach("caught")
    slave.signal(signal.SIGINT)
    assert slave.status() == 130
    assert worker not in finish(desk, master).values()


def test_handlers_that_end_their_process(desk: Desk) -> None:
    """sys.exit and KeyboardInterrupt fail the task at once, and the slave goes on."""
    master = desk.python(
        "master.py",
        """
        class Master(MasterProcess):
            def run(self):
                for tag in "exit", "exit_with", "interrupt", "generator", "system":
                    self.requestTask(tag)
                    try:
                        print(self.retrieveResult())
                    except TaskRaisedException as failed:
                        print(tag, repr(failed.exception), failed.traceback.count("in do_"))
                self.requestTask("pid")
                print(self.retrieveResult()[2])
        class Slave(SlaveProcess):
            def do_exit(self):
                sys.exit()
            def do_exit_with(self):
                sys.exit(3)
            def do_interrupt(self):
                raise KeyboardInterrupt("my own")
            def do_generator(self):
                raise GeneratorExit
            def do_system(self):
                raise SystemExit("text")
            def do_pid(self):
                return os.getppid()
        runJob(LABEL, Master, Slave)
        """,
    )
    slave = desk.slave()
    assert master.good().lines == [
        "exit SystemExit() 1",
        "exit_with SystemExit(3) 1",
        "interrupt KeyboardInterrupt('my own') 1",
        "generator GeneratorExit() 1",
        "system SystemExit('text') 1",
        str(slave.pid),
    ]
    slave.good()


def test_a_task_that_kills_its_slaves_fails_after_three(desk: Desk) -> None:
    """os._exit and signals: the cause is named, the other tasks are done."""
    master = desk.python(
        "master.py",
        """
        class Master(MasterProcess):
            def run(self):
                bad = self.requestTask("die")
                good = [self.requestTask("pid") for _ in range(20)]
                for _ in range(21):
                    try:
                        task_id, _, result = self.retrieveResult()
                        good.remove(task_id)
                    except Exception as error:
                        assert error.task_id == bad
                        print(type(error).__name__, error)
                print(good)
        class Slave(SlaveProcess):
            def do_die(self):
                os.kill(os.getpid(), signal.SIGKILL)
            def do_pid(self):
                return os.getpid()
        runJob(LABEL, Master, Slave, launch_slaves=4)
        """,
    )
    told = master.good().out
    assert "3 workers" in told
    assert "signal 9" in told or "SIGKILL" in told, "the cause is named"
    assert told.splitlines()[-1] == "[]"


def test_a_task_that_was_lost_is_caught_like_any_failure(desk: Desk) -> None:
    """`except TaskRaisedException` is all that published programs have."""
    master = desk.python(
        "master.py",
        """
        class Master(MasterProcess):
            def run(self):
                self.requestTask("die")
                try:
                    self.retrieveResult()
                except TaskRaisedException as failed:
                    print("caught", failed.task_id, failed.tag, failed.traceback)
        class Slave(SlaveProcess):
            def do_die(self):
                os._exit(3)
        runJob(LABEL, Master, Slave, launch_slaves=3)
        """,
    )
    assert master.good().out.startswith("caught die_0 die")
