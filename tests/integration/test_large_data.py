"""Large data with real processes: in and out, private to each, and nothing is left of it."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from masterworker import Master, StateValue
from masterworker.errors import UnpicklableError
from support import HANG, descriptors, python_script, start_script, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

N = 1_000_000


def plus_one(array: Any) -> Any:
    return array + 1.0


def spoil(array: Any) -> tuple[float, float]:
    """Change the argument; say what it was and is."""
    before = float(array[0])
    array[0] = -1.0
    return before, float(array[0])


def element(table: Any, index: int) -> float:
    return float(table[index])


def fail_with(array: Any) -> None:
    raise ValueError(array)


def end_once(array: Any, marker: str) -> float:
    """Kill this process the first time."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return float(array.sum())


def test_arrays_in_and_out(two_workers: Master) -> None:
    """By `submit`, by `map`, and nested in other things; results can be written to."""
    arrays = [np.full(N, float(i)) for i in range(6)]
    futures = [two_workers.submit(plus_one, array) for array in arrays]
    for array in arrays:
        array[:] = -5.0  # arguments are fixed at the call
    for i, future in enumerate(futures):
        result = future.result(HANG)
        assert (result.size, result[0], result[-1]) == (N, i + 1.0, i + 1.0)
        result[:] = 0.0
    found = list(two_workers.map(plus_one, (np.full(N, float(i)) for i in range(20))))
    assert [array[3] for array in found] == [i + 1.0 for i in range(20)]
    nested = two_workers.submit(dict, a=[np.ones(N), "x"], b=np.zeros(3)).result(HANG)
    assert (nested["a"][0].sum(), nested["a"][1], nested["b"].size) == (N, "x", 3)


def test_small_tasks_with_large_results_among_small_ones(two_workers: Master) -> None:
    sizes = [3, N, 5, 7, N, 9] * 20
    assert [array.size for array in two_workers.map(np.zeros, sizes)] == sizes


def test_each_task_has_its_own(two_workers: Master) -> None:
    """A handler may change what it gets: no other task, no further attempt and not the caller."""
    array = np.zeros(N)
    for outcome in two_workers.map(spoil, [array] * 10):
        assert outcome == (0.0, -1.0)
    state = two_workers.store_state(table=array)
    assert two_workers.submit(spoil, StateValue(state, "table")).result(HANG) == (0.0, -1.0)
    assert array[0] == 0.0


def test_large_bytes_and_large_failures(two_workers: Master) -> None:
    data = os.urandom(3_000_000)
    assert two_workers.submit(bytes.upper, data).result(HANG) == data.upper()
    with pytest.raises(ValueError, match=r"0\."):
        two_workers.submit(fail_with, np.zeros(N)).result(HANG)


def test_more_than_a_message_can_hold(two_workers: Master) -> None:
    """1.2 GB in and out: more than a frame of Pyro's."""
    number = 150_000_000
    result = two_workers.submit(plus_one, np.zeros(number)).result(2 * HANG)
    assert (result.nbytes, result[0], result[-1]) == (8 * number, 1.0, 1.0)


def test_nothing_is_kept(two_workers: Master) -> None:
    """When results have been taken, neither memory nor descriptors are held."""
    list(two_workers.map(plus_one, [np.zeros(N)] * 4))
    before, held = len(descriptors()), psutil.Process().memory_info().rss
    for _ in two_workers.map(plus_one, (np.zeros(N) for _ in range(100))):
        pass
    futures = [two_workers.submit(plus_one, np.zeros(N)) for _ in range(30)]
    for future in futures:
        future.result(HANG)
    del future, futures
    assert len(descriptors()) <= before
    assert psutil.Process().memory_info().rss - held < 200e6


def test_a_task_of_a_killed_worker_has_its_array_again(tmp_path: Path) -> None:
    with Master(workers=1) as master:
        future = master.submit(end_once, np.ones(N), str(tmp_path / "marker"))
        assert future.result(HANG) == N
    assert (tmp_path / "marker").exists()


def test_by_tag_and_in_one_process() -> None:
    """Also where handlers are named, and where there is no worker at all."""
    with Master(serial=True, handlers={"plus": plus_one, "spoil": spoil}) as master:
        array = np.zeros(N)
        master.request_task("plus", array)
        assert master.retrieve_result("plus")[2].sum() == N
        for _ in range(2):
            master.request_task("spoil", array)
            assert master.retrieve_result("spoil")[2] == (0.0, -1.0)


def test_with_few_descriptors(tmp_path: Path) -> None:
    """A hundred arrays wait where a process may have 64 open files."""
    script = python_script(
        tmp_path,
        "few.py",
        """
        import resource
        import numpy as np
        from masterworker import Master

        def plus_one(array):
            return array + 1.0

        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        with Master(workers=1) as master:
            futures = [master.submit(plus_one, np.full(50_000, float(i))) for i in range(100)]
            results = [future.result() for future in futures]
        assert [r[7] for r in results] == [i + 1.0 for i in range(100)]
        print("good")
        """,
    )
    running = start_script(script)
    assert running.wait(2 * HANG) == 0, running.told
    assert "good" in running.out


@pytest.mark.parametrize(("limit", "left"), [(64, 20), (256, 40), (1024, 100)])
@pytest.mark.parametrize("where", ["master", "worker"])
def test_with_many_files_open(tmp_path: Path, limit: int, left: int, where: str) -> None:
    """A program, or a handler, that has left few descriptors: large values go as bytes."""
    script = python_script(
        tmp_path,
        "many.py",
        """
        import os, resource, sys
        from masterworker import Master
        from masterworker.master import engine_of

        held = []

        def open_files(limit, left):
            while (fd := os.open("/dev/null", os.O_RDONLY)) < limit - left:
                held.append(fd)
            return len(held)

        def make(size):
            return bytes(size)

        limit, left, where = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        with Master(workers=1) as master:
            assert master.submit(make, 10).result() == bytes(10)
            if where == "master":
                open_files(limit, left)
            else:
                master.submit(open_files, limit, left).result()
            assert sum(map(len, master.map(make, [200_000] * 100))) == 20_000_000
            assert sum(master.map(len, [bytes(200_000)] * 100)) == 20_000_000
            assert engine_of(master).manager.core.tally.lost_members == 0
        print("good")
        """,
    )
    running = start_script(script, str(limit), str(left), where)
    assert running.wait(2 * HANG) == 0, running.told
    assert "good" in running.out


def test_as_many_descriptors_as_are_allowed(tmp_path: Path) -> None:
    """In the master and in its workers, whatever they began with."""
    script = python_script(
        tmp_path,
        "raised.py",
        """
        import resource
        from masterworker import Master

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
        with Master(workers=1) as master:
            there = master.submit(resource.getrlimit, resource.RLIMIT_NOFILE).result()
            assert there == resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard), there
        print("good")
        """,
    )
    assert start_script(script).wait(HANG) == 0


def files_in_shared_memory(family: list[psutil.Process]) -> set[Path]:
    """Return the files in /dev/shm that processes have open or mapped, or that are named by us.

    What other programs of this machine have there is theirs.
    """
    found = {path for path in Path("/dev/shm").iterdir() if "masterworker" in path.name}
    for process in family:
        with contextlib.suppress(OSError):  # it has ended
            maps = Path(f"/proc/{process.pid}/maps").read_text().split()
            links = [str(each.readlink()) for each in Path(f"/proc/{process.pid}/fd").iterdir()]
            found |= {Path(name) for name in (*maps, *links) if name.startswith("/dev/shm/")}
    return found


@pytest.mark.parametrize("victims", ["worker", "master", "both"])
def test_nothing_is_left_of_those_that_are_killed(tmp_path: Path, victims: str) -> None:
    """No file in /dev/shm, no process that holds the memory."""
    script = python_script(
        tmp_path,
        "killed.py",
        """
        import threading
        import numpy as np
        from masterworker import Master, StateValue

        def slow(array, table):
            threading.Event().wait(0.05)
            return array + table[0]

        with Master(workers=2) as master:
            state = master.store_state(table=np.ones(1_000_000))
            arrays = [np.full(1_000_000, float(i)) for i in range(60)]
            futures = [master.submit(slow, a, StateValue(state, "table")) for a in arrays]
            print("begun", flush=True)
            assert [h.result()[5] for h in futures] == [i + 1.0 for i in range(60)]
            print("good", flush=True)
        """,
    )
    master = start_script(script)
    master.says("begun")
    family = psutil.Process(master.pid).children(recursive=True)
    workers = wait_until(lambda: _holders(family, 2), HANG, "workers have mapped the state")
    files = files_in_shared_memory([psutil.Process(master.pid), *family])
    doomed: list[Callable[[], None]] = []
    if victims != "master":
        doomed.append(workers[0].kill)
    if victims != "worker":
        doomed.append(master.kill)
    for kill in doomed:
        kill()
    if victims == "worker":
        assert master.wait() == 0, master.told
        assert "good" in master.out
    psutil.wait_procs(family, HANG)
    assert not [process for process in family if process.is_running()]
    assert not [file for file in files | files_in_shared_memory([]) if file.exists()]


def _holders(family: list[psutil.Process], number: int) -> list[psutil.Process]:
    """Those that have mapped large data, if there are so many."""
    found = []
    for process in family:
        try:
            maps = Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
        except OSError:
            continue
        if "memfd:masterworker " in maps:
            found.append(process)
    return found if len(found) >= number else []


def test_a_result_for_which_there_is_no_memory_fails_its_task_alone() -> None:
    """The error says so, and the next task works."""
    with Master(workers=1) as master:
        assert master.submit(limit_files, 1 << 20).result(HANG)
        for _ in range(2):
            with pytest.raises(UnpicklableError, match="File too large"):
                master.submit(np.zeros, N).result(HANG)
            assert master.submit(np.zeros, 3).result(HANG).size == 3


def limit_files(size: int) -> bool:
    """From now on no file of this process may be larger: stands for memory that runs out."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    return True
