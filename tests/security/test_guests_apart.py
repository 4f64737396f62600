"""Guests with different tickets cannot take each other's place; and the end of a ticket."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from msgspec.structs import replace

from integration.crew import Hired
from masterworker import Master, Worker, wire
from masterworker.cli import exit_codes
from masterworker.core.task import FAILURE, RESULT, Outcome
from masterworker.data import record
from masterworker.data.outcome import open_finished
from masterworker.data.pickling import dumps_call
from masterworker.errors import CredentialError, NotAllowedError
from masterworker.launch import scoreboard
from masterworker.launch.process_context import ProcessContext
from masterworker.launch.slot import Reason, reason_of
from masterworker.manager import Service
from masterworker.master import engine_of
from masterworker.security import credentials, ticket
from masterworker.security.peer import OWNER, Peer
from masterworker.testing import MemoryConnection
from masterworker.transport.pyro.connection import connect
from security.attackers import HOST, Target
from security.visitors import GUEST, OTHER, Hand, Job, ending, in_full_swing, refused, supervised
from support import HANG, packed, python_script, start_script, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

FORGED = record.Failure("ValueError", "forged", "", b"").encode()


# -- names -------------------------------------------------------------------------------------


def test_who_knows_a_supervisors_name_still_needs_its_ticket(job: Job) -> None:
    """He ends no worker, settles no task, gives no signs of life, and hears no orders."""
    victim, supervisor, name = supervised(job)
    job.hire(OWNER).client.request("a", [b"1"])
    lease = victim.fetch()
    supervisor.attend(name, [victim.id], [], 0.0)
    forged = ending(victim.id, lease.task_id, outcome=(FAILURE, FORGED))
    for peer in (OTHER, GUEST._replace(serial="")):
        attacker = job.client(peer)
        refused(
            job,
            lambda a=attacker: a.attend(name, [], [forged], 0.0),
            lambda a=attacker: a.attend(name, [victim.id], [], 0.0),
        )
        listener = job.client(peer)
        job.manager.cancel([lease.task_id])
        assert listener.attend(name, [], [], 0.0) == []
    assert supervisor.attend(name, [], [], 0.0) == [(wire.CANCEL, victim.id, lease.task_id)]


def test_who_knows_a_clients_name_still_needs_its_ticket(job: Job) -> None:
    """It is a name of his own to him: no task, no membership, and no reply of the other one."""
    _, honest, _, lease = in_full_swing(job)
    state = honest.client.put_state({"s": b"v"})
    number = honest.client._caller.number
    thief = job.client(OTHER)
    hello = wire.introduce("pid 2 on there (x)", ["a"], None, honest.client.name)
    own = thief.join(hello).member_id
    assert own != honest.id
    assert honest.id in job.manager.core.members  # it was not displaced
    refused(job, lambda: thief.ping(honest.id), lambda: thief.leave(honest.id))
    done = Outcome(lease.task_id, lease.attempt, RESULT, [b"forged"])
    assert thief.exchange(wire.Exchange(own, [done])).refused == [lease.task_id]
    assert thief.call("put_state", honest.client.name, number, {"z": b"1"}) != state
    thief.call("forgo", honest.client.name, number)
    assert honest.report(lease) == []


def test_the_same_ticket_comes_back_under_its_name(job: Job) -> None:
    boss, honest = job.hire(OWNER), job.hire()
    boss.client.request("a", [b"1"])
    lease = honest.fetch()
    honest.client.disconnect()
    assert job.hire(client=honest.client).report(lease) == []


def test_a_certificate_has_a_number_and_an_end() -> None:
    """As the gate tells them to whoever makes the service."""
    with Target() as target:
        made = [_issue(target) for _ in range(2)]
        for each in (*made, made[0]):
            target.client(each.credential).census()
        first, second, again = target.opened
    assert first.serial == again.serial != second.serial
    assert len(first.serial) > 10
    assert [p.expires for p in (first, second)] == [m.expires for m in made]


def _issue(target: Target, valid: dt.timedelta = dt.timedelta(hours=1)) -> ticket.Ticket:
    places = [(HOST, target.port)]
    return ticket.issue(target.label, target.manager.instance, places, valid=valid)


def test_over_a_real_line() -> None:
    """Two tickets, one job, and the name that the other one has seen."""
    with Target() as target:
        honest, attacker = (target.client(_issue(target).credential) for _ in range(2))
        hello = wire.introduce("pid 4711 on host (x)", None, 5.0, honest.name, "", "NAME")
        member = honest.join(hello).member_id
        first = target.manager.request("work", [b"p"])
        honest.exchange(wire.Exchange(member, want=1))
        told = wire.Ending(member, "pid 4711 on host (x)", first, "x", True, "", (FAILURE, FORGED))
        with pytest.raises(NotAllowedError, match="has not joined with this supervisor"):
            attacker.attend("NAME", [], [told], 0.0)
        assert member in target.manager.core.members
        assert target.manager.core.results.count == 0


# -- command lines -----------------------------------------------------------------------------


def _seen(name: str) -> list[str]:
    """Where a name stands in what other users of this machine can read, or children inherit."""
    found = []
    for process in psutil.process_iter():
        for what in ("cmdline", "environ", "comm"):
            try:
                content = Path(f"/proc/{process.pid}/{what}").read_bytes()
            except OSError:
                continue
            if name.encode() in content:
                found.append(f"{what}: {content!r}")
    return found


def test_no_command_line_tells_the_name_of_a_supervisor(tmp_path: Path) -> None:
    """Of workers that were launched or came by a ticket, and of a plain slave and its sidecar."""
    with Master(unique_label("names")) as master:
        master.launch_workers(1)
        path = tmp_path / "ticket"
        path.touch(0o600)
        path.write_text(master.ticket())
        words = [sys.executable, "-m", "masterworker.cli", "worker", "--ticket", str(path)]
        program = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        script = start_script(python_script(tmp_path, "slave.py", _SLAVE), master.label)
        core = engine_of(master).manager.core
        wait_until(
            lambda: sum(m.supervised for m in list(core.members.values())) == 3,
            what="three supervisors vouch for a worker each",
        )
        names = {m.supervisor.rpartition(" ")[2] for m in core.members.values()} - {""}
        assert len(names) == 3
        for name in names:
            assert not _seen(name)
        assert master.submit(os.getpid).result(HANG)
    assert script.wait() == program.wait(HANG) == 0


_SLAVE = """
    import sys
    from masterworker import Worker
    Worker(sys.argv[1], handlers={"nothing": print}).run()
"""


def test_a_slot_tells_its_worker_who_supervises_it() -> None:
    fd, numbers = scoreboard.create("somebody")
    inherited = os.dup(fd)
    numbers[scoreboard.OVER] = 1
    name, seen = scoreboard.attach(inherited)
    assert (name, seen[scoreboard.OVER]) == ("somebody", 1)
    with pytest.raises(OSError):  # it is closed: nothing that the worker starts inherits it
        os.fstat(inherited)
    os.close(fd)
    with pytest.raises(OSError):
        ProcessContext().supervised_by(fd)


# -- a connection that ends --------------------------------------------------------------------


class _Slow:
    """In place of `GuestOperations._process`: its reader waits for another one, if one comes."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(2)
        self._kept: object = None

    def __get__(self, one: object, owner: type) -> object:
        found = self._kept
        with contextlib.suppress(threading.BrokenBarrierError):
            self._barrier.wait(0.3)
        return found

    def __set__(self, one: object, value: object) -> None:
        self._kept = value


def test_a_connection_ends_once(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads may find out. The process has another one, so it is not forgotten."""
    honest, service = job.hire(), Service(job.manager, GUEST)
    assert service.call("instance", packed([honest.client.name]))[0]
    process = job.manager.guests.process_of(honest.id)
    assert process is not None
    assert process.connections == 2
    operations: Any = service._front
    monkeypatch.setattr(type(operations), "_process", _Slow(), raising=False)
    operations._process = process
    threads = [threading.Thread(target=service.closed) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
    assert process.connections == 1


def test_a_call_that_comes_after_the_end_changes_nothing(job: Job) -> None:
    """A thread may still be in a call when another one has found that the line is gone."""
    honest, service = job.hire(), Service(job.manager, GUEST)
    service.closed()
    good, (kind, _) = service.call("instance", packed([honest.client.name]))
    assert not good
    assert kind == "NotRegisteredError"
    process = job.manager.guests.process_of(honest.id)
    assert process is not None
    assert process.connections == 1


# -- the end of a ticket -----------------------------------------------------------------------


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def set_clock(seconds: float) -> None:
        monkeypatch.setattr(credentials, "clock", lambda: seconds)

    return set_clock


def test_an_expired_ticket_brings_no_more_tasks(
    job: Job, set_clock: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    """What it has in hand it may finish; then it is told to leave, and the log is told once."""
    set_clock(999.0)
    boss, honest = job.hire(OWNER), job.hire(GUEST._replace(expires=1000.0))
    boss.client.request("a", [b"1", b"2", b"3"])
    lease = honest.fetch()
    set_clock(1000.5)
    assert (
        honest.client.exchange(wire.Exchange(honest.id)).orders == []
    )  # a sign of life, and no end yet
    done = Outcome(lease.task_id, lease.attempt, RESULT, [b"r"])
    for outcomes in ([done], [], []):
        reply = honest.client.exchange(wire.Exchange(honest.id, outcomes, want=1))
        assert reply.refused == reply.leases == []
        assert [tuple(order) for order in reply.orders] == [(wire.STOP, 1000)]
    assert [r.getMessage() for r in caplog.records].count(
        f"the ticket of worker {honest.id} has expired: it gets no more tasks"
    ) == 1
    assert honest.client.collect(honest.id, lend=wire.ANY)[1] == []
    assert boss.fetch().task_id == 2
    assert boss.client.census().done == 1


def test_nobody_waits_beyond_the_end_of_his_ticket(
    job: Job, set_clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    honest = job.hire(GUEST._replace(expires=1000.0))
    given = job.manager.exchange

    def exchange(asked: wire.Exchange) -> wire.Reply:
        waits.append(asked.wait)
        return given(replace(asked, wait=0.0))

    monkeypatch.setattr(job.manager, "exchange", exchange)
    for now in (900.0, 998.0, 1001.0):
        set_clock(now)
        honest.client.exchange(wire.Exchange(honest.id, want=1, wait=5.0))
    assert waits == [5.0, 2.0, 0.0]


@pytest.mark.parametrize("peer", [OWNER, GUEST, OWNER._replace(expires=1.0)])
def test_who_has_no_ticket_or_one_without_an_end_works_on(job: Job, peer: Peer) -> None:
    """The user's own certificates are renewed, and his connections last."""
    worker: Hand = job.hire(peer)
    job.hire(OWNER).client.request("a", [b"1"])
    assert worker.report(worker.fetch()) == []


def test_a_real_worker_leaves_when_its_ticket_has_expired(
    job: Job, set_clock: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    """It delivers what it has in hand, and says why it goes."""
    set_clock(0.0)

    def work(x: int) -> int:
        set_clock(2000.0)
        return x

    boss, peer = job.hire(OWNER, tags=[], heartbeat=None), GUEST._replace(expires=1000.0)
    hired = Hired(
        Worker(
            "any",
            handlers={"work": work},
            connect=lambda: MemoryConnection(Service(job.manager, peer)),
        )
    )
    boss.client.request("work", [dumps_call("work", (i,)) for i in range(2)])
    hired.join()
    assert hired.error is None
    (finished,), _ = boss.client.collect(boss.id)
    assert open_finished(finished)[2] == 0
    census = boss.client.census()
    assert len(census.processes) == 1
    assert census.waiting == {"work": 1}
    assert "the ticket of this worker was valid until" in caplog.text


def test_a_short_ticket() -> None:
    """Over a real line, with real clocks."""
    with Target() as target:
        made = _issue(target, dt.timedelta(seconds=3))
        client = target.client(made.credential)
        hello = wire.introduce("pid 1 on there (x)", None, None, client.name)
        member = client.join(hello).member_id
        reply = wait_until(
            lambda: (r := client.exchange(wire.Exchange(member, want=1, wait=5.0))).orders and r,
            what="the ticket has expired",
        )
        assert [tuple(order) for order in reply.orders] == [(wire.STOP, int(made.expires))]
        target.manager.request("work", [b"p"])
        assert not client.exchange(wire.Exchange(member, want=1)).leases
        with pytest.raises(CredentialError):
            connect(target.address, target.label, HANG, lambda: made.credential).call("census")


def test_a_worker_whose_ticket_is_not_accepted_is_not_replaced_at_once() -> None:
    """Its status had the number of one that is to be: hundreds were started for nothing."""
    status = [value for name, value in vars(exit_codes).items() if name.isupper()]
    assert len(set(status)) == len(status)
    assert reason_of(exit_codes.NOT_TRUSTED, worked=False) is Reason.FAILED
