"""Who may do what: the table, what is done by it, and the one that users read."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from masterworker import wire
from masterworker.manager import Service
from masterworker.manager.access import ACCESS, GUESTS, Caller, caller_of, refusal
from masterworker.manager.guest_operations import GuestOperations
from masterworker.manager.operations import Operations
from masterworker.security.peer import OWNER, Peer, Role
from security.visitors import EVERYTHING, GUEST, JOB, Job, in_full_swing
from support import packed

#: Who is what, in a job that takes everything from guests, and in one that takes data.
PEERS = {
    Caller.OBSERVER: (Peer(Role.OBSERVER), wire.ANYTHING),
    Caller.DATA_GUEST: (GUEST, wire.PLAIN),
    Caller.GUEST: (GUEST, wire.ANYTHING),
    Caller.OWN: (OWNER, wire.PLAIN),
}
DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
HEAD = """\
| operation | observer | ticket, data only | ticket | own | demanded of a worker with a ticket |
|---|---|---|---|---|---|
"""


def _public(kind: type) -> set[str]:
    return {n for n, _ in inspect.getmembers(kind, inspect.isfunction) if n[0] != "_"} - {"closed"}


def test_every_operation_has_its_line_and_its_methods() -> None:
    assert ACCESS.keys() == wire.OPERATIONS.keys() == EVERYTHING.keys() == _public(Operations)
    assert {name for name, rule in ACCESS.items() if rule.guests} == _public(GuestOperations)


def test_the_document_shows_the_table() -> None:
    """To repair it, put what this prints into docs/security.md."""
    lines = [
        f"| `{name}` | {' | '.join('yes' if c in rule.roles else '' for c in Caller)} |"
        f" {rule.guests} |\n"
        for name, rule in ACCESS.items()
    ]
    table = HEAD + "".join(lines).replace("|  |", "| |").replace("|  |", "| |")
    assert table in DOCUMENT.read_text(), table


def test_each_peer_is_what_its_role_and_its_ticket_say() -> None:
    for caller, (peer, results) in PEERS.items():
        assert caller_of(peer, results) is caller
    for results in (wire.ANYTHING, wire.PLAIN):
        assert caller_of(OWNER, results) is Caller.OWN
        for role in (Role.OBSERVER, Role.MASTER):
            for job in ("", JOB):
                assert caller_of(Peer(role, job), results) is Caller.OBSERVER


@pytest.mark.parametrize("caller", PEERS)
def test_what_the_table_does_not_allow_is_refused_and_changes_nothing(caller: Caller) -> None:
    """Well-formed calls of all operations: a refusal of the table where it says so, and only there.

    What is demanded of guests beyond it is for their own tests.
    """
    peer, results = PEERS[caller]
    for name, args in EVERYTHING.items():
        job = Job(results)
        trusted = job.hire(OWNER)
        trusted.client.request("a", [b"1", b"2"])
        service, before = Service(job.manager, peer), job.state()
        good, reply = service.call(name, packed(args))
        told = ["NotAllowedError", refusal(name, caller)]
        if caller in ACCESS[name].roles:
            assert reply != told, name
            assert good or reply[0] != "InternalError"
        else:
            assert (good, reply) == (False, told), name
            assert job.state() == before


@pytest.mark.parametrize("caller", PEERS)
@pytest.mark.parametrize(
    "name", [None, "", "closed", "call", "_once", "__init__", "_exchange", "later", "x" * 1000]
)
def test_what_is_no_operation_is_an_error_of_the_caller(caller: Caller, name: str | None) -> None:
    """Also where our own objects have an attribute of that name."""
    peer, results = PEERS[caller]
    job = Job(results)
    in_full_swing(job)
    service, before = Service(job.manager, peer), job.state()
    good, (kind, text) = service.call(name, packed([]))
    assert (good, kind) == (False, "UsageError")
    assert "unknown operation" in text
    assert len(text) < 200
    assert job.state() == before


def test_an_operation_without_a_line_is_refused_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ACCESS, "ping")
    for peer, results in PEERS.values():
        good, (kind, _) = Service(Job(results).manager, peer).call("ping", packed([0]))
        assert (good, kind) == (False, "NotAllowedError")


def test_guests_have_numbered_calls_of_their_own() -> None:
    """They can neither take nor displace replies of trusted processes."""
    for caller, (peer, results) in PEERS.items():
        manager = Job(results).manager
        replies = Service(manager, peer)._operations._replies
        assert replies is (manager.guests.replies if caller in GUESTS else manager.replies)
