"""`task_manager nameserver`, and stock ones: who finds them, and what strangers do to ours."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import msgpack
import Pyro5
import Pyro5.api
import pytest
from Pyro5 import errors as pyro_errors
from Pyro5.api import Proxy

from masterworker import Master
from masterworker.cli import exit_codes
from masterworker.master import engine_of
from masterworker.transport.pyro.names import NameServer
from security.attackers import (
    CONNECT,
    HOST,
    JSON,
    MARSHAL,
    MSGPACK,
    PING,
    SERPENT,
    frame,
    plain,
    said,
)
from security.commands import task_manager
from security.test_name_server_hostile import CRASH
from support import HANG, unique_label

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OURS = ["-m", "masterworker.cli", "nameserver", "--port", "0"]
#: Pyro's own, and where only Pyro5 is installed, which needs no msgpack.
STOCK = "from Pyro5.nameserver import main; main(['-n', 'localhost', '-p', '0'])"
BARE = "import sys; sys.modules['msgpack'] = None; " + STOCK


class Running(NamedTuple):
    port: int
    process: subprocess.Popen[str]


@contextlib.contextmanager
def running(*words: str, where: str = "localhost") -> Iterator[Running]:
    """A name server in a process of its own, and where it says that it is."""
    with subprocess.Popen(
        [sys.executable, "-u", *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            line = ""
            while "name server at" not in line and "NS running on" not in line:
                line = process.stdout.readline()
                assert line, process.wait(HANG)
            yield Running(int(line.split(f"{where}:")[1].split()[0]), process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """One for all tests here: what one of them does to it, the others find."""
    with running(*OURS) as own:
        yield own
        assert own.process.poll() is None
        own.process.send_signal(signal.SIGINT)
        assert own.process.wait(HANG) == exit_codes.INTERRUPTED
        assert own.process.stdout is not None
        assert own.process.stdout.read() == "", "what strangers say is not printed"


def use(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in this test takes this one for the name server."""
    monkeypatch.setattr(Pyro5.config, "NS_HOST", "localhost")
    monkeypatch.setattr(Pyro5.config, "NS_PORT", port)
    monkeypatch.setenv("PYRO_NS_HOST", "localhost")
    monkeypatch.setenv("PYRO_NS_PORT", str(port))


@pytest.fixture
def own(server: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """It is the name server of this test."""
    use(server.port, monkeypatch)
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


@pytest.mark.parametrize(
    "words", [OURS, ["-c", STOCK], ["-c", BARE]], ids=["ours", "stock", "without msgpack"]
)
def test_a_job_is_found_by_it(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is entered, listed where its notice is not, and taken out in the end."""
    label = unique_label("found")
    with running(*words) as server:
        use(server.port, monkeypatch)
        still_answers()
        with Master(label, name_server=True) as master:
            assert engine_of(master).endpoint.registered is not None
            assert engine_of(master).server is not None
            found = NameServer().lookup(label)
            assert found is not None
            assert found.port == engine_of(master).server.port
            tmp_path.chmod(0o700)
            elsewhere = {"MASTERWORKER_RUNTIME": str(tmp_path)}
            status, out, err = task_manager("list", "-v", **elsewhere)
            assert (status, err) == (exit_codes.OK, "")
            assert f"{label}  1 active process  at {found}" in out
        assert NameServer().lookup(label) is None


def test_programs_find_it_as_they_find_the_name_server(own: Running) -> None:
    """Also one that looks for it itself, with whatever Pyro is configured for."""
    program = "import Pyro5.api; print(sorted(Pyro5.api.locate_ns().list())[0])"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=True)
    assert done.stdout == "Pyro.NameServer\n"


def test_programs_find_it_at_another_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a broadcast, which it answers where it listens for others than this machine's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("", 0))
        monkeypatch.setenv("PYRO_NS_BCPORT", str(free.getsockname()[1]))
    monkeypatch.setenv("PYRO_BROADCAST_ADDRS", "0.0.0.0,127.255.255.255")
    program = "import Pyro5.api; print(Pyro5.api.locate_ns()._pyroUri)"
    with running(*OURS, "--host", "127.0.0.7", where="127.0.0.7") as server:
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=True)
    assert done.stdout == f"PYRO:Pyro.NameServer@127.0.0.7:{server.port}\n"


@pytest.mark.parametrize("serializer", ["serpent", "json", "msgpack"])
def test_clients_of_pyro_can_use_it(own: Running, serializer: str) -> None:
    """In whatever they speak, with all that a name server of Pyro's can do."""
    name, uri = unique_label("x").replace(" ", ""), "PYRO:x@[::1]:5"
    with Proxy(f"PYRO:Pyro.NameServer@localhost:{own.port}") as proxy:
        proxy._pyroSerializer = serializer
        proxy.ping()
        before = proxy.count()
        proxy.register(name, uri, metadata=["a tag"])
        assert str(proxy.lookup(name)) == uri
        assert proxy.list(prefix=name) == {name: uri}
        assert proxy.yplookup(meta_any=["a tag"], return_metadata=False) == {name: uri}
        assert proxy.count() == before + 1
        with pytest.raises(pyro_errors.NamingError, match="already registered"):
            proxy.register(name, uri, safe=True)
        assert proxy.remove(name) == 1
        with pytest.raises(pyro_errors.NamingError, match="unknown name"):
            proxy.lookup(name)


HELLO = frame(b'{"handshake":"hello","object":"Pyro.NameServer"}', kind=CONNECT, serializer=JSON)
PING_CALL = {"object": "Pyro.NameServer", "method": "ping", "params": [], "kwargs": {}}
DEEP = b"\x91" * 10_000 + b"\x90"
#: Sent before the greeting, and after it.
BAD = {
    "marshal": frame(CRASH, kind=CONNECT, serializer=MARSHAL),
    "a call in marshal": frame(CRASH, serializer=MARSHAL),
    "serpent": frame(b"[" * 5000, kind=CONNECT, serializer=SERPENT),
    "a call in serpent": frame(b"-" * 10_000, serializer=SERPENT),
    "json": frame(b"[" * 5000, kind=CONNECT, serializer=JSON),
    "a call in json": frame(b"[" * 5000, serializer=JSON),
    "msgpack": frame(DEEP, kind=CONNECT, serializer=MSGPACK),
    "a call in msgpack": frame(DEEP, serializer=MSGPACK),
    "an unknown serialiser": frame(b"x", kind=CONNECT, serializer=42),
    "4 GB": frame(b"", kind=CONNECT, size=0xFFFFFFFF),
    "4 GB of annotations": frame(b"", kind=CONNECT, annotations_size=0xFFFFFFFF),
    "another object": frame(msgpack.packb({"handshake": "x", "object": "x"}), kind=CONNECT),
    "a ping": frame(b"", kind=PING),
    "no message": b"GET / HTTP/1.0\r\n\r\n" + bytes(100),
}


@pytest.mark.parametrize("greeted", [False, True], ids=["at once", "greeted"])
@pytest.mark.parametrize("bad", BAD)
def test_a_message_does_not_end_it(own: Running, bad: str, greeted: bool) -> None:
    """Of 53 bytes of marshal an interpreter dies; ours does not read them."""
    with plain(own.port) as sock, contextlib.suppress(OSError):  # it hangs up at once
        if greeted:
            sock.sendall(HELLO)
            assert sock.recv(65536)[6] == 2
        sock.sendall(BAD[bad])
        sock.shutdown(socket.SHUT_WR)
        said(sock)
    still_answers()


def test_random_bytes(own: Running) -> None:
    rng = random.Random(53)
    good = [HELLO, frame(json.dumps(PING_CALL).encode(), serializer=JSON)]
    for _ in range(100):
        with plain(own.port) as sock, contextlib.suppress(ConnectionError):
            sock.sendall(HELLO if rng.random() < 0.7 else b"")
            whole = bytearray(rng.choice(good))
            for _ in range(rng.randrange(5)):
                whole[rng.randrange(len(whole))] = rng.randrange(256)
            sock.sendall(whole)
    still_answers()


def test_it_listens_on_this_machine_alone(own: Running) -> None:
    """Unless it is told another address."""
    addresses = {
        info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    }
    for address in addresses - {HOST} - {f"127.0.{n}.1" for n in range(2)}:
        with socket.socket() as probe:
            assert probe.connect_ex((address, own.port)) != 0


def test_where_it_cannot_listen(own: Running) -> None:
    """One line, status 2: the port is taken, or no host can be called so."""
    for words in (["--port", str(own.port)], ["--host", "a..b"], ["--host", "nobody.invalid"]):
        status, out, err = task_manager("nameserver", *words)
        assert (status, out) == (exit_codes.USAGE, ""), err
        assert len(err.splitlines()) == 1, err
        assert "no name server can be at" in err
