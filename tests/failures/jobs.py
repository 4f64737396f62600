"""Jobs for these tests: in one process, over real connections, and with real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import psutil

from masterworker import wire
from masterworker.client import Client
from masterworker.core.task import RESULT, Outcome
from masterworker.data.pickling import dumps, dumps_call, loads
from masterworker.master import Master, engine_of
from masterworker.testing import connection, memory_manager
from masterworker.transport.pyro.connection import connect
from masterworker.worker import Worker
from support import HANG, Script, python_script, start_script, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from masterworker.core.task import Finished
    from masterworker.manager import Manager
    from masterworker.testing import Faults

#: A worker that is a plain script. Its handlers can be held at a gate made of files.
WORKER = """
import os, signal, sys, threading, time
from pathlib import Path
from masterworker import StateValue, Worker

def wait_for(file, seconds=60.0):
    end = time.monotonic() + seconds
    while not Path(file).exists():
        if time.monotonic() > end:
            raise TimeoutError(file)
        threading.Event().wait(0.01)

class Hand(Worker):
    def do_echo(self, value):
        return value
    def do_pid(self):
        return os.getpid()
    def do_gate(self, folder, number):
        Path(folder, f"began{number}").touch()
        wait_for(Path(folder, "open"))
        return number

label, heartbeat, reconnect = sys.argv[1:]
"""

RUN = "Hand(label, heartbeat=float(heartbeat) or None, reconnect=float(reconnect)).run()\n"


@contextlib.contextmanager
def ended(*scripts: Script) -> Iterator[None]:
    """In the end these programs have ended, one way or the other."""
    try:
        yield
    finally:
        for script in scripts:
            if script.process.poll() is None:
                script.kill()


@contextlib.contextmanager
def plain_workers(
    folder: Path,
    label: str,
    number: int = 1,
    *,
    heartbeat: float = 5.0,
    reconnect: float = 20.0,
    extra: str = "",
) -> Iterator[list[Script]]:
    """Start workers that are scripts of their own. Heartbeat 0 is none.

    Args:
        folder: Where the script is written.
        label: The label of the job.
        number: How many workers.
        heartbeat: Seconds; 0: not watched.
        reconnect: Seconds to look for a master that is gone.
        extra: Further methods of the class `Hand`, as a subclass of the same name.
    """
    path = python_script(folder, "hand.py", WORKER + extra + RUN)
    scripts = [start_script(path, label, str(heartbeat), str(reconnect)) for _ in range(number)]
    with ended(*scripts):
        yield scripts


@contextlib.contextmanager
def real_master(**options: Any) -> Iterator[Master]:
    """A master that is reached over Pyro, shut down in the end."""
    master = Master(unique_label("failures"), **options)
    try:
        yield master
    finally:
        master.shutdown(grace=2.0)


@contextlib.contextmanager
def remote(master: Master) -> Iterator[Client]:
    """A client with a real connection to a master."""
    assert engine_of(master).server is not None
    address = engine_of(master).server.address
    client = Client(lambda: connect(address, master.label))
    try:
        yield client
    finally:
        client.disconnect()


@contextlib.contextmanager
def memory_job() -> Iterator[Manager]:
    """A manager inside this process. Its invariants must hold in the end."""
    manager, _ = memory_manager()
    try:
        yield manager
        manager.check()
    finally:
        manager.terminate()


@contextlib.contextmanager
def memory_worker(
    manager: Manager,
    handlers: Mapping[str, Callable[..., Any]],
    faults: Faults | None = None,
    heartbeat: float | None = 5.0,
) -> Iterator[Worker]:
    """A worker of such a manager, in a thread; ends with the manager."""
    worker = Worker(
        "any",
        handlers=handlers,
        heartbeat=heartbeat,
        connect=lambda: connection(manager, faults),
    )
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        yield worker
    finally:
        manager.terminate()
        thread.join(HANG)
        assert not thread.is_alive(), "the worker hangs"


def join(link: Manager | Client, tags: list[str] | None = None, info: str = "w") -> int:
    """Register a process that is not watched; tags as for `on_joined`. Returns its id."""
    return link.join(wire.introduce(info, tags, None, f"client {os.urandom(8).hex()}")).member_id


def observer(manager: Manager) -> int:
    """Register a process that only picks up results."""
    return join(manager, [], "observer")


def ask(manager: Manager, tag: str, *parameters: Any) -> int:
    """Ask for one task."""
    return manager.request(tag, [dumps_call("test", parameters)])


def done(lease: Any, value: Any) -> Outcome:
    """The result of a lease."""
    return Outcome(lease.task_id, lease.attempt, RESULT, [dumps(value)])


def pick_up(manager: Manager, member: int, wait: float = wire.LONGEST_WAIT) -> Finished:
    """Wait for one outcome."""
    finished, _ = manager.collect(member, None, 1, wait)
    assert finished, "no outcome came"
    return finished[0]


def value_of(finished: Finished) -> Any:
    """The result in an outcome."""
    assert finished.kind == RESULT, finished
    return loads(finished.payload)


def here(master: Master) -> set[int]:
    """Process ids, as the system knows them, of the workers that have joined."""
    found = set()
    for number, info, _ in master.status().processes:
        if number != engine_of(master).process_id:
            found.add(int(info.split()[1]))
    return found


def all_here(master: Master, scripts: list[Script]) -> None:
    """Wait until these workers have joined."""
    pids = {script.pid for script in scripts}
    wait_until(lambda: pids <= here(master), HANG, "the workers join")


def in_bound(action: Callable[[], Any], seconds: float = HANG) -> Any:
    """Do something in a thread that must not hang; return what it returns."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(action()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, f"{action} hangs or has failed"
    return found[0]


def gone(pid: int) -> bool:
    """Tell whether a process has ended (a corpse counts as ended)."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def stop(script: Script) -> None:
    """Suspend a process, as a laptop's lid does."""
    script.process.send_signal(signal.SIGSTOP)


def go_on(script: Script) -> None:
    """Let a suspended process go on."""
    script.process.send_signal(signal.SIGCONT)


def lines_of(action: Callable[[], Any], *packages: str) -> int:
    """Count the lines of Python that an action executes in some packages, in this thread."""
    count = 0

    def local(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return local

    def trace(frame: Any, event: str, argument: Any) -> Any:
        return local if frame.f_globals.get("__name__", "").startswith(packages) else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count
