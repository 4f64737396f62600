"""Who does not fit is refused, with the reason; and the end of a job is told to all."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from contract.nets import PyroNet
from masterworker import wire
from masterworker.client import Client
from masterworker.core.task import RESULT, Outcome
from masterworker.errors import (
    MasterNotFoundError,
    RejectedError,
    Terminated,
    TransportError,
)
from masterworker.transport.address import Address
from masterworker.transport.pyro.connection import connect
from support import fields, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.nets import Net


@pytest.mark.parametrize(
    ("changes", "both"),
    [
        ({"protocol": 999}, ["999", str(wire.PROTOCOL)]),
        ({"protocol": 0, "version": "0.0.7"}, ["0", str(wire.PROTOCOL)]),
        ({"python": "3.2"}, ["3.2", wire.python_version()]),
        ({"program": "f00d" * 16}, ["f00df00d", "beefbeef"]),
    ],
    ids=["protocol", "older protocol", "python", "program"],
)
def test_a_mismatch_is_refused_and_both_sides_are_named(
    net: Net, changes: dict[str, object], both: list[str]
) -> None:
    """Nobody joins whose messages or pickles would be misunderstood."""
    net.manager.program_digest = "beef" * 16
    client = net.client()

    with pytest.raises(RejectedError) as caught:
        client.join(replace(net.hello(["a"]), **changes))  # type: ignore[arg-type]

    for side in both:
        assert side in str(caught.value)
    assert client.census().processes == []
    assert client.join(net.hello(["a"])).member_id == 0


def test_another_protocol_may_say_hello_in_another_shape(net: Net) -> None:
    """A later version can tell more of itself; the difference of versions is what is said."""
    wired = net.connect()
    hello = [*fields(net.hello(["a"]), protocol=999), "something new"]

    good, reply = wired.call("join", *hello)

    assert not good
    assert reply[0] == "RejectedError", reply
    assert "999" in reply[1]
    assert net.manager.census().processes == []


def test_a_program_of_ones_own_fits_always(net: Net) -> None:
    """Only who runs a stored program can run an outdated one."""
    net.manager.program_digest = "beef" * 16
    assert net.client().join(replace(net.hello(["a"]), program="")).member_id == 0
    assert net.client().join(replace(net.hello(["a"]), program="beef" * 16)).member_id == 1


def test_after_the_end_everybody_is_told(net: Net) -> None:
    """No task goes out, none comes in, and nobody waits for what will never come."""
    worker, client = net.join(["a"]), net.join([])
    client.client.request("a", [b""] * 3)
    lease = worker.fetch()[0]
    done = worker.fetch()[0]
    worker.report(done)

    client.client.terminate()

    reply = worker.client.exchange(
        wire.Exchange(
            worker.id, [Outcome(lease.task_id, lease.attempt, RESULT, [b"r"])], want=5, wait=60.0
        )
    )
    assert [list(order) for order in reply.orders] == [[wire.STOP, 0]]
    assert reply.leases == []
    again = worker.client.exchange(wire.Exchange(worker.id, want=1, wait=60.0))
    assert [list(order) for order in again.orders] == [[wire.STOP, 0]]
    with pytest.raises(Terminated):
        client.client.request("a", [b""])
    with pytest.raises(Terminated):
        client.collect(wait=60.0)
    with pytest.raises(Terminated):
        net.join(["a"])
    stranger = net.client().exchange(wire.Exchange(99, want=1, wait=60.0))
    assert [list(order) for order in stranger.orders] == [[wire.STOP, 0]]
    assert client.client.census().submitted == 3
    client.client.leave(client.id)
    client.client.terminate()


class TestLabels:
    """A connection is to one label; whoever else listens at its address is somebody else."""

    @pytest.fixture(params=["tcp", "unix"])
    def net(self, request: pytest.FixtureRequest) -> Iterator[PyroNet]:
        """A real server."""
        made = PyroNet(request.param)
        yield made
        made.close()

    @pytest.mark.parametrize(
        "label", ["another", "", "contract", "\x00", "a\nb", "x" * 100_000, "Pyro.Daemon", "ä@:/"]
    )
    def test_another_label_is_not_found(self, net: PyroNet, label: str) -> None:
        """Also one that is no possible label."""
        wired = connect(net.address, label)
        try:
            with pytest.raises(MasterNotFoundError, match="label"):
                wired.call("census")
        finally:
            wired.close()
        assert net.client().census().submitted == 0

    def test_nobody_listens(self, net: PyroNet) -> None:
        """Once the server is closed nobody answers, and the old connection is broken."""
        client = net.client()
        client.connect()
        net.server.close()

        with pytest.raises(TransportError):
            client.ping(0)
        with pytest.raises(MasterNotFoundError, match="no master answers"):
            Client(lambda: connect(net.address, net.label)).connect()

    @pytest.mark.parametrize(
        "noise",
        [b"", b"\x00", b"GET / HTTP/1.1\r\n\r\n", b"PYRO" + b"\xff" * 500, b"\xff" * 100_000],
        ids=["nothing", "zero", "http", "nearly", "much"],
    )
    def test_noise_harms_nobody(self, net: PyroNet, noise: bytes) -> None:
        """Bytes that are no message end that connection, and no other."""
        worker = net.join(["a"])
        address = net.address
        if address.socket:
            stranger = socket.socket(socket.AF_UNIX)
            stranger.connect(address.socket)
        else:
            stranger = socket.create_connection((address.host, address.port))
        with stranger:
            stranger.settimeout(10.0)
            with contextlib.suppress(ConnectionError):
                stranger.sendall(noise)
                with contextlib.suppress(OSError):  # it may be closed already
                    stranger.shutdown(socket.SHUT_WR)
                while stranger.recv(1 << 16):
                    pass
        wait_until(lambda: net.server.connections == 1, 10.0, "the stranger is gone")
        assert worker.client.ping(worker.id)

    def test_an_address_that_is_nowhere(self) -> None:
        """Every way of not being there is the same error."""
        for address in (
            Address("127.0.0.1", 1),
            Address("no such host.invalid", 80),
            Address(socket="/nonexistent/socket"),
            Address(socket="/tmp/" + "x" * 200),
            Address("127.0.0.1", 99999),
        ):
            with pytest.raises(MasterNotFoundError):
                connect(address, "x")
