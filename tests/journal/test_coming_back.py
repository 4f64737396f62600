"""Workers that outlive their master, and come back to its next run with what they have finished."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from contract.relay import Relay
from journal import files
from journal.returns import Rig
from masterworker import Master
from masterworker.cli.exit_codes import MASTER_GONE
from masterworker.errors import NotTrustedError
from masterworker.journal.records import Began, Listens, Waits
from masterworker.master.master import engine_of
from masterworker.security import ticket
from masterworker.transport.address import Address
from masterworker.transport.pyro.connection import connect
from support import HANG, unique_label, wait_until, workers_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


ALL = os.environ.get("MASTERWORKER_FAULTS") == "all"
KEPT, OTHER = '{"journal": "job.journal"}', '{"journal": "other.journal"}'
KILLS, TASKS = (10, 1000) if ALL else (3, 200)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A job, whose workers are ended."""
    made = Rig(tmp_path, TASKS)
    yield made
    made.end()


#: How the two workers are started.
WAYS = {
    "one supervisor": lambda rig: rig.worker(rig.label, "--wait", number=2),
    "two supervisors": lambda rig: [rig.worker(rig.label, "--wait") for _ in range(2)],
    "plain programs": lambda rig: [rig.plain_worker() for _ in range(2)],
    "with a ticket": lambda rig: rig.worker("--ticket", "ticket", "--wait", number=2),
    "two with a ticket": lambda rig: [rig.worker("--ticket", "ticket", "--wait") for _ in range(2)],
}


@pytest.mark.timeout(3600 if ALL else 600)
@pytest.mark.parametrize("start", WAYS)
@pytest.mark.parametrize("way", ["map", "submit"])
def test_what_workers_have_finished_is_not_executed_again(rig: Rig, way: str, start: str) -> None:
    """The master is killed at random moments; its workers live on."""
    rng = random.Random(way + start)
    rig.way = way
    master = rig.master()
    master.says("begun")
    WAYS[start](rig)
    rig.until_all_work(2, master)
    for _ in range(KILLS):
        rig.until_executed(rig.executed().total() + rng.randrange(1, TASKS // KILLS), master)
        rig.kill(master)
        master = rig.master()
    assert master.wait(8 * HANG) == 0, master.told + rig.workers_said()
    rig.check()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("start", ["two supervisors", "with a ticket"])
def test_large_results(rig: Rig, start: str) -> None:
    """They are held by workers, and kept in files of their own."""
    rig.size, rig.number = 300_000, 60
    master = rig.master()
    master.says("begun")
    WAYS[start](rig)
    rig.until_all_work(2, master)
    rig.until_executed(20, master)
    rig.kill(master)
    master = rig.master()
    assert master.wait(8 * HANG) == 0, master.told + rig.workers_said()
    rig.check()


@pytest.mark.timeout(400)
def test_a_master_that_never_comes_back(rig: Rig) -> None:
    """Workers and their supervisor end when they have looked for as long as they should."""
    master = rig.master()
    master.says("begun")
    rig.worker(rig.label, number=2, patience=3.0)
    rig.until_executed(10, master)
    rig.kill(master)
    assert rig.workers[0].wait(2 * HANG) == MASTER_GONE, rig.workers_said()
    assert "the master is gone" in rig.workers_said()


@pytest.mark.timeout(400)
def test_a_worker_ends_while_its_master_is_away(rig: Rig) -> None:
    """The supervisor replaces it when the master is back."""
    master = rig.master()
    master.says("begun")
    rig.worker(rig.label)
    rig.until_executed(10, master)
    (worker,) = workers_of(rig.workers[0].pid)
    rig.kill(master)
    worker.kill()
    wait_until(lambda: not workers_of(rig.workers[0].pid), HANG)
    master = rig.master()
    assert master.wait(4 * HANG) == 0, master.told + rig.workers_said()
    assert sorted(rig.told()) == list(range(rig.number))
    assert rig.workers[0].wait(HANG) == 0, rig.workers_said()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("journals", [("{}", "{}"), (KEPT, "{}"), (KEPT, OTHER)])
def test_another_job_takes_nothing_of_the_one_before(rig: Rig, journals: tuple[str, str]) -> None:
    """The same label, and no journal or another one: each task is executed for it."""
    rig.journal, second = journals
    master = rig.master()
    master.says("begun")
    rig.worker(rig.label, number=2)
    rig.until_executed(20, master)
    rig.kill(master)
    (rig.folder / "told").unlink(missing_ok=True)
    rig.journal, rig.log = second, "executed by the second"
    master = rig.master()
    assert master.wait(4 * HANG) == 0, master.told + rig.workers_said()
    assert sorted(rig.told()) == list(range(rig.number))
    assert rig.executed() == dict.fromkeys(range(rig.number), 1)
    assert rig.workers[0].wait(HANG) == 0, rig.workers_said()


def test_a_ticket_is_good_for_all_runs_of_a_job(tmp_path: Path) -> None:
    """Where it has a journal; but for those of workers that end with their master."""
    label, path = unique_label(), tmp_path / "job.journal"
    with Master(label, journal=path) as master:
        endpoint = engine_of(master).endpoint
        assert endpoint is not None
        texts = master.ticket(), endpoint.ticket("1h", "worker", one_run=True)
        place = endpoint.address
    good, of_one_run = map(ticket.parse, texts)
    address = Address(place.host, place.port)
    with Master(label, journal=path):  # at the same port
        connect(address, label, credential=lambda: good.credential).close()
        with pytest.raises(NotTrustedError, match="an earlier run"):
            connect(address, label, credential=lambda: of_one_run.credential)
    with (
        Master(label, journal=tmp_path / "other.journal", ports=[place.port]),
        pytest.raises(NotTrustedError, match="another job"),
    ):
        connect(address, label, credential=lambda: good.credential)


def test_a_worker_that_was_cut_off_hears_that_the_job_has_ended(tmp_path: Path) -> None:
    """By the word that the master leaves on this machine: it does not look for it for minutes."""
    file = tmp_path / "ticket"
    with Master(unique_label(), journal=tmp_path / "job.journal") as master:
        endpoint = engine_of(master).endpoint
        assert endpoint is not None
        with os.fdopen(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600), "w") as out:
            out.write(master.ticket())
        relay = Relay(Address(endpoint.address.host, endpoint.address.port))
        words = ["--ticket", str(file), "--master", f"127.0.0.1:{relay.address.port}", "--wait"]
        command = [sys.executable, "-m", "masterworker.cli", "worker", *words]
        worker = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert master.submit(abs, -1).result(2 * HANG) == 1
        relay.close()
    try:
        said = worker.communicate(timeout=2 * HANG)[1]
    finally:
        worker.kill()
    assert worker.returncode == 0, said


@pytest.mark.parametrize(("client", "says"), [("guest A1 name", True), ("name", False)])
def test_a_port_that_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, client: str, says: bool
) -> None:
    """Workers with tickets know no other one, and the log says so."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        began = Began(1.0, "here", 7, "program.py", {}, "one")
        files.write(tmp_path / "job", [[began, Listens(taken), Waits(client, True)]])
        with Master(unique_label(), journal=tmp_path / "job", host="127.0.0.1"):
            pass
    assert ("workers with one cannot come back (1)" in caplog.text) == says
