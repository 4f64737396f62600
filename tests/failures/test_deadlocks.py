"""F1 to F8: whatever comes, and in whatever order, the master goes on serving."""

from __future__ import annotations

import math
import random
import signal
import threading
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from failures.jobs import (
    all_here,
    ask,
    done,
    ended,
    go_on,
    gone,
    here,
    in_bound,
    join,
    memory_job,
    observer,
    plain_workers,
    real_master,
    remote,
    stop,
)
from masterworker import wire
from masterworker.core import audit
from masterworker.core.departure import Left, Vanished
from masterworker.core.reports import CURRENT
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import FAILURE, RESULT, Outcome
from masterworker.errors import UsageError
from masterworker.master import engine_of
from masterworker.testing import connection
from support import HANG, fields, python_script, start_script, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from masterworker.manager import Manager

HELLO = fields(wire.introduce("stranger", None, 5.0, "stranger"))


def hello(**changes: Any) -> list[Any]:
    return fields(wire.Hello(*HELLO), **changes)


def still_serves(manager: Manager) -> None:
    """A thousand calls of others, a task from end to end, and every invariant."""
    worker, client = join(manager), observer(manager)
    for _ in range(1_000):
        assert manager.ping(worker)
    mine = ask(manager, "after")
    while leases := manager.exchange(wire.Exchange(worker, want=1)).leases:
        manager.exchange(wire.Exchange(worker, [done(leases[0], "fine")]))
    found = []
    while finished := manager.collect(client)[0]:
        found += [outcome.task_id for outcome in finished]
    assert mine in found
    manager.census()
    manager.check()


# -- F1 -----------------------------------------------------------------------------------------


def test_f01_question_about_unknown_things_leaves_the_master_free() -> None:
    """A question that cannot be answered could leave the master locked for everybody."""
    with real_master() as master, remote(master) as stranger, remote(master) as other:
        assert stranger.get(wire.PROGRAM, "no such thing") is None
        assert stranger.drop(wire.DATA, "no such thing") is False
        assert stranger.drop_state(77) is False
        assert stranger.ping(77) is False
        assert stranger.settle(77, RESULT, b"") is False
        stranger.give_back(77)
        for call in (("no such call",), ("join",), ("exchange", "x"), ("request", "c", 1)):
            with pytest.raises(UsageError):
                stranger.call(*call)
        for _ in range(1_000):
            assert other.get(wire.DATA, "nothing") is None


MALFORMED: dict[str, tuple[Any, ...]] = {
    "request: tag no text": ("request", "c", 1, 5, [b""], None),
    "request: tag empty": ("request", "c", 1, "", [b""], None),
    "request: payload a number": ("request", "c", 1, "after", [5]),
    "request: payload a text": ("request", "c", 1, "after", ["text"]),
    "request: payloads a number": ("request", "c", 1, "after", 5),
    "settle: payload a number": ("settle", 1, RESULT, 5),
    "settle: unknown kind": ("settle", 1, "x", b""),
    "exchange: short outcome": ("exchange", 0, [[1, 1, RESULT]], [], 0, 0, 0.0, None),
    "exchange: returned a list": ("exchange", 0, [], [1, []], 0, 0, 0.0, None),
    "exchange: want a text": ("exchange", 0, [], [], 0, "x", 0.0, None),
    "exchange: wait not a number": ("exchange", 0, [], [], 0, 1, math.nan, None),
    "exchange: tag a list": ("exchange", 0, [], [], 0, 1, 0.0, [1]),
    "collect: want a text": ("collect", "c", 1, 0, None, "x", 0.0, 0),
    "collect: tag a number": ("collect", "c", 1, 0, 5, 1, 0.0, 0),
    "join: heartbeat a text": ("join", *hello(heartbeat="soon")),
    "join: tags a number": ("join", *hello(tags=5)),
    "join: tags of numbers": ("join", *hello(tags=[5])),
    "join: info a number": ("join", *hello(info=5)),
    "put_state: a number": ("put_state", "c", 1, 5),
    "story: a text": ("story", "x"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_f01_malformed_call_harms_nobody_else(what: str) -> None:
    """A call with a wrong argument could leave behind what breaks everybody's next call."""
    with memory_job() as manager:
        holder = join(manager, ["held"])
        ask(manager, "held")
        manager.exchange(wire.Exchange(holder, want=1))
        good, reply = connection(manager).call(*MALFORMED[what])
        assert good or reply[0] == "UsageError"
        still_serves(manager)


@pytest.mark.parametrize("heartbeat", [math.nan, math.inf, -1.0, 0.0])
def test_f01_absurd_heartbeat_does_not_blind_the_watch(heartbeat: float) -> None:
    """A process that promises nonsense could hide the death of all others."""
    with memory_job() as manager:
        stranger, core = connection(manager), manager.core
        stranger.call("join", *hello(heartbeat=heartbeat))
        watched = core.on_joined("watched", None, 1.0, 0.0)
        for second in range(1, 10):
            core.on_tick(float(second))
        assert watched not in core.members


def test_f01_negative_wait_does_not_occupy_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller could make the master wait for ever by asking it for a negative time."""
    monkeypatch.setattr(wire, "LONGEST_WAIT", 0.05)
    with memory_job() as manager:
        call = ("exchange", join(manager), [], [], 0, 1, -1.0, None)
        in_bound(lambda: connection(manager).call(*call), 3.0)


# -- F2, F3: real processes -----------------------------------------------------------------------


def test_f02_worker_that_slept_too_long_comes_back(tmp_path: Path) -> None:
    """A worker taken for dead that wakes up and asks for work could lock the master."""
    with (
        real_master() as master,
        plain_workers(tmp_path, master.label, heartbeat=0.1) as workers,
        remote(master) as other,
    ):
        all_here(master, workers)
        before = master.status().processes[-1][0]
        stop(workers[0])
        wait_until(lambda: not here(master), what="its silence is noticed")
        go_on(workers[0])
        for _ in range(1_000):
            assert not other.ping(77)
        all_here(master, workers)
        assert master.status().processes[-1][0] != before
        master.request_task("pid")
        assert master.retrieve_result(timeout=HANG)[2] == workers[0].pid
        assert workers[0].process.poll() is None


def test_f03_idle_worker_that_is_killed_takes_no_task_with_it(tmp_path: Path) -> None:
    """What waited for a killed worker could take the next task, which nobody would then see."""
    with (
        real_master() as master,
        plain_workers(tmp_path, master.label, 2, heartbeat=0) as workers,
    ):
        all_here(master, workers)
        workers[0].kill()
        wait_until(lambda: here(master) == {workers[1].pid}, what="the loss is noticed")
        for n in range(100):
            master.request_task("echo", n)
        got = sorted(master.retrieve_result(timeout=HANG)[2] for _ in range(100))
        assert got == list(range(100))
        assert engine_of(master).manager.core.tally.requeued == 0


# -- F4 to F7 -----------------------------------------------------------------------------------


def test_f04_goodbye_twice_or_from_a_stranger_is_nothing() -> None:
    """A process that signs off after it was dropped could break the list of processes."""
    with memory_job() as manager:
        dropped, stays = join(manager), join(manager)
        manager.lost(dropped, "test")
        link = connection(manager)
        for member in (dropped, dropped, 77, -1):
            assert link.call("leave", member) == [True, None]
        assert [number for number, _, _ in manager.census().processes] == [stays]
        still_serves(manager)


@pytest.mark.parametrize("held", [0, 1, 2, 50])
@pytest.mark.parametrize("how", ["lost", "left", "silent"])
def test_f05_all_tasks_of_a_dropped_worker_go_on_once_each(held: int, how: str) -> None:
    """Taking several tasks from a dropped worker could forget some, or hand some out twice."""
    core = Scheduler()
    worker = core.on_joined("w", None, 1.0, 0.0)
    first, _ = core.on_requested("t", [b""] * held)
    ids = list(range(first, first + held))
    for _ in ids:
        core.on_fetch(worker, 1, 0.0)
    if how == "lost":
        core.on_departed(worker, Vanished("killed"), 1.0)
    elif how == "left":
        core.on_departed(worker, Left(), 1.0)
    else:
        for second in range(1, 6):
            core.on_tick(float(second))
    audit.check(core)
    other = core.on_joined("other", None, None, 1.0)
    again = [core.on_fetch(other, 1, 1.0)[0][0].task_id for _ in ids]
    assert again == ids
    assert core.on_fetch(other, 1, 1.0)[0] == []
    audit.check(core)


@pytest.mark.parametrize("seed", range(20))
def test_f06_goodbye_and_verdict_in_any_order_keep_the_watch_alive(seed: int) -> None:
    """A goodbye at the moment of the verdict could end the watch over everybody, unnoticed."""
    chance = random.Random(seed)
    core = Scheduler()
    now = 0.0
    members: list[int] = []
    for _ in range(400):
        now += chance.choice([0.0, 0.1, 0.5])
        member = chance.choice(members) if members else 0
        event: Callable[[], Any] = chance.choice(
            [
                lambda n=now: members.append(core.on_joined("w", None, 1.0, n)),
                lambda m=member, n=now: core.on_departed(m, Left(), n),
                lambda m=member, n=now: core.on_departed(m, Vanished("closed"), n),
                lambda m=member, n=now: core.on_heard(m, n),
                lambda m=member, n=now: core.on_fetch(m, 2, n),
                lambda n=now: core.on_tick(n),
                lambda: core.on_requested("t", [b""]),
            ]
        )
        event()
        audit.check(core)
    silent = set(core.members)
    for _ in range(10):
        now += 1.0
        silent -= {member.id for member, _ in core.on_tick(now).lost}
    assert not silent
    assert not core.members


def test_f07_every_order_of_report_and_farewell_ends_in_one_outcome() -> None:
    """A report that meets its worker's farewell half-way could wait for what never comes."""
    for order in permutations(range(6)):
        core = Scheduler()
        client = core.on_joined("client", frozenset(), None, 0.0)
        first, second = (core.on_joined(f"w{n}", None, None, 0.0) for n in range(2))
        core.on_requested("t", [b""])
        core.on_fetch(first, 1, 0.0)
        events: list[Callable[[], Any]] = [
            lambda c=core, w=first: c.on_reported(w, [Outcome(1, 1, RESULT, [b"one"])], 0.0),
            lambda c=core, w=first: c.on_departed(w, Left(), 0.0),
            lambda c=core, w=first: c.on_departed(w, Vanished("closed"), 0.0),
            lambda c=core, w=first: c.on_returned(w, [1], 0.0),
            lambda c=core, w=second: c.on_fetch(w, 1, 0.0),
            lambda c=core, w=second: c.on_reported(w, [Outcome(1, CURRENT, FAILURE, [b""])], 0.0),
        ]
        for index in order:
            events[index]()
            audit.check(core)
        finished, _ = core.on_collect(client, 5)
        assert len(finished) == 1, order


def test_f07_threads_that_report_and_leave_never_wait_for_each_other() -> None:
    """Reports, farewells and losses from many threads could lock each other out."""
    with memory_job() as manager:
        client = observer(manager)
        manager.request("t", [b""] * 400)

        def live() -> bool:
            chance = random.Random(threading.get_ident())
            while manager.core.results.count + manager.core.tally.delivered != 400:
                worker = join(manager)
                leases = manager.exchange(wire.Exchange(worker, want=5)).leases
                if chance.random() < 0.3:
                    threading.Thread(target=manager.lost, args=(worker, "x"), daemon=True).start()
                manager.exchange(wire.Exchange(worker, [done(lease, None) for lease in leases]))
                manager.leave(worker)
            return True

        threads = [threading.Thread(target=live, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG)
            assert not thread.is_alive(), "a thread hangs in the manager"
        manager.check()
        finished, _ = manager.collect(client, None, 1_000)
        assert sorted(f.task_id for f in finished) == list(range(1, 401))


# -- F8 -----------------------------------------------------------------------------------------

MASTER = """
import psutil, signal, sys
from Scientific.DistributedComputing.MasterSlave import initializeMasterProcess
signal.signal(signal.SIGINT, signal.default_int_handler)
master = initializeMasterProcess(sys.argv[1], slave_script=sys.argv[2])
master.launchSlaveJobs(2)
master.requestTask("echo", 1)
workers = [c for c in psutil.Process().children() if "--supervised" in str(c.cmdline())]
print(*[worker.pid for worker in workers], flush=True)
print(master.retrieveResult()[2], flush=True)
print("waiting", flush=True)
try:
    master.retrieveResult()
except KeyboardInterrupt:
    print("broken off", master.task_manager.numberOfActiveProcesses(), flush=True)
    raise
"""

SLAVE = """
from Scientific.DistributedComputing.MasterSlave import startSlaveProcess
def do_echo(value):
    return value
startSlaveProcess()
"""


def test_f08_ctrl_c_breaks_off_the_wait_and_ends_the_job(tmp_path: Path) -> None:
    """Ctrl-C in a waiting master could go unheard, or leave a lock and all its slaves behind."""
    slave = python_script(tmp_path, "slave.py", SLAVE)
    master = start_script(
        python_script(tmp_path, "master.py", MASTER), unique_label("ctrl-c"), str(slave)
    )
    with ended(master):
        master.says("waiting")
        slaves = [int(pid) for pid in master.out.splitlines()[0].split()]
        assert len(slaves) == 2
        master.process.send_signal(signal.SIGINT)
        assert master.wait() in {-signal.SIGINT, 130}, master.told
        assert "broken off 3" in master.out
        wait_until(lambda: all(gone(pid) for pid in slaves), what="its slaves end")


def test_f08_ctrl_c_at_the_worst_moment_loses_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outcome that arrives together with Ctrl-C could be lost, and the lock stay closed."""
    with memory_job() as manager:
        client, worker = observer(manager), join(manager)
        ask(manager, "t")
        lease = manager.exchange(wire.Exchange(worker, want=1)).leases[0]

        def interrupted(self: Any, seconds: float) -> None:
            manager.exchange(wire.Exchange(worker, [done(lease, 42)]))
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("masterworker.manager.mailbox.Mailbox.wait", interrupted)
            with pytest.raises(KeyboardInterrupt):
                manager.collect(client, None, 1, 1.0)
        assert [f.task_id for f in manager.collect(client)[0]] == [lease.task_id]
        still_serves(manager)
