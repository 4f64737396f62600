"""`TaskManager.debug`: what processes ask for, get and deliver, on stderr."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from e2e.desk import Desk

SLAVE = """
def do_good(number):
    return number
def do_bad(number):
    return 1 / 0
startSlaveProcess()
"""
MASTER = """
import Scientific.DistributedComputing.TaskManager as module
SWITCH
master = initializeMasterProcess(LABEL, slave_script="slave.py")
SWITCH_LATE
master.launchSlaveJobs(1)
for tag in TAGS:
    master.requestTask(tag, 1)
for tag in TAGS:
    try:
        master.retrieveResult(tag)
    except TaskRaisedException:
        pass
master.shutdown()
"""


def traced(text: str) -> list[str]:
    """What it says, without the time and the process that says it."""
    found = re.findall(r"^\d+-\d+-\d+ \d+:\d+:\d+,\d+ \d+ (.*)$", text, re.MULTILINE)
    return [re.sub(r"pid \d+ on .*", "(info)", line) for line in found]


def script(on: bool, *tags: str, late: bool = False) -> str:
    text = MASTER.replace("TAGS", repr(tags))
    switch = f"module.debug = {on}"
    text = text.replace("SWITCH_LATE", switch if late else "")
    return text.replace("SWITCH", "" if late else switch)


@pytest.mark.parametrize("late", [False, True], ids=["at first", "later"])
def test_a_job_is_traced(desk: Desk, late: bool) -> None:
    """Each request, hand-out, outcome, and who comes and goes, by the ids that the program has."""
    desk.script("slave.py", SLAVE)
    job = desk.python("master.py", script(True, "good", "bad", late=late)).good()
    lines = [line for line in traced(job.err) if not line.startswith("process 0 ")]
    assert sorted(lines) == sorted(
        [
            "process 1 registered: (info)",
            "task good_0 requested",
            "task bad_1 requested",
            "task good_0 handed out to process 1",
            "task bad_1 handed out to process 1",
            "result of task good_0 stored by process 1",
            "exception of task bad_1 stored by process 1",
            "outcome of task good_0 retrieved",
            "outcome of task bad_1 retrieved",
            "process 1 unregistered",
        ]
    )
    place = lines.index
    handed = place("task bad_1 handed out to process 1")
    stored = place("exception of task bad_1 stored by process 1")
    assert handed < stored < place("outcome of task bad_1 retrieved")


def test_many_tasks_one_line_each(desk: Desk) -> None:
    """Also where they travel together."""
    desk.script("slave.py", SLAVE)
    job = desk.python("master.py", script(True, *["good"] * 300)).good()
    lines = traced(job.err)
    for told in ("requested", "handed out to process 1", "stored by process 1", "retrieved"):
        found = sorted(int(n) for n in re.findall(rf"task good_(\d+) {told}", "\n".join(lines)))
        assert found == list(range(300)), told


def test_switched_off_it_says_nothing(desk: Desk) -> None:
    desk.script("slave.py", SLAVE)
    job = desk.python("master.py", script(False, "good")).good()
    assert traced(job.err) == []


def test_a_task_manager_by_itself(desk: Desk) -> None:
    """Without a job, as other set-ups use it."""
    job = desk.python(
        "job.py",
        """
        from Scientific.DistributedComputing import TaskManager as module
        module.debug = True
        manager = module.TaskManager()
        me = manager.registerProcess(info="somebody")
        for number in range(3):
            manager.addTaskRequest("t", (number,))
        first, _ = manager.getTaskWithTag("t", me)
        manager.returnTask(first)
        for _ in range(2):
            manager.storeResult(manager.getAnyTask(me)[0], None)
        manager.storeException(manager.getAnyTask(me)[0], ValueError("x"), "")
        manager.getAnyResult()
        manager.unregisterProcess(me)
        """,
    ).good()
    lines = [line for line in traced(job.err) if "callers that named no process" not in line]
    assert lines == [
        "process 0 registered: somebody",
        "task t_0 requested",
        "task t_1 requested",
        "task t_2 requested",
        "task t_0 handed out to process 0",
        "task t_0 returned",
        "task t_0 handed out to process 0",
        "result of task t_0 stored",
        "task t_1 handed out to process 0",
        "result of task t_1 stored",
        "task t_2 handed out to process 0",
        "exception of task t_2 stored",
        "outcome of task t_0 retrieved",
        "process 0 unregistered",
    ]


def test_further_tasks_are_traced(desk: Desk) -> None:
    """Those that a handler asks for, in the master's trace."""
    job = desk.python(
        "job.py",
        """
        import Scientific.DistributedComputing.TaskManager as module
        module.debug = True
        class Master(MasterProcess):
            def run(self):
                self.requestTask("outer", 2)
                self.retrieveResult("outer")
        class Slave(SlaveProcess):
            def do_outer(self, number):
                self.task_manager.addTaskRequest("inner", (number,))
                return self.task_manager.getResultWithTag("inner")
            def do_inner(self, number):
                return number
        runJob(LABEL, Master, Slave, launch_slaves=1)
        """,
    ).good()
    lines = traced(job.err)
    for told in ("requested", "handed out to process 1", "retrieved"):
        assert sum(f"task inner_1 {told}" in line for line in lines) == 1, told
