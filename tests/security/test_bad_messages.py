"""Messages that nobody of ours would send, from peers that have been let in."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from masterworker.security.credentials import authority
from masterworker.security.peer import Role
from masterworker.transport.pyro import messages
from masterworker.transport.pyro.link import Link
from security.attackers import (
    GOOD,
    JSON,
    MARSHAL,
    SERPENT,
    Bomb,
    Records,
    Target,
    annotation,
    frame,
    inside,
    memory,
    said,
)
from security.handshakes import credential
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MB = 1 << 20


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with Target() as made:
        made.still_works()
        yield made


# -- C6, C8: peers that have been let in -------------------------------------------------------


def odd_frames(bomb: Bomb) -> dict[str, bytes]:
    """What stock Pyro5 understands, and we do not."""
    body = msgspec.msgpack.encode(("TaskManager.x", "call", ["census", []], {}))
    return {
        "serpent": frame(b"('x', 'call', ('census',), {})", serializer=SERPENT),
        "marshal": frame(b"\xe3" + b"\xff" * 100, serializer=MARSHAL),
        "json": frame(b'{"object": "x"}', serializer=JSON),
        "pickle": frame(bomb.pickled(), serializer=5),
        "our body, as marshal": frame(body, serializer=MARSHAL),
        "our body, as of nobody": frame(body, serializer=77),
        "connect": frame(body, kind=1),
        "ping": frame(body, kind=6),
        "a reply": frame(body, kind=5),
        "compressed": frame(b"x\x9c" + b"\xff" * 1000, flags=2),
        "oneway": frame(body, flags=4),
        "batch": frame(body, flags=8),
        "stream": frame(body, flags=16),
        "kept serialized": frame(body, flags=32),
        "unknown flags": frame(body, flags=0x8000),
        "a million annotations": frame(body, annotations=annotation() * 1_000_000),
        "a piece of an annotation": frame(body, annotations=b"LAR"),
        "annotations of 1 GiB": frame(annotations_size=(1 << 30) - 1),
        "over the limit": frame(size=(1 << 30) + 1),
        "4 GiB": frame(size=2**32 - 1),
        "another version": frame(body, version=501),
        "not msgpack": frame(b"\xc1" * 100),
        "not a request": frame(b"\x01"),
        "deeply nested": frame(b"\x94\xa1x\xa4call" + b"\x91" * 100_000),
        "wrong types": frame(msgspec.msgpack.encode((1, 2, 3, 4))),
    }


def test_odd_frames_end_the_connection(target: Target, tmp_path: Path) -> None:
    """Before their body is read, where the header says it all; the service hears nothing."""
    bomb = Bomb(tmp_path / "went off")
    frames = odd_frames(bomb)
    asked, state, base = list(target.calls), target.state(), memory()
    with Records() as log:
        for name, data in frames.items():
            with inside(target) as sock:
                sock.settimeout(10.0)
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    sock.sendall(data)
                assert said(sock) == b"", name
        wait_until(lambda: len(log.texts) >= len(frames))
    assert all(text.startswith("a connection is closed: ") for text in log.texts), log.texts
    assert target.calls == asked
    assert memory() - base < 50 * MB
    assert not bomb.went_off
    assert target.state() == state


@pytest.mark.parametrize("size", [1_000_000_000, 1 << 30])
@pytest.mark.parametrize("more", [b"", b"x" * 100_000], ids=["nothing", "a little"])
def test_a_header_claims_no_memory(target: Target, size: int, more: bytes) -> None:
    """A gigabyte is announced, and never comes: no memory is taken for what has not come."""
    asked = list(target.calls)
    tracemalloc.start()
    try:
        with inside(target) as sock:
            wait_until(lambda: target.server.connections == 1)
            sock.sendall(frame(more, size=size))
            threading.Event().wait(0.2)
            used, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    wait_until(lambda: target.server.connections == 0)
    assert peak < 50 * MB, f"{peak // MB} MB, now {used // MB} MB"
    assert target.calls == asked


def test_a_large_message_arrives_whole() -> None:
    """The same way of reading, with all that was announced."""
    body = random.Random(2).randbytes(20 * MB + 7)
    left, right = socket.socketpair()
    with left, right:
        link = Link(right, 10.0, patient=True)
        writer = threading.Thread(target=left.sendall, args=(frame(body) + GOOD,))
        writer.start()
        assert messages.receive(link, messages.REQUEST).body == body
        assert messages.receive(link, messages.REQUEST).body == GOOD[40:]
        writer.join()


WRONG_CALLS: dict[str, tuple[Any, ...]] = {
    "unknown operation": ("no_such_thing",),
    "private attribute": ("_manager",),
    "dunder": ("__reduce__",),
    "a method that is none": ("closed",),
    "wrong types": ("exchange", "one", 2, {}, [], None, "x", 5),
    "too few": ("ping",),
    "too many": ("ping", 1, 2, 3),
    "negative number of tasks": ("exchange", 1, [], [], 0, -1, 0.0, None),
    "empty tag": ("request", "name", 1, "", [b""], None),
    "huge tag": ("request", "name", 1, "x" * (2 << 20), [b""], None),
    "negative id": ("settle", -1, -1, b""),
    "text for bytes": ("put", "data", "name", "text"),
    "10^5 keys": ("exchange", {str(n): n for n in range(100_000)}),
    "not even a name": (["exchange"], 1),
    "a dictionary for a name": ({"exchange": 1},),
    "nothing": (None,),
    "an extension type": (msgspec.msgpack.Ext(51, b"12345678"),),
}
HARMLESS_CALLS: dict[str, tuple[Any, ...]] = {
    "negative member": ("ping", -1),
    "huge member": ("ping", 2**64 - 1),
    "negative task": ("story", -1),
    "cancel what never was": ("cancel", [-1, 0, 2**63 - 1]),
    "result of a task never given": ("settle", 12345, 0, b""),
    "outcome of a stranger": ("exchange", 999, [(1, 1, 0, [b""])], [], 0, 0, 0.0, None),
    "give back what never was": ("give_back", 999),
    "NUL": ("get", "data", "\0"),
    "regex": ("get", "data", ".*|(a+)+$"),
    "path": ("get", "data", "../../etc/passwd"),
    "huge name": ("get", "data", "x" * 1_000_000),
}


@pytest.mark.parametrize("who", ["owner", "worker with a ticket"])
def test_wrong_calls_are_errors_of_the_caller(target: Target, who: str) -> None:
    ticket = credential(authority(), Role.WORKER, target.manager.instance)
    state = target.state()
    with (
        contextlib.closing(target.dial(None if who == "owner" else ticket)) as connection,
        Records() as log,
    ):
        for name, call in WRONG_CALLS.items():
            good, reply = connection.call(*call)
            assert good is False, (name, reply)
            assert reply[0] in {"UsageError", "NotAllowedError"}, (name, reply)
            assert len(reply[1]) < 1000, (name, reply)
            assert "Traceback" not in reply[1]
        for name, call in HARMLESS_CALLS.items():
            good, reply = connection.call(*call)
            assert good or reply[0] != "InternalError", (name, reply)
    assert log.texts == []  # nor can a peer fill our log
    assert target.state() == state
    target.still_works()


def test_other_objects_and_methods_are_unknown(target: Target) -> None:
    from masterworker.errors import MasterNotFoundError
    from masterworker.transport.pyro.connection import connect

    asked = list(target.calls)
    for label in "Pyro.Daemon", "x" * 100_000, ".*", "\0", "another job":
        connection = connect(target.address, label)
        with pytest.raises(MasterNotFoundError, match="no task manager with label"):
            connection.call("census")
        connection.close()
    name = "TaskManager." + target.label.replace(" ", "%20")
    with inside(target) as sock:
        for method in "__init__", "_service", "closed", "get_metadata":
            sock.sendall(frame(msgspec.msgpack.encode((name, method, ["census", []], {}))))
            assert b"unknown object or method" in sock.recv(65536)
        sock.sendall(frame(msgspec.msgpack.encode((name, "call", ["census", []], {"named": 1}))))
        assert b"unknown object or method" in sock.recv(65536)
        sock.sendall(frame(msgspec.msgpack.encode((name, "call", [], {}))))
        assert sock.recv(65536) == b""  # no request at all
    assert target.calls == asked
