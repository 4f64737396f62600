"""The tables of states are true: each line is played on the object that obeys it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from blocks import pack
from masterworker import wire
from masterworker.conversation import membership, numbered, waiting
from masterworker.conversation.backpressure import BackPressure
from masterworker.conversation.dispatcher import Dispatcher
from masterworker.conversation.membership import Process, Standing
from masterworker.conversation.numbered import NumberedCalls
from masterworker.conversation.worker import effects, states
from masterworker.conversation.worker.session import WorkerSession
from masterworker.core import presence
from masterworker.core.departure import Vanished
from masterworker.core.filters import TagFilter
from masterworker.core.member_table import REPORT_WITHIN, MemberTable
from masterworker.core.presence import Presence
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import RESULT, Outcome, State, Task
from masterworker.data.items import single
from masterworker.errors import RejectedError, Terminated, TransportError
from tools.house.states import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import Enum

    Table = Mapping[tuple[Any, Any], Any]


def lines(table: Table) -> Any:
    """Parametrize a test with all lines of a table."""
    names = [f"{before.name}-{event.name}" for before, event in table]
    return pytest.mark.parametrize(("before", "event"), list(table), ids=names)


@pytest.mark.parametrize("table", [table for _, table in TABLES], ids=[name for name, _ in TABLES])
def test_every_state_can_be_reached_and_every_event_has_a_place(table: Table) -> None:
    """The first state is where it begins."""
    (first, event), *_ = table
    assert {event for _, event in table} == set(type(event))
    reachable: set[Enum] = {first}
    for _ in type(first):
        reachable |= {after for (before, _), after in table.items() if before in reachable}
    assert reachable == set(type(first))


# -- a worker, as it sees itself ----------------------------------------------------------------

WELCOME = wire.Welcome(7, "run")
NO = RejectedError("no")
BROKEN = TransportError("reset")


def ordered(order: str) -> wire.Reply:
    return wire.Reply([], [], [(order, 0)], 0.0)


def play(steps: Any, *answers: Any) -> None:
    """Carry a procedure out with these answers, and as many None as it likes."""
    left = list(answers)
    try:
        next(steps)
        while True:
            answer = left.pop(0) if left else None
            steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
    except (StopIteration, RejectedError):
        assert not left


def stop(session: WorkerSession) -> None:
    if session.member_id is None:
        play(session.join_first(), Terminated("over"))
    else:
        play(session.exchange(0, 0.0, []), ordered(wire.STOP))


def break_off(session: WorkerSession) -> None:
    """Up to where it begins to look for the master."""
    steps = session.exchange(0, 0.0, [])
    next(steps)
    assert isinstance(steps.throw(BROKEN), effects.CutOff)
    steps.close()


WORKER: dict[states.Event, Callable[[WorkerSession], None]] = {
    states.Event.WELCOMED: lambda session: play(session.join(), WELCOME),
    states.Event.BROKEN: break_off,
    states.Event.UNKNOWN: lambda session: play(
        session.exchange(0, 0.0, []), ordered(wire.REJOIN), NO
    ),
    states.Event.STOPPED: stop,
    states.Event.RESIGNED: lambda session: play(session.resign()),
    states.Event.SIGNED_OFF: lambda session: play(session.leave()),
}
#: What leads to each state from outside.
TO_STATE = {
    states.State.OUTSIDE: [],
    states.State.MEMBER: [states.Event.WELCOMED],
    states.State.CUT_OFF: [states.Event.WELCOMED, states.Event.UNKNOWN],
    states.State.STOPPING: [states.Event.WELCOMED, states.Event.STOPPED],
    states.State.STRANDED: [states.Event.WELCOMED, states.Event.STOPPED, states.Event.BROKEN],
}


@lines(states.TRANSITIONS)
def test_worker(before: states.State, event: states.Event) -> None:
    """Its procedures do what the table says."""
    session = WorkerSession(pack, heartbeat=5.0, reconnect=20.0, now=0.0)
    for each in TO_STATE[before]:
        WORKER[each](session)
    assert session.state is before
    WORKER[event](session)
    assert session.state is states.TRANSITIONS[before, event]


# -- a call that waits --------------------------------------------------------------------------


class Master:
    """A machine with a worker that waits for the outcome of a task, and would execute another."""

    def __init__(self) -> None:
        core = Scheduler(single=single)
        pressure = BackPressure(lambda: 1 << 30, lambda _: None)  # type: ignore[arg-type,return-value]
        self.machine = Dispatcher(core, pressure, nullcontext())
        self.worker, self.other = self.join("worker"), self.join("other")
        self.machine.submissions.add("a", [b"", b"", b""], None, [0], direct=False)
        self.machine.flush(0.0)
        self.leases, _ = core.on_fetch(self.worker, 1, 0.0)
        asked = wire.Collect("c", 1, self.worker, None, 1, 5.0, wire.ANY)
        self.held, _ = core.on_fetch(self.other, 2, 0.0)
        self.held += core.on_fetch(self.other, 1, 0.0)[0]
        _, self.waiter = self.machine.collecting.collect(asked, "channel", 5.0, 0.0)
        self.machine.effects.clear()

    def join(self, client: str, supervisor: str = "") -> int:
        hello = wire.Hello(wire.PROTOCOL, "", "", "", client, ["a"], None, client, supervisor)
        return self.machine.membership.join(hello, 0.0)

    def happens(self, event: waiting.Event) -> None:
        machine, waiter = self.machine, self.waiter
        assert waiter is not None
        if event is waiting.Event.SERVED:  # an outcome, and a task that has come back
            first, second = self.held
            machine.settle(first.task_id, RESULT, b"", 1, 0.0)
            machine.give_back(second.task_id, 1, 0.0)
        elif event is waiting.Event.ORDERED:
            machine.orders.give(self.worker, (wire.CANCEL, self.leases[0].task_id))
            machine.collecting.interrupt(self.worker, 0.0)
        elif event is waiting.Event.DROPPED:
            machine.terminate(0.0)
        elif event is waiting.Event.EXPIRED:
            machine.answering.expire(waiter, 5.0)
        else:
            machine.answering.give_up(waiter, 0.0)

    def replies(self) -> int:
        return sum(type(each).__name__ == "Reply" for each in self.machine.effects)


@lines(waiting.TRANSITIONS)
def test_call_that_waits(before: waiting.State, event: waiting.Event) -> None:
    """It is answered once, whatever comes afterwards."""
    master = Master()
    assert master.waiter is not None
    if before is waiting.State.ANSWERED:
        master.happens(waiting.Event.ORDERED)
        # Nothing that comes later finds it any more, so what is on its way already is played.
        told = master.waiter.happens(event)
        assert not told
    else:
        master.happens(event)
    assert master.waiter.state is waiting.TRANSITIONS[before, event]
    assert master.replies() <= 1
    master.machine.check()


def test_call_that_is_served_twice_in_one_step_has_both_in_one_reply() -> None:
    """An outcome that it waits for, and a task to execute meanwhile."""
    master = Master()
    machine, waiter = master.machine, master.waiter
    assert waiter is not None
    done, back = master.held
    outcome = Outcome(done.task_id, 1, RESULT, [b"done"])
    _, served = machine.core.on_reported(master.other, [outcome], 0.0)
    served.leases += machine.core.on_returned(master.other, [back.task_id], 0.0).leases

    machine.apply(served, 0.0)

    assert (master.replies(), waiter.reply) == (1, (waiter.finished, waiter.leases))
    assert [len(part) for part in waiter.reply] == [1, 1]
    machine.check()


def test_call_of_a_supervisor_that_is_given_up_gets_no_order() -> None:
    """The order waits for the next call."""
    machine = Master().machine
    attend = machine.supervision.attend
    _, waiter = attend("s", [], [], 5.0, "channel", 5.0, 0.0)
    assert waiter is not None
    machine.answering.give_up(waiter, 0.0)
    assert machine.supervision.waiters() == []
    machine.supervision.order("s", (wire.CANCEL, 1, 2), 0.0)
    assert waiter.state is waiting.State.GIVEN_UP
    assert attend("s", [], [], 5.0, "channel", 5.0, 0.0) == ([(wire.CANCEL, 1, 2)], None)


# -- a numbered call ----------------------------------------------------------------------------


def numbered_call(state: numbered.State) -> tuple[NumberedCalls, numbered.Call]:
    calls = NumberedCalls()
    call, _ = calls.begin("c", 1, None)
    if state in {numbered.State.UNWANTED, numbered.State.OVER}:
        calls.forgo("c", 1)
    if state in {numbered.State.KEPT, numbered.State.OVER}:
        calls.complete(call, ([], []))
    assert call.state is state
    return calls, call


@lines(numbered.TRANSITIONS)
def test_numbered_call(before: numbered.State, event: numbered.Event) -> None:
    """What its client says late or twice changes nothing."""
    calls, call = numbered_call(before)
    if event is numbered.Event.CARRIED_OUT:
        calls.complete(call, ([], []))
    elif event is numbered.Event.ARRIVED:
        calls.acknowledge("c", 1)
    elif before is numbered.State.UNWANTED:  # its client goes on
        calls.begin("c", 2, None)
    elif before is numbered.State.KEPT:
        call.reply = ([object()], [])
        calls.forgo("c", 1)
    else:
        calls.forgo("c", 1)
    assert call.state is numbered.TRANSITIONS[before, event]


# -- a process, as the scheduler sees it ----------------------------------------------------------


@lines(presence.TRANSITIONS)
def test_presence(before: Presence, event: presence.Event) -> None:
    """Whether a process that is gone has to be explained, and by which supervisor."""
    table = MemberTable()
    member = table.join("w", TagFilter(None), None, 0.0, "s")
    task = Task(1, "a", b"", direct=True, state=State.LEASED, holder=member.id)
    member.leases[1] = task
    if before is Presence.ALONE:
        assert table.unattended("s") == []
    elif before is Presence.UNEXPLAINED:
        assert table.close(member, "closed", 0.0)
    assert member.presence is before

    after = presence.TRANSITIONS[before, event]
    if event is presence.Event.VOUCHED:
        table.attended("s", [member.id], 1.0)
    elif event is presence.Event.UNATTENDED:
        assert table.unattended("s") == ([(member.id, "closed")] if after is Presence.GONE else [])
    elif event is presence.Event.DEPARTED:
        table.remove(member)
    else:
        if event is presence.Event.CLOSED_IDLE:
            member.leases.clear()
        assert table.close(member, "closed again", 1.0) is (after is Presence.UNEXPLAINED)
        if before is Presence.UNEXPLAINED:  # what was known first holds
            assert table.unexplained(REPORT_WITHIN) == [(member.id, "closed")]
    assert member.presence is after
    if after is not Presence.GONE:
        assert not list(table.check())


# -- a process that comes again -------------------------------------------------------------------


@lines(membership.TRANSITIONS)
def test_process_that_comes_again(
    before: Standing, event: membership.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same process joins again, as its client's name shows."""
    master = Master()
    machine, core = master.machine, master.machine.core
    process = Process("new")
    if before is not Standing.UNKNOWN:
        process = machine.membership._members[master.worker]
    if before is Standing.STRUCK:
        machine.membership.lost(master.worker, "crashed", 0.0, blame=True)
    assert process.standing is before

    if event is membership.Event.JOINED:
        member_id = master.join(process.client)
        process = machine.membership._members[member_id]
        assert process.member_id == member_id
        assert not any(task.losses for task in core.tasks.values())
    elif event is membership.Event.STRUCK:
        core.on_started(master.worker, master.leases[0].task_id, 0.0)
        machine.apply(core.on_departed(master.worker, Vanished("crashed"), 0.0), 0.0)
    elif event is membership.Event.GONE:
        machine.membership.leave(master.worker, 0.0)
    else:
        monkeypatch.setattr(membership, "KEPT", 1)
        third = master.join("third")
        leases, _ = core.on_fetch(third, 1, 0.0)
        assert leases
        machine.membership.lost(third, "crashed", 0.0, blame=True)
    assert process.standing is membership.TRANSITIONS[before, event]
