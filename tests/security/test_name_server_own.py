"""`task_manager nameserver`: who reaches it cannot end it, hold it, or fill it without bound."""

from __future__ import annotations

import contextlib
import itertools
import random
import signal
import socket
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack
import psutil
import Pyro5
import pytest
from Pyro5 import errors as pyro_errors
from Pyro5.api import Proxy

from masterworker import Master
from masterworker.cli import exit_codes
from masterworker.transport.pyro import directory, frames
from masterworker.transport.pyro.directory import Directory, Refused
from masterworker.transport.pyro.names import LARGEST, NameServer
from security.attackers import (
    CONNECT,
    HOST,
    JSON,
    MARSHAL,
    MSGPACK,
    PING,
    SERPENT,
    annotation,
    frame,
    hung_up,
    plain,
    said,
)
from security.commands import task_manager
from security.test_name_server_hostile import CRASH
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HELLO = frame(msgpack.packb({"handshake": "hello", "object": "Pyro.NameServer"}), kind=CONNECT)
COMPRESSED, ONEWAY, BATCH, BLOB = 2, 4, 8, 32


class Own(NamedTuple):
    port: int
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def server() -> Iterator[Own]:
    """One for all tests here: what one of them does to it, the others find."""
    with subprocess.Popen(
        [sys.executable, "-m", "masterworker.cli", "nameserver", "--host", HOST, "--port", "0"],
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            yield Own(int(process.stderr.readline().split()[3].rpartition(":")[2]), process)
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(HANG) == exit_codes.INTERRUPTED
            assert process.stderr.read() == ""
        finally:
            process.kill()


@pytest.fixture
def own(server: Own, monkeypatch: pytest.MonkeyPatch) -> Own:
    """It is the name server of this test."""
    monkeypatch.setattr(Pyro5.config, "NS_HOST", HOST)
    monkeypatch.setattr(Pyro5.config, "NS_PORT", server.port)
    monkeypatch.setenv("PYRO_NS_HOST", HOST)
    monkeypatch.setenv("PYRO_NS_PORT", str(server.port))
    return server


def still_answers() -> None:
    label = unique_label("still there")
    uri = f"PYRO:TaskManager.x@{HOST}:1"
    server = NameServer()
    server.register(label, uri)
    assert str(server.lookup(label)) == f"{HOST}:1"
    assert label in server.labels()
    server.remove(label, uri)
    assert server.lookup(label) is None


def request(method: str, *args: Any, **more: Any) -> bytes:
    return frame(msgpack.packb(("Pyro.NameServer", method, args, more)))


def stock(port: int) -> Any:
    proxy = Proxy(f"PYRO:Pyro.NameServer@{HOST}:{port}")
    proxy._pyroSerializer = "msgpack"
    return proxy


DEEP = b"\x91" * 10_000 + b"\x90"
GREETINGS = {
    "marshal": frame(CRASH, kind=CONNECT, serializer=MARSHAL),
    "serpent": frame(b"[" * 5000, kind=CONNECT, serializer=SERPENT),
    "json": frame(b"[" * 5000, kind=CONNECT, serializer=JSON),
    "an unknown serialiser": frame(b"x", kind=CONNECT, serializer=42),
    "compressed": frame(zlib.compress(bytes(9_000_000)), kind=CONNECT, flags=COMPRESSED),
    "deep": frame(DEEP, kind=CONNECT),
    "deep in a map": frame(b"\x82\xa1x" + DEEP + b"\xa6object\xa1x", kind=CONNECT),
    "numbers": frame(msgpack.packb(dict.fromkeys(range(1000))), kind=CONNECT),
    "another object": frame(msgpack.packb({"object": "Pyro.Daemon"}), kind=CONNECT),
    "long": frame(bytes(20_000), kind=CONNECT),
    "4 GB": frame(b"", kind=CONNECT, size=0xFFFFFFFF),
    "4 GB of annotations": frame(b"", kind=CONNECT, annotations_size=0xFFFFFFFF),
    "a request": request("ping"),
    "a ping": frame(b"", kind=PING),
    "no message": b"GET / HTTP/1.0\r\n\r\n" + bytes(100),
}
REQUESTS = {
    "marshal": frame(CRASH, serializer=MARSHAL),
    "serpent": frame(b"-" * 10_000, serializer=SERPENT),
    "json": frame(b"[" * 10_000, serializer=JSON),
    "compressed": frame(zlib.compress(bytes(9_000_000)), flags=COMPRESSED),
    "one way": frame(b"", flags=ONEWAY),
    "a batch": frame(b"", flags=BATCH),
    "a blob": frame(CRASH, flags=BLOB, annotations=annotation(b"BLBI", CRASH)),
    "a second greeting": HELLO,
    "long": frame(bytes(20_000)),
}
#: Answered with an exception; what follows on the connection is served.
REFUSED = {
    "deep": frame(DEEP),
    "nothing": frame(b""),
    "an extension": frame(b"\xc7\x01\x31x"),
    "lists": request("lookup", ["x"]),
    "maps": request("lookup", {1: 2}),
    "a class": request("register", "x", {"__class__": "Pyro5.core.URI", "state": []}),
    "an exception": request(
        "lookup", {"__class__": "builtins.SystemExit", "__exception__": True, "args": []}
    ),
    "another object": frame(msgpack.packb(("Pyro.Daemon", "shutdown", (), {}))),
    "no such method": request("everything"),
    "one of Python's": request("__getattr__", "storage"),
    "an inner one": request("_register", "x", "y"),
    "a pattern": request("list", regex="(a+)+$"),
    "a pattern to remove": request("remove", regex=".*"),
    "too many": request("ping", "x"),
    "twice": request("lookup", "x", name="x"),
    "another name": request("lookup", nobody="x"),
    "too few": request("lookup"),
    "no text": request("lookup", 1),
    "empty": request("register", "", "PYRO:x@h:1"),
    "a long name": request("register", "x" * 3001, "PYRO:x@h:1"),
    "a terminal's": request("register", "x\x1b[2J", "PYRO:x@h:1"),
    "a line": request("register", "x", "PYRO:x\ny@h:1"),
    "no address": request("register", "x", "PYRO:x@@@@"),
    "a socket": request("register", "x", "PYRO:x@./u:/tmp/x"),
    "tags": request("register", "x", "PYRO:x@h:1", metadata="x"),
}


@pytest.mark.parametrize("greeting", GREETINGS)
def test_bad_greetings(own: Own, greeting: str) -> None:
    with plain(own.port) as sock:
        sock.sendall(GREETINGS[greeting])
        heard = said(sock)
    assert heard[6:7] in {b"", b"\3"}, "he is not let in"
    still_answers()


@pytest.mark.parametrize("bad", REQUESTS)
def test_bad_requests(own: Own, bad: str) -> None:
    with plain(own.port) as sock:
        sock.sendall(HELLO)
        assert sock.recv(65536)[6] == 2
        sock.sendall(REQUESTS[bad])
        assert said(sock) == b""
    still_answers()


@pytest.mark.parametrize("bad", REFUSED)
def test_requests_that_cannot_be(own: Own, bad: str) -> None:
    before = NameServer().labels()
    with plain(own.port) as sock:
        sock.sendall(HELLO)
        assert sock.recv(65536)[6] == 2
        for _ in range(2):
            sock.sendall(REFUSED[bad])
            answer = sock.recv(65536)
            assert answer[6:10] == bytes([5, MSGPACK, 0, 1])
            assert msgpack.unpackb(answer[40:])["__exception__"]
    assert NameServer().labels() == before


def test_random_bytes(own: Own) -> None:
    rng = random.Random(53)
    good = [HELLO, request("list", "TaskManager."), request("register", "x", "PYRO:x@h:1")]
    for _ in range(200):
        with plain(own.port) as sock, contextlib.suppress(ConnectionError):
            sock.sendall(HELLO if rng.random() < 0.7 else b"")
            whole = bytearray(rng.choice(good))
            for _ in range(rng.randrange(5)):
                whole[rng.randrange(len(whole))] = rng.randrange(256)
            sock.sendall(whole)
    still_answers()


def test_silent_and_slow_connections_do_not_hold_it(own: Own) -> None:
    """More than it serves at a time: whoever is new gets in, and the oldest goes."""
    with contextlib.ExitStack() as stack:
        silent = []
        for number in range(directory.CONNECTIONS * 3):
            sock = stack.enter_context(plain(own.port))
            sock.sendall([b"", b"P", HELLO[:41], HELLO][number % 4])
            silent.append(sock)
            if number % 20 == 0:
                still_answers()
        still_answers()
        wait_until(lambda: hung_up(silent[0]), what="the oldest is dropped")
    threads = psutil.Process(own.process.pid).num_threads
    wait_until(lambda: threads() < 5, what="its threads end")


def test_who_says_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the greeting as before it."""
    monkeypatch.setattr(directory, "PATIENCE", 0.1)
    for begin in (b"", HELLO[:50], HELLO, HELLO + request("ping")):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(begin)
            with pytest.raises(TimeoutError):
                directory._converse(frames.Line(theirs, 0.0), Directory())


def fill(full: Directory, size: int) -> None:
    """Enter names of this length for ever."""
    for number in itertools.count():
        name = f"{number}".ljust(size, "\u00e9")
        full.call("register", [name, f"PYRO:{name}@h:1"], {})


@pytest.mark.parametrize("size", [1, 500, 2900])
def test_it_has_only_so_much_room(size: int) -> None:
    """However short or long the names are, all of them can be listed, and taken out again."""
    full = Directory()
    with pytest.raises(Refused, match="full"):
        fill(full, size)
    for metadata in (False, True):
        found = full.call("list", [], {"return_metadata": metadata})
        assert LARGEST // 2 < len(msgpack.packb(found)) < LARGEST
    first = next(iter(found))
    assert full.call("register", [first, "PYRO:x@h:1"], {}) is None, "no longer than before"
    for name in found:
        assert full.call("remove", [name], {}) == 1
    assert full._taken == 0


def test_a_job_is_found_by_it(own: Own, tmp_path: Path) -> None:
    label = unique_label("found")
    with Master(label, name_server=True) as master:
        assert master.registered is not None
        assert master.server is not None
        found = NameServer().lookup(label)
        assert found is not None
        assert found.port == master.server.port
        tmp_path.chmod(0o700)
        elsewhere = {"MASTERWORKER_RUNTIME": str(tmp_path)}  # its notice is not here
        status, out, err = task_manager("list", "-v", **elsewhere)
        assert (status, err) == (exit_codes.OK, "")
        assert f"{label}  1 active process  at {HOST}:{found.port}" in out
    assert NameServer().lookup(label) is None


def test_clients_of_pyro_can_use_it(own: Own) -> None:
    """With msgpack. Names, texts of addresses, and errors are as from Pyro's own."""
    name, uri = unique_label("TaskManager.x").replace(" ", ""), "PYRO:x@[::1]:5"
    with stock(own.port) as proxy:
        proxy.ping()
        before = proxy.count()
        assert proxy.register(name, uri) is None
        assert str(proxy.lookup(name)) == uri
        assert str(proxy.lookup(name, return_metadata=True)[0]) == uri
        assert proxy.list(prefix=name) == {name: uri}
        assert proxy.list(return_metadata=True)[name] == [uri, []]
        assert proxy.count() == before + 1
        with pytest.raises(pyro_errors.NamingError, match="already registered"):
            proxy.register(name, uri, safe=True)
        assert proxy.remove(name) == 1
        assert proxy.remove(name) == 0
        with pytest.raises(pyro_errors.NamingError, match="unknown name"):
            proxy.lookup(name)
        with pytest.raises(TypeError, match="regex"):
            proxy.list(regex="x")


@pytest.mark.parametrize("serializer", ["serpent", "json", "marshal"])
def test_clients_that_speak_something_else_are_told(own: Own, serializer: str) -> None:
    with Proxy(f"PYRO:Pyro.NameServer@{HOST}:{own.port}") as proxy:
        proxy._pyroSerializer = serializer
        with pytest.raises(pyro_errors.CommunicationError, match="PYRO_SERIALIZER=msgpack"):
            proxy.ping()


def test_a_system_without_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on when there are some again."""
    told: list[str] = []

    class Listener:
        fails = 3

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def getsockname(self) -> tuple[str, int]:
            return HOST, 5

        def accept(self) -> Any:
            Listener.fails -= 1
            if Listener.fails < 0:
                raise KeyboardInterrupt
            raise OSError(24, "Too many open files")

    monkeypatch.setattr(directory, "_PAUSE", 0.0)
    monkeypatch.setattr(directory, "_listen", lambda *_: Listener())
    directory.serve(HOST, 0, told.append)
    assert told == [f"{HOST}:5"]
    assert Listener.fails == -1
