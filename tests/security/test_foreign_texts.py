"""Texts that guests give: they are short, and a terminal shows them and does nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from masterworker import failed, failed_keeping, wire
from masterworker.cli import explain, replay
from masterworker.core.task import AGAIN, FAILURE, RESULT
from masterworker.data import record
from masterworker.data.failure import describe
from masterworker.data.outcome import open_finished
from masterworker.data.pickling import dumps
from masterworker.errors import RejectedError, RemoteError, TaskFailed, UsageError
from masterworker.launch import descriptors
from masterworker.security.peer import OWNER
from masterworker.status import text
from security.visitors import Job, ending, refused, supervised

EVIL = "\x1b]0;pwned\x07\x1b[2J\r\x9b2J\u202e\u2028"
ODD_TAGS = ["\x1b[2Jtag", "a\nb", "\x00", "\u202etag", "x" * 201, "\x7f"]


@pytest.fixture(params=[wire.ANYTHING, wire.PLAIN])
def either(request: pytest.FixtureRequest) -> Job:
    return Job(request.param)


def harmless(shown: str) -> bool:
    return shown.replace("\n", "").replace("\t", "").isprintable()


def test_tags_that_guests_ask_for_can_be_shown(job: Job) -> None:
    guest = job.hire()
    for tag in ODD_TAGS:
        refused(job, lambda t=tag: guest.client.request(t, [b"x"]), kind=UsageError)
    with pytest.raises(UsageError, match=r"tags of at most 200 .* not for '\\x1b\[2Jtag'"):
        guest.client.request(ODD_TAGS[0], [b"x"])
    for tag in ("x" * 200, "@count <locals>", "Überprüfung 数 é"):
        guest.client.request(tag, [b"x"])


def test_why_a_guest_was_refused_can_be_shown(job: Job) -> None:
    """The reason names what it runs; it is in the log and in `show`."""
    job.manager.program_digest = "0" * 64
    with pytest.raises(RejectedError):
        job.hire(program=EVIL, info=EVIL, version=EVIL)
    (trouble,) = job.manager.troubles.lines()
    assert trouble.isprintable()


@pytest.mark.parametrize("way", ["exchange", "settle", "attend"])
@pytest.mark.parametrize("kind", [FAILURE, AGAIN])
def test_failures_of_guests_are_tidied(either: Job, way: str, kind: int) -> None:
    """In all jobs, and by whichever call they come."""
    boss = either.hire(OWNER)
    worker, supervisor, name = supervised(either)
    boss.client.request("a", [b"1"])
    lease = worker.fetch()
    long = "line\twith a tab\n" * 100_000
    told = record.Failure(f"Val{EVIL}", f"m{EVIL}", f"{long}{EVIL}\nthe end", b"").encode()
    if way == "exchange":
        assert worker.report(lease, told, kind) == []
    elif way == "settle":
        assert worker.client.settle(lease.task_id, kind, told)
    else:
        supervisor.attend(name, [], [ending(worker.id, lease.task_id, outcome=(kind, told))], 0.0)
    (finished,), _ = boss.client.collect(boss.id)
    with pytest.raises(TaskFailed) as caught:
        open_finished(finished)
    assert harmless(str(caught.value))
    assert len(str(caught.value)) < 25_000
    assert isinstance(caught.value.exception, RemoteError)
    assert caught.value.exception.type_name.startswith(r"Val\x1b]0;pwned\x07")
    assert caught.value.traceback.startswith("line\twith a tab\nline")
    assert caught.value.traceback.endswith("\nthe end")


def test_names_messages_and_objects_have_bounds() -> None:
    tidy = record.tidy(
        record.Failure("\x1b" * 10_000, "\x1b" * 10**6, "x" * 10**6, bytes(record.MAX_OBJECT + 1))
    )
    assert len(tidy.type_name) <= record.MAX_NAME
    assert max(len(tidy.message), len(tidy.traceback)) <= record.MAX_TEXT + 100
    assert tidy.pickled == b""


def test_what_a_worker_of_ours_writes_stays_as_it_is() -> None:
    """Also where it has cut the text itself, with a note that says how much is missing."""
    for error in (ValueError("é 数\n\ttwo lines"), ValueError("x" * 50_000)):
        made = describe(error)
        assert record.tidy(made) == made
    assert "10000 characters left out" not in made.message
    assert "30000 characters left out" in made.message


def test_an_exception_of_a_guest_comes_as_it_is_where_pickles_are_taken(job: Job) -> None:
    boss, guest = job.hire(OWNER), job.hire()
    boss.client.request("a", [b"1", b"2"])
    guest.report(guest.fetch(), describe(KeyError("x")).encode(), FAILURE)
    guest.report(guest.fetch(), b"\xc1", FAILURE)
    first, second = boss.client.collect(boss.id, want=2)[0]
    with pytest.raises(TaskFailed) as caught:
        open_finished(first)
    assert isinstance(caught.value.exception, KeyError)
    with pytest.raises(TaskFailed, match="sent the record of a failure that cannot be read"):
        open_finished(second)


def test_a_result_is_not_touched(job: Job) -> None:
    boss, guest = job.hire(OWNER), job.hire()
    boss.client.request("a", [b"1"])
    guest.report(guest.fetch(), dumps(EVIL), RESULT)
    assert open_finished(boss.client.collect(boss.id)[0][0])[2] == EVIL


# -- what commands print -----------------------------------------------------------------------


def test_show_prints_what_can_be_printed(job: Job) -> None:
    """Whoever it comes from: a process of the user may have such a tag from a file."""
    boss = job.hire(OWNER, info=f"pid 1 {EVIL}")
    for tag in (f"tag{EVIL}", "a\nb", "Überprüfung"):
        boss.client.request(tag, [b"x"])
    job.manager.troubles.note("x", f"trouble{EVIL}", 0.0)
    shown = text.describe("label", job.manager.census(), verbose=True)
    assert harmless(shown)
    assert r"  tag\x1b]0;pwned\x07\x1b[2J" in shown
    assert r"  a\nb: 1, 0, 0" in shown
    assert "  Überprüfung: 1, 0, 0" in shown


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> failed.Summary:
    """A failed call with such a tag."""
    monkeypatch.setenv("MASTERWORKER_STATE", str(tmp_path / "state"))
    outcome = record.Failure("E", "m", "", b"").encode()
    call = (7, f"{EVIL}tag", b"p", FAILURE, outcome, "w")
    summary = failed.summarise("label", "r" * 32, call, 1, 1)  # type: ignore[arg-type]
    failed_keeping.save("label", [failed.Call(summary, b"p", outcome, b"")])
    return summary


def test_replay_and_explain_print_what_can_be_printed(
    kept: failed.Summary, capsys: pytest.CaptureFixture[str]
) -> None:
    replay.run("label", SimpleNamespace(words=["replay", "label"], clear=False))  # type: ignore[arg-type]
    explain._tell_failure(kept)
    shown = capsys.readouterr().out
    assert harmless(shown)
    assert shown.count(r"\x1b]0;pwned\x07") == 2
    assert "task_manager replay label 6\n" in shown


def test_explain_prints_a_story_line_by_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Told:
        def story(self, number: int) -> list[str]:
            return [f"task {EVIL}_1", f"1 s ago: it wrote last:\n{EVIL}"]

        def stack(self, number: int) -> list[str]:
            return [f"file.py:1, in {EVIL}", EVIL]

        def call(self, operation: str) -> str:
            return "run"

        def disconnect(self) -> None: ...

    monkeypatch.setattr(explain, "find", lambda *_, **__: Told())
    words = ["explain", "label", f"{EVIL}_1"]
    options = SimpleNamespace(words=words, master=None, wait=False, stack=True)
    explain.run("label", options)  # type: ignore[arg-type]
    shown = capsys.readouterr().out
    assert harmless(shown)
    assert "it wrote last:\n" in shown
    assert "at this moment:\n" in shown


# -- secrets that are handed over --------------------------------------------------------------


@pytest.mark.parametrize("size", [1400, 1 << 17, 1 << 20])
def test_a_long_secret_is_handed_over_without_a_wait(size: int) -> None:
    """A pipe would be full, and whoever writes to it wait for somebody who has not begun yet."""
    given = "x" * size
    with os.fdopen(descriptors.readable(given)) as file:
        assert file.read() == given


def test_where_there_are_only_pipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with os.fdopen(descriptors.readable("x" * 1400)) as file:
        assert file.read() == "x" * 1400
    with pytest.raises(OSError, match="no room"):
        descriptors.readable("x" * (1 << 22))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
