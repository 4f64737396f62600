"""What the simulation takes for granted of numbered calls, asked of `NumberedCalls` and `Client`.

Each of these stories was found by a seed: messages that are late, acknowledgements that are lost.
"""

from __future__ import annotations

import contextlib
from math import inf

import pytest

from masterworker import wire
from masterworker.client import Client
from masterworker.conversation.numbered import Call, NumberedCalls
from masterworker.core.task import RESULT, Finished, Outcome
from masterworker.errors import TransportError, UsageError
from masterworker.manager import Service
from masterworker.manager.manager import Manager
from masterworker.security.peer import OWNER
from masterworker.transport.memory import Faults, MemoryConnection


def collected(calls: NumberedCalls, number: int) -> Call:
    """A client has collected an outcome, and the reply is on its way."""
    call, is_new = calls.begin("client", number, None)
    assert is_new
    calls.complete(call, ([b"outcome"], []))
    return call


def is_carried_out(calls: NumberedCalls, number: int) -> bool:
    """A copy of a call arrives."""
    with contextlib.suppress(UsageError):
        return calls.begin("client", number, None)[1]
    return False


def test_late_copy_of_an_earlier_call_is_not_carried_out() -> None:
    """A request timed out at its client, was repeated on a new connection, and arrives then."""
    calls = NumberedCalls()
    collected(calls, 1)
    collected(calls, 2)
    assert not is_carried_out(calls, 1)


def test_late_copy_of_an_acknowledged_call_is_not_carried_out() -> None:
    """The outcomes that it would take out would go to nobody."""
    calls = NumberedCalls()
    collected(calls, 1)
    calls.acknowledge("client", 1)
    assert not is_carried_out(calls, 1)


def test_late_acknowledgement_does_not_acknowledge_the_next_call() -> None:
    """An acknowledgement was on its way for so long that another call has been answered since."""
    calls = NumberedCalls()
    collected(calls, 1)
    lost = collected(calls, 2)
    calls.acknowledge("client", 1)
    again, is_new = calls.begin("client", 2, None)
    assert (again, is_new, again.reply) == (lost, False, ([b"outcome"], []))


def test_request_is_not_forgotten_while_its_client_is_away() -> None:
    """Only outcomes are of use to others; what was asked for stays asked for."""
    calls = NumberedCalls()
    call, _ = calls.begin("client", 1, None)
    calls.complete(call, 7)
    calls.abandon("client", 0.0)
    assert calls.on_tick(1000.0) == []
    assert calls.begin("client", 1, None)[0].reply == 7


def test_call_that_was_given_up_before_it_came_is_not_carried_out() -> None:
    """The word that nobody waits for a reply may overtake the call on another connection."""
    calls = NumberedCalls()
    collected(calls, 1)
    assert calls.forgo("client", 2) == ()
    assert not is_carried_out(calls, 2)
    assert is_carried_out(calls, 3)


def test_what_comes_of_a_call_that_was_given_up_meanwhile_goes_to_others() -> None:
    """Its client has said so, or has gone on with the next one."""
    for goes_on in (lambda calls: calls.forgo("client", 1), lambda calls: collected(calls, 2)):
        calls = NumberedCalls()
        call, _ = calls.begin("client", 1, None)
        goes_on(calls)
        assert calls.complete(call, ([b"outcome"], [])) == ([], True)


def test_client_that_comes_back_in_time_gets_its_reply() -> None:
    """And one that does not leaves its outcomes to others, once."""
    calls = NumberedCalls()
    collected(calls, 1)
    calls.abandon("client", 0.0)
    assert calls.begin("client", 1, None)[0].reply == ([b"outcome"], [])
    assert calls.next_deadline() == inf
    calls.abandon("client", 1.0)
    due = calls.next_deadline()
    assert calls.on_tick(due - 0.1) == []
    assert calls.on_tick(due) == [b"outcome"]
    assert not is_carried_out(calls, 1)
    assert calls.on_tick(2 * due) == []


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
        (lease,) = manager.exchange(wire.Exchange(worker, want=1)).leases
        manager.exchange(
            wire.Exchange(worker, [Outcome(lease.task_id, lease.attempt, RESULT, [b"output"])])
        )
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
