"""`Master(report=)` and `MASTERWORKER_REPORT`: written when a job ends; else it does no harm."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from typing import TYPE_CHECKING

import pytest

import masterworker
from masterworker.errors import UsageError
from masterworker.views import report
from support import HANG, Script, python_script

if TYPE_CHECKING:
    from pathlib import Path


def run(**more: object) -> None:
    with masterworker.Master(workers=1, **more) as master:  # type: ignore[arg-type]
        futures = [master.submit(divmod, 7, n % 4) for n in range(20)]
        assert sum(future.exception(HANG) is None for future in futures) == 15


@pytest.mark.parametrize("name", ["run.html", "run.json", "run.csv"])
def test_it_is_there_when_the_job_has_ended(tmp_path: Path, name: str) -> None:
    """With the whole job, how its master was set, and in place of an earlier one."""
    path = tmp_path / name
    path.write_text("before")
    run(report=path, seed=7)
    text = path.read_text()
    assert "ZeroDivisionError" in text
    if name == "run.json":
        found = json.loads(text)
        stood = found["snapshot"]
        assert (stood["ended"], stood["done"], stood["failed"]) == (True, 15, 5)
        assert sum(span["tasks"] for span in found["spans"]) == 20
        about = stood["about"]
        assert (about["seed"], about["workers"]) == ("7", "1")
        assert {"Python", "masterworker", "system"} <= set(about)
        assert "accept" not in about
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_folder_for_all_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By label and time; also of jobs without a label, and of those in this process."""
    monkeypatch.setenv("MASTERWORKER_REPORT", str(tmp_path))
    label = f"</script> {os.getpid()}"
    with masterworker.Master(label, serial=True) as master:
        assert master.submit(abs, -1).result(HANG) == 1
    run()
    names = sorted(each.name for each in tmp_path.iterdir())
    assert len(names) == 2
    assert re.fullmatch(rf"__script__{os.getpid()}-\d{{8}}-\d{{6}}-\d+\.html", names[0])
    assert names[1].startswith("job-")


@pytest.mark.parametrize("name", ["run.txt", "no/such/folder/run.html", b"run.html", 7])
def test_what_cannot_be_is_said_before_the_job_begins(tmp_path: Path, name: object) -> None:
    given = tmp_path / name if isinstance(name, str) else name
    with pytest.raises((UsageError, TypeError)) as caught:
        masterworker.Master(report=given)  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("where", ["gone", "file"])
def test_a_folder_that_is_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: str,
) -> None:
    """The job ends as ever; one line says why there is no report."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MASTERWORKER_REPORT", str(tmp_path / where))
    with caplog.at_level(logging.WARNING, "masterworker"):
        run()
    said = [each.getMessage() for each in caplog.records if "no report" in each.getMessage()]
    assert len(said) == 1
    assert "cannot be written" in said[0]


def test_a_disk_that_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The end of the job waits for a bounded time."""
    from masterworker.master import report_writer

    standing, go_on = threading.Event(), threading.Event()

    def save(*_: object) -> None:
        standing.set()
        go_on.wait(HANG)

    monkeypatch.setattr(report, "save", save)
    close = report_writer.ReportWriter.close
    monkeypatch.setattr(report_writer.ReportWriter, "close", lambda writer: close(writer, 0.1))
    try:
        with caplog.at_level(logging.WARNING, "masterworker"):
            run(report=tmp_path / "run.html")
        assert "is not written yet" in caplog.text
        assert standing.wait(HANG)
    finally:
        go_on.set()


def test_it_is_written_at_the_end_of_a_program(tmp_path: Path) -> None:
    """Also of one that says nothing of the end, and of one that raises."""
    program = python_script(
        tmp_path,
        "job.py",
        """
        import sys, masterworker

        if __name__ == "__main__":
            master = masterworker.Master(workers=1, report=sys.argv[1])
            master.submit(abs, -1).result(60)
            raise SystemExit(int(sys.argv[2]))
        """,
    )
    for status in (0, 3):
        path = tmp_path / f"{status}.json"
        script = Script(program, str(path), str(status))
        assert script.wait(HANG) == status
        assert json.loads(path.read_text())["snapshot"]["done"] == 1
