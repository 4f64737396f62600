"""Snapshots for all who look at a job: one for a second, whatever the number of viewers."""

from __future__ import annotations

import os
import threading
from math import inf, nan
from typing import Any

import pytest

from masterworker import wire
from masterworker.core.grain import Spent
from masterworker.core.task import RESULT, Outcome
from masterworker.errors import UsageError
from masterworker.manager import Manager
from masterworker.master.task_options import check_tag
from masterworker.recorder import shapes, snapshot, spanned
from masterworker.status import text
from masterworker.views import wording


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_many_viewers_cost_as_much_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot is made once a second; the same difference is put into its form once."""
    made, encoded = [], []
    take, encode = snapshot.take, shapes.encode
    monkeypatch.setattr(snapshot, "take", lambda *a, **k: made.append(1) or take(*a, **k))
    monkeypatch.setattr(shapes, "encode", lambda *a: encoded.append(1) or encode(*a))
    clock = Clock()
    manager = Manager(clock=clock)
    manager.join(wire.introduce("pid 1 on host (x)", ["a"], None, "worker"))
    manager.request("a", (b"1", b"2"))
    seen: dict[int, tuple[int, int, float, int]] = dict.fromkeys(range(100), (0, 0, 0.0, 0))
    for second in range(5):
        clock.now = 100.0 + second
        for viewer, has in seen.items():
            clock.now += 0.001
            found = shapes.decode(manager.looking.encoded(has))
            assert bool(found.base) is bool(second)
            seen[viewer] = (found.number, found.histories.slots, found.histories.width, 99)
    assert (len(made), len(encoded)) == (5, 5)


def test_what_guests_are_shown_is_not_what_others_are() -> None:
    """The forms that are kept are not mixed up."""
    manager = Manager()
    member = manager.join(wire.introduce("pid 1 on host (x)", ["a"], None, "worker")).member_id
    manager.request("a", (b"1",))
    (lease,) = manager.exchange(wire.Exchange(member, want=1)).leases
    assert manager.settle(lease.task_id, 1, b"\x94\xa1E\xa6secret\xa5trace\xc4\x00")
    own, guests = (
        shapes.decode(manager.looking.encoded((0, 0, 0.0, 0), texts=texts))
        for texts in (True, False)
    )
    assert [(kind.text, kind.traceback) for kind in own.failures] == [("secret", "trace")]
    assert [(kind.text, kind.traceback) for kind in guests.failures] == [("", "")]


def test_what_a_viewer_has_of_workers_is_as_it_is() -> None:
    """One that waits for work is not silent, and one that has just been given some is not idle."""
    clock = Clock()
    manager = Manager(clock=clock)
    member, silent = (
        manager.join(wire.introduce(f"pid {n} on host (x)", ["a"], None, f"w{n}")).member_id
        for n in (1, 2)
    )
    has = manager.looking.look(shapes.Looked(0, 0, 0.0, 0))
    shown = {each.id: each for each in has.worker_list}
    for second in range(1, 60):
        clock.now = 100.0 + second
        if second % 5 == 0:
            manager.exchange(wire.Exchange(member, want=1))
        if second == 59:
            manager.request("a", (b"1",))
            manager.exchange(wire.Exchange(member, want=1))
        has = manager.looking.look(shapes.Looked(has.number, 0, 0.0, 0))
        assert has.base
        shown |= {each.id: each for each in has.worker_list}
        assert not wording.is_silent(shown[member], has)
        assert len(has.worker_list) <= (second % 5 == 0) + (second == 59)
    assert wording.is_silent(shown[silent], has)
    assert (shown[member].tag, shown[silent].tag) == ("a", "")
    assert sorted(shown.values(), key=lambda each: each.id) == manager.looking.afresh().worker_list


def test_threads_that_look_at_once() -> None:
    """None gets a torn snapshot, or an exception, while tasks come and go."""
    clock = Clock()
    manager = Manager(clock=clock)
    member = manager.join(wire.introduce("pid 1 on host (x)", ["a"], None, "worker")).member_id
    wrong: list[Any] = []
    over = threading.Event()

    def look() -> None:
        try:
            while not over.is_set():
                clock.now += 2.0
                found = shapes.decode(manager.looking.encoded((0, 0, 0.0, 0)))
                settled = found.done + found.failed + found.cancelled
                if found.asked != settled + found.waiting + found.in_hand:
                    wrong.append(found)
        except BaseException as error:
            wrong.append(error)

    viewers = [threading.Thread(target=look) for _ in range(4)]
    for viewer in viewers:
        viewer.start()
    for _ in range(300):
        manager.request("a", (b"x",) * 3)
        reply = manager.exchange(wire.Exchange(member, want=9))
        done = [wire.records.Outcome(r.task_id, r.attempt, 0, r.payloads) for r in reply.leases]
        manager.exchange(wire.Exchange(member, outcomes=done))
    over.set()
    for viewer in viewers:
        viewer.join()
    assert wrong == []


def test_spans_are_asked_for_by_themselves() -> None:
    """Of one worker, or of all; what goes on is in them."""
    clock = Clock()
    manager = Manager(clock=clock)
    member = manager.join(wire.introduce("pid 1 on host (x)", ["a"], None, "worker")).member_id
    first = manager.request("a", (b"1", b"2"))
    manager.exchange(wire.Exchange(member, want=1))
    spent = (Spent(first, 1, 0.25, 0.0625),)
    manager.exchange(wire.Exchange(member, [Outcome(first, 1, RESULT, [b""])], spent=spent))
    for whose in (member, -1):
        (span,) = spanned.decode(manager.looking.spans(whose))
        assert (span.worker, span.host, span.tag) == (member, "host", "a")
        assert (span.end - span.begin, span.tasks, span.busy) == (0.25, 1, 0.25)
    assert list(spanned.decode(manager.looking.spans(member + 1))) == []


def test_texts_of_names_of_files_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a surrogate pair (a name of a file in Latin-1) does not take the views away."""
    name = os.fsdecode(b"caf\xe9.py")
    manager = Manager()
    manager.looking.note(f"query of {name}")
    manager.looking.set(journal=name)
    monkeypatch.setattr("sys.argv", [name])
    manager.warn("disk", f"no room for {name}")
    told = shapes.decode(manager.looking.encoded((0, 0, 0.0, 0)))
    assert told.note == "query of caf\\udce9.py"
    assert told.troubles == manager.census().troubles == ["no room for caf\\udce9.py"]
    assert [told.about["journal"], told.about["program"]] == ["caf\\udce9.py"] * 2
    with pytest.raises(UsageError, match="can be written in UTF-8"):
        check_tag(name)
    assert check_tag("café 日本") == "café 日本"


def test_many_tags_that_no_worker_can_execute_are_counted() -> None:
    """`show` stays a few lines, and says how many more there are."""
    manager = Manager()
    manager.join(wire.introduce("pid 1 on host (x)", ["a"], None, "worker"))
    for n in range(1000):
        manager.request(f"b{n}", (b"1", b"2"))
    shown = text.describe("demo", manager.census())
    assert shown.count("\n") < 20
    assert "nor 990 further tags: 1980 waiting" in shown
    assert text.describe("demo", manager.census(), verbose=True).count("no worker can") == 1000


def test_durations_that_cannot_be_spoil_nothing() -> None:
    """One false report, of a guest or a broken clock, would be all that forecasts are made of."""
    clock = Clock()
    manager = Manager(clock=clock)
    member = manager.join(wire.introduce("pid 1 on host (x)", ["a"], None, "w")).member_id
    manager.request("a", (b"1",) * 100)
    false = [(1, -1.0, 1.0), (1, inf, inf), (1, nan, nan), (1, 1e9, 1e18), (1, 1.0, 1e18)]
    false += [(1, 200.0, 1.0), (0, 1.0, 1.0), (2**62, 1.0, 1.0), (1, 1.0, nan)]
    for what in [*false, *[(1, 1.0, 1.0)] * 40]:
        clock.now += 1.0
        (lease,) = manager.exchange(wire.Exchange(member, want=1)).leases
        done = [Outcome(lease.task_id, lease.attempt, RESULT, [b""])]
        manager.exchange(wire.Exchange(member, done, spent=(Spent(lease.task_id, *what),)))
    told = manager.looking.afresh()
    (tag,) = told.tags
    assert (told.done, tag.executed, tag.busy, tag.mean, tag.deviation) == (49, 40, 40.0, 1.0, 0.0)
    assert told.forecast.latest is not None
    assert told.forecast.latest < 200.0
