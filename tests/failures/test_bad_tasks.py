"""F31 to F35: a bad task harms itself, and neither its workers nor the other tasks.

F36 and F37 are open; see docs/failures.md.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from failures.jobs import (
    all_here,
    ask,
    done,
    gone,
    here,
    join,
    memory_job,
    memory_worker,
    observer,
    pick_up,
    plain_workers,
    real_master,
    value_of,
)
from masterworker import StateValue, TaskFailed, TaskLost, wire
from masterworker.data.outcome import open_finished
from masterworker.errors import RemoteError, UnpicklableError, UsageError
from masterworker.manager import Mailbox
from masterworker.master import engine_of
from masterworker.status import text
from Scientific.DistributedComputing.MasterSlave import TaskManager
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from masterworker.master import Master

#: Handlers that do what handlers should not.
BAD = """
sys.path.insert(0, str(Path(__file__).parent / "only"))
import only_here

class Hand(Hand):
    def do_lock(self):
        return threading.Lock()
    def do_locked_error(self):
        error = ValueError("told")
        error.lock = threading.Lock()
        raise error
    def do_thing(self):
        return only_here.Thing()
    def do_problem(self):
        raise only_here.Problem("told")
    def do_exit(self):
        sys.exit("told")
    def do_interrupt(self):
        raise KeyboardInterrupt("told")
    def do_base(self):
        raise BaseException("told")
    def do_die(self, how):
        if how == "exit":
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
"""


#: The pickle of an object of a class that does not exist here.
NO_SUCH_CLASS = b"cnot_there\nThing\n."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds a module that only workers can import."""
    (tmp_path / "only").mkdir()
    source = "class Thing:\n    pass\n\nclass Problem(Exception):\n    pass\n"
    (tmp_path / "only" / "only_here.py").write_text(source)
    return tmp_path


def result(master: Master) -> Any:
    return master.retrieve_result(timeout=HANG)[2]


# -- F31 ----------------------------------------------------------------------------------------


def test_f31_task_that_kills_its_workers_is_given_up_after_three() -> None:
    """A task that ends its worker could go to the next one, and the next, until none is left."""
    with real_master() as master:
        master.launch_workers(2, wait=True)
        wait_until(lambda: len(here(master)) == 2, HANG)
        results = master.map(abs, range(-200, 0))
        poison = master.submit(os._exit, 9)
        more = master.map(abs, range(-200, 0))
        with pytest.raises(TaskLost) as caught:
            poison.result(HANG)
        assert list(results) == list(more) == list(range(200, 0, -1))
        victims = {int(found) for found in re.findall(r"pid (\d+) ", str(caught.value))}
        assert len(caught.value.history) == len(victims) == 3
        assert all(gone(pid) for pid in victims)
        assert f"task {poison.task_id} took 3 workers down" in str(caught.value)
        assert all("exit status 9" in line for line in caught.value.history)
        # Nobody else was lost, and others have taken their places.
        assert engine_of(master).manager.core.tally.lost_members == 3
        wait_until(lambda: len(here(master) - victims) == 2, HANG)
        assert master.submit(abs, -1).result(HANG) == 1


def test_f31_innocent_tasks_in_the_same_hands_are_not_blamed(folder: Path) -> None:
    """Tasks that a dying worker had not begun could be given up along with the one that it had."""
    with real_master() as master, plain_workers(folder, master.label, 5, extra=BAD) as workers:
        all_here(master, workers)
        ids = [master.request_task("echo", n) for n in range(50)]
        poison = master.request_task("die", "kill")
        ids += [master.request_task("echo", n) for n in range(50, 100)]
        got, lost = {}, []
        for _ in range(101):
            try:
                task_id, _, value = master.retrieve_result(timeout=HANG)
            except TaskLost as error:
                lost.append(error.task_id)
            else:
                got[task_id] = value
        assert lost == [poison]
        assert got == {task_id: n for n, task_id in enumerate(ids)}


# -- F32 ----------------------------------------------------------------------------------------


def test_f32_what_cannot_travel_fails_the_task_and_no_more(folder: Path) -> None:
    """A result, error or value that cannot be sent or rebuilt could end worker after worker."""
    with real_master() as master, plain_workers(folder, master.label, extra=BAD) as workers:
        all_here(master, workers)
        cases: dict[str, tuple[type[BaseException], str]] = {
            "lock": (UnpicklableError, r"the result \(a lock\) cannot be pickled"),
            "locked_error": (ValueError, "ValueError: told"),
            "thing": (RemoteError, "the result cannot be rebuilt .*only_here"),
            "problem": (RemoteError, "Problem: told"),
        }
        for tag, (kind, message) in cases.items():
            master.request_task(tag)
            with pytest.raises(TaskFailed, match=message) as caught:
                master.retrieve_result(timeout=HANG)
            assert isinstance(caught.value.exception, kind)
            assert caught.value.tag == tag
        master.request_task("echo", StateValue(77, "x"))
        with pytest.raises(TaskFailed, match="state 77 has no value 'x'") as caught:
            master.retrieve_result(timeout=HANG)
        assert isinstance(caught.value.exception, UsageError)
        engine_of(master).manager.request("echo", [NO_SUCH_CLASS])
        with pytest.raises(TaskFailed, match="No module named 'not_there'"):
            master.retrieve_result(timeout=HANG)
        master.request_task("pid")
        assert result(master) == workers[0].pid
        assert engine_of(master).manager.core.tally.lost_members == 0


def test_f32_parameters_that_cannot_be_rebuilt_are_named_as_the_cause() -> None:
    """An error from unpickling the parameters could look like one of the handler's own."""
    with memory_job() as manager, memory_worker(manager, {"same": lambda x: x}):
        manager.request("same", [NO_SUCH_CLASS])
        finished = pick_up(manager, observer(manager))
        told = "the parameters of the task cannot be rebuilt in this worker"
        with pytest.raises(TaskFailed, match=f"(?s)No module named 'not_there'.*{told}"):
            open_finished(finished)


def test_f32_state_that_cannot_be_rebuilt_fails_its_tasks_only() -> None:
    """A stored value that a worker cannot unpickle could end every worker that meets it."""
    with memory_job() as manager, memory_worker(manager, {"same": lambda x: x}):
        client = observer(manager)
        state = manager.put_state({"bad": b"no pickle", "good": b"\x80\x05K\x07."})
        for _ in range(3):
            ask(manager, "same", StateValue(state, "bad"))
            with pytest.raises(AssertionError, match="Finished"):
                value_of(pick_up(manager, client))
        ask(manager, "same", StateValue(state, "good"))
        assert value_of(pick_up(manager, client)) == 7
        assert manager.core.tally.lost_members == 0


# -- F33 ----------------------------------------------------------------------------------------


def test_f33_handler_that_exits_fails_its_task_and_the_worker_stays(folder: Path) -> None:
    """`sys.exit` or a `KeyboardInterrupt` in a handler could end the worker without a word."""
    with (
        real_master() as master,
        plain_workers(folder, master.label, heartbeat=0, extra=BAD) as workers,
    ):
        all_here(master, workers)
        kinds = {"exit": SystemExit, "interrupt": KeyboardInterrupt, "base": BaseException}
        for tag, kind in kinds.items():
            master.request_task(tag)
            with pytest.raises(TaskFailed, match="told") as caught:
                master.retrieve_result(timeout=HANG)
            assert type(caught.value.exception) is kind
            assert f"in do_{tag}" in caught.value.traceback
        master.request_task("pid")
        assert result(master) == workers[0].pid


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_f33_handler_that_ends_its_process_is_told_by_name(folder: Path, how: str) -> None:
    """A worker that ends without a word, even with status 0, could keep its task for ever."""
    with (
        real_master() as master,
        plain_workers(folder, master.label, 3, heartbeat=0, extra=BAD) as workers,
    ):
        all_here(master, workers)
        task_id = master.request_task("die", how)
        with pytest.raises(TaskLost) as caught:
            master.retrieve_result(timeout=HANG)
        assert (caught.value.task_id, caught.value.tag) == (task_id, "die")
        for worker in workers:
            assert f"pid {worker.pid} " in str(caught.value)


# -- F34, F35 -----------------------------------------------------------------------------------


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Mailbox]]:
    """Who was woken. Nobody wakes by himself."""
    monkeypatch.setattr(wire, "LONGEST_WAIT", 60.0)
    found: list[Mailbox] = []
    ring = Mailbox.ring
    monkeypatch.setattr(Mailbox, "ring", lambda box: (found.append(box), ring(box)))
    return found


def test_f34_task_that_nobody_can_execute_waits_quietly(rings: list[Mailbox]) -> None:
    """A task without a handler could go back and forth between master and slaves at full speed."""
    with memory_job() as manager, memory_worker(manager, {"other": abs}):
        wait_until(lambda: list(manager.core.waiting.claims), what="it waits for work")
        number = ask(manager, "unheard of")
        for n in range(10):
            manager.ping(n)
        assert rings == []
        assert manager.core.tasks[number].attempt == 0
        found = manager.census()
        assert found.stranded == ["unheard of"]
        assert "no worker can execute tag 'unheard of': 1 waiting" in text.describe("job", found)
        able = join(manager, ["unheard of"])
        assert manager.census().stranded == []
        leases = manager.exchange(wire.Exchange(able, want=1)).leases
        assert [(lease.task_id, lease.attempt) for lease in leases] == [(number, 1)]
        manager.exchange(wire.Exchange(able, [done(leases[0], "at last")]))
        assert value_of(pick_up(manager, observer(manager))) == "at last"


def test_f34_slave_that_calls_for_everything_gives_back_without_a_loop() -> None:
    """A slave that takes any task could get what it has just returned, again and again."""
    manager = TaskManager()
    slave = manager.registerProcess(info="takes 'a' only")
    manager.addTaskRequest("b", ())
    manager.addTaskRequest("a", ())
    assert manager.getTaskWithTag("a", slave)[0] == "a_1"
    assert manager.numberOfTasks() == ({"b": 1}, {"a": 1}, {})


@pytest.mark.parametrize("by_tag", [False, True])
def test_f35_returned_task_is_the_next_one(by_tag: bool) -> None:
    """A task that was given back could go to the end of the queue, behind thousands."""
    manager = TaskManager()
    slave, other = manager.registerProcess(), manager.registerProcess()
    ids = [manager.addTaskRequest(tag, (n,)) for n, tag in enumerate("abab")]
    first, tag, _ = manager.getAnyTask(slave)
    assert (first, tag) == (ids[0], "a")
    manager.returnTask(first)
    again = manager.getTaskWithTag("a", other)[0] if by_tag else manager.getAnyTask(other)[0]
    assert again == first
    assert [manager.getAnyTask(slave)[0] for _ in range(3)] == ids[1:]
    manager.unregisterProcess(slave)
    assert [manager.getAnyTask(other)[0] for _ in range(3)] == ids[1:]
