"""A reply that was lost on its way: the call is repeated, and has its effect once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from contract.nets import Background
from masterworker import wire
from masterworker.conversation.numbered import NumberedCalls
from masterworker.core.task import RESULT, Finished, Outcome
from masterworker.errors import NotRegisteredError, TransportError
from support import wait_until

if TYPE_CHECKING:
    from contract.nets import Net


def test_a_request_is_carried_out_once(net: Net) -> None:
    """The repeated request gets the reply that was lost."""
    client, lose, _ = net.faulty()
    assert client.request("a", [b"0"]) == 1

    lose("request")
    assert client.request("a", [b"1", b"2"]) == 2

    assert net.manager.census().submitted == 3
    assert client.request("a", [b"3"]) == 4


def test_a_state_is_stored_once(net: Net) -> None:
    """The repeated call gets the same id."""
    client, lose, _ = net.faulty()
    assert client.put_state({"x": b"0"}) == 1

    lose("put_state")
    assert client.put_state({"x": b"1"}) == 2

    assert client.put_state({"x": b"2"}) == 3
    assert [client.get(wire.STATES, f"{i}/x") for i in range(1, 5)] == [b"0", b"1", b"2", None]


def test_outcomes_are_collected_once_and_none_is_lost(net: Net) -> None:
    """What the lost reply held comes with the repeated call, and goes to nobody else."""
    client, lose, _ = net.faulty()
    worker, collector, other = net.join(["a"]), net.join([], client=client), net.join([])
    worker.client.request("a", [b""] * 3)
    for _ in range(2):
        worker.report(worker.fetch()[0])

    lose("collect")
    finished = collector.collect(2)

    assert [f.task_id for f in finished] == [1, 2]
    assert other.collect(9) == []
    worker.report(worker.fetch()[0])
    assert [f.task_id for f in other.collect(9)] == [3]


def test_an_outcome_is_accepted_once(net: Net) -> None:
    """An exchange may be repeated as it is: what was delivered is refused the second time."""
    client, lose, _ = net.faulty()
    worker = net.join(["a"], client=client)
    client.request("a", [b""])
    lease = worker.fetch()[0]
    outcome = [Outcome(lease.task_id, lease.attempt, RESULT, [b"r"])]

    lose("exchange")
    with pytest.raises(TransportError):
        client.exchange(wire.Exchange(worker.id, outcome))
    again = client.exchange(wire.Exchange(worker.id, outcome))

    assert again.refused == [1]
    assert [list(order) for order in again.orders] == [[wire.REJOIN, 0]]
    assert net.manager.census().duplicates == 1
    assert [f.payload for f in net.join([]).collect(9)] == [b"r"]


def test_a_reply_that_is_lost_twice_is_an_error(net: Net) -> None:
    """It is tried once more, not for ever; the request itself was carried out once."""
    client, lose, _ = net.faulty()
    assert client.request("a", [b""]) == 1
    original = client.call
    calls: list[str] = []

    def losing(operation: str, *args: object) -> object:
        calls.append(operation)
        lose(operation)
        return original(operation, *args)

    client.call = losing  # type: ignore[method-assign]
    with pytest.raises(TransportError):
        client.request("a", [b""])

    assert calls == ["request", "request"]
    assert net.manager.census().submitted == 2


def test_numbers_belong_to_a_client(net: Net) -> None:
    """Two clients with the same numbers do not get each other's replies."""
    first, second = net.client(), net.client()

    assert [first.request("a", [b""]), second.request("a", [b""])] == [1, 2]
    assert [first.request("a", [b""]), second.request("a", [b""])] == [3, 4]


def test_a_refused_call_is_no_obstacle(net: Net) -> None:
    """An error is a reply like any other: what the client asks for next is carried out."""
    wired = net.connect()
    for _ in range(2):
        nobody = wired.call("collect", "me", 1, 55, None, 1, 0.0, 0)
        assert nobody[0] is False
        assert nobody[1][0] == "NotRegisteredError"

    worker = net.join([])
    assert wired.call("collect", "me", 2, worker.id, None, 1, 0.0, 0) == [True, ([], [])]


def test_a_call_that_is_repeated_while_it_is_under_way_gets_its_reply(net: Net) -> None:
    """Both connections hear the same; the outcome is delivered once."""
    worker, collector = net.join(["a"]), net.join([])
    worker.client.request("a", [b""])
    call = ("collect", "me", 1, collector.id, None, 1, 5.0, 0)
    wired, other = net.connect(), net.connect()
    first = Background(lambda: wired.call(*call))
    wait_until(lambda: len(list(net.manager.core.results.claims)) == 1)
    second = Background(lambda: other.call(*call))

    worker.report(worker.fetch()[0], b"r")

    reply = [True, ([Finished(1, "a", RESULT, [b"r"], "somebody", 1)], [])]
    assert (first.result(), second.result()) == (reply, reply)
    assert net.manager.census().delivered == 1


def test_a_repeated_call_hears_of_the_same_error(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first one raised while it was under way is no empty reply for the second."""
    entered: list[int] = []
    begin = NumberedCalls.begin

    def counted(self: Any, client: str, number: int, channel: Any) -> Any:
        entered.append(number)
        return begin(self, client, number, channel)

    monkeypatch.setattr(NumberedCalls, "begin", counted)
    collector = net.join([])
    call = ("collect", "me", 1, collector.id, None, 1, 5.0, 0)
    wired, other = net.connect(), net.connect()
    first = Background(lambda: wired.call(*call))
    wait_until(lambda: len(list(net.manager.core.results.claims)) == 1)
    second = Background(lambda: other.call(*call))
    wait_until(lambda: len(entered) == 2)

    collector.client.terminate()

    for reply in (first.result(), second.result()):
        assert reply[0] is False, reply
        assert reply[1][0] == "Terminated"


def test_outcomes_of_a_client_that_never_comes_back_go_to_others(
    net: Net,
) -> None:
    """The reply was lost, and so was the client: after a while the outcomes are free again."""
    net.manager.machine.calls.comes_back_within = 0.2
    client, lose, _ = net.faulty()
    worker, collector, other = net.join(["a"]), net.join([], client=client), net.join([])
    worker.client.request("a", [b""])
    worker.report(worker.fetch()[0], b"r")

    lose("collect")
    with pytest.raises(TransportError):
        client.call("collect", client.name, 1, collector.id, None, 1, 0.0, 0)
    finished = Background(lambda: other.collect(wait=5.0)).result()

    assert [f.payload for f in finished] == [b"r"]
    assert net.manager.census().delivered == 1


def test_outcomes_of_another_run_of_the_manager_are_never_delivered(net: Net) -> None:
    """The master was replaced by another one: ids of the first mean nothing to it."""
    client, lose, _ = net.faulty()
    worker = net.join(["a"], client=client)
    client.request("a", [b"0"])
    lease = worker.fetch()[0]
    lose("exchange")
    with pytest.raises(TransportError):
        client.exchange(
            wire.Exchange(
                worker.id, [Outcome(lease.task_id, lease.attempt, RESULT, [b"of the first"])]
            )
        )

    net.manager.instance = "another run"  # what a client sees of a restarted master

    with pytest.raises(NotRegisteredError, match="another one"):
        client.exchange(
            wire.Exchange(
                worker.id, [Outcome(lease.task_id, lease.attempt, RESULT, [b"of the first"])]
            )
        )
    with pytest.raises(NotRegisteredError):
        client.settle(lease.task_id, RESULT, b"of the first")
