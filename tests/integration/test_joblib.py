"""joblib with masterworker's workers: programs as their authors write them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from masterworker import Master, TaskLost, UnknownKeywordError, UnpicklableError, UsageError
from support import unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

joblib = pytest.importorskip("joblib", reason="joblib is not installed")

import masterworker.joblib  # noqa: E402
from masterworker.joblib import pools  # noqa: E402

Array = NDArray[np.float64]

#: What joblib takes for sharing.
MEGABYTES = 300_000


@pytest.fixture(autouse=True)
def _two_workers() -> Iterator[None]:
    with joblib.parallel_config(backend="masterworker", n_jobs=2):
        yield
    masterworker.joblib.shutdown()


def calls(function: Any, *items: Any) -> Any:
    return [joblib.delayed(function)(item) for item in items]


def double(x: int) -> int:
    return 2 * x


def fail_at(x: int) -> int:
    if x == 5:
        raise LookupError("five")
    return x


def pid(_: object = None) -> int:
    return os.getpid()


def die_once(marker: str, x: int) -> int:
    if x == 7 and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for(path: str) -> str:
    wait_until(Path(path).exists, 1000)
    return path


def wait_and_tell(begun: str, ended: str) -> None:
    try:
        Path(begun).touch()
        threading.Event().wait(1000)
    finally:
        Path(ended).touch()


def look_at(array: Array, number: int) -> tuple[float, bool, bool]:
    return float(array[number]), bool(array.flags.writeable), bool(array.flags.owndata)


def mapped_from(array: Array) -> str:
    """The file (its device and inode) that the memory of an array is mapped from."""
    place = array.ctypes.data
    for line in Path("/proc/self/maps").read_text().splitlines():
        where, _, _, device, inode, *_ = line.split()
        begin, end = (int(each, 16) for each in where.split("-"))
        if begin <= place < end:
            return f"{os.getpid()} {device} {inode}"
    return "nowhere"


def look_inside(*, table: dict[str, Any]) -> bool:
    return bool(table["inner"][0].flags.writeable)


def write_to(array: Array, number: int) -> float:
    array[0] += number
    return float(array[0])


def fill(out: Array, number: int) -> None:
    out[number] = number * 10


def reshape(array: Array) -> tuple[int, ...]:
    before = array.shape
    array.shape = (2, -1)
    return before


def inner(x: int) -> list[int]:
    backend, _ = joblib.parallel.get_active_backend()
    found: list[int] = joblib.Parallel(n_jobs=2)(calls(double, x, x + 1))
    return [*found, type(backend).__name__]  # type: ignore[list-item]


def tree(depth: int) -> int:
    if depth == 0:
        return 1
    return sum(joblib.Parallel(n_jobs=2, batch_size=1)(calls(tree, depth - 1, depth - 1)))


def inner_that_fails(_: int) -> Any:
    return joblib.Parallel(n_jobs=2, batch_size=1)(calls(fail_at, *range(10)))


def one_dies(marker: str) -> Any:
    parallel = joblib.Parallel(n_jobs=2, batch_size=1)
    return parallel(joblib.delayed(die_once)(marker, x) for x in range(10))


def many_inside(number: int) -> int:
    return sum(joblib.Parallel(n_jobs=2)(calls(double, *range(number))))


def inner_by_name(x: int) -> tuple[list[int], str]:
    parallel = joblib.Parallel(n_jobs=2, backend="masterworker")
    return parallel(calls(double, x, x + 1)), type(parallel._backend).__name__


def threads_of(_: int) -> tuple[str | None, set[int]]:
    from threadpoolctl import threadpool_info

    np.ones((10, 10)) @ np.ones((10, 10))
    return os.environ.get("OMP_NUM_THREADS"), {each["num_threads"] for each in threadpool_info()}


# -- results ---------------------------------------------------------------------------------


def test_results_come_in_the_order_of_the_calls() -> None:
    assert joblib.Parallel()(calls(double, *range(1000))) == list(range(0, 2000, 2))


def test_generators() -> None:
    found = joblib.Parallel(return_as="generator")(calls(double, *range(50)))
    assert next(found) == 0
    assert list(found) == list(range(2, 100, 2))
    found = joblib.Parallel(return_as="generator_unordered")(calls(double, *range(50)))
    assert sorted(found) == list(range(0, 100, 2))


def test_a_generator_is_fed_from_another_one() -> None:
    first = joblib.Parallel(return_as="generator")(calls(double, *range(50)))
    second = joblib.Parallel(return_as="generator")(joblib.delayed(double)(x) for x in first)
    assert list(second) == list(range(0, 200, 4))


def test_two_generators_at_once() -> None:
    first = joblib.Parallel(return_as="generator")(calls(double, *range(50)))
    second = joblib.Parallel(return_as="generator")(calls(double, *range(50, 100)))
    assert [pair for pair in zip(first, second, strict=True)][-1] == (98, 198)  # noqa: C416


def test_items_are_drawn_as_pre_dispatch_says() -> None:
    drawn = 0

    def items() -> Iterator[Any]:
        nonlocal drawn
        for x in range(100):
            drawn += 1
            yield joblib.delayed(double)(x)

    with joblib.Parallel(return_as="generator", pre_dispatch=4, batch_size=1) as parallel:
        found = parallel(items())
        assert drawn <= 20
        assert list(found) == list(range(0, 200, 2))


@pytest.mark.parametrize("size", [1, 7, "auto"])
def test_batches_of_any_size(size: Any) -> None:
    parallel = joblib.Parallel(batch_size=size, pre_dispatch="all")
    assert parallel(calls(double, *range(100))) == list(range(0, 200, 2))


def test_functions_of_a_closure_and_partials() -> None:
    factor = 3
    found = joblib.Parallel()(joblib.delayed(lambda x: factor * x)(x) for x in range(5))
    assert found == [0, 3, 6, 9, 12]


def test_no_more_calls_at_once_than_n_jobs(tmp_path: Path) -> None:
    joblib.Parallel(n_jobs=3)(calls(double, *range(3)))
    marks = [str(tmp_path / str(number)) for number in range(5)]
    parallel = joblib.Parallel(n_jobs=2, return_as="generator", batch_size=1, pre_dispatch="all")
    found = parallel(calls(wait_for, *marks))
    call = parallel._backend._call
    assert len(call._under_way) == 2
    for mark in marks:
        Path(mark).touch()
    assert list(found) == marks


# -- workers ---------------------------------------------------------------------------------


def test_workers_live_on_between_calls() -> None:
    first = set(joblib.Parallel(batch_size=1)(calls(pid, *range(20))))
    with joblib.parallel_config(backend="masterworker", n_jobs=2):
        second = set(joblib.Parallel(batch_size=1)(calls(pid, *range(20))))
    assert first & second
    assert os.getpid() not in first | second


def test_a_worker_that_dies_costs_nothing(tmp_path: Path) -> None:
    marker = str(tmp_path / "died")
    found = joblib.Parallel()(joblib.delayed(die_once)(marker, x) for x in range(40))
    assert found == list(range(40))
    assert Path(marker).exists()


def test_a_call_that_takes_workers_with_it_fails_and_the_next_one_works() -> None:
    with pytest.raises(TaskLost):
        joblib.Parallel()([joblib.delayed(die)()] * 2)
    assert joblib.Parallel()(calls(double, 1, 2)) == [2, 4]


def test_workers_of_a_master() -> None:
    with (
        Master(workers=2) as master,
        joblib.parallel_config(backend="masterworker", n_jobs=-1, master=master),
    ):
        assert joblib.Parallel()(calls(double, *range(10))) == list(range(0, 20, 2))
        master.submit(double, 1).result(20.0)  # it lives on


def test_workers_from_elsewhere_join_by_the_label() -> None:
    label = unique_label()
    with joblib.parallel_config(backend="masterworker", n_jobs=2, label=label):
        assert joblib.Parallel()(calls(double, 1, 2)) == [2, 4]
        assert pools._pools[label].executor._job.master.label == label


def test_workers_that_cannot_start_end_the_call() -> None:
    def refuse() -> None:
        raise OSError("no licence")

    with (
        joblib.parallel_config(
            backend="masterworker", n_jobs=2, initializer=refuse, label=None, output="none"
        ),
        pytest.raises(RuntimeError, match="no licence"),
    ):
        joblib.Parallel()(calls(double, 1, 2))
    assert joblib.Parallel()(calls(double, 1, 2)) == [2, 4]


def test_after_shutdown_there_are_new_workers() -> None:
    first = set(joblib.Parallel(batch_size=1)(calls(pid, *range(10))))
    masterworker.joblib.shutdown()
    second = set(joblib.Parallel(batch_size=1)(calls(pid, *range(10))))
    assert not first & second


# -- failures --------------------------------------------------------------------------------


def test_an_error_is_the_calls_own_with_the_workers_traceback() -> None:
    with pytest.raises(LookupError, match="five") as found:
        joblib.Parallel()(calls(fail_at, *range(10)))
    assert "in fail_at" in "".join(traceback.format_exception(found.value))
    assert joblib.Parallel()(calls(double, 1, 2)) == [2, 4]


def test_an_error_breaks_off_what_runs(tmp_path: Path) -> None:
    begun, ended = str(tmp_path / "begun"), str(tmp_path / "ended")

    def fail() -> None:
        wait_until(Path(begun).exists)
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        joblib.Parallel(batch_size=1)(
            [
                joblib.delayed(wait_and_tell)(begun, ended),
                joblib.delayed(fail)(),
            ]
        )
    wait_until(Path(ended).exists)


def test_a_timeout(tmp_path: Path) -> None:
    with pytest.raises(multiprocessing.TimeoutError):
        joblib.Parallel(timeout=0.2)(calls(wait_for, *[str(tmp_path / "never")] * 2))
    assert joblib.Parallel()(calls(double, 1, 2)) == [2, 4]


def test_a_generator_that_is_left_breaks_off_what_runs(tmp_path: Path) -> None:
    begun, ended = str(tmp_path / "begun"), str(tmp_path / "ended")
    parallel = joblib.Parallel(return_as="generator", batch_size=1)
    found = parallel([joblib.delayed(wait_and_tell)(begun, ended), *calls(double, 1, 2)])
    wait_until(Path(begun).exists)
    with pytest.warns(UserWarning, match="cancelled"):
        found.close()
    wait_until(Path(ended).exists)


def test_what_cannot_be_sent_fails_the_call() -> None:
    with pytest.raises(UnpicklableError, match="lock"):
        joblib.Parallel()(calls(double, threading.Lock(), 1))
    assert joblib.Parallel()(calls(double, 1, 2)) == [2, 4]


def test_an_iterable_that_raises() -> None:
    def items() -> Iterator[Any]:
        yield from calls(double, *range(20))
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        joblib.Parallel()(items())


# -- large arguments -------------------------------------------------------------------------


def test_a_large_argument_is_read_only_and_goes_out_once() -> None:
    array = np.arange(MEGABYTES, dtype=float)
    parallel = joblib.Parallel(batch_size=1, return_as="generator")
    found = parallel(joblib.delayed(look_at)(array, number) for number in range(20))
    entries = parallel._backend._call._shared._entries
    assert len(entries) == 1
    assert list(found) == [(float(number), False, False) for number in range(20)]
    assert parallel._backend._call is None


def test_all_workers_map_the_same_memory() -> None:
    array = np.zeros(MEGABYTES)
    with joblib.Parallel(batch_size=1, pre_dispatch="all") as parallel:
        wait_until(lambda: len(set(parallel([joblib.delayed(pid)()] * 20))) == 2)
        found = set(parallel([joblib.delayed(mapped_from)(array)] * 40))
    files = {each.partition(" ")[2] for each in found}
    assert len(files) == 1
    assert not next(iter(files)).endswith(" 0")  # memory of a process alone


def test_a_small_argument_is_the_calls_own() -> None:
    array = np.arange(1000, dtype=float)
    found = joblib.Parallel()(joblib.delayed(look_at)(array, number) for number in range(4))
    assert [writable for _, writable, _ in found] == [True] * 4


@pytest.mark.parametrize("options", [{"max_nbytes": None}, {"mmap_mode": "c"}, {"mmap_mode": "r+"}])
def test_each_call_may_change_its_own_copy(options: dict[str, Any]) -> None:
    array = np.zeros(MEGABYTES)
    parallel = joblib.Parallel(batch_size=1, **options)
    assert parallel(joblib.delayed(write_to)(array, n) for n in range(6)) == [*range(6)]
    assert array[0] == 0.0


def test_max_nbytes_decides_what_is_shared() -> None:
    array = np.arange(1000, dtype=float)
    parallel = joblib.Parallel(max_nbytes="1K")
    found = parallel(joblib.delayed(look_at)(array, number) for number in range(4))
    assert [writable for _, writable, _ in found] == [False] * 4


def test_large_values_in_containers_are_shared() -> None:
    table = {"inner": [np.zeros(MEGABYTES), 1]}
    found = joblib.Parallel()([joblib.delayed(look_inside)(table=table)] * 4)
    assert found == [False] * 4


def test_a_call_cannot_change_the_shape_that_others_see() -> None:
    array = np.zeros(MEGABYTES)
    found = joblib.Parallel(batch_size=1)([joblib.delayed(reshape)(array)] * 8)
    assert found == [(MEGABYTES,)] * 8


def test_large_pieces_are_forgotten_as_the_loop_goes_on() -> None:
    parallel = joblib.Parallel(batch_size=1, return_as="generator")
    found = parallel(joblib.delayed(look_at)(np.full(MEGABYTES, n), 0) for n in range(40))
    shared = parallel._backend._call._shared
    most = 0
    for number, (value, _, _) in enumerate(found):
        assert value == number
        most = max(most, len(shared._entries))
    assert most <= 10  # of what is under way


def test_results_are_written_to_a_file_that_is_mapped(tmp_path: Path) -> None:
    out = np.memmap(tmp_path / "out", dtype=float, shape=(MEGABYTES,), mode="w+")
    joblib.Parallel()(joblib.delayed(fill)(out, number) for number in range(20))
    assert list(out[:20]) == [number * 10 for number in range(20)]
    joblib.Parallel()(joblib.delayed(fill)(out[100:], number) for number in range(20))
    assert list(out[100:120]) == [number * 10 for number in range(20)]


# -- nested calls ----------------------------------------------------------------------------


def test_nested_calls_are_threads() -> None:
    found = joblib.Parallel()(calls(inner, 1, 2, 3))
    assert found == [[2 * x, 2 * x + 2, "ThreadingBackend"] for x in (1, 2, 3)]


def test_nested_calls_that_ask_for_workers_are_threads() -> None:
    found = joblib.Parallel()(calls(inner_by_name, 1, 2, 3))
    assert [each for each, _ in found] == [[2 * x, 2 * x + 2] for x in (1, 2, 3)]


def test_a_call_from_a_task() -> None:
    with Master(workers=1) as master:
        found, _ = master.submit(inner_by_name, 4).result(30.0)
    assert found == [8, 10]


def test_a_call_from_a_thread() -> None:
    found: list[Any] = []

    def call() -> None:
        found.append(joblib.Parallel(n_jobs=2, backend="masterworker")(calls(double, *range(9))))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert found == [list(range(0, 18, 2))] * 3


def test_a_call_from_a_fork() -> None:
    joblib.Parallel()(calls(double, 1, 2))
    child = os.fork()
    if not child:  # in the child
        status = 1
        try:
            status = joblib.Parallel()(calls(double, 1, 2)) != [2, 4]
            masterworker.joblib.shutdown()
        except BaseException:
            traceback.print_exc()
        os._exit(int(status))
    assert os.waitpid(child, 0)[1] == 0
    assert joblib.Parallel()(calls(double, 1, 2)) == [2, 4]


def test_nested_calls_are_tasks_of_the_same_job() -> None:
    """Also where there are fewer workers than calls that wait, and where one fails."""
    with joblib.parallel_config(backend="masterworker", n_jobs=2, nested="masterworker"):
        found = joblib.Parallel(batch_size=1)(calls(inner, *range(6)))
        assert found == [[2 * x, 2 * x + 2, "NestedBackend"] for x in range(6)]
        assert joblib.Parallel(batch_size=1)(calls(tree, 4, 4, 4)) == [16, 16, 16]
        with pytest.raises(LookupError, match="five"):
            joblib.Parallel(batch_size=1)(calls(inner_that_fails, 1, 2))
        assert joblib.Parallel()(calls(double, 1, 2)) == [2, 4]


def test_a_worker_that_dies_in_nested_calls(tmp_path: Path) -> None:
    marker = str(tmp_path / "died")
    with joblib.parallel_config(backend="masterworker", n_jobs=2, nested="masterworker"):
        found = joblib.Parallel(batch_size=1)(joblib.delayed(one_dies)(marker) for _ in range(3))
    assert found == [list(range(10))] * 3
    assert Path(marker).exists()


def test_many_nested_calls_with_workers_of_a_master() -> None:
    """One worker does it all."""
    with (
        Master(workers=1) as master,
        joblib.parallel_config(
            backend="masterworker", n_jobs=2, master=master, nested="masterworker"
        ),
    ):
        assert joblib.Parallel(batch_size=1)(calls(many_inside, 200, 300)) == [39800, 89700]


# -- options ---------------------------------------------------------------------------------


def test_threads_of_numerical_libraries() -> None:
    pytest.importorskip("threadpoolctl")
    for number in 1, 2, 1:
        with joblib.parallel_config(backend="masterworker", n_jobs=2, inner_max_num_threads=number):
            found = joblib.Parallel(batch_size=1)(calls(threads_of, *range(6)))
        assert found == [(str(number), {number})] * 6


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="n_jobs == 0"):
        joblib.Parallel(n_jobs=0)(calls(double, 1))
    with pytest.raises(UnknownKeywordError, match="label"):
        joblib.parallel_config(backend="masterworker", lable="x")
    with pytest.raises(UsageError, match="nested"):
        joblib.parallel_config(backend="masterworker", nested="birds")
    with pytest.raises(UsageError, match="output"):
        joblib.parallel_config(backend="masterworker", output="loud")
    with Master() as master, pytest.raises(UsageError, match="master="):
        joblib.parallel_config(backend="masterworker", master=master, label="x")


def test_a_master_without_workers_makes_calls_here() -> None:
    with (
        Master(serial=True) as master,
        joblib.parallel_config(backend="masterworker", master=master),
    ):
        assert joblib.Parallel()(calls(pid, 1, 2)) == [os.getpid()] * 2


def test_one_job_is_no_worker() -> None:
    assert joblib.Parallel(n_jobs=1)(calls(pid, 1)) == [os.getpid()]


def test_memory_in_common_is_threads() -> None:
    assert set(joblib.Parallel(n_jobs=2, require="sharedmem")(calls(pid, 1, 2))) == {os.getpid()}


def test_without_joblib_it_is_said_what_to_install() -> None:
    code = "import sys; sys.modules['joblib'] = None; import masterworker.joblib"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'masterworker[joblib]'" in ran.stderr


def test_errors_of_any_class_arrive(tmp_path: Path) -> None:
    """Also where pickle cannot rebuild them, which ends loky's pool."""

    class Own(Exception):
        def __init__(self, number: int, text: str) -> None:
            super().__init__(f"{number}: {text}")
            self.number = number

    def work() -> None:
        raise Own(3, "three")

    with pytest.raises(Own, match="3: three") as found:
        joblib.Parallel()([joblib.delayed(work)()] * 2)
    assert found.value.number == 3


def test_ctrl_c_ends_a_program(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    begun = tmp_path / "begun"
    source = f"""
        import pathlib, time
        import joblib
        import masterworker.joblib

        def work(x):
            pathlib.Path({str(begun)!r}).touch()
            time.sleep(1000)

        with joblib.parallel_config(backend="masterworker", n_jobs=2):
            try:
                joblib.Parallel()(joblib.delayed(work)(x) for x in range(10))
            except KeyboardInterrupt:
                print("interrupted", flush=True)
                print(joblib.Parallel()(joblib.delayed(abs)(x) for x in (-1, -2)))
    """
    script.write_text(textwrap.dedent(source))
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as ran:
        wait_until(begun.exists)
        ran.send_signal(signal.SIGINT)
        out, err = ran.communicate(timeout=60)
    assert out == "interrupted\n[1, 2]\n", err
    assert ran.returncode == 0


def test_a_program_ends_when_its_last_call_is_done(tmp_path: Path) -> None:
    """That of a thread; a generator that is left is broken off."""
    script = tmp_path / "script.py"
    source = """
        import os, sys, threading, time
        import joblib
        import masterworker.joblib

        def work(x):
            while os.path.exists(sys.argv[1]) == bool(x):
                time.sleep(0.01)
            return x

        def run(x, return_as="list"):
            with joblib.parallel_config(backend="masterworker", n_jobs=2):
                return joblib.Parallel(return_as=return_as, batch_size=1, pre_dispatch=2)(
                    joblib.delayed(work)(x) for _ in range(6)
                )

        def tell():
            print(sum(run(0)), flush=True)

        left = run(1, "generator") if len(sys.argv) > 2 else None
        if left is None:
            threading.Thread(target=tell).start()
        print("end", flush=True)
    """
    script.write_text(textwrap.dedent(source))
    go = tmp_path / "go"
    with subprocess.Popen(
        [sys.executable, str(script), str(go)], stdout=subprocess.PIPE, text=True
    ) as ran:
        assert ran.stdout is not None
        assert ran.stdout.readline() == "end\n"
        go.touch()
        assert ran.communicate(timeout=60)[0] == "0\n"
    done = subprocess.run(
        [sys.executable, str(script), str(go), "left"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "end\n"


def test_a_script_prints_what_it_prints_with_loky(tmp_path: Path) -> None:
    """Results, what tasks print, errors, with all warnings as errors; it needs no guard."""
    script = tmp_path / "script.py"
    source = """
        import sys
        import joblib
        import masterworker.joblib
        from joblib import Parallel, delayed

        class Own(Exception):
            pass

        def work(x):
            sys.stdout.write(f"at {x}\\n")  # in one piece, also with PYTHONUNBUFFERED
            sys.stdout.flush()
            if x == 3:
                raise Own("three", x)
            return x * x

        with joblib.parallel_config(backend=sys.argv[1], n_jobs=2):
            print(Parallel()(delayed(work)(x) for x in range(3)))
            try:
                Parallel()(delayed(work)(x) for x in (3, 3))
            except Own as error:
                print("caught", error.args)
    """
    script.write_text(textwrap.dedent(source))
    said = {}
    for backend in "masterworker", "loky":
        ran = subprocess.run(
            [sys.executable, "-W", "error", str(script), backend],
            capture_output=True, text=True, check=True, timeout=100,
        )  # fmt: skip
        said[backend] = sorted(set(ran.stdout.splitlines())), ran.stderr
    assert said["masterworker"] == said["loky"]
