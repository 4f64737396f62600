"""Outcomes and orders are deferred replies, too: no thread waits for them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from contract.nets import Background, PyroNet
from masterworker import wire
from masterworker.core.task import RESULT, Outcome
from masterworker.errors import Terminated, TransportError
from masterworker.manager import Mailbox
from masterworker.transport.pyro.link import Link
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.nets import Net, Peer


@pytest.fixture(params=["unix", "tcp"])
def net(request: pytest.FixtureRequest) -> Iterator[Net]:
    made = PyroNet(request.param)
    yield made
    made.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, net: Net) -> list[tuple[threading.Thread, bool]]:
    """Which thread has sent a deferred reply, and whether the lock was free."""
    send, seen = Link.send_at_once, []

    def noted(link: Link, data: bytes) -> None:
        seen.append((threading.current_thread(), net.manager.guard.is_free()))
        send(link, data)

    monkeypatch.setattr(Link, "send_at_once", noted)
    return seen


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[Mailbox]:
    """The mailboxes at which a thread of a connection has waited."""
    wait, seen = Mailbox.wait, []

    def noted(box: Mailbox, *seconds: Any) -> Any:
        if threading.current_thread().name != "masterworker-timekeeper":
            seen.append(box)
        return wait(box, *seconds)

    monkeypatch.setattr(Mailbox, "wait", noted)
    return seen


def _collecting(net: Net, peer: Peer, **more: Any) -> Background:
    """Let a process wait for an outcome."""
    call = Background(lambda: peer.client.collect(peer.id, wait=wire.LONGEST_WAIT, **more))
    wait_until(lambda: list(net.manager.core.results.claims))
    return call


def _attending(net: Net, client: Any, name: str) -> Background:
    """Let a supervisor wait for orders."""
    call = Background(lambda: client.attend(name, [], [], wire.LONGEST_WAIT))
    wait_until(net.manager.machine.supervision.waiters)
    return call


def _done(lease: Any) -> list[Outcome]:
    return [Outcome(lease.task_id, lease.attempt, RESULT, [b"done"])]


def test_an_outcome_is_sent_by_the_thread_that_brings_it(
    net: Net, sent: list[Any], slept: list[Mailbox]
) -> None:
    """When the lock is free."""
    collector = net.join([])
    worker = net.manager.join(wire.introduce("worker", ["a"], None, "worker")).member_id
    net.manager.request("a", [b""])
    (lease,) = net.manager.exchange(wire.Exchange(worker, want=1)).leases
    call = _collecting(net, collector)
    net.manager.exchange(wire.Exchange(worker, _done(lease)))
    # What the collector acknowledges then is answered by another thread, perhaps by now.
    assert sent[0] == (threading.current_thread(), True)
    finished, leases = call.result()
    assert [outcome.payload for outcome in finished] == [b"done"]
    assert not leases
    assert not slept
    net.manager.check()


def test_an_order_is_sent_by_the_thread_that_gives_it(
    net: Net, sent: list[Any], slept: list[Mailbox]
) -> None:
    """To the supervisor of the worker that executes a cancelled task."""
    client = net.client()
    call = _attending(net, client, "supervisor")
    hello = wire.introduce("worker", ["a"], None, "worker")
    hello = replace(hello, supervisor="supervisor")
    worker = net.manager.join(hello).member_id
    first = net.manager.request("a", [b""])
    net.manager.exchange(wire.Exchange(worker, want=1))
    net.manager.cancel([first])
    assert sent == [(threading.current_thread(), True)]
    assert [tuple(order) for order in call.result()] == [(wire.CANCEL, worker, first)]
    assert not slept


def test_the_end_of_a_job_is_an_error_for_one_and_an_order_for_the_other(net: Net) -> None:
    """A caller that waits for an outcome learns that none will come."""
    collecting = _collecting(net, net.join([]))
    attending = _attending(net, net.client(), "supervisor")
    net.manager.terminate()
    with pytest.raises(Terminated):
        collecting.result()
    assert [tuple(order) for order in attending.result()] == [(wire.STOP, 0, 0)]


def test_a_wait_ends_when_its_time_is_up(net: Net) -> None:
    """With nothing."""
    peer = net.join([])
    assert peer.client.collect(peer.id, wait=0.05) == ([], [])
    assert peer.client.attend("supervisor", [], [], 0.05) == []
    assert not net.manager.machine.supervision.waiters()
    net.manager.check()


def test_a_worker_whose_task_waits_comes_for_an_order_at_once(net: Net) -> None:
    """It forgets a state while it waits, long before its time is up."""
    worker = net.join(["a"])
    state = worker.client.put_state({"x": b"1"})
    call = _collecting(net, worker)
    net.manager.drop_state(state)
    assert call.result() == ([], [])
    orders = worker.client.exchange(wire.Exchange(worker.id)).orders
    assert [tuple(order) for order in orders] == [(wire.FORGET, state)]


def test_an_outcome_for_a_collector_that_has_gone_goes_to_another(net: Net) -> None:
    """Its connection ends while it waits; the outcome comes then."""
    net.manager.machine.calls.comes_back_within = 0.1
    collector, other, worker = net.join([]), net.join([]), net.join(["a"])
    wired = net.connect()
    asked = ("collect", "me", 1, collector.id, None, 1, wire.LONGEST_WAIT, 0)
    call = Background(lambda: wired.call(*asked))
    wait_until(lambda: list(net.manager.core.results.claims))
    wired.close()
    with pytest.raises(TransportError):
        call.result()
    worker.client.request("a", [b""])
    worker.report(worker.fetch()[0])
    assert [done.payload for done in other.collect(wait=wire.LONGEST_WAIT)] == [b"done"]
    net.manager.check()
