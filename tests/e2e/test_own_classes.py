"""Classes, functions and exceptions of the master's script are the other side's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from e2e.desk import Desk

CLASSES = """
import dataclasses, enum
from collections import namedtuple

class Point:
    made = 0
    def __init__(self, x):
        self.x = x
        Point.made += 1
    class Inner:
        def __init__(self, y):
            self.y = y

class Colour(enum.Enum):
    RED = 1

@dataclasses.dataclass(frozen=True)
class Record:
    point: Point
    colour: Colour = Colour.RED

Pair = namedtuple("Pair", "a b")

class Own(Exception):
    def __init__(self, text, code):
        super().__init__(text, code)
        self.code = code

class Derived(Own):
    pass

def double(x):
    return 2 * x

def check(got):
    point, inner, colour, record, pair, function, kind = got
    assert isinstance(point, Point), (type(point), Point)
    assert type(point) is Point and point.x == 3
    assert type(inner) is Point.Inner and inner.y == 4
    assert colour is Colour.RED
    assert type(record) is Record and record == Record(record.point), record
    assert type(record.point) is Point
    assert type(pair) is Pair and pair.a is Colour.RED
    assert function is double and function(4) == 8
    assert kind is Point
    return True

def make():
    pair = Pair(Colour.RED, 2)
    return [Point(3), Point.Inner(4), Colour.RED, Record(Point(1)), pair, double, Point]
"""

ASK = """
def ask(master):
    master.requestTask("check", make())
    checked, back = master.retrieveResult()[2]
    print("slave:", checked, "master:", check(back))
    for wanted in Derived, Own:
        master.requestTask("fail", wanted)
        try:
            master.retrieveResult("fail")
        except TaskRaisedException as failed:
            try:
                raise failed.exception
            except wanted as error:
                print(type(error) is wanted, error.code, error.args)
    master.requestTask("catch", Derived("from the master", 5))
    print(master.retrieveResult()[2])
    state = master.setGlobalState(points=[Point(3)])
    master.requestTask("state", GlobalStateValue(state, "points"))
    print(master.retrieveResult()[2])
    master.requestTask("call", double, 21)
    print(master.retrieveResult()[2])
    master.requestTask("call", lambda x: double(x) + 1, 21)
    print(master.retrieveResult()[2])
"""

HANDLERS = """
def do_check(got):
    return check(got), make()
def do_fail(kind):
    raise kind("from the slave", 7)
def do_catch(error):
    try:
        raise error
    except Own as caught:
        return type(caught) is Derived, caught.code
def do_state(points):
    return isinstance(points[0], Point)
def do_call(function, x):
    return function(x)
"""

RUN_JOB = """
class Master(MasterProcess):
    def run(self):
        ask(self)

class Slave(SlaveProcess):
    do_check = staticmethod(do_check)
    do_fail = staticmethod(do_fail)
    do_catch = staticmethod(do_catch)
    do_state = staticmethod(do_state)
    do_call = staticmethod(do_call)
"""

EXPECTED = [
    "slave: True master: True",
    "True 7 ('from the slave', 7)",
    "True 7 ('from the slave', 7)",
    "(True, 5)",
    "True",
    "42",
    "43",
]


@pytest.mark.parametrize("launched", [True, False])
def test_in_a_script_for_both_roles(desk: Desk, launched: bool) -> None:
    """`runJob`, with launched slaves and with `task_manager slave`."""
    body = CLASSES + ASK + HANDLERS + RUN_JOB
    body += f"runJob(LABEL, Master, Slave, launch_slaves={int(launched)})\n"
    master = desk.python("job.py", body)
    slaves = [] if launched else [desk.slave()]
    assert master.good().lines == EXPECTED
    assert all(slave.good() for slave in slaves)


@pytest.mark.parametrize("started", ["launched", "plain script"])
def test_in_two_scripts_that_define_the_same_classes(desk: Desk, started: str) -> None:
    """Each defines the classes; the slave's script comes from the master, or is started itself."""
    desk.script("slave.py", CLASSES + HANDLERS + "startSlaveProcess(LABEL)\n")
    begin = "master = initializeMasterProcess(LABEL, slave_script='slave.py')\n"
    if started == "launched":
        begin += "master.launchSlaveJobs()\n"
    master = desk.python("master.py", CLASSES + ASK + begin + "ask(master)\n")
    if started == "launched":
        assert master.good().lines == EXPECTED
        return
    desk.census()
    slave = desk.start("slave.py")
    assert master.good().lines == EXPECTED
    slave.good()


@pytest.mark.parametrize("launched", [True, False])
def test_in_a_module_of_a_package(desk: Desk, launched: bool) -> None:
    """`python -m package.module`, with relative imports."""
    desk.write("package/__init__.py", "")
    desk.write("package/inner/__init__.py", "")
    desk.write("package/inner/constants.py", "CODE = 7\n")
    desk.write("package/parts.py", "OTHER = 8\n")
    body = "from .constants import CODE\nfrom ..parts import OTHER\n"
    body += CLASSES + ASK + HANDLERS.replace("7)", "CODE)") + RUN_JOB
    body += f"runJob(LABEL, Master, Slave, launch_slaves={int(launched)})\n"
    desk.script("package/inner/job.py", body)
    master = desk.start("-m", "package.inner.job")
    slaves = [] if launched else [desk.slave()]
    assert master.good().lines == EXPECTED
    assert all(slave.good() for slave in slaves)


def test_in_the_main_of_a_package(desk: Desk) -> None:
    """`python -m package`, which is `package/__main__.py`."""
    desk.write("package/__init__.py", "")
    body = CLASSES + ASK + HANDLERS + RUN_JOB + "runJob(LABEL, Master, Slave, launch_slaves=1)\n"
    desk.script("package/__main__.py", body)
    assert desk.start("-m", "package").good().lines == EXPECTED


def without_file() -> str:
    """A program that nobody can read: functions travel by value, each time as a new one."""
    body = CLASSES + ASK + HANDLERS + RUN_JOB + "runJob(LABEL, Master, Slave, launch_slaves=1)\n"
    return body.replace("function is double and ", "")


def test_in_a_program_on_standard_input(desk: Desk) -> None:
    """`python - < script`: there is no file, so the slave class travels by value."""
    body = without_file()
    with desk.script("job.py", body).open("rb") as script:
        master = desk.start("-", stdin=script)
    assert master.good().lines == EXPECTED


def test_in_a_program_on_the_command_line(desk: Desk) -> None:
    """`python -c "..."`, as well."""
    text = desk.script("job.py", without_file()).read_text()
    assert desk.start("-c", text).good().lines == EXPECTED


def test_classes_of_an_imported_module_beside_the_script(desk: Desk) -> None:
    """The master's sys.path and script folder come along, wherever the slave is started."""
    desk.write("there/shared.py", "class Shared:\n    pass\n")
    desk.write("extra/more.py", "class More(Exception):\n    pass\n")
    (desk.folder / "there" / "gate.py").write_text((desk.folder / "gate.py").read_text())
    (desk.folder / "elsewhere").mkdir()
    script = desk.script(
        "there/job.py",
        """
        sys.path.append("extra")
        from more import More
        from shared import Shared
        class Master(MasterProcess):
            def run(self):
                self.requestTask("it", Shared())
                kind, back = self.retrieveResult()[2]
                print(kind, type(back) is Shared)
                self.requestTask("fail")
                try:
                    self.retrieveResult()
                except TaskRaisedException as failed:
                    print(type(failed.exception) is More)
        class Slave(SlaveProcess):
            def do_it(self, shared):
                return isinstance(shared, Shared), shared
            def do_fail(self):
                from more import More
                raise More
        runJob(LABEL, Master, Slave)
        """,
    )
    master = desk.start(script)
    slave = desk.command("-w", "slave", desk.label, folder=desk.folder / "elsewhere")
    assert master.good().lines == ["True True", "True"]
    slave.good()


def test_a_class_that_only_the_master_has(desk: Desk) -> None:
    """It travels by value, and comes back as the master's own."""
    desk.script(
        "slave.py",
        """
        def do_touch(thing):
            thing.touched = thing.name()
            return thing
        startSlaveProcess()
        """,
    )
    master = desk.python(
        "master.py",
        """
        class Thing:
            def name(self):
                return type(self).__name__ + " in " + str(os.getpid())
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        master.launchSlaveJobs()
        master.requestTask("touch", Thing())
        back = master.retrieveResult()[2]
        print(type(back) is Thing, back.touched.startswith("Thing in"))
        """,
    )
    assert master.good().out == "True True\n"


def test_an_exception_that_only_the_slave_has(desk: Desk) -> None:
    """It arrives in some form that tells name and text; the master lives."""
    desk.script(
        "slave.py",
        """
        class Strange(Exception):
            pass
        class Unbuildable(Exception):
            def __init__(self, a, b):
                super().__init__("one argument")
        def do_fail(n):
            raise Strange("so strange") if n else Unbuildable(1, 2)
        startSlaveProcess()
        """,
    )
    master = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        master.launchSlaveJobs()
        for n in 1, 0:
            master.requestTask("fail", n)
            try:
                master.retrieveResult()
            except TaskRaisedException as failed:
                print(str(failed).splitlines()[0])
        """,
    )
    lines = master.good().lines
    assert "Strange: so strange" in lines[0]
    assert "Unbuildable: one argument" in lines[1]


@pytest.mark.parametrize("has_file", [True, False], ids=["script", "standard input"])
def test_the_watchdog_period_of_a_job(desk: Desk, has_file: bool) -> None:
    """`runJob(..., watchdog_period=7)` reaches the slaves, whatever the program is."""
    path = desk.script(
        "job.py",
        """
        class Master(MasterProcess):
            def run(self):
                self.requestTask("period")
                print(self.retrieveResult()[2])
        class Slave(SlaveProcess):
            def do_period(self):
                return self.watchdog_period
        runJob(LABEL, Master, Slave, watchdog_period=7.0, launch_slaves=1)
        """,
    )
    with path.open("rb") as script:
        job = desk.start(path) if has_file else desk.start("-", stdin=script)
    assert job.good().out == "7.0\n"
