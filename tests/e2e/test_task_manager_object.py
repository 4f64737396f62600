"""Each method of `TaskManager`, used directly, as for a set-up of one's own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from e2e.desk import HANG, until
from Scientific.DistributedComputing import TaskManager as module
from Scientific.DistributedComputing.TaskManager import (
    Task,
    TaskManager,
    TaskManagerTermination,
    TaskQueue,
    TaskRaisedException,
    Watchdog,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.desk import Desk


@pytest.fixture
def manager() -> Iterator[TaskManager]:
    """A task manager of this process."""
    found = TaskManager()
    yield found
    found.terminate()


@pytest.fixture
def side() -> Iterator[ThreadPoolExecutor]:
    """Threads that may block."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_the_module_has_the_published_names() -> None:
    """TaskManager, TaskQueue, Task, Watchdog, two exceptions, debug."""
    assert module.debug is False
    assert issubclass(TaskRaisedException, Exception)
    assert issubclass(TaskManagerTermination, Exception)


def test_processes_come_and_go(manager: TaskManager) -> None:
    """registerProcess, numberOfActiveProcesses, activeProcessInfo, ping, unregisterProcess."""
    first = manager.registerProcess(info="the first")
    second = manager.registerProcess(watchdog_period=60.0, info="the second")
    assert isinstance(first, int)
    assert first != second
    assert manager.numberOfActiveProcesses() == 2
    assert manager.activeProcessInfo(first) == "the first"
    assert manager.activeProcessInfo(second) == "the second"
    manager.ping(second)
    manager.unregisterProcess(first)
    assert manager.numberOfActiveProcesses() == 1
    with pytest.raises(ValueError, match=str(first)):
        manager.activeProcessInfo(first)
    manager.unregisterProcess(first)
    manager.unregisterProcess(second)
    assert manager.numberOfActiveProcesses() == 0
    assert manager.registerProcess() not in {first, second}


def test_a_task_goes_through_its_life(manager: TaskManager) -> None:
    """Waiting, running, finished, and gone; counted by tag."""
    me = manager.registerProcess()
    task_id = manager.addTaskRequest("sqrt", (2.0, [1]), me)
    assert task_id.startswith("sqrt")
    assert manager.numberOfTasks() == ({"sqrt": 1}, {}, {})
    assert manager.getAnyTask(me) == (task_id, "sqrt", (2.0, [1]))
    assert manager.numberOfTasks() == ({}, {"sqrt": 1}, {})
    manager.storeResult(task_id, 1.4)
    assert manager.numberOfTasks() == ({}, {}, {"sqrt": 1})
    assert manager.getAnyResult() == (task_id, "sqrt", 1.4)
    assert manager.numberOfTasks() == ({}, {}, {})


def test_tasks_and_results_by_tag(manager: TaskManager) -> None:
    """getTaskWithTag and getResultWithTag pass over other tags."""
    me = manager.registerProcess()
    a, b = manager.addTaskRequest("a", (1,)), manager.addTaskRequest("b", (2,))
    assert manager.getTaskWithTag("b", me) == (b, (2,))
    assert manager.getTaskWithTag("a", me) == (a, (1,))
    manager.storeResult(a, "of a")
    manager.storeResult(b, "of b")
    assert manager.getResultWithTag("b") == (b, "of b")
    assert manager.getAnyResult() == (a, "a", "of a")


def test_nobody_needs_to_register(manager: TaskManager) -> None:
    """process_id may be left out everywhere."""
    task_id = manager.addTaskRequest("t", ())
    assert manager.getTaskWithTag("t") == (task_id, ())
    manager.storeResult(task_id, None)
    assert manager.getAnyResult() == (task_id, "t", None)
    task_id = manager.addTaskRequest("t", ())
    assert manager.getAnyTask() == (task_id, "t", ())
    assert manager.numberOfActiveProcesses() == 0


def test_an_exception_arrives_as_itself(manager: TaskManager) -> None:
    """storeException, then getAnyResult or getResultWithTag raise."""
    for take in manager.getAnyResult, lambda: manager.getResultWithTag("t"):
        task_id = manager.addTaskRequest("t", ())
        manager.getAnyTask()
        manager.storeException(task_id, KeyError("k"), "the traceback's text")
        with pytest.raises(TaskRaisedException) as caught:
            take()
        assert caught.value.task_id == task_id
        assert caught.value.tag == "t"
        assert isinstance(caught.value.exception, KeyError)
        assert caught.value.traceback == "the traceback's text"


def test_a_returned_task_comes_next(manager: TaskManager) -> None:
    """To the front, both of its tag's queue and of the common one."""
    ids = [manager.addTaskRequest(tag, ()) for tag in "abab"]
    me = manager.registerProcess()
    first, tag, _ = manager.getAnyTask(me)
    assert (first, tag) == (ids[0], "a")
    manager.getAnyTask(me)
    manager.returnTask(first)
    assert manager.getAnyTask(me)[0] == first
    manager.returnTask(first)
    assert manager.getTaskWithTag("a", me)[0] == first


def test_what_a_process_held_goes_to_others(manager: TaskManager) -> None:
    """unregisterProcess gives its tasks back."""
    me, other = manager.registerProcess(), manager.registerProcess()
    ids = {manager.addTaskRequest("t", (n,)) for n in range(3)}
    assert {manager.getAnyTask(me)[0] for _ in range(3)} == ids
    manager.unregisterProcess(me)
    assert {manager.getAnyTask(other)[0] for _ in range(3)} == ids


def test_a_silent_process_is_lost(manager: TaskManager) -> None:
    """After four periods without a ping its task goes on; its late result is taken once."""
    silent, other = manager.registerProcess(watchdog_period=0.05), manager.registerProcess()
    task_id = manager.addTaskRequest("t", ())
    assert manager.getAnyTask(silent)[0] == task_id
    assert manager.getAnyTask(other)[0] == task_id
    assert manager.numberOfActiveProcesses() == 1
    manager.storeResult(task_id, "late")
    manager.storeResult(task_id, "second")
    assert manager.getAnyResult() == (task_id, "t", "late")
    assert manager.numberOfTasks() == ({}, {}, {})


def test_a_process_that_pings_is_not_lost(manager: TaskManager) -> None:
    """Beyond four periods."""
    pinging = manager.registerProcess(watchdog_period=0.15)
    pause = threading.Event()
    for _ in range(16):
        assert manager.ping(pinging) is not False
        pause.wait(0.05)
    assert manager.numberOfActiveProcesses() == 1


def test_data_items(manager: TaskManager) -> None:
    """storeData, retrieveData, deleteData; nothing blocks after a mistake."""
    manager.storeData(a=[1, 2], b="text")
    assert manager.retrieveData("a") == [1, 2]
    assert manager.retrieveData("b") == "text"
    manager.storeData(a=3)
    assert manager.retrieveData("a") == 3
    manager.deleteData("a")
    for forgotten in manager.retrieveData, manager.deleteData:
        with pytest.raises(KeyError, match="'a'"):
            forgotten("a")
    assert manager.retrieveData("b") == "text"


def test_blocked_callers_are_woken_by_termination(side: ThreadPoolExecutor) -> None:
    """All of them get TaskManagerTermination, and so does whoever comes later."""
    manager = TaskManager()
    calls = [
        manager.getAnyTask,
        manager.getAnyResult,
        lambda: manager.getTaskWithTag("t"),
        lambda: manager.getResultWithTag("t"),
        lambda: manager.getAnyTask(manager.registerProcess()),
    ]
    blocked = [side.submit(call) for call in calls]
    until(lambda: all(b.running() for b in blocked))
    manager.terminate()
    for future in blocked:
        with pytest.raises(TaskManagerTermination):
            future.result(HANG)
    for call in [*calls, lambda: manager.addTaskRequest("t", ())]:
        with pytest.raises(TaskManagerTermination):
            call()


def test_many_threads(side: ThreadPoolExecutor, manager: TaskManager) -> None:
    """Four execute, two ask: each task once."""

    def execute() -> None:
        me = manager.registerProcess()
        while True:
            task_id, tag, (n,) = manager.getAnyTask(me)
            if tag == "end":
                manager.storeResult(task_id, None)
                return
            manager.storeResult(task_id, n * n)

    def ask(numbers: range) -> list[str]:
        return [manager.addTaskRequest("square", (n,)) for n in numbers]

    workers = [side.submit(execute) for _ in range(4)]
    asked = [side.submit(ask, range(n, 1000, 2)) for n in (0, 1)]
    got = [manager.getResultWithTag("square") for _ in range(1000)]
    assert sorted(r for _, r in got) == [n * n for n in range(1000)]
    assert {i for i, _ in got} == {i for a in asked for i in a.result(HANG)}
    for _ in workers:
        manager.addTaskRequest("end", (0,))
    for worker in workers:
        worker.result(HANG)


def test_a_queue_of_tasks() -> None:
    """TaskQueue and Task, in order, by tag, by id, in front, terminated."""
    queue = TaskQueue()
    for n, tag in enumerate("aba"):
        queue.addTask(Task(tag, (n,), f"{tag}_{n}"))
    queue.addTask(Task("b", (9,), "b_9"), in_front=True)
    assert len(queue) == 4
    assert queue.taskCount() == {"a": 2, "b": 2}
    assert queue.firstTask().id == "b_9"
    assert queue.firstTaskWithTag("b").parameters == (1,)
    assert queue.taskWithId("a_2").tag == "a"
    assert queue.firstTask().id == "a_0"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.firstTask)
        until(waiting.running)
        queue.terminateWaitingThreads()
        with pytest.raises(TaskManagerTermination):
            waiting.result(HANG)


def test_a_watchdog() -> None:
    """It tells of those who have not pinged, and only of them."""
    lost: list[Any] = []
    watchdog = Watchdog(lost.append)
    watchdog.registerProcess("silent", 0.02)
    watchdog.registerProcess("patient", 100.0)
    watchdog.registerProcess("gone", 0.02)
    watchdog.unregisterProcess("gone")
    until(lambda: lost, "the silent one is lost")
    assert lost == ["silent"]
    assert watchdog.ping("patient")
    assert not watchdog.ping("silent")
    watchdog.terminate()


def test_a_slave_uses_all_of_it_from_its_own_process(desk: Desk) -> None:
    """The same methods, over the connection."""
    running = desk.python(
        "remote.py",
        """
        class Master(MasterProcess):
            def run(self):
                self.task_manager.storeData(given=[1, 2])
                self.requestTask("all")
                print(self.retrieveResult("all")[2])
                print(self.task_manager.retrieveData("from_slave"))
                print(self.task_manager.numberOfTasks())

        class Slave(SlaveProcess):
            def do_all(self):
                tm, told = self.task_manager, []
                told.append(tm.retrieveData("given"))
                tm.storeData(from_slave={"k": 1})
                try:
                    tm.retrieveData("never")
                except KeyError as error:
                    told.append(str(error))
                other = tm.registerProcess(info="another")
                told.append(tm.numberOfActiveProcesses())
                told.append(tm.activeProcessInfo(other))
                task_id = tm.addTaskRequest("odd", (1, 2), other)
                told.append(tm.numberOfTasks())
                told.append(tm.getTaskWithTag("odd", other)[1])
                tm.returnTask(task_id)
                told.append(tm.getAnyTask(other)[2])
                tm.storeException(task_id, ValueError("v"), "text")
                try:
                    tm.getResultWithTag("odd")
                except TaskRaisedException as error:
                    told.append((type(error.exception).__name__, error.traceback))
                task_id = tm.addTaskRequest("odd", ())
                told.append(tm.getAnyTask(other)[0] == task_id)
                tm.storeResult(task_id, 5)
                told.append(tm.getAnyResult() == (task_id, "odd", 5))
                tm.ping(other)
                tm.unregisterProcess(other)
                told.append(tm.numberOfActiveProcesses())
                return told

        runJob(LABEL, Master, Slave, launch_slaves=1)
        """,
    ).good()
    told = [[1, 2], "no data is stored under 'never'", 3, "another"]
    told += [({"odd": 1}, {"all": 1}, {}), (1, 2), (1, 2), ("ValueError", "text"), True, True, 2]
    assert running.lines == [str(told), "{'k': 1}", "({}, {}, {})"]
