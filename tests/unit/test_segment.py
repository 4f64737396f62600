"""Large payloads: their memory, what lies in it, and the frame that says what comes beside it."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from Pyro5 import protocol

import support
from masterworker.data import layout, memfile, segment
from masterworker.data.pickling import dumps_payload, open_payload
from masterworker.data.segment import LARGE, Segment, bytes_of, head_of
from masterworker.errors import MalformedError
from masterworker.transport.pyro import header

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["file", "ordinary"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both kinds of memory; in the end no descriptor is left."""
    before = support.descriptors()
    if request.param == "ordinary":
        monkeypatch.setattr(segment, "may_have_descriptor", lambda: False)
    yield request.param
    assert support.descriptors() == before


def test_bytes_are_there_and_views_are_private(memory: str) -> None:
    """Each view sees what was put in, whatever is written to another one."""
    made = Segment.of([b"abc", memoryview(b"defg"), bytearray(b"h"), b""])
    assert (made.fd is not None) == (memory == "file")
    assert (len(made), head_of(made, 3), bytes_of(made)) == (8, b"abc", b"abcdefgh")
    view = made.open()
    view[0:1] = b"X"
    assert (bytes(view), bytes(made.open())) == (b"Xbcdefgh", b"abcdefgh")
    assert made.open(writable=False).readonly
    del made
    assert bytes(view[:2]) == b"Xb", "a view outlives its segment"


def test_an_empty_segment(memory: str) -> None:
    assert bytes_of(Segment.of([])) == b""


def same(found: Any, value: Any) -> bool:
    if isinstance(value, (np.ndarray, dict)):
        np.testing.assert_equal(found, value)
        return True
    return bool(found == value)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(LARGE, dtype=float),
        np.asfortranarray(np.arange(LARGE, dtype=float).reshape(2, -1)),
        np.arange(2 * LARGE, dtype=float)[::2],
        {"a": [np.ones(LARGE), np.zeros(LARGE, "i2"), np.ones(3)], "b": "c"},
        b"x" * (LARGE + 1),
        bytearray(b"x" * (LARGE + 1)),
        "ä" * LARGE,
        list(range(LARGE)),
    ],
    ids=["array", "fortran", "strided", "nested", "bytes", "bytearray", "text", "list"],
)
def test_large_values_come_back_as_they_were(memory: str, value: Any) -> None:
    """Whatever they are; arrays can be written to, which nobody else sees."""
    payload = dumps_payload(value)
    assert isinstance(payload, Segment)
    for _ in range(2):
        found = open_payload(payload)
        assert same(found, value)
        if isinstance(found, np.ndarray):
            found.reshape(-1, order="A")[0] = 77
    assert same(open_payload(bytes_of(payload)), value)
    frozen = open_payload(payload, writable=False)
    if isinstance(frozen, np.ndarray) and value.flags.forc:
        assert not frozen.flags.writeable


def test_arrays_are_not_copied_when_they_are_opened() -> None:
    """What an array refers to is the mapping itself."""
    payload = dumps_payload(np.zeros(LARGE))
    first, second = open_payload(payload), open_payload(payload)
    assert not first.flags.owndata
    assert not np.shares_memory(first, second)


def test_small_values_stay_small() -> None:
    for value in (1.5, np.ones(3), b"x" * 1000, {"a": np.zeros(LARGE // 16)}):
        assert isinstance(dumps_payload(value), bytes)


def test_mappings_need_no_descriptors() -> None:
    """A program may hold any number of arrays."""
    before = support.descriptors()
    arrays = [open_payload(dumps_payload(np.full(LARGE, float(i)))) for i in range(50)]
    assert support.descriptors() == before
    assert [array[-1] for array in arrays] == list(range(50))


def test_descriptors_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what the process may have; further segments are ordinary memory."""
    few = segment._in_use.number * 2 + 20
    monkeypatch.setattr(resource, "getrlimit", lambda _: (few, few))
    made = [Segment.of([b"x"]) for _ in range(30)]
    assert sum(each.fd is not None for each in made) == 10
    fds = [os.dup(each.fd) for each in made if each.fd is not None]
    assert bytes_of(Segment.received(fds.pop())) == b"x", "also those that come from others"
    for fd in fds:
        os.close(fd)


def test_the_last_descriptors_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """To a program that has many files open: segments are ordinary memory, sent or received."""
    held = [os.dup(0) for _ in range(90)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (held[-1] + 2, held[-1] + 2))
    before = support.descriptors()
    assert Segment.of([b"x"]).fd is None
    fd = memfile.create()
    assert fd is not None
    memfile.fill(fd, [b"content"])
    received = Segment.received(fd)
    assert received.fd is None
    assert bytes_of(received) == b"content"
    assert support.descriptors() == before
    for each in held:
        os.close(each)


def test_mappings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps many arrays gets copies in the end; what is given back counts again."""
    monkeypatch.setattr(memfile, "_allowed_mappings", lambda: memfile._mappings.number + 3)
    allowed = memfile._allowed_mappings()
    monkeypatch.setattr(memfile, "_allowed_mappings", lambda: allowed)
    one = Segment.of([b"x" * 5000])
    views = [one.open() for _ in range(5)]
    assert not memfile.may_map()
    for view in views:
        view[0] = 7
    assert bytes(one.open(writable=False)) == b"x" * 5000
    del view, views
    assert memfile.may_map()


def test_only_sealed_memory_is_taken(tmp_path: Any) -> None:
    """A file that somebody could cut short would end us with a signal when we read it."""
    unsealed = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    other = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    for fd in (unsealed, other):
        with pytest.raises(ValueError, match="no sealed memory"):
            Segment.received(fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
    fd = memfile.create()
    assert fd is not None
    memfile.fill(fd, [b"abc"])
    with pytest.raises(OSError, match="not permitted"):
        os.ftruncate(fd, 1)
    with pytest.raises(OSError, match="not permitted"):
        os.pwrite(fd, b"x", 0)
    os.close(fd)


def test_parts_that_fail_leave_nothing(memory: str) -> None:
    def parts() -> Iterator[bytes]:
        yield b"abc"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        Segment.of(parts())


def test_layout_of_buffers() -> None:
    """Each begins at a multiple of 64; what is no layout is an error, however it is broken."""
    buffers = [memoryview(b"x" * size) for size in (1, 64, 0, 100)]
    packed = b"".join(layout.pack(b"pickle", buffers))
    pickled, found = layout.unpack(memoryview(packed))
    assert (bytes(pickled), [bytes(b) for b in found]) == (b"pickle", [bytes(b) for b in buffers])
    for at in [packed.index(b"x"), packed.index(b"x" * 64)]:
        assert at % layout.ALIGNMENT == 0
    for size in range(len(packed) - 28):  # the last buffer ends there
        with pytest.raises(MalformedError):
            layout.unpack(memoryview(packed[:size]))
    with pytest.raises(MalformedError):
        layout.unpack(memoryview(layout.MARK + b"\xff" * 100))


def test_headers_are_those_of_pyro() -> None:
    """Byte for byte, and both ways."""
    theirs = protocol.SendingMessage(
        protocol.MSG_RESULT, 1, 77, header.MSGPACK, b"body", annotations={"ABCD": b"xyz"}
    )
    ours = header.pack(protocol.MSG_RESULT, 77, 4, extra=11, flags=1)
    assert theirs.data == ours + header.annotation(b"ABCD", 3) + b"xyz" + b"body"
    head = header.unpack(theirs.data[:40])
    assert head == (protocol.MSG_RESULT, header.MSGPACK, 1, 77, 4, 11)
    assert header.unpack(bytes(40)) is None


def test_numbers_are_those_of_pyro() -> None:
    """They are written down here, since a worker need not load Pyro for them."""
    assert header.BEGIN == (b"PYRO", protocol.PROTOCOL_VERSION)
    assert (header.REQUEST, header.REPLY) == (protocol.MSG_INVOKE, protocol.MSG_RESULT)
    assert (header.REFUSAL, header.HARMLESS) == (protocol.FLAGS_EXCEPTION, protocol.FLAGS_CORR_ID)
