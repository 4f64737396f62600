"""The one judge of all fault trials: compares what was asked for, executed and delivered.

The words are those of Jepsen's total-queue checker. It reads nothing but the lines of `records`,
so it can judge a job whose master and workers are all dead.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from faults import records

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class Verdict:
    """What became of the tasks of one trial. Keys are those of the driver."""

    submitted: int
    #: Came with a value.
    delivered: int
    #: Came as an error: its class and text.
    failed: dict[str, str]
    #: Asked for, and never heard of again.
    lost: list[str]
    #: Delivered or executed, and never asked for; or with a value that no execution returned.
    unexpected: list[str]
    #: Delivered more than once.
    duplicated: list[str]
    #: Executed more than once, and delivered once.
    recovered: list[str]
    executions: int
    #: For each task that a victim had in hand: kind of the fault, and seconds to the delivery.
    recovery: list[tuple[str, float]]
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Nothing is lost, unexpected or duplicated."""
        return not (self.lost or self.unexpected or self.duplicated)

    def recovery_times(self, kind: str = "") -> tuple[float, float]:
        """Median and maximum of the recovery times (seconds); 0 where nothing was hit.

        Args:
            kind: Of this kind of fault; "": of all.
        """
        times = [seconds for of, seconds in self.recovery if not kind or of == kind]
        return (median(times), max(times)) if times else (0.0, 0.0)

    def __str__(self) -> str:
        middle, longest = self.recovery_times()
        parts = [
            f"{self.submitted} submitted",
            f"{self.delivered} delivered",
            f"{len(self.failed)} failed",
            f"{len(self.lost)} lost",
            f"{len(self.unexpected)} unexpected",
            f"{len(self.duplicated)} duplicated",
            f"{len(self.recovered)} recovered",
            f"recovery {middle:.3f} s (median) {longest:.3f} s (maximum)",
        ]
        for name in ("lost", "unexpected", "duplicated"):
            if bad := getattr(self, name):
                parts.append(f"{name}: {bad[:10]}")
        return ", ".join(parts)


class _Execution:
    """One execution of a task, as its worker wrote it down."""

    def __init__(self, begun: float, pid: int) -> None:
        self.begun = begun
        self.ended: float | None = None
        self.pid = pid

    def was_hit(self, at: float, victims: set[int]) -> bool:
        return self.pid in victims and self.begun <= at and (self.ended is None or self.ended > at)


def check(folder: str | Path) -> Verdict:
    """Judge what was written to a folder."""
    return judge(records.lines(folder))


def judge(lines: Iterable[list[Any]]) -> Verdict:
    """Judge lines, in the order of time."""
    submitted: Counter[str] = Counter()
    arrivals: defaultdict[str, list[tuple[float, Any]]] = defaultdict(list)
    failed: dict[str, str] = {}
    executions: defaultdict[str, dict[Any, _Execution]] = defaultdict(dict)
    faults: list[tuple[float, str, set[int]]] = []
    kinds: Counter[str] = Counter()
    unexpected: set[str] = set()
    for kind, at, *rest in lines:
        if kind == records.SUBMIT:
            submitted[rest[0]] += 1
        elif kind == records.DELIVER:
            arrivals[rest[0]].append((at, rest[1]))
        elif kind == records.FAIL:
            arrivals[rest[0]].append((at, None))
            failed[rest[0]] = rest[1]
        elif kind == records.START:
            key, pid, value = rest
            executions[key][value] = _Execution(at, pid)
        elif kind == records.END:
            key, pid, value = rest
            found = executions[key].get(value)
            if found is None:  # an end without a beginning
                unexpected.add(key)
            else:
                found.ended = at
        elif kind == records.FAULT:
            kinds[rest[0]] += 1
            faults.append((at, rest[0], set(rest[1])))

    unexpected |= {key for key in [*arrivals, *executions] if key not in submitted}
    for key, came in arrivals.items():
        for _, value in came:
            by = executions[key].get(value) if value is not None else None
            if value is not None and (by is None or by.ended is None):
                unexpected.add(key)
    once = [key for key, came in arrivals.items() if len(came) == 1]
    return Verdict(
        submitted=submitted.total(),
        delivered=sum(value is not None for came in arrivals.values() for _, value in came),
        failed=failed,
        lost=[key for key in submitted if key not in arrivals],
        unexpected=sorted(unexpected),
        duplicated=[key for key, came in arrivals.items() if len(came) > 1],
        recovered=[key for key in once if len(executions[key]) > 1],
        executions=sum(map(len, executions.values())),
        recovery=_recovery(arrivals, executions, faults),
        faults=dict(kinds),
    )


def _recovery(
    arrivals: dict[str, list[tuple[float, Any]]],
    executions: dict[str, dict[Any, _Execution]],
    faults: list[tuple[float, str, set[int]]],
) -> list[tuple[str, float]]:
    """Seconds from each fault to the delivery of each task that its victims were executing."""
    times = []
    by_pid: defaultdict[int, list[tuple[str, _Execution]]] = defaultdict(list)
    for key, runs in executions.items():
        for run in runs.values():
            by_pid[run.pid].append((key, run))
    for at, kind, victims in faults:
        for pid in victims:
            for key, run in by_pid[pid]:
                came = arrivals.get(key)
                if came and run.was_hit(at, victims) and came[0][0] > at:
                    times.append((kind, came[0][0] - at))
    return times
