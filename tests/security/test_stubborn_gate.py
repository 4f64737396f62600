"""What must not stop the doors: failures inside, small messages that grow, too many who look on."""

from __future__ import annotations

import contextlib
import socket
import threading
import tracemalloc
from typing import TYPE_CHECKING

import msgspec
import pytest

from masterworker import wire
from masterworker.data import plain
from masterworker.errors import (
    CredentialError,
    MalformedError,
    NotTrustedError,
    TransportError,
    UsageError,
)
from masterworker.security import credentials
from masterworker.security.peer import Role
from masterworker.transport import gate as gates
from masterworker.transport.address import Address
from masterworker.transport.pyro import messages, server
from masterworker.transport.pyro.connection import connect
from security.attackers import Target, descriptors, frame, inside
from security.handshakes import credential

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from masterworker.security.credentials import Credential


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as made:
        yield made


@pytest.fixture
def two_doors(tmp_path: Path) -> Iterator[Target]:
    """It listens at a private socket, too."""
    with Target(str(tmp_path / "s")) as made:
        yield made


@pytest.fixture
def observer(target: Target) -> Credential:
    return credential(credentials.authority(), Role.OBSERVER, target.manager.instance)


def test_a_failure_inside_does_not_end_the_gate(
    target: Target, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory may be short, or a module be replaced by an upgrade."""
    target.still_works()
    real, failures = target.gate._context, [MemoryError(), ImportError("gone"), KeyError(7)]

    def failing() -> object:
        if failures:
            raise failures.pop()
        return real()

    monkeypatch.setattr(target.gate, "_context", failing)
    target.dial().close()  # those who are dropped try again
    assert not failures
    assert caplog.text.count("the gate stumbled, and goes on") == 3
    target.still_works()


def test_a_gate_without_a_thread_leaves_nothing_behind(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = descriptors()

    def refused(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        for _ in range(20):
            with pytest.raises(RuntimeError):
                gates.Gate([], lambda: None, lambda _: "", lambda *_: None)  # type: ignore[arg-type,return-value]
    assert descriptors() <= before


def test_a_certificate_that_cannot_be_renewed_is_used_on(
    target: Target, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The home folder may be away for a moment; it is looked at again, but not for everybody."""
    target.dial().close()
    ours = credentials.user_credential(Role.WORKER)
    asked: list[Role] = []

    def away(role: Role) -> Credential:
        asked.append(role)
        raise CredentialError("the folder is away")

    monkeypatch.setattr(credentials, "user_credential", away)
    target.server._credentials._again = 0.0
    for _ in range(3):
        target.dial(ours).close()
    assert asked == [Role.MASTER]
    assert "was not renewed: the folder is away" in caplog.text


# -- messages that are small and become large ----------------------------------------------------

MANY = 200_000
MAPS = b"\xdd" + MANY.to_bytes(4, "big") + b"\x80" * MANY  # a list of empty maps


@pytest.mark.parametrize("place", ["operation", "arguments", "arguments of join", "named"])
def test_a_request_is_not_decoded_into_whatever_it_says(place: str) -> None:
    """64 bytes for each empty map, and the square of the time for keys that collide."""
    join, census, nothing = b"\xa4join", b"\xa6census", b"\x90"
    pair, named = {
        "operation": (b"\x92" + MAPS + nothing, b"\x80"),
        "arguments": (b"\x92" + census + MAPS, b"\x80"),
        "arguments of join": (b"\x92" + join + b"\x91" + MAPS, b"\x80"),
        "named": (b"\x92" + census + nothing, b"\x81\xa1a" + MAPS),
    }[place]
    body = b"\x94\xa1x\xa4call" + pair + named
    tracemalloc.start()
    with contextlib.suppress(UsageError, TransportError):
        asked = messages.read_request(body)
        wire.check(asked.operation, asked.args)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(body)


def test_a_join_of_another_version_is_named_all_the_same() -> None:
    packed = msgspec.Raw(msgspec.msgpack.encode([77, "3.20", "9.9", {"new": "shape"}]))
    with pytest.raises(TransportError, match=r"speaks protocol 77 \(masterworker 9\.9\)"):
        wire.check("join", packed)


def test_an_observer_asks_short_questions(target: Target, observer: Credential) -> None:
    long = frame(b"x" * (server.LONGEST_QUESTION + 1))
    with inside(target, observer) as sock, contextlib.suppress(OSError):
        sock.sendall(long)
        assert sock.recv(100) == b""
    assert target.calls == []
    target.still_works()


@pytest.mark.parametrize("kind", [set, frozenset, dict.fromkeys])
def test_plain_data_with_keys_that_collide_is_refused(kind: type) -> None:
    """All multiples of the modulus of Python's hash have the hash 0."""
    alike = [k * (2**61 - 1) for k in range(2 * plain.MOST_ALIKE)]
    with pytest.raises(MalformedError, match="collide"):
        plain.decode(plain.encode(kind(alike)))
    many = kind(range(100_000))
    assert plain.decode(plain.encode(many)) == many


# -- too many who look on ------------------------------------------------------------------------


def test_an_observer_cannot_take_all_connections(target: Target, observer: Credential) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(server.MOST_OBSERVING):
            stack.enter_context(contextlib.closing(target.dial(observer)))
        with pytest.raises(NotTrustedError, match="too many processes look on"):
            target.dial(observer)
        own = credential(credentials.authority(), Role.OBSERVER, target.manager.instance)
        stack.enter_context(contextlib.closing(target.dial(own)))  # somebody else's certificate
        target.still_works()


def test_connections_of_a_network_leave_room_for_the_users_own(
    two_doors: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "RESERVE", 1 << 40)
    with pytest.raises(NotTrustedError, match="no room for more connections"):
        connect(Address("127.0.0.1", two_doors.port), two_doors.label)
    private = connect(two_doors.address, two_doors.label)
    assert private.call("ping", -1) == [True, False]
    private.close()


def test_a_flood_of_the_private_door_is_not_a_flood_of_the_log(
    two_doors: Target, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What another user's connections meet; here everybody is another user."""
    monkeypatch.setattr(server, "user_of", lambda _: 12345)
    for _ in range(50):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(two_doors.address.socket)
            assert sock.recv(1) == b""
    assert caplog.text.count("of another user (id 12345) was refused") == 1
