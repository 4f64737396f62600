"""`runJob` with slave classes that have constructors of their own, and several jobs in a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from e2e.desk import Desk

MASTER = """
class Master(MasterProcess):
    def run(self):
        for number in range(3):
            self.requestTask("times", number)
        print(sorted(self.retrieveResult("times")[2] for _ in range(3)))
"""

#: Constructors of slaves, as they were written: the head, and the call of the base class.
CONSTRUCTORS = {
    "label and period": (
        "self, label, watchdog_period=120.",
        "label, watchdog_period=watchdog_period",
    ),
    "label and keywords": ("self, label, **kw", "label, **kw"),
    "anything": ("self, *args, **kw", "*args, **kw"),
    "all that was published": (
        "self, label, master_host=None, watchdog_period=120.",
        "label, master_host, watchdog_period",
    ),
    "by keyword only": ("self, label, *, watchdog_period", "label, None, watchdog_period"),
    "its own period": ("self, label, watchdog_period", "label, watchdog_period=1."),
}


@pytest.mark.parametrize("kind", CONSTRUCTORS)
def test_a_constructor_of_its_own(desk: Desk, kind: str) -> None:
    """It is called with the label and the watchdog period, and nothing else."""
    head, call = CONSTRUCTORS[kind]
    slave = (
        "class Slave(SlaveProcess):\n"
        f"    def __init__({head}):\n"
        f"        SlaveProcess.__init__({'self, ' + call})\n"
        "        self.factor = 10\n"
        "    def do_times(self, number):\n"
        "        return number * self.factor\n"
        "runJob(LABEL, Master, Slave, launch_slaves=1)\n"
    )
    assert desk.python("job.py", MASTER + slave).good().lines == ["[0, 10, 20]"]


def test_a_constructor_of_its_own_and_an_address(desk: Desk) -> None:
    """A slave that is started with `-m` is told where the master is in another way."""
    job = desk.python(
        "job.py",
        MASTER.replace("for number", "wait_for('go')\n        for number")
        + """
class Slave(SlaveProcess):
    def __init__(self, label, watchdog_period=120.):
        SlaveProcess.__init__(self, label, watchdog_period=watchdog_period)
    def do_times(self, number):
        return number
class Here(Master):
    def __init__(self, label):
        Master.__init__(self, label, use_name_server=False)
        print(self.pyro_daemon.port)
runJob(LABEL, Here, Slave)
""",
    )
    port = job.first_line()
    slave = desk.command("-m", f"localhost:{port}", "slave", desk.label)
    desk.slaves_here(1)
    desk.write("go", "")
    assert job.good().lines[1:] == ["[0, 1, 2]"]
    slave.good()


def test_a_constructor_of_its_own_without_a_script(desk: Desk) -> None:
    """The program comes from standard input, and its slave class travels by value."""
    source = desk.script(
        "typed.py",
        MASTER
        + """
class Slave(SlaveProcess):
    def __init__(self, label, watchdog_period):
        SlaveProcess.__init__(self, label, watchdog_period=watchdog_period)
        self.factor = 100
    def do_times(self, number):
        return number * self.factor
runJob(LABEL, Master, Slave, launch_slaves=1)
""",
    )
    with source.open() as typed:
        assert desk.start("-", stdin=typed).good().lines == ["[0, 100, 200]"]


def test_a_worker_class_with_a_constructor_of_its_own(desk: Desk) -> None:
    """The same in the new style."""
    job = desk.write(
        "job.py",
        """
        from masterworker import Master, Worker, run_job
        class Asking(Master):
            def run(self):
                print(self.request_task("times", 4), self.retrieve_result("times")[2])
        class Times(Worker):
            def __init__(self, label, heartbeat=5.0):
                super().__init__(label, heartbeat=heartbeat)
                self.factor = 10
            def do_times(self, number):
                return number * self.factor
        run_job(LABEL, Asking, Times, workers=1)
        """,
    )
    assert desk.start(job).good().lines == ["times_0 40"]


# -- several jobs in one script -------------------------------------------------------------

TWO = """
class First(MasterProcess):
    def run(self):
        self.requestTask("a", 1); print("one", self.retrieveResult("a")[2])
class FirstSlave(SlaveProcess):
    def do_a(self, number):
        return number * 10
class Second(MasterProcess):
    def run(self):
        self.requestTask("b", 1); print("two", self.retrieveResult("b")[2])
class SecondSlave(SlaveProcess):
    def do_b(self, number):
        return number * 100
runJob(LABEL + " first", First, FirstSlave, launch_slaves=1)
runJob(LABEL + SECOND, Second, SecondSlave, launch_slaves=1)
"""


@pytest.mark.parametrize("second", [" second", " first"], ids=["two labels", "one label"])
def test_two_jobs_with_different_slaves(desk: Desk, second: str) -> None:
    """The slave of the second would be one of the first: both sides say so, and nothing waits."""
    job = desk.python("job.py", TWO.replace("SECOND", repr(second)))
    job.says("a script of its own")
    assert f"a worker of '{desk.label}{second}', whose workers are SecondSlave" in job.err
    assert f"starts the job '{desk.label} first' with FirstSlave first" in job.err
    assert job.lines == ["one 10"]
    assert job.process.poll() in {None, 1}, "it ends, unless its slave takes 5 s to begin"


def test_two_jobs_with_different_workers(desk: Desk) -> None:
    """The same in the new style."""
    job = desk.write(
        "job.py",
        """
        from masterworker import Master, Worker, run_job
        class Asking(Master):
            def run(self):
                self.request_task("a")
                print(self.retrieve_result("a"))
        class One(Worker):
            def do_a(self):
                return 1
        class Two(Worker):
            def do_a(self):
                return 2
        run_job(LABEL + "1", Asking, One, workers=1)
        run_job(LABEL + "2", Asking, Two, workers=1)
        """,
    )
    running = desk.start(job)
    running.says("whose workers are Two")
    assert running.lines == ["('a_0', 'a', 1)"]


def test_a_loop_of_jobs_with_one_class(desk: Desk) -> None:
    """One job after the other, each under a label of its own: slaves serve theirs, and end."""
    job = desk.python(
        "job.py",
        """
        class Master(MasterProcess):
            def run(self):
                self.requestTask("label")
                print(self.retrieveResult()[2])
        class Slave(SlaveProcess):
            def do_label(self):
                return self.label
        for number in range(3):
            runJob("%s %d" % (LABEL, number), Master, Slave, launch_slaves=1)
        """,
    ).good()
    assert job.lines == [f"{desk.label} {number}" for number in range(3)]
    assert job.err.count("\n") == 3, job.err  # no name server, once for each


def test_a_label_that_is_another_one_in_the_slave(desk: Desk) -> None:
    """Programs make labels of the time of day: the slave serves the job it was started for."""
    job = desk.python(
        "job.py",
        """
        import time
        class Master(MasterProcess):
            def run(self):
                self.requestTask("label")
                print(self.retrieveResult()[2] == self.label)
        class Slave(SlaveProcess):
            def do_label(self):
                return self.label
        runJob("%s %d" % (LABEL, time.monotonic_ns()), Master, Slave, launch_slaves=1)
        """,
    ).good()
    assert job.lines == ["True"]
