"""A program whose master is odd in some way. What it prints tells how its workers fared.

    python odd_masters.py WAY

It is executed with templates and without: what it prints must be the same.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

HANG = 60.0
#: clone(2), by machine; the flag by which a fork is a sibling; and what a filter answers.
CLONE = {"x86_64": 56, "aarch64": 220}
SIBLING = 0x8000
REFUSED = 0x00050000


def job(master: Any) -> None:
    """Say how workers fare that are launched, killed and launched again."""
    master.launch_workers(2)
    print("sum", sum(master.map(abs, range(-100, 0))))
    victim = master.submit(os.getpid).result(HANG)
    os.kill(victim, signal.SIGKILL)
    print("again", sum(master.map(abs, range(-100, 0))))
    master.launch_workers(1, wait=True)
    print("child", master.submit(os.getppid).result(HANG) == os.getpid())


def work(how: Any = job) -> None:
    from masterworker import Master

    with Master() as master:
        how(master)
    print("left", left())


def left() -> list[str]:
    """Describe the processes below this one, dead or alive, but for those that it knows of."""
    import psutil

    end = threading.Event()
    found: list[str] = []
    for _ in range(1000):
        found = []
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if child.pid not in own:
                    found.append(f"{child.status()} {child.cmdline()[-3:]}")
        if not found:
            break
        end.wait(0.01)
    return found


own: list[int] = []


def prctl(*numbers: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(*map(ctypes.c_ulong, [*numbers, 0, 0, 0, 0][:5])):
        raise OSError(ctypes.get_errno(), "prctl")


def refuse(error: int) -> None:
    """Let the kernel refuse this process, and all below it, a fork that is a sibling."""
    steps = [
        (0x20, 0, 0, 0),  # the number of the call
        (0x15, 0, 3, CLONE[os.uname().machine]),
        (0x20, 0, 0, 16),  # its first argument
        (0x45, 0, 1, SIBLING),
        (0x06, 0, 0, REFUSED | error),
        (0x06, 0, 0, 0x7FFF0000),
    ]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    kept = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(kept))
    )
    prctl(38, 1)
    prctl(22, 2, ctypes.addressof(program))


def with_threads() -> None:
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    work()
    stop.set()


def in_a_thread() -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def in_a_fork() -> None:
    from masterworker import Master

    with Master(workers=1) as outer:
        outer.submit(abs, 1).result(HANG)
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            work()
            sys.stdout.flush()
            os._exit(0)
        print("status", os.waitpid(pid, 0)[1])
        print("outer", outer.submit(abs, -3).result(HANG))


def as_subreaper() -> None:
    prctl(36, 1)
    work()


def deaf() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    work()


def reaping() -> None:
    """As daemons do it: all children that have ended, whosever they are."""

    def reap(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    signal.signal(signal.SIGCHLD, reap)
    work()


def waiting() -> None:
    """Some thread waits for any child, again and again."""
    over = threading.Event()

    def wait() -> None:
        while not over.wait(0.001):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)

    thread = threading.Thread(target=wait)
    thread.start()
    work()
    over.set()
    thread.join()


def with_a_child() -> None:
    """A process of the program's own is none of ours to wait for, or to end."""
    child = subprocess.Popen(["sleep", "600"])
    own.append(child.pid)
    work()
    print("child", child.poll())
    child.kill()
    print("child", child.wait())


def refused() -> None:
    refuse(1)
    work()


def without_processes() -> None:
    refuse(11)
    work()


def with_few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    work()


def with_limits() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    resource.setrlimit(resource.RLIMIT_STACK, (4 << 20, 4 << 20))
    os.umask(0o77)
    os.nice(3)
    work(limited)


def limited(master: Any) -> None:
    job(master)
    print("limits", master.submit(look_at_limits).result(HANG))


def look_at_limits() -> list[Any]:
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_STACK)
    umask = os.umask(0)
    os.umask(umask)
    return [*map(resource.getrlimit, kinds), umask, os.nice(0)]


def changing() -> None:
    """Environment, folder and path are those of the moment in which workers are launched."""
    work(changed)


def changed(master: Any) -> None:
    for number in range(3):
        os.environ["NUMBER"] = str(number)
        os.environ.pop(f"BEFORE_{number - 1}", None)
        os.environ[f"BEFORE_{number}"] = "1"
        folder = Path(f"folder{number}").absolute()
        folder.mkdir()
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        master.launch_workers(1, wait=True, idle_timeout=0.3)
        print(number, master.submit(look_around).result(HANG))
        while master.number_of_workers:
            threading.Event().wait(0.01)
        os.chdir("..")


def look_around() -> list[Any]:
    names = sorted(name for name in os.environ if name.startswith(("NUMBER", "BEFORE")))
    return [
        [(name, os.environ[name]) for name in names],
        Path.cwd().name,
        [Path(each).name for each in sys.path if "folder" in each],
    ]


WAYS = {
    each.__name__: each
    for each in (
        *(with_threads, in_a_thread, in_a_fork, as_subreaper, deaf, reaping, waiting),
        *(with_a_child, refused, without_processes, with_few_descriptors, with_limits, changing),
        work,
    )
}

if __name__ == "__main__":
    sys.modules["odd_masters"] = sys.modules["__main__"]
    WAYS[sys.argv[1]]()
