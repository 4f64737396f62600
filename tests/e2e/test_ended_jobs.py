"""Jobs that are gone: `show` tells how they stood last, `list --ended` which there are."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from e2e.desk import until
from e2e.recorded import Recorded

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.desk import Desk

HOW = "40 of 40 tasks done (100 %), 10 failed"


def test_a_job_that_ended(desk: Desk, tmp_path: Path) -> None:
    """Status 3 and one line on stderr as ever; how it stood on stdout."""
    gone = Recorded(desk, tmp_path)
    gone.job().good()
    shown = gone.asked("show", desk.label, status=3)
    (line,) = shown.err.splitlines()
    assert f"the job {desk.label!r} has ended" in line
    assert "this is how it stood at" in line
    assert f"{desk.label} is over: {HOW}" in shown.lines[0]
    assert "ZeroDivisionError" in shown.out
    lone = gone.asked(desk.label, "--json", status=3)
    found = json.loads(lone.out)
    assert found["record"]["ended"] is found["snapshot"]["ended"] is True
    assert (found["record"]["done"], found["record"]["failed"]) == (30, 10)
    elsewhere = str(tmp_path / "runtime")  # as after an hour, or on another machine
    later = gone.asked("show", desk.label, status=3, MASTERWORKER_RUNTIME=elsewhere)
    (line,) = later.err.splitlines()
    assert "no master with label" in line
    assert "the last run of which a record is kept ended at" in line
    assert later.lines[0] == shown.lines[0]
    listed = gone.asked("list", "--ended")
    assert listed.out.startswith("ended ")
    assert HOW in listed.out
    (entry,) = json.loads(gone.asked("list", "--ended", "--json").out)
    assert (entry["label"], entry["ended"]) == (desk.label, True)


def test_a_master_that_was_killed(desk: Desk, tmp_path: Path) -> None:
    """It was saved before; while it runs it is not among those that are gone."""
    gone = Recorded(desk, tmp_path)
    running = gone.job("wait")
    running.says("done")
    before = gone.saved()  # saved anew from here on: with all that is done
    until(lambda: gone.saved() not in {b"", before}, "it has been saved")
    once = gone.saved()
    until(lambda: gone.saved() != once, "it has been saved again")
    assert "no records" in gone.asked("list", "--ended").out
    assert "2 active processes" in gone.asked("show", desk.label).out
    running.signal(signal.SIGKILL)
    running.status()
    shown = gone.asked("show", desk.label, status=3)
    (line,) = shown.err.splitlines()
    assert "not heard of since" in line
    assert f"pid {running.pid} on " in line
    assert HOW in shown.lines[0]
    assert "done in about" not in shown.out
    assert gone.asked("list", "--ended").out.startswith("not heard of since ")


def test_a_record_that_is_damaged(desk: Desk, tmp_path: Path) -> None:
    """One line, the same status, no traceback."""
    gone = Recorded(desk, tmp_path)
    gone.job().good()
    (path,) = gone.state.glob("records/*.record")
    path.write_bytes(path.read_bytes()[:100])
    shown = gone.asked("show", desk.label, status=3)
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert "has ended" in line
    assert "is damaged" in line
    (line,) = gone.asked("list", "--ended").err.splitlines()
    assert "is damaged" in line


def test_where_a_job_is_named_with_its_address(desk: Desk, tmp_path: Path) -> None:
    """Another one may be meant: nothing is shown."""
    gone = Recorded(desk, tmp_path)
    gone.job().good()
    assert gone.asked("-m", "localhost:9", "show", desk.label, status=3).out == ""


def test_parameters_and_results_are_not_in_it(desk: Desk, tmp_path: Path) -> None:
    """Nor are records kept where they are not wanted."""
    gone = Recorded(desk, tmp_path)
    script = desk.write(
        "job.py",
        """
        import masterworker

        def joined(left, right):
            return left + right

        if __name__ == "__main__":
            with masterworker.Master(LABEL, workers=1) as master:
                assert master.submit(joined, "a-para", "meter").result(60) == "a-parameter"
        """,
    )
    state = str(gone.state)
    desk.start(script, MASTERWORKER_STATE=state, MASTERWORKER_RECORDS="0").good()
    assert gone.saved() == b""
    desk.start(script, MASTERWORKER_STATE=state).good()
    assert b"joined" in gone.saved()
    assert b"a-para" not in gone.saved()
