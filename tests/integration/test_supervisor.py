"""Supervised workers: replaced when they end, watched while they live, ended when they must."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from integration import work
from masterworker import Master, TaskLost, UsageError, program, wire
from masterworker.errors import (
    JobEndedError,
    MasterNotFoundError,
    Terminated,
    TransportError,
    WorkerStartError,
)
from masterworker.launch import exits, scoreboard
from masterworker.launch import process as processes
from masterworker.launch.process_context import ProcessContext
from masterworker.launch.reporter import Reporter
from masterworker.launch.slot import PAUSES, TRIES, Reason, Slot, reason_of
from masterworker.launch.spec import Spec
from masterworker.launch.supervisor import Supervisor
from masterworker.launch.worker_limits import WorkerLimits
from masterworker.master import engine_of
from support import HANG, python_script, start_script, wait_until, workers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


# -- what workers do; executed by value or by name in their processes --------------------------


def end_with(status: int, path: str) -> None:
    """Note who was here, and end the process."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    os._exit(status)


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)
    threading.Event().wait(HANG)


def hoard(megabytes: int) -> int:
    hoarded = bytearray(megabytes << 20)
    for place in range(0, len(hoarded), 4096):
        hoarded[place] = 1
    threading.Event().wait(HANG)
    return len(hoarded)


def start_another(path: str) -> None:
    """Start a process that would stay, and hold on."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(path + ".new").write_text(str(child.pid))
    Path(path + ".new").rename(path)
    threading.Event().wait(HANG)


def setting(name: str) -> str | None:
    return os.environ.get(name)


def members(master: Master) -> set[int]:
    """Process ids of the workers that have joined."""
    found = (info.split()[1] for _, info, _ in master.status().processes)
    return {int(pid) for pid in found} - {os.getpid()}


def one_worker(master: Master) -> int:
    """Wait for the only worker; its process id."""
    return int(next(iter(wait_until(lambda: members(master), HANG))))


@pytest.fixture
def master() -> Iterator[Master]:
    with Master() as found:
        yield found


# -- who takes a worker's place ----------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_task_that_kills_its_workers_is_given_up(master: Master, number: int) -> None:
    """By three, which were replaced; the cause is named, and the next task works."""
    master.launch_workers(1)
    with pytest.raises(TaskLost) as lost:
        master.submit(end_by, number).result(HANG)
    assert len(lost.value.history) == 3
    assert all(f"signal {number} " in line for line in lost.value.history)
    assert master.submit(work.pid).result(HANG)


@pytest.mark.parametrize("status", [0, 1, 2, 3, exits.MASTER_GONE, 5, exits.RECYCLED, 130])
def test_a_handler_that_ends_its_process(master: Master, tmp_path: Path, status: int) -> None:
    """Whatever status it takes, also one that means something when we choose it."""
    master.launch_workers(1)
    path = tmp_path / "pids"
    with pytest.raises(TaskLost, match=f"exit status {status}"):
        master.submit(end_with, status, str(path)).result(HANG)
    pids = path.read_text().split()
    assert len(set(pids)) == 3
    assert master.submit(work.pid).result(HANG) not in map(int, pids)


def test_an_idle_worker_that_is_killed_is_replaced(
    master: Master, caplog: pytest.LogCaptureFixture
) -> None:
    """Its end is told once."""
    master.launch_workers(2, wait=True)
    before = members(master)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in members(master) and len(members(master)) == 2, HANG)
    told = [r.getMessage() for r in caplog.records if f"worker {victim} of" in r.getMessage()]
    assert len(told) == 1
    assert "signal 9 (SIGKILL)" in told[0]


def test_what_a_worker_has_started_ends_with_it(master: Master, tmp_path: Path) -> None:
    """Its whole process group."""
    master.launch_workers(1)
    worker = one_worker(master)
    master.submit(start_another, str(tmp_path / "other"))
    wait_until((tmp_path / "other").exists, HANG)
    other = psutil.Process(int((tmp_path / "other").read_text()))
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not other.is_running() or other.status() == "zombie", HANG)


PARENT = """
    import sys, threading
    from masterworker import Master
    from integration import work

    master = Master(workers=2)
    print(*sorted({master.submit(work.pid).result(30) for _ in range(50)}), flush=True)
    threading.Event().wait(60)
"""


def test_workers_end_at_once_with_a_killed_master(tmp_path: Path) -> None:
    """The system ends them, whatever they are doing."""
    script = start_script(
        python_script(tmp_path, "parent.py", PARENT),
        env={"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    try:
        script.says("\n")
        workers = workers_of(script.pid)
        assert len(workers) == 2
        for worker in workers:
            worker.suspend()  # so they cannot do it themselves
    finally:
        script.kill()
    _, living = psutil.wait_procs(workers, timeout=5)
    assert not living


def test_a_worker_that_never_starts_is_given_up(
    master: Master, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After some tries with pauses that grow; what it said is shown once."""
    script = python_script(tmp_path, "broken.py", "raise RuntimeError('broken by intent')\n")
    engine_of(master).program.store(program.of_file(script))
    master.launch_workers(1)
    supervisor = engine_of(master).execution.launcher.local_workers._supervisor
    assert supervisor is not None
    assert supervisor.wait(HANG)
    told = [r.getMessage() for r in caplog.records if r.name == "masterworker.launch"]
    assert len(told) == TRIES
    assert sum("RuntimeError: broken by intent" in text for text in told) == 1
    assert "no worker takes its place" in told[-1]


def test_processes_that_cannot_be_started(
    master: Master, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Out of processes or memory: tried again, and told."""

    def fail(*_: Any, **__: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", fail)
        with pytest.raises(WorkerStartError, match="temporarily unavailable"):
            master.launch_workers(1, wait=True)
        master.launch_workers(1)
        wait_until(lambda: "another one starts in" in caplog.text, HANG)
    assert master.submit(work.pid).result(HANG)


def test_a_supervisor_that_stumbles_goes_on(
    master: Master, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All workers would end with its thread."""
    master.launch_workers(1, wait=True)
    before = members(master)

    def stumble(_: int) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("masterworker.launch.health.look", stumble)
        wait_until(lambda: "stumbled" in caplog.text, HANG)
    assert master.submit(work.pid).result(HANG) in before


def test_the_program_waits_for_all_its_children(master: Master) -> None:
    """`os.wait` of the program takes the status away; the worker is replaced all the same."""
    master.launch_workers(1)
    victim = one_worker(master)
    supervisor = engine_of(master).execution.launcher.local_workers._supervisor
    assert supervisor is not None
    began, done = threading.Event(), threading.Event()

    def look_elsewhere(_: float) -> None:
        began.set()
        done.wait(HANG)

    supervisor._loop.ask(look_elsewhere)
    assert began.wait(HANG)
    os.kill(victim, signal.SIGKILL)
    assert os.waitpid(victim, 0)[0] == victim
    done.set()
    assert master.submit(work.pid).result(HANG) != victim


# -- options -----------------------------------------------------------------------------------


def test_a_maximum_of_tasks(master: Master) -> None:
    """Then a new process takes the place, without a word."""
    master.launch_workers(1, max_tasks=3)
    pids = list(master.map(work.pid, range(10)))
    assert len(set(pids)) >= 4
    assert max(pids.count(pid) for pid in pids) <= 3


def test_an_idle_time_out(master: Master) -> None:
    """Who has nothing to do leaves, and is not replaced."""
    master.launch_workers(2, idle_timeout=0.3, wait=True)
    supervisor = engine_of(master).execution.launcher.local_workers._supervisor
    assert supervisor is not None
    assert supervisor.wait(HANG)
    assert members(master) == set()


def test_one_task_at_a_time_keeps_one_worker(master: Master) -> None:
    """The newest idle one gets the next task, so the others have nothing to do, and leave."""
    master.launch_workers(3, idle_timeout=3.0, wait=True)
    wait_until(lambda: len(members(master)) == 3, HANG)

    def alone() -> bool:
        assert master.submit(abs, -1).result(HANG) == 1
        return len(members(master)) == 1

    wait_until(alone, HANG)
    assert len({master.submit(work.pid).result(HANG) for _ in range(20)}) == 1


def test_a_lifetime(master: Master, tmp_path: Path) -> None:
    """When it is over a stubborn worker is ended without a strike, and not replaced."""
    master.launch_workers(1, lifetime=4.0)  # a start takes its time on a busy machine
    future = master.submit(work.first_then_say, "begun", str(tmp_path))
    wait_until((tmp_path / "begun").exists, HANG)
    supervisor = engine_of(master).execution.launcher.local_workers._supervisor
    assert supervisor is not None
    assert supervisor.wait(HANG)
    assert not future.done()
    assert engine_of(master).manager.core.tasks[future.number].losses is None


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is seen in /proc")
def test_a_memory_limit(master: Master) -> None:
    """Who has more is killed, and the error says how much it was."""
    master.launch_workers(1, memory_limit="150M")
    with pytest.raises(TaskLost, match=r"MB of memory, and its limit is 150 MB"):
        master.submit(hoard, 300).result(HANG)
    assert master.submit(work.pid).result(HANG)


def test_an_initializer(master: Master) -> None:
    """Called by each process before its first task, also one that takes another's place."""
    name = "MASTERWORKER_TEST_INITIALIZER"

    def initialize() -> None:
        os.environ[name] = str(os.getpid())

    master.launch_workers(1, initializer=initialize, max_tasks=1)
    found = [int(value) for value in master.map(setting, [name] * 3)]
    assert len(set(found)) == 3
    assert os.getpid() not in found


def test_an_initializer_that_fails(master: Master) -> None:
    """A worker that could not be made ready does not start."""

    def initialize() -> None:
        raise RuntimeError("not ready")

    with pytest.raises(WorkerStartError, match="RuntimeError: not ready"):
        master.launch_workers(1, initializer=initialize, wait=True)


def test_numerical_libraries_share_the_processors(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would start a thread for each processor, in each worker."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    master.launch_workers(2)
    threads = master.submit(setting, "OMP_NUM_THREADS").result(HANG)
    assert 1 <= int(threads) <= (os.cpu_count() or 1)


def test_options_of_a_master_that_make_no_sense() -> None:
    """They are refused, and nothing is left behind."""
    for wrong in ({"max_tasks": 0}, {"memory_limit": "much"}, {"lifetime": -1.0}):
        with pytest.raises(UsageError):
            Master("no sense", workers=1, **wrong)  # type: ignore[arg-type]
    with Master("no sense", workers="auto", max_tasks=2) as master:
        assert master.submit(work.pid).result(HANG)


# -- watching ------------------------------------------------------------------------------------


NERVOUS = """
    import ctypes, os
    from pathlib import Path
    from masterworker import Worker
    from masterworker.launch.process_context import this_process

    def hold(seconds, path):
        Path(path).touch()
        ctypes.PyDLL(None).sleep(seconds)
        return os.getpid()

    assignment = this_process.context.ask_assignment()
    Worker(assignment.label, handlers={"hold": hold}, heartbeat=0.25).run()
"""


@pytest.fixture
def nervous(master: Master, tmp_path: Path) -> Master:
    """A master with a worker that counts as lost after a second of silence."""
    engine_of(master).program.store(program.of_file(python_script(tmp_path, "nervous.py", NERVOUS)))
    master.launch_workers(1, wait=True)
    return master


def test_a_handler_that_holds_the_interpreter_is_not_lost(nervous: Master, tmp_path: Path) -> None:
    """Its own heart cannot beat; its supervisor's does."""
    nervous.request_task("hold", 4, str(tmp_path / "begun"))
    assert nervous.retrieve_result(timeout=HANG)[2] == one_worker(nervous)
    assert engine_of(nervous).manager.core.tally.lost_members == 0


def test_a_stopped_worker_is_not_vouched_for(nervous: Master) -> None:
    """Its process is there, and does nothing."""
    worker = one_worker(nervous)
    os.kill(worker, signal.SIGSTOP)
    try:
        wait_until(lambda: engine_of(nervous).manager.core.tally.lost_members == 1, 10.0)
    finally:
        os.kill(worker, signal.SIGCONT)
    wait_until(lambda: worker in members(nervous), HANG, "it comes back")


# -- what workers write --------------------------------------------------------------------------


def test_output_is_marked_with_the_worker(
    master: Master, capfd: pytest.CaptureFixture[str]
) -> None:
    """It goes where the master's own goes, line by line, at once."""
    master.launch_workers(1)
    worker = one_worker(master)
    master.submit(print, "text\nmore").result(HANG)
    found = ""

    def shown() -> bool:
        nonlocal found
        found += capfd.readouterr().out
        return f"[worker {worker}] text\n[worker {worker}] more\n" in found

    wait_until(shown, HANG)


def test_the_last_words_of_a_worker_reach_the_manager(master: Master) -> None:
    """With the loss that they explain."""
    endings: list[wire.Ending] = []
    attend = engine_of(master).manager.attend

    def spy(name: str, alive: Sequence[int], ended: Sequence[wire.Ending], wait: float) -> Any:
        endings.extend(ended)
        return attend(name, alive, ended, wait)

    engine_of(master).execution.launcher.local_workers._attend = spy
    master.launch_workers(1)
    worker = one_worker(master)

    def last_words() -> None:
        sys.stderr.write("these are my last words\n")
        os.abort()

    with pytest.raises(TaskLost):
        master.submit(last_words).result(HANG)
    [first, *_] = endings
    assert first.blame
    assert first.info.startswith(f"pid {worker} on ")
    assert "SIGABRT" in first.how
    assert "these are my last words" in first.tail
    assert first.task_id


# -- the rules, without processes ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "worked", "reason"),
    [
        (0, True, Reason.LEFT),
        (130, False, Reason.LEFT),
        (1, False, Reason.FAILED),
        (1, True, Reason.FELL),
        (2, False, Reason.HOPELESS),
        (4, True, Reason.ORPHANED),
        (exits.RECYCLED, True, Reason.RECYCLED),
        (-9, False, Reason.FAILED),
        (None, False, Reason.FAILED),
        (None, True, Reason.FELL),
    ],
)
def test_what_an_end_means(chosen: int | None, worked: bool, reason: Reason) -> None:
    """Only a status that the worker has chosen itself means something."""
    assert reason_of(chosen, worked=worked) is reason


class Ended(processes.WorkerProcess):
    """A process that has ended, without the process."""

    def __init__(self, status: int | None) -> None:
        self.board = scoreboard.private()
        self.status = status


@pytest.mark.parametrize(
    ("verdict", "left", "task", "status", "chosen"),
    [
        (None, 0, 0, 2, None),  # a handler, or Python that could not start
        (None, 1, 0, 0, 0),  # the script has gone on, and ended the process
        (None, 1, 7, 0, None),  # a task inside another one has
        (exits.RECYCLED, 1, 0, exits.RECYCLED, exits.RECYCLED),
        (exits.RECYCLED, 1, 0, None, exits.RECYCLED),  # the program has waited for all children
        (exits.RECYCLED, 1, 0, -11, None),  # an exit handler has crashed
        (exits.MASTER_GONE, 0, 7, exits.MASTER_GONE, exits.MASTER_GONE),
        (0, 1, 0, 3, None),
    ],
)
def test_who_has_chosen_the_exit_status(
    verdict: int | None, left: int, task: int, status: int | None, chosen: int | None
) -> None:
    """The worker says so in memory that it shares, or nobody has."""
    ended = Ended(status)
    ended.board[scoreboard.LEFT], ended.board[scoreboard.TASK] = left, task
    if verdict is not None:
        scoreboard.write_verdict(ended.board, verdict)
    assert ended.chosen_status == chosen


def spec(deadline: float | None = None) -> Spec:
    return Spec("label", None, {}, WorkerLimits(deadline=deadline))


def test_pauses_grow_and_end() -> None:
    """A slot where nobody starts is given up; one good start, and it begins anew."""
    slot, now, pauses = Slot(spec()), 0.0, []
    for _ in range(TRIES - 1):
        slot.after(Reason.FAILED, now)
        assert slot.due is not None
        pauses.append(slot.due - now)
        now = slot.due
    assert pauses == sorted(pauses)
    assert pauses[0] == PAUSES[0]
    slot.after(Reason.FELL, now)
    assert slot.due == now
    for _ in range(TRIES):
        assert not slot.closed
        slot.after(Reason.FAILED, now)
    assert slot.closed


def test_nobody_starts_who_has_no_time_left() -> None:
    """The lifetime is of the slot, not of each worker."""
    slot = Slot(spec(deadline=10.0))
    slot.after(Reason.FELL, 5.0)
    assert not slot.closed
    slot.after(Reason.FELL, 10.0)
    assert slot.closed


class FakeProcess:
    """Something that has a scoreboard, and takes note of signals."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.worker = processes.WorkerProcess.__new__(processes.WorkerProcess)
        self.worker.board = scoreboard.private()
        self.worker.asked = ""
        self.worker.guilty = False
        self.worker.outcome = None
        self.worker.spec = spec()
        self.worker._cancelling = None
        self.worker._unwanted = {}
        self.worker._plan = processes.deque()
        self.worker.signal = self.sent.append  # type: ignore[method-assign]
        kill = lambda: self.sent.append(signal.SIGKILL)  # noqa: E731  a stand-in
        self.worker.kill = kill  # type: ignore[method-assign]


def test_cancelling_what_does_not_stop() -> None:
    """The signal to look, and the end of the process if the task is the same 2 s later."""
    fake = FakeProcess()
    fake.worker.board[scoreboard.TASK] = 5
    fake.worker.cancel(4, 0.0)
    assert fake.sent == []
    fake.worker.cancel(5, 0.0)
    assert fake.sent == [scoreboard.LOOK]
    assert fake.worker.board[scoreboard.CANCEL] == 5
    fake.worker.take_steps(1.9)
    assert fake.sent == [scoreboard.LOOK]
    fake.worker.take_steps(2.1)
    assert fake.sent == [scoreboard.LOOK, signal.SIGKILL]
    assert "cancelled" in fake.worker.asked


def test_cancelling_what_has_not_begun() -> None:
    """It was on its way: it is broken off when it begins, and only if that is soon."""
    fake = FakeProcess()
    fake.worker.cancel(5, 0.0)
    fake.worker.cancel(6, 0.0)
    fake.worker.take_steps(0.1)
    assert fake.sent == []
    fake.worker.board[scoreboard.TASK] = 5
    fake.worker.take_steps(0.2)
    fake.worker.take_steps(0.3)
    assert fake.sent == [scoreboard.LOOK]
    fake.worker.board[scoreboard.TASK] = 0
    fake.worker.take_steps(processes.ON_ITS_WAY_SECONDS)
    fake.worker.board[scoreboard.TASK] = 6
    fake.worker.take_steps(processes.ON_ITS_WAY_SECONDS + 1.0)
    assert fake.sent == [scoreboard.LOOK]


def test_cancelling_what_stops() -> None:
    """The next task is left alone."""
    fake = FakeProcess()
    fake.worker.board[scoreboard.TASK] = 5
    fake.worker.cancel(5, 0.0)
    fake.worker.board[scoreboard.TASK] = 6
    fake.worker.take_steps(5.0)
    assert fake.sent == [scoreboard.LOOK]


def test_numbers_of_another_run_mean_other_tasks() -> None:
    """What was to be broken off before the worker joined another run is not taken for these."""
    fake = FakeProcess()
    fake.worker.board[scoreboard.RUN], fake.worker.board[scoreboard.TASK] = 1, 5
    fake.worker.cancel(5, 0.0)
    fake.worker.cancel(6, 0.0)
    fake.worker.board[scoreboard.RUN] = 2
    fake.worker.take_steps(2.1)
    fake.worker.board[scoreboard.TASK] = 6
    fake.worker.take_steps(2.2)
    fake.worker.take_steps(4.3)
    assert fake.sent == [scoreboard.LOOK]
    fake.worker.cancel(6, 4.4)
    assert fake.sent == [scoreboard.LOOK, scoreboard.LOOK]


# -- talking to the manager ---------------------------------------------------------------------


class FakeManager:
    """Answers as it is told."""

    def __init__(self) -> None:
        self.alive: list[list[int]] = []
        self.endings: list[wire.Ending] = []
        self.orders: list[list[tuple[str, int, int]]] = []
        self.error: Exception | None = None
        self.changed = threading.Condition()

    def attend(
        self, name: str, alive: list[int], endings: list[wire.Ending], wait: float
    ) -> list[tuple[str, int, int]]:
        assert name == "name"
        with self.changed:
            if self.error is not None:
                raise self.error
            self.alive.append(alive)
            self.endings += endings
            if not self.orders and wait:
                self.changed.wait(wait)
            return self.orders.pop(0) if self.orders else []


def ending(member_id: int) -> wire.Ending:
    return wire.Ending(member_id, "pid 1", 0, "somehow", blame=True, tail="")


@pytest.fixture
def talk() -> Iterator[Callable[..., tuple[FakeManager, Reporter, list[Any]]]]:
    made: list[Reporter] = []

    def make(patience: float | None) -> tuple[FakeManager, Reporter, list[Any]]:
        manager, heard = FakeManager(), []  # type: ignore[var-annotated]
        reporter = Reporter(
            "name",
            manager.attend,
            manager.attend,
            heard.append,
            lambda: heard.append("over"),
            lambda why: heard.append(("gone", why)),
            patience,
        )
        made.append(reporter)
        reporter.start()
        return manager, reporter, heard

    yield make
    for each in made:
        each.close()


def test_orders_come_while_it_waits(talk: Any) -> None:
    """And the end of the job, once."""
    manager, _, heard = talk(10.0)
    with manager.changed:
        manager.orders += [[(wire.CANCEL, 1, 2)], [(wire.STOP, 0, 0)], [(wire.STOP, 0, 0)]]
        manager.changed.notify_all()
    wait_until(lambda: heard == [[(wire.CANCEL, 1, 2)], "over"], HANG)


def test_ends_are_told_once_over_a_broken_connection(talk: Any) -> None:
    """Whoever has ended is vouched for no more."""
    manager, reporter, heard = talk(10.0)
    reporter.vouch([1, 2])
    wait_until(lambda: [1, 2] in manager.alive, HANG)
    manager.error = TransportError("cut")
    reporter.report(ending(1))
    wait_until(lambda: not reporter.in_touch(), HANG)
    manager.error = None
    wait_until(lambda: manager.endings, HANG)
    assert manager.alive[-1] == [2]
    wait_until(reporter.in_touch, HANG)
    assert manager.endings == [ending(1)]
    assert heard == []


def test_a_master_that_does_not_come_back(talk: Any) -> None:
    """It is looked for so long, and then it is gone."""
    manager, _, heard = talk(0.3)
    manager.error = TransportError("nobody answers")
    wait_until(lambda: heard == [("gone", "nobody answers")], HANG)


def test_a_manager_that_has_ended_in_this_process(talk: Any) -> None:
    """It says so with an exception."""
    manager, _, heard = talk(None)
    manager.error = Terminated("the job is over")
    wait_until(lambda: heard == ["over"], HANG)


def test_a_job_that_ended_while_the_line_was_cut(talk: Any) -> None:
    """Nothing is waited for any more, however long a master may be away."""
    manager, _, heard = talk(600.0)
    manager.error = JobEndedError("job", 1.0)
    wait_until(lambda: len(heard) == 2, HANG)
    assert heard[0] == "over"
    assert heard[1][0] == "gone"


def test_a_bug_on_the_other_side_does_not_end_it(
    talk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody would report the ends of workers any more."""
    manager, reporter, _ = talk(None)
    manager.error = ZeroDivisionError()
    wait_until(lambda: caplog.records and caplog.records[-1].levelno == logging.ERROR, HANG)
    manager.error = None
    reporter.report(ending(3))
    wait_until(lambda: manager.endings == [ending(3)], HANG)


def test_a_worker_that_looks_for_its_master_when_the_job_is_over() -> None:
    """It may have missed the end; its supervisor tells, so that it does not look for long."""
    context = ProcessContext(os.getppid())
    context.require_launcher(0.0)
    context.board[scoreboard.OVER] = 1
    with pytest.raises(MasterNotFoundError):
        context.require_launcher(0.0)


@pytest.mark.parametrize("how", ["nobody", "another"])
def test_the_master_may_take_its_time_after_the_end(talk: Any, how: str) -> None:
    """Till then its workers finish what they have; then they must go."""
    manager, _, heard = talk(10.0)
    manager.error = Terminated("the job is over")
    wait_until(lambda: heard == ["over"], HANG)
    manager.error = TransportError("nobody answers") if how == "nobody" else None
    wait_until(lambda: len(heard) == 2, HANG)
    assert heard[1][0] == "gone"


def test_a_supervisor_without_workers_can_be_closed() -> None:
    """It has no thread yet."""
    manager = FakeManager()
    supervisor = Supervisor(manager.attend, manager.attend, patience=None)
    assert supervisor.is_done()
    began = time.monotonic()
    supervisor.close()
    assert time.monotonic() - began < 1.0
