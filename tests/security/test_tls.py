"""Real handshakes: who is let in, who is refused, and what both sides are told."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import socket
import ssl
from pathlib import Path

import pytest

from masterworker.errors import CredentialError
from masterworker.security import certificates, pem, tls
from masterworker.security.credentials import Credential
from masterworker.security.peer import Peer, Role
from security.handshakes import NOW, connect, credential, meet, serve, shake

#: Long enough ago that what was issued then for a day has expired, and the authority has not.
PAST = NOW - dt.timedelta(days=30)
FUTURE = NOW + dt.timedelta(days=400)
AUTHORITY = certificates.make_authority(PAST)
OTHER = certificates.make_authority(PAST)
MASTER = credential(AUTHORITY, Role.MASTER)
WORKER = credential(AUTHORITY, Role.WORKER)
STRANGER = "belongs to another user or has another authority.pem: use a ticket, or copy"
CLOCK = "the clock of one of the two machines"
ROLES = "a worker's certificate cannot act as a master"
NO_TLS = "does not speak TLS: it is another program"


def trusting_us(other: Credential) -> Credential:
    """One that has our authority's certificate, and none that it has signed."""
    return dataclasses.replace(other, authority=WORKER.authority)


@pytest.mark.parametrize("role", [Role.WORKER, Role.OBSERVER])
@pytest.mark.parametrize("job", ["", "00c0ffee"])
def test_both_sides_know_each_other(role: Role, job: str) -> None:
    client = credential(AUTHORITY, role, job)
    server, seen = shake(tls.server_context(MASTER), tls.client_context(client))
    assert server.peer is not None
    assert seen.peer is not None
    assert server.peer[:3] == (role, job, "there")
    assert seen.peer[:3] == (Role.MASTER, "", "there")


@pytest.mark.parametrize("hours", [-1, 1, 23])
def test_clocks_may_differ(hours: int) -> None:
    issued = NOW + dt.timedelta(hours=hours)
    client = credential(AUTHORITY, Role.WORKER, at=issued)
    server, seen = shake(tls.server_context(MASTER), tls.client_context(client))
    assert server.peer is not None
    assert seen.peer is not None


def issued(role: Role, at: dt.datetime) -> Credential:
    return credential(AUTHORITY, role, at=at)


REFUSED = {
    "both have another authority": (
        MASTER, credential(OTHER, Role.WORKER), STRANGER, STRANGER),
    "a stranger that trusts us": (
        MASTER, trusting_us(credential(OTHER, Role.WORKER)), STRANGER, STRANGER),
    "a strange master that trusts us": (
        trusting_us(credential(OTHER, Role.MASTER)), WORKER, STRANGER, STRANGER),
    "an expired worker": (
        MASTER, issued(Role.WORKER, PAST),
        "certificate of the other side has expired", "our certificate has expired"),
    "an expired master": (
        issued(Role.MASTER, PAST), WORKER,
        "our certificate has expired", "certificate of the other side has expired"),
    "a worker from the future": (
        MASTER, issued(Role.WORKER, FUTURE),
        "of the other side is not valid yet: " + CLOCK, "not valid, or not yet: " + CLOCK),
    "a master from the future": (
        issued(Role.MASTER, FUTURE), WORKER,
        "not valid, or not yet: " + CLOCK, "of the other side is not valid yet: " + CLOCK),
    "a worker as the master": (
        credential(AUTHORITY, Role.WORKER), WORKER,
        "our certificate is for another role: " + ROLES, "not what it pretends to be: " + ROLES),
    "an observer as the master": (
        credential(AUTHORITY, Role.OBSERVER), WORKER,
        "our certificate is for another role: " + ROLES, "not what it pretends to be: " + ROLES),
    "a master as a worker": (
        MASTER, MASTER,
        "not what it pretends to be: " + ROLES, "our certificate is for another role: " + ROLES),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_and_both_are_told(case: str) -> None:
    master, worker, told_server, told_client = REFUSED[case]
    server, client = shake(tls.server_context(master), tls.client_context(worker))
    assert server.peer is None, "let in"
    assert client.peer is None, "taken in"
    assert told_server in server.why
    assert told_client in client.why


def test_without_a_certificate() -> None:
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname = False
    nobody.load_verify_locations(cadata=WORKER.authority.decode())
    server, client = shake(tls.server_context(MASTER), nobody)
    assert server.peer is None
    assert "has shown no certificate" in server.why
    assert "wants a certificate from us" in client.why


def test_a_certificate_signed_by_a_workers_key() -> None:
    """A leaf is no authority, also when the whole chain is sent."""
    key, leaf = pem.split(WORKER.chain)
    forged = _signed_by_a_leaf(key, leaf)
    for role, server_ok in ((Role.MASTER, False), (Role.WORKER, True)):
        chain = forged(role) + pem.certificate_block(leaf)
        fake = Credential(role, "", chain, WORKER.authority)
        pair = (MASTER, fake) if server_ok else (fake, WORKER)
        server, client = shake(tls.server_context(pair[0]), tls.client_context(pair[1]))
        judge = server if server_ok else client
        assert judge.peer is None
        assert isinstance(judge.error, ssl.SSLCertVerificationError)


def _signed_by_a_leaf(key: bytes, leaf: bytes):
    """Forge with what the real authority's code would do, had it been given a leaf."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    signer = serialization.load_der_private_key(key, None)
    issuer = x509.load_der_x509_certificate(leaf)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)

    def forge(role: Role) -> bytes:
        mine = ec.generate_private_key(ec.SECP256R1())
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        certificate = (
            certificates._begin(
                certificates._name("x"), issuer.subject, mine.public_key(), NOW,
                NOW + dt.timedelta(days=1),
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(certificates._purpose(role), critical=True)
            .add_extension(certificates._identity(role, ""), critical=False)
            .add_extension(issuer_key, critical=False)
            .sign(signer, hashes.SHA256())
        )  # fmt: skip
        return certificates._pem(mine, certificate)

    return forge


@pytest.mark.parametrize("side", ["server", "client"])
def test_older_tls_is_refused(side: str) -> None:
    server, client = tls.server_context(MASTER), tls.client_context(WORKER)
    older = server if side == "server" else client
    older.minimum_version = older.maximum_version = ssl.TLSVersion.TLSv1_2
    for seen in shake(server, client):
        assert seen.peer is None
        assert "cannot speak TLS 1.3" in seen.why


def say(data: bytes):
    """A program that says something else, and listens until it is left."""

    def talk(plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            plain.sendall(data)
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(4096):
                pass

    return talk


GARBAGE = {
    b"GET / HTTP/1.1\r\nHost: here\r\n\r\n": NO_TLS,
    b"PYRO" + bytes(60): NO_TLS,
    b"SSH-2.0-OpenSSH_9.6\r\n": NO_TLS,
    bytes(500): "",
    b"\x80\x04\x95" * 200: "",
    b"\x16\x03\x01\x02\x00" + bytes(600): "",
    b"\x15\x03\x03\x00\x02\x02\x28": "",
    b"\x16\x03\x01": "closed the connection",
    b"x": "closed the connection",
    b"": "closed the connection",
}


@pytest.mark.parametrize("data", GARBAGE)
def test_other_programs_are_refused(data: bytes) -> None:
    server, _ = meet(lambda s: serve(s, tls.server_context(MASTER)), say(data))
    _, client = meet(say(data), lambda s: connect(s, tls.client_context(WORKER)))
    for seen in (server, client):
        assert seen.peer is None
        assert GARBAGE[data] in seen.why
        assert "\n" not in seen.why


def test_random_bytes_are_refused() -> None:
    context = tls.server_context(MASTER)
    for _ in range(100):
        server, _ = meet(lambda s: serve(s, context), say(os.urandom(300)))
        assert server.peer is None
        assert server.why


def test_one_that_leaves_is_told() -> None:
    server, _ = meet(lambda s: serve(s, tls.server_context(MASTER)), lambda s: s.close())
    _, client = meet(lambda s: s.close(), lambda s: connect(s, tls.client_context(WORKER)))
    assert "closed the connection" in server.why
    assert "closed the connection" in client.why


def test_one_that_is_silent_is_told() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(0.05)
        silent = serve(left, tls.server_context(MASTER))
    assert isinstance(silent.error, TimeoutError)
    assert "did not answer in time" in silent.why


def test_other_errors_have_a_sentence_too() -> None:
    assert "closed the connection" in tls.why(ConnectionResetError(104, "reset"))
    assert "no secure connection" in tls.why(ssl.SSLError(1, "[SSL: NEW] something new"))
    odd = ssl.SSLCertVerificationError(1, "odd")
    odd.verify_code, odd.verify_message = 99, "odd"
    assert tls.why(odd) == "the certificate of the other side is not valid (odd)"


def test_newer_names_of_the_same_errors_are_known() -> None:
    for name in ("SSL/TLS_ALERT_UNKNOWN_CA", "TLSV1_ALERT_UNKNOWN_CA"):
        error = ssl.SSLError(1, "text")
        error.reason = name
        assert STRANGER in tls.why(error)


def test_nothing_is_resumed_and_nothing_is_old() -> None:
    server, client = tls.server_context(MASTER), tls.client_context(WORKER)
    assert server.num_tickets == 0
    for context in (server, client):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.verify_flags & ssl.VERIFY_X509_STRICT
        assert len(context.get_ca_certs()) == 1, "somebody else's authority counts"

    def look(plain: socket.socket) -> tuple[bool | None, object]:
        with client.wrap_socket(plain) as sock:
            sock.recv(1)
            return sock.session_reused, sock.session.has_ticket if sock.session else False

    for _ in range(2):
        _, seen = meet(lambda s: serve(s, server), look)
        assert seen == (False, False)


def test_a_certificate_without_a_role_is_refused() -> None:
    class Odd:
        def __init__(self, *names: tuple[str, str]) -> None:
            self.names = names

        def getpeercert(self) -> dict[str, object]:
            return {"subjectAltName": self.names}

    good = ("URI", "masterworker:worker:ab")
    assert tls.peer_of(Odd(good), "x") == Peer(Role.WORKER, "ab", "x")  # type: ignore[arg-type]
    for names in (
        (),
        (("DNS", "localhost"),),
        (("URI", "masterworker:worker"),),
        (("URI", "masterworker:owner:"),),
        (("URI", "masterworker:worker:xyz"),),
        (("URI", "masterworker:worker:ab\n"),),
        (good, good),
    ):
        with pytest.raises(CredentialError, match="does not say which role"):
            tls.peer_of(Odd(*names), "there")  # type: ignore[arg-type]


def test_before_the_handshake_nobody_is_known() -> None:
    left, right = socket.socketpair()
    with left, right:
        context = tls.client_context(WORKER)
        with (
            context.wrap_socket(left, do_handshake_on_connect=False) as sock,
            pytest.raises(CredentialError, match="is not done"),
        ):
            tls.peer_of(sock, "there")


@pytest.mark.parametrize(
    "spoiled",
    [
        dataclasses.replace(WORKER, chain=b""),
        dataclasses.replace(WORKER, chain=WORKER.chain[:-100]),
        dataclasses.replace(WORKER, chain=pem.join(b"\x30\x00", b"\x30\x00")),
        dataclasses.replace(WORKER, chain=MASTER.chain[:250] + WORKER.chain[250:]),
        dataclasses.replace(WORKER, authority=b""),
        dataclasses.replace(WORKER, authority=b"\xff"),
        dataclasses.replace(WORKER, authority=pem.certificate_block(b"\x30\x00")),
    ],
)
def test_a_damaged_credential_is_told(spoiled: Credential) -> None:
    with pytest.raises(CredentialError, match="the worker's key or certificate cannot be read"):
        tls.client_context(spoiled)


def test_where_there_is_no_memory_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server, client = shake(tls.server_context(MASTER), tls.client_context(WORKER))
    assert server.peer is not None
    assert client.peer is not None
    assert not list(tmp_path.iterdir()), "a key is left behind"


def test_no_descriptor_is_left_open() -> None:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("no way to look")
    before = len(list(folder.iterdir()))
    for _ in range(5):
        tls.client_context(WORKER)
        with pytest.raises(CredentialError):
            tls.client_context(dataclasses.replace(WORKER, chain=b""))
    assert len(list(folder.iterdir())) == before
