"""Handlers that split their work into further tasks, with one slave alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from e2e.desk import Desk

METHODS = """
class Master(MasterProcess):
    def run(self):
        for n in 5, 8:
            self.requestTask("sum", 0, n)
        print(sorted(self.retrieveResult("sum")[2] for _ in range(2)))

class Slave(SlaveProcess):
    def do_sum(self, low, high):
        if high - low == 1:
            return low
        middle = (low + high) // 2
        tm = self.task_manager
        tag = f"part_{low}_{high}_{os.getpid()}"
        for a, b in (low, middle), (middle, high):
            tm.addTaskRequest("part", (tag, a, b), self.process_id)
        return sum(tm.getResultWithTag("part")[1][1] for _ in range(2))
    def do_part(self, tag, low, high):
        return tag, sum(range(low, high))

runJob(LABEL, Master, Slave, launch_slaves=1)
"""

FUNCTIONS = """
from masterworker import current_worker
def do_sum(low, high):
    tm = current_worker().task_manager
    ids = {tm.addTaskRequest("part", (n,)) for n in range(low, high)}
    total = 0
    while ids:
        task_id, result = tm.getResultWithTag("part")
        ids.remove(task_id)
        total += result
    return total
def do_part(n):
    return n
if __name__ == "__main__":
    master = initializeMasterProcess(LABEL, slave_script="job.py")
    master.launchSlaveJobs()
    for n in 5, 8:
        master.requestTask("sum", 0, n)
        print(master.retrieveResult("sum")[2])
else:
    startSlaveProcess()
"""


def test_a_method_waits_for_further_tasks(desk: Desk) -> None:
    """Through self.task_manager."""
    assert desk.python("job.py", METHODS).good().lines == ["[10, 28]"]


def test_a_function_waits_for_further_tasks(desk: Desk) -> None:
    """Through masterworker.current_worker().task_manager."""
    assert desk.python("job.py", FUNCTIONS).good().lines == ["10", "28"]


def test_the_new_way_of_a_function(desk: Desk) -> None:
    """current_worker().request_task and .retrieve_result, several levels deep."""
    job = desk.python(
        "job.py",
        """
        from masterworker import current_worker
        def level(n):
            if n == 0:
                return [0]
            worker = current_worker()
            worker.request_task(f"level{n - 1}", n - 1)
            return [*worker.retrieve_result(f"level{n - 1}")[2], n]
        for n in range(9):
            globals()[f"do_level{n}"] = level
        if __name__ == "__main__":
            master = initializeMasterProcess(LABEL, slave_script="job.py")
            master.launchSlaveJobs()
            master.requestTask("level8", 8)
            print(master.retrieveResult("level8")[2])
        else:
            startSlaveProcess()
        """,
    )
    assert job.good().lines == ["[0, 1, 2, 3, 4, 5, 6, 7, 8]"]


def test_a_further_task_that_fails(desk: Desk) -> None:
    """The waiting handler gets the exception; what it does not catch is its own failure."""
    job = desk.python(
        "job.py",
        """
        class Master(MasterProcess):
            def run(self):
                for careful in True, False:
                    self.requestTask("outer", careful)
                    try:
                        print(self.retrieveResult("outer")[2])
                    except TaskRaisedException as failed:
                        print(failed.tag, type(failed.exception).__name__, failed)
        class Slave(SlaveProcess):
            def do_outer(self, careful):
                tm = self.task_manager
                tm.addTaskRequest("inner", ())
                try:
                    return tm.getResultWithTag("inner")
                except TaskRaisedException as failed:
                    if careful:
                        return "caught", failed.tag, repr(failed.exception)
                    raise
            def do_inner(self):
                return {}["nothing"]
        runJob(LABEL, Master, Slave, launch_slaves=1)
        """,
    ).good()
    assert job.lines[0] == "('caught', 'inner', \"KeyError('nothing')\")"
    assert job.lines[1].startswith("outer TaskRaisedException task outer_")
    assert "KeyError: 'nothing'" in job.out


@pytest.mark.parametrize("slaves", [1, 3])
def test_many_handlers_that_wait_at_once(desk: Desk, slaves: int) -> None:
    """Each takes back only what it asked for, by a tag of its own; nothing stands still."""
    job = desk.python(
        "job.py",
        f"""
        class Master(MasterProcess):
            def run(self):
                for n in range(12):
                    self.requestTask("outer", n)
                print(sum(self.retrieveResult("outer")[2] for _ in range(12)))
        class Slave(SlaveProcess):
            def do_outer(self, n):
                tm = self.task_manager
                tags = [f"inner{{k}}" for k in range(4)]
                for tag in tags:
                    tm.addTaskRequest(tag, (1,), self.process_id)
                return sum(tm.getResultWithTag(tag)[1] for tag in tags)
            def do_inner0(self, n):
                return n
            do_inner1 = do_inner2 = do_inner3 = do_inner0
        runJob(LABEL, Master, Slave, launch_slaves={slaves})
        """,
    )
    assert job.good().lines == ["48"]


def test_the_wait_of_a_handler_outlives_the_watchdog(desk: Desk) -> None:
    """Its heartbeat goes on meanwhile: nobody is lost."""
    job = desk.python(
        "job.py",
        """
        class Master(MasterProcess):
            def run(self):
                self.requestTask("outer")
                print(self.retrieveResult("outer")[2])
        class Slave(SlaveProcess):
            def do_outer(self):
                tm = self.task_manager
                tm.addTaskRequest("inner", ())
                return tm.getResultWithTag("inner")[1]
            def do_inner(self):
                threading.Event().wait(1.5)
                return "done"
        runJob(LABEL, Master, Slave, watchdog_period=0.2, launch_slaves=1)
        """,
    ).good()
    assert job.lines == ["done"]
    assert "lost" not in job.err
