"""More habits of published programs, and the mistakes that users make."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from e2e.desk import Desk


def test_subclasses_with_their_own_constructors(desk: Desk) -> None:
    """Called in the old way, with attributes of any name, some set before the base class's."""
    job = desk.python(
        "job.py",
        """
        class Master(MasterProcess):
            def __init__(self, label):
                self.workers, self.states, self.manager, self.name = 1, 2, 3, "m"
                MasterProcess.__init__(self, label, False)
                self.server = self.ticket = self.job = self.serial = "mine"
            def run(self):
                self.requestTask("tell", self.name)
                print(self.retrieveResult()[2])
                print(self.workers, self.states, self.manager, self.server, self.job)

        class Slave(SlaveProcess):
            def __init__(self, label, master_host=None, watchdog_period=120.):
                self.opened = open(os.devnull)
                SlaveProcess.__init__(self, label, master_host, watchdog_period)
                self.states = self.client = self.hand = self.handlers = self.heartbeat = "mine"
                self.do_list = [1, 2]
            def do_tell(self, name):
                return name, self.watchdog_period, self.opened.read(), self.states, self.client
        runJob(LABEL, Master, Slave, watchdog_period=60, launch_slaves=1)
        """,
    ).good()
    assert job.lines == ["('m', 60, '', 'mine', 'mine')", "1 2 3 mine mine"]


def test_handlers_that_are_imported(desk: Desk) -> None:
    """The do_* functions that a slave script has imported count as its own."""
    desk.write("handlers/__init__.py", "")
    desk.write("handlers/parts.py", "def do_a(x): return 'a', x\ndef do_b(x): return 'b', x\n")
    desk.write(
        "slave.py",
        """
        from Scientific.DistributedComputing.MasterSlave import startSlaveProcess
        from handlers.parts import *
        from handlers.parts import do_b as do_c
        do_d = lambda x: ("d", x)
        startSlaveProcess()
        def do_late(x):
            return "late"
        """,
    )
    job = desk.python(
        "master.py",
        """
        for options in {"slave_script": "slave.py"}, {"slave_module": "handlers.parts"}:
            master = initializeMasterProcess(LABEL, **options)
            tags = "abcd" if "slave_script" in options else "ab"
            for tag in tags:
                master.requestTask(tag, 1)
            master.requestTask("late", 1)
            master.launchSlaveJobs()
            print(sorted(master.retrieveResult()[2] for tag in tags))
            print(master.task_manager.numberOfTasks()[0])
            master.shutdown()
        """,
    ).good()
    assert job.lines == [
        "[('a', 1), ('b', 1), ('b', 1), ('d', 1)]",
        "{'late': 1}",
        "[('a', 1), ('b', 1)]",
        "{'late': 1}",
    ]


def test_a_tag_without_handler_waits_for_a_slave_that_has_it(desk: Desk) -> None:
    """The slave that has none is not bothered with it, and does the rest."""
    desk.script("one.py", "def do_one(): return 'one'\nstartSlaveProcess(LABEL)\n")
    desk.script("two.py", "def do_two(): return 'two'\nstartSlaveProcess(LABEL)\n")
    master = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL)
        for tag in "two", "one", "two", "one":
            master.requestTask(tag)
        print([master.retrieveResult()[2] for _ in range(2)], flush=True)
        say("ones")
        print([master.retrieveResult()[2] for _ in range(2)])
        """,
    )
    desk.census()
    one = desk.start("one.py")
    desk.reach("ones")
    shown = desk.command("show", desk.label).good().out
    assert "no worker can execute tag 'two'" in shown
    two = desk.start("two.py")
    assert master.good().lines == ["['one', 'one']", "['two', 'two']"]
    one.good()
    two.good()


def test_what_slaves_print(desk: Desk) -> None:
    """Of launched ones it appears where the master's output does, stderr included."""
    job = desk.python(
        "job.py",
        """
        class Master(MasterProcess):
            def run(self):
                self.requestTask("print")
                self.retrieveResult()
        class Slave(SlaveProcess):
            def do_print(self):
                print("printed by a slave")
                print("warned by a slave", file=sys.stderr)
        runJob(LABEL, Master, Slave, launch_slaves=1)
        """,
    ).good()
    assert job.out.count("printed by a slave") == 1
    assert job.err.count("warned by a slave") == 1


def test_a_slave_that_floods_its_output(desk: Desk) -> None:
    """Megabytes on stdout and stderr do not stop it."""
    job = desk.python(
        "job.py",
        """
        class Master(MasterProcess):
            def run(self):
                self.requestTask("flood")
                print(f"done {self.retrieveResult()[2]}")
        class Slave(SlaveProcess):
            def do_flood(self):
                for _ in range(200):
                    sys.stderr.write("x" * 10_000)
                    sys.stdout.write("y" * 10_000)
                sys.stderr.write("\\n")
                print()
                return 1
        runJob(LABEL, Master, Slave, launch_slaves=1)
        """,
    ).good()
    assert "done 1" in job.out


def test_wrong_calls_are_explained(desk: Desk) -> None:
    """What a user may get wrong says what is right."""
    job = desk.python(
        "job.py",
        """
        master = initializeMasterProcess(LABEL)
        def attempt(call):
            try:
                print("no error:", call())
            except Exception as error:
                print(type(error).__name__, error)
        attempt(lambda: master.requestTask(5))
        attempt(lambda: master.requestTask(""))
        attempt(lambda: master.deleteGlobalState(7))
        attempt(lambda: master.launchSlaveJobs(-1))
        attempt(lambda: initializeMasterProcess("b", slave_script="a", slave_module="b"))
        attempt(lambda: SlaveProcess("no such label"))
        attempt(lambda: SlaveProcess(LABEL, "host:port"))
        attempt(lambda: startSlaveProcess())
        attempt(lambda: MasterProcess("c").start())
        """,
    ).good()
    told = job.lines
    assert not [line for line in told if line.startswith(("no error", "TypeError", "Attribute"))]
    for line, word in zip(
        told,
        ["tag", "tag", "7", "", "not both", "no such label", "host:port", "label", "run()"],
        strict=True,
    ):
        assert word in line


def test_a_guarded_job_is_explained(desk: Desk) -> None:
    """`if __name__ == "__main__": runJob(...)` cannot work as published: the error says why."""
    job = desk.python(
        "job.py",
        """
        class Master(MasterProcess):
            def run(self):
                print("never")
        if __name__ == "__main__":
            runJob(LABEL, Master, SlaveProcess, launch_slaves=1)
        """,
    )
    assert job.status() == 1
    assert job.out == ""
    last = job.err.splitlines()[-1]
    assert "__main__" in last or "runJob" in last, last


def test_a_result_that_cannot_be_rebuilt(desk: Desk) -> None:
    """The task fails and says why; the master goes on."""
    job = desk.python(
        "job.py",
        """
        class Bad:
            def __setstate__(self, state):
                raise RuntimeError("not here")
        class Master(MasterProcess):
            def run(self):
                for _ in range(2):
                    self.requestTask("bad")
                    try:
                        print(self.retrieveResult())
                    except TaskRaisedException as failed:
                        print(failed)
                state = self.setGlobalState(bad=Good())
                self.requestTask("take", GlobalStateValue(state, "bad"))
                try:
                    print(self.retrieveResult())
                except TaskRaisedException as failed:
                    print(failed)
        class Good:
            def __reduce__(self):
                return fail, ()
        def fail():
            raise RuntimeError("not there")
        class Slave(SlaveProcess):
            def do_bad(self):
                bad = Bad()
                bad.x = 1
                return bad
            def do_take(self, value):
                return value
        runJob(LABEL, Master, Slave, launch_slaves=1)
        """,
    ).good()
    assert job.out.count("RuntimeError: not here") >= 2
    assert "RuntimeError: not there" in job.out
    assert job.out.count("task take_2 raised") == 1


def test_the_task_managers_debug_switch(desk: Desk) -> None:
    """It traces the calls, on stderr."""
    job = desk.python(
        "job.py",
        """
        from Scientific.DistributedComputing import TaskManager as module
        module.debug = True
        manager = module.TaskManager()
        manager.registerProcess(info="somebody")
        task_id = manager.addTaskRequest("t", ())
        manager.getAnyTask()
        manager.terminate()
        """,
    ).good()
    assert "process 0 registered: somebody" in job.err
    assert "t_0 handed out" in job.err


def test_many_tasks_of_every_size(desk: Desk) -> None:
    """From nothing to several megabytes, mixed; large results and parameters alike."""
    job = desk.python(
        "job.py",
        """
        import random
        class Master(MasterProcess):
            def run(self):
                rng = random.Random(5)
                sizes = [0, 1, 5_000_000, *(int(10 ** rng.uniform(0, 6)) for _ in range(60))]
                ids = {self.requestTask("turn", bytes(n), n): n for n in sizes}
                for _ in sizes:
                    task_id, _, (got, back) = self.retrieveResult()
                    assert got == ids.pop(task_id) and back == b"1" * got
                print("all right")
        class Slave(SlaveProcess):
            def do_turn(self, data, n):
                assert len(data) == n
                return n, b"1" * n
        runJob(LABEL, Master, Slave, launch_slaves=2)
        """,
    ).good()
    assert job.lines == ["all right"]
