"""Tasks through engines: whole programs, engines that break, and what is no engine."""

from __future__ import annotations

import concurrent.futures
import os
import pickle
import re
import shutil
import subprocess
import sys
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from engines import work
from engines.contract_engines import Slow, nothing_left
from masterworker import (
    Engine,
    EngineError,
    Executor,
    Master,
    Pool,
    TaskLost,
    UsageError,
)
from masterworker.engine import child, parcel
from masterworker.engine.bundle import carry_out
from support import python_script, start_script, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG = 90.0

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(200)]

CLASSIC = """
    import sys
    from Scientific.DistributedComputing.MasterSlave import *

    class Squares(MasterProcess):
        def run(self):
            state = self.setGlobalState(offset=100)
            for i in range(8):
                self.requestTask("square", i, GlobalStateValue(state, "offset"))
            print(sorted(self.retrieveResult("square")[2] for _ in range(8)))

    class Squaring(SlaveProcess):
        def do_square(self, i, offset):
            return i * i + offset

    runJob(sys.argv[1], Squares, Squaring)
"""
MODERN = """
    import sys
    from masterworker import Master, Worker, run_job

    class Squares(Master):
        def run(self):
            for i in range(8):
                self.request_task("square", i)
            print(sorted(value for _, _, value in self.results()))

    class Squaring(Worker):
        def do_square(self, i):
            if i < 4:
                self.request_task("later", i)
            return i * i + 100

        def do_later(self, i):
            return i

    run_job(sys.argv[1], Squares, Squaring)
"""
SQUARES = [i * i + 100 for i in range(8)]


@pytest.fixture(scope="module", autouse=True)
def clean() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.fixture(autouse=True)
def no_process_left() -> None:
    """A pool that was broken ends its processes when it likes; that is looked at last of all."""


def need_mpi() -> None:
    """Skip without it. It is imported elsewhere: it keeps sockets and a thread until the end."""
    import_it = [sys.executable, "-c", "import mpi4py.MPI"]
    if subprocess.run(import_it, stderr=subprocess.DEVNULL, timeout=LONG, check=False).returncode:
        pytest.skip("no MPI")


@pytest.mark.parametrize(
    ("source", "expected"), [(CLASSIC, SQUARES), (MODERN, [0, 1, 2, 3, *SQUARES])]
)
def test_programs_without_a_change(tmp_path: Path, source: str, expected: list[int]) -> None:
    """The environment says that MPI executes; here rank 0 alone, with a child process."""
    need_mpi()
    path = python_script(tmp_path, "program.py", source)
    script = start_script(path, unique_label(), env={"MASTERWORKER_ENGINE": "mpi"})
    assert script.wait(LONG) == 0, script.told
    assert str(expected) in script.out, script.told


def test_a_classic_program_on_three_ranks(tmp_path: Path) -> None:
    need_mpi()
    path = python_script(tmp_path, "program.py", CLASSIC)
    beside = Path(sys.executable).with_name("mpiexec")
    starter = str(beside) if beside.exists() else shutil.which("mpiexec")
    if starter is None:
        pytest.skip("no mpiexec")
    done = subprocess.run(
        [starter, "-n", "3", sys.executable, str(path), unique_label()],
        env={**os.environ, "MASTERWORKER_ENGINE": "mpi"},
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(SQUARES)


def test_an_executor() -> None:
    with Executor(engine=lambda: ProcessPoolExecutor(2)) as executor:
        assert list(executor.map(work.square, range(20))) == [i * i for i in range(20)]
        assert executor.submit(work.square, 5).result(LONG) == 25


def test_a_pool() -> None:
    with ThreadPoolExecutor(2) as threads, Pool(engine=threads) as pool:
        assert pool.map(work.square, range(20)) == [i * i for i in range(20)]


def test_it_is_not_shut_down() -> None:
    with ThreadPoolExecutor(2) as threads:
        for _ in range(2):
            with Master(engine=threads) as master:
                assert master.submit(work.square, 3).result(LONG) == 9
        assert threads.submit(work.square, 4).result(LONG) == 16


def test_two_jobs_at_a_time_on_one_executor() -> None:
    with (
        ThreadPoolExecutor(2) as threads,
        Master(engine=threads) as one,
        Master(engine=threads) as two,
    ):
        offset = 10
        first = one.map(lambda x: x + offset, range(100))
        second = two.map(lambda x: x - offset, range(100))
        assert list(zip(first, second, strict=True)) == [(i + 10, i - 10) for i in range(100)]


# -- what breaks ----------------------------------------------------------------------------


def test_a_poison_task_and_innocent_ones_beside_it() -> None:
    """Executors lose all that is with them: none but the poison is given up."""
    with Master(engine=Engine(lambda: ProcessPoolExecutor(2))) as master:
        slow = [master.submit(work.wait, 0.2) for _ in range(6)]
        poison = master.submit(work.end_process, 1, 1)
        slow += [master.submit(work.wait, 0.2) for _ in range(6)]
        with pytest.raises(TaskLost, match="took 3 workers down"):
            poison.result(LONG)
        assert [future.result(LONG) for future in slow] == [0.2] * 12


def test_a_task_that_ends_a_child_costs_the_engine_nothing() -> None:
    with ProcessPoolExecutor(2) as pool, Master(engine=Engine(pool, apart=True)) as master:
        futures = [master.submit(work.end_process, i, 37) for i in range(100)]
        with pytest.raises(TaskLost, match="took 3 workers down"):
            futures.pop(37).result(LONG)
        assert sum(future.result(LONG) for future in futures) == sum(range(100)) - 37
        assert pool.submit(work.square, 3).result(LONG) == 9


def test_a_child_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started again when it is needed."""
    monkeypatch.setattr(child, "_IDLE", 0.1)
    one = child.IdleChild()
    for _ in range(2):
        assert "masterworker 0 " in one.call([["another", "3", "0"], b"", []])
        wait_until(lambda: not psutil.Process().children(), LONG)


def test_threads_have_no_children() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(UsageError, match="has threads"):
        Engine(pool, apart=True)


def test_a_broken_executor_that_cannot_be_made_anew() -> None:
    with ProcessPoolExecutor(2) as pool, Master(engine=pool) as master:
        futures = [master.submit(work.end_process, i, 5) for i in range(50)]
        with pytest.raises(EngineError, match=r"BrokenProcessPool.*(tasks are|task is) left"):
            [future.result(LONG) for future in futures]


def test_an_executor_that_was_shut_down() -> None:
    pool = ThreadPoolExecutor(1)
    with Master(engine=pool) as master:
        assert master.submit(work.square, 3).result(LONG) == 9
        pool.shutdown()
        with pytest.raises(EngineError, match="cannot go on"):
            master.submit(work.square, 3).result(LONG)


def test_an_executor_whose_engine_is_gone() -> None:
    pool = ThreadPoolExecutor(1)
    with Executor(engine=pool) as executor:
        assert executor.submit(work.square, 3).result(LONG) == 9
        pool.shutdown()
        with pytest.raises((EngineError, concurrent.futures.BrokenExecutor), match="cannot go on"):
            executor.submit(work.square, 3).result(LONG)


class Odd(concurrent.futures.Executor):
    """An executor of doubtful habits: it executes in `submit`, and calls back twice."""

    _max_workers = 3

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        add = future.add_done_callback

        def twice(callback: Any) -> None:
            add(callback)
            add(callback)

        future.add_done_callback = twice  # type: ignore[method-assign]
        return future


def test_an_executor_of_doubtful_habits() -> None:
    with Master(engine=Odd()) as master:
        assert list(master.map(work.square, range(500))) == [i * i for i in range(500)]


def test_many_slots() -> None:
    """As many bundles are under way as there is place for, and every task is done once."""
    slow = Slow()
    with Master(engine=slow) as master:
        futures = [master.submit(work.square, i) for i in range(2000)]
        assert [future.result(LONG) for future in futures] == [i * i for i in range(2000)]
    assert slow.most > 20
    wait_until(lambda: slow.under_way == 0, LONG)


# -- what is no engine ----------------------------------------------------------------------


@pytest.mark.parametrize("given", ["nonsense", "tcp://127.0.0.1:1", 5, object(), [], "daskk://x:1"])
def test_what_is_no_engine(given: Any) -> None:
    with pytest.raises(UsageError, match="is no engine: give a Dask Client"):
        Master(engine=given)


@pytest.mark.parametrize("given", [{"workers": 2}, {"serial": True}])
def test_an_engine_and_something_else(given: dict[str, Any]) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(UsageError, match="or engine="):
        Master(engine=pool, **given)


def test_an_executor_with_workers_of_its_own() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(UsageError, match="give only engine="):
        Executor(2, engine=pool)


def test_numbers_that_make_no_sense() -> None:
    with ThreadPoolExecutor(1) as pool:
        for given in ({"bundle_seconds": 0}, {"bundle_seconds": "1"}, {"slots": 0}):
            with pytest.raises(UsageError):
                Engine(pool, **given)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="for Dask and Ray"):
            Engine(pool, resources={"GPU": 1})


def test_no_scheduler_at_that_address() -> None:
    pytest.importorskip("distributed")
    with Master(engine="dask://127.0.0.1:1") as master, pytest.raises(EngineError, match="no Dask"):
        master.submit(work.square, 1).result(LONG)


def test_an_executor_that_never_executes() -> None:
    class Silent(Odd):
        _max_workers = 1

        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            return Future()

    with Master(engine=Silent()) as master:
        master.request_task("square", 1)
        with pytest.raises(TimeoutError, match="Silent has executed nothing for") as raised:
            master.retrieve_result(timeout=0.5)
        wait_until(lambda: master.status().troubles, LONG)
        told = f"{raised.value} {master.status().troubles}"
        assert "1 task waits; Silent has executed nothing" in told
        assert "task_manager worker" not in told, "that is for workers of ours"


class Bare(concurrent.futures.Executor):
    """An executor whose processes have a Python without any package, and some code before it."""

    _max_workers = 1

    def __init__(self, code: str) -> None:
        self._code = (
            f"import pickle, sys, types; {code}; call, *args = pickle.load(sys.stdin.buffer)"
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        command = [sys.executable, "-I", "-S", "-c", f"{self._code}; print(call(*args))"]
        said = subprocess.run(
            command, input=pickle.dumps((fn, *args)), capture_output=True, check=True
        )
        future: Future[Any] = Future()
        future.set_result(said.stdout.decode().strip())
        return future


#: Makes another version of masterworker in a process.
OLD = (
    "m = sys.modules['masterworker'] = types.ModuleType('masterworker'); m.__path__ = []; "
    "v = sys.modules['masterworker.version'] = types.ModuleType('v'); v.__version__ = '0.0.7'"
)


@pytest.mark.parametrize(
    ("code", "has"), [("pass", "has no masterworker"), (OLD, r"has masterworker 0\.0\.7")]
)
def test_masterworker_is_missing_there(code: str, has: str) -> None:
    """The job ends with one sentence: host, both versions, and the command to install it."""
    with Master(engine=Bare(code)) as master, pytest.raises(EngineError) as raised:
        master.submit(work.square, 1).result(LONG)
    assert re.search(
        rf"Bare cannot go on: \S+ \(Python 3\.\d+, \S+\) {has}, the master has (\S+): install the "
        # It is asked before there is a task: then none is left.
        r"same there: \S+ -m pip install masterworker==\1( \(1 task is left\))?$",
        str(raised.value),
    ), raised.value


def test_other_versions_there() -> None:
    """One sentence names the host, both versions, and the command to install it."""
    protocol, python, _ = parcel.VERSIONS
    said = carry_out((protocol, "3.9", "0.0.7"), b"", [])
    assert f"has Python {python} and masterworker" in said
    assert "the master Python 3.9 and masterworker 0.0.7" in said
    assert "-m pip install masterworker==0.0.7" in said
