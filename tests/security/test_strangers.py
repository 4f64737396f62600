"""Strangers at the port: however many, however slow, whatever they show, they get nowhere."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest

from masterworker.errors import NotAllowedError, NotTrustedError, TransportError
from masterworker.security import certificates, credentials, tls
from masterworker.security.credentials import authority, user_credential
from masterworker.security.peer import Role
from masterworker.transport import gate
from masterworker.transport.dialing import dial
from security.attackers import (
    ALERT,
    APPLICATION_DATA,
    HANDSHAKE,
    HOST,
    Bomb,
    Parsed,
    Records,
    Target,
    annotation,
    anybody,
    descriptors,
    frame,
    hello,
    hung_up,
    inside,
    plain,
    records,
    said,
    threads,
)
from security.handshakes import DAY, NOW, credential
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from masterworker.client import Client
    from masterworker.security.credentials import Credential


@pytest.fixture
def target() -> Iterator[Target]:
    """A master; in the end nothing of its visitors is left."""
    before = descriptors()
    with Target() as made:
        yield made
    wait_until(lambda: not threads("masterworker-gate"), what="the gate's thread has ended")
    wait_until(lambda: not threads("masterworker-connection"), what="no thread of a peer is left")
    wait_until(lambda: descriptors() <= before, what="no descriptor is left")


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Parsed:
    return Parsed(monkeypatch)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> float:
    """A gate that has less time for strangers than usual. Returns how much."""
    monkeypatch.setattr(gate, "DEADLINE", 0.4)
    return gate.DEADLINE


def nothing_happened(target: Target, parsed: Parsed) -> None:
    """Nobody was let in: no service was made, and Pyro's code has seen nothing."""
    assert target.opened == []
    assert target.calls == []
    assert parsed.number == 0
    assert not threads("masterworker-connection")


# -- C2: many, and slow ------------------------------------------------------------------------


class Honest:
    """A worker that was there before, and goes on calling."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._client.connect()
        self.calls, self.error = 0, ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="test-honest", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                self._client.call("instance", "")
            except Exception as error:
                self.error = repr(error)
                return
            self.calls += 1
            self._end.wait(0.001)

    def goes_on(self) -> None:
        """It gets answers, now."""
        seen = self.calls
        wait_until(lambda: self.calls > seen + 20 or self.error, what="the worker goes on")
        assert self.error == ""

    def __enter__(self) -> Honest:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        assert self.error == ""


class Flood:
    """So many connections that say nothing; those that are dropped come again."""

    def __init__(self, port: int, number: int, sources: list[str], first: bytes = b"") -> None:
        self._port, self._sources, self._first = port, sources, first
        self._open: list[socket.socket] = []
        self.made = 0
        self._end = threading.Event()
        for _ in range(number):
            self._open.append(self._another())
        self._thread = threading.Thread(target=self._run, name="test-flood", daemon=True)
        self._thread.start()

    def _another(self) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((self._sources[self.made % len(self._sources)], 0))
        with contextlib.suppress(BlockingIOError):
            sock.connect((HOST, self._port))
        if self._first:
            with contextlib.suppress(OSError):
                sock.send(self._first)
        self.made += 1
        return sock

    def _run(self) -> None:
        while not self._end.wait(0.02):
            for place, sock in enumerate(self._open):
                if hung_up(sock):
                    sock.close()
                    self._open[place] = self._another()

    def __enter__(self) -> Flood:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        for sock in self._open:
            sock.close()


SOURCES = {"one source": [HOST], "several sources": [f"127.0.0.{n}" for n in range(2, 8)]}


@pytest.mark.parametrize("sources", SOURCES)
@pytest.mark.parametrize("first", [b"", hello()[:60]], ids=["silent", "half a hello"])
def test_a_flood_delays_newcomers_and_nobody_else(
    target: Target, sources: str, first: bytes, parsed: Parsed
) -> None:
    """500 at a time that say nothing, or not enough."""
    with Records() as log, Honest(target.client()) as worker:
        worker.goes_on()
        before, base = threads(), descriptors()
        with Flood(target.port, 500, SOURCES[sources], first) as flood:
            wait_until(lambda: target.counts["dropped"] > 100, what="strangers are dropped")
            worker.goes_on()
            assert target.strangers() <= gate.MOST_STRANGERS
            began = time.monotonic()
            target.dial(timeout=gate.DEADLINE + 1).close()
            assert time.monotonic() - began < gate.DEADLINE + 1
            worker.goes_on()
            wait_until(lambda: threads() == before, what="no thread for any stranger")
            assert flood.made >= 500
        wait_until(lambda: target.strangers() == 0, what="all strangers are gone")
        wait_until(lambda: descriptors() <= base, what="all descriptors are free again")
        worker.goes_on()
    assert len(target.opened) == 2  # the worker, and the newcomer
    assert len(log.texts) < 20, log.texts
    assert parsed.number > 0


def test_the_number_of_strangers_is_bounded(target: Target) -> None:
    socks = [plain(target.port) for _ in range(3 * gate.MOST_STRANGERS)]
    wait_until(lambda: target.counts["dropped"] >= 2 * gate.MOST_STRANGERS)
    assert target.strangers() == gate.MOST_STRANGERS
    for sock in socks[: gate.MOST_STRANGERS]:  # the oldest went first
        assert said(sock) == b""
    for sock in socks:
        sock.close()


def test_the_crowd_is_dropped_and_not_the_single_one(target: Target) -> None:
    """Somebody from elsewhere, who is slow but honest, is not pushed out by a crowd."""
    slow = plain(target.port, "127.0.0.9")
    crowd = [plain(target.port) for _ in range(3 * gate.MOST_STRANGERS)]
    wait_until(lambda: target.counts["dropped"] >= gate.MOST_STRANGERS)
    context = tls.client_context(user_credential(Role.WORKER))
    with context.wrap_socket(slow) as sock:
        assert sock.recv(1) == b"\0"
    for one in crowd:
        one.close()
    wait_until(lambda: len(target.opened) == 1)


def test_slow_drip_ends_at_the_deadline(target: Target, hasty: float, parsed: Parsed) -> None:
    """A byte now and then is progress, but not in time."""
    with plain(target.port) as sock:
        began = time.monotonic()
        for byte in hello():
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.send(bytes([byte]))
            if hung_up(sock):
                break
            threading.Event().wait(0.02)
        else:
            pytest.fail("it was heard to the end")
    assert time.monotonic() - began > hasty / 2
    assert target.counts["late"] == 1
    nothing_happened(target, parsed)


@pytest.mark.parametrize("part", [0, 1, 5, 6, 100, -1])
def test_half_a_hello_ends_at_the_deadline(
    target: Target, part: int, hasty: float, parsed: Parsed
) -> None:
    with plain(target.port) as sock:
        sock.sendall(hello()[:part])
        assert said(sock) == b""
    assert target.counts["late"] == 1
    assert hasty < gate.DEADLINE + 1
    nothing_happened(target, parsed)


def test_the_usual_deadline_is_short(target: Target) -> None:
    began = time.monotonic()
    with plain(target.port) as sock:
        assert said(sock) == b""
    assert 2.0 < time.monotonic() - began < 10.0
    assert target.counts["late"] == 1


# -- C3: other certificates --------------------------------------------------------------------

PAST = NOW - dt.timedelta(days=30)
STRANGER = "belongs to another user or has another authority.pem"


def foreign(role: Role = Role.WORKER) -> Credential:
    """Of somebody else, who knows our authority's certificate."""
    made = credential(certificates.make_authority(PAST), role)
    return dataclasses.replace(made, authority=user_credential(Role.WORKER).authority)


def of_time(moment: dt.datetime) -> Credential:
    """Of this user, at another time: signed by our authority, made to look old enough."""
    key, _ = certificates._read(authority())
    real = certificates._require_valid
    certificates._require_valid = lambda *_: None
    try:
        chain = certificates.issue(authority(), Role.WORKER, "", DAY, moment)
    finally:
        certificates._require_valid = real
    assert key is not None
    own = user_credential(Role.WORKER)
    return dataclasses.replace(own, chain=chain)


OTHERS: dict[str, tuple[Callable[[], Credential], str]] = {
    "another authority, which trusts ours": (foreign, STRANGER),
    "another authority altogether": (
        lambda: credential(certificates.make_authority(PAST), Role.WORKER),
        STRANGER,
    ),
    "expired": (lambda: of_time(PAST), "our certificate has expired"),
    "not valid yet": (lambda: of_time(NOW + 30 * DAY), "not valid, or not yet"),
    "the ticket of another job": (
        lambda: credential(authority(), Role.WORKER, "00c0ffee"),
        "its ticket is for another job, or an earlier run of this one",
    ),
    "the observer's ticket of another job": (
        lambda: credential(authority(), Role.OBSERVER, "00c0ffee"),
        "ask for a new one (task_manager ticket LABEL)",
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
        sock.sendall(greeting.replace(b"\x00\x2b", b"\x5a\x2b", 1).replace(b"\x03\x04", b"\x03\x03"))
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
        "a stock client's greeting": frame(b"{'handshake':'hello','object':'x'}", kind=1, serializer=1),
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
        assert b"PYRO" not in answer
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
    odd = certificates.x509.UniformResourceIdentifier("masterworker:worker:" + bomb.pickled(0).hex())
    certificates._identity = lambda *_: certificates.x509.SubjectAlternativeName([odd])
    try:
        made = credential(authority(), Role.WORKER)
    finally:
        certificates._identity = real
    with pytest.raises(NotTrustedError, match="its ticket is for another job"):
        target.dial(made)
    assert target.opened == []
    assert not bomb.went_off


# -- the client's side of a crowd --------------------------------------------------------------


def test_a_reset_in_the_middle_is_tried_again() -> None:
    """A gate that drops us hangs up hard; that is no reason to distrust it, or to give up."""
    from masterworker.transport.address import Address
    from masterworker.transport.dialing import TRIES
    from security.attackers import Impostor, resets

    for _ in range(10):
        with Impostor(resets) as other, pytest.raises(TransportError) as caught:
            dial(Address(HOST, other.port))
        assert not isinstance(caught.value, NotTrustedError), caught.value
        assert len(other.heard) >= TRIES
