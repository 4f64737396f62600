"""`masterworker.Executor`: what programs for `concurrent.futures` and `asyncio` expect."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from concurrent.futures import BrokenExecutor, CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from masterworker import Executor, Master, TaskCancelled, TaskLost, UsageError
from support import lasting, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor(2) as made:
        lasting.add(made._job.master.label)  # a worker may give its place to a new process
        yield made


def double(x: int) -> int:
    return 2 * x


def fail() -> None:
    raise ValueError("no")


def options_of(**given: Any) -> dict[str, Any]:
    return given


def die_once(marker: str) -> str:
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for(path: str) -> str:
    wait_until(Path(path).exists, 1000)
    return path


def test_futures_are_those_of_the_standard_library(executor: Executor) -> None:
    """For `wait`, `as_completed` and `isinstance`."""
    futures = [executor.submit(double, n) for n in range(20)]
    assert all(isinstance(each, concurrent.futures.Future) for each in futures)
    assert isinstance(executor, concurrent.futures.Executor)
    done = list(concurrent.futures.as_completed(futures, timeout=60))
    assert sorted(each.result() for each in done) == [2 * n for n in range(20)]
    assert concurrent.futures.wait(futures, timeout=60).not_done == set()


def test_a_failure_is_the_futures_own(executor: Executor) -> None:
    """With the worker's traceback."""
    future = executor.submit(fail)
    error = future.exception(60)
    assert isinstance(error, ValueError)
    assert "in fail" in "".join(error.__notes__)
    with pytest.raises(ValueError, match="no"):
        future.result()


def test_what_cannot_be_sent_fails_its_own_future(executor: Executor) -> None:
    """The call returns one all the same, as that of a pool of processes does."""
    future = executor.submit(double, (n for n in ()))  # type: ignore[arg-type]
    assert "a generator" in str(future.exception(0))
    assert executor.submit(double, 4).result(60) == 8


@pytest.mark.parametrize("name", ["self", "fn", "timeout", "retries", "priority", "function"])
def test_keywords_are_the_functions_own(executor: Executor, name: str) -> None:
    """Also where they are called as something of the executor."""
    assert executor.submit(options_of, **{name: 3}).result(60) == {name: 3}


def test_callbacks_run_without_locks(executor: Executor) -> None:
    """They may submit, wait and raise."""
    found: list[int] = []
    there = threading.Event()

    def callback(future: concurrent.futures.Future[int]) -> None:
        found.append(executor.submit(double, future.result()).result(60))
        there.set()
        raise ValueError("logged")

    executor.submit(double, 5).add_done_callback(callback)
    assert there.wait(60)
    assert found == [20]


def test_a_call_that_waits_is_cancelled_and_one_that_runs_is_not(
    executor: Executor, tmp_path: Path
) -> None:
    """And one that was cancelled never runs."""
    gates = [str(tmp_path / str(n)) for n in range(2)]
    running = [executor.submit(wait_for, gate) for gate in gates]
    wait_until(lambda: all(each.running() for each in running), what="both run")
    late = str(tmp_path / "late")
    waiting = [executor.submit(open, late, "w") for _ in range(50)]
    last = waiting[-1]
    assert last.cancel()
    assert last.cancelled()
    assert last.done()
    assert last.cancel()
    with pytest.raises(CancelledError):
        last.result()
    assert not running[0].cancel()
    assert [each for each in waiting if each.cancel()] == waiting
    for gate in gates:
        Path(gate).touch()
    assert [each.result(60) for each in running] == gates
    assert executor.submit(double, 1).result(60) == 2
    assert not Path(late).exists()


def take(seconds: float, path: str) -> str:
    """Say that this runs, and take some time."""
    Path(path).touch()
    threading.Event().wait(seconds)
    return path


def test_a_call_that_a_worker_has_and_has_not_begun_is_cancelled(tmp_path: Path) -> None:
    """It never runs; and what runs is not cancelled, although the worker has just begun."""
    with Executor(1) as executor:
        list(executor.map(take, [0.01] * 40, [str(tmp_path / "some")] * 40))
        cancelled: list[str] = []
        for turn in range(20):
            paths = [str(tmp_path / f"{turn}-{number}") for number in range(6)]
            futures = [executor.submit(take, 0.01, path) for path in paths]
            wait_until(Path(paths[0]).exists)
            assert not futures[0].cancel()
            assert futures[0].result(60) == paths[0]
            for future, path in zip(futures[::-1], paths[::-1], strict=True):
                if future.cancel():
                    assert future.cancelled()
                    cancelled.append(path)
                else:
                    assert future.result(60) == path
        assert cancelled
        assert executor.submit(double, 1).result(60) == 2
        assert not [path for path in cancelled if Path(path).exists()]


def test_interrupt_breaks_off_what_runs(executor: Executor, tmp_path: Path) -> None:
    """That is no cancelling for `concurrent.futures`: it has begun."""
    future = executor.submit(wait_for, str(tmp_path / "never"))
    wait_until(future.running, what="it runs")
    assert executor.interrupt(future)
    assert isinstance(future.exception(60), TaskCancelled)
    assert not future.cancelled()
    assert executor.submit(double, 1).result(60) == 2
    with pytest.raises(UsageError, match="a future of this executor"):
        executor.interrupt(concurrent.futures.Future())


def test_a_future_that_is_done_takes_no_result(executor: Executor) -> None:
    """Also if no other part of the standard library has looked at it yet."""
    future = executor.submit(double, 1)
    assert future.result(60) == 2
    with pytest.raises(concurrent.futures.InvalidStateError):
        future.set_result(3)
    with pytest.raises(concurrent.futures.InvalidStateError):
        future.set_exception(ValueError())
    assert future.result() == 2


def group() -> None:
    raise ExceptionGroup("some", [ValueError(1), KeyError("k")])


def test_groups_of_exceptions_keep_their_arguments(executor: Executor) -> None:
    """The exceptions in a list, if they were given in one."""
    error = executor.submit(group).exception(60)
    assert repr(error) == "ExceptionGroup('some', [ValueError(1), KeyError('k')])"
    assert isinstance(error.args[1], list)


def test_asyncio(executor: Executor) -> None:
    """`run_in_executor`, and a coroutine that is cancelled."""

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(executor, double, n) for n in range(100)]
        return await asyncio.gather(*calls)

    assert asyncio.run(main()) == [2 * n for n in range(100)]


def test_map_goes_through_all(executor: Executor) -> None:
    """In order, with several iterables, and with none."""
    assert list(executor.map(double, range(5_000), chunksize=7)) == [2 * n for n in range(5_000)]
    assert list(executor.map(pow, [2, 3], [3, 2, 1])) == [8, 9]
    assert list(executor.map(double)) == []


def test_map_draws_everything_at_once(executor: Executor) -> None:
    """As the standard library does."""
    items = iter(range(30_000))
    results = executor.map(double, items)
    assert next(items, None) is None
    assert sum(results) == 2 * sum(range(30_000))


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_map_with_a_buffer_is_lazy(executor: Executor, size: int) -> None:
    """So many are drawn and not yielded, not one more."""
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        while True:
            drawn += 1
            yield drawn

    results = executor.map(double, items(), buffersize=size)
    assert drawn <= size
    for taken in range(1, 300):
        assert next(results) == 2 * taken
        assert drawn <= taken + size


def test_map_has_a_time_limit(executor: Executor, tmp_path: Path) -> None:
    """From the call on; what is not done then is not wanted."""
    results = executor.map(wait_for, [str(tmp_path / "never")], timeout=0.1)
    with pytest.raises(TimeoutError):
        next(results)
    assert executor.submit(double, 1).result(60) == 2


def test_map_keeps_no_result(executor: Executor) -> None:
    """What was yielded belongs to the program alone."""
    for value in executor.map(set, [[1], [2]]):
        found = weakref.ref(value)
        del value
        gc.collect()
        assert found() is None


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"max_workers": 0}, ValueError),
        ({"max_workers": -1}, ValueError),
        ({"max_workers": 2.5}, TypeError),
        ({"max_workers": True}, TypeError),
        ({"max_workers": "4"}, TypeError),
        ({"max_tasks_per_child": 0}, ValueError),
        ({"max_tasks_per_child": 1.5}, TypeError),
        ({"initializer": 3}, TypeError),
        ({"output": "loud"}, UsageError),
    ],
)
def test_bad_values_are_refused(given: dict[str, Any], error: type[Exception]) -> None:
    """At once."""
    with pytest.raises(error):
        Executor(**given)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"chunksize": 0}, ValueError),
        ({"chunksize": -3}, ValueError),
        ({"chunksize": "3"}, TypeError),
        ({"buffersize": 0}, ValueError),
        ({"buffersize": -1}, ValueError),
        ({"buffersize": "3"}, TypeError),
        ({"timeout": float("nan")}, UsageError),
        ({"timeout": -1}, UsageError),
        ({"timeout": "3"}, UsageError),
    ],
)
def test_bad_values_for_map_are_refused(
    executor: Executor, given: dict[str, Any], error: type[Exception]
) -> None:
    """By the call, not by the iterator."""
    with pytest.raises(error):
        executor.map(double, [1], **given)


def test_a_worker_that_dies_costs_nothing(tmp_path: Path) -> None:
    """The call is repeated; others, and the executor, do not notice."""
    with Executor(2) as executor:
        futures = [executor.submit(double, n) for n in range(20)]
        died = executor.submit(die_once, str(tmp_path / "mark"))
        assert died.result(60) == "done"
        assert [each.result(60) for each in futures] == [2 * n for n in range(20)]
        assert isinstance(executor.submit(die).exception(60), TaskLost)
        assert executor.submit(double, 21).result(60) == 42


def test_an_initializer_and_its_arguments(tmp_path: Path) -> None:
    """It is called once in each process."""
    with Executor(1, initializer=os.putenv, initargs=("SEEN", "yes")) as executor:
        assert executor.submit(os.popen, "echo $SEEN").exception(60) is not None  # no pickle
        command = ["sh", "-c", "echo $SEEN"]
        assert executor.submit(subprocess.check_output, command).result(60) == b"yes\n"


def test_a_failing_initializer_breaks_the_executor() -> None:
    """Each future gets the error, those to come as well."""
    executor = Executor(1, initializer=fail)
    try:
        futures = [executor.submit(double, n) for n in range(3)]
        for future in futures:
            error = future.exception(60)
            assert isinstance(error, BrokenExecutor)
            assert "ValueError: no" in str(error.__cause__)
        with pytest.raises(BrokenExecutor):
            executor.submit(double, 1)
        with pytest.raises(BrokenExecutor):
            list(executor.map(double, [1]))
    finally:
        executor.shutdown()


def test_shutdown_finishes_what_was_asked_for() -> None:
    """And takes no more."""
    executor = Executor(1)
    futures = [executor.submit(double, n) for n in range(100)]
    results = executor.map(double, range(10))
    executor.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(double, 1)
    executor.shutdown()
    assert [each.result(0) for each in futures] == [2 * n for n in range(100)]
    assert list(results) == [2 * n for n in range(10)]


def test_an_executor_that_is_dropped_leaves_nothing() -> None:
    """Its calls are done, and its processes end."""
    before = set(psutil.Process().children(recursive=True))
    executor = Executor(2)
    future = executor.submit(double, 3)
    assert future.result(60) == 6
    del executor
    gc.collect()
    wait_until(
        lambda: set(psutil.Process().children(recursive=True)) <= before, what="no process is left"
    )


def test_an_executor_of_a_master_leaves_that_alone() -> None:
    """Several may share its workers."""
    with Master(workers=1) as master:
        with Executor(master=master) as one, Executor(master=master) as other:
            assert one.submit(double, 1).result(60) == 2
            assert list(other.map(double, [1, 2])) == [2, 4]
        assert master.submit(double, 3).result(60) == 6
        with pytest.raises(UsageError, match="only master="):
            Executor(2, master=master)


def test_options(executor: Executor, tmp_path: Path) -> None:
    """They are for the calls of another executor on the same workers."""
    limited = executor.options(timeout=0.2)
    future = limited.submit(wait_for, str(tmp_path / "never"))
    assert "longer than its time limit" in str(future.exception(60))
    assert executor.submit(double, 2).result(60) == 4


def test_options_of_an_executor_that_is_not_kept() -> None:
    """It lives as long as what was made of it."""
    limited = Executor(1).options(priority=3)
    gc.collect()
    try:
        assert limited.submit(double, 4).result(60) == 8
    finally:
        limited.shutdown()


def test_a_fork_is_refused(executor: Executor) -> None:
    """With one clear error."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            executor.submit(double, 1)
        except RuntimeError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert b"a fork of the process" in os.read(read, 1000)
    for each in (read, write):
        os.close(each)


SCRIPT = """
import sys, time
from masterworker import Executor

def say(text):
    time.sleep(0.3)
    print(text)

executor = Executor(2)
executor.submit(say, "apple")
list(executor.map(print, ["pear"]))
"""


def test_the_end_of_the_program_finishes_what_is_outstanding(tmp_path: Path) -> None:
    """Without a guard in the script, and what tasks print comes out as it is."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.split()) == ["apple", "pear"]


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    """The program, and its workers."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, time
            from masterworker import Executor
            with Executor(2) as executor:
                futures = [executor.submit(time.sleep, 1000) for _ in range(4)]
                while not futures[0].running():
                    time.sleep(0.01)
                print("now", flush=True)
                futures[0].result()
            """
        )
    )
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    with contextlib.closing(process.stdout):  # type: ignore[type-var]
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


def doubled_by(executor: Any, numbers: list[int]) -> list[int]:
    future = executor.submit(double, 1)
    return [
        *executor.map(double, numbers),
        *executor.map(double, numbers, buffersize=1),
        future.result(),
    ]


def failed_by(executor: Any) -> str:
    return str(executor.options(retries=1).submit(fail).exception())


def test_one_that_is_pickled_executes_calls_where_it_is(executor: Executor) -> None:
    """Solvers refer to their pool, and are sent to workers; in its own process it is itself."""
    assert executor.submit(doubled_by, executor, [1, 2]).result(60) == [2, 4, 2, 4, 2]
    assert executor.submit(failed_by, executor).result(60) == "no"
    assert pickle.loads(pickle.dumps(executor)) is executor


# -- maps and the end ---------------------------------------------------------------------------


def held_back(begun: str, go: str, number: int) -> int:
    """The first call waits; each leaves a mark."""
    Path(begun, str(number)).touch()
    if number == 0:
        wait_until(Path(go).exists, 1000)
    return number


@pytest.mark.parametrize("shared", [False, True])
def test_calls_of_a_map_are_cancelled_with_futures(tmp_path: Path, shared: bool) -> None:
    marks, go = tmp_path / "marks", tmp_path / "go"
    marks.mkdir()
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(Master(workers=1)) if shared else None
        executor = stack.enter_context(Executor(None if shared else 1, master=master))
        later = [str(marks)] * 2000, [str(go)] * 2000, range(2000)
        results = executor.map(held_back, *later)
        wait_until((marks / "0").exists)
        executor.shutdown(wait=False, cancel_futures=True)
        go.touch()
        with pytest.raises(CancelledError):
            list(results)
    assert len(list(marks.iterdir())) < 2000


def test_shutdown_waits_for_maps_on_the_workers_of_a_master(tmp_path: Path) -> None:
    marks, go = tmp_path / "marks", tmp_path / "go"
    marks.mkdir()
    with Master(workers=1) as master:
        executor = Executor(master=master)
        results = executor.map(held_back, [str(marks)] * 3, [str(go)] * 3, range(3))
        wait_until((marks / "0").exists)
        threading.Timer(0.2, go.touch).start()
        executor.shutdown()
        assert len(list(marks.iterdir())) == 3
        assert list(results) == [0, 1, 2]
        dropped = Executor(master=master)
        del results
        results = dropped.map(double, range(10_000))
        del results
        dropped.shutdown()  # waits for nothing that is not wanted


def test_calls_that_are_done_are_forgotten_behind_one_that_runs(tmp_path: Path) -> None:
    with Executor(2) as executor:
        long = executor.submit(wait_for, str(tmp_path / "go"))
        for _ in range(20):
            concurrent.futures.wait([executor.submit(double, n) for n in range(500)], timeout=60)
        assert len(executor._job._calls) < 5000
        (tmp_path / "go").touch()
        assert long.result(60)


def test_a_call_that_is_interrupted_twice(tmp_path: Path) -> None:
    with Executor(1) as executor:
        future = executor.submit(wait_for, str(tmp_path / "never"))
        wait_until(future.running)
        assert executor.interrupt(future)
        assert isinstance(future.exception(60), TaskCancelled)
        assert not executor.interrupt(future)
        assert isinstance(future.exception(60), TaskCancelled)
        assert not future.cancelled()


def test_a_call_with_a_seed_has_its_number_at_once(tmp_path: Path) -> None:
    """Also while a request waits for the next step of the scheduler: so it can be cancelled."""
    with Master(workers=1, seed=3) as master:
        held = master.submit(wait_for, str(tmp_path / "go"))
        wait_until(held.running)
        waiting = [master.submit(double, n) for n in range(50)]
        assert len({each.number for each in waiting}) == 50
        assert waiting[-1].cancel()
        (tmp_path / "go").touch()
        assert [each.result(60) for each in waiting[:-1]] == [2 * n for n in range(49)]
        assert waiting[-1].cancelled()
