"""A thread that waits serves connections meanwhile, and what may wait never holds it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from contract.nets import Background, PyroNet
from masterworker.errors import TransportError
from masterworker.manager import Mailbox
from masterworker.manager.leading import Leading
from masterworker.manager.manager import Manager
from masterworker.transport.pyro import messages
from masterworker.transport.pyro.connection import PyroConnection
from masterworker.transport.pyro.header import SIZE
from masterworker.transport.pyro.reactor import BRISK
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.transport.pyro.reactor import Reactor

pytestmark = pytest.mark.skipif(not hasattr(os, "eventfd"), reason="needs epoll")


@pytest.fixture(params=["unix", "tcp"])
def net(request: pytest.FixtureRequest) -> Iterator[PyroNet]:
    made = PyroNet(request.param)
    yield made
    made.close()


class Leader:
    """A thread that leads until it is told to end."""

    def __init__(self, net: PyroNet) -> None:
        self._net, self._box, self._done = net, Mailbox(), threading.Event()
        self.turns = 0
        self._thread = threading.Thread(target=self._run, name="test-leader", daemon=True)
        self._thread.start()
        self.ident = self._thread.ident
        wait_until(lambda: self.reactor._asleep, HANG, "it leads")

    @property
    def reactor(self) -> Reactor:
        return self._net.server._reactor

    def _run(self) -> None:
        while not self._done.is_set() and self._net.server.lead(self._box, HANG):
            self.turns += 1

    def end(self) -> None:
        self._done.set()
        self._box.ring()
        self._thread.join(HANG)
        assert not self._thread.is_alive()


@pytest.fixture
def leader(net: PyroNet) -> Iterator[Leader]:
    net.connect().call("census")  # what comes with the first connection is there
    made = Leader(net)
    yield made
    made.end()


@pytest.fixture
def pings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """In which threads pings were answered."""
    ping, seen = Manager.ping, []

    def noted(manager: Manager, member_id: int) -> bool:
        seen.append(threading.get_ident())
        return ping(manager, member_id)

    monkeypatch.setattr(Manager, "ping", noted)
    return seen


def _link_of(connection: Any) -> Any:
    assert isinstance(connection, PyroConnection)
    return connection._link


def _request(connection: Any, *what: Any) -> bytes:
    """Return the bytes of a request."""
    sent: list[bytes] = []

    class Line:
        passes_descriptors = False

        def send(self, data: bytes, *_: Any) -> None:
            sent.append(bytes(data))

    request = (connection._object, "call", what, {})
    messages.send(Line(), messages.REQUEST, 1, request)  # type: ignore[arg-type]
    return b"".join(sent)


def test_the_thread_that_waits_serves(net: PyroNet, leader: Leader, pings: list[int]) -> None:
    """All of a call, without any other thread: also for several connections in turn."""
    one, other = net.connect(), net.connect()

    def by_leader() -> bool:
        del pings[:]
        for _ in range(10):
            assert one.call("ping", 0) == other.call("ping", 0) == [True, False]
        return set(pings) == {leader.ident}

    # The other thread may come first now and then, when it has just served something.
    wait_until(by_leader, HANG, "the leader serves")


def test_without_a_leader_connections_are_served(net: PyroNet, pings: list[int]) -> None:
    """By the reactor's own thread."""
    connection = net.connect()
    for _ in range(10):
        assert connection.call("ping", 0) == [True, False]
    assert set(pings) == {net.server._reactor._thread.ident}


def test_there_is_one_leader(net: PyroNet, leader: Leader) -> None:
    """Another thread that waits follows: it is told so, and has not waited."""
    began = time.monotonic()
    assert not net.server.lead(Mailbox(), HANG)
    assert time.monotonic() - began < HANG / 2
    assert leader.turns == 0


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_ring_ends_it(net: PyroNet, when: str) -> None:
    """Whether it comes before the wait or in its middle."""
    box = Mailbox()
    if when == "before":
        box.ring()
    call = Background(lambda: net.server.lead(box, 10 * HANG))
    if when == "meanwhile":
        wait_until(lambda: net.server._reactor._asleep, HANG)
        box.ring()
    assert call.result() is True


def test_the_time_ends_it(net: PyroNet) -> None:
    """And the next one leads."""
    for _ in range(3):
        assert net.server.lead(Mailbox(), 0.02)


def test_connections_are_served_after_a_row_of_leaders(net: PyroNet, pings: list[int]) -> None:
    """The other thread stands back for them, and comes when none comes any more."""
    connection = net.connect()
    reactor = net.server._reactor

    def many_have_led() -> bool:
        for _ in range(2 * BRISK):
            assert net.server.lead(Mailbox(), 1e-4)
        return reactor._soon >= BRISK

    for _ in range(5):
        wait_until(many_have_led, HANG, "leaders come one after the other")
        assert connection.call("ping", 0) == [True, False]
    assert set(pings) == {reactor._thread.ident}


def test_a_leader_does_an_errand_when_it_has_left_off(net: PyroNet, pings: list[int]) -> None:
    """Without holding up others: another thread can lead meanwhile. Others have none to do."""
    leading, done, threads = Leading(), threading.Event(), set[int]()
    leading.lead, asked = net.server.lead, []

    def errand() -> None:
        threads.add(threading.get_ident())
        assert net.server.lead(Mailbox(), 0.0)
        done.set()

    leading.errand = errand
    connection = net.connect()
    ping = net.manager.ping

    def ask(member_id: int) -> bool:
        asked.append(leading.takes_errand())
        return ping(member_id)

    net.manager.ping = ask  # type: ignore[method-assign]
    assert connection.call("ping", 0) == [True, False]
    assert asked == [False]
    assert not done.is_set()

    box = Mailbox()
    waits = Background(lambda: leading.wait(box, 10 * HANG))

    def has_led() -> bool:
        wait_until(lambda: net.server._reactor._asleep or not waits.running, HANG, "it leads")
        connection.call("ping", 0)
        return done.is_set()

    wait_until(has_led, HANG, "the leader has served one, and done what there was to do")
    waits.join()
    assert True in asked
    assert threads.isdisjoint({net.server._reactor._thread.ident, threading.get_ident()})
    assert not box.is_rung


def test_rings_are_never_lost(net: PyroNet) -> None:
    """While the other thread is busy with a connection, and gets the bell in the leader's place."""
    connection = net.connect()
    busy = Background(lambda: [connection.call("ping", 0) for _ in range(3000)])
    for _ in range(300):
        box = Mailbox()
        call = Background(lambda box=box: net.server.lead(box, 10 * HANG))  # type: ignore[misc]
        box.ring()
        assert call.result()
    busy.join()


@pytest.mark.parametrize("part", [1, SIZE - 1, SIZE, SIZE + 3])
def test_half_a_message_holds_no_other(net: PyroNet, leader: Leader, part: int) -> None:
    """The leader goes on, and the rest is served when it comes."""
    slow, other = net.connect(), net.connect()
    data, link = _request(slow, "ping", (0,)), _link_of(slow)
    link.send(data[:part])
    for _ in range(100):
        assert other.call("ping", 0) == [True, False]
    assert leader.turns == 0
    link.send(data[part:])
    answer = messages.receive(link, messages.REPLY)
    assert messages.read_reply("ping", answer.body) == [True, False]


def test_a_call_that_may_wait_holds_no_other(
    net: PyroNet, leader: Leader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a thread of its own."""
    free, inside, threads = threading.Event(), threading.Event(), set()

    def get(*_: Any) -> None:
        threads.add(threading.get_ident())
        inside.set()
        free.wait(HANG)

    monkeypatch.setattr(net.manager, "get", get)
    slow, other = net.connect(), net.connect()
    call = Background(lambda: slow.call("get", "data", "x"))
    assert inside.wait(HANG)
    for _ in range(100):
        assert other.call("ping", 0) == [True, False]
    free.set()
    assert call.result() == [True, None]
    assert leader.ident not in threads


def test_a_peer_that_reads_no_replies_holds_no_other(net: PyroNet, leader: Leader) -> None:
    """Neither by one large reply, nor by asking again and again."""
    net.manager.put("data", "x", bytes(8 << 20))
    slow, other = net.connect(), net.connect()
    link = _link_of(slow)
    link.send(_request(slow, "get", ("data", "x")))
    link.send(_request(slow, "ping", (0,)))
    for _ in range(100):
        assert other.call("ping", 0) == [True, False]
    assert leader.turns == 0
    sizes = [len(messages.receive(link, messages.REPLY).body) for _ in range(2)]
    assert sizes[0] > 8 << 20 > sizes[1]


def test_the_end_of_a_connection_is_noticed(net: PyroNet, leader: Leader) -> None:
    """By the leader as by the other thread."""
    peer = net.join(["a"])
    assert peer.id in net.manager.core.members
    connection = peer.client._connection
    assert connection is not None
    connection.close()
    wait_until(lambda: net.server.connections == 1, HANG, "it is gone")
    assert leader.turns == 0


def test_the_server_ends_under_its_leader(net: PyroNet, leader: Leader) -> None:
    """Which then has to wait in another way."""
    connection = net.connect()
    net.server.close()
    assert not net.server.lead(Mailbox(), HANG)
    with pytest.raises(TransportError):
        connection.call("ping", 0)
    leader.end()


class _Bang(Exception):
    pass


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals")
def test_a_signal_ends_the_wait_and_breaks_nothing_off(net: PyroNet) -> None:
    """The main thread leads, handlers raise all the time, and each call is answered whole."""
    connection = net.connect()
    main = threading.get_ident()
    done = threading.Event()
    armed = False

    def bang(*_: Any) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise _Bang

    def shoot() -> None:
        while not done.wait(0.001):
            signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, bang)
    calls = Background(lambda: [connection.call("ping", 0) for _ in range(500)])
    shots = Background(shoot)
    bangs = 0
    try:
        while calls.running or not bangs:
            try:
                armed = True
                net.server.lead(Mailbox(), HANG)
                armed = False
            except _Bang:
                bangs += 1
    finally:
        done.set()
        shots.join()
        signal.signal(signal.SIGUSR1, before)
    assert calls.result() == [[True, False]] * 500
    assert bangs


def test_a_fork_lets_go(net: PyroNet, leader: Leader) -> None:
    """It does not lead, and its parent's connections go on."""
    connection = net.connect()
    mine, its = socket.socketpair()
    pid = os.fork()
    if not pid:
        try:
            its.send(b"x" if not net.server.lead(Mailbox(), 1.0) else b"led")
        finally:
            os._exit(0)
    assert mine.recv(8) == b"x"
    os.waitpid(pid, 0)
    mine.close()
    its.close()
    assert connection.call("ping", 0) == [True, False]
