"""Programs as they were written between 2005 and 2012, after what Python 3 asks of them."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from e2e.desk import Desk

ECHO = "def do_a(number):\n    return number\ndef do_b(number):\n    return -number\n"


def test_one_script_whose_role_is_an_argument(desk: Desk) -> None:
    """Before there was `runJob`: classes whose constructors take nothing, one word says which."""
    script = desk.script(
        "demo.py",
        """
        class Master(MasterProcess):
            def __init__(self):
                MasterProcess.__init__(self, LABEL)
                print("there", flush=True)
            def run(self):
                for i in range(5):
                    self.requestTask("sqrt", float(i))
                for i in range(5):
                    print(self.retrieveResult("sqrt")[2])
        class SquareRoot(SlaveProcess):
            def __init__(self):
                SlaveProcess.__init__(self, LABEL)
            def do_sqrt(self, x):
                return x, x ** 0.5
        if sys.argv[1] == "master":
            Master().start()
        else:
            SquareRoot().start()
        """,
    )
    master = desk.start(script, "master")
    master.says("there")
    slave = desk.start(script, "slave")
    assert sorted(master.good().lines[1:])[4] == "(4.0, 2.0)"
    slave.good()


def test_a_library_that_makes_the_master_when_it_is_imported(desk: Desk) -> None:
    """As for crystallography: slaves from a module of the package, a method that is exchanged."""
    desk.write("toolkit/__init__.py", "")
    desk.write("toolkit/kernel.py", "def factor(values, scale):\n    return sum(values) * scale\n")
    desk.write(
        "toolkit/slaves.py",
        """
        from toolkit.kernel import factor
        def do_factor(first, last, values, scale):
            return factor(values, scale)
        def do_part(first, last, values, scale):
            return first, last, [value * scale for value in values]
        """,
    )
    desk.write(
        "toolkit/model.py",
        """
        class Model:
            def __init__(self, size):
                self.size = size
            def evaluate(self):
                raise NotImplementedError
        """,
    )
    desk.write(
        "toolkit/distributed.py",
        """
        import os
        from Scientific.DistributedComputing.MasterSlave import (
            GlobalStateValue, TaskRaisedException, initializeMasterProcess)
        from toolkit.model import Model
        tasks = initializeMasterProcess(LABEL, slave_module="toolkit.slaves")
        if int(os.environ.get("TOOLKIT_PROCESSES", 0)) > 0:
            tasks.launchSlaveJobs(int(os.environ["TOOLKIT_PROCESSES"]))
        def evaluate(self):
            state = tasks.setGlobalState(scale=2)
            task_ids, total, parts = [], 0, [None] * self.size
            for first in range(0, self.size, 3):
                for tag in "factor", "part":
                    values = list(range(first, first + 3))
                    scale = GlobalStateValue(state, "scale")
                    task_ids.append(tasks.requestTask(tag, first, first + 3, values, scale))
            while task_ids:
                task_id, tag, result = tasks.retrieveResult()
                task_ids.remove(task_id)
                if tag == "factor":
                    total += result
                else:
                    parts[result[0] : result[1]] = result[2]
            tasks.deleteGlobalState(state)
            return total, parts
        Model.evaluate = evaluate
        """,
    )
    program = desk.write(
        "refine.py",
        """
        import toolkit.distributed
        from toolkit.model import Model
        for _ in range(20):
            found = Model(9).evaluate()
        print(found)
        """,
    )
    done = desk.start(program, TOOLKIT_PROCESSES="2").good()
    assert done.lines == ["(72, [0, 2, 4, 6, 8, 10, 12, 14, 16])"]


ANALYSIS = """
import os, subprocess, sys
import Pyro5.api, Pyro5.errors
from Scientific.DistributedComputing.MasterSlave import GlobalStateValue, initializeMasterProcess
NAME_SERVER = "from Pyro5.nameserver import main; main([])"
class Analysis:
    def __init__(self, frames):
        self.frames, self.found, self.log = frames, {}, open(os.devnull)
    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "log"}
    def calc(self, frame, trajectory):
        return frame, (trajectory, frame * frame)
    def set_up_name_server(self):
        try:
            Pyro5.api.locate_ns(broadcast=False)
            return None
        except Pyro5.errors.NamingError:
            server = subprocess.Popen([sys.executable, "-O", "-c", NAME_SERVER],
                                      stdout=subprocess.PIPE)
        while True:
            try:
                Pyro5.api.locate_ns(broadcast=False)
                return server
            except Pyro5.errors.NamingError:
                pass
    def run(self, label, way):
        server = self.set_up_name_server()
        module = "analysis.slave" if way == "cluster" else None
        tasks = initializeMasterProcess(label, slave_module=module)
        print(tasks.pyro_ns is not None)
        tasks.setGlobalState(analysis=self)
        for frame in range(self.frames):
            tasks.requestTask("calc", GlobalStateValue(1, "analysis"), frame, "traj.nc")
        script = os.path.join(os.path.dirname(__file__), "slave.py")
        command = {"here": [sys.executable, script, label],
                   "cluster": [sys.executable, "-m", "masterworker.cli", "slave", label]}[way]
        slaves = [subprocess.Popen(command) for _ in range(2)]
        for _ in range(self.frames):
            task_id, tag, (frame, x) = tasks.retrieveResult("calc")
            self.found[frame] = x
        tasks.shutdown()
        print([slave.wait() for slave in slaves], len(self.found))
        if server is not None:
            server.terminate(); server.wait(); server.stdout.close()
"""


@pytest.mark.parametrize("way", ["here", "cluster"])
def test_an_analysis_that_brings_its_name_server(desk: Desk, way: str) -> None:
    """It looks for one, starts one where there is none, and dispatches itself as a state."""
    desk.write("analysis/__init__.py", ANALYSIS)
    desk.script(
        "analysis/slave.py",
        """
        def do_calc(analysis, frame, trajectory):
            return analysis.calc(frame, trajectory)
        if len(sys.argv) > 1:
            startSlaveProcess(sys.argv[1])
        """,
    )
    program = desk.write(
        "run.py",
        f"""
        from analysis import Analysis
        Analysis(40).run(LABEL + "_user_Sun_Nov_22_13:52:16_2009", {way!r})
        """,
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"PYRO_NS_PORT": str(port), "PYTHONPATH": str(desk.folder)}
    assert desk.start(program, **env).good().lines == ["True", "[0, 0] 40"]


def test_ctrl_c_is_handled_by_the_program(desk: Desk) -> None:
    """As for graph clustering: the handler shuts the job down, closes files, and exits."""
    desk.script("slave.py", ECHO + "startSlaveProcess()\n")
    job = desk.python(
        "job.py",
        """
        def signal_handler(number, frame):
            print("You pressed Ctrl+C!")
            tasks.shutdown()
            out_file.close()
            print("closed", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGINT, signal_handler)
        out_file = open("out", "w")
        tasks = initializeMasterProcess(LABEL, slave_script="slave.py", use_name_server=True)
        tasks.launchSlaveJobs(2)
        tasks.requestTask("a", 1)
        tasks.retrieveResult()
        print("waits", flush=True)
        tasks.retrieveResult("a")
        """,
    )
    job.says("waits")
    job.signal(signal.SIGINT)
    assert job.good().lines[-2:] == ["You pressed Ctrl+C!", "closed"]
    desk.nobody_left()


def test_results_until_there_are_none(desk: Desk) -> None:
    """A loop that ends with (None, None, None), when another thread has ended the job."""
    desk.script("slave.py", ECHO + "startSlaveProcess()\n")
    job = desk.python(
        "job.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        master.launchSlaveJobs(1)
        for number in range(10):
            master.requestTask("a", number)
        found = []
        def end():
            while len(found) < 10:
                threading.Event().wait(0.01)
            master.shutdown()
        thread = threading.Thread(target=end)
        thread.start()
        while True:
            task_id, tag, result = master.retrieveResult()
            if task_id is None:
                break
            found.append(result)
        thread.join()
        print(sorted(found))
        again = initializeMasterProcess(LABEL)
        print(again.requestTask("a", 1))
        """,
    )
    assert job.good().lines == [str(list(range(10))), "a_0"]


def test_results_by_tag_in_several_threads(desk: Desk) -> None:
    """One consumer for each tag; failures are raised where their tag is waited for."""
    desk.script("slave.py", ECHO + "def do_bad(n):\n    raise KeyError(n)\nstartSlaveProcess()\n")
    job = desk.python(
        "job.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py", use_name_server=False)
        master.launchSlaveJobs(n=2, port=master.pyro_daemon.port)
        found = {"a": [], "b": [], "bad": []}
        def consume(tag):
            for _ in range(30):
                try:
                    found[tag].append(master.retrieveResult(tag)[2])
                except TaskRaisedException as failed:
                    found[tag].append(failed.exception.args[0])
        threads = [threading.Thread(target=consume, args=(tag,)) for tag in found]
        for thread in threads: thread.start()
        for number in range(30):
            for tag in found: master.requestTask(tag, number)
        for thread in threads: thread.join()
        print(all(sorted(map(abs, got)) == list(range(30)) for got in found.values()))
        """,
    )
    assert job.good().lines == ["True"]


def test_a_program_that_looks_how_far_it_is(desk: Desk) -> None:
    """It counts by `numberOfTasks` until all is there, and picks up then."""
    desk.script("slave.py", ECHO + "startSlaveProcess()\n")
    job = desk.python(
        "job.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        master.launchSlaveJobs(2)
        manager = master.task_manager
        for number in range(20):
            master.requestTask("a", number)
        while manager.numberOfTasks()[2].get("a", 0) < 20:
            threading.Event().wait(0.01)
        print(*manager.numberOfTasks(), manager.numberOfActiveProcesses())
        print(sorted(master.retrieveResult("a")[2] for _ in range(20)) == list(range(20)))
        print(manager.activeProcessInfo(master.process_id) == getMachineInfo())
        """,
    )
    assert job.good().lines == ["{} {} {'a': 20} 3", "True", "True"]


def test_attributes_that_are_no_handlers(desk: Desk) -> None:
    """A name that begins with `do_` may be a switch or a list; others are anything callable."""
    job = desk.python(
        "job.py",
        """
        class Master(MasterProcess):
            def run(self):
                for tag in "abcd":
                    self.requestTask(tag, 3)
                print([self.retrieveResult(tag)[2] for tag in "abcd"])
                self.requestTask("plots", 3)
                while "plots" not in self.task_manager.numberOfTasks()[0]:
                    threading.Event().wait(0.01)
        class Base(SlaveProcess):
            do_plots = True
            do_list = ["x"]
            def do_a(self, x): return x
        class Slave(Base):
            @staticmethod
            def do_b(x): return x * 2
            @classmethod
            def do_c(cls, x): return cls.__name__
            do_d = lambda self, x: -x
        runJob(LABEL, Master, Slave, launch_slaves=1)
        """,
    )
    assert job.good().lines == ["[3, 6, 'Slave', -3]"]


LOCAL = """
def main():
    def do_a(n): return n
    def do_b(n): return -n
    SlaveProcess(LABEL).start(locals())
main()
"""
ASSIGNED = """
import handlers
from functools import partial
do_a = partial(handlers.do_a)
do_b = lambda n: -n
do_not = False
import Scientific.DistributedComputing.MasterSlave as MS
MS.startSlaveProcess(LABEL)
"""
#: The last lines of slave scripts, and what they are told on their command lines.
LAST_LINES = {
    "label": ("from handlers import *\nstartSlaveProcess(LABEL)", []),
    "keywords": (
        "from handlers import do_a, do_b\nstartSlaveProcess(label=LABEL, master_host='localhost')",
        [],
    ),
    "arguments": ("from handlers import *\nstartSlaveProcess(*sys.argv[1:])", ["LABEL", "PLACE"]),
    "in a function": (
        "from handlers import *\ndef main():\n    startSlaveProcess(LABEL)\nmain()",
        [],
    ),
    "a namespace": ("from handlers import *\nSlaveProcess(LABEL).start(globals())", []),
    "local functions": (LOCAL, []),
    "assigned": (ASSIGNED, []),
}


def test_plain_slaves_of_every_kind(desk: Desk) -> None:
    """All of them together serve one job, and end with it."""
    desk.write("handlers.py", ECHO)
    master = desk.python(
        "job.py",
        f"""
        master = initializeMasterProcess(LABEL, use_name_server=False)
        print(master.pyro_daemon.port, flush=True)
        wait_for_slaves(master, {len(LAST_LINES)})
        for number in range(40):
            master.requestTask("ab"[number % 2], number)
        print(sorted(abs(master.retrieveResult()[2]) for _ in range(40)) == list(range(40)))
        """,
    )
    place = f"localhost:{master.first_line()}"
    slaves = []
    for number, (text, words) in enumerate(LAST_LINES.values()):
        script = desk.script(f"slave{number}.py", text + "\n")
        told = {"LABEL": desk.label, "PLACE": place}
        slaves.append(desk.start(script, *[told[word] for word in words]))
    assert master.good().lines[1:] == ["True"]
    for slave in slaves:
        assert slave.good().out + slave.complaints == ""


def test_files_beside_the_program(desk: Desk) -> None:
    """A slave works where the master was started, whatever the master does afterwards."""
    desk.write("data.txt", "hello")
    desk.write("programs/helper.py", "X = 5\n")
    desk.write(
        "programs/slave.py",
        """
        from Scientific.DistributedComputing.MasterSlave import startSlaveProcess
        import helper
        file = open("data.txt")
        def do_read():
            file.seek(0)
            return file.read(), helper.X
        startSlaveProcess()
        """,
    )
    job = desk.write(
        "programs/master.py",
        """
        import os
        from Scientific.DistributedComputing.MasterSlave import initializeMasterProcess
        master = initializeMasterProcess(LABEL, slave_script="programs/slave.py")
        os.chdir("/")
        master.launchSlaveJobs(1)
        for _ in range(2):
            master.requestTask("read")
            print(master.retrieveResult()[2])
        """,
    )
    assert desk.start(job).good().lines == ["('hello', 5)"] * 2
