"""`show` counts a journal: what is kept, what waits for that, and what is given again."""

from __future__ import annotations

import errno
import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from masterworker import Master
from masterworker.cli.main import main
from masterworker.journal import writing
from masterworker.master import engine_of
from masterworker.recorder.shapes import Looked
from masterworker.status.text import as_json, describe
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def fresh_program() -> Iterator[None]:
    """Each test is a program of its own."""
    from masterworker.journal import journal

    journal._programs.clear()
    yield
    journal._programs.clear()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "job.journal"


def system(**replaced: Callable[..., Any]) -> object:
    """The module `os` as the writer sees it, with some functions replaced."""

    class System:
        def __getattr__(self, name: str) -> Any:
            return replaced.get(name) or getattr(os, name)

    return System()


def line(master: Master) -> str:
    """The line of `show` about the journal."""
    told = describe("job", engine_of(master).manager.census())
    return next((each.strip() for each in told.splitlines() if "journal job" in each), "")


def test_two_runs(path: Path) -> None:
    from masterworker.journal import journal

    with Master(workers=1, journal=path) as master:
        assert line(master).startswith("journal job.journal: 0 outcomes kept (0.0 MB)")
        assert sum(master.map(abs, range(-300, 0))) == 45_150
        assert line(master) == "journal job.journal: 300 outcomes kept (0.0 MB)"
    journal._programs.clear()
    with Master(workers=1, journal=path) as master:
        list(master.map(abs, range(-200, 0)))
        master.submit(abs, 5).result()
        assert line(master) == (
            "journal job.journal: 301 outcomes kept (0.0 MB); 300 of earlier runs; 200 given again"
        )
        manager = engine_of(master).manager
        look = manager.looking.look(Looked())
        found = json.loads(as_json("job", manager.census(), look))["journal"]
        assert found == {
            "name": "job.journal",
            "earlier": 300,
            "recalled": 200,
            "written": 1,
            "waiting": 0,
            "size": found["size"],
            "ended": True,
            "trouble": "",
        }
        assert found["size"] == path.stat().st_size


def test_a_job_without_a_journal() -> None:
    with Master(serial=True) as master:
        assert line(master) == ""
        assert engine_of(master).manager.census().journal is None


def test_what_waits_for_a_slow_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = threading.Event()

    def flush(fd: int) -> None:
        slow.wait(HANG)
        os.fdatasync(fd)

    with Master(workers=1, journal=path) as master:
        wait_until(lambda: path.stat().st_size == writer_of(master).size, HANG, what="begun")
        monkeypatch.setattr(writing, "os", system(fdatasync=flush))
        future = master.submit(abs, -1)
        wait_until(lambda: "; 1 not kept yet" in line(master), HANG, what=lambda: line(master))
        assert not future.done()
        assert engine_of(master).manager.census().done == 0
        slow.set()
        assert future.result() == 1
        assert line(master) == "journal job.journal: 1 outcome kept (0.0 MB)"


def writer_of(master: Master) -> Any:
    """What writes the journal of a master."""
    journaled = engine_of(master).submission.journaled
    assert journaled is not None
    return journaled.journal._writing


def test_trouble_of_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = threading.Event()
    full.set()

    def write(*arguments: Any) -> int:
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.pwritev(*arguments)

    from masterworker.journal import file

    with Master(workers=1, journal=path) as master:
        assert master.submit(abs, -1).result() == 1
        monkeypatch.setattr(file, "os", system(pwritev=write))
        future = master.submit(abs, -2)
        says = "1 not kept yet; nothing is kept now: there is no room on the disk"
        wait_until(lambda: says in line(master), HANG, what=lambda: line(master))
        full.clear()
        assert future.result() == 2
        wait_until(lambda: "nothing" not in line(master), HANG, what=lambda: line(master))


def test_the_command(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = unique_label()
    with Master(label, workers=1, journal=path) as master:
        assert master.submit(abs, -1).result() == 1
        assert main(["show", label]) == 0
        assert "  journal job.journal: 1 outcome kept" in capsys.readouterr().out
        assert main(["show", label, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["journal"]["written"] == 1


def test_a_task_is_counted_once(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three runs in which the same tasks fail, and one in which one of them does not."""
    from masterworker.journal import journal

    def fail(x: int) -> int:
        if x or runs < 3:
            raise ValueError(x)
        return x

    for runs in range(4):  # noqa: B007  `fail` looks at it
        journal._programs.clear()
        with Master(serial=True, journal=path, journal_changed="use") as master:
            for x in range(2):
                key = master.options(key=str(x))
                assert isinstance(key.submit(_outcome, fail, x).exception(HANG), ValueError | None)
            assert next(iter(master.map(abs, [-1, -1])))
            assert master.submit(abs, -1).result() == 1
    assert main(["journal", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kinds"] == {"results": 3, "failures": 1}


def _outcome(function: Callable[[int], int], x: int) -> int:
    return function(x)
