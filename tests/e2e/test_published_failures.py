"""Exceptions under their published names: when they are caught, and when they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from e2e.desk import Desk

SLAVE = """
def do_divide(number):
    return 1 / number
def do_die():
    os.kill(os.getpid(), 9)
def do_further(number):
    from masterworker import current_worker
    current_worker().request_task("divide", number)
    return current_worker().retrieve_result("divide")[2]
def do_caught(number):
    from masterworker import current_worker
    current_worker().request_task("divide", number)
    try:
        return current_worker().retrieve_result("divide")
    except TaskRaisedException as failed:
        return failed.tag, str(failed.exception)
startSlaveProcess()
"""
MASTER = """
master = initializeMasterProcess(LABEL, slave_script="slave.py")
master.launchSlaveJobs(1)
"""
NAME = "Scientific.DistributedComputing.TaskManager.TaskRaisedException: task "


@pytest.mark.parametrize(
    "call",
    [
        "master.retrieveResult()",
        "master.retrieveResult('divide')",
        "master.task_manager.getAnyResult()",
        "master.task_manager.getResultWithTag('divide')",
    ],
)
def test_one_that_is_not_caught(desk: Desk, call: str) -> None:
    """Status 1; the last lines tell the cause and the slave's traceback."""
    desk.script("slave.py", SLAVE)
    master = desk.python("master.py", MASTER + f"master.requestTask('divide', 0)\n{call}\n")
    assert master.status() == 1
    (line,) = [line for line in master.err.splitlines() if line.startswith("Scientific.")]
    assert line.startswith(NAME + "divide_0 raised ZeroDivisionError: division by zero in worker")
    assert "masterworker.errors" not in master.err
    assert master.err.count("do_divide") >= 1


def test_one_that_is_caught_and_raised_again(desk: Desk) -> None:
    """All that was published is there, and it survives a pickle."""
    desk.script("slave.py", SLAVE)
    master = desk.python(
        "master.py",
        MASTER
        + """
import pickle
from Scientific.DistributedComputing import MasterSlave, TaskManager as module
print(MasterSlave.TaskRaisedException is module.TaskRaisedException)
master.requestTask("divide", 0)
try:
    master.retrieveResult()
except TaskRaisedException as failed:
    print(failed.task_id, failed.tag, type(failed.exception).__name__)
    print("do_divide" in failed.traceback, failed.__cause__ is failed.exception)
    copy = pickle.loads(pickle.dumps(failed))
    print(type(copy) is TaskRaisedException, copy.task_id, str(copy) == str(failed))
    raise
""",
    )
    assert master.status() == 1
    assert master.lines == [
        "True",
        "divide_0 divide ZeroDivisionError",
        "True True",
        "True divide_0 True",
    ]
    assert NAME + "divide_0" in master.err


def test_a_task_that_takes_slaves_down(desk: Desk) -> None:
    """It is caught as any failure."""
    desk.script("slave.py", SLAVE)
    master = desk.python(
        "master.py",
        MASTER
        + """
master.requestTask("die")
try:
    master.retrieveResult()
except TaskRaisedException as failed:
    print(failed.task_id, len(failed.history))
    raise
""",
    )
    assert master.status() == 1
    assert master.lines == ["die_0 3"]
    last = "Scientific.DistributedComputing.TaskManager.TaskLostException: task die_0 took 3"
    assert last in master.err


def test_further_tasks_that_fail(desk: Desk) -> None:
    """A handler catches the published name; one that does not fails with it."""
    desk.script("slave.py", SLAVE)
    master = desk.python(
        "master.py",
        MASTER
        + """
master.requestTask("caught", 0)
print(master.retrieveResult("caught")[2])
master.requestTask("further", 0)
try:
    master.retrieveResult("further")
except TaskRaisedException as failed:
    print(type(failed.exception).__name__, failed.exception.tag)
""",
    ).good()
    assert master.lines == ["('divide', 'division by zero')", "TaskRaisedException divide"]


@pytest.mark.parametrize(
    "call",
    [
        "master.requestTask('divide', 1)",
        "master.setGlobalState(x=1)",
        "master.task_manager.addTaskRequest('divide', (1,))",
        "master.task_manager.getAnyTask()",
        "master.task_manager.getAnyResult()",
        "master.task_manager.registerProcess()",
    ],
)
def test_after_the_end(desk: Desk, call: str) -> None:
    """What cannot be done any more raises `TaskManagerTermination`, by that name, or nothing."""
    master = desk.python("master.py", f"master = MasterProcess(LABEL)\nmaster.shutdown()\n{call}\n")
    if master.status() != 0:
        name = "Scientific.DistributedComputing.TaskManager.TaskManagerTermination: "
        assert master.err.splitlines()[-1].startswith(name)
    assert "masterworker.errors" not in master.err


def test_the_queue_and_threads_that_wait(desk: Desk) -> None:
    """Blocked callers get the published class."""
    desk.python(
        "master.py",
        """
        from Scientific.DistributedComputing.TaskManager import TaskManagerTermination as Same
        from Scientific.DistributedComputing.TaskManager import TaskManager, TaskQueue
        manager, queue, told = TaskManager(), TaskQueue(), []
        def wait(call):
            try:
                call()
            except TaskManagerTermination as error:
                told.append(type(error) is Same is TaskManagerTermination)
        calls = manager.getAnyTask, manager.getAnyResult, queue.firstTask
        threads = [threading.Thread(target=wait, args=(call,)) for call in calls]
        for thread in threads: thread.start()
        manager.terminate(); queue.terminateWaitingThreads()
        for thread in threads: thread.join()
        assert told == [True] * 3, told
        """,
    ).good()
