"""What viewers see: sentences, tables and screens, of any size and of any texts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from masterworker.core.departure import Left
from masterworker.core.grain import Spent
from masterworker.core.scheduler import Scheduler
from masterworker.core.standing import stand
from masterworker.core.task import FAILURE, RESULT, Outcome
from masterworker.data.record import Failure, explain
from masterworker.recorder import shapes, snapshot, spanned
from masterworker.recorder.shapes import Forecast, Looked, Snapshot
from masterworker.views import keys, plain, sections, trace, wording
from masterworker.views.known import Known
from masterworker.views.picture import Picture
from masterworker.views.progress import html
from masterworker.views.screen import View, chosen, screen_of, shares
from masterworker.views.tables import cells, cut, pad
from masterworker.views.web.digest import digest

FOREIGN = "<img onerror=x>\x1b[31m\u202erow\0 \n\t\u4e16\u754c" + "long " * 60


def job(workers: int = 2, text: str = "plain") -> Scheduler:
    """Some tasks are done, one has failed with a text, and some wait."""
    core = Scheduler(explain=explain)
    core.recorder.at(0.0)
    for n in range(workers):
        core.on_joined(f"pid {n} on {text} (x86_64)", frozenset((text,)), 5.0, 0.0)
    core.on_requested(text, [b"x"] * 100, 0.0)
    for n in range(24):
        report(core, n % workers, n + 1.0, RESULT, b"y")
    report(core, 0, 25.0, FAILURE, Failure(text, text, text, b"").encode())
    core.on_fetch(0, 1, 25.0)
    return core


def report(core: Scheduler, worker: int, now: float, kind: int, payload: bytes) -> None:
    (lease,), _ = core.on_fetch(worker, 1, now - 0.9)
    core.on_spent(worker, [Spent(lease.task_id, 1, 0.9, 0.81)], now)
    core.on_reported(worker, [Outcome(lease.task_id, lease.attempt, kind, [payload])], now)


class Server:
    """Gives snapshots of a scheduler, as `Looking` does."""

    def __init__(self, core: Scheduler) -> None:
        self.core, self.now, self.instance = core, 26.0, "one"
        self.asked: list[Looked] = []

    def whole(self) -> Snapshot:
        taken = snapshot.take(self.core.recorder, stand(self.core, []), self.now)
        whole = snapshot.whole(taken, self.instance, 0.0)
        self.changed = snapshot.changed(taken)
        return whole

    def look(self, seen: Looked) -> Snapshot:
        self.asked.append(seen)
        found = shapes.encode(snapshot.since(self.whole(), self.changed, seen))
        return shapes.decode(found)


def text_of(lines: list[list[tuple[str, str]]]) -> list[str]:
    return ["".join(piece for piece, _ in line) for line in lines]


def test_differences_make_the_whole() -> None:
    """After any number of updates a viewer knows what a first look would show."""
    server = Server(job(3))
    picture = Picture(server.look)
    picture.update()
    for n in range(40):
        server.now = 27.0 + 7 * n
        if n < 30:
            report(server.core, n % 2, server.now, RESULT, b"")
        if n == 20:
            server.core.on_departed(2, Left(), server.now)
        if n == 25:
            server.core.on_joined("pid 9 on late (x)", None, None, server.now)
        found = picture.update()
        fresh = server.whole()

        def ordered(one: Snapshot) -> Snapshot:
            workers = sorted(one.worker_list, key=lambda each: each.id)
            kept = [replace(each, heard=0.0) for each in workers]  # is not told for its own sake
            return replace(one, worker_list=kept, number=0)

        assert ordered(found) == ordered(shapes.decode(shapes.encode(fresh)))
    assert all(seen.number for seen in server.asked[1:])


def test_another_run_of_the_master_is_another_picture() -> None:
    server = Server(job())
    picture = Picture(server.look)
    for _ in range(3):
        picture.update()
    server.core, server.instance = job(1), "two"
    for _ in range(5):
        server.whole()
    found = picture.update()
    assert (found.instance, found.workers, len(found.worker_list)) == ("two", 1, 1)


def test_a_snapshot_of_another_version_is_refused() -> None:
    whole = Server(job()).whole()
    with pytest.raises(ValueError, match=r"version 99.*reads 1"):
        shapes.decode(shapes.encode(replace(whole, version=99)))
    for bad in (b"", b"\xff" * 9, b"\x81\xa7version\x01"):
        with pytest.raises(ValueError, match="cannot be read"):
            shapes.decode(bad)


@pytest.mark.parametrize("text", ["plain", FOREIGN])
@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 10), (10, 3), (1, 1), (20, 100)])
@pytest.mark.parametrize("section", range(5))
def test_it_fits_the_screen(size: tuple[int, int], text: str, section: int) -> None:
    """Whatever the job is called and says, no line is too long, and there are no more than fit."""
    width, height = size
    whole = replace(Server(job(20, text)).whole(), note=text, troubles=[text, "no workers " * 30])
    view = View(section, message=text)
    for each in (view, view._replace(cursor=99, column=0), view._replace(text=(text, [text] * 9))):
        lines = text_of(screen_of(text, whole, width, height, each))
        assert len(lines) <= height
        assert all(cells(line) <= width for line in lines)
        assert all(line.isprintable() for line in lines)


def test_one_screen_has_all_that_matters() -> None:
    """At 80 by 24: how far, when, what fails, who is silent, which host."""
    server = Server(job(20))
    server.core.on_heard(0, 50.0)
    server.now = 50.0
    whole = replace(server.whole(), troubles=["3 tasks wait, and there are no workers"])
    text = "\n".join(text_of(screen_of("demo", whole, 80, 24, View())))
    for wanted in (
        r"demo: 25 of 100 tasks done \(25 %\), 1 failed, 20 workers, .*/s, done in about .* \(",
        "! 3 tasks wait, and there are no workers",
        r"plain +74 +1 +24 +1 ",
        r"plain +20 +0 +25 +900 ms",
        r"4: pid 4 on plain +1 +900 ms +46 s +silent for 46 s; plain",
        r"plain: plain +once +plain_24 +plain",
        "q quit",
    ):
        assert re.search(wanted, re.sub(r"\s*\n", " ", text) if "demo" in wanted else text), text


def pressed(whole: Snapshot, text: bytes, before: View | None = None) -> tuple[View, list[str]]:
    """What is shown after some keys, and what was to be explained."""
    view, asked = before or View(), []
    for key in keys.split(text):
        view, task = keys.after(view, key, whole)
        asked += [task] if task else []
    return view, asked


def shown(whole: Snapshot, view: View) -> list[str]:
    return [line.rstrip() for line in text_of(screen_of("demo", whole, 80, 24, view))]


def test_rows_are_put_in_order_and_chosen() -> None:
    """The row that is chosen is always among those that are seen, and has a sign."""
    whole = Server(job(30)).whole()
    view, _ = pressed(whole, b"3ss")
    titles, first, *_ = shown(whole, view)[3:]
    assert "tasks \u25bc" in titles
    assert first.startswith("> 0: pid 0 on plain ")
    view, _ = pressed(whole, b"r", view)
    assert "tasks \u25b2" in shown(whole, view)[3]
    assert shown(whole, view)[4].startswith("> ")
    for more, number in (
        (b"\x1b[B\x1bOBj", 3),
        (b"\x1b[6~", 13),
        (b"\x1b[6~\x1b[6~\x1b[6~", 29),
        (b"k\x1b[A", 27),
        (b"g", 0),
        (b"G", 29),
        (b"\x1b[5~", 19),
    ):
        view, _ = pressed(whole, more, view)
        section, row = chosen(whole, view)
        assert row == number
        (marked,) = [line for line in shown(whole, view) if line.startswith("> ")]
        assert marked.startswith(f"> {section.rows[row].cells[0]}")
    view, _ = pressed(whole, b"S" * 2, view)
    assert view.column == -1
    assert pressed(whole, b"\x1b", view)[0] == View()


def test_what_is_explained() -> None:
    """The task of the row; one that is not known is said."""
    core = job(2)
    whole = Server(core).whole()
    view, asked = pressed(whole, b"4e")
    assert asked == ["plain_24"]
    assert shown(whole, view)[3:8] == ["task plain_24", "...", "", "plain: plain", "plain"]
    long = "word " * 40
    view = view._replace(
        below=(), text=("task plain_24", ["first", f"  {long}", *map(str, range(40))])
    )
    assert [line for line in shown(whole, view)[5:8] if not line.startswith("  word")] == []
    view, _ = pressed(whole, b"G", view)
    assert shown(whole, view)[-2] == "39"
    view, asked = pressed(whole, b"e", view)
    assert not asked
    assert pressed(whole, b"\x1b", view)[0].text is None
    for where in (b"1\r", b"2\n"):
        view, asked = pressed(whole, where)
        assert not asked
        assert "There is no task to explain in this row" in shown(whole, view)[4]
    assert pressed(whole, b"ejGsr") == (View(), [])
    view, _ = pressed(whole, b"?")
    assert all(line in shown(whole, view) for line in keys.HELP)
    assert "There are no failures." in shown(Server(Scheduler()).whole(), View(4))


def test_tasks_are_called_what_people_call_them() -> None:
    """Of a function its name; of any other tag all of it, as `explain` and `replay` take it."""
    whole = Server(job(2)).whole()
    whole = replace(whole, failures=[replace(whole.failures[0], tasks=["@f_3", "a@b_4"])])
    assert sections.failures(whole, whole=True).rows[0].cells[2] == "f_3, a@b_4"
    assert "<td>f_3, a@b_4</td>" in html.job("demo", whole)
    told = [*trace.events(Known("demo", whole, spanned.decode(b"")))]
    (first,) = [each["args"] for each in told if each["name"].startswith("first failure: ")]
    assert first["tasks"] == "f_3, a@b_4"


def test_lines_are_divided_fairly() -> None:
    assert shares([3, 10, 2], 9) == [3, 4, 2]
    assert shares([5, 5], 3) == [2, 1]
    assert shares([1], 9) == [1]
    assert shares([], 9) == []


def test_wide_texts_take_their_places() -> None:
    assert cells("\u4e16\u754c!") == 5
    assert cut("\u4e16\u754c\u4e16\u754c", 5) == "\u4e16\u754c\u2026"
    assert pad("ab", 4, right=True) == "  ab"
    assert pad("abcdef", 4) == "abc\u2026"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0 s"), (5e-7, "0.5 us"), (0.0123, "12.3 ms"), (1.25, "1.2 s"), (59.4, "59 s")),
        *((150, "2.5 min"), (3600, "60 min"), (36000, "10 h"), (1e6, "12 d")),
    ],
)
def test_times(seconds: float, text: str) -> None:
    assert wording.time(seconds) == text


def test_sentences() -> None:
    """Each state of a job has its own."""
    whole = Server(job()).whole()
    sentence = wording.headline("demo", whole)
    assert sentence.startswith("demo: 25 of 100 tasks done (25 %), 1 failed, 2 workers, ")
    assert ", done in about " in sentence
    least = replace(whole, forecast=replace(whole.forecast, is_least=True))
    assert re.search(r"at least .* more", wording.headline("demo", least))
    unknown = replace(whole, forecast=Forecast("", 9, False, None, None, None))
    assert wording.headline("demo", unknown).endswith("/s")
    assert wording.headline("demo", replace(whole, ended=True)) == (
        "demo is over: 25 of 100 tasks done (25 %), 1 failed"
    )
    nothing = wording.headline("demo", Server(Scheduler()).whole())
    assert nothing == "demo: no task has been asked for, 0 workers"


def test_plain_lines_can_be_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole: Any = replace(Server(job(8, FOREIGN)).whole(), note=FOREIGN, troubles=[FOREIGN])
    lines = plain.lines("demo", whole)
    assert all(line.isprintable() for line in lines), lines
    assert len(lines) < 30


def test_a_slow_host_is_seen_whatever_the_number_of_hosts() -> None:
    """Its tasks take five times as long, so it has done fewest: it comes first, and is marked."""
    usual = [shapes.Host(f"node{n}", 2, 0, 100, 20.0) for n in range(300)]
    slow = shapes.Host("node300", 2, 0, 20, 20.0)
    few = shapes.Host("node301", 2, 0, 4, 20.0)
    whole = replace(Server(job()).whole(), hosts=[few, *usual, slow])
    assert wording.slow_hosts(whole) == {"node300": 1.0}
    lines = shown(whole, View())
    (titles,) = [n for n, line in enumerate(lines) if line.startswith("HOST ")]
    assert lines[titles + 1].split()[:7] == ["node300", "2", "0", "20", "!", "slow:", "1.0"]
    assert "  slow: node300, 1.0 s for each task" in plain.lines("demo", whole)
    told = digest("demo", whole)["hosts"]
    assert told[0]["name"] == "node300"
    assert [host["name"] for host in told if host["slow"]] == ["node300"]
    for others in ([slow], [], [few]):
        assert wording.slow_hosts(replace(whole, hosts=others)) == {}


def test_nothing_is_said_of_durations_that_are_not_known() -> None:
    core = job()
    core.on_requested("later", [b"x"] * 3, 26.0)
    (line,) = [line for line in shown(Server(core).whole(), View()) if line.startswith("later")]
    assert line.split() == ["later", "3", "0", "0", "0", "0"]
