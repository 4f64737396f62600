"""A manager, trusted workers, guests and observers, moved by hand."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec.structs import replace

from masterworker import wire
from masterworker.client import Client
from masterworker.core.task import RESULT, Outcome
from masterworker.errors import (
    NotAllowedError,
)
from masterworker.manager import Manager, Service
from masterworker.security.peer import OWNER, Peer, Role
from masterworker.testing import FakeClock, Faults, MemoryConnection
from support import fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Lease

JOB = "00c0ffee"
GUEST = Peer(Role.WORKER, JOB, "far away", "A1")
#: Somebody who was given another ticket for the same job.
OTHER = GUEST._replace(serial="B2")
FOREIGN = -1, 0, 1, 2, 77, 1 << 62


class Job:
    """A manager, and whoever is connected to it."""

    def __init__(self, accept: str = wire.ANYTHING) -> None:
        self.clock = FakeClock()
        self.manager = Manager(clock=self.clock, accept=accept)

    def client(self, peer: Peer = GUEST, faults: Faults | None = None) -> Client:
        manager = self.manager
        return Client(lambda: MemoryConnection(Service(manager, peer), faults))

    def hire(self, peer: Peer = GUEST, client: Client | None = None, **hello: Any) -> Hand:
        client = client or self.client(peer)
        who = replace(wire.introduce("pid 1 on there (x)", ["a"], 5.0, client.name), **hello)
        return Hand(client, client.join(who).member_id)

    def state(self) -> object:
        """Everything that a call could change."""
        manager, core = self.manager, self.manager.core
        tasks = [
            (t.id, t.tag, t.state, t.attempt, t.holder, t.payload, t.losses)
            for t in core.tasks.values()
        ]
        members = [
            (m.id, m.info, m.heard, m.supervisor, m.supervised, list(m.leases))
            for m in core.members.values()
        ]
        return (
            *(tasks, members, msgspec.structs.astuple(core.tally), dict(core.open_tags)),
            *(core.terminated, core.waiting.count),
            *(set(core.processes.supervisors), dict(core.processes.closed)),
            *(
                dict(manager.store._values),
                dict(manager.store._states),
                dict(manager.machine.orders._orders),
            ),
            *(
                dict(manager.machine.supervision._orders._lines),
                set(manager.machine.supervision._orders._queues),
                set(manager.remote),
            ),
            *(
                dict(manager.machine.membership._members),
                list(manager.machine.calls._last),
                manager.troubles.lines(),
            ),
            *(len(list(core.waiting.claims)), len(list(core.results.claims))),
        )


class Hand:
    """A worker that a test moves by hand."""

    def __init__(self, client: Client, member_id: int) -> None:
        self.client, self.id = client, member_id

    def fetch(self) -> Lease:
        (lease,) = self.client.exchange(wire.Exchange(self.id, want=1)).leases
        return lease

    def report(self, lease: Any, payload: bytes = b"r", kind: int = RESULT) -> list[int]:
        done = Outcome(lease.task_id, lease.attempt, kind, [payload])
        return self.client.exchange(wire.Exchange(self.id, [done])).refused


def in_full_swing(job: Job) -> tuple[Hand, Hand, Lease, Lease]:
    """A trusted worker and a guest, each with a task in hand; two more tasks wait."""
    trusted, guest = job.hire(OWNER), job.hire()
    trusted.client.request("a", [b"1", b"2", b"3", b"4"])
    leases = trusted.fetch(), guest.fetch()
    trusted.client.put(wire.PROGRAM, "program", b"code")
    trusted.client.put_state({"name": b"value"})
    job.clock.advance(1.0)
    return trusted, guest, *leases


def refused(job: Job, *calls: Callable[[], Any], kind: type[Exception] = NotAllowedError) -> None:
    """Each of these calls is refused, and nothing has changed."""
    for number, call in enumerate(calls):
        before = job.state()
        with pytest.raises(kind) as caught:
            call()
        assert job.state() == before, f"call {number} has changed something"
        assert len(str(caught.value)) > 20
        job.manager.check()


LOOKING = {"instance", "job", "census", "story", "look", "spans", "stack"}
HELLO = wire.introduce("somebody", ["a"], None, "c")
#: A well-formed call of every operation, by somebody who is nobody.
EVERYTHING: dict[str, tuple[Any, ...]] = {
    "join": tuple(fields(HELLO)),
    "instance": ("c",),
    "leave": (0,),
    "ping": (0,),
    "exchange": (0, [[1, 1, RESULT, [b"r"]]], [1], 1, 1, 0.0, None),
    "request": ("c", 1, "a", [b"x"], None),
    "collect": ("c", 1, 0, None, 1, 0.0, 1),
    "acknowledge": ("c", 1),
    "forgo": ("c", 1),
    "put_state": ("c", 1, {"x": b"y"}),
    "settle": (1, RESULT, b"r"),
    "give_back": (1,),
    "put": ("data", "x", b"y"),
    "get": ("data", "x"),
    "drop": ("data", "x"),
    "drop_state": (1,),
    "census": (),
    "job": (),
    "look": (0, 0, 0.0, 0),
    "spans": (-1,),
    "story": (1,),
    "stack": (1,),
    "tell_stack": (0, 1, ["where it is"]),
    "cancel": ([1],),
    "attend": ("s", [0], [[0, "pid 1 on there (x)", 1, "killed", True, ""]], 0.0),
    "terminate": (),
}


def ending(member_id: int, task_id: int = 0, **more: Any) -> wire.Ending:
    told = wire.Ending(member_id, "pid 1 on there (x)", task_id, "killed", True, "")
    return replace(told, **more)


def supervised(job: Job, peer: Peer = GUEST) -> tuple[Hand, Client, str]:
    """A worker, a connection of its supervisor, and that one's name."""
    name = uuid.uuid4().hex
    return job.hire(peer, supervisor=name), job.client(peer), name
