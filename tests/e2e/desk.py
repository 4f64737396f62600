"""A user's desk: scripts in a folder, programs that run, and what they said."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from support import HANG, wait_until, without_slowness, workers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Marks every process that is started here, and what it starts.
MARK = "MASTERWORKER_TEST_DESK"

EXAMPLES = Path(__file__).parents[2] / "Examples"

#: Lies beside every script: how a test and its programs wait for each other.
GATE = '''
"""Waiting for files, with a bound."""
import threading, time
from pathlib import Path

HERE = Path(__file__).parent

def say(name):
    (HERE / name).touch()

def said(name):
    return (HERE / name).exists()

def wait_for(name, seconds=600.0):  # a job may stand still for all tests of a module
    end = time.monotonic() + seconds
    while not said(name):
        if time.monotonic() > end:
            raise TimeoutError(name)
        threading.Event().wait(0.01)

def wait_for_slaves(master, number, seconds=60.0):
    end = time.monotonic() + seconds
    while master.task_manager.numberOfActiveProcesses() != 1 + number:
        if time.monotonic() > end:
            raise TimeoutError(number)
        threading.Event().wait(0.01)
'''

HEAD = """\
import math, os, signal, sys, threading, time
from gate import say, said, wait_for, wait_for_slaves
from Scientific.DistributedComputing.MasterSlave import *
"""


def until(holds: Callable[[], Any], what: str = "", seconds: float = HANG) -> Any:
    """Wait until something holds, and return it; fail when it does not."""
    return wait_until(holds, seconds, what)


class Running:
    """A program that was started, with what it wrote."""

    def __init__(
        self, command: list[str], notes: Path, env: dict[str, str], **options: Any
    ) -> None:
        stem = notes / f".run-{uuid.uuid4().hex[:8]}"
        self._out, self._err = stem.with_suffix(".out"), stem.with_suffix(".err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err}
            self.process = subprocess.Popen(command, env=env, **streams | options)
        self.pid = self.process.pid

    @property
    def out(self) -> str:
        return self._out.read_text(encoding="utf-8", errors="replace")

    @property
    def err(self) -> str:
        return self._err.read_text(encoding="utf-8", errors="replace")

    @property
    def complaints(self) -> str:
        """What it has written to stderr, without what is said where a machine is slow."""
        return without_slowness(self.err)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def result(self) -> Any:
        """The last line that it printed, as JSON."""
        assert self.lines, f"it printed nothing; stderr:\n{self.err}"
        return json.loads(self.lines[-1])

    def status(self, seconds: float = HANG) -> int:
        """Wait for the end; return the exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"hangs: {self.process.args}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"
            ) from None

    def good(self, seconds: float = HANG) -> Running:
        """Wait for the end, which must be a good one."""
        status = self.status(seconds)
        assert status == 0, f"status {status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"
        return self

    def says(self, text: str, seconds: float = HANG) -> str:
        """Wait until it has written something, to stdout or stderr."""

        def holds() -> str:
            told = self.out + self.err
            if text not in told and self.process.poll() is not None:
                told = self.out + self.err
                assert text in told, f"ended with {self.process.poll()}, said:\n{told}"
            return told if text in told else ""

        return str(until(holds, f"{self.process.args} says {text!r}", seconds))

    def first_line(self) -> str:
        """Wait for a line on stdout, and return it."""
        until(lambda: "\n" in self.out or self.process.poll() is not None, "it prints a line")
        assert "\n" in self.out, self.err
        return self.lines[0]

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def signal_group(self, number: int) -> None:
        """Send a signal to its process group, as a terminal does."""
        os.killpg(self.pid, number)

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def children(self) -> list[psutil.Process]:
        """The workers that it has started."""
        return workers_of(self.pid)

    def workers(self, number: int = 1) -> list[int]:
        """Wait until a supervisor has so many workers; their process ids."""

        def holds() -> list[int] | None:
            found = [child.pid for child in self.children()]
            return found if len(found) == number else None

        return list(until(holds, f"it has {number} workers"))


class Desk:
    """A folder with scripts, and the programs that were started in it."""

    def __init__(self, folder: Path, label: str) -> None:
        self.folder = folder
        self.label = label
        self._mark = uuid.uuid4().hex
        self._running: list[Running] = []
        #: For fixtures that start something: by a name of their own.
        self.programs: dict[str, Running] = {}
        self.write("gate.py", GATE)
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # inherited by all children
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def write(self, name: str, text: str) -> Path:
        """Write a file; the label stands for LABEL in it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = textwrap.dedent(text).lstrip("\n").replace("LABEL", repr(self.label))
        path.write_text(text, encoding="utf-8")
        return path

    def script(self, name: str, text: str) -> Path:
        """Write a script that begins with the usual imports."""
        body = textwrap.dedent(text).lstrip("\n")
        return self.write(name, HEAD + body)

    def start(self, *arguments: str | Path, **options: Any) -> Running:
        """Start a Python program. Options in capitals go to the environment, others to Popen."""
        command = [sys.executable, *map(str, arguments)]
        env = {**os.environ, MARK: self._mark, "PYTHONUNBUFFERED": "1"}
        env |= {name: options.pop(name) for name in list(options) if name.isupper()}
        options["cwd"] = options.pop("folder", self.folder)
        running = Running(command, self.folder, env, **options)
        self._running.append(running)
        return running

    def command(self, *arguments: str, **options: Any) -> Running:
        """Start `task_manager`."""
        return self.start("-m", "masterworker.cli", *arguments, **options)

    def slave(self, *options: str) -> Running:
        """Start `task_manager slave LABEL`."""
        return self.command("-w", "slave", self.label, *options)

    def python(self, name: str, text: str, *arguments: str, **options: Any) -> Running:
        """Write a script, and start it."""
        return self.start(self.script(name, text), *arguments, **options)

    def census(self, label: str = "") -> dict[str, Any]:
        """What `show --json` says."""
        shown = self.command("-w", "show", label or self.label, "--json").good()
        found: dict[str, Any] = json.loads(shown.out)
        return found

    def reach(self, name: str) -> None:
        """Wait until a program has said something with `say`, unless one has failed."""

        def holds() -> bool:
            for running in self._running:
                assert running.process.poll() != 1, running.err
            return (self.folder / name).exists()

        until(holds, f"somebody says {name!r}")

    def slaves_here(self, number: int) -> dict[str, Any]:
        """Wait for so many slaves to have joined."""

        def holds() -> dict[str, Any] | None:
            found = self.census()
            return found if len(found["processes"]) == 1 + number else None

        return dict(until(holds, f"{number} slaves have joined"))

    def living(self) -> list[psutil.Process]:
        """All processes that were started here, or by what was started here."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == self._mark and process.status() != "zombie":
                    found.append(process)
        return found

    def nobody_left(self, seconds: float = HANG) -> None:
        """Wait until everything that was started here has ended."""
        end = time.monotonic() + seconds
        while left := self.living():
            told = [(p.pid, p.cmdline()) for p in left if p.is_running()]
            assert time.monotonic() < end, f"left after {seconds} s: {told}"
            threading.Event().wait(0.02)

    def clear(self) -> None:
        """End what is still there, each by its own id."""
        for running in self._running:
            if running.process.poll() is None:
                running.kill()
        for process in self.living():
            with contextlib.suppress(psutil.Error):
                process.kill()


@contextlib.contextmanager
def desk_at(folder: Path, label: str) -> Iterator[Desk]:
    """A desk that is cleared in the end."""
    found = Desk(folder, label)
    try:
        yield found
    finally:
        found.clear()
