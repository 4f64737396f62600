"""Strangers at the port: however many, however slow, whatever they show, they get nowhere."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from masterworker.errors import NotAllowedError, NotTrustedError
from masterworker.security import certificates, tls
from masterworker.security.credentials import authority, user_credential
from masterworker.security.peer import Role
from security.attackers import (
    ALERT,
    APPLICATION_DATA,
    HANDSHAKE,
    Bomb,
    Parsed,
    Records,
    Target,
    annotation,
    anybody,
    frame,
    hello,
    inside,
    nothing_happened,
    of_time,
    plain,
    records,
    said,
)
from security.handshakes import DAY, NOW, credential
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from masterworker.security.credentials import Credential


# -- C3: other certificates --------------------------------------------------------------------

PAST = NOW - dt.timedelta(days=30)
STRANGER = "belongs to another user or has another authority.pem"


def foreign(role: Role = Role.WORKER) -> Credential:
    """Of somebody else, who knows our authority's certificate."""
    made = credential(certificates.make_authority(PAST), role)
    return dataclasses.replace(made, authority=user_credential(Role.WORKER).authority)


OTHERS: dict[str, tuple[Callable[[], Credential], str]] = {
    "another authority, which trusts ours": (foreign, STRANGER),
    "another authority altogether": (
        lambda: credential(certificates.make_authority(PAST), Role.WORKER),
        STRANGER,
    ),
    "expired": (lambda: of_time(Role.WORKER, PAST), "our certificate has expired"),
    "not valid yet": (lambda: of_time(Role.WORKER, NOW + 30 * DAY), "not valid, or not yet"),
    "the ticket of another job": (
        lambda: credential(authority(), Role.WORKER, "00c0ffee"),
        "its ticket is for another job, or an earlier run of this one",
    ),
    "the observer's ticket of another job": (
        lambda: credential(authority(), Role.OBSERVER, "00c0ffee"),
        "ask for a new one (task_manager ticket LABEL --out FILE)",
    ),
    "a master's certificate": (
        lambda: user_credential(Role.MASTER),
        "a worker's certificate cannot act as a master, nor a master's as a worker",
    ),
}


@pytest.mark.parametrize("who", OTHERS)
def test_another_certificate_is_refused_and_told(target: Target, who: str, parsed: Parsed) -> None:
    make, sentence = OTHERS[who]
    made = make()
    with Records() as log:
        with pytest.raises(NotTrustedError) as caught:
            target.dial(made)
        assert sentence in str(caught.value)
        assert "\n" not in str(caught.value)
        wait_until(lambda: any("was refused" in text for text in log.texts), what=f"{log.texts}")
    assert target.counts["refused"] >= 1
    assert target.counts["admitted"] == 0
    nothing_happened(target, parsed)
    target.still_works()


def test_an_earlier_run_of_the_same_label(parsed: Parsed) -> None:
    """A ticket ends with the run of the job that it was made for, not with its time alone."""
    with Target() as first:
        ticket = credential(authority(), Role.WORKER, first.manager.instance)
        first.dial(ticket).close()
        wait_until(lambda: len(first.opened) == 1)
    read = parsed.number
    with Target() as again, pytest.raises(NotTrustedError, match="an earlier run"):
        again.dial(ticket)
    assert again.opened == []
    assert parsed.number == read


def test_no_certificate_is_refused(target: Target, parsed: Parsed) -> None:
    """In TLS 1.3 such a client thinks that it is in, until it listens."""
    with anybody().wrap_socket(plain(target.port)) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(frame(b"\x94\xa1a\xa4call\x91\xa4ping\x80"))
        with pytest.raises(ssl.SSLError) as caught:
            sock.recv(1)
    assert "wants a certificate from us" in tls.why(caught.value)
    wait_until(lambda: target.counts["refused"] == 1)
    nothing_happened(target, parsed)


@pytest.mark.parametrize("own", ["user's", "job's"])
@pytest.mark.parametrize(
    ("operation", "args"),
    [
        ("join", (4, "3.11", "1", "", "observer", None, None, "name", "")),
        ("exchange", (1, [], [], 0, 1, 0.0, None)),
        ("request", ("name", 1, "tag", [b""], None)),
        ("collect", ("name", 1, 1, None, 1, 0.0, 0)),
        ("put", ("data", "name", b"")),
        ("terminate", ()),
    ],
)
def test_an_observer_only_looks_on(target: Target, own: str, operation: str, args: tuple) -> None:
    from masterworker import wire

    if operation == "join":
        args = (wire.PROTOCOL, wire.python_version(), *args[2:])
    job = target.manager.instance if own == "job's" else ""
    client = target.client(credential(authority(), Role.OBSERVER, job))
    assert client.census().waiting == {}
    before = target.state()
    with pytest.raises(NotAllowedError, match="an observer may only look on"):
        client.call(operation, *args)
    assert target.state() == before


# -- C4: TLS itself ----------------------------------------------------------------------------


def test_older_tls_is_refused(target: Target, parsed: Parsed) -> None:
    old = anybody(user_credential(Role.WORKER), maximum_version=ssl.TLSVersion.TLSv1_2)
    with plain(target.port) as sock, pytest.raises(ssl.SSLError) as caught:
        old.wrap_socket(sock)
    assert "cannot speak TLS 1.3" in tls.why(caught.value)
    wait_until(lambda: target.counts["refused"] == 1)
    nothing_happened(target, parsed)


def test_a_hello_that_was_made_older_on_its_way_is_refused(target: Target, parsed: Parsed) -> None:
    """Somebody in between takes "TLS 1.3" out of the list of versions."""
    greeting = hello()
    assert b"\x03\x04" in greeting
    with plain(target.port) as sock:
        sock.sendall(
            greeting.replace(b"\x00\x2b", b"\x5a\x2b", 1).replace(b"\x03\x04", b"\x03\x03")
        )
        assert records(said(sock))[:1] in ([ALERT], [])
    wait_until(lambda: target.counts["refused"] == 1)
    nothing_happened(target, parsed)


def recorded(target: Target) -> list[bytes]:
    """What a good client sends, piece by piece, with a request at the end."""
    context = tls.client_context(user_credential(Role.WORKER))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    wrapped = context.wrap_bio(incoming, outgoing)
    pieces: list[bytes] = []
    with plain(target.port) as sock:
        for action in (wrapped.do_handshake, lambda: wrapped.read(1)):
            while True:
                try:
                    action()
                    break
                except ssl.SSLWantReadError:
                    if outgoing.pending:
                        pieces.append(outgoing.read())
                        sock.sendall(pieces[-1])
                    incoming.write(sock.recv(65536))
        wrapped.write(frame(b"\x94\xa1x\xa4call\x91\xa6census\x80"))
        pieces.append(outgoing.read())
        sock.sendall(pieces[-1])
        wait_until(lambda: len(target.opened) == 1, what="the good client is served")
    return pieces


def test_a_recorded_session_is_of_no_use(target: Target, parsed: Parsed) -> None:
    pieces = recorded(target)
    assert records(b"".join(pieces)).count(APPLICATION_DATA) >= 3  # certificate, proof, request
    wait_until(lambda: not target.server.connections)
    read = parsed.number
    for at_once in (True, False):
        with plain(target.port) as sock:
            for piece in [b"".join(pieces)] if at_once else pieces:
                with contextlib.suppress(OSError):
                    sock.sendall(piece)
            answer = said(sock)
        # it gets as far as any stranger's hello: ours is different each time
        assert HANDSHAKE in records(answer) or answer == b""
    wait_until(lambda: target.counts["refused"] == 2)
    assert (len(target.opened), target.counts["admitted"], parsed.number) == (1, 1, read)


def test_nothing_can_be_resumed_and_no_early_data_sent(target: Target) -> None:
    """Both need a ticket of an earlier session, and none is given."""
    context = tls.client_context(user_credential(Role.WORKER))
    with context.wrap_socket(plain(target.port)) as first:
        assert first.recv(1) == b"\0"
        session = first.session
        assert session is None or not session.has_ticket
    with context.wrap_socket(plain(target.port), session=session) as second:
        assert second.recv(1) == b"\0"
        assert not second.session_reused
    assert target.gate._context().num_tickets == 0


def test_data_before_the_proof_is_refused(target: Target, parsed: Parsed) -> None:
    early = b"\x17\x03\x03" + len(frame()).to_bytes(2, "big") + frame()
    with plain(target.port) as sock:
        sock.sendall(hello() + early)
        answer = said(sock)
    assert set(records(answer)) <= {ALERT, HANDSHAKE, 0x14, APPLICATION_DATA}
    wait_until(lambda: target.counts["refused"] == 1)
    nothing_happened(target, parsed)


def test_no_second_handshake(target: Target) -> None:
    """Whoever is in and begins anew, below his encryption, is out."""
    sock = inside(target)
    wait_until(lambda: target.server.connections == 1)
    with socket.socket(fileno=sock.detach()) as raw:
        raw.settimeout(10.0)
        raw.sendall(hello())
        said(raw)
    wait_until(lambda: target.server.connections == 0)
    assert target.calls == []
    assert target.gate._context().options & ssl.OP_NO_RENEGOTIATION


# -- C6, C7: what is sent without any TLS ------------------------------------------------------


def unsafe(path: Path) -> dict[str, bytes]:
    """What makes stock Pyro5, or what unpickles, do something."""
    bomb = Bomb(path)
    return {
        "pickle": bomb.pickled(),
        "pickle, protocol 0": bomb.pickled(0),
        "pickle in a frame": frame(bomb.pickled(), serializer=5),
        "a stock client's greeting": frame(b"{'handshake':'hello'}", kind=1, serializer=1),
        "marshal": frame(b"\xe3" + b"\xff" * 200, kind=1, serializer=2),
        "json": frame(b'{"handshake": {"__class__": "Pyro5.client.Proxy"}}', kind=1, serializer=3),
        "compressed": frame(b"x\x9c" + b"\0" * 100, flags=2),
        "oneway": frame(b"\x90", flags=4),
        "a million annotations": frame(annotations=annotation() * 1_000_000),
        "a header of 1 GiB": frame(size=1 << 30),
        "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
        "zeros": b"\0" * 100_000,
        "pickle in a record of TLS": b"\x16\x03\x01" + len(bomb.pickled()).to_bytes(2, "big")
        + bomb.pickled(),
        "pickle as the name of a server": hello_naming(bomb.pickled(0)),
    }  # fmt: skip


def hello_naming(name: bytes) -> bytes:
    """A hello whose random bytes and session id are another text."""
    whole = bytearray(hello())
    whole[11 : 11 + min(32, len(name))] = name[:32]
    return bytes(whole) + name


def test_nothing_that_strangers_send_is_parsed(
    target: Target, parsed: Parsed, tmp_path: Path, hasty: float
) -> None:
    bomb = Bomb(tmp_path / "went off")
    for name, data in unsafe(bomb.path).items():
        with plain(target.port) as sock:
            with contextlib.suppress(OSError):
                sock.sendall(data)
            answer = said(sock)
        assert set(records(answer)) <= {ALERT, HANDSHAKE, 0x14, APPLICATION_DATA}, name
        assert data[:1] == b"\x16" or answer == b"", name
    assert not bomb.went_off
    assert target.counts["admitted"] == 0
    assert sum(target.counts.values()) == len(unsafe(bomb.path))
    nothing_happened(target, parsed)
    assert hasty
    target.still_works()


def test_a_stock_client_gets_nothing(target: Target, parsed: Parsed) -> None:
    from Pyro5.client import Proxy
    from Pyro5.errors import CommunicationError

    with Proxy(target.server.uri) as proxy:
        proxy._pyroTimeout = 5.0
        with pytest.raises(CommunicationError):
            proxy.call("census")
    nothing_happened(target, parsed)


def test_a_pickle_in_a_certificate_is_just_a_name(target: Target, tmp_path: Path) -> None:
    """Also when our own authority has signed it."""
    bomb = Bomb(tmp_path / "went off")
    real = certificates._identity
    odd = certificates.x509.UniformResourceIdentifier(
        "masterworker:worker:" + bomb.pickled(0).hex()
    )
    certificates._identity = lambda *_: certificates.x509.SubjectAlternativeName([odd])
    try:
        made = credential(authority(), Role.WORKER)
    finally:
        certificates._identity = real
    with pytest.raises(NotTrustedError, match="its ticket is for another job"):
        target.dial(made)
    assert target.opened == []
    assert not bomb.went_off
