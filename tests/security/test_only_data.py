"""Jobs with accept="data": nothing that comes from a guest is ever unpickled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from msgspec.structs import replace

from integration.crew import Hired
from masterworker import Worker, current_worker, wire
from masterworker.core.chunks import Chunk
from masterworker.core.options import Options
from masterworker.core.task import AGAIN, FAILURE, RESULT, Outcome
from masterworker.data import plain, record
from masterworker.data.outcome import open_finished
from masterworker.data.pickling import dumps, dumps_call
from masterworker.errors import (
    MasterworkerError,
    NotAllowedError,
    RemoteError,
    TaskFailed,
)
from masterworker.manager import Service
from masterworker.security.peer import OWNER
from masterworker.testing import MemoryConnection
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


from security.visitors import (
    EVERYTHING,
    GUEST,
    HELLO,
    JOB,
    Job,
    ending,
    in_full_swing,
    refused,
    supervised,
)

opened: list[int] = []


class Opened:
    """Tells when it is unpickled."""

    def __reduce__(self) -> Any:
        return opened.append, (1,)


def test_who_is_told_that_only_data_is_taken(job: Job, data_job: Job) -> None:
    """Guests of such a job, and nobody else."""
    told = {}
    for name, of in (("any", job), ("data", data_job)):
        for peer in (OWNER, GUEST):
            client = of.client(peer)
            told[name, peer.job] = client.join(replace(HELLO, client=client.name)).results
    assert told == {
        ("any", ""): "any",
        ("any", JOB): "any",
        ("data", ""): "any",
        ("data", JOB): "data",
    }


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (RESULT, dumps(1)),
        (RESULT, b""),
        (RESULT, b"I1\n."),
        (FAILURE, record.Failure("ValueError", "x", "", dumps([ValueError("x")])).encode()),
        (AGAIN, record.Failure("ValueError", "x", "", b"\x80").encode()),
        (FAILURE, b""),
        (FAILURE, b"\xc1"),
        (AGAIN, msgpack.packb(["ValueError", "x", "", "text"])),
        (FAILURE, msgpack.packb(["ValueError", "x", ""])),
        (FAILURE, msgpack.packb([["x"], 1, 2, b""])),
        (FAILURE, b"\x91" * 10_000),
    ],
)
@pytest.mark.parametrize("way", ["exchange", "settle"])
def test_a_pickle_of_a_guest_becomes_a_failure(
    data_job: Job, kind: int, payload: bytes, way: str
) -> None:
    """The task has failed, for good, and its text says why. Nothing goes round."""
    boss, guest = data_job.hire(OWNER), data_job.hire()
    boss.client.request("a", [b"1"], Options(retries=5))
    lease = guest.fetch()
    if way == "exchange":
        assert guest.report(lease, payload, kind) == []
    else:
        assert guest.client.settle(lease.task_id, kind, payload)
    (finished,), _ = boss.client.collect(boss.id)
    with pytest.raises(TaskFailed, match=r'takes only data.*accept="data"'):
        open_finished(finished)


@pytest.mark.parametrize("kind", [RESULT, FAILURE])
def test_a_chunk_of_a_guest_becomes_failures(data_job: Job, kind: int) -> None:
    """It is one pickle for several tasks: each of them has failed, and nothing is opened."""
    boss, guest = data_job.hire(OWNER), data_job.hire()
    boss.client.request("a", [b"1", b"2", b"3"])
    for _ in range(3):
        guest.fetch()
    chunk = Chunk(dumps(Opened()), 0, 3)
    assert (
        guest.client.exchange(wire.Exchange(guest.id, [Outcome(1, 1, kind, chunk)])).refused == []
    )
    found, _ = boss.client.collect(boss.id, want=3)
    for finished in found:
        with pytest.raises(TaskFailed, match=r'takes only data.*accept="data"'):
            open_finished(finished)
    assert len(found) == 3
    assert not opened


def test_a_chunk_of_a_guest_for_what_others_have(data_job: Job) -> None:
    """Each task of it is judged by itself."""
    boss, guest, other = data_job.hire(OWNER), data_job.hire(), data_job.hire()
    boss.client.request("a", [b"1", b"2"])
    guest.fetch()
    other.fetch()
    chunk = Chunk(b"", 0, 3)
    assert guest.client.exchange(
        wire.Exchange(guest.id, [Outcome(1, 1, RESULT, chunk)])
    ).refused == [2, 3]


def test_plain_outcomes_of_guests_arrive(data_job: Job) -> None:
    boss, guest = data_job.hire(OWNER), data_job.hire()
    boss.client.request("a", [b"1", b"2", b"3"])
    guest.report(guest.fetch(), plain.encode({"x": (1, 2.0)}))
    guest.report(guest.fetch(), record.Failure("KeyError", "'x'", "trace", b"").encode(), FAILURE)
    guest.report(guest.fetch(), plain.MARK + b"\xc1")
    first, second, third = boss.client.collect(boss.id, want=3)[0]
    assert open_finished(first)[2] == {"x": (1, 2.0)}
    with pytest.raises(TaskFailed, match="KeyError: 'x'") as caught:
        open_finished(second)
    assert isinstance(caught.value.exception, RemoteError)
    assert caught.value.traceback == "trace"
    with pytest.raises(TaskFailed, match="cannot be rebuilt"):
        open_finished(third)


def test_a_guest_puts_nothing_where_others_would_unpickle_it(data_job: Job) -> None:
    _, guest, _, _ = in_full_swing(data_job)
    client = guest.client
    refused(
        data_job,
        *(
            lambda n=name: client.call(n, *EVERYTHING[n])
            for name in ("put", "drop", "drop_state", "cancel", "terminate")
        ),
        lambda: client.request("a", [b"x"]),
        lambda: client.collect(guest.id),
        lambda: client.put_state({"x": b"y"}),
    )
    with pytest.raises(NotAllowedError, match=r"may not 'request'.*accept=.data"):
        client.request("a", [b"x"])
    assert client.get(wire.PROGRAM, "program") == b"code"
    assert client.ping(guest.id)


def test_what_a_supervisor_of_guests_tells_comes_without_a_pickle(data_job: Job) -> None:
    """It does not know of this rule, so its pickle is dropped and its text is kept."""
    boss = data_job.hire(OWNER)
    for payload, text in (
        (record.Failure("TaskTimeout", "too slow", "", dumps([ValueError()])).encode(), "too slow"),
        (b"\xc1", None),
    ):
        worker, supervisor, name = supervised(data_job)
        number = boss.client.request("a", [b"1"])
        assert worker.fetch().task_id == number
        told = ending(worker.id, number, outcome=(FAILURE, payload))
        supervisor.attend(name, [], [told], 0.0)
        finished, _ = boss.client.collect(boss.id)
        if text is None:
            assert not finished
            assert boss.fetch().task_id == number  # it goes to another worker, with a strike
        else:
            assert record.decode(finished[0].payload).message == text
            assert not record.decode(finished[0].payload).pickled


def _fail() -> None:
    raise KeyError("x")


HANDLERS: dict[str, Callable[..., Any]] = {
    "plain": lambda x: {"twice": (2 * x,)},
    "odd": object,
    "fail": _fail,
    "further": lambda: current_worker().request_task("plain", 1),
}


@pytest.mark.parametrize("results", [wire.ANYTHING, wire.PLAIN])
def test_a_real_worker_as_a_guest(results: str) -> None:
    """It encodes as it is told, and says in words what it cannot."""
    job = Job(results)
    boss = job.hire(OWNER, tags=[], heartbeat=None)
    connect = job.client()._connect
    hired = Hired(Worker("any", handlers=HANDLERS, connect=connect))

    def outcome(tag: str, *parameters: Any) -> Any:
        boss.client.request(tag, [dumps_call(tag, parameters)])
        (finished,), _ = boss.client.collect(boss.id, tag, wait=HANG)
        assert finished.kind != RESULT or plain.is_plain(finished.payload) is (results == "data")
        return open_finished(finished)[2]

    assert outcome("plain", 21) == {"twice": (42,)}
    with pytest.raises(TaskFailed, match="KeyError: 'x'" if results == "data" else "x") as caught:
        outcome("fail")
    assert isinstance(caught.value.exception, RemoteError if results == "data" else KeyError)
    assert "raise KeyError" in caught.value.traceback
    if results == "data":
        with pytest.raises(TaskFailed, match=r"object is not plain data.*trusted"):
            outcome("odd")
        with pytest.raises(TaskFailed, match="may not 'request'"):
            outcome("further")
    else:
        assert type(outcome("odd")) is object
        assert outcome("further").startswith("plain_")
    job.manager.check()
    job.manager.terminate()
    hired.join()


def test_a_real_guest_goes_on_after_its_line_was_cut(job: Job) -> None:
    """It joins again under its name, and what it had finished is taken."""
    lines: list[MemoryConnection] = []

    def connect() -> MemoryConnection:
        session = Service(job.manager, GUEST)
        lines.append(MemoryConnection(session))
        return lines[-1]

    def cut(x: int) -> int:
        if x == 5:
            lines[-1].close()
        return x

    boss = job.hire(OWNER, tags=[], heartbeat=None)
    hired = Hired(Worker("any", handlers={"cut": cut}, connect=connect))
    boss.client.request("cut", [dumps_call("cut", (i,)) for i in range(20)])
    got: list[int] = []
    wait_until(
        lambda: (
            got.extend(open_finished(f)[2] for f in boss.client.collect(boss.id, want=20)[0])
            or len(got) >= 20
        )
    )
    assert sorted(got) == list(range(20))
    assert len(lines) > 1
    assert not isinstance(hired.error, MasterworkerError)
    job.manager.terminate()
    hired.join()
