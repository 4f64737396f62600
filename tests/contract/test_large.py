"""Large payloads go the same ways as small ones, over every transport, in both directions."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

import support
from contract.nets import Background
from masterworker import wire
from masterworker.core.task import RESULT, Outcome
from masterworker.data import segment
from masterworker.data.segment import Segment, bytes_of
from masterworker.errors import TransportError, UsageError
from masterworker.transport.pyro import attachments, messages
from support import HANG

if TYPE_CHECKING:
    from contract.nets import Net


MARK = bytes(attachments.MARK_SIZE)


def large(text: bytes, size: int = 300_000) -> Segment:
    return Segment.of([text, b"." * size])


def test_a_large_task_and_its_large_result(net: Net) -> None:
    """They arrive as they were sent, among small ones."""
    worker, client = net.join(["a"]), net.join([])
    client.client.request("a", [large(b"one"), b"small", large(b"two", 3_000_000)])
    leases = [lease for _ in range(3) for lease in worker.fetch(1)]
    assert [bytes_of(lease.payload)[:5] for lease in leases] == [b"one..", b"small", b"two.."]
    assert [len(lease.payload) for lease in leases] == [300_003, 5, 3_000_003]

    outcomes = [
        Outcome(1, 1, RESULT, [large(b"r1")]),
        Outcome(2, 1, RESULT, [b"r2"]),
        Outcome(3, 1, RESULT, [large(b"r3")]),
    ]
    assert worker.client.exchange(wire.Exchange(worker.id, outcomes)).refused == []
    found = client.collect(9)
    assert [bytes_of(finished.payload)[:3] for finished in found] == [b"r1.", b"r2", b"r3."]


def test_many_large_ones_in_one_message(net: Net) -> None:
    """More than the kernel passes on as descriptors at once."""
    worker = net.join(["a"])
    number = attachments.MOST_DESCRIPTORS + 50
    worker.client.request("a", [Segment.of([b"%d" % i]) for i in range(number)])
    found = []
    while len(found) < number:
        found += worker.fetch(100)
    assert [bytes_of(lease.payload) for lease in found] == [b"%d" % i for i in range(number)]


def test_without_descriptors_bytes_travel(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "may_have_descriptor", lambda: False)
    peer = net.join([])
    peer.client.put(wire.DATA, "name", large(b"value", 5 << 20))
    found = peer.client.get(wire.DATA, "name")
    assert found is not None
    assert bytes_of(found) == b"value" + b"." * (5 << 20)


def test_stored_values_and_states(net: Net) -> None:
    """Their bytes are the same each time, for everybody."""
    first, second = net.join([]), net.join([])
    assert first.client.put_state({"a": large(b"state"), "b": b"little"}) == 1
    for peer in (first, second, first):
        value = peer.client.get(wire.STATES, "1/a")
        assert value is not None
        assert bytes_of(value)[:6] == b"state."
        assert peer.client.get(wire.STATES, "1/b") == b"little"
    assert first.client.drop_state(1)
    assert second.client.get(wire.STATES, "1/a") is None


def test_nothing_is_kept_of_what_is_gone(net: Net) -> None:
    """Neither side has a descriptor more than before."""
    worker = net.join(["a"])
    before = len(support.descriptors())
    for number in range(1, 20):
        worker.client.request("a", [large(b"x")])
        (lease,) = worker.fetch(1)
        worker.report(lease, bytes_of(lease.payload)[:1])
        del lease
        assert len(support.descriptors()) <= before + 3, number


@pytest.mark.parametrize("net", ["tcp", "unix"], indirect=True)
def test_a_message_cannot_refer_to_what_did_not_come(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks like a stand-in is an ordinary value; with a mark that is known, an error."""
    peer = net.join([])
    monkeypatch.setattr(os, "urandom", lambda size: b"m" * size)
    stand_in = b"m" * attachments.MARK_SIZE + bytes([0, 0, 0, 7])
    peer.client.put(wire.DATA, "name", stand_in)
    assert peer.client.get(wire.DATA, "name") == stand_in
    with pytest.raises(UsageError, match="did not come with it"):
        peer.client.put_state({"a": stand_in, "b": large(b"x")})


@pytest.mark.parametrize("net", ["tcp", "unix"], indirect=True)
@pytest.mark.parametrize("announced", ["more", "huge", "short", "noise", "other"])
def test_false_announcements_end_the_connection(
    net: Net, monkeypatch: pytest.MonkeyPatch, announced: str
) -> None:
    """And nothing else; no memory is taken for what only is announced."""
    encode = msgspec.msgpack.Encoder().encode
    told = {
        "more": encode((MARK, [(True, 5), (True, 5)])),
        "huge": encode((MARK, [(False, 1 << 60)])),
        "short": encode((b"m", [])),
        "noise": b"\xff\xff",
        "other": encode({"a": 1}),
    }[announced]
    peer, other = net.join([]), net.join([])
    sent = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(attachments, "_encode", lambda _: told)
        patch.setattr(attachments.Outgoing, "send_pieces", lambda *_: sent.set())
        sending = Background(lambda: peer.client.put(wire.DATA, "name", large(b"x")))
        assert sent.wait(HANG)
        if announced != "huge":
            sending.join()
        peer.client.disconnect()
        sending.join()
        assert isinstance(sending.error, TransportError)
    assert other.client.get(wire.DATA, "name") is None


def test_onlookers_may_not_send_large_ones() -> None:
    """Whose messages are bounded have no annotations."""
    header = messages.header.pack(messages.REQUEST, 1, 10, extra=20)

    class Line:
        def recv(self, size: int) -> bytes:
            return header[:size]

    with pytest.raises(messages.BadMessageError, match="annotations of 20 bytes"):
        messages.receive(Line(), messages.REQUEST, 1 << 16)  # type: ignore[arg-type]
