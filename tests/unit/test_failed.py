"""The store of failed calls: what it writes, what it keeps, and what it refuses to read."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from masterworker import failed, failed_keeping, failed_limits, wire
from masterworker.core.task import FAILURE, LOST, write_history
from masterworker.data.failure import describe
from masterworker.errors import UsageError
from masterworker.manager import Manager
from masterworker.master import dead_letters
from masterworker.master.dead_letters import DeadLetters
from support import wait_until

if TYPE_CHECKING:
    from masterworker.core.effects import Failed

OUTCOME = describe(ValueError("no\nluck \x1b[31m")).encode()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of our own; it does not exist yet."""
    folder = tmp_path / "deep" / "state"
    monkeypatch.setenv("MASTERWORKER_STATE", str(folder))
    return folder


def call(label: str, number: int, run: str = "run", parameters: bytes = b"abc") -> failed.Call:
    found = (number, "sqrt", parameters, FAILURE, OUTCOME, "")
    summary = failed.summarise(label, run, found, 10**18 + number, len(parameters))
    return failed.Call(summary, parameters, OUTCOME, b"the program")


def kept_in(state: Path) -> list[Path]:
    return [path for path in state.rglob("*") if path.is_file()]


def failing(number: int, parameters: bytes = b"p", tag: str = "sqrt") -> Failed:
    return number, tag, parameters, FAILURE, OUTCOME, "w"


# -- the files ------------------------------------------------------------------------------


def test_a_call_comes_back_as_it_was() -> None:
    """Also bytes that are no pickle; its summary can be printed."""
    one = call("demo", 3, parameters=b"\x80no pickle\xff")
    failed_keeping.save("demo", [one])
    (summary,) = failed.saved("demo")
    assert failed.read(summary) == one
    assert summary.task_id == "sqrt_2"
    assert summary.raised == "ValueError: no luck ?[31m"
    assert summary.python == wire.python_version()
    assert summary.size == len(one.parameters or b"")


def test_nobody_else_can_read_them(state: Path) -> None:
    """Folders 0700, files 0600, whatever the umask says."""
    before = os.umask(0)
    try:
        failed_keeping.save("demo", [call("demo", 1)])
    finally:
        os.umask(before)
    paths = [state, *state.rglob("*")]
    assert {stat.S_IMODE(p.stat().st_mode) for p in paths if p.is_dir()} == {0o700}
    assert {stat.S_IMODE(p.stat().st_mode) for p in paths if p.is_file()} == {0o600}
    assert len(paths) == 4


def test_the_last_hundred_are_kept(state: Path) -> None:
    """Across runs of the job; newest first."""
    failed_keeping.save("demo", [call("demo", n, "first run") for n in range(1, 81)])
    failed_keeping.save("demo", [call("demo", n, "second run") for n in range(101, 151)])
    assert [s.number for s in failed.saved("demo")] == [*range(150, 100, -1), *range(80, 30, -1)]
    assert len(kept_in(state)) == failed_limits.KEPT_CALLS


def test_labels_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    """Jobs without a label have a new one each time."""
    monkeypatch.setattr(failed_limits, "KEPT_LABELS", 3)
    for number in range(6):
        failed_keeping.save(f"job-{number}", [call(f"job-{number}", 1)])
        folder = next(p for p in state.glob(f"job-{number}-*"))
        os.utime(folder / "failed", (number, number))
    assert [bool(failed.saved(f"job-{n}")) for n in range(6)] == [False] * 3 + [True] * 3
    assert len(list(state.iterdir())) == 3


@pytest.mark.parametrize(
    "label",
    ["../x", "/etc/passwd", "x" * 300, "..", ".", "a b\n*", "å\u202e", "-rf", "\0"],
    ids=ascii,
)
def test_any_label_is_safe(label: str, state: Path) -> None:
    """Nothing is written outside, and labels are not mixed up."""
    failed_keeping.save(label, [call(label, 1)])
    (path,) = kept_in(state)
    assert path.parents[2] == state
    assert [p.name for p in state.parent.iterdir()] == [state.name]
    assert len(path.parents[1].name) < 100
    assert [s.label for s in failed.saved(label)] == [label]


def test_labels_that_look_alike() -> None:
    """They have folders of their own."""
    for label in "a/b", "a_b", "a.b":
        failed_keeping.save(label, [call(label, 1)])
    for label in "a/b", "a_b", "a.b":
        assert [s.label for s in failed.saved(label)] == [label]


def test_find() -> None:
    """By id or number, the newest; or only of one run."""
    failed_keeping.save("demo", [call("demo", 7, "old"), call("demo", 8, "old")])
    later = call("demo", 7, "new")
    later = later._replace(summary=later.summary._replace(when=2 * 10**18))
    failed_keeping.save("demo", [later])
    for task in "sqrt_6", "6":
        assert failed.find("demo", task) == later.summary
        assert failed.find("demo", task, "old") == call("demo", 7, "old").summary
    for task in "cube_6", "8", "", "sqrt", "sqrt_06":
        assert failed.find("demo", task) is None
    assert failed.find("demo", "8", "new") is None
    assert failed.find("another", "7") is None


def test_bytes_of_a_label_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first; the newest stays whatever its size."""
    monkeypatch.setattr(failed_limits, "KEPT_BYTES", 5000)
    failed_keeping.save("demo", [call("demo", n, parameters=b"x" * 2000) for n in range(5)])
    assert [summary.number for summary in failed.saved("demo")] == [4, 3]
    failed_keeping.save("demo", [call("demo", 9, parameters=b"x" * 50_000)])
    assert [summary.number for summary in failed.saved("demo")] == [9]


def test_bytes_of_all_labels_are_bounded(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    """Together; the oldest go first, whosever they are."""
    monkeypatch.setattr(failed_limits, "KEPT_BYTES", 10_000)
    for number in range(20):
        failed_keeping.save(
            f"job-{number}", [call(f"job-{number}", number, parameters=b"x" * 2000)]
        )
        assert sum(path.stat().st_size for path in kept_in(state)) <= 10_000
    assert [bool(failed.saved(f"job-{n}")) for n in range(20)] == [False] * 16 + [True] * 4


def test_what_calls_share_counts_too(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    """And goes with the last call that refers to it."""
    monkeypatch.setattr(failed_limits, "KEPT_BYTES", 10_000)
    old = call("old", 1)._replace(needs={"key": b"x" * 6000})
    failed_keeping.save("old", [old])
    (needs,) = state.rglob("*.needs")
    os.utime(needs, (1e9, 1e9))
    failed_keeping.save("new", [call("new", 2, parameters=b"x" * 3000)])
    assert failed.read(failed.saved("old")[0]).needs == old.needs
    failed_keeping.save("new", [call("new", 3, parameters=b"x" * 3000)])
    assert [summary.number for summary in failed.saved("new")] == [3, 2]
    assert not failed.saved("old")
    assert not list(state.rglob("*.needs"))


def test_old_ones_are_forgotten(state: Path) -> None:
    """With the next that is kept, or looked for; of all labels."""
    failed_keeping.save("demo", [call("demo", n) for n in range(3)])
    failed_keeping.save("other", [call("other", 1)])
    for path in kept_in(state):
        if "demo" in path.parents[1].name:
            os.utime(path, (1e9, 1e9))
    failed_keeping.tidy()
    assert not failed.saved("demo")
    assert failed.saved("other")


def test_clearing(state: Path) -> None:
    """One label, or all; others' files are not touched, and nothing is no error."""
    assert failed_keeping.clear() == failed_keeping.clear("demo") == 0
    for label in "demo", "other", "third":
        failed_keeping.save(label, [call(label, n)._replace(needs={"k": b"v"}) for n in (1, 2)])
    assert failed_keeping.clear("demo") == 2
    assert not failed.saved("demo")
    assert [len(failed.saved(label)) for label in ("other", "third")] == [2, 2]
    (state / "mine").write_text("not theirs")
    assert failed_keeping.clear() == 4
    assert kept_in(state) == [state / "mine"]


def test_clearing_what_others_can_write(state: Path) -> None:
    """It is refused, as reading is."""
    failed_keeping.save("demo", [call("demo", 1)])
    state.chmod(0o777)
    with pytest.raises(UsageError, match="written by others"):
        failed_keeping.clear()


@pytest.mark.parametrize(
    ("told", "wanted"), [("0", False), (" No ", False), ("off", False), ("1", True), ("", True)]
)
def test_the_switch(monkeypatch: pytest.MonkeyPatch, told: str, wanted: bool) -> None:
    """One variable."""
    monkeypatch.setenv("MASTERWORKER_KEEP_FAILED", told)
    assert failed_limits.is_wanted() is wanted


def test_losses() -> None:
    """The last process is named."""
    history = write_history(["12 lab x86: killed", "13 lab x86: killed\nsaid: a line"])
    found = failed.summarise("demo", "run", (1, "t", b"", LOST, history, ""), 1, 0)
    assert found.raised == "ended 2 processes that executed it"
    assert found.worker == "13 lab x86"


@pytest.mark.parametrize("outcome", [b"", b"\xff", b"\x91\x01", b"\xc1", b"\x94\x01\x02\x03\x04"])
def test_a_worker_sends_nonsense(outcome: bytes) -> None:
    """Its record is kept, and tells that it cannot be read."""
    summary = failed.summarise("demo", "run", (1, "t", b"", FAILURE, outcome, ""), 1, 0)
    failed_keeping.save("demo", [failed.Call(summary, b"", outcome, b"")])
    assert failed.read(failed.saved("demo")[0]).outcome == outcome


# -- what is not read -----------------------------------------------------------------------


@pytest.mark.parametrize("level", range(4), ids=["state", "label", "failed", "file"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_can_write_is_refused(state: Path, level: int, mode: int) -> None:
    """With its name, and what to do."""
    failed_keeping.save("demo", [call("demo", 1)])
    (path,) = kept_in(state)
    place = [state, path.parents[1], path.parent, path][level]
    place.chmod(place.stat().st_mode | mode)
    with pytest.raises(UsageError, match="can be written by others") as raised:
        failed.saved("demo")
    assert place.name in str(raised.value)
    if level < 3:
        with pytest.raises(UsageError, match="can be written by others"):
            failed_keeping.save("demo", [call("demo", 2)])


def test_what_is_somebody_elses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """For reading and for writing."""
    failed_keeping.save("demo", [call("demo", 1)])
    (summary,) = failed.saved("demo")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    for access in (
        lambda: failed.saved("demo"),
        lambda: failed.read(summary),
        lambda: failed_keeping.save("demo", [call("demo", 2)]),
    ):
        with pytest.raises(UsageError, match="not yours"):
            access()


@pytest.mark.parametrize("level", range(4), ids=["state", "label", "failed", "file"])
def test_symbolic_links_are_not_followed(state: Path, tmp_path: Path, level: int) -> None:
    """Wherever they lead."""
    failed_keeping.save("demo", [call("demo", 1)])
    (path,) = kept_in(state)
    place = [state, path.parents[1], path.parent, path][level]
    moved = tmp_path / "moved"
    place.rename(moved)
    place.symlink_to(moved)
    with pytest.raises(UsageError):
        failed.saved("demo")


@pytest.mark.parametrize("content", [b"", b"\xc1", b"\x92\x02\x90", b"\x92\x01\x90", b"\x01" * 99])
def test_a_damaged_file(state: Path, content: bytes) -> None:
    """One clear error that names it."""
    failed_keeping.save("demo", [call("demo", 1)])
    (path,) = kept_in(state)
    path.write_bytes(content)
    with pytest.raises(UsageError, match=path.name):
        failed.saved("demo")


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_STATE_HOME, if it is absolute; else ~/.local/state."""
    monkeypatch.delenv("MASTERWORKER_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert failed.state_folder() == Path("/var/state/masterworker")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/me")
    assert failed.state_folder() == Path("/home/me/.local/state/masterworker")


# -- the keeper -----------------------------------------------------------------------------


def threads() -> int:
    return sum(t.name == "masterworker-failed" for t in threading.enumerate())


@pytest.fixture
def manager() -> Manager:
    manager = Manager()
    manager.put(wire.PROGRAM, "program", b"the program")
    return manager


def test_nothing_fails(manager: Manager, state: Path) -> None:
    """No thread, no file, no folder."""
    keeping = DeadLetters("demo", lambda: manager)
    keeping.take([])
    assert not threads()
    keeping.close()
    assert not state.exists()


def test_nothing_is_kept_that_is_not_wanted(
    manager: Manager, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread, no folder."""
    monkeypatch.setenv("MASTERWORKER_KEEP_FAILED", "0")
    one = DeadLetters("demo", lambda: manager)
    one.take([failing(1)])
    one.close()
    assert one._thread is None
    assert not state.exists()


def test_the_keeper_writes_soon(manager: Manager) -> None:
    """The first one without delay; what is left when it is closed."""
    keeping = DeadLetters("demo", lambda: manager)
    keeping.take([failing(1)])
    wait_until(lambda: failed.saved("demo"))
    keeping.take([failing(2), failing(3, tag="@call")])
    keeping.close()
    keeping.close()
    assert not threads()
    assert [s.task_id for s in failed.saved("demo")] == ["@call_2", "sqrt_1", "sqrt_0"]
    found = failed.read(failed.saved("demo")[0])
    assert found.program == b"the program"
    assert found.summary.run == manager.instance
    keeping.take([failing(4)])
    assert len(failed.saved("demo")) == 3


def test_a_million_failures(manager: Manager, state: Path) -> None:
    """The newest are kept; the others are never written."""
    keeping = DeadLetters("demo", lambda: manager)
    for first in range(0, 1_000_000, 10_000):
        keeping.take([failing(n) for n in range(first, first + 10_000)])
    keeping.close(20.0)
    newest = [s.number for s in failed.saved("demo")][:100]
    assert newest == list(range(999_999, 999_899, -1))
    assert len(kept_in(state)) == failed_limits.KEPT_CALLS


def test_large_parameters(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are left out, which is said; what waits is bounded by bytes."""
    monkeypatch.setattr(failed_limits, "LARGEST", 1000)
    monkeypatch.setattr(dead_letters, "HELD_BYTES", 2 * len(OUTCOME) + 500)
    monkeypatch.setattr(threading.Thread, "start", _refuse)
    keeping = DeadLetters("demo", lambda: manager)
    keeping.take([failing(1), failing(2, b"x" * 400), failing(3, b"x" * 1001)])
    keeping.close()
    kept = [failed.read(s) for s in failed.saved("demo")]
    assert [(c.summary.number, c.summary.size, c.parameters) for c in kept] == [
        (3, 1001, None),
        (2, 400, b"x" * 400),
    ]


def _refuse(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_the_disk_is_full(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, and the job goes on."""
    monkeypatch.setattr(dead_letters, "PAUSE", 0.001)
    tried = []

    def full(label: str, calls: list[failed.Call]) -> None:
        tried.append(len(calls))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(failed_keeping, "save", full)
    keeping = DeadLetters("demo", lambda: manager)
    for number in range(3):
        keeping.take([failing(number)])
        wait_until(lambda: len(tried) > number)  # noqa: B023  asked at once
    keeping.close()
    assert len([r for r in caplog.records if "No space left" in r.getMessage()]) == 1
    assert "No space left" in manager.census().troubles[0]


def test_an_unwritable_folder(manager: Manager, state: Path) -> None:
    """A file is in its place."""
    state.parent.mkdir(parents=True)
    state.write_text("mine")
    keeping = DeadLetters("demo", lambda: manager)
    keeping.take([failing(1)])
    keeping.close()
    assert "cannot be kept" in manager.census().troubles[0]
    assert state.read_text() == "mine"
