"""What users do at their hosts: write scripts, type commands, copy files."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.desk import Running
    from security.hosts.network import Host, Net
    from security.hosts.ssh import Sshd

#: Where `python` and `task_manager` are.
COMMANDS = Path(sys.executable).parent
TICKET = "demo.ticket"

#: Lies beside every script: how a test and its programs wait for each other.
GATE = '''
"""Waiting for files and workers, with a bound."""
import threading, time
from pathlib import Path

HERE = Path(__file__).parent

def until(holds, seconds=60.0):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(seconds)
        threading.Event().wait(0.01)

def wait_for(name):
    until((HERE / name).exists)

def pause(seconds):
    threading.Event().wait(seconds)
'''

#: `python job.py WORKERS TASKS [HOST]`: waits for so many workers, lets them execute so many
#: tasks, prints what became of each, and waits for a file `end`.
JOB = """
import json, logging, socket, sys, threading
from gate import until, wait_for
from masterworker import Master

def where(number):
    threading.Event().wait(0.01)
    return number, socket.gethostname()

logging.basicConfig(format="%(message)s")
workers, tasks = map(int, sys.argv[1:3])
with Master("demo", host=(sys.argv[3:] or [None])[0]) as master:
    print("listens", flush=True)
    until(lambda: master.number_of_workers >= workers)
    futures = [master.submit(where, number) for number in range(tasks)]
    found = [future.result(timeout=60) for future in master.as_completed(futures)]
    print(json.dumps({"found": found, "last": futures[-1].task_id}), flush=True)
    wait_for("end")
"""


class User:
    """Somebody at a host. Files are those in the home folder, where commands are executed, too.

    The folders of the other hosts are not there for what is started here.
    """

    def __init__(self, host: Host, others: list[Host]) -> None:
        self.host = host
        hide = " && ".join(f"mount -t tmpfs none {other.folder}" for other in others)
        self._begin = f"{hide} || exit 99; "
        self._started: list[Running] = []
        self.home = host.folder / "home"
        known = host.environment.get("PATH", os.defpath)
        host.environment["PATH"] = f"{COMMANDS}{os.pathsep}{known}"
        self.write("gate.py", GATE)

    @property
    def keys(self) -> Path:
        """The folder with this user's keys."""
        return self.home / ".config" / "masterworker"

    def write(self, name: str, text: str) -> Path:
        path = self.home / name
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def start(self, line: str, **environment: str) -> Running:
        """Type a line, and do not wait for its end."""
        command = ["sh", "-c", self._begin + line]
        self._started.append(self.host.start(command, env=environment))
        return self._started[-1]

    def clear(self) -> None:
        """End what is still there."""
        for running in self._started:
            if running.process.poll() is None:
                running.kill()

    def run(self, line: str, timeout: float = HANG, **environment: str) -> Running:
        """Type a line, and wait for its end."""
        return self.host.run(["sh", "-c", self._begin + line], timeout=timeout, env=environment)

    def job(
        self, workers: int, tasks: int = 100, at: str = "", script: str = JOB, **environment: str
    ) -> Running:
        """Start `job.py`, and wait until it listens: unless told, at this host's address."""
        self.write("job.py", script)
        environment = {"MASTERWORKER_HOST": self.host.address, **environment}
        started = self.start(f"exec python job.py {workers} {tasks} {at}", **environment)
        started.says("listens")
        return started

    def end(self) -> None:
        """Let scripts go on that wait for this."""
        (self.home / "end").touch()

    def census(self, words: str = "show demo") -> dict[str, Any]:
        """What `show --json` says, once the job is there."""
        found: dict[str, Any] = json.loads(self.run(f"task_manager -w --json {words}").good().out)
        return found

    def workers_here(self, number: int) -> list[str]:
        """Wait until a job of this host has so many workers; what is known of each process."""

        def found() -> list[str]:
            told = [info for _, info, _ in self.census()["processes"]]
            return told if len(told) == number + 1 else []

        return list(wait_until(found, HANG, f"{number} workers are here"))

    def ends(self, job: Running, *workers: Running) -> None:
        """Let a job of this host come to its end, and all its workers with it; all is well."""
        self.end()
        job.good()
        for worker in workers:
            worker.good()

    def copy_to(self, other: User, name: str) -> None:
        """Copy a file, as `scp -p` does; folders are made as programs make them."""
        target = other.home / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(self.home / name, target)

    def copy_key_to(self, other: User) -> None:
        """Copy what makes the other one the same user."""
        self.copy_to(other, ".config/masterworker/authority.pem")

    def knows(self, *servers: Sshd) -> None:
        """Let `ssh` and `scp` of this host find these servers."""
        folder = self.host.folder / "bin"
        folder.mkdir(exist_ok=True)
        config = folder / "ssh_config"
        config.write_text("".join(server.config.read_text() for server in servers))
        for name in ("ssh", "scp"):
            wrapper = folder / name
            wrapper.write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F {config} "$@"\n')
            wrapper.chmod(0o755)
        path = self.host.environment["PATH"]
        self.host.environment["PATH"] = f"{folder}{os.pathsep}{path}"


@pytest.fixture
def users(net: Net) -> Iterator[list[User]]:
    """One for each host."""
    found = [User(host, [other for other in net if other is not host]) for host in net]
    yield found
    for user in found:
        user.clear()


def invite(giver: User, *others: User, options: str = "") -> Running:
    """Make a ticket, as the README says, and copy it to others."""
    made = giver.run(f"task_manager ticket demo {options} --out {TICKET}").good()
    for other in others:
        giver.copy_to(other, TICKET)
    return made


def complete(job: Running, tasks: int = 100, seconds: float = HANG) -> set[str]:
    """Wait for what `job.py` prints: each result once. Returns the hosts that took part."""
    wait_until(lambda: '"found"' in job.out or job.process.poll() is not None, seconds, "results")
    assert '"found"' in job.out, job.err
    found = job.result["found"]
    assert sorted(number for number, _ in found) == list(range(tasks))
    return {host for _, host in found}


def one_line(running: Running, status: int) -> str:
    """Wait for the end with a status; return the one line on stderr that says why."""
    assert running.status() == status, running.err
    lines = running.complaints.splitlines()
    assert len(lines) == 1, running.err
    assert lines[0].startswith("task_manager: ")
    return str(lines[0])
