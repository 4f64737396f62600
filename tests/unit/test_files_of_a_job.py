"""Traces, metrics, JSON and CSV of jobs of any size and with any texts."""

from __future__ import annotations

import csv
import errno
import io
import json
import random
import re
from math import inf, nan
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from masterworker.core.grain import Spent
from masterworker.core.scheduler import Scheduler
from masterworker.core.standing import stand
from masterworker.core.task import FAILURE, RESULT, Outcome
from masterworker.data.record import Failure, explain
from masterworker.errors import UsageError
from masterworker.recorder import snapshot, spans
from masterworker.recorder.recorder import Recorder
from masterworker.recorder.shapes import Forecast
from masterworker.recorder.spanned import Copied
from masterworker.views import report, trace
from masterworker.views.export import write_csv, write_json
from masterworker.views.files import written
from masterworker.views.known import Known
from masterworker.views.metrics import exposition
from unit.rules_of_traces import check

if TYPE_CHECKING:
    from pathlib import Path

#: Markup, codes for terminals, letters from right to left, NUL, a formula.
FOREIGN = '=1+1<img onerror=x></script>\x1b[31m\u202erow\0 \n\t"' + "x" * 200


def known(core: Scheduler, now: float) -> Known:
    taken = snapshot.take(core.recorder, stand(core, []), now)
    whole = snapshot.whole(taken, "instance", 1e9)
    return Known("demo", whole, Copied(core.recorder).table())


def job(text: str = "tag", tags: int = 1, workers: int = 3, reports: int = 120) -> Scheduler:
    """Tasks of several tags are done, fail, wait and go on, and are reported two at a time."""
    core = Scheduler(explain=explain)
    core.recorder.at(0.0)
    for n in range(workers):
        core.on_joined(f"pid {n} on {text}{n % 2} (x)", None, 9.0, 0.0)
    for n in range(reports):
        tag, now, worker = f"{text}{n % tags}", n + 1.0, n % workers
        core.on_requested(tag, [b""] * 2, now - 0.9)
        leases, _ = core.on_fetch(worker, 2, now - 0.9)
        for lease in leases:
            last = lease.task_id + len(lease.payloads) - 1
            each = (0.3, 0.0001, 0.06)[n % 3]
            tasks = len(lease.payloads)
            core.on_spent(worker, [Spent(last, tasks, each * tasks, each * each * tasks)], now)
            kind, what = RESULT, b""
            if not n % 10:
                kind, what = FAILURE, Failure(text, text, text, b"").encode()
            core.on_reported(
                worker, [Outcome(lease.task_id, lease.attempt, kind, [what] * tasks)], now
            )
    core.on_requested(f"{text}0", [b""] * 5, reports + 1.0)
    core.on_fetch(0, 1, reports + 1.0)
    return core


def traced(found: Known) -> list[dict[str, Any]]:
    out = io.BytesIO()
    number = trace.write(found, out)
    read = json.loads(out.getvalue())
    assert number == len(read["traceEvents"])
    return check(read)


def table_of(found: Known) -> list[dict[str, str]]:
    out = io.BytesIO()
    write_csv(found, out)
    return list(csv.DictReader(io.StringIO(out.getvalue().decode(), newline="")))


def samples_of(text: str) -> dict[tuple[str, str], float]:
    """By name, and by tag and bound: the values of metrics."""
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert set(sample.labels) <= {"job", "tag", "le", "instance", "version"}
            labels = "|".join(sample.labels.get(name, "") for name in ("tag", "le"))
            key = (sample.name, labels.strip("|"))
            assert key not in samples, "one series twice"
            samples[key] = sample.value
    return samples


def metrics_of(found: Known) -> dict[tuple[str, str], float]:
    return samples_of(exposition(found.label, found.snapshot).decode())


def test_when_a_job_is_done_that_is_gone_is_not_said() -> None:
    """As in its headline: a master that was killed will not be done in a minute."""
    found = known(job(), 125.0)
    forecast = Forecast("", 9, False, 60.0, 50.0, 70.0)
    found = replace(found, snapshot=replace(found.snapshot, forecast=forecast))
    remaining = ("masterworker_job_remaining_seconds", "")
    assert metrics_of(found)[remaining] == 60.0
    gone = samples_of(exposition("demo", found.snapshot, is_over=True).decode())
    assert gone.keys() == metrics_of(found).keys() - {remaining}


def test_all_of_them_agree() -> None:
    """Numbers of tasks, failures and busy seconds: in metrics, trace, table and JSON."""
    core = job(tags=3)
    found = known(core, 125.0)
    busy = {tag.name: tag.busy for tag in found.snapshot.tags}
    assert sum(busy.values()) > 10
    metrics, rows = metrics_of(found), table_of(found)
    spans_of_trace = [span for span in traced(found) if "tasks" in span["args"]]
    out = io.BytesIO()
    write_json(found, out)
    whole = json.loads(out.getvalue())
    for tag in found.snapshot.tags:
        name = tag.name
        for field, metric in (("asked", "requested"), ("done", "done"), ("failed", "failed")):
            assert metrics[f"masterworker_tasks_{metric}_total", name] == getattr(tag, field)
        assert metrics["masterworker_tasks_waiting", name] == tag.waiting
        assert metrics["masterworker_task_duration_seconds_sum", name] == tag.busy
        assert metrics["masterworker_task_duration_seconds_count", name] == tag.executed
        (row,) = [row for row in rows if (row["kind"], row["tag"]) == ("tag", name)]
        assert (int(row["done"]), int(row["failed"])) == (tag.done, tag.failed)
        for some in (
            [(s["args"]["tasks"], s["args"]["busy_seconds"]) for s in spans_of_trace
             if s["name"] == name],
            [(int(r["executed"]), float(r["busy"])) for r in rows
             if (r["kind"], r["tag"]) == ("span", name)],
            [(s["tasks"], s["busy"]) for s in whole["spans"] if s["tag"] == name],
        ):  # fmt: skip
            assert sum(tasks for tasks, _ in some) == tag.executed
            assert sum(seconds for _, seconds in some) == pytest.approx(tag.busy, rel=1e-4)
    failures = [row for row in rows if row["kind"] == "failure"]
    assert sum(int(row["failed"]) for row in failures) == found.snapshot.failed
    assert [tag["done"] for tag in whole["snapshot"]["tags"]] == [
        tag.done for tag in found.snapshot.tags
    ]
    assert 4_000_000 in {s["dur"] for s in traced(found) if s["args"].get("goes_on")}


@pytest.mark.parametrize("text", ["plain", FOREIGN])
@pytest.mark.parametrize("tags", [1, 1000])
def test_any_texts(text: str, tags: int) -> None:
    """They are readable by what reads such files, and do nothing there."""
    found = known(job(text, tags, reports=max(40, tags)), 2000.0)
    assert traced(found)
    metrics = metrics_of(found)
    if tags > 1:
        assert metrics["masterworker_tasks_requested_total", "others"] > 100
    lines = exposition(found.label, found.snapshot).decode().splitlines()
    assert len(lines) < 70 * 30
    for row in table_of(found):
        for name in ("tag", "host", "name", "text"):
            assert not re.match(r"[\s\"]*[=+@\t\r-]", row[name])
            assert "\0" not in row[name]
    out = io.BytesIO()
    write_json(found, out)
    json.loads(out.getvalue())


def test_tags_that_look_alike_are_told_apart() -> None:
    """Of which one cannot be printed: Prometheus would refuse one series twice."""
    core = Scheduler()
    core.recorder.at(0.0)
    for tag in ("a\0", "a\\x00", "a\\x00 (2)"):
        core.on_requested(tag, [b""], 0.0)
    assert len([1 for name, _ in metrics_of(known(core, 1.0)) if name.endswith("_waiting")]) == 3


def test_metrics_have_the_names_that_prometheus_wants() -> None:
    text = exposition("demo", known(job(), 125.0).snapshot).decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    assert len(kinds) > 20
    for name, kind in kinds.items():
        assert name.startswith("masterworker_")
        assert name.endswith("_total") == (kind == "counter")
        assert not re.search(r"_(ms|milli|minutes|kb|mb)", name)
    assert "# HELP masterworker_tasks_done_total " in text
    empty = exposition("demo", known(Scheduler(), 1.0).snapshot).decode()
    assert 'masterworker_workers{job="demo"} 0.0' in empty


@pytest.mark.parametrize("workers", [5, 15_000])
def test_a_trace_of_many_spans(workers: int) -> None:
    """100,000 entries at most; what is joined is there with all its tasks and seconds."""
    dice, core = random.Random(workers), Scheduler()
    recorder: Recorder = core.recorder
    recorder.at(0.0)
    for n in range(workers):
        recorder.joined(n, f"pid {n} on host{n % 300} (x)", 0.0)
    reports = spans.SPANS - 1
    for n in range(reports):
        recorder.at(n / 10)
        recorder.spent("a", dice.randrange(workers), 1, dice.choice((0.06, 5.0)), 0.0)
    found = known(core, reports / 10)
    assert len(list(found.spans)) > 90_000
    kept = traced(found)
    assert len(kept) > 30_000
    assert sum(span["args"]["tasks"] for span in kept) == reports
    busy = sum(span["args"]["busy_seconds"] for span in kept)
    assert busy == pytest.approx(found.snapshot.tags[0].busy, rel=1e-3)


def test_reports_that_come_together_are_laid_one_behind_the_other() -> None:
    """Two tags with one call: they end at one moment, and did not run at one time."""
    recorder = Recorder()
    recorder.at(0.0)
    recorder.joined(1, "pid 1 on h (x)", 0.0)
    recorder.at(10.0)
    recorder.spent("a", 1, 1, 2.0, 4.0)
    recorder.spent("b", 1, 1, 3.0, 9.0)
    core = Scheduler()
    core.recorder = recorder
    laid = {span["name"]: (span["ts"], span["dur"]) for span in traced(known(core, 10.0))}
    assert laid == {"a": (5_000_000, 2_000_000), "b": (7_000_000, 3_000_000)}


def test_clocks_that_jump_and_durations_that_cannot_be() -> None:
    core = job()
    for at, seconds in ((5.0, 1.0), (1e7, 1e9), (1e7, -5.0), (2.0, 3.0)):
        core.recorder.now = at
        worker = core.recorder.workers[1]
        worker.at, worker.begin, worker.end = core.recorder.figures["tag0"], at - seconds, at
        core.recorder.end_spans(everything=True)
    for odd in (nan, inf, -inf):
        core.recorder.spans.add(1, ("tag0", "h"), odd, odd, 1, 1.0)
    found = known(core, 1e7)
    assert traced(found)
    assert metrics_of(found)
    assert table_of(found)


@pytest.mark.parametrize("name", ["run.json", "run.CSV"])
def test_a_report_takes_the_place_of_an_earlier_one(tmp_path: Path, name: str) -> None:
    found, path = known(job(), 125.0), tmp_path / name
    path.write_text("before")
    report.save(found, str(path))
    assert path.read_text() != "before"
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_files_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence; nothing is left behind, and what was there stays."""
    found = known(job(), 125.0)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "file").touch()
    for name, why in (
        ("run.txt", "must be one of"),
        ("no/such/run.json", "No such file or directory"),
        ("folder.json", "is there and is no file"),
        ("file/run.json", "Not a directory"),
        ("\0.json", "null"),
        ("x" * 300 + ".json", "name too long"),
    ):
        with pytest.raises(UsageError, match=why) as caught:
            report.save(found, str(tmp_path / name))
        assert len(str(caught.value).splitlines()) == 1
    kept = tmp_path / "kept.json"
    kept.write_text("before")

    def full(_known: Known, file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(report._WRITERS, ".json", full)
    with pytest.raises(UsageError, match="No space left"):
        report.save(found, str(kept))
    with pytest.raises(UsageError, match="/dev/full is there"), written("/dev/full"):
        pass
    assert kept.read_text() == "before"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder.json", "kept.json"]
