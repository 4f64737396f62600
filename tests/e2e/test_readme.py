"""The README's programs, typed as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from e2e.desk import Desk

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)

#: What the README takes as given.
GIVEN = """
import operator
table, keys, path, url = list(range(1000)), [3, 1, 2], "model", "url"
look_up, fetch_and_analyse = operator.getitem, str
def expensive_start(path):
    return abs
"""


def block(beginning: str) -> str:
    """The only block with this line, for less work."""
    (found,) = [text for text in BLOCKS if beginning in text]
    return found.replace("100_000", "100").replace('"demo"', "LABEL")


def test_there_are_no_others() -> None:
    """Every block is executed by one of these tests."""
    assert len(BLOCKS) == 9


def test_calls_of_functions(desk: Desk) -> None:
    """In the order in which they are read, as one program."""
    program = [
        block("rng = random.Random(seed)"),
        GIVEN,
        block("future = master.submit(simulate, 300.0, seed=1)"),
        block("model = None"),
        "assert predictions == [2 * x for x in range(1000)]",
        "master = Master(workers=2)",
        block("master.share(table=table)"),
        "assert results == keys",
        block("careful = master.options"),
        "master.shutdown()",
    ]
    job = desk.python("job.py", "\n".join(program)).good()
    assert len(job.lines) == 60 + 1 + 60 + 60


def test_tasks_by_tag(desk: Desk) -> None:
    """A worker and a master, in two terminals."""
    master = desk.python("master.py", block("# master.py"))
    desk.slaves_here(0)
    worker = desk.python("analyst.py", block("# worker.py"))
    roots = sorted(float(line.split()[1]) for line in master.good().lines)
    assert roots == [x**0.5 for x in range(5)]
    worker.status()


@pytest.mark.parametrize("classic", [False, True])
def test_one_script_for_both_roles(desk: Desk, classic: bool) -> None:
    """With a slave from the label alone, where none is launched."""
    if not classic:
        assert desk.python("job.py", block("class Asking(Master)")).good().lines == [
            str([x**0.5 for x in range(5)])
        ]
        return
    master = desk.python("job.py", block("class Master(MasterProcess)"))
    desk.slave()
    lines = master.good().lines
    assert [line for line in lines if line.startswith("sqrt_0 raised division by zero")]
    assert {"0.0", "1.0"} < set(lines)
