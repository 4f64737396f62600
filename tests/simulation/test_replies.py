"""What the simulation takes for granted of numbered calls, asked of `Replies` and `Client`.

Each of these stories was found by a seed: messages that are late, acknowledgements that are lost.
"""

from __future__ import annotations

import contextlib

import pytest

from masterworker import wire
from masterworker.client import Client
from masterworker.core.task import RESULT, Finished, Outcome
from masterworker.errors import MasterworkerError, TransportError
from masterworker.manager import Service
from masterworker.manager import replies as module
from masterworker.manager.manager import Manager
from masterworker.manager.replies import Replies
from masterworker.security.peer import OWNER
from masterworker.transport.memory import Faults, MemoryConnection


class Counter:
    """Something that must be done once."""

    def __init__(self, reply: object = 1) -> None:
        self.times = 0
        self._reply = reply

    def __call__(self) -> object:
        self.times += 1
        return self._reply


def try_again(replies: Replies, client: str, number: int, action: Counter) -> None:
    """A copy of a call arrives; whether it is refused is not the point."""
    with contextlib.suppress(MasterworkerError):
        replies.once(client, number, action)


def test_late_copy_of_an_earlier_call_is_not_carried_out() -> None:
    """A request timed out at its client, was repeated on a new connection, and arrives then."""
    replies, first = Replies(lambda _: None), Counter()
    replies.once("client", 1, first)
    replies.once("client", 2, Counter())
    try_again(replies, "client", 1, first)
    assert first.times == 1


def test_late_copy_of_an_acknowledged_call_is_not_carried_out() -> None:
    """The outcomes that it would take out would go to nobody."""
    replies, collect = Replies(lambda _: None), Counter(([b"outcome"], []))
    replies.once("client", 1, collect)
    replies.acknowledge("client", 1)
    try_again(replies, "client", 1, collect)
    assert collect.times == 1


def test_late_acknowledgement_does_not_acknowledge_the_next_call() -> None:
    """An acknowledgement was on its way for so long that another call has been answered since."""
    replies, collect = Replies(lambda _: None), Counter(([b"outcome"], []))
    replies.once("client", 1, Counter(([b"earlier"], [])))
    replies.once("client", 2, collect)  # its reply is lost
    replies.acknowledge("client", 1)
    assert replies.once("client", 2, collect) == ([b"outcome"], [])
    assert collect.times == 1


def test_request_is_not_forgotten_while_its_client_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only outcomes are of use to others; what was asked for stays asked for."""
    monkeypatch.setattr(module, "COMES_BACK_WITHIN", 0.0)
    replies, request = Replies(lambda _: None), Counter(7)
    replies.once("client", 1, request)
    call = replies._last["client"]
    replies._give_up("client", call)
    assert replies.once("client", 1, request) == 7
    assert request.times == 1


def test_outcome_survives_two_failures_in_a_row() -> None:
    """The reply to a collect is lost, and the master cannot be reached right after that."""
    manager = Manager()
    faults = Faults()
    refused = 0

    def connect() -> MemoryConnection:
        nonlocal refused
        if refused:
            refused -= 1
            raise TransportError("nobody answers")
        return MemoryConnection(Service(manager, OWNER), faults)

    client = Client(connect)
    try:
        hello = wire.introduce("a client", [], None, client.name)
        member = client.join(hello).member_id
        task = manager.request("a", [b"input"])
        worker = manager.join(wire.introduce("a worker", ["a"], None, "worker")).member_id
        (lease,) = manager.exchange(worker, want=1).leases
        manager.exchange(worker, [Outcome(lease.task_id, lease.attempt, RESULT, b"output")])
        faults.lose_reply["collect"] = 1
        refused = 1
        with pytest.raises(TransportError):
            client.collect(member)
        member = client.join(hello).member_id
        finished, _ = client.collect(member)
        assert [f.task_id for f in finished] == [task]
        assert isinstance(finished[0], Finished)
    finally:
        client.disconnect()
        manager.terminate()
