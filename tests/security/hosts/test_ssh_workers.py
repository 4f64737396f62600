"""Workers that were started through ssh, without a terminal, end when the ssh does."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from masterworker import Master
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.desk import Running
    from security.hosts.ssh import Sshd


@pytest.fixture
def master() -> Iterator[Master]:
    with Master() as found:
        yield found


def start(sshd: Sshd, master: Master, folder: Path, log: str = "") -> Running:
    """Start a worker over there, with a ticket; with a log, so that it does not hang up."""
    ticket = folder / "ticket"
    ticket.write_text(master.ticket("1h"))
    ticket.chmod(0o600)
    command = [sys.executable, "-m", "masterworker.cli", "worker", "--ticket", str(ticket)]
    if log:
        told = f"nohup {shlex.join(command)} > {log} 2>&1 < /dev/null & wait"
        command = ["sh", "-c", told]
    return sshd.start(*command)


def family(master: Master) -> list[psutil.Process]:
    """Wait for the worker; that process and its supervisor."""
    worker = psutil.Process(master.submit(os.getpid).result(HANG))
    parent = worker.parent()
    assert parent is not None
    return [worker, parent]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_worker_ends_with_its_ssh(
    sshd: Sshd, master: Master, tmp_path: Path, number: int
) -> None:
    """However that ends; the job goes on."""
    client = start(sshd, master, tmp_path)
    there = family(master)
    client.signal(number)
    client.status()
    _, living = psutil.wait_procs(there, timeout=15)
    assert not living
    other = start(sshd, master, tmp_path)
    assert master.submit(abs, -1).result(HANG) == 1
    other.kill()


def test_a_worker_whose_output_goes_elsewhere_stays(
    sshd: Sshd, master: Master, tmp_path: Path
) -> None:
    """Whoever says so wants it to stay."""
    client = start(sshd, master, tmp_path, str(tmp_path / "log"))
    there = family(master)
    client.kill()
    assert [master.submit(os.getpid).result(HANG) for _ in range(3)] == [there[0].pid] * 3
    master.shutdown()
    _, living = psutil.wait_procs(there, timeout=HANG)
    assert not living


def test_an_idle_client_is_no_reason_to_end(sshd: Sshd, master: Master, tmp_path: Path) -> None:
    """Its stdin may end at once: only that nobody takes the output any more counts."""
    client = start(sshd, master, tmp_path)
    there = family(master)
    assert client.process.poll() is None
    master.shutdown()
    client.good()
    wait_until(lambda: not there[1].is_running(), HANG)
