"""F38 to F46: many tasks, honest numbers, strange labels and folders, slaves that do not start.

F43 is in tests/security. See docs/failures.md.
"""

from __future__ import annotations

import gc
import itertools
import os
import re
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from msgspec.structs import replace

from blocks import each_outcome, in_rows
from failures.jobs import ended, join, lines_of, memory_job, observer, real_master
from masterworker import wire
from masterworker.core import audit
from masterworker.core.departure import Blameless
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import RESULT, Outcome, Task
from masterworker.errors import UsageError
from masterworker.master import Master, engine_of
from masterworker.recorder.recorder import Recorder
from Scientific.DistributedComputing.MasterSlave import (
    MasterProcess,
    SlaveProcess,
    TaskManager,
    initializeMasterProcess,
)
from support import (
    HANG,
    Script,
    python_script,
    run_script,
    start_script,
    unique_label,
    wait_until,
    workers_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# -- F38 ----------------------------------------------------------------------------------------


def steps(number: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Lines executed, and tasks compared, for a hundred tasks while so many others are there."""
    core = Scheduler()
    client = core.on_joined("client", frozenset(), None, 0.0)
    workers = [core.on_joined("w", None, None, 0.0) for _ in range(4)]
    core.on_requested("t", [b""] * number)
    others, hands = workers[:2], workers[2:]
    for worker in others:  # a quarter is in hand, a quarter is finished
        core.on_fetch(worker, number // 4, 0.0)
    held = list(core.members[others[1]].leases.values())
    core.on_reported(others[1], [Outcome(t.id, t.attempt, RESULT, [b""]) for t in held], 0.0)
    compared = 0

    def compare(one: Task, other: object) -> bool:
        nonlocal compared
        compared += 1
        return one is other

    def live() -> None:
        for n in range(100):
            worker = hands[n % 2]
            leases, _ = core.on_fetch(worker, 2, 0.0)
            core.on_started(worker, leases[0].task_id, 0.0)
            core.on_returned(worker, [leases[1].task_id], 0.0)
            outcome = Outcome(leases[0].task_id, leases[0].attempt, RESULT, [b""])
            core.on_reported(worker, [outcome], 0.0)
            core.on_collect(client, 1)
            core.on_heard(worker, 0.0)

    with monkeypatch.context() as patch:  # a search in a list compares its items
        patch.setattr(Task, "__eq__", compare)
        executed = lines_of(live, "masterworker")
    audit.check(core)
    return executed + compared


def test_f38_cost_of_a_task_does_not_grow_with_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hand-out or result could search through all the tasks that there are.

    Counted in steps, not in seconds; 200,000 tasks in place of a million, to save time.
    """
    few, many = steps(1_000, monkeypatch), steps(200_000, monkeypatch)
    assert many <= 2 * few
    assert few < 100 * 500


# -- F39, F40: process ids ------------------------------------------------------------------------


def test_f39_process_ids_stay_while_others_come_and_go() -> None:
    """A process could be asked for by its place in a list that changes between two calls."""
    manager = TaskManager()
    ids = [manager.registerProcess(info=f"process {n}") for n in range(5)]
    manager.unregisterProcess(ids[1])
    manager.unregisterProcess(ids[3])
    assert [manager.activeProcessInfo(ids[n]) for n in (0, 2, 4)] == [
        "process 0",
        "process 2",
        "process 4",
    ]
    for n in (1, 3):
        with pytest.raises(UsageError, match=f"no process {ids[n]}, or it has ended"):
            manager.activeProcessInfo(ids[n])
    assert manager.registerProcess(info="new") not in ids


def test_f39_one_call_tells_all_of_the_processes_at_one_instant() -> None:
    """`show -v` could fail, or print wrong numbers, when a process leaves meanwhile."""
    with real_master() as master:
        pids = [join(engine_of(master).manager, ["t"], f"process {n}") for n in range(3)]
        engine_of(master).manager.leave(pids[1])
        command = [sys.executable, "-m", "masterworker.cli", "-v", "show", master.label]
        shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=HANG)
        assert f"{pids[0]}: process 0\n" in shown.stdout
        assert f"{pids[2]}: process 2\n" in shown.stdout
        assert "process 1" not in shown.stdout
        for pid in (pids[0], pids[2]):
            engine_of(master).manager.leave(pid)


def test_f40_process_number_zero_is_a_process_like_any_other() -> None:
    """Process 0 could be taken for nobody, and its tasks never be given to another."""
    manager = TaskManager()
    zero = manager.registerProcess(info="the first")
    assert zero == 0
    manager.addTaskRequest("t", (), zero)
    assert manager.getAnyTask(zero)[0] == "t_0"
    assert manager.numberOfTasks() == ({}, {"t": 1}, {})
    assert manager.ping(zero)
    assert manager.numberOfActiveProcesses() == 1
    assert manager.activeProcessInfo(zero) == "the first"
    manager.unregisterProcess(zero)
    assert manager.numberOfTasks() == ({"t": 1}, {}, {})
    assert manager.numberOfActiveProcesses() == 0
    other = manager.registerProcess()
    assert other != zero
    assert manager.getTaskWithTag("t", other)[0] == "t_0"
    assert manager.storeResult("t_0", 5)
    assert manager.getAnyResult() == ("t_0", "t", 5)


# -- F41 ----------------------------------------------------------------------------------------


def sizes(thing: Any, found: dict[int, int] | None = None) -> int:
    """Count the entries of all containers of a scheduler, but for its record, which is bounded."""
    found = {} if found is None else found
    if id(thing) in found or isinstance(thing, Recorder):
        return 0
    entries = len(thing) if hasattr(thing, "__len__") and not isinstance(thing, (str, bytes)) else 0
    found[id(thing)] = entries
    inner: list[Any] = []
    if isinstance(thing, dict):
        inner += thing.values()
    elif entries:
        inner += thing
    elif type(thing).__module__.startswith("masterworker"):
        inner += [getattr(thing, name) for name in getattr(thing, "__dict__", ())]
    return entries + sum(sizes(part, found) for part in inner)


def use_many_tags(core: Scheduler, client: int, worker: int, tags: int, repeat: int) -> None:
    """Ten tasks of each of many tags, on every way that a task can take."""
    for n in range(tags):
        tag = f"tag {repeat} {n}"
        first, _ = core.on_requested(tag, [b"x" * 50] * 8)
        core.on_requested(tag, [b"x" * 50] * 2, direct=True)
        if n % 50 == 0:
            zombie = core.on_joined("zombie", None, 1.0, 0.0)
            leases, _ = core.on_fetch(zombie, 3, 0.0)
            core.on_departed(zombie, Blameless("silent"), 0.0)
            late = [Outcome(lease.task_id, lease.attempt, RESULT, [b""]) for lease in leases]
            core.on_reported(zombie, late + late, 0.0)
            core.on_reported(worker, [Outcome(first, 9, RESULT, [b""])], 0.0)
    while leases := core.on_fetch(worker, 1_000, 0.0)[0]:
        reports = [
            replace(o, payloads=[b"r" * 50])
            for o in each_outcome(
                Outcome(lease.task_id, lease.attempt, RESULT, lease.payloads) for lease in leases
            )
        ]
        core.on_reported(worker, in_rows(reports), 0.0)
    while core.on_collect(client, 1_000)[0]:
        pass
    core.on_tick(10.0 * repeat)
    for claim in [*core.waiting.claims, *core.results.claims]:
        core.on_unparked(claim.id)


def test_f41_nothing_is_left_of_tasks_and_tags_that_are_done() -> None:
    """Every tag ever used, and every late result, could stay in memory for ever.

    1,500 tags with ten tasks each, four times, in place of a hundred thousand, to save time. Python
    keeps the room of a large dictionary for its next use, and makes it larger now and then. So one
    of the times may leave more than was there before, but what is forgotten adds to each of them.
    """
    core = Scheduler()
    client = core.on_joined("client", frozenset(), None, 0.0)
    worker = core.on_joined("w", None, None, 0.0)
    use_many_tags(core, client, worker, 50, 1)
    base = sizes(core)
    tracemalloc.start()
    try:
        left = []
        for repeat in (2, 3, 4, 5):
            use_many_tags(core, client, worker, 1_500, repeat)
            gc.collect()
            left.append(tracemalloc.get_traced_memory()[0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert core.tally.delivered == core.tally.submitted == 10 * 6_050
    assert sizes(core) <= base + 200
    assert min(after - before for before, after in itertools.pairwise(left)) < 0.02 * peak
    assert left[-1] < 0.3 * peak
    audit.check(core)


def test_f41_nothing_is_left_of_processes_that_are_gone() -> None:
    """What was kept for each process could stay when it has gone."""
    with memory_job() as manager:
        client = observer(manager)

        def come_and_go() -> int:
            for n in range(200):
                worker = join(manager, [f"tag {n}"])
                manager.request(f"tag {n}", [b""])
                lease = manager.exchange(wire.Exchange(worker, want=1)).leases[0]
                manager.exchange(
                    wire.Exchange(worker, [Outcome(lease.task_id, lease.attempt, RESULT, [b""])])
                )
                manager.collect(client)
                manager.drop_state(manager.put_state({"x": b""}))  # nobody hears of it any more
                (manager.leave if n % 2 else lambda w: manager.lost(w, "test"))(worker)
            return sum(
                len(found)
                for owner in (manager, manager.store, manager.core, manager.core.waiting)
                for found in vars(owner).values()
                if isinstance(found, dict)
            )

        assert come_and_go() == come_and_go()


# -- F44: labels --------------------------------------------------------------------------------


def unusable(call: Callable[[], Any]) -> None:
    with pytest.raises(UsageError):
        call()


@pytest.mark.parametrize("label", ['x"\nimport os', "", " ", "a\x00b", "\x1b[2J", "x" * 201, 5])
def test_f44_label_that_cannot_be_used_is_refused(label: Any) -> None:
    """A label with a line break could become a line of a program, or of somebody's terminal."""
    unusable(lambda: Master(label))
    unusable(lambda: MasterProcess(label))
    unusable(lambda: initializeMasterProcess(label, slave_module="math"))
    unusable(lambda: SlaveProcess(label))


@pytest.mark.parametrize("label", ['x"; raise SystemExit(9) #', "--help", "$(touch x)", "../../x"])
def test_f44_label_that_looks_like_code_is_only_a_label(label: str, tmp_path: Path) -> None:
    """Text in a label could be executed by the slaves, by a shell, or as an option."""
    slave = python_script(tmp_path, "slave.py", SLAVE)
    master = initializeMasterProcess(label, slave_script=str(slave))
    try:
        master.launchSlaveJobs(1)
        master.requestTask("label")
        assert master.retrieveResult()[2] == label
    finally:
        master.shutdown()
    unusable(lambda: initializeMasterProcess(label, slave_module="math\nimport os"))


SLAVE = """
import os
from masterworker import current_worker, wire
from Scientific.DistributedComputing.MasterSlave import startSlaveProcess
def do_label():
    return current_worker().label
def do_folder():
    return os.getcwd()
startSlaveProcess()
"""

# -- F45 ----------------------------------------------------------------------------------------


def test_f45_slave_without_the_masters_folder_stays_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A slave on a machine where the master's folder does not exist could die of it."""
    slave = python_script(tmp_path, "slave.py", SLAVE)
    here = tmp_path / "the slave's"
    there = tmp_path / "the master's"
    for folder in (here, there):
        folder.mkdir()
    monkeypatch.chdir(there)
    master = initializeMasterProcess(unique_label("folder"), slave_script=str(slave))
    try:
        monkeypatch.chdir(here)
        there.rmdir()
        master.launchSlaveJobs(1)
        master.requestTask("folder")
        assert master.retrieveResult()[2] == str(here)
    finally:
        master.shutdown()
    assert f"{there} does not exist here; staying in {here}" in capfd.readouterr().err


# -- F46 ----------------------------------------------------------------------------------------

LAUNCH = """
import psutil, sys, threading
from Scientific.DistributedComputing.MasterSlave import initializeMasterProcess

master = initializeMasterProcess(sys.argv[1], slave_script=sys.argv[2])
try:
    master.launchSlaveJobs(4)
except Exception as error:
    print(f"{type(error).__name__}: {error}", flush=True)
else:
    print("all is well", flush=True)
    threading.Event().wait(600)  # the test ends it

me = psutil.Process()
end = threading.Event()
for _ in range(1_000):
    if not me.children():
        print("no children, living or dead", flush=True)
        break
    end.wait(0.02)
"""


def test_f46_slaves_that_do_not_start_are_reported_and_buried(tmp_path: Path) -> None:
    """A slave script with a bug could fail unseen, its processes stay as corpses, the job wait."""
    slave = python_script(tmp_path, "slave.py", "print(1 / 0)\n")
    path = python_script(tmp_path, "master.py", LAUNCH)
    ran = run_script(path, unique_label("broken"), str(slave))
    assert ran.out.startswith("WorkerStartError: a worker that was launched did not start")
    assert "ZeroDivisionError: division by zero" in ran.out
    assert "slave.py" in ran.out
    assert ran.out.endswith("no children, living or dead\n")


def test_f46_slave_that_dies_later_is_reported_and_buried(tmp_path: Path) -> None:
    """A slave that ends in the middle of the job could leave a corpse, and nobody hear of it."""
    slave = python_script(tmp_path, "slave.py", SLAVE)
    path = python_script(tmp_path, "master.py", LAUNCH)
    master = start_script(path, unique_label("dies"), str(slave))
    with ended(master):
        master.says("all is well")
        children = [child.pid for child in workers_of(master.pid)]
        assert len(children) == 4
        for pid in children:
            os.kill(pid, 9)
        wait_until(lambda: not any(map(psutil.pid_exists, children)), HANG, "no corpse stays")
        wait_until(lambda: len(workers_of(master.pid)) == 4, HANG, "others take their places")
        master.process.terminate()
        master.wait()
        for pid in children:
            assert re.search(rf"\b{pid}\b.* signal 9\b", master.err), master.told


RESUMED = """
    import random
    from masterworker import Master

    with Master(workers=2, journal="job.journal") as master, open("told", "a") as told:
        for x, value in master.map(lambda x: (x, random.random()), range(200_000)):
            told.write(f"{x} {value!r}.\\n")
    print("done")
"""


def test_f42_a_killed_master_loses_nothing_that_was_told(tmp_path: Path) -> None:
    program = Script(python_script(tmp_path, "program.py", RESUMED))
    told = tmp_path / "told"
    wait_until(lambda: told.exists() and told.stat().st_size > 100_000, what=program.told)
    program.kill()
    lines = told.read_text().splitlines()
    before = dict(line.split() for line in lines if line.endswith("."))
    told.unlink()
    again = Script(tmp_path / "program.py")
    assert again.wait(4 * HANG) == 0, again.told
    after = dict(line.split() for line in told.read_text().splitlines())
    assert len(after) == 200_000
    assert {x: value for x, value in before.items() if after[x] != value} == {}
