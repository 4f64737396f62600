"""The record of a job: true, whole from beginning to end, and bounded."""

from __future__ import annotations

import sys
import tracemalloc
from itertools import pairwise
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest

from masterworker.core.departure import Left, Vanished
from masterworker.core.grain import Spent
from masterworker.core.options import Options
from masterworker.core.scheduler import Scheduler
from masterworker.core.standing import stand
from masterworker.core.task import FAILURE, RESULT, Outcome
from masterworker.data.record import Failure, explain
from masterworker.recorder import failures, snapshot, spans
from masterworker.recorder.recorder import EVENTS, OTHERS, SLOTS, TAGS, Recorder
from masterworker.recorder.shapes import Looked, Snapshot
from masterworker.recorder.telling import Teller, Told

if TYPE_CHECKING:
    from collections.abc import Callable

#: What the record of a large job may take (bytes).
MOST = 10e6


def look(core: Scheduler, now: float) -> Snapshot:
    return snapshot.whole(snapshot.take(core.recorder, stand(core, []), now), "i", 0.0)


def job(workers: int = 1, at: float = 0.0) -> Scheduler:
    core = Scheduler(explain=explain)
    core.recorder.at(at)
    for n in range(workers):
        core.on_joined(f"pid {n} on host{n % 3} (x86_64)", None, None, at)
    return core


def work(core: Scheduler, number: int, each: float, now: float, worker: int = 0) -> None:
    """A worker executes so many of the tasks that wait, and reports them in one go."""
    leases, _ = core.on_fetch(worker, number, now)
    outcomes = [Outcome(one.task_id, one.attempt, RESULT, one.payloads) for one in leases]
    done = sum(len(one.payloads) for one in outcomes)
    last = outcomes[-1].task_id + len(outcomes[-1].payloads) - 1
    core.on_spent(worker, [Spent(last, done, done * each, done * each * each)], now)
    core.on_reported(worker, outcomes, now)


def test_a_large_job_fits() -> None:
    """10,000,000 tasks of 10,000 workers and many tags, failures and events: 10 MB at most."""
    workers, reports, tasks = 10_000, 40_000, 250
    infos = [f"pid {n} on host{n % 500} (x86_64)" for n in range(workers)]
    tags = [f"tag {n}" for n in range(TAGS * 2)]
    tracemalloc.start()
    try:
        recorder = Recorder(lambda: ({}, 7, ()), lambda *_: ("ValueError", "no 1", "x" * 20_000))
        recorder.at(0.0)
        for n, info in enumerate(infos):
            recorder.joined(n, info, 0.0)
        for n in range(reports):
            tag = tags[n * 31 % len(tags)]
            recorder.at(n * 1.5)
            recorder.of(tag).done += tasks
            recorder.spent(tag, n % workers, tasks, 100.0 + n % 7, 101.0 + n % 5)
            if not n % 100:
                recorder.failed(tag, FAILURE, b"", n, infos[n % workers])
        recorder.teller = Teller()
        told = recorder.teller.tell(
            Told(recorder.rows, 1, reports * 1.5, recorder.width, everything=True)
        )
        assert len(told.cells) == 250
        del told
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert recorder.spans is not None
    missing = spans.SPANS - len(recorder.spans)
    assert size + missing * sum(column.itemsize for column in recorder.spans.columns) <= MOST
    everything = recorder.figures.values()
    assert sum(each.done for each in everything) == reports * tasks
    assert sum(sum(each.histogram) for each in everything) == reports * tasks
    assert sum(each.tasks for each in recorder.workers.values()) == reports * tasks
    assert len(recorder.spans) <= spans.SPANS
    going_on = sum(each.number for each in recorder.workers.values() if each.at is not None)
    assert sum(recorder.spans.number) + going_on == reports * tasks
    open_seconds = sum(each.seconds for each in recorder.workers.values() if each.at is not None)
    busy = sum(each.busy for each in everything)
    assert sum(recorder.spans.busy) + open_seconds == pytest.approx(busy, rel=1e-5)
    assert sum(sum(row.busy) for row in recorder.rows.rows) == pytest.approx(
        busy - open_seconds, rel=1e-3
    )
    assert min(recorder.spans.begin) < 0.01 * reports * 1.5
    assert max(recorder.spans.end) > 0.5 * reports * 1.5
    assert len(recorder.figures) == TAGS + 1
    assert recorder.figures[OTHERS].done == pytest.approx(reports * tasks / 2, rel=0.01)


@pytest.mark.parametrize("seconds", [1.0, 149.9, 150.0, 150.1, 1e4, 1e6])
def test_histories_reach_from_the_beginning_to_now(seconds: float) -> None:
    """However long a job takes, there are at most so many slots, and they end with it."""
    core, at = job(), 0.0
    core.on_requested("a", [b""] * 100, 0.0)
    for n in range(100):
        at = (n + 1) * seconds / 100
        work(core, 1, seconds / 200, at)
    found = look(core, at)
    history, kept = found.histories.tags["a"], found.histories
    assert 0 < kept.slots <= SLOTS or seconds == 1.0
    assert kept.slots * kept.width <= seconds < (kept.slots + 1) * kept.width
    assert all(before <= after for before, after in pairwise(history.done))
    for slot, done in enumerate(history.done):  # what was reported before its end is in it
        end = (slot + 1) * kept.width
        assert abs(done - end / seconds * 100) <= 1.01
        assert history.waiting[slot] == pytest.approx(100 - done, abs=1)
    assert found.tags[0].busy == pytest.approx(seconds / 2)


def test_a_job_that_stands_still_is_covered_at_once() -> None:
    """An hour without a report is some slots, and no loop over each of its moments."""
    core = job()
    core.on_requested("a", [b""] * 2, 0.0)
    work(core, 1, 0.1, 1.0)
    work(core, 1, 0.1, 1e9)
    kept = look(core, 1e9).histories
    assert kept.slots <= SLOTS
    assert kept.slots * kept.width <= 1e9 < (kept.slots + 1) * kept.width


def test_it_is_called_for_reports_and_not_for_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times as many tasks in as many reports make no call more."""
    calls = 0

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            nonlocal calls
            calls += 1
            return method(*args)

        return call

    for name in ("at", "spent", "of"):
        monkeypatch.setattr(Recorder, name, counted(getattr(Recorder, name)))
    found = []
    for size in (10, 100):
        core = job()
        calls = 0
        core.on_requested("@f", [b""] * 10 * size, 0.0, direct=True)
        core.on_joined("w", frozenset("@"), None, 0.0)
        for n in range(10):
            work(core, size // 10, 0.001, n * 0.001, 1)
        found.append(calls)
        assert core.tally.results == size
    assert found[0] == found[1]


def test_a_snapshot_costs_the_same_whatever_the_number_of_tasks() -> None:
    """Counted: lines of Python that are executed for it, with 100 and with 20,000 tasks."""
    found = []
    for number in (100, 20_000):
        core = job(4)
        core.on_requested("a", [b""] * number, 0.0, options=Options(pure=True))
        core.on_requested("b", [b""] * number, 0.0, options=Options(priority=2))
        lines = 0

        def count(_frame: object, event: str, _argument: object) -> Any:
            nonlocal lines
            lines += event == "line"
            return count

        before = sys.gettrace()
        sys.settrace(count)
        try:
            seen = look(core, 1.0)
        finally:
            sys.settrace(before)
        assert seen.waiting == 2 * number
        assert [(tag.name, tag.waiting) for tag in seen.tags] == [("a", number), ("b", number)]
        found.append(lines)
    assert found[0] == found[1]


def test_counts_are_those_of_the_job() -> None:
    """Through failures, losses, cancels, retries and late results, by tag and in all."""
    core = job(2)
    core.on_requested("a", [b"0"] * 6, 0.0)
    core.on_requested("b", [b"0"] * 2, 0.0, options=Options(retries=1, delay=5.0))
    work(core, 1, 0.5, 1.0)
    (held,), _ = core.on_fetch(1, 1, 1.0)
    core.on_departed(1, Vanished("killed"), 2.0)
    core.on_reported(1, [Outcome(held.task_id, 1, RESULT, [b"late"])], 2.0)
    core.on_cancelled([3], 2.0)
    (held,), _ = core.on_fetch(0, 1, 2.0)
    record = Failure("ValueError", "no 17 here\nmore", "Traceback", b"").encode()
    core.on_reported(0, [Outcome(held.task_id, 1, FAILURE, [record])], 3.0)
    (held,), _ = core.on_fetch(0, 1, 3.0)
    core.on_started(0, held.task_id, 3.5)
    found = look(core, 4.0)
    assert (found.asked, found.done, found.failed, found.cancelled) == (8, 2, 1, 1)
    assert (found.waiting, found.in_hand) == (3, 1)
    assert (found.lost, found.repeated, found.duplicates) == (1, 1, 0)
    a, b = found.tags
    assert (a.asked, a.done, a.failed, a.cancelled, a.waiting, a.in_hand) == (6, 2, 1, 1, 1, 1)
    assert (b.asked, b.waiting, b.in_hand, b.busy_workers) == (2, 2, 0, 0)
    (kind,) = found.failures
    assert (kind.tag, kind.type, kind.text) == ("a", "ValueError", "no 17 here")
    assert (kind.number, kind.tasks, kind.hosts) == (1, ["a_3"], ["host0"])
    assert (kind.first, kind.last, kind.traceback) == (3.0, 3.0, "Traceback")
    here, gone = sorted(found.worker_list, key=lambda each: each.id)
    assert (here.tag, here.since, here.left) == ("a", 3.5, None)
    assert here.task == f"a_{held.task_id - 1}"
    assert gone.left == 2.0
    assert [(host.name, host.workers, host.lost) for host in found.hosts] == [
        ("host0", 1, 0),
        ("host1", 0, 1),
    ]
    assert [event.kind for event in found.events] == ["joined", "joined", "lost"]


def test_what_cannot_be_is_no_duration() -> None:
    """A worker may report anything."""
    core = job()
    core.on_requested("a", [b""] * 9, 0.0)
    (lease,), _ = core.on_fetch(0, 1, 0.0)
    for bad in (-1.0, inf, nan, 1e300):
        core.on_spent(0, [Spent(lease.task_id, 1, bad, 1.0)], 1.0)
    for tasks in (0, -1, 1 << 60):
        core.on_spent(0, [Spent(lease.task_id, tasks, 1.0, 1.0)], 1.0)
    assert look(core, 1.0).tags[0].executed == 0
    core.on_spent(0, [Spent(lease.task_id, 1, 1.0, 1.0)], 1.0)
    assert look(core, 1.0).tags[0].executed == 1


def test_durations_of_uneven_tasks_are_told_apart() -> None:
    """Of tasks that are reported in one go, the long one is seen as long."""
    recorder = Recorder()
    recorder.at(1.0)
    recorder.spent("a", 0, 10, 9 * 0.001 + 1.0, 9 * 1e-6 + 1.0)
    assert snapshot.quantile(recorder.figures["a"], 0.5) == pytest.approx(0.001, rel=0.2)
    assert snapshot.quantile(recorder.figures["a"], 0.99) == pytest.approx(1.0, rel=0.2)


def test_failures_that_differ_in_numbers_are_of_one_kind() -> None:
    kinds = failures.FailureKinds()
    for n in range(1000):
        kinds.add("a", ("E", f"row {n} at 0x{n:x}", "t"), n, f"host{n}", float(n))
    (kind,) = kinds.kinds.values()
    assert (kind.number, kind.first, kind.last, kind.tasks) == (1000, 0.0, 999.0, [0, 1, 2])
    letters = "abcdefghij"
    for n in range(1000):
        text = "".join(letters[int(digit)] for digit in str(n))
        kinds.add("a", ("E", text, "t" * 99_999), n, "h", float(n))
    assert len(kinds.kinds) == failures.KINDS + 1
    assert sum(kind.number for kind in kinds.kinds.values()) == 2000
    assert all(len(kind.traceback) <= failures.TRACEBACK for kind in kinds.kinds.values())


@pytest.mark.parametrize("kinds", [["x"], ["x", "y"], ["x", "y", "z"]])
def test_events_are_joined_and_none_is_forgotten(kinds: list[str]) -> None:
    recorder = Recorder()
    for n in range(10 * EVENTS):
        recorder.at(float(n))
        recorder.event(kinds[n % len(kinds)], f"number {n}")
    assert len(recorder.events) <= EVENTS
    assert sum(event.number for event in recorder.events) == 10 * EVENTS
    assert recorder.events[0].at == 0.0
    assert all(a.at < b.at for a, b in pairwise(recorder.events))


def test_a_worker_that_leaves_is_no_loss() -> None:
    core = job(2)
    core.on_departed(0, Left(), 1.0)
    found = look(core, 2.0)
    assert (found.workers, found.lost, found.events[-1].kind) == (1, 0, "left")


def test_only_what_is_new() -> None:
    """A caller gets the difference to what it has, and all where that means nothing any more."""
    core = job(2)
    core.on_requested("a", [b""] * 9, 0.0)
    work(core, 1, 0.5, 1.0)
    first = look(core, 1.1)
    kept = first.histories
    work(core, 1, 0.5, 2.0)
    core.on_departed(1, Left(), 2.2)
    second = look(core, 2.3)
    workers = (*core.recorder.workers.values(), *core.recorder.gone.values())
    assert core.recorder.teller is not None
    known = {worker.id: worker.changed for worker in workers}
    changed = snapshot.Changed(known, core.recorder.teller.news)
    seen = Looked(first.number, kept.slots, kept.width, first.events[-1].order)
    new = snapshot.since(second, changed, seen)
    assert new.base == first.number
    assert [each.id for each in new.worker_list] == [1, 0]
    assert [event.kind for event in new.events] == ["left"]
    assert new.histories.first == kept.slots
    added = new.histories.tags["a"].done
    assert first.histories.tags["a"].done + added == second.histories.tags["a"].done
    for nonsense in (Looked(), Looked(99, 1, 0.25, 1)):
        assert snapshot.since(second, changed, nonsense) == second
    coarser = snapshot.since(second, changed, Looked(first.number, 4, 0.125, 0))
    assert coarser.histories.first == 0
    third = look(core, 2.4)
    assert snapshot.since(third, changed, Looked(second.number)).worker_list == []


def test_what_workers_use_is_what_can_be() -> None:
    core = job(1)
    core.recorder.used(0, 5_000_000, 1.5)
    for memory, cpu in ((-1, 1.0), (1, -1.0), (1, nan), (1, inf)):
        core.recorder.used(0, memory, cpu)
    core.recorder.used(7, 1, 1.0)
    found = look(core, 1.0)
    assert [(each.memory, each.cpu) for each in found.worker_list] == [(5_000_000, 1.5)]
    assert [(each.memory, each.cpu) for each in found.hosts] == [(5_000_000, 1.5)]
