"""Programs and tasks that fork while all threads of ours are busy."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import multiprocessing
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from integration.conftest import lasting_master
from masterworker import Master, Terminated, current_worker, forks
from masterworker.errors import UsageError
from masterworker.master import engine_of
from masterworker.signals import held
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TESTS = Path(__file__).parents[1]
FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def master() -> Iterator[Master]:
    """One worker, whose courier looks at the clock all the time."""
    with lasting_master(1) as master:
        assert master.options(timeout=HANG).submit(square, 2).result(HANG) == 4
        yield master


def square(x: int) -> int:
    return x * x


def in_fork(action: Callable[[], Any], seconds: float = HANG) -> Any:
    """Return what an action returns or raises in a fork, and its exit status."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(int(seconds) - 1)
        try:
            found = action()
        except BaseException as error:
            found = error
        os.write(writing, pickle.dumps(found))
        os._exit(3)
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123  a descriptor
        ready, _, _ = select.select([pipe], [], [], seconds)
        found = pickle.loads(pipe.read()) if ready else "it hangs"
    return found, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# -- of a task ------------------------------------------------------------------------------


def start_and_terminate(number: int) -> set[int | None]:
    """Ends processes before they have taken their first step."""
    found = set()
    for _ in range(number):
        process = FORK.Process(target=signal.pause)
        process.start()
        process.terminate()
        process.join(HANG)
        found.add(process.exitcode)
        if process.exitcode is None:
            process.kill()
            break
    return found


def from_a_thread(number: int) -> set[int | None]:
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        return threads.submit(start_and_terminate, number).result()


@pytest.mark.parametrize("how", [start_and_terminate, from_a_thread])
def test_terminate_reaches_a_process_that_only_begins(
    master: Master, how: Callable[[int], set[int]]
) -> None:
    """Python forgets signals that come before; a pool that is left would wait for ever."""
    found = master.options(timeout=3 * HANG).submit(how, 100).result(4 * HANG)
    assert found == {-signal.SIGTERM}


def fork_and_count(number: int) -> list[int]:
    """Forks that end in all the ways there are."""
    found = []
    for each in range(number):
        child = os.fork()
        if not child:
            if each % 3 == 0:
                os._exit(7)
            if each % 3 == 1:
                sys.exit(7)
            raise KeyboardInterrupt
        found.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return found


def test_hundreds_of_forks_while_the_courier_is_busy() -> None:
    """Each task's time limit and each result that waits are the courier's."""
    with Master(workers=2) as master:
        limited = master.options(timeout=HANG)
        forking = [limited.submit(fork_and_count, 30) for _ in range(7)]
        plain = list(master.map(square, range(2000), ordered=False))
        assert sorted(plain) == [square(x) for x in range(2000)]
        assert [future.result(3 * HANG) for future in forking] == [[7, 7, 1] * 10] * 7
        assert engine_of(master).manager.core.tally.lost_members == 0


def with_pool() -> list[int]:
    with FORK.Pool(2) as pool:
        return pool.map(square, range(4))


def with_futures() -> list[int]:
    with concurrent.futures.ProcessPoolExecutor(2, FORK) as pool:
        return list(pool.map(square, range(4)))


def with_loky() -> list[int]:
    import joblib

    found: list[int] = joblib.Parallel(2)(joblib.delayed(square)(x) for x in range(4))
    return found


def with_subprocess() -> list[int]:
    code = "print([x * x for x in range(4)])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    return [int(word) for word in told.decode().strip("[]\n").split(", ")]


@pytest.mark.parametrize("how", [with_pool, with_futures, with_subprocess])
def test_pools_inside_of_tasks(master: Master, how: Callable[[], list[int]]) -> None:
    """Again and again, in the same worker."""
    for _ in range(3):
        assert master.submit(how).result(3 * HANG) == [0, 1, 4, 9]


def test_loky_inside_of_a_task() -> None:
    """Its processes stay until the worker ends, and end then."""
    pytest.importorskip("joblib")
    with Master(workers=1) as master:
        for _ in range(2):
            assert master.submit(with_loky).result(3 * HANG) == [0, 1, 4, 9]


def sockets() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208  it is the system's
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115
    return [each for each in found if each.startswith("socket:")]


def sockets_of_a_fork() -> tuple[int, tuple[list[str], int]]:
    return len(sockets()), in_fork(sockets)


def test_a_fork_of_a_task_has_no_connection(master: Master) -> None:
    """Else the master would not notice the end of its parent."""
    before, told = master.submit(sockets_of_a_fork).result(HANG)
    assert before > 0
    assert told == ([], 3)


def sum_in_fork(placeholder: bytes) -> tuple[float, int]:
    found: tuple[float, int] = in_fork(lambda: float(pickle.loads(placeholder).sum()))
    return found


def test_a_fork_fetches_what_it_needs_by_a_connection_of_its_own(master: Master) -> None:
    """And its parent's conversation goes on."""
    with master.share(array=np.ones(1000)) as shared:
        placeholder = pickle.dumps(shared.array)
        for _ in range(3):
            assert master.submit(sum_in_fork, placeholder).result(HANG) == (1000.0, 3)
    assert master.submit(square, 3).result(HANG) == 9


def ask_in_fork() -> Any:
    return in_fork(lambda: current_worker().request_task("of a fork", 1))


def wait_in_fork() -> Any:
    return in_fork(lambda: current_worker().retrieve_result(timeout=HANG))


def test_a_fork_may_ask_for_tasks_and_not_wait_for_them(master: Master) -> None:
    """Only one process can be the member that waits."""
    asked, status = master.submit(ask_in_fork).result(HANG)
    assert (asked.startswith("of a fork_"), status) == (True, 3)
    error, status = master.submit(wait_in_fork).result(HANG)
    assert (type(error), status) == (UsageError, 3)
    assert master.cancel(asked)


# -- of a master ----------------------------------------------------------------------------


def fails(x: int) -> int:
    raise ValueError(x)


def keep_busy(master: Master, stop: threading.Event) -> None:
    """Lets as many locks as possible be held."""
    while not stop.is_set():
        assert sum(master.map(square, range(300), ordered=False)) == sum(map(square, range(300)))
        for future in [master.submit(fails, x) for x in range(3)]:
            assert isinstance(future.exception(), ValueError)
        master.status()


def test_a_fork_of_a_busy_master_neither_hangs_nor_speaks() -> None:
    """Whatever it calls is refused at once, and it ends as any process does.

    Forks of a small process: of one that has executed many tests each collects their garbage.
    """
    told = _execute("from integration import test_forks; test_forks.fork_a_busy_master()")
    assert told == ""


def fork_a_busy_master() -> None:
    """Fork a master of which all threads are busy, and let the forks call whatever there is."""
    with Master(workers=2) as master:
        stop = threading.Event()
        threads = [threading.Thread(target=keep_busy, args=(master, stop)) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                old, results = master.submit(square, 5), master.map(square, range(200))
                calls: list[Callable[[], Any]] = [
                    lambda: master.submit(square, 1),
                    lambda: list(master.map(square, range(10))),
                    lambda: master.request_task("a"),
                    lambda old=old: old.cancel() or old.result(HANG),  # type: ignore[misc]
                    lambda: master.launch_workers(1),
                    master.retrieve_result,
                    master.status,
                ]
                told = in_fork(lambda results=results, calls=calls: _try_all(calls, results))
                assert told == ([Terminated] * 3 + ["25 or refused"] + [Terminated] * 3, 3)
                assert list(results) == [square(x) for x in range(200)]
                assert old.result(HANG) == 25
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert engine_of(master).manager.core.tally.lost_members == 0


def _try_all(calls: list[Callable[[], Any]], results: Any) -> list[object]:
    found: list[object] = []
    for number, call in enumerate(calls):
        try:
            found.append(call())
        except Terminated:
            found.append(Terminated)
        if number == 3 and found[-1] in {25, Terminated}:
            found[-1] = "25 or refused"
    del results
    gc.collect()
    return found


#: A program whose forks end with their exit handlers.
PROGRAM = """
import os, signal, sys, threading
from masterworker import Master
from integration.test_forks import keep_busy

master, stop = Master(workers=1), threading.Event()
threads = [threading.Thread(target=keep_busy, args=(master, stop)) for _ in range(2)]
for thread in threads:
    thread.start()
for number in range(10):
    with master.share(value=number):
        child = os.fork()
        if not child:
            signal.alarm(30)
            sys.exit(7)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 7, status
stop.set()
for thread in threads:
    thread.join()
print(master.submit(abs, -3).result())
"""


def test_forks_that_end_with_their_exit_handlers() -> None:
    """The end of a fork is not the end of its parent's job."""
    assert _execute(PROGRAM) == "3\n"


def _execute(program: str) -> str:
    """Execute a program in a process of its own, and return what it has printed."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=5 * HANG,
    )
    assert done.returncode == 0, done.stderr
    assert "rror" not in done.stderr
    return done.stdout


def test_pools_beside_a_master(master: Master) -> None:
    """As before there was one; also one that is left at once."""
    for _ in range(10):
        with FORK.Pool(2) as pool:
            assert pool.map(square, range(4)) == [0, 1, 4, 9]
    assert start_and_terminate(20) == {-signal.SIGTERM}
    assert master.submit(square, 3).result(HANG) == 9


def test_a_fork_has_no_doors_of_its_parent() -> None:
    """Who looks for the master must find nobody, once that has ended."""
    with Master() as master:
        assert engine_of(master).server is not None
        port = engine_of(master).server.port
        (found, status) = in_fork(lambda: _is_listening(port))
        assert (found, status) == (False, 3)
        assert _is_listening(port)


def _is_listening(port: int) -> bool:
    """Tell whether this process has a socket that listens there."""
    own = set(sockets())
    with open("/proc/self/net/tcp", encoding="ascii") as file:  # noqa: PTH123
        lines = [line.split() for line in file.readlines()[1:]]
    return any(
        f"socket:[{words[9]}]" in own and words[3] == "0A"
        for words in lines
        if int(words[1].rpartition(":")[2], 16) == port
    )


def test_a_master_can_be_made_in_a_fork_of_one(master: Master) -> None:
    """It is a job like any other."""

    def another() -> int:
        with Master(workers=1) as inner:
            found: int = inner.submit(square, 6).result(HANG)
            return found

    assert in_fork(another, 2 * HANG) == (36, 3)
    assert master.submit(square, 3).result(HANG) == 9


def test_signals_that_are_held_by_another_thread_are_free_in_a_fork() -> None:
    """Nobody would let them go."""
    ready, go = threading.Event(), threading.Event()
    told: list[tuple[bool, int]] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: os._exit(9))
    try:

        def fork() -> None:
            assert ready.wait(HANG)
            child = os.fork()
            if not child:
                signal.alarm(int(HANG))
                signal.raise_signal(signal.SIGUSR1)
                os._exit(1)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            told.append((True, status))
            go.set()

        thread = threading.Thread(target=fork)
        thread.start()
        with held:
            ready.set()
            wait_until(go.is_set, HANG)
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert told == [(True, 9)]


def test_no_thread_forks_while_a_program_is_started() -> None:
    """Else the fork holds the pipe open whose end `Popen` waits for, as long as it lives."""
    forked = threading.Event()

    def fork() -> None:
        if not (pid := os.fork()):
            os._exit(0)
        os.waitpid(pid, 0)
        forked.set()

    thread = threading.Thread(target=fork)
    with forks.held_off():
        thread.start()
        assert not forked.wait(0.3)
    assert forked.wait(HANG)
    thread.join()


#: Whatever allocates in the child before our locks are free may let the collector of garbage come,
#: and so what takes one of them.
COLLECTED = """
import gc, os, signal, threading, weakref

def allocate():
    signal.alarm(5)
    kept = [[] for _ in range(5000)]

os.register_at_fork(after_in_child=allocate)
from masterworker import forks

class Cycle:
    pass

def take():
    with lock:
        pass

def hold():
    with lock:
        is_held.set()
        done.wait()

lock, is_held, done = forks.lock(), threading.Event(), threading.Event()
thread = threading.Thread(target=hold)
thread.start()
is_held.wait()
gc.collect()
gc.disable()
cycle = Cycle()
cycle.itself = cycle
weakref.finalize(cycle, take)
del cycle
gc.set_threshold(100)
gc.enable()
if not (child := os.fork()):
    assert gc.isenabled()
    gc.collect()
    os._exit(7)
assert gc.isenabled()
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
done.set()
thread.join()
print(status)
"""

#: Another thread draws numbers all the time, which takes the lock of NumPy's own generator.
DRAWS = """
import os, signal, threading
import numpy as np
from masterworker import forks

def draw():
    while not done.is_set():
        np.random.random_sample(1_000_000)
        begun.set()

begun, done = threading.Event(), threading.Event()
thread = threading.Thread(target=draw)
thread.start()
begun.wait()
found = []
for _ in range(10):
    if not (child := os.fork()):
        os._exit(7)
    watch = threading.Timer(20, os.kill, (child, signal.SIGKILL))
    watch.start()
    found.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    watch.cancel()
    if found[-1] != 7:
        break
done.set()
thread.join()
print(*set(found))
"""


@pytest.mark.parametrize("program", [COLLECTED, DRAWS], ids=["collected", "draws"])
def test_a_fork_waits_for_no_lock_as_it_begins(program: str) -> None:
    """The thread that has it is not there."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False, capture_output=True, text=True, timeout=3 * HANG,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr
