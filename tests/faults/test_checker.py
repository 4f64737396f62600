"""The judge of the fault trials must notice each kind of wrong: planted logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from faults import records
from faults.checker import check, judge

if TYPE_CHECKING:
    from pathlib import Path

#: Three tasks; `b` was executed twice, since its first worker was killed while executing it.
GOOD: list[list[Any]] = [
    ["submit", 0.0, "a"],
    ["submit", 0.1, "b"],
    ["submit", 0.2, "c"],
    ["start", 1.0, "a", 7, 11],
    ["end", 1.5, "a", 7, 11],
    ["deliver", 1.6, "a", 11],
    ["start", 2.0, "b", 7, 12],
    ["fault", 2.5, "kill", [7]],
    ["start", 2.6, "b", 8, 13],
    ["end", 3.0, "b", 8, 13],
    ["deliver", 3.1, "b", 13],
    ["start", 3.2, "c", 8, 14],
    ["fail", 3.3, "c", "ValueError"],
]


def test_a_sound_trial() -> None:
    found = judge(GOOD)
    assert found.sound
    assert (found.submitted, found.delivered, found.executions) == (3, 2, 4)
    assert found.failed == {"c": "ValueError"}
    assert found.recovered == ["b"]
    assert found.recovery_times() == pytest.approx((0.6, 0.6))
    assert found.recovery_times("kill") == pytest.approx((0.6, 0.6))
    assert found.recovery_times("stop") == (0.0, 0.0)
    assert found.faults == {"kill": 1}


def without(kind: str, key: str) -> list[list[Any]]:
    found = [line for line in GOOD if (line[0], line[2]) != (kind, key)]
    assert len(found) < len(GOOD)
    return found


@pytest.mark.parametrize(
    ("lines", "field", "key"),
    [
        (without("deliver", "a"), "lost", "a"),
        (without("fail", "c"), "lost", "c"),
        (without("submit", "a"), "unexpected", "a"),
        (without("end", "a"), "unexpected", "a"),
        ([*without("start", "a"), ["start", 5.0, "a", 7, 99]], "unexpected", "a"),
        ([*GOOD, ["deliver", 9.0, "x", 11]], "unexpected", "x"),
        ([*GOOD, ["start", 9.0, "x", 7, 15]], "unexpected", "x"),
        ([*without("deliver", "b"), ["deliver", 3.1, "b", 12]], "unexpected", "b"),
        ([*without("deliver", "b"), ["deliver", 3.1, "b", 11]], "unexpected", "b"),
        ([*GOOD, ["deliver", 9.0, "b", 13]], "duplicated", "b"),
        ([*GOOD, ["fail", 9.0, "b", "TaskLost"]], "duplicated", "b"),
    ],
    ids=[
        "never delivered",
        "never failed",
        "never asked for",
        "delivered and never finished",
        "finished and never begun",
        "delivered from nowhere",
        "executed from nowhere",
        "a value of an execution that did not end",
        "a value of another task",
        "delivered twice",
        "delivered and failed",
    ],
)
def test_each_kind_of_wrong_is_noticed(lines: list[list[Any]], field: str, key: str) -> None:
    found = judge(lines)
    assert not found.sound
    assert key in getattr(found, field)
    assert key in str(found)


def test_a_task_that_was_delivered_twice_is_not_recovered() -> None:
    assert judge([*GOOD, ["deliver", 9.0, "b", 13]]).recovered == []


def test_a_victim_that_had_nothing_in_hand_costs_no_time() -> None:
    lines = [*GOOD, ["fault", 3.15, "kill", [8]], ["fault", 0.5, "kill", [7]]]
    assert len(judge(lines).recovery) == 1


def test_lines_are_read_as_they_were_written(tmp_path: Path) -> None:
    for kind, _, *rest in GOOD:
        records.note(tmp_path, "driver" if kind in {"submit", "deliver"} else "w", kind, *rest)
    records.close_all(tmp_path)
    assert len(list(tmp_path.glob("*.log"))) == 2
    assert [line[:1] + line[2:] for line in records.lines(tmp_path)] == [
        line[:1] + line[2:] for line in GOOD
    ]
    assert check(tmp_path).sound
    with (tmp_path / "driver-1.log").open("ab") as file:
        file.write(b'["deliver", 7.0, "a", 1')  # and is not done with it
    assert check(tmp_path).sound
