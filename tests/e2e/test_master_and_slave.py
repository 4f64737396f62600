"""Each row of the table of `MasterSlave`, in one job of one script, and a few of their own."""

from __future__ import annotations

import os
import platform
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from e2e.desk import desk_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.desk import Desk

FACTS = """
import json, socket, pickle

facts = {}
unpickled = []

class Costly:
    def __init__(self, value):
        self.value = value
    def __setstate__(self, state):
        self.__dict__.update(state)
        unpickled.append(os.getpid())

class Master(MasterProcess):
    def run(self):
        facts["label"] = self.label
        facts["process_id"] = self.process_id
        facts["port"] = self.pyro_daemon.port
        facts["pyro_ns"] = repr(self.pyro_ns)
        facts["states before"] = dict(self.global_states)
        ids = [self.requestTask("echo", n) for n in range(20)]
        facts["ids"] = ids
        got = [self.retrieveResult() for _ in ids]
        facts["echoes"] = sorted(got)
        facts["by tag"] = self.by_tag()
        facts["threads"] = self.by_threads()
        facts["again"] = (self.requestTask("echo", "again"), self.retrieveResult("echo"))
        facts["states"] = self.with_states()
        facts["failure"] = self.failure()
        self.requestTask("self")
        facts["slave"] = self.retrieveResult("self")[2]
        facts["processes"] = self.task_manager.numberOfActiveProcesses()
        facts["info"] = self.task_manager.activeProcessInfo(self.process_id)
        facts["getMachineInfo"] = getMachineInfo()
        facts["counts"] = self.task_manager.numberOfTasks()
        self.shutdown()
        facts["after"] = self.retrieveResult(), self.retrieveResult("echo")
        self.shutdown()
        try:
            self.requestTask("echo", 1)
        except TaskManagerTermination as error:
            facts["request after"] = str(error)

    def by_tag(self):
        for n in range(3):
            self.requestTask("echo", n)
            self.requestTask("double", n)
        doubles = sorted(self.retrieveResult("double")[2] for n in range(3))
        return doubles, sorted(self.retrieveResult("echo")[2] for n in range(3))

    def by_threads(self):
        def ask():
            for n in range(25):
                self.requestTask("echo", n)
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for t in threads: t.start()
        got = [self.retrieveResult("echo") for _ in range(100)]
        for t in threads: t.join()
        return len({task_id for task_id, _, _ in got}), sum(r for _, _, r in got)

    def with_states(self):
        first = self.setGlobalState(costly=Costly(42), other="x")
        second = self.setGlobalState(costly=Costly(43))
        told = {"ids": [first, second], "kept": {k: list(v) for k, v in self.global_states.items()}}
        for _ in range(10):
            self.requestTask("costly", GlobalStateValue(first, "costly"))
        told["values"] = [self.retrieveResult("costly")[2] for _ in range(10)]
        self.requestTask("costly", GlobalStateValue(second, "costly"))
        told["second"] = self.retrieveResult("costly")[2]
        other = GlobalStateValue(first, "other")
        self.requestTask("nested", [other, {"k": other}])
        told["nested"] = self.retrieveResult("nested")[2]
        self.deleteGlobalState(first)
        told["kept after"] = {k: list(v) for k, v in self.global_states.items()}
        self.requestTask("echo", 0)
        self.retrieveResult("echo")
        self.requestTask("costly", GlobalStateValue(first, "costly"))
        try:
            told["deleted"] = self.retrieveResult("costly")
        except TaskRaisedException as failed:
            told["deleted"] = str(failed.exception)
        told["third"] = self.setGlobalState(costly=Costly(44))
        try:
            self.deleteGlobalState(first)
        except Exception as error:
            told["twice"] = type(error).__name__ + ": " + str(error)
        return told

    def failure(self):
        task_id = self.requestTask("divide", 1, 0)
        try:
            self.retrieveResult("divide")
        except TaskRaisedException as failed:
            return {"asked": task_id, "task_id": failed.task_id, "tag": failed.tag,
                    "zero": isinstance(failed.exception, ZeroDivisionError),
                    "args": list(failed.exception.args),
                    "traceback": failed.traceback, "str": str(failed)}

class Slave(SlaveProcess):
    def do_echo(self, value):
        return value
    def do_double(self, value):
        return 2 * value
    def do_costly(self, costly):
        return costly.value, len(unpickled)
    def do_nested(self, nested):
        return nested
    def do_divide(self, a, b):
        return a / b
    def do_self(self):
        return {"process_id": self.process_id, "watchdog_period": self.watchdog_period,
                "label": self.label, "pid": os.getpid(), "info": getMachineInfo(),
                "processes": self.task_manager.numberOfActiveProcesses(),
                "mine": self.task_manager.activeProcessInfo(self.process_id)}

runJob(LABEL, Master, Slave, watchdog_period=30.0, launch_slaves=1)
if facts:
    with socket.socket() as s:
        s.bind(("127.0.0.1", facts["port"]))
    facts["port is free"] = True
    facts["ended"] = "after runJob"
    print(json.dumps(facts, default=str))
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One job that has gone through everything."""
    with desk_at(tmp_path_factory.mktemp("facts"), "facts of a job") as desk:
        yield desk


@pytest.fixture(scope="module")
def facts(job: Desk) -> dict[str, Any]:
    """What the job has found."""
    running = job.python("facts.py", FACTS).good()
    found: dict[str, Any] = running.result
    return found


def test_the_master_has_the_published_attributes(facts: dict[str, Any]) -> None:
    """Programs read label, process_id, pyro_daemon.port, pyro_ns, global_states."""
    assert facts["label"] == "facts of a job"
    assert isinstance(facts["process_id"], int)
    assert 1023 < facts["port"] < 65536
    assert facts["states before"] == {}
    assert "pyro_ns" in facts


def test_ids_begin_with_the_tag_and_are_unique(facts: dict[str, Any]) -> None:
    """`requestTask` returns a text."""
    assert len(set(facts["ids"])) == 20
    assert all(task_id.startswith("echo") for task_id in facts["ids"])


def test_every_result_comes_with_its_id_and_tag(facts: dict[str, Any]) -> None:
    """Ids, tags and values belong together."""
    assert sorted([i, "echo", n] for n, i in enumerate(facts["ids"])) == facts["echoes"]


def test_results_can_be_taken_by_tag(facts: dict[str, Any]) -> None:
    """Results of other tags stay where they are."""
    assert facts["by tag"] == [[0, 2, 4], [0, 1, 2]]


def test_any_thread_may_ask_at_any_time(facts: dict[str, Any]) -> None:
    """Four threads ask while the main thread waits; and more is asked for afterwards."""
    assert facts["threads"] == [100, 4 * sum(range(25))]
    task_id, found = facts["again"]
    assert found == [task_id, "echo", "again"]


def test_states_have_ids_that_count_up(facts: dict[str, Any]) -> None:
    """1, 2, 3; also after one was deleted."""
    states = facts["states"]
    assert states["ids"] == [1, 2]
    assert states["third"] == 3
    assert states["kept"] == {"1": ["costly", "other"], "2": ["costly"]}
    assert states["kept after"] == {"2": ["costly"]}


def test_a_state_is_fetched_once_per_process(facts: dict[str, Any]) -> None:
    """Ten tasks, one value, unpickled once; the second state's value is its own."""
    assert facts["states"]["values"] == [[42, 1]] * 10
    assert facts["states"]["second"] == [43, 2]


def test_a_state_value_stands_for_the_value_where_it_is_nested(facts: dict[str, Any]) -> None:
    """In lists and dictionaries as well."""
    assert facts["states"]["nested"] == ["x", {"k": "x"}]


def test_a_deleted_state_is_gone_in_the_slaves(facts: dict[str, Any]) -> None:
    """A task that refers to it fails and says why; deleting it again says so as well."""
    assert "state 1" in facts["states"]["deleted"]
    assert "deleted" in facts["states"]["deleted"]
    assert "state 1" in facts["states"]["twice"]


def test_a_failure_has_the_published_attributes(facts: dict[str, Any]) -> None:
    """task_id, tag, exception (the original object), traceback (text)."""
    failure = facts["failure"]
    assert failure["task_id"] == failure["asked"]
    assert failure["tag"] == "divide"
    assert failure["zero"]
    assert failure["args"] == ["division by zero"]
    assert "in do_divide" in failure["traceback"]
    assert "return a / b" in failure["traceback"]
    assert failure["traceback"].count("File ") == 1, "frames that are not the user's"


def test_the_text_of_a_failure_tells_all(facts: dict[str, Any]) -> None:
    """Task, exception, slave, traceback."""
    text = facts["failure"]["str"]
    assert facts["failure"]["asked"] in text
    assert "ZeroDivisionError: division by zero" in text
    assert str(facts["slave"]["pid"]) in text
    assert platform.node() in text
    assert "in do_divide" in text


def test_the_slave_has_the_published_attributes(facts: dict[str, Any]) -> None:
    """process_id, watchdog_period, task_manager (connected)."""
    slave = facts["slave"]
    assert isinstance(slave["process_id"], int)
    assert slave["process_id"] != facts["process_id"]
    assert slave["watchdog_period"] == 30.0
    assert slave["label"] == "facts of a job"
    assert slave["processes"] == 2
    assert slave["mine"] == slave["info"]


def test_machine_info_is_one_line(facts: dict[str, Any]) -> None:
    """Process id, host name, machine type."""
    info = facts["slave"]["info"]
    assert "\n" not in info
    assert re.search(rf"\b{facts['slave']['pid']}\b", info)
    assert platform.node() in info
    assert os.uname().machine in info
    assert facts["info"] == facts["getMachineInfo"]


def test_the_task_manager_counts(facts: dict[str, Any]) -> None:
    """Master and one slave; nothing waits, runs, or is to be picked up."""
    assert facts["processes"] == 2
    assert facts["counts"] == [{}, {}, {}]


def test_after_shutdown_nothing_comes(facts: dict[str, Any]) -> None:
    """(None, None, None), a second shutdown does no harm, requests are refused, port is free."""
    assert facts["after"] == [[None, None, None]] * 2
    assert "over" in facts["request after"]
    assert facts["port is free"]


def test_the_slaves_have_ended_and_the_label_is_free(job: Desk, facts: dict[str, Any]) -> None:
    """When the master has ended there is nobody left, and no label."""
    job.nobody_left()
    assert "has ended" in _only_line(job.command("show", job.label), 3)


def _only_line(running: Any, status: int) -> str:
    assert running.status() == status
    assert len(running.err.splitlines()) == 1, running.err
    return str(running.err)


def test_debug_traces_both_sides(desk: Desk) -> None:
    """The module's switch shows on stderr what master and slave do."""
    running = desk.python(
        "traced.py",
        """
        import Scientific.DistributedComputing.MasterSlave as MasterSlave
        MasterSlave.debug = True
        class Master(MasterProcess):
            def run(self):
                task = self.requestTask("one")
                print(task, self.retrieveResult()[2])
        class Slave(SlaveProcess):
            def do_one(self):
                return os.getpid()
        runJob(LABEL, Master, Slave, launch_slaves=1)
        """,
    ).good()
    task_id, slave = running.out.split()
    traced = [line for line in running.err.splitlines() if str(slave) in line]
    assert f"requested task {task_id}" in running.err
    assert f"retrieved result of task {task_id}" in running.err
    assert any(task_id in line for line in traced), "the slave does not tell which tasks it does"


def test_start_shuts_down_also_when_run_raises(desk: Desk) -> None:
    """The error goes on, the status is not zero, the slaves end."""
    running = desk.python(
        "failing.py",
        """
        class Master(MasterProcess):
            def run(self):
                raise RuntimeError("no more")
        class Slave(SlaveProcess):
            pass
        try:
            runJob(LABEL, Master, Slave, launch_slaves=1)
        finally:
            again = MasterProcess(LABEL)  # free again, so it was shut down
            print("label is free")
        """,
    )
    assert running.status() == 1
    assert "label is free" in running.out
    assert "RuntimeError: no more" in running.err
    desk.nobody_left()


def test_a_slave_that_has_had_enough_ends_in_good_order(desk: Desk) -> None:
    """terminationTest is asked between tasks; what the slave holds goes to others."""
    master = desk.python(
        "tired.py",
        """
        import json
        class Master(MasterProcess):
            def run(self):
                ids = [self.requestTask("pid", n) for n in range(200)]
                got = [self.retrieveResult() for _ in ids]
                by_pid = {}
                for _, _, (pid, n) in got:
                    by_pid.setdefault(pid, []).append(n)
                print(json.dumps([sorted(len(v) for v in by_pid.values()),
                                  len({i for i, _, _ in got})]))
        class Slave(SlaveProcess):
            done = 0
            def do_pid(self, n):
                self.done += 1
                return os.getpid(), n
            def terminationTest(self):
                return self.done >= 7 and not said("tireless")
        runJob(LABEL, Master, Slave)
        """,
    )
    assert desk.slave().status() == 0
    census = desk.census()
    assert len(census["processes"]) == 1
    assert census["waiting"].get("pid", 0) == 193
    desk.write("tireless", "")
    desk.slave().good()
    assert master.good().result == [[7, 193], 200]


def test_a_slave_finds_functions_in_a_namespace(desk: Desk) -> None:
    """start(namespace) uses do_<tag> functions there instead of the methods."""
    master = desk.python(
        "master.py",
        """
        class Slave(SlaveProcess):
            def do_who(self):
                return "method"
            def processParameter(self, p):
                return "processed " + p if isinstance(p, str) else super().processParameter(p)
        if len(sys.argv) > 1:
            slave = Slave(LABEL, watchdog_period=None)
            slave.start({"do_who": lambda: "function", "do_param": lambda p: p, "do_nothing": 3})
            sys.exit()
        master = MasterProcess(LABEL)
        master.requestTask("who")
        print(master.retrieveResult()[2])
        state = master.setGlobalState(x=5)
        for parameter in "text", GlobalStateValue(state, "x"):
            master.requestTask("param", parameter)
            print(master.retrieveResult()[2])
        """,
    )
    desk.census()
    slave = desk.start("master.py", "slave")
    assert master.good().lines == ["function", "processed text", "5"]
    slave.good()


def test_master_host_finds_a_master_without_name_server(desk: Desk) -> None:
    """A host alone means port 7766, unless a notice is here; the master says its port."""
    master = desk.python(
        "master.py",
        """
        master = MasterProcess(LABEL, use_name_server=False)
        print(master.pyro_daemon.port)
        for n in "12":
            say("ready" + n)
            master.requestTask("who")
            print(master.retrieveResult()[2])
            wait_for("done" + n)
        """,
    )
    desk.script(
        "slave.py",
        """
        wait_for("ready" + sys.argv[2])
        def do_who():
            return sys.argv[1]
        startSlaveProcess(LABEL, master_host=sys.argv[1])
        """,
    )
    port = int(master.first_line())
    assert 7766 <= port <= 7866
    assert str(port) in master.err
    first = desk.start("slave.py", f"localhost:{port}", "1")
    master.says(f"localhost:{port}")
    first.signal(signal.SIGTERM)
    first.good()
    desk.write("done1", "")
    second = desk.start("slave.py", "127.0.0.1", "2")
    desk.write("done2", "")
    assert master.good().lines[1:] == [f"localhost:{port}", "127.0.0.1"]
    second.status()
