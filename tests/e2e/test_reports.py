"""Reports, traces and metrics of jobs that run, that ended, and whose master was killed."""

from __future__ import annotations

import csv
import json
import signal
from typing import TYPE_CHECKING

import pytest

from e2e.desk import until
from e2e.recorded import PROGRAM, Recorded
from unit.rules_of_traces import check

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.desk import Desk


def everything_is_written(of: Recorded, folder: Path, *, is_there: bool) -> None:
    """All of them tell of the same 40 tasks."""
    label, said = of.desk.label, []
    paths = {name: folder / name for name in ("a.csv", "a.json", "trace.json", "a.prom")}
    for command, name in (("report", "a.csv"), ("report", "a.json"), ("trace", "trace.json")):
        said.append(of.asked(command, label, "--out", str(paths[name])).err)
    said.append(of.asked("metrics", label, "--out", str(paths["a.prom"])).err)
    assert all(bool(err) is not is_there for err in said), said
    assert all("from its record of" in err for err in said if err)
    with paths["a.csv"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    (tag,) = [row for row in rows if row["kind"] == "tag"]
    assert (tag["tag"], tag["done"], tag["failed"]) == ("divmod", "30", "10")
    assert sum(int(row["executed"]) for row in rows if row["kind"] == "span") == 40
    whole = json.loads(paths["a.json"].read_text())
    assert whole["snapshot"]["done"] == 30
    assert sum(span["tasks"] for span in whole["spans"]) == 40
    spans = check(json.loads(paths["trace.json"].read_text()))
    assert sum(span["args"]["tasks"] for span in spans) == 40
    sample = f'masterworker_tasks_failed_total{{job="{label}",tag="divmod"}} 10.0'
    assert sample in paths["a.prom"].read_text().splitlines()


def test_a_job_that_runs_and_then_is_killed(desk: Desk, tmp_path: Path) -> None:
    """The same is written before and after."""
    written = Recorded(desk, tmp_path)
    running = written.job("wait")
    running.says("done")
    shown = ("show", desk.label, "--json")
    until(lambda: json.loads(written.asked(*shown).out)["snapshot"]["done"] == 30)
    everything_is_written(written, tmp_path, is_there=True)
    (record,) = written.state.glob("records/*.record")
    before = record.read_bytes()
    until(lambda: record.read_bytes() != before, "it has been saved again")
    running.signal(signal.SIGKILL)
    running.status()
    everything_is_written(written, tmp_path, is_there=False)


def test_a_job_that_has_ended(desk: Desk, tmp_path: Path) -> None:
    written = Recorded(desk, tmp_path)
    written.job().good()
    everything_is_written(written, tmp_path, is_there=False)


def test_what_cannot_be_written(desk: Desk, tmp_path: Path) -> None:
    """One line each, and the status that goes with it."""
    written = Recorded(desk, tmp_path)
    written.job().good()
    for words, status, said in (
        (["report", "no-such-job", "--out", "x.json"], 3, "no master with label"),
        (["report", desk.label], 2, "--out FILE"),
        (["trace", desk.label], 2, "--out run.json"),
        (["report", desk.label, "--out", "x.txt"], 2, "must be one of"),
        (["report", desk.label, "--out", str(tmp_path / "no" / "x.csv")], 2, "No such file"),
        (["trace", desk.label, "--out", str(tmp_path)], 2, "is no file"),
        (["metrics", desk.label, "--out", "/dev/full"], 2, "is no file"),
        (["-m", "localhost:9", "trace", desk.label, "--out", "x.json"], 3, ""),
    ):
        asked = written.asked(*words, status=status)
        lines = [line for line in asked.err.splitlines() if "from its record" not in line]
        assert len(lines) == 1
        assert said in lines[0]
    (record,) = written.state.glob("records/*.record")
    record.write_bytes(record.read_bytes()[:-9])
    asked = written.asked("report", desk.label, "--out", str(tmp_path / "x.csv"), status=3)
    assert "is damaged" in asked.err
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize("label", ["</script><img onerror=x>", "=1+1", "\u05d0\u0628"])
def test_any_label(desk: Desk, tmp_path: Path, label: str) -> None:
    """It plays no tricks in what is said and written."""
    written = Recorded(desk, tmp_path)
    script = desk.write("job.py", PROGRAM.replace("LABEL", repr(label)))
    desk.start(script, MASTERWORKER_STATE=str(written.state)).good()
    asked = written.asked("trace", label, "--out", str(tmp_path / "trace.json"))
    assert (asked.out + asked.err).replace("\n", "").isprintable()
    check(json.loads((tmp_path / "trace.json").read_text()))
    assert "\x1b" not in written.asked("metrics", label).out
