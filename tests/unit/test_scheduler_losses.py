"""Whom the scheduler blames for a loss, and when it takes a silent process for lost."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from masterworker.core.departure import Blameless, Left, Vanished
from masterworker.core.liveness import STOOD_STILL
from masterworker.core.scheduler import MAX_LOSSES, Scheduler
from masterworker.core.task import LOST, Finished, State
from unit.acting import client, fetch, request, worker

# -- blame --------------------------------------------------------------------------------------


def test_third_loss_ends_a_task_with_its_history(core: Scheduler) -> None:
    """A task that takes worker after worker with it is given up, and tells of each."""
    c = client(core)
    request(core, "a")
    for n in range(MAX_LOSSES):
        w = core.on_joined(f"pid {n}", None, None, 0.0)
        fetch(core, w, 1)
        core.on_started(w, 1, 0.0)
        core.on_departed(w, Vanished(f"signal {n}"), 0.0)
    assert core.on_collect(c, 1)[0] == [
        Finished(1, "a", LOST, [b"pid 0: signal 0\npid 1: signal 1\npid 2: signal 2"], "")
    ]
    assert core.tally.given_up == 1
    assert core.on_fetch(worker(core), 1, 0.0)[0] == []


def test_given_up_outcome_reaches_who_waits(core: Scheduler) -> None:
    """A client that waits, and a future, learn of a lost task at once."""
    core.crashes.max_losses = 1
    c = client(core)
    request(core, "a")
    request(core, "a", direct=True)
    _, claim = core.on_collect(c, 1)
    lost = Finished(1, "a", LOST, [b"w1: gone"], "")
    for expected in ([(claim, [lost])], []), ([], [replace(lost, task_id=2)]):
        w = worker(core)
        fetch(core, w, 1)
        effects = core.on_departed(w, Vanished("gone"), 0.0)
        assert (effects.results, effects.direct) == expected


def test_innocents_are_not_blamed_when_the_executing_one_is_known(core: Scheduler) -> None:
    """Only the task that was executing gets a strike and comes alone."""
    w = worker(core)
    ids = request(core, "aaa")
    fetch(core, w, 3)
    core.on_started(w, ids[1], 0.0)
    core.on_departed(w, Vanished("killed"), 0.0)
    assert [bool(core.tasks[i].losses) for i in ids] == [False, True, False]
    assert [core.tasks[i].suspect for i in ids] == [False, True, False]


def test_all_are_suspects_without_a_strike_when_nothing_is_known(core: Scheduler) -> None:
    """With several in hand and none said to be executing, each is tried alone."""
    w = worker(core)
    ids = request(core, "aaa")
    fetch(core, w, 3)
    core.on_departed(w, Vanished("killed"), 0.0)
    assert [core.tasks[i].suspect for i in ids] == [True] * 3
    assert [core.tasks[i].losses for i in ids] == [None] * 3


def test_single_task_in_hand_is_blamed(core: Scheduler) -> None:
    """With one task in hand it is clear which one was executing."""
    w = worker(core)
    request(core, "a")
    fetch(core, w, 1)
    core.on_departed(w, Vanished("killed"), 0.0)
    assert core.tasks[1].losses == ["w0: killed"]


@pytest.mark.parametrize("how", ["silent", "left", "returned"])
def test_nothing_is_blamed_without_a_reason(core: Scheduler, how: str) -> None:
    """Silence of the network, leaving, and giving back say nothing against a task."""
    for _ in range(MAX_LOSSES + 1):
        w = worker(core)
        if not core.tasks:
            request(core, "a")
        fetch(core, w, 1)
        core.on_started(w, 1, 0.0)
        if how == "returned":
            core.on_returned(w, [1], 0.0)
        if how == "silent":
            core.on_departed(w, Blameless(how), 0.0)
        else:
            core.on_departed(w, Left(), 0.0)
    assert core.tasks[1].state is State.WAITING
    assert core.tasks[1].losses is None
    assert not core.tasks[1].suspect


# -- time ---------------------------------------------------------------------------------------


def tick_until(core: Scheduler, start: int, end: int) -> list[tuple[int, int]]:
    """Tick once a second. Returns (second, process) for each that was lost."""
    return [
        (second, member.id)
        for second in range(start, end)
        for member, _ in core.on_tick(float(second)).lost
    ]


def test_silent_process_is_lost_after_four_heartbeats(core: Scheduler) -> None:
    """Silence is noticed at the fourth missing sign of life, and costs nobody a strike."""
    w = worker(core, heartbeat=5.0)
    worker(core)  # not watched
    request(core, "a")
    fetch(core, w, 1)
    assert tick_until(core, 1, 40) == [(20, w)]
    assert core.tasks[1].losses is None
    assert core.waiting.count == 1
    assert not core.on_heard(w, 40.0)
    assert list(core.members) == [1]


def test_sign_of_life_counts_from_when_it_came(core: Scheduler) -> None:
    """Each sign of life gives another four heartbeats."""
    w = worker(core, heartbeat=5.0)
    assert tick_until(core, 1, 20) == []
    assert core.on_heard(w, 19.0)
    assert tick_until(core, 20, 50) == [(39, w)]


def test_asking_for_work_is_a_sign_of_life(core: Scheduler) -> None:
    """A process that asks is not silent."""
    w = worker(core, heartbeat=5.0)
    tick_until(core, 1, 10)
    core.on_fetch(w, 1, 10.0)
    assert tick_until(core, 10, 50) == [(30, w)]


def test_nobody_expires_because_the_master_stood_still(core: Scheduler) -> None:
    """Of the time that the master itself was suspended only half a heartbeat counts as silence."""
    workers = [worker(core, heartbeat=5.0) for _ in range(5)]
    assert tick_until(core, 1, 3) == []
    assert core.on_tick(3600.0).lost == []
    assert core.on_heard(workers[0], 3610.0)
    assert tick_until(core, 3601, 3630) == [(3616, w) for w in workers[1:]]


def test_small_delay_of_a_tick_is_no_standing_still(core: Scheduler) -> None:
    """A master that is a little late with its ticks still notices silence."""
    w = worker(core, heartbeat=STOOD_STILL / 4)
    assert [member.id for member, _ in core.on_tick(STOOD_STILL).lost] == [w]


def test_master_that_is_late_again_and_again_notices_silence_all_the_same(core: Scheduler) -> None:
    """A program that lets nobody look in time must not hide the dead for ever."""
    w = worker(core, heartbeat=5.0)
    lost = [now for now in range(0, 200, 10) if core.on_tick(float(now)).lost]
    assert lost == [80]
    assert w not in core.members


def test_ticks_are_due_as_long_as_somebody_is_watched(core: Scheduler) -> None:
    """The time of the next tick is known exactly when there is somebody to watch."""
    worker(core)
    assert core.next_deadline() is None
    w = worker(core, heartbeat=0.1)
    assert core.next_deadline() == pytest.approx(0.4)
    other = worker(core, heartbeat=5.0)
    core.on_departed(w, Left(), 0.0)
    core.on_tick(0.5)
    assert core.next_deadline() == pytest.approx(1.5)
    core.on_departed(other, Left(), 1.0)
    tick_until(core, 1, 30)
    assert core.next_deadline() is None
    late = core.on_joined("late", None, 5.0, 100.0)
    assert tick_until(core, 101, 130) == [(120, late)]


def test_what_comes_back_while_tasks_are_held_back_causes_a_look() -> None:
    """Results go without a word, so perhaps there is no reason any more to hold it back."""
    core = Scheduler()
    w = worker(core)
    request(core, "a")
    fetch(core, w, 1)
    core.on_held_back(0.0, held=True)
    core.alarmed = False
    core.on_departed(w, Left(), 1.0)
    assert core.waiting.count == 1
    assert core.alarmed
