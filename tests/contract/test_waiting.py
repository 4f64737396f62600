"""Waiting for work and for outcomes: bounded, and woken for one's own only."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from contract.nets import Background
from masterworker import wire
from masterworker.manager import Mailbox, outbox
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.nets import Net, Peer

#: Stands for "for ever": a wait that is longer than any test (seconds).
FOREVER = 1e9


def _idle(net: Net) -> int:
    return len(list(net.manager.core.waiting.claims)) + len(list(net.manager.core.results.claims))


def test_a_waiting_worker_gets_work_as_soon_as_there_is_some(net: Net) -> None:
    """A long poll returns when work arrives, long before its time."""
    worker, client = net.join(["a"]), net.join([])
    waiting = Background(
        lambda: worker.client.exchange(wire.Exchange(worker.id, want=3, wait=FOREVER))
    )
    wait_until(lambda: _idle(net) == 1)

    began = time.monotonic()
    client.client.request("a", [b"x"])
    reply = waiting.result()

    assert time.monotonic() - began < wire.LONGEST_WAIT / 2
    assert [lease.payload for lease in reply.leases] == [b"x"]
    assert 0.0 <= reply.waited < wire.LONGEST_WAIT


def test_a_waiting_collector_gets_the_outcome_as_soon_as_it_is_there(net: Net) -> None:
    """The same for outcomes; of its own tag only."""
    worker, client = net.join(None), net.join([])
    client.client.request("a", [b""])
    client.client.request("b", [b""])
    waiting = Background(lambda: client.collect(wait=FOREVER, tag="b"))
    wait_until(lambda: _idle(net) == 1)

    worker.report(worker.fetch(tag="a")[0])
    assert waiting.running
    worker.report(worker.fetch(tag="b")[0])

    assert [f.tag for f in waiting.result()] == ["b"]


def test_work_that_comes_back_wakes_a_waiting_worker(net: Net) -> None:
    """Also what was given back, and what a lost worker had."""
    first, second = net.join(["a"]), net.join(["a"])
    first.client.request("a", [b""])
    assert first.ids() == [1]
    waiting = Background(lambda: second.ids(wait=FOREVER))
    wait_until(lambda: _idle(net) == 1)
    first.client.exchange(wire.Exchange(first.id, returned=[1]))
    assert waiting.result() == [1]

    waiting = Background(lambda: first.ids(wait=FOREVER))
    wait_until(lambda: _idle(net) == 1)
    second.client.disconnect()
    assert waiting.result() == [1]


class _Wakeups:
    """Counts how often a caller's bell rings, or a deferred reply is sent.

    The timekeeper has such a bell, too, and is no caller.
    """

    def __init__(self, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self._timekeeper = net.manager._timekeeper._bell
        self._lock = threading.Lock()
        monkeypatch.setattr(Mailbox, "ring", self._counted(Mailbox.ring))
        monkeypatch.setattr(outbox, "send", self._counted(outbox.send))

    def _counted(self, ring: Callable[..., None]) -> Callable[..., None]:
        def counted(box: Any, *reply: Any) -> None:
            if box is not self._timekeeper:
                with self._lock:
                    self.number += 1
            ring(box, *reply)

        return counted


def test_one_task_wakes_one_of_many(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """No herd: n idle workers, one task; one gets it, and the others go on waiting."""
    workers = [net.join(["a"]) for _ in range(20)]
    client = net.join([])

    def wait(worker: Peer) -> Background:
        return Background(lambda: worker.ids(5, wait=FOREVER))

    waiting = [wait(worker) for worker in workers]
    wait_until(lambda: _idle(net) == 20)
    bells = _Wakeups(net, monkeypatch)
    for task in (1, 2, 3):
        client.client.request("a", [b""])
        wait_until(lambda number=20 - task: sum(w.running for w in waiting) == number)
        assert _idle(net) == 20 - task
        assert bells.number == task

    served = sorted(w.result()[0] for w in waiting if not w.running)
    assert served == [1, 2, 3]
    client.client.request("a", [b""] * 17)
    assert sorted(w.result()[0] for w in waiting) == list(range(1, 21))
    assert bells.number == 20


def test_one_outcome_wakes_one_of_many(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same among those who wait for outcomes."""
    worker, collectors = net.join(["a"]), [net.join([]) for _ in range(8)]
    worker.client.request("a", [b""] * 8)

    def wait(peer: Peer) -> Background:
        return Background(lambda: peer.collect(wait=FOREVER))

    waiting = [wait(peer) for peer in collectors]
    wait_until(lambda: _idle(net) == 8)
    bells = _Wakeups(net, monkeypatch)
    worker.report(worker.fetch()[0])

    wait_until(lambda: sum(w.running for w in waiting) == 7)
    assert (_idle(net), bells.number) == (7, 1)
    for _ in range(7):
        worker.report(worker.fetch()[0])
    assert sorted(w.result()[0].task_id for w in waiting) == list(range(1, 9))


@pytest.mark.parametrize("wait", [FOREVER, math.inf, 2.0**62, 0.31])
def test_no_wait_is_longer_than_the_longest(
    net: Net, wait: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked for, a call comes back, with nothing."""
    monkeypatch.setattr(wire, "LONGEST_WAIT", 0.3)
    worker = net.join(["a"])

    began = time.monotonic()
    reply = Background(
        lambda: worker.client.exchange(wire.Exchange(worker.id, want=1, wait=wait))
    ).result(10.0)
    middle = time.monotonic()
    collected = Background(lambda: worker.client.collect(worker.id, None, 1, wait, 1)).result(10.0)

    assert (reply.leases, collected) == ([], ([], []))
    assert middle - began >= 0.29
    assert time.monotonic() - middle >= 0.29
    assert reply.waited == pytest.approx(middle - began, abs=2.0)
    assert _idle(net) == 0


@pytest.mark.parametrize("wait", [0.0, 0, -0.001, -1.0, -1, -math.inf, math.nan])
def test_no_time_to_wait_is_no_wait(net: Net, wait: float) -> None:
    """A wait that is over before it began ends at once, with an answer or a refusal."""
    worker = net.join(["a"])
    wired = net.connect()

    for call in (
        ("exchange", worker.id, [], [], 0, 1, wait, None),
        ("collect", "somebody", 1, worker.id, None, 1, wait, 0),
        ("collect", "somebody", 2, worker.id, None, 1, wait, 1),
    ):
        good, reply = Background(lambda call=call: wired.call(*call)).result(3.0)
        assert good or reply[0] == "UsageError"
        if not good:
            assert not math.isfinite(wait), "a negative rest of time is nothing odd"
    assert _idle(net) == 0
    assert net.manager.ping(worker.id)


def test_orders_do_not_wait(net: Net) -> None:
    """A waiting worker is told at once that the job is over."""
    workers = [net.join(["a"]) for _ in range(5)]
    waiting = [
        Background(lambda w=w: w.client.exchange(wire.Exchange(w.id, want=1, wait=9)))
        for w in workers
    ]
    wait_until(lambda: _idle(net) == 5)

    began = time.monotonic()
    net.client().terminate()
    replies = [w.result() for w in waiting]

    assert time.monotonic() - began < wire.LONGEST_WAIT / 2
    for reply in replies:
        assert [list(order) for order in reply.orders] == [[wire.STOP, 0]]
        assert reply.leases == []
