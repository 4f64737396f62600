"""Outcomes that a journal is to forget: the next run executes their tasks again, and no others."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from journal import files
from journal.test_resuming import COUNTED, executed
from masterworker import Master
from masterworker.cli.main import main
from masterworker.errors import JournalError, UsageError
from masterworker.journal import forgetting, upkeep
from masterworker.journal.export import export
from masterworker.journal.file import lock, open_file
from masterworker.journal.forgetting import Wanted, forget
from masterworker.journal.records import Began, Done, Forgot
from support import Script, python_script

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED = Wanted(failed=True)
CHANGED = Wanted(changed=True)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Script]:
    """Run a program in the test's folder, and wait for its end."""

    def run(source: str, status: int = 0) -> Script:
        script = Script(python_script(tmp_path, "program.py", source))
        assert script.wait() == status, script.told
        return script

    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "job.journal"


def rows(path: Path) -> list[dict[str, object]]:
    """What an export tells."""
    out = path.with_name("out.json")
    export(path, files.key(), out)
    found: list[dict[str, object]] = json.loads(out.read_text())
    return found


SQUARES = f"""{COUNTED}
    def square(x):
        note(x)
        if x == 3 and not os.path.exists("good"):
            raise ValueError("three")
        return x * x

    with Master(workers=2, journal="job.journal", journal_failures="keep") as master:
        futures = [master.submit(square, x) for x in range(6)]
        print([future.exception() and "bad" or future.result() for future in futures])
        print(list(master.map(abs, range(-100, 0)))[:3])
"""


def test_a_task_by_its_key(run: Callable[..., Script], tmp_path: Path, path: Path) -> None:
    first = run(SQUARES)
    executed(tmp_path)
    (four,) = [row for row in rows(path) if row["tag"] == "square" and row["parameters"] == [4]]
    assert forget(path, files.key(), Wanted(str(four["task"])[:12])) == 1
    assert four not in rows(path)
    assert run(SQUARES).out == first.out
    assert executed(tmp_path) == ["4"]
    assert run(SQUARES).out == first.out
    assert executed(tmp_path) == []


def test_one_of_many_in_one_record(run: Callable[..., Script], path: Path) -> None:
    """Others of its record stay: also after `prune`, and when it was computed again."""
    first = run(SQUARES)
    found = [row for row in rows(path) if row["tag"] == "abs"]
    assert forget(path, files.key(), Wanted(str(found[50]["task"]))) == 1
    upkeep.prune(path, files.key(), None)
    assert [row for row in rows(path) if row["tag"] == "abs"] == [*found[:50], *found[51:]]
    assert upkeep.count(path, files.key()).tags["@abs"] == 99
    assert run(SQUARES).out == first.out
    upkeep.prune(path, files.key(), None)
    again = [row for row in rows(path) if row["tag"] == "abs"]
    assert [row["task"] for row in again] == [
        row["task"] for row in [*found[:50], *found[51:], found[50]]
    ]


def test_failures(run: Callable[..., Script], tmp_path: Path, path: Path) -> None:
    assert "bad" in run(SQUARES).out
    (tmp_path / "good").touch()
    assert "bad" in run(SQUARES).out
    executed(tmp_path)
    assert forget(path, files.key(), FAILED) == 1
    assert forget(path, files.key(), FAILED) == 0
    assert "[0, 1, 4, 9, 16, 25]" in run(SQUARES).out
    assert executed(tmp_path) == ["3"]
    assert forget(path, files.key(), FAILED) == 0


PARTS = f"""{COUNTED}
    from other import offset

    def scale(x):
        note(x)
        return x * FACTOR

    def same(x):
        note(x)
        return x

    FACTOR = 2

    with Master(workers=1, journal="job.journal"MORE) as master:
        print([list(master.map(each, range(3))) for each in (scale, same, offset)])
"""
OTHER = """
    def offset(x):
        with open("executed", "a") as file:
            file.write(f"{x}\\n")
        return x + 1
"""


@pytest.mark.parametrize("used", [False, True], ids=["not looked at", "used in between"])
def test_what_other_code_has_computed(
    run: Callable[..., Script],
    tmp_path: Path,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    used: bool,
) -> None:
    """Its source is read and not executed, in the program's file and in other modules."""
    python_script(tmp_path, "other.py", OTHER)
    run(PARTS.replace("MORE", ""))
    executed(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert forget(path, files.key(), CHANGED) == 0
    changed = PARTS.replace("FACTOR = 2", "FACTOR = 5").replace("def same(x):", "def same(x):  # !")
    python_script(tmp_path, "other.py", OTHER.replace("x + 1", "x + 2"))
    if used:
        answer = run(changed.replace("MORE", ', journal_changed="use"')).out
        assert answer == "[[0, 2, 4], [0, 1, 2], [1, 2, 3]]\n"
    else:
        python_script(tmp_path, "program.py", changed.replace("MORE", ""))
    assert executed(tmp_path) == []
    assert forget(path, files.key(), CHANGED) == 6
    assert executed(tmp_path) == []
    assert run(changed.replace("MORE", "")).out == "[[0, 5, 10], [0, 1, 2], [2, 3, 4]]\n"
    assert executed(tmp_path) == ["0", "1", "2"] * 2
    assert forget(path, files.key(), CHANGED) == 0


def test_a_file_that_a_master_has(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Master(serial=True, journal=path) as master:
        assert master.submit(abs, -1).result() == 1
        with pytest.raises(JournalError, match=r"a master writes .*wait for its end"):
            forget(path, files.key(), FAILED)
    assert forget(path, files.key(), FAILED) == 0


@pytest.mark.parametrize(
    ("task", "says"),
    [("6f", "4 digits"), ("6f6e650000", "no outcome"), ("74", "4 digits"), ("7777", "2 outcomes")],
)
def test_a_task_that_is_not_one(path: Path, task: str, says: str) -> None:
    files.write(path, [*files.groups(), [files.done("wwx"), files.done("wwy")]])
    before = path.read_bytes()
    with pytest.raises(UsageError, match=says):
        forget(path, files.key(), Wanted(task))
    assert path.read_bytes() == before


def test_a_torn_end_is_kept_elsewhere(path: Path) -> None:
    ends = files.write(path, files.groups())
    data = path.read_bytes()
    path.write_bytes(data[:-3])
    assert forget(path, files.key(), Wanted(b"one.".hex())) == 1
    assert path.with_name("job.journal.torn-1").read_bytes() == data[ends[2] : -3]
    assert upkeep.count(path, files.key()).tags == {"@f": 2}


def test_each_step_leaves_all_or_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash in the middle: what is there by then is torn, and nothing is forgotten."""
    ends = files.write(path, files.groups())
    whole = path.read_bytes()
    forget(path, files.key(), Wanted(b"one.".hex()))
    after = path.read_bytes()
    assert after.startswith(whole)
    for cut in range(ends[-1], len(after)):
        path.write_bytes(after[:cut])
        assert upkeep.count(path, files.key()).tags == {"@f": 4}, cut

    def full(*_: object) -> int:
        os.pwrite(_[0], b"half", ends[-1])  # type: ignore[arg-type]
        raise OSError(errno.ENOSPC, "No space left on device")

    path.write_bytes(whole)
    monkeypatch.setattr(forgetting, "write_all", full)
    with pytest.raises(JournalError, match="No space left"):
        forget(path, files.key(), Wanted(b"one.".hex()))
    assert path.read_bytes() == whole


def test_prune_leaves_out_what_was_forgotten(path: Path) -> None:
    two = Done(b"a" * 16 + b"b" * 16, "@f", 0, [b"1", b"2"], "", 1, 1.0)
    bad = Done(b"b" * 16, "@f", 1, [b"x"], "", 1, 1.0)
    both = [
        *(Began(1.0, "h", 1, "p", {}), bad, two, files.done("one"), bad),
        *(Forgot(b"b" * 16, "@f", 0), Forgot(files.done("one").keys, "@f", 0)),
    ]
    files.write(path, [both])  # type: ignore[list-item]
    assert [row["task"] for row in rows(path)] == [(b"a" * 16).hex()]
    upkeep.prune(path, files.key(), None)
    assert [row["task"] for row in rows(path)] == [(b"a" * 16).hex()]
    assert upkeep.count(path, files.key()).tags == {"@f": 1}


def test_the_command(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.write(path, files.groups())
    assert main(["journal", str(path), "forget"]) != 0
    assert "a task, --failed, or --changed" in capsys.readouterr().err
    assert main(["journal", str(path), "forget", "--failed", b"one.".hex()]) != 0
    assert main(["journal", str(path), "forget", "--failed"]) == 0
    assert "0 outcomes forgotten" in capsys.readouterr().out
    assert main(["journal", str(path), "forget", b"one.".hex()]) == 0
    assert "1 outcome forgotten" in capsys.readouterr().out
    assert main(["journal", str(path), "show", "--failed"]) != 0
    assert main(["journal", str(path)]) == 0
    assert "3 results" in capsys.readouterr().out


GONE = f"""{COUNTED}
    def large(x):
        note(x)
        return os.urandom(300_000)

    with Master(serial=True, journal="job.journal") as master:
        print([master.submit(large, x).result()[:4].hex() for x in range(2)])
"""


def test_what_comes_after_a_large_file_that_is_gone_is_kept(
    run: Callable[..., Script], tmp_path: Path
) -> None:
    """The first of two outcomes counts, unless it cannot be had any more."""
    run(GONE)
    for file in Path(tmp_path, "job.journal.d").rglob("*"):
        if file.is_file():
            file.unlink()
    executed(tmp_path)
    second = run(GONE)
    assert executed(tmp_path) == ["0", "1"]
    assert run(GONE).out == second.out
    assert executed(tmp_path) == []


def test_an_empty_text_is_no_task(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As where a variable of a shell is empty: it names no task, and by no means all."""
    files.write(path, files.groups())
    before = path.read_bytes()
    assert main(["journal", str(path), "forget", ""]) != 0
    assert "say what is to be forgotten" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_results_are_still_compared_with_the_code_after_failures_are_forgotten(
    run: Callable[..., Script], path: Path
) -> None:
    """As many failures are forgotten as there are results: these count as before."""
    source = """
        from masterworker import Master

        def half(x):
            if x >= 3:
                raise ValueError(x)
            return x / 2

        with Master(serial=True, journal="job.journal") as master:
            print([master.submit(half, x).exception() and "bad" for x in range(6)])
    """
    run(source)
    assert forget(path, files.key(), FAILED) == 3
    assert "half (of __main__) has changed" in run(source.replace("x / 2", "x / 4"), status=1).told


def test_a_new_file_has_large_results_too(run: Callable[..., Script], tmp_path: Path) -> None:
    """Also without the old one, with its folder."""
    first = run(GONE)
    executed(tmp_path)
    path = tmp_path / "job.journal"
    upkeep.prune(path, files.key(), tmp_path / "new.journal")
    path.unlink()
    shutil.rmtree(tmp_path / "job.journal.d")
    assert run(GONE.replace("job.journal", "new.journal")).out == first.out
    assert executed(tmp_path) == []


def test_large_results_are_copied_where_they_cannot_be_linked(
    run: Callable[..., Script], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    first = run(GONE)
    monkeypatch.setattr(os, "link", refuse)
    upkeep.prune(tmp_path / "job.journal", files.key(), tmp_path / "new.journal")
    assert run(GONE.replace("job.journal", "new.journal")).out == first.out
    assert len(executed(tmp_path)) == 2


def test_a_file_that_was_replaced_while_it_was_opened(path: Path) -> None:
    """The lock is that of a file which has another in its place, so it is worth nothing."""
    files.write(path, files.groups())
    fd = open_file(path, create=False)
    upkeep.prune(path, files.key(), None)
    with pytest.raises(JournalError, match="was replaced or removed"):
        lock(fd, path)
    path.unlink()
    with pytest.raises(JournalError, match="was replaced or removed"):
        lock(fd, path)
    os.close(fd)
