"""Workers in engines: results, kills of every process there is, ends. Each in a program of its own.

Bound: each program ends within 300 s on a loaded machine of two processors; memory 1 GB (Ray).
"""

from __future__ import annotations

import logging
import os
import pickle
import re
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import masterworker
from engines import pilot_program
from engines.programs import PACKAGES, result_in, run
from masterworker.engine.pilots.travelling import Order, pilot
from masterworker.surroundings import logs
from support import run_script, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAM = "pilot_program.py"
DEEDS = ["results", "killed_supervisor", "killed_workers", "idle"]
#: What holds in each case is said by the functions of these names in the program. Threads are ours,
#: and a rank that is killed ends the MPI job: neither is an engine's process.
CASES = {kind: [*DEEDS, "exit_without_end"] for kind in ("thread", "mpi", "openmpi")}
CASES |= {kind: [*DEEDS, "killed_engine", "exit_without_end"] for kind in ("loky", "dask", "ray")}
CASES["dask"][-1:] = ["closed_client", "late_workers", "restarted_scheduler", "exit_without_end"]
CASES["separate"] = ["results", "killed_nanny", "killed_scheduler"]


@pytest.mark.alone
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", CASES)
def test_workers_in_an_engine(kind: str, tmp_path: Path) -> None:
    label = unique_label(kind)
    found = result_in(run(tmp_path, PROGRAM, kind, label, *CASES[kind]))
    names = {"thread": "ThreadPoolExecutor", "dask": "Dask at tcp://", "ray": "Ray"}
    names["separate"] = names["dask"]
    assert sum(names.get(kind, "") in info for info in found["results"]) >= 2
    wait_until(lambda: not pilot_program.worker_processes(label), 30)


@pytest.mark.alone
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", PACKAGES)
def test_a_master_that_is_killed_leaves_no_workers(kind: str, tmp_path: Path) -> None:
    """They are gone within 20 s."""
    if "mpi" in kind or kind == "separate":
        pytest.skip("mpiexec ends all ranks; and Dask is one of the others")
    label = unique_label(f"{kind} killed")
    assert "killed" in run(tmp_path, PROGRAM, kind, label, "orphans", status=-9)
    wait_until(lambda: not pilot_program.worker_processes(label), 60)


@pytest.mark.alone
@pytest.mark.search
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", sorted(PACKAGES.keys() - {"separate"}))
def test_a_rain_of_kills(kind: str, tmp_path: Path) -> None:
    """20 processes are killed meanwhile: 1,000 tasks, none lost, none twice, never 3 workers."""
    label = unique_label(f"{kind} rain")
    found = result_in(run(tmp_path, PROGRAM, kind, label, "rain"))
    assert found["rain"]["most"] == 2


class Delayed:
    """An executor that begins nothing until it is let."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.pool = ThreadPoolExecutor(2)

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, call))
        return future

    def begin(self) -> None:
        for future, call in self.waiting:
            if future.set_running_or_notify_cancel():
                self.pool.submit(lambda f=future, c=call: f.set_result(c()))

    def shutdown(self, wait: bool = True) -> None:
        self.pool.shutdown(wait)


def test_an_engine_without_workers_is_an_error_after_the_time_that_was_given() -> None:
    with masterworker.Master() as master:
        master.launch_workers(1, on=(engine := Delayed()), no_workers_timeout=0.5)
        with pytest.raises(masterworker.WorkerStartError, match="Delayed has begun none of 1"):
            master.submit(pilot_program.here).result(60)
    assert all(future.cancelled() for future, _ in engine.waiting)


def test_workers_that_come_after_the_time_was_over() -> None:
    engine = Delayed()
    with masterworker.Master() as master:
        master.launch_workers(1, on=engine, no_workers_timeout=0.2)
        future = master.submit(pilot_program.here)
        with pytest.raises(masterworker.WorkerStartError):
            future.result(60)
        engine.begin()
        wait_until(lambda: master.number_of_workers == 1, 60)
        assert future.result(60) != os.getpid()
    engine.shutdown()


def test_pilots_that_end_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """They are sent five times, ever more slowly, and then no more."""

    class Empty(Delayed):
        def submit(self, call: Callable[[], Any]) -> Future[Any]:
            future = super().submit(call)
            future.set_result(0)
            return future

    engine = Empty()
    with masterworker.Master() as master:
        master.launch_workers(1, on=engine)
        with pytest.raises(masterworker.WorkerStartError, match="before its worker had joined"):
            master.submit(pilot_program.here).result(60)
    assert len(engine.waiting) == 5
    assert "no worker takes its place after 5 failed starts" in caplog.text


def test_an_engine_whose_workers_come_late() -> None:
    engine = Delayed()
    with masterworker.Master() as master:
        master.launch_workers(2, on=engine, no_workers_timeout=60)
        future = master.submit(pilot_program.here)
        wait_until(lambda: len(engine.waiting) == 2)
        engine.begin()
        assert future.result(60) != os.getpid()
    assert [future.result(30) for future, _ in engine.waiting] == [0, 0]
    engine.shutdown()


def test_an_executor_that_is_shut_down(caplog: pytest.LogCaptureFixture) -> None:
    """It is named, and who waits hears of it."""
    engine = ThreadPoolExecutor(1)
    engine.shutdown()
    with masterworker.Master() as master:
        master.launch_workers(1, on=engine)
        with pytest.raises(masterworker.WorkerStartError, match="after shutdown"):
            master.submit(pilot_program.here).result(60)
    assert "ThreadPoolExecutor is gone" in caplog.text


def test_a_function_that_makes_executors_is_called_again() -> None:
    made: list[ThreadPoolExecutor] = []

    def make() -> ThreadPoolExecutor:
        made.append(ThreadPoolExecutor(1))
        if len(made) == 1:
            made[0].shutdown()
        return made[-1]

    with masterworker.Master() as master:
        master.launch_workers(1, on=make)
        assert master.submit(pilot_program.here).result(60) != os.getpid()
    assert len(made) == 2


@pytest.mark.parametrize("on", [7, "dusk://here", [], object()])
def test_no_engine(on: Any) -> None:
    with masterworker.Master() as master, pytest.raises(masterworker.UsageError, match="on="):
        master.launch_workers(1, on=on)


def test_ranks_that_are_not_there() -> None:
    with masterworker.Master() as master, pytest.raises(masterworker.UsageError, match="mpiexec"):
        master.launch_workers(1, on="mpi")


def test_keywords_that_are_unknown() -> None:
    with masterworker.Master() as master:
        with pytest.raises(masterworker.UsageError, match="idle_timeout"):
            master.launch_workers(1, idle_timout=3)
        with pytest.raises(masterworker.UsageError, match="num_gpus"):
            master.launch_workers(1, on=ThreadPoolExecutor(1), num_gpus=1)


def test_what_engines_log_is_not_the_programs_own(caplog: pytest.LogCaptureFixture) -> None:
    """Dask sets filters at five loggers when it is imported: none of that concerns workers."""
    loud = logging.getLogger("distributed.of_a_test")
    loud.addFilter(lambda _: True)
    found = [each.name for each in logs.capture().loggers]
    assert not any(name.startswith("distributed") for name in found)
    assert "distributed" not in caplog.text


ORDER = Order(ticket="mw1.secret", name="0123456789abcdef")


def opened(code: str) -> str:
    """What a Python without any package makes of a pilot, and says."""
    script = f"import pickle, sys; pilot = pickle.load(sys.stdin.buffer); {code}"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        input=pickle.dumps(pilot(ORDER)),
        capture_output=True,
        check=True,
    ).stdout.decode()


def test_masterworker_is_missing_there() -> None:
    said = opened("print(pilot())")
    assert re.fullmatch(
        r"\S+ \(Python 3\.\d+, \S+\) has no masterworker, the master has (\S+): "
        r"install the same there: \S+ -m pip install masterworker==\1\n",
        said,
    ), said


def test_another_version_is_there() -> None:
    there = pickle.loads(pickle.dumps(pilot(ORDER)))
    there.version = "0.0.7"
    assert re.search(r"has masterworker \S+, the master has 0\.0\.7: .*==0\.0\.7$", there())
    there.python = "3.1"
    assert "has another Python than the master, 3.1" in there()


def test_a_pilot_shows_nothing_of_its_ticket() -> None:
    sent = pilot(ORDER)
    there = opened("print(repr(pilot), str(pilot))")
    assert "secret" not in f"{sent!r} {sent} {ORDER!r} {ORDER}" + there
    assert "MasterworkerCall" in there


def test_a_program_that_is_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends the workers, and the executor's threads with them."""
    label = unique_label("interrupted")
    path = tmp_path / "interrupted.py"
    path.write_text(
        "import os, signal, sys, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import masterworker\n"
        "with ThreadPoolExecutor(2) as pool, masterworker.Master(sys.argv[1]) as master:\n"
        "    master.launch_workers(2, on=pool, wait=True)\n"
        "    futures = [master.submit(time.sleep, 30) for _ in range(2)]\n"
        "    master.submit(os.getpid, ).add_done_callback(print)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    futures[0].result()\n"
    )
    said = run_script(path, label, timeout=60, status=None).told
    assert "KeyboardInterrupt" in said, said
    wait_until(lambda: not pilot_program.worker_processes(label), 30)
