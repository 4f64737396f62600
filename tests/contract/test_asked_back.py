"""Tasks that are asked back: cancelled if they have not begun, and their caller knows in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.nets import Background
from masterworker import wire
from masterworker.core.task import CANCELLED
from support import wait_until

if TYPE_CHECKING:
    import pytest

    from contract.nets import Net, Peer


def _asked(net: Net, worker: Peer) -> list[tuple[str, int]]:
    """Return the orders for a worker as soon as there are some."""
    wait_until(lambda: net.manager.machine.orders.waiting_for(worker.id))
    return worker.client.exchange(wire.Exchange(worker.id)).orders


def test_what_waits_is_cancelled_at_once(net: Net) -> None:
    """No worker is asked."""
    worker, client = net.join(["a"]), net.join([])
    ids = [client.client.request("a", [b"x"]) for _ in range(2)]
    assert net.manager.revoke(ids[1:]) == ids[1:]
    assert net.manager.revoke(ids[1:]) == []
    assert worker.ids(want=5) == ids[:1]
    assert [each.kind for each in client.collect(want=5)] == [CANCELLED]


def test_what_has_not_begun_is_given_back_and_never_handed_out_again(net: Net) -> None:
    """The worker says which that is."""
    worker, client = net.join(["a"]), net.join([])
    first = client.client.request("a", [b"x"] * 3)
    ids = [first, first + 1, first + 2]
    assert [worker.ids() for _ in ids] == [[each] for each in ids]
    waiting = Background(lambda: net.manager.revoke(ids))
    assert _asked(net, worker) == [(wire.REVOKE, each) for each in ids]
    worker.client.exchange(wire.Exchange(worker.id, returned=ids[1:], started=first))
    assert waiting.result() == ids[1:]
    assert worker.ids(want=5) == []
    assert net.manager.is_running([first])
    assert not net.manager.is_running(ids[1:])
    assert net.manager.revoke([first]) == []


def test_a_worker_that_does_not_answer_is_not_waited_for(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task goes on; what is given back later goes to the next worker."""
    monkeypatch.setattr("masterworker.manager.cancelling.REVOKE_SECONDS", 0.01)
    worker, client = net.join(["a"]), net.join([])
    task = client.client.request("a", [b"x"])
    assert worker.ids() == [task]
    assert net.manager.revoke([task]) == []
    assert _asked(net, worker) == [(wire.REVOKE, task)]
    worker.client.exchange(wire.Exchange(worker.id, returned=[task]))
    assert net.join(["a"]).ids() == [task]


def test_a_worker_that_is_lost_meanwhile_cannot_begin(net: Net) -> None:
    """What it had is cancelled."""
    worker, client = net.join(["a"]), net.join([])
    task = client.client.request("a", [b"x"])
    assert worker.ids() == [task]
    waiting = Background(lambda: net.manager.revoke([task]))
    wait_until(lambda: net.manager.machine.orders.waiting_for(worker.id))
    net.manager.lost(worker.id, "it is gone")
    assert waiting.result() == [task]
    assert net.join(["a"]).ids() == []


def test_two_callers_that_ask_are_both_told(net: Net) -> None:
    """Of what is done meanwhile neither."""
    worker, client = net.join(["a"]), net.join([])
    first = client.client.request("a", [b"x"] * 2)
    leases = worker.fetch(want=1)
    rest = worker.ids(want=1)
    assert rest == [first + 1]
    waiting = [Background(lambda: net.manager.revoke([first, first + 1])) for _ in range(2)]
    wait_until(lambda: len(net.manager.machine.revoking.waiters()) == 2)
    worker.report(leases[0])
    worker.client.exchange(wire.Exchange(worker.id, returned=[first + 1]))
    assert [each.result() for each in waiting] == [[first + 1]] * 2


def test_the_end_of_the_job_is_the_end_of_the_wait(net: Net) -> None:
    """Without an answer."""
    worker, client = net.join(["a"]), net.join([])
    task = client.client.request("a", [b"x"])
    assert worker.ids() == [task]
    waiting = Background(lambda: net.manager.revoke([task]))
    wait_until(lambda: net.manager.machine.revoking.is_open)
    net.manager.terminate()
    assert waiting.result() == []
