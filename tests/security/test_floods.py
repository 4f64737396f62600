"""Many strangers, and slow ones: they delay newcomers for a moment, and nobody else."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

import pytest

from masterworker.errors import MasterNotFoundError, TransportError
from masterworker.security import tls
from masterworker.security.credentials import user_credential
from masterworker.security.peer import Role
from masterworker.transport import gate
from masterworker.transport.address import Address
from masterworker.transport.dialing import TRIES, dial
from masterworker.transport.pyro.connection import connect
from security.attackers import (
    HOST,
    Parsed,
    Records,
    Target,
    descriptors,
    hello,
    hung_up,
    nothing_happened,
    plain,
    said,
    threads,
)
from security.impostors import Impostor, resets
from support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from masterworker.client import Client


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

    def __enter__(self) -> Self:
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

    def __enter__(self) -> Self:
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


def test_what_was_ready_for_another_one_is_no_reason_to_refuse(target: Target) -> None:
    """Numbers of connections are used again, in the same round even."""
    with plain(target.port):
        wait_until(lambda: target.strangers() == 1)
        for stranger in list(target.gate._strangers.values()):
            target.gate._hear(stranger)
        assert target.strangers() == 1
        assert target.counts["refused"] == 0


@pytest.mark.parametrize("door", ["gate", "private socket"])
def test_a_service_that_cannot_be_made_ends_nothing_else(door: str, tmp_path: Path) -> None:
    with Target(str(tmp_path / "s")) as target:
        address = target.address._replace(socket="")
        if door == "private socket":
            address = Address(socket=target.address.socket)
        good, target.server._factory = target.server._factory, lambda _: 1 / 0
        with contextlib.closing(connect(address, target.label)) as connection:
            with pytest.raises(TransportError):
                connection.call("census")
            target.server._factory = good
        with contextlib.closing(connect(address, target.label)) as connection:
            assert connection.call("instance", "")[0]


def test_a_gate_that_cannot_be_opened_is_opened_later(
    monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    """The system is out of file descriptors, for a while."""
    real, tried = gate.Gate, []

    def sometimes(*args: object) -> gate.Gate:
        tried.append(args)
        if len(tried) < 3:
            raise OSError(24, "Too many open files")
        return real(*args)

    monkeypatch.setattr(gate, "Gate", sometimes)
    target.still_works()
    assert len(tried) == 3


# -- the client's side of a crowd --------------------------------------------------------------


# A socket that is reset while Python makes a TLS socket of it is left to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_reset_in_the_middle_is_tried_again() -> None:
    """A gate that drops us hangs up hard; that is no reason to distrust it, or to give up."""
    for _ in range(3):
        with Impostor(resets) as other:
            with pytest.raises(MasterNotFoundError, match="busy with strangers"):
                dial(Address(HOST, other.port))
            wait_until(lambda server=other: len(server.heard) >= TRIES)
