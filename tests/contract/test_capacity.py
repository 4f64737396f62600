"""Many connections, and large payloads."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from contract.nets import Background
from masterworker import wire
from masterworker.core.task import RESULT, Outcome
from masterworker.data.segment import bytes_of
from support import wait_until

if TYPE_CHECKING:
    from contract.nets import Net
    from masterworker.core.task import Payload

#: More than the 80 that a plain Pyro server has room for.
MANY = 200
#: In bytes.
SIZES = {"nothing": 0, "one byte": 1, "1 MB": 1 << 20, "64 MB": 64 << 20}


def test_many_connections_at_once(net: Net) -> None:
    """All of them wait at the same time, and each gets a task and delivers its outcome."""
    workers = [net.join(["a"]) for _ in range(MANY)]
    client = net.join([])
    waiting = [Background(lambda w=w: w.fetch(wait=60.0)) for w in workers]
    wait_until(lambda: len(list(net.manager.core.waiting.claims)) == MANY)

    first = client.client.request("a", [b"%d" % i for i in range(MANY)])
    leases = [w.result()[0] for w in waiting]
    assert sorted(lease.task_id for lease in leases) == list(range(first, first + MANY))
    for worker, lease in zip(workers, leases, strict=True):
        worker.report(lease, lease.payload)

    finished = client.collect(MANY + 1)
    assert sorted(int(f.payload) for f in finished) == list(range(MANY))
    assert len(client.client.census().processes) == MANY + 1
    for worker in workers:
        worker.client.disconnect()
    wait_until(lambda: len(net.manager.census().processes) == 1, what="all losses are noticed")


@pytest.mark.parametrize("size", SIZES)
def test_payloads_of_any_size_arrive_unchanged(net: Net, size: str) -> None:
    """There and back: as parameters, as results, and as stored data."""
    worker, client = net.join(["a"]), net.join([])
    sent = os.urandom(min(SIZES[size], 1 << 20)) * max(1, SIZES[size] >> 20)
    digest = hashlib.sha256(sent).hexdigest()

    client.client.put("data", "x", sent)
    assert _digest(client.client.get("data", "x")) == digest
    client.client.request("a", [sent])
    lease = worker.fetch()[0]
    assert _digest(lease.payload) == digest
    worker.report(lease, lease.payload)
    assert _digest(client.collect()[0].payload) == digest


def _digest(data: Payload | None) -> str:
    assert data is not None
    return hashlib.sha256(bytes_of(data)).hexdigest()


def test_a_batch_is_limited_by_its_bytes(net: Net) -> None:
    """Many large tasks do not come in one message, however many are wanted."""
    worker = net.join(["a"])
    for _ in range(8):
        worker.client.request("a", [bytes(8 << 20)] * 2)

    leases = worker.fetch(1000)

    assert 1 <= len(leases) <= 3
    reply = worker.client.exchange(
        wire.Exchange(
            worker.id,
            [Outcome(lease.task_id, lease.attempt, RESULT, [lease.payload]) for lease in leases],
        )
    )
    assert reply.refused == []


def test_a_batch_of_many_small_tasks(net: Net) -> None:
    """Five thousand in one call each way."""
    worker, client = net.join(["a"]), net.join([])
    client.client.request("a", [b"%d" % i for i in range(10_000)])
    leases = worker.fetch(5_000)
    assert len(leases) == 5_000

    worker.client.exchange(
        wire.Exchange(
            worker.id, [Outcome(one.task_id, one.attempt, RESULT, [one.payload]) for one in leases]
        )
    )

    finished = client.collect(20_000)
    assert [int(f.payload) for f in finished] == list(range(5_000))
