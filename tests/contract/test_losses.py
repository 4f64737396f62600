"""A closed connection is a lost process, at once, whatever it was doing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from contract.nets import Background
from masterworker import wire
from masterworker.core.task import RESULT, Outcome
from masterworker.errors import TransportError
from support import wait_until

if TYPE_CHECKING:
    from contract.nets import Net


def test_a_closed_connection_loses_its_members_and_their_leases(net: Net) -> None:
    """What the lost one had in hand goes to the very front, in its order."""
    lost, other = net.join(["a"]), net.join(["a"])
    other.client.request("a", [b""] * 8)
    held = lost.ids(4)
    assert len(held) > 1

    lost.client.disconnect()
    wait_until(lambda: not net.manager.ping(lost.id), 2.0, "the loss is noticed")

    census = net.manager.census()
    assert [p[0] for p in census.processes] == [other.id]
    assert census.running == {}
    rest = [other.ids()[0] for _ in range(8)]
    assert rest == list(range(1, 9))


def test_all_who_joined_through_a_connection_are_lost_with_it(net: Net) -> None:
    """Also when they are several; those who signed off are not counted as lost."""
    client = net.client()
    members = [client.join(net.hello(["a"])).member_id for _ in range(3)]
    client.leave(members[1])

    client.disconnect()
    wait_until(lambda: not net.manager.census().processes, 2.0, "all are gone")

    assert net.manager.core.tally.lost_members == 2


def test_signing_off_is_no_loss(net: Net) -> None:
    """Who leaves gives back what it has, and its connection may close."""
    worker = net.join(["a"])
    worker.client.request("a", [b"", b""])
    worker.ids()
    worker.client.leave(worker.id)
    worker.client.disconnect()

    next_one = net.join(["a"])
    assert next_one.ids() == [1]
    assert net.manager.core.tally.lost_members == 0


def test_a_peer_that_is_cut_off_while_it_waits_is_noticed_at_once(net: Net) -> None:
    """Long before the wait would have ended; and nothing is handed to the dead."""
    client, _, cut = net.faulty()
    idle, other = net.join(["a"], client=client), net.join(["a"])
    waiting = Background(lambda: idle.fetch(wait=wire.LONGEST_WAIT))
    wait_until(lambda: len(list(net.manager.core.waiting.claims)) == 1)

    began = time.monotonic()
    cut()
    wait_until(lambda: not net.manager.ping(idle.id), 2.0, "the loss is noticed")
    assert time.monotonic() - began < 2.0 < wire.LONGEST_WAIT

    other.client.request("a", [b""])
    assert other.ids() == [1]
    with pytest.raises(TransportError):
        waiting.result()


def test_a_peer_that_is_cut_off_while_it_collects_is_noticed_at_once(net: Net) -> None:
    """The outcome that comes next is somebody else's."""
    client, _, cut = net.faulty()
    worker, idle, other = net.join(["a"]), net.join([], client=client), net.join([])
    worker.client.request("a", [b""])
    waiting = Background(lambda: client.call("collect", "me", 1, idle.id, None, 1, 5.0, 0))
    wait_until(lambda: len(list(net.manager.core.results.claims)) == 1)

    cut()
    wait_until(lambda: not net.manager.ping(idle.id), 2.0, "the loss is noticed")

    worker.report(worker.fetch()[0])
    assert [f.task_id for f in other.collect(wait=5.0)] == [1]
    with pytest.raises(TransportError):
        waiting.result()


def test_who_comes_back_is_somebody_new(net: Net) -> None:
    """After a cut it is told to join; its old result counts, and only once."""
    client, _, cut = net.faulty()
    worker, other = net.join(["a"], client=client), net.join(["a"])
    other.client.request("a", [b""])
    lease = worker.fetch()[0]
    cut()
    wait_until(lambda: not net.manager.ping(worker.id), 2.0, "the loss is noticed")
    again = other.fetch()[0]
    assert (again.task_id, again.attempt) == (1, 2)

    with pytest.raises(TransportError):
        client.ping(worker.id)
    reply = client.exchange(wire.Exchange(worker.id, want=1))
    assert [list(order) for order in reply.orders] == [[wire.REJOIN, 0]]
    back = net.join(["a"], client=client)
    late = client.exchange(
        wire.Exchange(back.id, [Outcome(lease.task_id, lease.attempt, RESULT, [b"late but good"])])
    )
    second = other.report(again)

    assert (late.refused, second.refused) == ([], [1])
    assert [f.payload for f in net.join([]).collect(9)] == [b"late but good"]


def test_a_client_that_joins_again_takes_the_place_of_its_former_self(net: Net) -> None:
    """One that was quicker than the notice of its end is not there twice."""
    first = net.join(["a"])
    first.client.request("a", [b""])
    assert first.ids() == [1]
    name = first.client.name

    second = net.client()
    second._caller.become(name)
    number = second.join(net.hello(["a"], client=second)).member_id

    assert [p[0] for p in net.manager.census().processes] == [number]
    assert [lease.task_id for lease in second.exchange(wire.Exchange(number, want=1)).leases] == [1]


def test_silence_is_a_loss_after_four_heartbeats(net: Net) -> None:
    """One that promised signs of life and gives none is taken out; its lease goes on."""
    silent, other = net.join(["a"], heartbeat=0.05), net.join(["a"])
    other.client.request("a", [b""])
    assert silent.ids() == [1]

    wait_until(lambda: not net.manager.ping(other.id + 99) and len(_here(net)) == 1, 10.0)

    assert _here(net) == [other.id]
    assert other.ids() == [1]


def _here(net: Net) -> list[int]:
    return [number for number, _, _ in net.manager.census().processes]


def test_who_promised_nothing_may_be_silent(net: Net) -> None:
    """No heartbeat, no loss by silence; a sign of life of the other kind counts as well."""
    quiet, loud = net.join(["a"]), net.join(["a"], heartbeat=0.2)
    end = time.monotonic() + 1.2

    wait_until(lambda: loud.client.ping(loud.id) and time.monotonic() > end)

    assert _here(net) == [quiet.id, loud.id]


@pytest.mark.parametrize("run", ["this one", "another one"])
def test_an_end_counts_in_the_run_that_its_numbers_are_of(net: Net, run: str) -> None:
    """Else a task and a process that happen to have the same numbers would be blamed."""
    client = net.client()
    hello = replace(net.hello(["a"], client=client), supervisor="supervisor")
    member = client.join(hello).member_id
    client.attend("supervisor", [member], [], 0.0)
    client.request("a", [b""])
    (lease,) = client.exchange(wire.Exchange(member, want=1)).leases
    number = wire.number_of_run(net.manager.instance if run == "this one" else run)

    ending = wire.Ending(member, hello.info, lease.task_id, "killed", True, "", run=number)
    client.attend("supervisor", [], [ending], 0.0)

    assert net.manager.ping(member) == (run == "another one")
    story = net.manager.story(lease.task_id)
    assert any("killed" in line for line in story) == (run == "this one")
