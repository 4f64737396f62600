"""What no handler should do."""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

# -- ends of the process ------------------------------------------------------------------------


def _no_core_file() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def segfault() -> None:
    _no_core_file()
    ctypes.string_at(0)


def abort() -> None:
    _no_core_file()
    os.abort()


def leave() -> None:
    os._exit(0)


def leave_with(status: int) -> None:
    os._exit(status)


def stack_overflow() -> None:
    """In C: the system's qsort calls back, and so on, without Python's own limit."""
    _no_core_file()
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    library = ctypes.PyDLL(None)
    numbers = (ctypes.c_int * 2)(2, 1)
    sys.setrecursionlimit(2**31 - 1)

    def deeper(*_: object) -> int:
        library.qsort(numbers, 2, 4, compare)
        return 0

    compare = kind(deeper)
    deeper()


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def eat_memory(size: int) -> None:
    """Touch so many bytes."""
    held = []
    for _ in range(size >> 20):
        held.append(bytearray(os.urandom(1024)) * 1024)


def eat_memory_slowly(size: int) -> None:
    """The same, with time for others to look."""
    held = []
    for _ in range(size >> 20):
        held.append(bytearray(os.urandom(1024)) * 1024)
        threading.Event().wait(0.002)


# -- hanging ------------------------------------------------------------------------------------


def hang() -> None:
    while True:
        threading.Event().wait(1.0)


def hang_and_ignore() -> None:
    """Without end, whatever signal comes that can be ignored, and whatever is raised."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    while True:
        try:
            threading.Event().wait(1.0)
        except BaseException:  # noqa: S112
            continue


def hold_lock(seconds: float) -> None:
    """Let no other thread of this process run."""
    ctypes.PyDLL(None).usleep(ctypes.c_uint(int(seconds * 1e6)))


def hold_lock_for_ever() -> None:
    ctypes.PyDLL(None).pause()


# -- results and exceptions ---------------------------------------------------------------------


class _RaisesWhenPickled:
    def __reduce__(self) -> Any:
        raise OSError("not this one")


class Odd(Exception):
    """Cannot be rebuilt from its arguments."""

    def __init__(self, first: int, second: str) -> None:
        super().__init__(f"{first} and {second}")


def return_lock() -> Any:
    return threading.Lock()


def return_nest() -> Any:
    found: list[Any] = []
    for _ in range(200_000):
        found = [found]
    return found


def return_mine() -> Any:
    return _RaisesWhenPickled()


def raise_unknown() -> None:
    """Of a class that no other process can import."""
    space: dict[str, Any] = {"__name__": "nowhere_else"}
    exec("class Unheard(Exception): pass", space)  # noqa: S102
    raise space["Unheard"]("of")


def raise_odd() -> None:
    raise Odd(1, "two")


def raise_group() -> None:
    raise ExceptionGroup("both", [ValueError("one"), KeyError("two")])


def raise_long() -> None:
    raise ValueError("x" * 100_000_000)


def raise_chain() -> None:
    try:
        raise KeyError("first")
    except KeyError as error:
        raise RuntimeError("second") from error


def raise_with_lock() -> None:
    error = ValueError("it holds a lock")
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    raise error


# -- surroundings -------------------------------------------------------------------------------


def flood(size: int) -> None:
    """Write so much to stdout and stderr: not text, and no line ends."""
    chunk = bytes(range(256)).replace(b"\n", b"") * 1024
    for _ in range(0, size, 2 * len(chunk)):
        os.write(1, chunk)
        os.write(2, chunk)


def fork_and_leave_child(path: str) -> None:
    """Fork a child that stays; its process id goes to a file."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        while True:
            threading.Event().wait(10.0)
    Path(path).write_text(str(child), encoding="ascii")


def fork_and_exit() -> None:
    """Let a child end as programs do, with an exception that goes the whole way back."""
    child = os.fork()
    if child == 0:
        sys.exit(0)
    os.waitpid(child, 0)


def fork_and_return() -> None:
    """Let both go back; the child is the one that comes first."""
    if os.fork() != 0:
        threading.Event().wait(0.5)


def use_pool() -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(abs, [-1, 2]) == [1, 2]


def leave_threads() -> None:
    for _ in range(20):
        threading.Thread(target=threading.Event().wait, args=(60.0,), daemon=True).start()


def leave_thread_that_stays() -> None:
    """A thread that a Python program waits for at its end."""
    threading.Thread(target=threading.Event().wait, args=(60.0,)).start()


def change_folder() -> None:
    os.chdir("/")


def change_signals() -> None:
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)


def leave_atexit() -> None:
    atexit.register(_raise_at_exit)


def _raise_at_exit() -> None:
    raise RuntimeError("at exit")


def change_environment() -> None:
    os.environ.clear()
    os.umask(0)
    sys.path.clear()
    time.time = lambda: 0.0  # type: ignore[assignment]


def close_output() -> None:
    for fd in (0, 1, 2):
        os.close(fd)
