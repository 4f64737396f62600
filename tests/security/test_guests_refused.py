"""What a worker with a ticket may not do: it is refused, and nothing has changed."""

from __future__ import annotations

from typing import Any

import pytest

from masterworker import wire
from masterworker.core.options import Options
from masterworker.core.task import AGAIN, CANCELLED, FAILURE, LOST, RESULT, Outcome
from masterworker.data import record
from masterworker.errors import (
    UsageError,
)
from masterworker.security.peer import OWNER, Peer
from security.visitors import (
    EVERYTHING,
    FOREIGN,
    GUEST,
    HELLO,
    Job,
    ending,
    in_full_swing,
    refused,
    supervised,
)
from support import fields


def test_a_guest_may_not_end_the_job_or_change_what_others_execute(job: Job) -> None:
    _, guest, _, _ = in_full_swing(job)
    client = guest.client
    refused(
        job,
        client.terminate,
        lambda: client.put(wire.PROGRAM, "program", b"mine"),
        lambda: client.drop(wire.PROGRAM, "program"),
        lambda: client.put(wire.STATES, "1/name", b"mine"),
        lambda: client.drop(wire.STATES, "1/name"),
        lambda: client.put("nowhere", "x", b"mine"),
        lambda: client.cancel([1, 2, 3, 4]),
        lambda: client.cancel([-1, 99]),
    )
    assert client.get(wire.PROGRAM, "program") == b"code"


def test_a_guest_may_not_speak_for_another_process(job: Job) -> None:
    """Neither for a trusted one nor for another guest; ids that nobody has are answered."""
    trusted, guest, lease, _ = in_full_swing(job)
    other = job.hire()
    client, done = other.client, Outcome(lease.task_id, lease.attempt, RESULT, [b"forged"])
    for victim in (trusted.id, guest.id):
        refused(
            job,
            lambda v=victim: client.leave(v),
            lambda v=victim: client.ping(v),
            lambda v=victim: client.exchange(wire.Exchange(v)),
            lambda v=victim: client.exchange(wire.Exchange(v, [done], [lease.task_id], 0, 1)),
            lambda v=victim: client.collect(v),
            lambda v=victim: client.attend("s", [v], [], 0.0),
            lambda v=victim: client.attend("s", [], [ending(v)], 0.0),
        )
    before = job.state()
    for nobody in (-1, 99, 1 << 62):
        assert not other.client.ping(nobody)
        other.client.leave(nobody)
        reply = other.client.exchange(
            wire.Exchange(nobody, [Outcome(lease.task_id, 1, RESULT, [b"x"])], [1], 1, 1)
        )
        assert reply == wire.Reply([lease.task_id], [], [("rejoin", 0)], 0.0)
    assert job.state() == before


def test_a_guest_may_deliver_only_what_it_was_handed(job: Job) -> None:
    """Other attempts, other workers' tasks, tasks that never were: refused, and not counted."""
    _, guest, lease, mine = in_full_swing(job)
    foreign = [
        (i, a) for i in FOREIGN for a in (-1, 0, 1, 2) if (i, a) != (mine.task_id, mine.attempt)
    ]
    outcomes = [
        Outcome(i, a, kind, [b"x"]) for i, a in foreign for kind in (RESULT, FAILURE, AGAIN)
    ]
    outcomes += [
        Outcome(mine.task_id, mine.attempt, kind, [b"x"]) for kind in (LOST, CANCELLED, -1, 99)
    ]
    before = job.state()
    reply = guest.client.exchange(
        wire.Exchange(guest.id, outcomes, [lease.task_id, 3, -1, 99], lease.task_id)
    )
    assert reply.refused == [o.task_id for o in outcomes]
    job.clock.now -= 1.0  # a call is a sign of life, and that is all it was
    guest.client.ping(guest.id)
    job.clock.now += 1.0
    assert without_heard(job.state()) == without_heard(before)
    for i in (lease.task_id, 3, -1, 99):
        refused(
            job,
            lambda i=i: guest.client.settle(i, RESULT, b"x"),
            lambda i=i: guest.client.give_back(i),
        )
    assert not guest.client.settle(mine.task_id, LOST, b"x")
    assert guest.report(mine) == []


def without_heard(state: Any) -> Any:
    tasks, members, *rest = state
    return tasks, [(*m[:2], *m[3:]) for m in members], rest


def test_a_task_that_went_to_another_worker_is_not_settled_by_its_number(job: Job) -> None:
    """A late failure does not touch the attempt of the other one; a late result counts."""
    boss, guest = job.hire(OWNER), job.hire()
    boss.client.request("a", [b"1", b"2"])
    for kind, taken in ((FAILURE, False), (RESULT, True)):
        task_id = guest.fetch().task_id
        job.manager.lost(guest.id, "silent")
        other = boss.fetch()
        assert other.task_id == task_id
        guest.client.disconnect()
        guest = job.hire(client=guest.client)
        assert guest.client.settle(task_id, kind, b"late") is taken
        if not taken:
            assert boss.report(other) == []


def test_a_guest_may_not_give_back_what_went_to_another_worker(job: Job) -> None:
    boss, guest = job.hire(OWNER), job.hire()
    boss.client.request("a", [b"1"])
    task_id = guest.fetch().task_id
    job.manager.lost(guest.id, "silent")
    lease = boss.fetch()
    guest.client.give_back(task_id)
    assert job.manager.core.tasks[task_id].holder == boss.id
    assert boss.report(lease) == []


def test_what_a_guest_gave_back_it_does_not_deliver(job: Job) -> None:
    guest = job.hire()
    guest.client.request("a", [b"1"])
    lease = guest.fetch()
    guest.client.exchange(wire.Exchange(guest.id, returned=[lease.task_id]))
    before = without_heard(job.state())
    assert guest.report(lease) == [lease.task_id]
    assert without_heard(job.state()) == before


def test_names_of_clients_are_kept_apart(job: Job) -> None:
    """Who knows a trusted process's name gets none of its replies, and does not displace it."""
    trusted, guest, _, _ = in_full_swing(job)
    number, line = trusted.client._caller.number, job.client()
    hello = wire.introduce("somebody", ["a"], None, trusted.client.name)
    member_id = line.join(hello).member_id
    assert line.ping(member_id)
    assert trusted.client.ping(trusted.id)
    reply = line.call("put_state", trusted.client.name, number, {"z": b"1"})
    assert reply == 2  # carried out, and not the reply to the other one's call
    assert guest.client.ping(guest.id)


def test_a_guest_does_not_use_the_name_of_another_guest(job: Job) -> None:
    """A connection is of one process; what another one is about to be told stays its own."""
    _, guest, _, _ = in_full_swing(job)
    other = job.hire()
    name = guest.client.name
    other.client.call("forgo", other.client.name, 0)
    refused(
        job,
        lambda: other.client.call("request", name, 1, "a", [b"x"], None),
        lambda: other.client.call("collect", name, 1, other.id, None, 1, 0.0, 0),
        lambda: other.client.call("put_state", name, 1, {}),
        lambda: other.client.call("acknowledge", name, 1),
        lambda: other.client.call("forgo", name, 1),
        lambda: other.client.call("instance", name),
        lambda: other.client.call("join", *fields(HELLO, client=name)),
    )
    for bad in ("", "x" * 201):
        refused(
            job,
            lambda bad=bad: other.client.call("join", *fields(HELLO, client=bad)),
            lambda bad=bad: other.client.call("forgo", bad, 1),
            kind=UsageError,
        )


def test_tasks_have_sane_options(job: Job) -> None:
    """What would harm whoever executes the task is refused."""
    _, guest, _, _ = in_full_swing(job)
    options = [
        *(Options(timeout=t) for t in (0.0, -1.0, float("inf"), float("nan"))),
        *(Options(retries=r) for r in (-1, 1 << 40)),
        *(Options(retries=1, delay=d) for d in (-1.0, float("inf"), float("nan"))),
        *(Options(priority=p) for p in (-(1 << 40), 1 << 40)),
    ]
    for each in options:
        before = job.state()
        with pytest.raises(UsageError, match="options"):
            guest.client.request("a", [b"x"], each)
        assert job.state() == before


def test_many_failures_in_a_row_break_nothing(job: Job) -> None:
    """The pause before the next attempt doubles, and 2.0 ** 1024 is not a number any more."""
    guest = job.hire()
    guest.client.request("a", [b"x"], Options(retries=2000))
    failure = record.Failure("ValueError", "x", "", b"").encode()
    for _ in range(1100):
        assert guest.report(guest.fetch(), failure, AGAIN) == []


def test_a_supervisor_of_guests_vouches_and_reports(job: Job) -> None:
    """As a trusted one does: signs of life, and the strike for the task that was executing."""
    worker, supervisor, name = supervised(job)
    worker.client.request("a", [b"1"])
    lease = worker.fetch()
    job.clock.advance(15.0)
    supervisor.attend(name, [worker.id], [], 0.0)
    assert job.manager.core.members[worker.id].heard == job.clock.now
    supervisor.attend(name, [], [ending(worker.id, lease.task_id)], 0.0)
    assert worker.id not in job.manager.core.members
    assert job.manager.core.tasks[lease.task_id].losses == ["pid 1 on there (x): killed"]


def test_what_is_said_of_another_run_counts_for_nobody_here(job: Job) -> None:
    """The same numbers are of others in this run, perhaps of other supervisors: no offence."""
    worker, supervisor, name = supervised(job)
    alien, _, _ = supervised(job)
    before = [job.manager.core.members[each.id].heard for each in (worker, alien)]
    job.clock.advance(5.0)
    numbers, used = [worker.id, alien.id], [(worker.id, 1 << 30, 1.0)]
    supervisor.attend(name, numbers, [], 0.0, used, [(alien.id, 9.0)], run=7)
    told = ending(alien.id, run=7)
    supervisor.attend(name, [], [told], 0.0)
    assert [job.manager.core.members[each.id].heard for each in (worker, alien)] == before
    supervisor.attend(name, [worker.id], [], 0.0, run=wire.number_of_run(job.manager.instance))
    assert job.manager.core.members[worker.id].heard == job.clock.now


def test_a_supervisor_of_guests_may_end_a_task_of_its_own(job: Job) -> None:
    worker, supervisor, name = supervised(job)
    number = worker.client.request("a", [b"1"])
    worker.fetch()
    slow = record.Failure("TaskTimeout", "too slow", "", b"").encode()
    told = ending(worker.id, number, outcome=(FAILURE, slow))
    supervisor.attend(name, [], [told], 0.0)
    assert job.manager.census().failed == 1


@pytest.mark.parametrize("peer", [OWNER, GUEST])
def test_a_guest_may_not_vouch_for_others_or_bury_them(job: Job, peer: Peer) -> None:
    """Not even where it has found out the name of a trusted supervisor, or where there is none."""
    victim, _, name = supervised(job, peer)
    alone = job.hire(peer)
    in_full_swing(job)
    attacker, supervisor, own = supervised(job)
    names = [own, "s"] + ([name] if peer is OWNER else [])
    for each in names:
        for who in (victim.id, alone.id):
            fresh = job.client()
            refused(
                job,
                lambda n=each, w=who, c=fresh: c.attend(n, [w], [], 0.0),
                lambda n=each, w=who, c=fresh: c.attend(n, [], [ending(w)], 0.0),
            )
    refused(
        job, lambda: job.client().attend("", [alone.id], [ending(alone.id)], 0.0), kind=UsageError
    )
    supervisor.attend(own, [attacker.id], [], 0.0)
    refused(job, lambda: supervisor.attend("another", [], [], 0.0))


def test_an_ending_says_nothing_of_other_workers_tasks(job: Job) -> None:
    """No result for them, no failure, and no strike."""
    _, _, lease, _ = in_full_swing(job)
    task = job.manager.core.tasks[lease.task_id]
    for outcome in (None, (RESULT, b"forged"), (FAILURE, b"forged"), (LOST, b""), (99, b"")):
        worker, supervisor, name = supervised(job)
        supervisor.attend(name, [], [ending(worker.id, task.id, outcome=outcome)], 0.0)
        assert worker.id not in job.manager.core.members
        assert task.losses is None
        assert not task.suspect
    assert job.manager.census().done == job.manager.census().failed == 0
    tally = job.manager.core.tally
    assert tally.duplicates == tally.unknown == 0


def test_a_supervisor_gives_no_results(job: Job) -> None:
    """Not even of its own worker's task: it has not executed it."""
    worker, supervisor, name = supervised(job)
    number = worker.client.request("a", [b"1"])
    worker.fetch()
    supervisor.attend(name, [], [ending(worker.id, number, outcome=(RESULT, b"forged"))], 0.0)
    assert job.manager.census().waiting == {"a": 1}


def test_texts_of_guests_are_cut_and_play_no_tricks(job: Job) -> None:
    worker = job.hire(supervisor="s", info="\x1b[2J" + "long " * 1000)
    supervisor = job.client()
    told = ending(-1, how="\x1b]0;x\x07" * 1000, tail="a\x1b[31m\nb" * 10_000)
    supervisor.attend("s", [], [told], 0.0)
    info = job.manager.core.members[worker.id].info
    shown = info + "".join(job.manager.troubles.lines())
    assert shown.isprintable()
    assert len(shown) < 2000


@pytest.mark.parametrize("results", [wire.ANYTHING, wire.PLAIN])
@pytest.mark.parametrize("number", [*FOREIGN, -(1 << 62)])
def test_no_number_is_an_internal_error(results: str, number: int) -> None:
    """Errors that say whose fault it is, whatever is put in the place of an id."""
    job = Job(results)
    trusted, guest = job.hire(OWNER), job.hire()
    trusted.client.request("a", [b"1", b"2"])
    guest.fetch()
    wired = guest.client._connection
    assert wired is not None
    for name, args in EVERYTHING.items():
        for position, value in enumerate(args):
            if type(value) is not int:
                continue
            changed = [*args[:position], number, *args[position + 1 :]]
            good, reply = wired.call(name, *changed)
            assert good or reply[0] != "InternalError", (name, changed, reply)
            job.manager.check()
    for value in ([], [[number] * 4], [[number, number, RESULT, [b""]]]):
        wired.call("exchange", guest.id, value, [number], 0, 0, 0.0, None)
    job.manager.check()


def test_huge_and_odd_names_are_just_names(job: Job) -> None:
    """Many tags, NUL, patterns: nothing is interpreted."""
    odd = ["\x00", ".*", "a" * 100_000, "%s", "../../x", *(f"tag {i}" for i in range(10_000))]
    guest, boss = job.hire(tags=odd), job.hire(OWNER)
    boss.client.request("\x00", [b"x"])
    assert guest.fetch().tag == "\x00"
    guest.client.put(wire.DATA, "..\x00/" + "k" * 100_000, b"v")


def test_a_guest_is_not_told_what_others_are_doing(job: Job) -> None:
    """Nor does it say so of others, whether they were asked or not."""
    trusted, guest, lease, _ = in_full_swing(job)
    supervisor, name = job.client(GUEST), "its own"
    supervisor.attend(name, [], [], 0.0)
    refused(
        job,
        lambda: guest.client.stack(lease.task_id),
        lambda: guest.client.tell_stack(trusted.id, lease.task_id, ["forged"]),
        lambda: supervisor.attend(name, [], [], 0.0, still=[(trusted.id, 9.0)]),
    )
    supervisor.attend(name, [], [], 0.0, ways="why\x1b[31m " + "x" * 5000)
    (why,) = [line for line in job.manager.story(lease.task_id) if line.startswith("why")]
    assert why.startswith("why\\x1b[31m xxx")
    assert len(why) == 300
