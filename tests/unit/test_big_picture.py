"""The big picture: who was busy when, in bounded rows, and told in small pieces."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from masterworker.core.departure import Left, Vanished
from masterworker.core.scheduler import Scheduler
from masterworker.core.standing import stand
from masterworker.core.task import FAILURE
from masterworker.recorder import rows, shapes, snapshot
from masterworker.recorder.recorder import Recorder
from masterworker.recorder.rows import FAILED, FULL, LOST, Rows
from masterworker.recorder.telling import Teller, Told, halve, since
from masterworker.views.picture import Picture

if TYPE_CHECKING:
    from masterworker.recorder.shapes import Looked, Snapshot

#: What the rows may take on the line in a second (bytes).
MOST = 30_000


class Job:
    """A recorder, at which viewers look as at that of a master."""

    def __init__(self) -> None:
        self.core = Scheduler()
        self.recorder: Recorder = self.core.recorder
        self.recorder.at(0.0)
        self.now = 0.0

    def at(self, now: float) -> None:
        self.now = now
        self.recorder.at(now)

    def whole(self) -> Snapshot:
        taken = snapshot.take(self.recorder, stand(self.core, []), self.now)
        whole = snapshot.whole(taken, "i", 0.0)
        self.changed, self.latest = snapshot.changed(taken), whole
        return whole

    def look(self, seen: Looked) -> Snapshot:
        return shapes.decode(shapes.encode(snapshot.since(self.whole(), self.changed, seen)))


def cells_of(found: Snapshot) -> dict[str, list[tuple[int, int]]]:
    """By what a row is called: tags and busy parts of its cells."""
    names = [head.name for head in found.rows.heads]
    return {
        names[each.row]: list(zip(each.cells[::2], each.cells[1::2], strict=True))
        for each in found.rows.cells
    }


def test_what_a_cell_says() -> None:
    """Tag, busy part, and what has happened, at the time when it was."""
    job = Job()
    for n, host in enumerate("ab"):
        job.recorder.joined(n, f"pid {n} on {host} (x)", 0.0)
    job.at(1.0)
    job.recorder.spent("one", 0, 1, 0.5, 0.25)
    job.recorder.spent("two", 1, 1, 0.125, 0.01)
    job.recorder.failed("two", FAILURE, b"", 1, "pid 1 on b (x)")
    job.at(2.0)
    job.recorder.left(1, "killed", 2.0, lost=True)
    found = cells_of(job.whole())
    assert [tag.name for tag in job.whole().tags] == ["one", "two"]
    assert found["pid 0 on a (x)"] == [(0, 0), (0, 0), (1, FULL), (1, FULL), (1, 0)]
    assert found["pid 1 on b (x)"][3] == (2, 1 + (FULL - 1) // 2)
    assert found["pid 1 on b (x)"][4] == (2, FAILED)
    assert found["pid 1 on b (x)"][8] == (0, LOST)


@pytest.mark.parametrize("workers", [3, 700])
def test_busy_seconds_are_where_they_were(workers: int) -> None:
    """Through doublings, and where rows are of hosts: no second is lost, none is elsewhere."""
    dice, recorder = random.Random(workers), Recorder()
    recorder.at(100.0)
    for n in range(workers):
        recorder.joined(n, f"pid {n} on host{n % 40} (x)", 100.0)
    busy, free = [0.0] * 10_000, [100.0] * workers
    for _ in range(3000):
        worker = dice.randrange(workers)
        begin = free[worker] + dice.expovariate(1.0)
        end = begin + dice.choice((0.06, 0.3, 40.0))
        free[worker] = end
        recorder.at(max(recorder.now, end))
        recorder.spent("tag", worker, 1, end - begin, 0.0)
        span = recorder.workers[worker]
        begin, end = span.begin - 100.0, span.end - 100.0  # as it was reported
        for slot in range(int(begin / 256), int(end / 256) + 1):
            busy[slot] += min(end, slot * 256 + 256) - max(begin, slot * 256)
    recorder.end_spans(everything=True)
    assert recorder.rows.of_hosts == (workers > rows.ROWS)
    assert len(recorder.rows.rows) == (3 if workers == 3 else 40)
    for row in recorder.rows.rows:
        row.grow(256.0)
    found = [0.0] * len(busy)
    for row in recorder.rows.rows:
        assert row.width == 256.0
        for slot, seconds in enumerate(row.busy):
            found[slot] += seconds
    assert sum(busy) > 1000
    assert found == pytest.approx(busy, abs=0.2)


def test_differences_make_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens: workers that come, go and are replaced, hosts, groups, longer slots."""
    monkeypatch.setattr(rows, "ROWS", 64)
    monkeypatch.setattr(rows, "HOST_ROWS", 32)
    monkeypatch.setattr(rows, "PACE", 2000)
    dice, job = random.Random(7), Job()
    pictures = [Picture(job.look) for _ in range(3)]
    layouts = set()
    number, alive = 0, []
    for step in range(1, 250):
        job.at(step * dice.choice((1.0, 1.0, 3.0)) if step * 3 > job.now else job.now)
        for _ in range(dice.choice((0, 1, 2)) if step < 150 else 0):
            job.recorder.joined(number, f"pid {number} on host{number % 90} (x)", job.now)
            alive.append(number)
            number += 1
        if len(alive) > 5 and dice.random() < 0.3:
            gone = alive.pop(dice.randrange(len(alive)))
            job.recorder.left(gone, "", job.now, lost=dice.random() < 0.5)
        for worker in dice.sample(alive, min(len(alive), 9)):
            job.recorder.spent(dice.choice("abc"), worker, 1, dice.choice((0.1, 20.0)), 0.0)
        if alive and dice.random() < 0.1:
            worker = dice.choice(alive)
            info = f"pid {worker} on host{worker % 90} (x)"
            job.recorder.failed("a", FAILURE, b"", 1, info)
        for often, picture in zip((1, 5, 60), pictures, strict=True):
            if not step % often:
                found = picture.update().rows
                layouts.add((found.of, found.layout))
                assert found == job.latest.rows, (step, often)
                assert len(found.heads) <= rows.ROWS
    assert {of for of, _ in layouts} == {"workers", "hosts"}
    assert len(layouts) > 2
    assert any(head.hosts > 1 for head in job.latest.rows.heads)
    assert job.recorder.width > 1.0


def test_a_worker_has_the_row_of_the_one_before() -> None:
    """Of one that is gone, on its own host first; so 512 rows are enough as long as they can be."""
    found = Rows()
    for n in range(rows.ROWS):
        found.joined(n, f"pid {n} on host{n % 2} (x)", f"host{n % 2}", 1.0)
    found.left(4, "host0", 0, lost=False)
    found.left(7, "host1", 0, lost=False)
    found.joined(1000, "pid 1000 on host1 (x)", "host1", 1.0)
    assert (found.rows[7].worker, len(found.rows), found.of_hosts) == (1000, rows.ROWS, False)
    found.joined(1001, "pid 1001 on host1 (x)", "host1", 1.0)
    assert found.rows[4].worker == 1001
    found.add(1001, "host1", 1, (0.0, 1.0, 1.0), 1.0)
    found.joined(1002, "pid 1002 on host2 (x)", "host2", 1.0)
    assert found.of_hosts
    assert [row.name for row in found.rows] == ["host0", "host1", "host2"]
    assert sum(found.rows[1].busy) == pytest.approx(1.0)
    assert found.rows[1].most == pytest.approx(rows.ROWS // 2, abs=1)


@pytest.mark.parametrize("seconds", [1.0, 30.0])
def test_ten_thousand_workers_on_a_narrow_line(seconds: float) -> None:
    """Their rows take 30 kB a second at most, but for the first look."""
    recorder, workers = Recorder(), 10_000
    recorder.at(0.0)
    for n in range(workers):
        recorder.joined(n, f"pid {n} on some-host-{n % 500} (x)", 0.0)
    dice, sizes, teller = random.Random(1), [], Teller()
    for second in range(100):
        recorder.at(float(second))
        for worker in dice.sample(range(workers), int(workers / seconds / 5)):
            recorder.spent("tag", worker, 1, min(seconds, float(second)), 0.0)
        recorder.end_spans(everything=False)
        told = Told(recorder.rows, second + 1, float(second), recorder.width, everything=False)
        whole = teller.tell(told)
        found = since(whole, teller.news, second)
        sizes.append(len(msgspec.msgpack.encode(found)))
    assert len(whole.heads) == 250
    assert sum(each.hosts for each in whole.heads) == 500
    assert 1000 < max(sizes[1:]) <= MOST


def test_neighbours_are_halved() -> None:
    told = bytes((1, 63, 2, 1, 0, 0, 3, 1 | LOST, 1, 9 | FAILED))
    assert halve(told) == bytes((1, 32, 3, 1 | LOST, 1, 5 | FAILED))
    assert halve(b"") == b""


def test_spans_at_odd_times() -> None:
    """Clocks that jump, and durations beyond the job's own: within the picture."""
    found = Rows()
    found.joined(1, "w", "h", 0.25)
    for span in ((-50.0, 1.0, 2.0), (5.0, 4.0, 1.0), (1e9, 2e9, 1.0), (0.0, 0.0, 0.0)):
        found.add(1, "h", 1, span, 0.25)
    (row,) = found.rows
    assert len(row.busy) == len(row.tags) == len(row.marks) == rows.LAST + 1
    assert all(seconds >= 0.0 for seconds in row.busy)
    (fresh,) = found.take(0.0, 0.25, everything=True)
    assert len(fresh.cells()) == 2 * len(row.busy)


def test_a_job_that_left_gracefully() -> None:
    core = Job()
    core.recorder.joined(1, "pid 1 on h (x)", 0.0)
    core.recorder.left(1, Left().reason, 0.0, lost=False)
    core.recorder.joined(2, "pid 2 on h (x)", 0.0)
    core.recorder.left(2, Vanished("x").reason, 0.0, lost=True)
    assert cells_of(core.whole()) == {"pid 2 on h (x)": [(0, LOST)]}
