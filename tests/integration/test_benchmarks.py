"""The benchmarks run, check what they measure, and call a failure one. No figure is judged."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import HANG

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, status: int = 0) -> str:
    """Run a module of the benchmarks, as a user does. Returns what it writes to stdout."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        timeout=2 * HANG,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def measure(tmp_path: Path, *arguments: str) -> tuple[str, list[Any]]:
    """The table, and the records behind it."""
    path = tmp_path / "found.json"
    table = run("benchmarks", "--json", str(path), *arguments)
    return table, json.loads(path.read_text())["records"]


def test_masterworker_beside_a_pool(tmp_path: Path) -> None:
    """With a handful of tasks."""
    only = "W1,W2"
    chosen = "masterworker,pool"
    table, records = measure(tmp_path, "--only", only, "--libraries", chosen, "--tasks", "30")

    found = {(r["library"], r["workload"]): r for r in records}
    assert len(found) == len(records) == 4
    assert [r for r in records if not all(f > 0 for f in r.get("figures", {"": 0}).values())] == []
    assert "best of the others" in table
    for line in ("30 tiny tasks one by one", "us, 99 %"):
        assert next(text for text in table.splitlines() if line in text).endswith("  pool")


def test_runs_take_turns(tmp_path: Path) -> None:
    chosen = "integration.bad_libraries:Right,masterworker"
    _, records = measure(
        tmp_path, "--only", "W10", "--libraries", chosen, "--tasks", "1", "--repeat", "2"
    )
    assert [r["library"].rpartition(":")[2] for r in records] == ["Right", "masterworker"] * 2
    assert [r["turn"] for r in records] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Wrong", "wrong results: the root of 16"),
        ("Raising", "ValueError: what a pity"),
        ("Dying", "ended with 3"),
        ("Hanging", "not done within 2 s"),
    ],
)
def test_a_library_that_fails_has_no_figure(tmp_path: Path, name: str, why: str) -> None:
    library = f"integration.bad_libraries:{name}"
    table, (record,) = measure(
        tmp_path, "--only", "W10", "--limit", "2", "--libraries", library
    )  # fmt: skip
    assert "figures" not in record
    assert why in record["failed"]
    assert why in table
    assert " failed" in table


def test_a_library_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """Its figure counts, and the table says how it was."""
    library = "integration.bad_libraries:NeverEnding"
    table, (record,) = measure(tmp_path, "--only", "W10", "--limit", "2", "--libraries", library)
    assert record["figures"]["seconds"] > 0
    assert "did not end by itself" in table


def test_what_is_not_installed_is_left_out_with_the_reason(tmp_path: Path) -> None:
    table, records = measure(
        tmp_path, "--only", "W10", "--libraries", "integration.bad_libraries:Missing"
    )
    assert records == []
    assert "no_such_module is not installed" in table


def test_growth(tmp_path: Path) -> None:
    """Each sweep at its smallest; and a plot, or why there is none."""
    path = tmp_path / "curves.json"

    def grow(sweep: str, most: int) -> tuple[str, Any]:
        options = ["--most", str(most), "--plots", str(tmp_path), "--json", str(path)]
        said = run("benchmarks.growth", sweep, *options)
        found = json.loads(path.read_text())["curves"][sweep]
        costs = [cost for costs in found["costs"].values() for cost in costs if cost is not None]
        assert costs
        assert min(costs) > 0
        return said, found["x"]

    assert grow("queue", 1_000)[1] == [1_000]
    assert grow("payload", 1_000)[1] == [0, 1_000]
    assert grow("connections", 10)[1] == [10]
    said, steps = grow("workers", 2)
    assert steps == [1, 2]
    assert "submit: steepest from 1 to 2, x " in said
    if importlib.util.find_spec("matplotlib") is None:
        assert "no plots: matplotlib is not installed" in said
    else:
        assert "<svg" in (tmp_path / "growth-workers.svg").read_text()


def test_an_endless_job(tmp_path: Path) -> None:
    said = run("benchmarks.endless", "--tasks", "3000", "--plots", str(tmp_path))
    assert "3,000 tasks at" in said
    assert "memory of the master: first" in said


def test_backends_of_joblib() -> None:
    pytest.importorskip("joblib")
    said = run("benchmarks.joblib_backends", "--repeat", "1", "--megabytes", "8")
    assert "ours / loky" in said


def test_executors_and_pools() -> None:
    said = run("benchmarks.executors", "--repeat", "1", "--calls", "300")
    for name in ("submit", "map_all", "trip", "pool_map", "pool_apply"):
        assert name in said


def test_maps_over_tiny_tasks() -> None:
    said = run("benchmarks.bulk", "--repeat", "1", "--tasks", "3000")
    for name in ("map", "Pool.map", "multiprocessing"):
        assert name in said
