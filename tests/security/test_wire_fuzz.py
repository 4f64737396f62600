"""Bytes nobody has written on purpose: at the port, and from peers that have been let in.

MASTERWORKER_FUZZ=600 searches for so many seconds in each of the searches that can go on.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from masterworker import wire
from masterworker.core.task import Travels
from masterworker.errors import MasterworkerError, RejectedError, TransportError, UsageError
from masterworker.manager import Manager, Service
from masterworker.security.peer import OWNER
from masterworker.transport.pyro import messages
from masterworker.transport.pyro.link import Link
from masterworker.wire.operations import OPERATIONS
from security.attackers import (
    GOOD,
    Parsed,
    Records,
    Target,
    frame,
    hello,
    memory,
    plain,
    said,
)
from support import packed, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Seconds for each search; 0: just the usual number of examples.
BUDGET = float(os.environ.get("MASTERWORKER_FUZZ", "0"))
MB = 1 << 20
pytestmark = pytest.mark.timeout(120 + 20 * BUDGET)


def search(examples: int) -> Any:
    """How long to look, for Hypothesis, which counts examples: about 250 in a second."""
    return settings(
        max_examples=max(examples, int(BUDGET * 250)),
        deadline=None,
        derandomize=not BUDGET,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with Target() as made:
        made.still_works()
        yield made


# -- C1: at the port ---------------------------------------------------------------------------


def mutated(seed: bytes, chance: random.Random) -> bytes:
    """A text with a few changes of the kinds that break parsers."""
    text = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text) or 1)
        match chance.randrange(5):
            case 0:
                text[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del text[at : at + chance.randint(1, 20)]
            case 2:
                text[at:at] = chance.randbytes(chance.randint(1, 20))
            case 3:
                text[at : at + 2] = chance.choice([b"\0\0", b"\xff\xff", b"\x7f\xff", b"\x80\0"])
            case _:
                text[at:at] = text[at : at + chance.randint(1, 60)]
    return bytes(text)


def fresh_bytes(chance: random.Random) -> bytes:
    """Noise, noise that begins like TLS, or a hello with a few changes."""
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randbytes(chance.randint(0, 600))
    if kind == 1:
        body = chance.randbytes(chance.randint(0, 600))
        return (
            b"\x16\x03" + chance.choice([b"\1", b"\3", b"\4"]) + struct.pack("!H", len(body)) + body
        )
    return mutated(HELLO, chance)


HELLO = hello()


def bombard(target: Target, number: int, chance: random.Random) -> None:
    """So many connections, each with bytes of its own."""
    for _ in range(number):
        with plain(target.port) as sock, contextlib.suppress(OSError):
            sock.sendall(fresh_bytes(chance))
            if chance.random() < 0.1:
                sock.settimeout(0.01)
                said(sock)


def test_noise_at_the_port(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of connections: nobody is let in, nothing grows, and work goes on."""
    wait_until(lambda: not target.server.connections)
    parsed = Parsed(monkeypatch)
    chance = random.Random(1)
    bombard(target, 300, chance)  # what is loaded once is loaded now
    admitted, base, made = target.counts["admitted"], memory(), 300
    end = time.monotonic() + BUDGET
    with Records() as log:
        while made < 3300 or time.monotonic() < end:
            bombard(target, 300, chance)
            made += 300
        wait_until(lambda: target.strangers() == 0, what="all strangers are gone")
    counts = target.counts
    assert counts["admitted"] == admitted
    assert counts["refused"] + counts["dropped"] + counts["late"] >= made * 0.9
    assert memory() - base < 50 * MB
    assert len(log.texts) <= 1 + BUDGET / 60, log.texts
    assert parsed.number == 0
    target.still_works()


# -- C1: frames, one by one --------------------------------------------------------------------


class Canned(Link):
    """A link on which this comes, and then nothing any more."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def recv(self, size: int) -> bytes:
        if size > len(self.data):
            raise TransportError("the other side has closed")
        part, self.data = self.data[:size], self.data[size:]
        return part


def read(data: bytes) -> list[Any]:
    """What is understood of bytes: the arguments of operations. Raises what is allowed only."""
    link = Canned(data)
    body = messages.receive(link, messages.REQUEST).body
    asked = messages.read_request(body)
    return asked.operation, asked.args


noise = st.binary(max_size=300)
header = st.builds(
    frame, noise,
    kind=st.integers(0, 255), serializer=st.integers(0, 255), flags=st.integers(0, 65535),
    size=st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    annotations_size=st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    tag=st.sampled_from([b"PYRO", b"PYRX", b"\0\0\0\0"]), version=st.sampled_from([502, 501, 0]),
    magic=st.sampled_from([0x4DC5, 0]),
)  # fmt: skip


@search(1000)
@given(data=st.one_of(noise, header, st.integers(0, 2**30).map(
    lambda seed: mutated(GOOD, random.Random(seed)))))  # fmt: skip
@example(data=GOOD)
@example(data=frame(b"\x91" * 5000))
@example(data=frame(b"\x94\xa1x\xa4call" + b"\x91" * 5000))
@example(data=frame(b"\xdd\xff\xff\xff\xff"))
def test_any_frame_is_a_request_or_a_bad_message(data: bytes) -> None:
    try:
        _, args = read(data)
    except TransportError:
        return
    assert isinstance(args, msgspec.Raw)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats()
    | st.text(max_size=30) | noise
    | st.sampled_from(["\0", ".*", "x" * 100_000, "../../etc/passwd", "__class__", "a\nb"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
names = st.one_of(st.sampled_from([*wire.OPERATIONS, "_do_join", "__init__", "closed"]), values)


@search(1500)
@given(operation=names, args=st.lists(values, max_size=8))
@example(operation=["unhashable"], args=[])
@example(operation={"a": 1}, args=[])
@example(operation="join", args=[{"a": [1]}, "3.11", ["x"]])
@example(operation="exchange", args=[1, [], [], 0, 1, float("nan"), None])
def test_any_operation_fits_or_is_refused(operation: Any, args: list[Any]) -> None:
    with contextlib.suppress(UsageError, RejectedError):
        assert isinstance(wire.check(operation, packed(args)), (tuple, Travels))


#: Values that fit the shapes of `wire.OPERATIONS`, and mean nothing good.
odd_numbers = st.sampled_from([-(2**63), -1, 0, 1, 2, 3, 7, 2**31, 2**63 - 1, 2**64 - 1])
odd_floats = st.sampled_from(
    [float("nan"), -1.0, 0.0, 5e-324, 0.001, 1e308, float("inf"), -float("inf")]
)
odd_names = st.sampled_from(["", "\0", "x" * 70_000, ".*", "data", "program", "states", "name"])
SHAPES: dict[str, list[Any]] = {
    "join": [
        st.just(wire.PROTOCOL), st.just(wire.python_version()), odd_names, st.just(""), odd_names,
        st.none() | st.lists(odd_names, max_size=2), st.none() | odd_floats, odd_names, odd_names,
        st.booleans(),
    ],
    "put": [odd_names, odd_names, noise],
    "drop": [odd_names, odd_names],
    "put_state": [odd_names, odd_numbers, st.dictionaries(odd_names, noise, max_size=2)],
    "instance": [odd_names],
    "leave": [odd_numbers],
    "ping": [odd_numbers],
    "exchange": [
        odd_numbers,
        st.lists(st.tuples(odd_numbers, odd_numbers, odd_numbers, noise), max_size=2),
        st.lists(odd_numbers, max_size=3), odd_numbers, odd_numbers, odd_floats,
        st.none() | odd_names, odd_floats,
        st.lists(st.tuples(odd_numbers, odd_numbers, odd_floats, odd_floats), max_size=2),
        odd_names, st.lists(st.tuples(odd_numbers, odd_numbers, odd_numbers, noise), max_size=2),
    ],
    "request": [
        odd_names, odd_numbers, odd_names, st.lists(noise, max_size=2), st.none() | values,
        odd_numbers,
    ],
    "collect": [
        odd_names, odd_numbers, odd_numbers, st.none() | odd_names, odd_numbers, odd_floats,
        odd_numbers, odd_numbers,
    ],
    "acknowledge": [odd_names, odd_numbers],
    "forgo": [odd_names, odd_numbers],
    "settle": [odd_numbers, odd_numbers, noise],
    "give_back": [odd_numbers],
    "get": [odd_names, odd_names],
    "drop_state": [odd_numbers],
    "story": [odd_numbers],
    "stack": [odd_numbers],
    "tell_stack": [odd_numbers, odd_numbers, st.lists(odd_names, max_size=3)],
    "cancel": [st.lists(odd_numbers, max_size=3)],
    "attend": [
        odd_names, st.lists(odd_numbers, max_size=3),
        st.lists(
            st.tuples(
                odd_numbers, odd_names, odd_numbers, odd_names, st.booleans(), odd_names,
                st.none(), st.booleans(), odd_numbers,
            ),
            max_size=2,
        ),
        odd_floats,
        st.lists(st.tuples(odd_numbers, odd_numbers, odd_floats), max_size=2),
        st.lists(st.tuples(odd_numbers, odd_floats), max_size=2), odd_names, odd_numbers,
    ],
    "look": [odd_numbers, odd_numbers, odd_floats, odd_numbers],
    "spans": [odd_numbers],
}  # fmt: skip
for _name, _values in SHAPES.items():  # a new field is tried, too
    _fields = getattr(OPERATIONS[_name].request, "__struct_fields__", None)
    assert _fields is None or len(_values) == len(_fields), (_name, _fields)
calls = st.sampled_from(sorted(SHAPES)).flatmap(
    lambda name: st.tuples(st.just(name), *SHAPES[name])
)


def occupied() -> tuple[Manager, int]:
    """A manager with a worker, a task in its hands, and one that waits."""
    manager = Manager()
    member = manager.join(wire.introduce("worker", ["tag"], None, "worker")).member_id
    manager.request("tag", (b"1", b"2"))
    manager.exchange(wire.Exchange(member, want=1))
    return manager, member


@search(400)
@given(todo=st.lists(calls, min_size=1, max_size=4))
@example(todo=[("exchange", 1, [], [], 0, 1, float("nan"), None)])
@example(todo=[("collect", "", 1, 1, None, 1, float("nan"), 0, 0)])
def test_a_session_answers_whatever_fits(todo: list[Any]) -> None:
    """With a reply, or an error of the caller; the manager's invariants hold."""
    manager, _ = occupied()
    session = Service(manager, OWNER)
    patch = pytest.MonkeyPatch()
    patch.setattr(wire, "LONGEST_WAIT", 0.01)
    try:
        for operation, *args in todo:
            # as it arrives: NaN and all that msgpack can carry
            good, reply = session.call(operation, packed(args))
            assert good or reply[0] != "InternalError", (operation, args, reply)
            manager.check()
    finally:
        patch.undo()
        session.closed()
        manager.check()
        manager.terminate()


@search(400)
@given(operation=names, args=st.lists(values, max_size=8))
@example(operation=["unhashable"], args=[])
def test_what_is_malformed_changes_nothing(operation: Any, args: list[Any]) -> None:
    try:
        wire.check(operation, packed(args))
    except MasterworkerError:
        pass
    else:
        return
    manager, _ = occupied()
    session = Service(manager, OWNER)
    before = repr((manager.census().waiting, manager.census().running, manager.summary()))
    good, _ = session.call(operation, packed(args))
    assert not good
    manager.check()
    after = repr((manager.census().waiting, manager.census().running, manager.summary()))
    assert after == before
    manager.terminate()


# -- coverage-guided, where the machine has atheris --------------------------------------------

GUIDED = """
import sys
import atheris
with atheris.instrument_imports(include=["masterworker", "Pyro5.protocol"]):
    from masterworker.transport.pyro import messages
    from masterworker import wire
from masterworker.errors import RejectedError, TransportError, UsageError
from security.test_wire_fuzz import read

def look(data):
    try:
        wire.check(*read(data))
    except (TransportError, UsageError, RejectedError):
        pass

atheris.Setup(sys.argv, look)
atheris.Fuzz()
"""


def test_coverage_guided(tmp_path: Path) -> None:
    """The same readers, with a search that looks at which of their lines are reached."""
    if not BUDGET:
        pytest.skip("a long search: set MASTERWORKER_FUZZ to its seconds")
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed")
    for number, (name, shape) in enumerate(SHAPES.items()):
        body = msgspec.msgpack.encode(("TaskManager.x", "call", [name, [0] * len(shape)], {}))
        (tmp_path / str(number)).write_bytes(frame(body))
    # The most memory that a process had is told of the next program as well that it becomes: so it
    # becomes none of a process of these tests, which may have had gigabytes.
    apart = ["sh", "-c", '"$@"; exit $?', "sh"]
    done = subprocess.run(
        [*apart, sys.executable, "-c", GUIDED, str(tmp_path), f"-max_total_time={int(BUDGET)}",
         "-rss_limit_mb=1000", f"-artifact_prefix={tmp_path}/"],
        capture_output=True, text=True, check=False, timeout=BUDGET + 60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-5000:]
