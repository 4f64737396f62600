"""What a soak has shown, as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean, linear_regression
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faults.checker import Verdict


@dataclass(frozen=True)
class Report:
    """One soak. Memory: seconds on the clock, and bytes."""

    verdict: Verdict
    seconds: float
    memory: list[tuple[float, int]]
    problems: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Nothing was lost, unexpected or doubled, and nothing went wrong with the soak itself."""
        return self.verdict.sound and not self.problems

    def quarters(self) -> tuple[float, float, float]:
        """Mean memory of the first and last quarter (MB), and the slope (MB in an hour)."""
        if len(self.memory) < 4:
            return 0.0, 0.0, 0.0
        part = len(self.memory) // 4
        sizes = [size / 1e6 for _, size in self.memory]
        slope = linear_regression([at / 3600 for at, _ in self.memory], sizes).slope
        return fmean(sizes[:part]), fmean(sizes[-part:]), slope


def table(report: Report, seed: int) -> str:
    """Show a report, a line for each figure."""
    verdict = report.verdict
    first, last, slope = report.quarters()
    rows = [
        ("seed", f"{seed}"),
        ("duration", f"{report.seconds:.0f} s"),
        ("tasks", f"{verdict.submitted:,}"),
        ("executions", f"{verdict.executions:,}"),
        ("faults", f"{sum(verdict.faults.values())}"),
    ]
    rows += [(f"  {kind}", f"{number}") for kind, number in sorted(verdict.faults.items())]
    rows += [
        ("lost", f"{len(verdict.lost)} {verdict.lost[:5] or ''}"),
        ("unexpected", f"{len(verdict.unexpected)} {verdict.unexpected[:5] or ''}"),
        ("duplicated", f"{len(verdict.duplicated)} {verdict.duplicated[:5] or ''}"),
        ("given up or failed", f"{len(verdict.failed)} {verdict.failed or ''}"),
        ("recovered", f"{len(verdict.recovered)}"),
        ("tasks in victims' hands", f"{len(verdict.recovery)}"),
    ]
    for kind in ["", *sorted({kind for kind, _ in verdict.recovery})]:
        middle, longest = verdict.recovery_times(kind)
        name = f"  {kind}" if kind else "recovery, median / maximum"
        rows.append((name, f"{middle:.3f} s / {longest:.3f} s"))
    rows += [
        ("master's memory, first quarter", f"{first:.1f} MB"),
        ("master's memory, last quarter", f"{last:.1f} MB"),
        ("slope", f"{slope:+.1f} MB/h"),
    ]
    rows += [("PROBLEM", problem) for problem in report.problems]
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:<{width}}  {value}\n" for name, value in rows)
