"""`task_manager replay` of jobs of all kinds that have ended, and what it refuses."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e.replaying import one_line, replay
from masterworker import failed, failed_keeping, wire
from masterworker.core.task import FAILURE
from masterworker.data.failure import describe
from masterworker.data.pickling import dumps

if TYPE_CHECKING:
    from e2e.desk import Desk

FUNCTIONS = """
from masterworker import Master

class Odd(Exception):
    pass

def check(number, *, limit):
    if number > limit:
        raise Odd(f"{number} is above {limit}")
    return number

with Master(LABEL, workers=1) as master:
    for number in 1, 5:
        future = master.submit(check, number, limit=3)
        try:
            print(future.result(60))
        except Odd as error:
            print(error)
"""


def test_calls_of_functions(desk: Desk) -> None:
    """The function comes along; the job has ended."""
    assert desk.python("job.py", FUNCTIONS).good().lines == ["1", "5 is above 3"]
    assert [line.split()[0] for line in replay(desk).good().lines] == ["@check_1"]
    again = replay(desk, "@check_1")
    assert again.status() == 1
    assert again.err.splitlines()[-1].endswith("Odd: 5 is above 3")
    again = replay(desk, "1", "--break", said="limit = 9\nc\n")
    assert "returned 5" in again.good().out
    told = desk.command("explain", desk.label, "@check_1").good().out
    assert "does not run any more" in told
    assert "Odd: 5 is above 3" in told


def test_a_state_that_is_gone(desk: Desk) -> None:
    """The job has ended: one line that names it, status 3."""
    desk.python(
        "job.py",
        """
        class Master(MasterProcess):
            def run(self):
                state = self.setGlobalState(table=[1])
                self.requestTask("look", GlobalStateValue(state, "table"))
                try:
                    self.retrieveResult()
                except TaskRaisedException:
                    print("raised")

        class Slave(SlaveProcess):
            def do_look(self, table):
                return table[1]

        runJob(LABEL, Master, Slave, launch_slaves=1)
        """,
    ).good()
    told = one_line(replay(desk, "look_0"), 3)
    assert "'table' of state 1 is not available any more" in told


def test_one_that_takes_processes_down(desk: Desk) -> None:
    """A warning first; then it is carried out all the same."""
    desk.python(
        "job.py",
        """
        from masterworker import Master, TaskLost

        def deadly():
            if not said("cured"):
                os._exit(7)
            return "alive"

        with Master(LABEL, workers=2) as master:
            future = master.submit(deadly)
            try:
                future.result(60)
            except Exception as error:
                print(type(error).__name__)
        """,
    ).good()
    assert replay(desk, "0").status() == 7
    desk.write("cured", "")
    again = replay(desk, "0").good()
    assert again.err.startswith("warning: this task has ended 3 processes")
    assert "returned 'alive'" in again.out


def test_a_worker_with_code_of_its_own(desk: Desk) -> None:
    """Its code is not stored: one line says so."""
    master = desk.python(
        "master.py",
        """
        from masterworker import Master
        with Master(LABEL) as master:
            master.request_task("odd")
            print(list(master.results(return_errors=True))[0][0])
        """,
    )
    desk.census()
    desk.python(
        "worker.py",
        """
        from masterworker import Worker
        def odd():
            raise ValueError
        Worker(LABEL, handlers={"odd": odd}).run()
        """,
    ).good()
    assert master.good().out == "odd_0\n"
    assert "has brought its own" in one_line(replay(desk, "odd_0"), 2)


def test_run_job_and_its_class(desk: Desk) -> None:
    """The new interface: a worker with a constructor of its own, from the stored script."""
    desk.python(
        "job.py",
        """
        from masterworker import Master, Worker, run_job

        class Asking(Master):
            def run(self):
                self.request_task("above", 2)
                print(list(self.results(return_errors=True))[0][0])

        class Analyst(Worker):
            def __init__(self, label, master=None, **options):
                super().__init__(label, master, **options)
                self.least = 3
            def do_above(self, x):
                assert x > self.least, "too small"
                return x

        sys.exit(run_job(LABEL, Asking, Analyst, workers=1))
        """,
    ).good()
    again = replay(desk, "above_0")
    assert again.status() == 1
    assert "AssertionError: too small" in again.err
    again = replay(desk, "above_0", "--break", said="x = 4\nc\n")
    assert "returned 4" in again.good().out


def test_another_python(desk: Desk) -> None:
    """Refused, with both versions named."""
    outcome = describe(ValueError()).encode()
    summary = failed.summarise(desk.label, "run", (1, "@f", b"", FAILURE, outcome, ""), 1, 3)
    summary = summary._replace(python="3.99")
    failed_keeping.save(desk.label, [failed.Call(summary, dumps(()), outcome, b"")])
    told = one_line(replay(desk, "0"), 5)
    assert "3.99" in told
    assert wire.python_version() in told


def test_parameters_that_were_too_large(desk: Desk) -> None:
    """Said, with the size."""
    outcome = describe(ValueError()).encode()
    summary = failed.summarise(desk.label, "run", (1, "@f", b"", FAILURE, outcome, ""), 1, 10**8)
    failed_keeping.save(desk.label, [failed.Call(summary, None, outcome, b"")])
    assert "100,000,000 bytes" in one_line(replay(desk, "0"), 2)


def test_a_thousand_failures(desk: Desk) -> None:
    """The job is not disturbed, and the 100 that failed last are kept: not in their order."""
    job = desk.python(
        "job.py",
        """
        from masterworker import Master

        def bad(number):
            raise ValueError(number)

        with Master(LABEL, workers=2) as master:
            futures = [master.submit(bad, number) for number in range(1000)]
            errors = [future.exception(60) for future in futures]
            master.submit(bad, -1).exception(60)
        print([e.args[0] for e in errors] == list(range(1000)))
        """,
    ).good()
    assert job.lines == ["True"]
    assert job.complaints == ""
    numbers = [summary.number for summary in failed.saved(desk.label)]
    assert len(numbers) == 100
    assert numbers[0] == 1001, "what failed last is there"
    state = Path(os.environ["MASTERWORKER_STATE"])
    (folder,) = (path.parent for path in state.rglob(failed.saved(desk.label)[0].name))
    assert len(list(folder.glob("*.call"))) == 100
    assert len(list(folder.glob("*.needs"))) == 1  # what all of them refer to is there once
    assert len(replay(desk).good().lines) == 100


def test_clearing(desk: Desk) -> None:
    """One job's, or all; other commands know nothing of that."""
    outcome = describe(ValueError()).encode()
    for label in desk.label, f"{desk.label} too":
        found = (1, "@f", b"", FAILURE, outcome, "")
        summary = failed.summarise(label, "run", found, 1, 1)
        failed_keeping.save(label, [failed.Call(summary, b"", outcome, b"")])
    assert desk.command("replay", desk.label, "--clear").good().out == (
        f"1 failed call of {desk.label!r} removed\n"
    )
    assert not failed.saved(desk.label)
    assert desk.command("replay", "--clear").good().out.endswith("removed\n")
    assert not failed.saved(f"{desk.label} too")
    assert desk.command("replay", "--clear").good().out == "0 failed calls removed\n"
    assert "options of replay only" in one_line(desk.command("show", "x", "--clear"), 2)
    assert "takes" in one_line(desk.command("replay", "--clear", "x", "y"), 2)
    assert "takes" in one_line(desk.command("replay"), 2)


@pytest.mark.parametrize("how", ["slave_script='slave.py'", "slave_module='slave'"])
def test_the_functions_of_a_slave_script(desk: Desk, how: str) -> None:
    """`startSlaveProcess` finds them, and starts no slave."""
    ending = "startSlaveProcess()\nsay('after')\n" if "script" in how else ""
    desk.script("slave.py", "def do_odd(x):\n    y = 1 / x\n    return y\n" + ending)
    desk.python(
        "master.py",
        f"""
        master = initializeMasterProcess(LABEL, {how})
        master.requestTask("odd", 0)
        master.launchSlaveJobs(1)
        try:
            master.retrieveResult()
        except TaskRaisedException as failed:
            print(failed.task_id)
        """,
    ).good()
    (desk.folder / "after").unlink(missing_ok=True)
    again = replay(desk, "odd_0", "--pdb", said="p 'x is', x\nq\n")
    assert again.status() == 1
    assert "('x is', 0)" in again.out
    assert "ZeroDivisionError" in again.err
    assert (desk.folder / "after").exists() == bool(ending)


@pytest.mark.parametrize("kind", ["classic", "new"])
def test_a_main_program_without_a_file(desk: Desk, kind: str) -> None:
    """Its worker class has travelled by value."""
    classic = """
        class Master(MasterProcess):
            def run(self):
                self.requestTask("odd", 0)
                try:
                    self.retrieveResult()
                except TaskRaisedException as failed:
                    print(failed.task_id)
        class Slave(SlaveProcess):
            def do_odd(self, x):
                return 1 / x
        runJob(LABEL, Master, Slave, launch_slaves=1)
        """
    new = """
        from masterworker import Master, Worker, run_job
        class Asking(Master):
            def run(self):
                self.request_task("odd", 0)
                print(list(self.results(return_errors=True))[0][0])
        class Odd(Worker):
            def do_odd(self, x):
                return 1 / x
        run_job(LABEL, Asking, Odd, workers=1)
        """
    path = desk.script("main.py", classic if kind == "classic" else new)
    with path.open() as typed:
        assert desk.start("-", stdin=typed).good().out == "odd_0\n"
    again = replay(desk, "odd_0")
    assert again.status() == 1
    assert "ZeroDivisionError: division by zero" in again.err


def test_calls_that_others_could_have_changed(desk: Desk) -> None:
    """Not even listed: one line, status 2."""
    outcome = describe(ValueError()).encode()
    summary = failed.summarise(
        desk.label, "run", (1, "@f", b"", FAILURE, outcome, ""), time.time_ns(), 3
    )
    failed_keeping.save(desk.label, [failed.Call(summary, dumps(()), outcome, b"")])
    (path,) = Path(os.environ["MASTERWORKER_STATE"]).rglob(summary.name)
    path.parent.chmod(0o777)
    for words in [], ["1"]:
        assert "can be written by others" in one_line(replay(desk, *words), 2)
    assert "can be written by others" in one_line(desk.command("explain", desk.label, "1"), 2)
    path.parent.chmod(0o700)
    path.chmod(0o660)
    assert summary.name in one_line(replay(desk, "0"), 2)
    path.unlink()
