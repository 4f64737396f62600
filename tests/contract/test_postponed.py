"""Replies that are sent by the thread that has something to say, whatever the transport."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from contract.nets import Background, PyroNet
from masterworker import wire
from masterworker.core.task import RESULT, Outcome
from masterworker.data.segment import Segment
from masterworker.errors import Terminated, TransportError
from masterworker.manager import Mailbox, Manager
from masterworker.master.asking import Submission
from masterworker.master.needs import Needs
from masterworker.master.results import ResultRouter
from masterworker.master.submission import Submitter
from masterworker.master.waiting import Waiting
from masterworker.streams.seeds import SeedBook
from masterworker.transport.pyro import messages
from masterworker.transport.pyro.connection import PyroConnection
from masterworker.transport.pyro.link import STALL, Link
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.nets import Net, Peer

#: More than any socket takes at once (bytes).
LARGE = 8 << 20


@pytest.fixture(params=["unix", "tcp"])
def net(request: pytest.FixtureRequest) -> Iterator[Net]:
    made = PyroNet(request.param)
    yield made
    made.close()


def _submitter(manager: Manager) -> tuple[Submitter, ResultRouter]:
    """What asks a manager for calls, and where their outcomes are to arrive."""
    router = ResultRouter(manager, Waiting(manager))
    return Submitter(Submission(manager, router, Needs(manager), SeedBook(manager.streams))), router


def _waiting(net: Net, worker: Peer, number: int = 1) -> Background:
    """Let a worker wait for work."""
    call = Background(
        lambda: worker.client.exchange(wire.Exchange(worker.id, want=1, wait=wire.LONGEST_WAIT))
    )
    wait_until(lambda: len(list(net.manager.core.waiting.claims)) == number)
    return call


def _payloads(call: Background) -> list[bytes]:
    return [lease.payload for lease in call.result().leases]


def test_who_asks_for_a_task_sends_it_when_the_lock_is_free(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other thread is woken on the way; and nothing is sent while others wait for the lock."""
    call = _waiting(net, net.join(["a"]))
    keeper = net.manager._timekeeper
    keeper.stop()  # else it might come in between
    wait_until(lambda: keeper._thread is None or not keeper._thread.is_alive())
    send, seen = Link.send_at_once, []

    def sent(link: Link, data: bytes) -> None:
        seen.append((threading.current_thread(), net.manager.guard.is_free()))
        send(link, data)

    monkeypatch.setattr(Link, "send_at_once", sent)
    net.manager.request("a", [b"x"])
    assert seen == [(threading.current_thread(), True)]
    assert _payloads(call) == [b"x"]


@pytest.mark.parametrize("beside", [False, True])
def test_nobody_waits_for_a_worker_that_does_not_read(net: Net, *, beside: bool) -> None:
    """What its socket does not take is sent by a thread of its own, and arrives whole."""
    worker = net.join(["a"])
    connection = worker.client._connection
    assert isinstance(connection, PyroConnection)
    link = connection._link
    exchange = ("exchange", (worker.id, [], [], 0, 1, wire.LONGEST_WAIT, None))
    messages.send(link, messages.REQUEST, 7, (connection._object, "call", exchange, {}))
    wait_until(lambda: list(net.manager.core.waiting.claims))

    payload = os.urandom(LARGE)
    given = Segment.of([payload]) if beside else payload
    asked = Background(lambda: net.manager.request("a", [given]))
    asked.join(STALL / 2)  # before a send that waits would have been given up
    assert net.manager.ping(worker.id)

    answer = messages.receive(link, messages.REPLY)
    good, reply = messages.read_reply("exchange", answer.body, answer.enclosed)
    assert (good, answer.number) == (True, 7)
    found = reply.leases[0].payload
    assert (found.open(writable=False) if beside else found) == payload


def test_a_reply_that_cannot_be_sent_is_a_lost_worker(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its task goes to the next one."""
    worker, other = net.join(["a"]), net.join(["a"])
    call = _waiting(net, worker)

    def fails(link: Link, data: bytes) -> None:
        raise TransportError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(Link, "send_at_once", fails)
        net.manager.request("a", [b"x"])
    with pytest.raises(TransportError):
        call.result()
    wait_until(lambda: not net.manager.ping(worker.id), what="it is lost")
    assert [lease.payload for lease in other.fetch()] == [b"x"]
    net.manager.check()


@pytest.mark.parametrize("beside", [False, True])
def test_a_fork_of_the_master_does_not_speak_to_its_workers(net: Net, *, beside: bool) -> None:
    """It has inherited the sockets, and knows who waits."""
    call = _waiting(net, net.join(["a"]))
    with net.manager.guard:  # nobody else holds it at this moment
        pid = os.fork()
        if not pid:
            signal.alarm(10)
    if not pid:
        with contextlib.suppress(Terminated):
            net.manager.request("a", [Segment.of([b"of the fork"]) if beside else b"of the fork"])
        for thread in threading.enumerate():
            if thread.name == "masterworker-sending":
                thread.join()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    net.manager.request("a", [b"of the master"])
    assert _payloads(call) == [b"of the master"]


def test_who_does_not_wait_for_its_reply_is_cut_off(net: Net) -> None:
    """Two threads must never write to one connection."""
    worker = net.join(["a"])
    connection: Any = worker.client._connection
    exchange = ("exchange", (worker.id, [], [], 0, 1, wire.LONGEST_WAIT, None))
    for number in (1, 2):
        request = (connection._object, "call", exchange, {})
        messages.send(connection._link, messages.REQUEST, number, request)
    with pytest.raises(TransportError, match=r"closed|lost"):
        messages.receive(connection._link, messages.REPLY)
    wait_until(lambda: not net.manager.ping(worker.id), what="it is lost")


def test_only_those_are_woken_whose_outcome_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program with many waiting threads is not woken as a whole for each result."""
    manager = Manager(lambda finished: router.arrive(finished))  # noqa: PLW0108
    requests, router = _submitter(manager)
    worker = manager.join(wire.introduce("worker", ["@"], None, "worker")).member_id
    futures = [requests.submit(abs, -number) for number in range(5)]
    calls = [Background(future.exception) for future in futures]
    wait_until(lambda: len(router.sleepers) == 5)
    ring, rung = Mailbox.ring, []
    monkeypatch.setattr(Mailbox, "ring", lambda box: (rung.append(box), ring(box)))
    leases = manager.exchange(wire.Exchange(worker, want=1)).leases
    for number in range(1, 6):
        done = [Outcome(lease.task_id, lease.attempt, RESULT, [b"\x80\x04N."]) for lease in leases]
        leases = manager.exchange(wire.Exchange(worker, done, want=1)).leases
        calls[number - 1].join()
        assert len(rung) == number
        assert sum(call.running for call in calls) == 5 - number


def test_of_a_burst_only_the_first_task_is_sent_by_who_asks(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each would be sent alone; the others go together, or when whoever asked waits."""
    requests, _ = _submitter(net.manager)
    calls = [_waiting(net, net.join(["@"]), number) for number in (1, 2, 3)]
    send, seen = Link.send_at_once, []

    def sent(link: Link, data: bytes) -> None:
        seen.append(threading.current_thread().name)
        send(link, data)

    monkeypatch.setattr(Link, "send_at_once", sent)
    me = threading.current_thread().name
    for number in (1, 2):
        requests.submit(abs, number)
        calls.pop().join()  # the newest idle one is served first
    assert seen == [me, "masterworker-timekeeper"]

    net.manager._timekeeper.stop()
    future = requests.submit(abs, 3)
    with pytest.raises(TimeoutError):
        future.result(0.0)
    calls.pop().join()
    assert seen[2:] == [me]
