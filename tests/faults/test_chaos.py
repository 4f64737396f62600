"""The soak of `faults.chaos`, for a few seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.chaos import KINDS
from faults.checker import judge
from faults.table import Report, table
from faults.test_checker import GOOD

if TYPE_CHECKING:
    from faults.trial import Processes


def test_a_few_seconds_of_chaos(processes: Processes) -> None:
    """Nothing is lost, unexpected or doubled; the table says what was done."""
    soak = processes.run(
        *("-m", "faults.chaos", "--seconds", "5", "--workers", "4", "--rate", "4", "--seed", "7")
    )
    told = soak.good().out
    rows = dict(line.split("  ", 1) for line in told.splitlines() if "  " in line.strip())
    assert int(rows["tasks"].strip().replace(",", "")) > 100, told
    assert int(rows["faults"].strip()) > 5, told
    assert any(f"  {kind}" in told for kind in KINDS)
    processes.all_gone()


def test_the_table_of_a_bad_soak() -> None:
    """What went wrong is in it, and the report is not a good one."""
    memory = [(float(n), 50_000_000 + 1_000_000 * n) for n in range(8)]
    bad = Report(judge(GOOD[1:]), 10.0, memory, ["hangs: somebody"])
    assert not bad.sound
    told = table(bad, 42)
    for part in ("seed", "42", "['a']", "PROBLEM", "hangs: somebody", "+3600.0 MB/h", "50.5 MB"):
        assert part in told, told
    assert not Report(judge(GOOD), 10.0, memory, ["hangs"]).sound
    assert Report(judge(GOOD), 10.0, memory).sound
