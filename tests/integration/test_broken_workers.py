"""Handlers that leave their worker broken: somebody is to blame, and all workers are back."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import gc
import os
import signal
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from masterworker import Master, TaskLost, current_worker
from masterworker.launch import health
from masterworker.master import engine_of
from masterworker.worker import engine_of as worker_engine_of
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: How many workers the job has.
CREW = 2


# -- what handlers do; each returns a result before its worker can be found broken -----------------


def poison(*names: str) -> str:
    for name in names:
        setattr(builtins, name, None)
    return "done"


def forget_modules() -> str:
    sys.modules.clear()
    return "done"


def close_files(first: int, last: int) -> str:
    os.closerange(first, last)
    return "done"


def replace_signals() -> str:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    return "done"


def exit_in_thread() -> str:
    threading.Thread(target=sys.exit).start()
    return "done"


def exit_soon(status: int) -> str:
    threading.Timer(0.05, os._exit, (status,)).start()
    return "done"


def no_recursion() -> str:
    for depth in range(1, 1000):
        with contextlib.suppress(RecursionError):  # it must be more than there is now
            sys.setrecursionlimit(depth)
            break
    return "done"


def break_threading() -> str:
    threading.Lock = threading.Condition = threading.current_thread = None  # type: ignore[assignment]
    return "done"


def hang_at_exit() -> str:
    atexit.register(threading.Event().wait)
    threading.Thread(target=threading.Event().wait).start()  # the interpreter waits for it
    return "done"


def no_garbage() -> str:
    gc.disable()
    return "done"


def folder_that_is_gone() -> str:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
    return "done"


def empty_environment() -> str:
    os.environ.clear()
    return "done"


def speak(number: int) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write("so much that it would be noticed\n")
    return number


def no_methods() -> str:
    """Break what this package itself calls."""
    engine = worker_engine_of(current_worker())  # type: ignore[arg-type]
    engine.talk = engine.hand = engine._execute_leases = None  # type: ignore[method-assign,assignment]
    return "done"


HANDLERS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "len and isinstance": (poison, ("len", "isinstance")),
    "min, max, range": (poison, ("min", "max", "range")),
    "print, open, repr": (poison, ("print", "open", "repr", "str")),
    "all exceptions": (poison, ("Exception", "BaseException", "OSError", "KeyError", "TypeError")),
    "type and tuple": (poison, ("type", "tuple", "list", "dict", "super")),
    "import": (poison, ("__import__", "__build_class__")),
    "modules": (forget_modules, ()),
    "files": (close_files, (3, 100)),
    "all files": (close_files, (0, 100)),
    "signals": (replace_signals, ()),
    "exit in a thread": (exit_in_thread, ()),
    "exit with 0": (exit_soon, (0,)),
    "exit with 2": (exit_soon, (2,)),
    "exit with 8": (exit_soon, (8,)),
    "recursion": (no_recursion, ()),
    "threading": (break_threading, ()),
    "exit handlers": (hang_at_exit, ()),
    "garbage": (no_garbage, ()),
    "folder": (folder_that_is_gone, ()),
    "environment": (empty_environment, ()),
    "ourselves": (no_methods, ()),
}


@pytest.fixture
def master() -> Iterator[Master]:
    with Master(workers=CREW) as found:
        list(found.map(abs, range(CREW)))
        yield found


def crew(master: Master) -> int:
    """Count the workers that have joined."""
    return len(master.status().processes) - 1


@pytest.mark.parametrize("what", HANDLERS)
def test_a_handler_that_breaks_its_worker(master: Master, what: str) -> None:
    """It is done, or given up after three; all others are done, and all workers are there."""
    function, given = HANDLERS[what]
    broken = master.submit(function, *given)
    others = [master.submit(speak, number) for number in range(50)]
    error = broken.exception(HANG)
    if error is None:
        assert broken.result() == "done"
    else:
        assert isinstance(error, TaskLost)
        assert len(error.history) == 3
    assert [other.result(HANG) for other in others] == list(range(50))
    assert [each.result(HANG) for each in [master.submit(abs, -1) for _ in range(20)]] == [1] * 20
    wait_until(lambda: crew(master) == CREW, HANG, "all workers are there")
    assert master.submit(os.getpid).result(HANG)
    engine_of(master).manager.check()


# -- handlers that stop their worker ---------------------------------------------------------------


def stop() -> str:
    os.kill(os.getpid(), signal.SIGSTOP)
    return "continued"


def pause(seconds: float) -> bool:
    return not threading.Event().wait(seconds)


def stop_soon() -> int:
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGSTOP)).start()
    return os.getpid()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch, master: Master) -> Master:
    """A master whose supervisor does not give stopped workers much time."""
    monkeypatch.setattr(health, "STOPPED_SECONDS", 0.5)
    monkeypatch.setattr(health, "STAYS_STOPPED_SECONDS", 2.0)
    return master


def test_a_handler_that_stops_its_worker(hasty: Master) -> None:
    """It is given up after three, and all workers are back."""
    lost = hasty.submit(stop).exception(HANG)
    assert isinstance(lost, TaskLost)
    assert len(lost.history) == 3
    assert all("is stopped" in line for line in lost.history)
    wait_until(lambda: crew(hasty) == CREW, HANG, "all workers are there")
    assert [each.result(HANG) for each in [hasty.submit(abs, -1) for _ in range(20)]] == [1] * 20


def test_as_many_such_handlers_as_workers(hasty: Master) -> None:
    """Nobody is left for a moment, but the job goes on."""
    found = [hasty.submit(stop) for _ in range(CREW)]
    assert all(isinstance(each.exception(2 * HANG), TaskLost) for each in found)
    assert hasty.submit(abs, -1).result(HANG) == 1


def test_a_worker_that_stops_when_it_has_nothing_to_do(hasty: Master) -> None:
    """Nobody is to blame, and another one takes its place."""
    stopped = {hasty.submit(stop_soon).result(HANG) for _ in range(CREW)}
    wait_until(lambda: not any(map(psutil.pid_exists, stopped)), HANG)
    assert hasty.submit(abs, -1).result(HANG) == 1
    wait_until(lambda: crew(hasty) == CREW, HANG, "all workers are there")


def test_a_worker_that_is_continued_in_time(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its strike does not count, and its process goes on."""
    monkeypatch.setattr(health, "STOPPED_SECONDS", 0.3)
    task = master.submit(pause, 3.0)
    pid = int(wait_until(lambda: executing(master), HANG).split()[1])
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: engine_of(master).manager.core.tally.lost_members, HANG)
    os.kill(pid, signal.SIGCONT)
    assert task.result(HANG)
    wait_until(lambda: crew(master) == CREW, HANG)
    assert psutil.pid_exists(pid)
    engine_of(master).manager.check()


def executing(master: Master) -> str:
    """Return which worker executes something; "" for none."""
    found = [info for number, info, held in master.status().processes if number and held]
    return found[0] if found else ""
