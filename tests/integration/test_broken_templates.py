"""Templates that are killed, stopped, or run out of something, at each moment that matters.

Workers come all the same, each line is said once, and no process stays, dead or alive.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from masterworker import Master
from masterworker.launch import starter
from masterworker.launch.template import supervised
from masterworker.launch.template.decision import reason_against
from masterworker.master import engine_of
from masterworker.surroundings.python import Interpreter
from support import HANG, wait_until, workers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    bool(reason_against(Interpreter(), dict(os.environ))),
    reason=reason_against(Interpreter(), dict(os.environ)) or "none",
)

EACH = "each worker is started as a program of its own"


@pytest.fixture(autouse=True)
def _slow_machines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker waits for the template, however long that takes here to be ready."""
    monkeypatch.setattr(starter, "PATIENCE_SECONDS", HANG)


@pytest.fixture
def master() -> Iterator[Master]:
    before = {child.pid for child in psutil.Process().children()}
    with Master() as found:
        yield found
    wait_until(
        lambda: {child.pid for child in psutil.Process().children()} <= before,
        HANG,
        "no process is left, no zombie either",
    )


def template_of(master: Master) -> psutil.Process:
    def find() -> psutil.Process | None:
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error):
                if "template.server" in " ".join(child.cmdline()):
                    return child
        return None

    found: psutil.Process = wait_until(find, HANG)
    return found


def begin_with(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let templates execute this first; `fork` makes a fork there as ever."""
    frame = f"""
import errno, os, signal
from masterworker.launch.template import clone
fork = clone.Cloner.__call__
{text}
clone.Cloner.__call__ = call
"""
    frame = frame.replace("{", "{{").replace("}", "}}")
    middle = "from masterworker.launch.template.server import serve"
    before, after = supervised._BEGIN.split(middle)
    monkeypatch.setattr(supervised, "_BEGIN", f"{before.rstrip('; ')}{frame}{middle}{after}")


def all_is_well(master: Master, workers: int) -> None:
    wait_until(lambda: master.number_of_workers == workers, HANG)
    assert sorted(master.map(abs, range(100))) == list(range(100))
    assert len(workers_of(os.getpid())) == workers


def after(whose: str, what: str) -> str:
    """Let template or fork do something first of all after a fork."""
    condition = {"template": "pid", "fork": "not pid", "both": "True"}[whose]
    return f"def call(s):\n pid = fork(s)\n if {condition}: {what}\n return pid"


def second(what: str) -> str:
    """Let a template do something in the place of its second fork, of several in a row."""
    lines = ("calls.append(s)", f"if len(calls) == 2: {what}", "return fork(s)")
    return "calls = []\ndef call(s):\n " + "\n ".join(lines)


#: What templates do when they are asked for a worker.
BROKEN = {
    "killed after the fork": after("template", "os.kill(os.getpid(), 9)"),
    "killed before the fork": "def call(s): os.kill(os.getpid(), 9)",
    "stopped before the fork": "def call(s):\n os.kill(os.getpid(), 19)\n return fork(s)",
    "stopped after the fork": after("template", "os.kill(os.getpid(), 19)"),
    "killed, and its fork is stopped": after("both", "os.kill(os.getpid(), 9 if pid else 19)"),
    "a fork that dies at once": after("fork", "os._exit(9)"),
    "a fork that is killed at once": after("fork", "os.kill(os.getpid(), 9)"),
    "no processes": "def call(s): raise OSError(errno.EAGAIN, 'none left')",
    "no memory": "def call(s): raise OSError(errno.ENOMEM, 'none left')",
    "no memory for Python": "def call(s): raise MemoryError",
    "refused": "def call(s): raise OSError(errno.EPERM, 'not allowed')",
    "exits": "def call(s): raise SystemExit(3)",
    "killed in the middle of a row": second("os.kill(os.getpid(), 9)"),
    "stopped in the middle of a row": second("os.kill(os.getpid(), 19)"),
    "no processes in the middle of a row": second("raise OSError(errno.EAGAIN, 'none left')"),
    "refused in the middle of a row": second("raise OSError(errno.EPERM, 'not allowed')"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_template_that_breaks_when_it_is_asked(
    master: Master, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    caplog.set_level(logging.INFO, "masterworker.launch")
    monkeypatch.setattr(supervised, "ANSWER_SECONDS", 0.5)
    begin_with(monkeypatch, BROKEN[how])
    master.launch_workers(2)
    all_is_well(master, 2)
    assert caplog.text.count(EACH) <= 1
    if how == "refused":  # the first request of all; later on there may be no template to ask
        wait_until(lambda: EACH in caplog.text, HANG)
        assert "not allowed" in reason_of(master)


def reason_of(master: Master) -> str:
    launcher = engine_of(master).execution.launcher
    assert launcher is not None
    return launcher.describe_ways_to_start()


def test_a_template_without_file_descriptors(
    master: Master, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "masterworker.launch")
    master.launch_workers(1, wait=True)
    all_is_well(master, 1)
    few = len(os.listdir(f"/proc/{template_of(master).pid}/fd"))  # noqa: PTH208
    resource.prlimit(template_of(master).pid, resource.RLIMIT_NOFILE, (few, few))
    master.launch_workers(2)
    all_is_well(master, 3)
    assert "no free file descriptors" in caplog.text


def test_a_socket_that_is_full(master: Master) -> None:
    """The template is stopped, and what it was asked fills its socket."""
    master.launch_workers(1, wait=True)
    all_is_well(master, 1)
    launcher = engine_of(master).execution.launcher
    assert launcher is not None
    supervisor = launcher.local_workers._supervisor
    assert supervisor is not None
    for each in supervisor.starter._templates._all():
        each._link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # as little as there may be
    template_of(master).send_signal(signal.SIGSTOP)
    master.launch_workers(4)
    all_is_well(master, 5)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGSEGV])
def test_an_idle_template_that_is_sent_a_signal(
    master: Master, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(supervised, "ANSWER_SECONDS", 0.5)
    master.launch_workers(1, wait=True)
    all_is_well(master, 1)
    template_of(master).send_signal(number)
    master.launch_workers(1)
    all_is_well(master, 2)


def test_a_fork_that_cannot_be_taken_in(master: Master, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor has no memory left just then: the fork ends, and another worker comes."""
    real, failed = starter.WorkerProcess, []

    def fail(*given: Any) -> Any:
        if not failed:
            failed.append(given)
            raise MemoryError("none left")
        return real(*given)

    monkeypatch.setattr(starter, "WorkerProcess", fail)
    master.launch_workers(1)
    all_is_well(master, 1)
    assert failed


@pytest.mark.parametrize("moment", ["asked", "answered"])
def test_a_program_that_is_killed_while_it_asks(moment: str) -> None:
    """Template and forks end with it, also one that was asked for and not yet there."""
    text = "def call(s): os.kill(os.getpid(), 19); return fork(s)"
    if moment == "answered":
        text = after("fork", "os.kill(os.getpid(), 19)")
    patch = pytest.MonkeyPatch()
    begin_with(patch, text)
    begin = supervised._BEGIN
    patch.undo()
    program = (
        "import os, signal, sys, threading, psutil\n"
        "from masterworker import Master\n"
        "from masterworker.launch import starter\n"
        "from masterworker.launch.template import supervised\n"
        f"supervised._BEGIN = {begin!r}\n"
        "supervised.ANSWER_SECONDS = starter.PATIENCE_SECONDS = 600.0\n"
        "master = Master(); master.launch_workers(1)\n"
        "while not any(c.status() == 'stopped' for c in psutil.Process().children()):\n"
        "    threading.Event().wait(0.01)\n"
        "print(*[c.pid for c in psutil.Process().children()], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG, check=False
    )
    pids = [int(word) for word in done.stdout.split()]
    assert pids, done.stderr
    wait_until(lambda: not any(is_alive(pid) for pid in pids), HANG)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def test_the_reason_is_told_by_explain(master: Master, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTERWORKER_TEMPLATE", "0")
    master.launch_workers(1, wait=True)
    master.submit(abs, -1).result(HANG)
    story = engine_of(master).manager.story(1)
    assert any("as a program of its own: MASTERWORKER_TEMPLATE is 0" in line for line in story)
