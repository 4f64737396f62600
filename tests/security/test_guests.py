"""Workers with a ticket, and observers: who gets which service, and honest guests at work."""

from __future__ import annotations

from typing import Any

import pytest

from masterworker import wire
from masterworker.core.options import Options
from masterworker.core.task import RESULT, Outcome
from masterworker.errors import (
    NotAllowedError,
    NotRegisteredError,
)
from masterworker.manager import Service, guests
from masterworker.security.peer import OWNER, Peer, Role
from masterworker.testing import Faults
from masterworker.transport.base import LATER
from security.visitors import EVERYTHING, GUEST, HELLO, JOB, LOOKING, Job, in_full_swing, refused
from support import packed


@pytest.mark.parametrize("peer", [Peer(Role.OBSERVER), Peer(Role.OBSERVER, JOB)])
def test_an_observer_looks_on_and_changes_nothing(job: Job, peer: Peer) -> None:
    """Three operations, and no other one that there is, now or later."""
    in_full_swing(job)
    observer = job.client(peer)
    assert observer.census().waiting == {"a": 2}
    assert observer.story(1)
    assert observer.call("instance", "") == job.manager.instance

    calls = {name: args for name, args in EVERYTHING.items() if name not in LOOKING}
    for name, args in calls.items():
        refused(job, lambda n=name, a=args: observer.call(n, *a))
    with pytest.raises(NotAllowedError, match="an observer may only look on: 'terminate'"):
        observer.terminate()


def test_a_guest_works_like_any_worker(job: Job) -> None:
    """Tasks, further tasks, data, states, signs of life, and a farewell."""
    boss, guest = job.hire(OWNER), job.hire()
    boss.client.request("a", [b"1", b"2", b"3"])
    lease = guest.fetch()
    number = guest.client.request("b", [b"further"], Options(timeout=1.0))
    guest.client.put(wire.DATA, "x", b"y")
    state = guest.client.put_state({"s": b"v"})

    assert guest.client.ping(guest.id)
    assert guest.client.get(wire.DATA, "x") == b"y"
    assert guest.client.get(wire.STATES, f"{state}/s") == b"v"
    assert guest.client.drop(wire.DATA, "x")
    assert guest.client.drop_state(state)
    assert guest.client.cancel([number]) == [number]
    assert guest.report(lease) == []
    assert guest.client.settle(guest.fetch().task_id, RESULT, b"s")
    guest.client.give_back(guest.fetch().task_id)
    assert {f.payload for f in guest.client.collect(guest.id, want=9)[0]} == {b"", b"r", b"s"}
    guest.client.leave(guest.id)
    assert [m[0] for m in guest.client.census().processes] == [boss.id]


def test_a_guest_that_was_cut_off_delivers_what_it_was_handed(job: Job) -> None:
    """A new connection, the same process: its old id, then a new one, are both its own."""
    boss, guest = job.hire(OWNER), job.hire()
    boss.client.request("a", [b"1", b"2", b"3", b"4"])
    first, second = guest.fetch(), guest.fetch()
    guest.client._aside, guest.client._connection = guest.client._connection, None  # a Ctrl-C
    assert guest.report(first) == []

    guest.client.disconnect()
    again = job.hire(client=guest.client)
    assert again.id != guest.id
    assert again.report(second) == []
    assert again.report(second) == [second.task_id]
    assert boss.client.census().duplicates == 0
    guest.client._aside, guest.client._connection = guest.client._connection, None
    guest.client.leave(again.id)
    assert [p[0] for p in boss.client.census().processes] == [boss.id]


def test_a_guest_whose_replies_are_lost_loses_and_doubles_nothing(job: Job) -> None:
    """Calls that were carried out and whose reply was lost are repeated over a new connection."""
    faults = Faults()
    boss, guest = job.hire(OWNER), job.hire(client=job.client(faults=faults))
    faults.lose_reply["request"] = 1
    guest.client.request("b", [b"once"])
    assert boss.client.census().submitted == 1


def test_a_guest_that_was_forgotten_joins_again(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is bounded. Whoever falls out of it is asked to join, and loses no task."""
    monkeypatch.setattr(guests, "KEPT_PROCESSES", 3)
    guest = job.hire()
    job.hire(OWNER).client.request("a", [b"1"])
    lease = guest.fetch()
    guest.client.disconnect()
    for _ in range(10):
        job.hire().client.disconnect()

    assert len(job.manager.guests._by_name) <= 4
    assert [order for order, _ in guest.client.exchange(wire.Exchange(guest.id)).orders] == [
        wire.REJOIN
    ]
    assert not guest.client.ping(guest.id)
    with pytest.raises(NotRegisteredError):
        guest.client.collect(guest.id)
    guest = job.hire(client=guest.client)
    assert guest.report(lease) == [lease.task_id]
    assert guest.report(guest.fetch()) == []


def test_a_guest_that_is_here_is_not_forgotten(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it had been away."""
    monkeypatch.setattr(guests, "KEPT_PROCESSES", 3)
    guest = job.hire()
    job.hire(OWNER).client.request("a", [b"1"])
    lease = guest.fetch()
    guest.client.disconnect()
    guest = job.hire(client=guest.client)
    for _ in range(10):
        job.hire().client.disconnect()
    guest.client._aside, guest.client._connection = guest.client._connection, None
    assert guest.client.ping(guest.id)  # over one more connection
    assert guest.report(lease) == []


def test_a_guest_that_waits_is_lent_a_task(job: Job) -> None:
    """It delivers that like any other."""
    guest = job.hire()
    guest.client.request("a", [b"1"])
    (lease,) = guest.client.collect(guest.id, lend=wire.ANY)[1]
    assert guest.report(lease) == []


class _Later:
    """Takes a reply that comes later."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, reply: Any) -> None:
        self.sent.append(reply)

    def give_up(self) -> None:
        self.sent.append(None)


@pytest.mark.parametrize("peer", [OWNER, GUEST])
def test_a_guest_is_answered_later_like_any_worker(job: Job, peer: Peer) -> None:
    """What it is handed then is its own, and what was refused is said then."""
    service, later = Service(job.manager, peer), _Later()
    _, welcome = service.call("join", packed(HELLO))
    foreign = Outcome(99, 1, RESULT, [b"of nobody"])
    asked = wire.Exchange(welcome.member_id, [foreign], want=1, wait=5.0)
    assert service.call("exchange", asked, later=later) is LATER
    assert later.sent == []

    job.hire(OWNER).client.request("a", [b"1"])
    ((good, reply),) = later.sent
    assert good
    assert reply.refused == [99]
    (lease,) = reply.leases
    done = Outcome(lease.task_id, lease.attempt, RESULT, [b"r"])
    _, reply = service.call("exchange", wire.Exchange(welcome.member_id, [done]))
    assert reply.refused == []
    assert job.manager.census().finished == {"a": 1}


def test_the_book_of_what_was_handed_out_is_bounded(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others have settled is forgotten; what is in hand is not."""
    monkeypatch.setattr(guests, "MOST_HANDED", 20)
    boss, guest = job.hire(OWNER), job.hire()
    for _ in range(100):
        number = boss.client.request("a", [b"x"])
        assert guest.fetch().task_id == number
        boss.client.cancel([number])
    boss.client.request("a", [b"x"])
    lease = guest.fetch()
    process = job.manager.guests.process_of(guest.id)
    assert process is not None
    assert len(process._handed) <= 21
    assert guest.report(lease) == []


def test_joining_again_and_again_does_not_fill_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """It notes the first guests that the next run is to wait for, and all trusted workers."""
    monkeypatch.setattr("masterworker.manager.guests.MOST_AWAITED", 3)
    job, noted = Job(), list[tuple[str, bool]]()
    job.manager.machine.returning.note = lambda client, here: noted.append((client, here))
    for _ in range(10):
        hand = job.hire(GUEST, waits=True)
        hand.client.leave(hand.id)
    assert [here for _, here in noted] == [True, False] * 3
    trusted = job.hire(OWNER, waits=True)
    assert noted[6:] == [(trusted.client.name, True)]
