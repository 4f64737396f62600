"""Whatever answers where a name server should be: who asks gets an error, soon, and lives."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import random
import re
import struct
import subprocess
import sys
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any

import Pyro5
import pytest

from masterworker import Master
from masterworker.cli import exit_codes
from masterworker.errors import TransportError
from masterworker.master import engine_of
from masterworker.transport.pyro import names
from masterworker.transport.pyro.names import NameServer
from security import attackers
from security.attackers import INVOKE, JSON, MARSHAL, MSGPACK, RESULT, SERPENT, annotation
from security.commands import task_manager, wrong
from security.impostors import Impostor
from support import HANG, unique_label

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    Answer = Callable[[Impostor, socket.socket], None]

#: What a client of ours speaks, so a name server answers in it.
frame = functools.partial(attackers.frame, serializer=JSON)
WELCOME, LETS_NOBODY_IN = 2, 3
EXCEPTION, COMPRESSED, BATCH, STREAM, CORR_ID = 1, 2, 8, 16, 64
#: Ends an interpreter that reads it with marshal.
CRASH = b"\xa9\x02>" + struct.pack("<i", 1) + b"r" + struct.pack("<i", 0) + b"N"
HELLO = b'{"handshake": "hello", "meta": {}}'
URI = ["PYRO", "TaskManager.x", None, "127.0.0.1", 7766]


def numbered(message: bytes, number: int) -> bytes:
    """A message as the reply to this request."""
    return message[:10] + struct.pack("!H", number) + message[12:]


def received(sock: socket.socket) -> int:
    """Read a message; its number."""
    head = b""
    while len(head) < 40:
        piece = sock.recv(40 - len(head))
        if not piece:
            raise ConnectionResetError
        head += piece
    left = sum(struct.unpack_from("!II", head, 12))
    while left:
        left -= len(sock.recv(left))
    return int(struct.unpack_from("!H", head, 10)[0])


def saying(hello: bytes, *replies: bytes) -> Answer:
    """A server that says this to a greeting, and that to each request, the last one repeatedly."""

    def answer(_: Impostor, sock: socket.socket) -> None:
        sock.sendall(numbered(hello, received(sock)))
        for at in itertools.count():
            number = received(sock)
            sock.sendall(numbered(replies[min(at, len(replies) - 1)], number))

    return answer


def answering(value: Any, **header: Any) -> Answer:
    """A server that lets everybody in and answers this to each request."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return saying(frame(HELLO, kind=WELCOME), frame(body, **{"kind": RESULT, **header}))


def raised(kind: str, **more: Any) -> Answer:
    told = {"__class__": kind, "__exception__": True, "args": [], "attributes": {}, **more}
    return answering(told, flags=EXCEPTION)


def dripping(beginning: bytes) -> Answer:
    """A server that says a beginning at once, and the rest a byte at a time for ever."""

    def answer(_: Impostor, sock: socket.socket) -> None:
        received(sock)
        sock.sendall(beginning)
        pause = threading.Event()
        while True:
            sock.sendall(b"x")
            pause.wait(0.05)

    return answer


def greeting(message: bytes) -> Answer:
    return saying(message, b"")


BOMB = zlib.compress(b'"' + b"x" * (100 << 20) + b'"', 9)
ENDS = ("KeyboardInterrupt", "GeneratorExit", "SystemExit", "MemoryError", "StopIteration")

HOSTILE: dict[str, Answer] = {
    "marshal in the greeting": greeting(frame(CRASH, kind=WELCOME, serializer=MARSHAL)),
    "a refusal in marshal": greeting(frame(CRASH, kind=LETS_NOBODY_IN, serializer=MARSHAL)),
    "a compressed greeting": greeting(frame(BOMB, kind=WELCOME, flags=COMPRESSED)),
    "a greeting of 4 GB": greeting(frame(b"", kind=WELCOME, size=0xFFFFFFFF)),
    "annotations of 4 GB": greeting(frame(b"", kind=WELCOME, annotations_size=0xFFFFFFFF)),
    "a reply to no greeting": greeting(frame(HELLO, kind=RESULT)),
    "another program": greeting(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(40)),
    "another version": greeting(frame(HELLO, kind=WELCOME, version=501)),
    "another magic": greeting(frame(HELLO, kind=WELCOME, magic=1)),
    "the end": lambda _, sock: received(sock) and None,
    "marshal": answering(CRASH, serializer=MARSHAL),
    "serpent": answering(b"# serpent utf-8 python3.2\n'x'", serializer=SERPENT),
    "msgpack": answering(b"\x81\xa1a\xa1b", serializer=MSGPACK),
    "compressed": answering(BOMB, flags=COMPRESSED),
    "a batch": answering([], flags=BATCH),
    "a stream": answering({}, flags=EXCEPTION | STREAM, annotations=annotation(b"STRM", b"1")),
    "another kind": answering({}, kind=INVOKE),
    "too long": answering(bytes(1 << 20)),
    "deep": answering(b"[" * 500_000),
    "deep in a place": answering(
        b'{"__class__":"Pyro5.core.URI","x":' + b"[" * 400_000 + b"]" * 400_000 + b"}"
    ),
    "deep in an exception": answering(
        b'{"x":' + b"[" * 400_000 + b"]" * 400_000 + b',"__class__":"x"}', flags=EXCEPTION
    ),
    "a beginning": answering(b'{"TaskManager.a": "PYRO:'),
    "values that are numbers": answering(dict.fromkeys(map(str, range(1000)), 1)),
    "a long number": answering(b"1" * 100_000),
    "no number": answering(b"NaN"),
    "no text": answering(b'"\xff\xff"'),
    "half a character": answering(b'{"\\ud800": "x"}'),
    "two values": answering(b"{} {}"),
    "nothing at all": answering(b""),
    "a proxy": answering({"__class__": "Pyro5.client.Proxy", "state": URI}),
    "a state too short": answering({"__class__": "Pyro5.core.URI", "state": URI[:3]}),
    "an exception that is none": answering("x", flags=EXCEPTION),
    "an exception with a strange name": raised("\x1b[2Jevil\n"),
    "an exception with a long name": raised("x" * 100_000),
    "not a naming error": raised("Pyro5.errors.NamingErrors"),
    "attributes": raised("builtins.ValueError", attributes={"__class__": 1}),
    **{f"builtins.{name}": raised(f"builtins.{name}", args=[0]) for name in ENDS},
}

#: Calls of everything that a name server is asked for.
ASKED: list[Callable[[NameServer], Any]] = [
    lambda server: server.lookup("x"),
    lambda server: server.labels(),
    lambda server: server.register("x", "PYRO:TaskManager.x@127.0.0.1:1"),
    lambda server: server.remove("x", "PYRO:TaskManager.x@127.0.0.1:1"),
]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], Any]:
    """Makes a server the one that everything in this test takes for the name server."""

    @contextlib.contextmanager
    def running(answer: Answer) -> Iterator[Impostor]:
        with Impostor(answer) as impostor:
            monkeypatch.setattr(Pyro5.config, "NS_HOST", "127.0.0.1")
            monkeypatch.setattr(Pyro5.config, "NS_PORT", impostor.port)
            monkeypatch.setenv("PYRO_NS_HOST", "127.0.0.1")
            monkeypatch.setenv("PYRO_NS_PORT", str(impostor.port))
            yield impostor

    return running


def refused(call: Callable[[NameServer], Any]) -> str:
    """What the error says that a call ends with: one line that can be shown."""
    server = NameServer()
    with pytest.raises(TransportError) as caught:
        call(server)
    told = str(caught.value)
    assert told.isprintable(), repr(told)
    assert len(told) < 300
    assert server.where in told
    return told


@pytest.mark.parametrize("mode", HOSTILE)
def test_nothing_but_a_transport_error_comes_out(at: Any, mode: str) -> None:
    with at(HOSTILE[mode]):
        for call in ASKED:
            refused(call)


@pytest.mark.parametrize(
    "header", [b"", numbered(frame(b"", kind=WELCOME, size=1_000_000), 0)], ids=["head", "body"]
)
def test_a_slow_answer_is_not_waited_for(
    at: Any, header: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is one moment at which all waiting ends, however often something comes."""
    monkeypatch.setattr(names, "TIMEOUT", 0.3)
    with at(dripping(header)):
        for call in ASKED:
            began = time.monotonic()
            assert "no name server answers" in refused(call)
            assert time.monotonic() - began < HANG


def test_the_unknown_is_told_from_the_refused(at: Any) -> None:
    """A stock server says it with a class of its own; which package it calls home is its affair."""
    for kind in ("Pyro5.errors.NamingError", "NamingError"):
        with at(raised(kind, args=["unknown name: x"])):
            assert NameServer().lookup("x") is None
            NameServer().remove("x", "PYRO:x@h:1")
            assert "NamingError" in refused(ASKED[2])
    with at(raised("sqlite3.OperationalError")):
        assert "refuses this (sqlite3.OperationalError)" in refused(ASKED[0])


def test_annotations_are_passed_over(at: Any) -> None:
    """A stock server may send some, and an id along with every reply."""
    place = {"__class__": "Pyro5.core.URI", "state": URI, "more": [1, {"a": None}]}
    extra = annotation(b"ABCD", b"x" * 1000)
    with at(answering(place, annotations=extra, flags=CORR_ID)):
        assert str(NameServer().lookup("x")) == "127.0.0.1:7766"


@pytest.mark.parametrize(
    "state",
    [
        ["PYROMETA", ["a", "b"], None, None, None],
        ["PYRO", "x", "/tmp/socket", None, None],
        ["PYRO", "x", None, "h" * 500_000, 1],
        ["PYRO", "x", None, "h\nh", 1],
        ["PYRO", "x", None, "h", 0],
        ["PYRO", "x", None, "h", 1 << 63],
        ["PYRO", "x", None, "h", -1],
        ["PYRO", "x", None, "]h[", 1],
        ["PYRO", "x", None, "", 1],
    ],
    ids=lambda state: repr(state)[:40],
)
def test_places_that_nobody_can_go_to(at: Any, state: list[Any]) -> None:
    with at(answering({"__class__": "Pyro5.core.URI", "state": state})):
        assert NameServer().lookup("x") is None


def test_lists_that_cost_time(at: Any) -> None:
    """Texts for which a pattern may need the square, or worse, of their length."""
    hard = {
        "TaskManager.a": "PYRO:" + "@" * 400_000 + "\n\n",
        "TaskManager." + "%" * 200_000: "PYRO:x@h:1",
        "TaskManager.b": "PYRO:x@" + "[" * 100_000,
        "TaskManager.c": "PYRO:x@h:" + "9" * 100_000,
        "TaskManager.d": "PYRO:x@h:1\n",
        "TaskManager.good": "PYRO:x@h:1",
    }
    with at(answering(hard)):
        assert list(NameServer().labels()) == ["good"]


def test_random_answers(at: Any) -> None:
    """Of bytes in a right frame, and of a right answer in which bytes are others."""
    rng = random.Random(20240229)
    entries = json.dumps({"TaskManager.a": "PYRO:TaskManager.a@h:1"}).encode()
    place = json.dumps({"__class__": "Pyro5.core.URI", "state": URI}).encode()

    def any_answer(_: Impostor, sock: socket.socket) -> None:
        sock.sendall(numbered(frame(HELLO, kind=WELCOME), received(sock)))
        while True:
            number = received(sock)
            body = bytearray(rng.choice([entries, place, rng.randbytes(rng.randrange(60))]))
            whole = bytearray(numbered(frame(bytes(body), kind=RESULT), number))
            for _ in range(rng.randrange(4)):
                whole[rng.randrange(40 if rng.random() < 0.2 else len(whole))] = rng.randrange(256)
            sock.sendall(whole)
            if len(whole) < 2000:
                return

    with at(any_answer):
        for call in ASKED * 50:
            with contextlib.suppress(TransportError):
                call(NameServer())


@pytest.mark.parametrize(
    "mode", ["marshal in the greeting", "marshal", "builtins.KeyboardInterrupt", "compressed"]
)
def test_programs_live_on(at: Any, mode: str) -> None:
    """The same, of whole programs: none is killed, nor takes up memory."""
    program = (
        "from masterworker import Master\n"
        "with Master('of its own', name_server=True) as master:\n"
        # not getrusage: there a process begins with the peak of the one that has forked it
        "    print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
    )
    with at(HOSTILE[mode]):
        said = task_manager("show", "somebody")
        assert "the name server at" in wrong(said, exit_codes.NOT_FOUND)
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True, text=True, timeout=HANG, env=dict(os.environ), check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200_000, "kB"
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert re.search(r"the job goes on without", done.stderr)


def test_a_master_starts_and_ends_beside_one_that_drips(
    at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "TIMEOUT", 0.3)
    with at(dripping(b"")), Master(unique_label(), name_server=True) as master:
        assert engine_of(master).endpoint.registered is None


def test_a_host_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """What PYRO_NS_HOST and PYRO_NS_PORT say is not looked at before."""
    for host, port in (("a..b", 1), ("x" * 300, 1), ("nobody.invalid", 1), ("127.0.0.1", 99999)):
        monkeypatch.setattr(Pyro5.config, "NS_HOST", host)
        monkeypatch.setattr(Pyro5.config, "NS_PORT", port)
        with pytest.raises(TransportError, match="no name server answers at"):
            NameServer().labels()
