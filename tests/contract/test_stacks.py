"""What a worker is doing right now: asked, told, or seen by its supervisor; over each transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from contract.nets import Background
from masterworker import wire
from masterworker.conversation import stacks
from masterworker.manager.stacks import LINES, WIDTH
from support import wait_until

if TYPE_CHECKING:
    from contract.nets import Net, Peer


def at_work(net: Net) -> tuple[Peer, int]:
    """A worker that has a task in hand."""
    worker = net.join(["a"])
    first = worker.client.request("a", [b""])
    worker.fetch()
    return worker, first


def asking(net: Net, task_id: int, number: int = 1) -> Background:
    """Let an observer ask."""
    client = net.client()
    call = Background(lambda: client.stack(task_id))
    wait_until(lambda: len(waiters(net)) >= number)
    return call


def waiters(net: Net) -> list[Any]:
    """The calls that wait."""
    part = net.manager.machine.stacks
    return [] if part is None else part.waiters()


def ordered(worker: Peer) -> list[Any]:
    """The orders that a worker is given when it says what it is doing."""
    reply = worker.client.exchange(wire.Exchange(worker.id, started=1))
    return [tuple(order) for order in reply.orders]


def test_a_worker_is_asked(net: Net) -> None:
    """Once, for all who ask; what it says is cut, and can be printed."""
    worker, task = at_work(net)
    first, second = asking(net, task), asking(net, task, 2)
    assert ordered(worker) == [(wire.STACK, task)]
    assert ordered(worker) == []
    told = ["at \x1b[31m\u202ehome\0", "x" * 5000, *["line"] * 5000]
    worker.client.tell_stack(worker.id, task, told)
    for lines in (first.result(), second.result()):
        assert lines[0] == "at \\x1b[31m\\u202ehome\\x00"
        assert len(lines) == LINES
        assert max(map(len, lines)) == WIDTH
    assert net.client().stack(task) == lines, "those who ask a moment later get the same"
    assert ordered(worker) == []
    net.manager.check()


def test_what_was_not_asked_for_is_dropped(net: Net) -> None:
    worker, task = at_work(net)
    worker.client.tell_stack(worker.id, task, ["forged"])
    call = asking(net, task)
    worker.client.tell_stack(worker.id, task + 1, ["forged"])
    worker.client.tell_stack(worker.id + 1, task, ["forged"])
    worker.client.tell_stack(worker.id, task, ["true"])
    assert call.result() == ["true"]


@pytest.mark.parametrize("task", [0, -1, 2, 99, 1 << 62])
def test_a_task_that_no_worker_has(net: Net, task: int) -> None:
    """Unknown, or waiting."""
    worker, first = at_work(net)
    assert first == 1
    worker.client.request("a", [b""])
    assert net.client().stack(task) == [stacks.NOT_HELD]


def test_a_worker_that_does_not_answer(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call ends in its time, with nothing; the next one is answered."""
    _, task = at_work(net)
    monkeypatch.setattr(wire, "LONGEST_WAIT", 0.05)
    assert net.client().stack(task) == []
    assert not waiters(net)


def test_what_a_supervisor_sees(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told when the worker has not answered, and after a while at once."""
    worker, task = at_work(net)
    monkeypatch.setattr(wire, "LONGEST_WAIT", 0.05)
    net.client().attend("someone", [], [], 0.0, still=[(worker.id, 12.0), (99, 1.0)])
    (line,) = net.client().stack(task)
    assert line.startswith("its own threads have not run for 12 s, as its supervisor sees")
    assert ordered(worker) == [(wire.STACK, task)]
    net.client().attend("someone", [], [], 0.0, still=[(worker.id, 500.0)])
    (line,) = net.client().stack(task)
    assert line.startswith("its own threads have not run for 500 s, as its supervisor sees")
    assert ordered(worker) == []
    for odd in (float("nan"), float("inf"), -1.0):
        net.manager.looking.seen("someone", (), [(worker.id, odd)])
    assert net.client().stack(task) == [line]
    machine = net.manager.machine
    later = machine.core.members[worker.id].heard + 60.0
    assert machine.stacks is not None
    lines, waiter = machine.stacks.ask(task, None, later, later)
    assert lines is None, "that was said too long ago"
    assert waiter is not None
    machine.stacks.close(waiter)


def test_so_many_ask_at_a_time(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    _, task = at_work(net)
    monkeypatch.setattr(stacks, "MOST", 1)
    call = asking(net, task)
    assert net.client().stack(task) == [stacks.BUSY]
    net.manager.terminate()
    assert call.result() == []


def test_why_workers_elsewhere_are_no_forks(net: Net) -> None:
    """A supervisor says so, as long as it is here."""
    _, task = at_work(net)
    client = net.client()
    client.attend("someone", [], [], 0.0, ways="on there each worker\x1b: why")
    assert "on there each worker\\x1b: why" in net.client().story(task)
    client.attend("someone", [], [], 0.0, ways="")
    assert "why" not in " ".join(net.client().story(task))
    client.attend("someone", [], [], 0.0, ways="because")
    client.disconnect()
    wait_until(lambda: "because" not in net.client().story(task))
